//! End users' ids as providers take them: no longer than the provider's limit,
//! and no e-mail address where that is refused. An id that does not fit is
//! replaced by a keyed hash of it: the same in every request, and for the
//! provider no way back to the person.

use catalog::Quirks;
use dialect::head::Head;
use dialect::splice::Edits;
use ledger::KeyHasher;

/// Adds the edits that replace an id which the provider refuses.
pub(crate) fn fit(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    quirks: &Quirks,
    hasher: &KeyHasher,
) {
    for field in head.surface().row().users {
        let user = head.text(body, *field);
        if let Some(user) = user.and_then(|user| replaced(&user, quirks, hasher)) {
            edits.set_field(*field, format!("\"{user}\"").into());
        }
    }
}

/// The id that goes in place of `user`; `None` if the provider takes `user`.
fn replaced(user: &str, quirks: &Quirks, hasher: &KeyHasher) -> Option<String> {
    let is_long = user.len() > quirks.user_max && user.chars().count() > quirks.user_max;
    if !(is_long || quirks.user_opaque && names_a_person(user)) {
        return None;
    }
    let mut hash = hasher.hash(&["end user:", user].concat()).to_string();
    hash.truncate(quirks.user_max);
    Some(hash)
}

/// Returns true for what looks like an e-mail address or a telephone number.
fn names_a_person(user: &str) -> bool {
    let user = user.trim();
    let is_address = user.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !user.contains(|c: char| c.is_whitespace() || matches!(c, '{' | '"'))
    });
    let digits = user.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits >= 7
        && user.bytes().all(|byte| byte.is_ascii_digit() || b"+-(). ".contains(&byte))
        && (user.starts_with(['+', '(']) || digits < user.len());
    is_address || is_number
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use dialect::Surface;
    use dialect::splice;

    fn sent(provider: &str, surface: Surface, body: &str) -> String {
        let hasher = KeyHasher::new(&[7; 32]);
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = Head::scan(&bytes, surface).unwrap();
        let mut edits = Edits::new(&head, &bytes);
        let quirks = &catalog::provider(provider).unwrap().quirks;
        fit(&mut edits, &head, &bytes, quirks, &hasher);
        String::from_utf8(splice::apply(&bytes, &edits).to_vec()).unwrap()
    }

    #[test]
    fn an_id_that_is_too_long_is_hashed_and_the_same_every_time() {
        let id = "u".repeat(65);
        let body = format!(r#"{{"user":"{id}"}}"#);
        let first = sent("openai", Surface::OpenAiChat, &body);
        assert_eq!(first.len(), r#"{"user":""}"#.len() + 64);
        assert!(!first.contains("uuu"), "{first}");
        assert_eq!(sent("openai", Surface::OpenAiChat, &body), first);
        assert_eq!(sent("openrouter", Surface::OpenAiChat, &body), body, "128 there");
        let fits = format!(r#"{{"user":"{}"}}"#, "ü".repeat(64));
        assert_eq!(sent("openai", Surface::OpenAiChat, &fits), fits);
    }

    #[test]
    fn claude_is_told_of_no_person() {
        let body = |user: &str| format!(r#"{{"metadata":{{"user_id":"{user}"}}}}"#);
        for person in ["a.b@example.com", "+1 555 010 9999", "(555) 010-9999"] {
            let sent = sent("anthropic", Surface::AnthropicMessages, &body(person));
            assert!(!sent.contains("555") && !sent.contains('@'), "{sent}");
        }
        for opaque in ["user_1", "5550109999", "@team", r#"{\"account\":\"a@b.c\"}"#] {
            let body = body(opaque);
            assert_eq!(sent("anthropic", Surface::AnthropicMessages, &body), body);
        }
        let openai = r#"{"user":"a.b@example.com"}"#;
        assert_eq!(sent("openai", Surface::OpenAiChat, openai), openai);
    }
}
