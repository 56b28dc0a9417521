//! Tool ids that Anthropic accepts and its clients expect, and back.
//!
//! Anthropic takes `^[a-zA-Z0-9_-]+$`, and some clients look for `toolu_`. An
//! id that does not fit is spelled `toolu_km_` and its bytes, where every byte
//! but letters and digits becomes `_` and two hex digits: reversible without
//! memory, and no two ids collide.
//!
//! A client also carries in the id what its provider wants back beside the
//! call and no block has a place for (Gemini's thought signature): after a `-`,
//! JSON spelled the same way.

use crate::additions;
use crate::json::read::Raw;
use crate::model::Sealed;
use std::borrow::Cow;

const MARK: &str = "toolu_km_";

/// The id as an Anthropic client should see it, with the signature that it must
/// carry.
pub(crate) fn for_client<'i>(id: &'i str, signature: Option<&Sealed>) -> Cow<'i, str> {
    if let Some(extra) = signature.and_then(additions::extra_content) {
        let mut spelled = spell(id);
        spelled.push('-');
        push(&mut spelled, extra.text());
        return Cow::Owned(spelled);
    }
    let native = ["toolu_", "srvtoolu_", "mcptoolu_"].iter().any(|p| id.starts_with(p));
    if native && acceptable(id) { Cow::Borrowed(id) } else { Cow::Owned(spell(id)) }
}

/// The id as Anthropic accepts it.
pub(crate) fn for_upstream(id: &str) -> Cow<'_, str> {
    if acceptable(id) { Cow::Borrowed(id) } else { Cow::Owned(spell(id)) }
}

/// The id that was spelled, or the id itself, and what it carried.
pub(crate) fn original(id: String) -> (String, Option<Sealed>) {
    let Some(spelled) = id.strip_prefix(MARK) else { return (id, None) };
    let read = match spelled.split_once('-') {
        None => read(spelled).map(|original| (original, None)),
        Some((spelled, extra)) => read(spelled).zip(carried(extra)).map(|(id, e)| (id, Some(e))),
    };
    read.unwrap_or((id, None))
}

fn carried(spelled: &str) -> Option<Sealed> {
    let text = read(spelled)?;
    additions::signature_in(Raw::check_text(&text).ok()?)
}

fn acceptable(id: &str) -> bool {
    !id.is_empty()
        && !id.starts_with(MARK)
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn spell(id: &str) -> String {
    let mut spelled = String::with_capacity(MARK.len() + id.len() + 8);
    spelled.push_str(MARK);
    push(&mut spelled, id);
    spelled
}

fn push(spelled: &mut String, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            spelled.push(char::from(byte));
        } else {
            spelled.push('_');
            for nibble in [byte >> 4, byte & 15] {
                spelled.push(char::from(*HEX.get(usize::from(nibble)).unwrap_or(&b'0')));
            }
        }
    }
}

fn read(spelled: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(spelled.len());
    let mut rest = spelled.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'_' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            b if b.is_ascii_alphanumeric() => bytes.push(b),
            _ => return None,
        }
    }
    let id = String::from_utf8(bytes).ok()?;
    // Only what `spell` writes is read back: another's id stays what it is.
    (spell(&id).strip_prefix(MARK) == Some(spelled)).then_some(id)
}

/// FNV-1a: the same for the same text and number, unlikely for others.
pub(crate) fn digest(text: &str, number: usize) -> u64 {
    text.bytes().chain(number.to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn anthropics_own_ids_are_left_alone() {
        for id in ["toolu_01AbC", "srvtoolu_9", "toolu_bdrk_01x-y"] {
            assert_eq!(for_client(id, None), id);
            assert_eq!(for_upstream(id), id);
            assert_eq!(original(id.to_owned()), (id.to_owned(), None));
        }
    }

    #[test]
    fn a_foreign_id_is_shown_in_anthropics_form_and_read_back() {
        assert_eq!(for_client("call_1", None), "toolu_km_call_5f1");
        assert_eq!(for_upstream("call_1"), "call_1");
        assert_eq!(for_upstream("a:b"), "toolu_km_a_3ab");
        assert_eq!(original("toolu_km_call_5f1".to_owned()), ("call_1".to_owned(), None));
    }

    #[test]
    fn an_id_that_only_looks_spelled_stays() {
        for id in ["toolu_km_-", "toolu_km_a-b", "toolu_km_a_zz", "toolu_km__41", "toolu_km__FF"] {
            assert_eq!(original(id.to_owned()), (id.to_owned(), None));
        }
    }

    proptest! {
        #[test]
        fn every_id_comes_back(id in ".{0,40}") {
            for shown in [for_client(&id, None), for_upstream(&id)] {
                let fits = shown.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                prop_assert!(fits && !shown.is_empty());
                prop_assert_eq!(original(shown.into_owned()), (id.clone(), None));
            }
        }

        #[test]
        fn an_id_carries_the_signature_of_its_call(id in ".{0,40}", signature in ".{0,40}") {
            let signature = Sealed::googles(signature);
            let shown = for_client(&id, Some(&signature));
            let fits = shown.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            prop_assert!(fits);
            prop_assert_eq!(original(shown.into_owned()), (id, Some(signature)));
        }
    }
}
