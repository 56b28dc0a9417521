//! What Claude has sealed, which the gateway put into an earlier answer and which
//! Google's models refuse.

use super::seal::{self, FOREIGN};
use crate::Target;
use crate::head::Head;
use crate::json::read::{Members, Raw, items};
use crate::json::rewrite::{Change, list, object};
use crate::json::write::quoted;
use crate::splice::Edits;
use memchr::memmem;

const FIELDS: [&str; 2] = ["thoughtSignature", "thought_signature"];

/// Takes it out of a request that otherwise goes up as its client wrote it.
pub(super) fn remove(edits: &mut Edits<'_>, head: &Head, body: &[u8], target: &Target<'_>) {
    let sealed = |raw: &&[u8]| memmem::find(raw, FOREIGN.as_bytes()).is_some();
    let Some(raw) = head.raw(body, "contents").filter(sealed) else { return };
    if let Some(contents) = without_foreign(raw, target) {
        edits.set_text("contents", contents);
    }
}

/// The contents without what other models have sealed; `None` if they need no
/// change. Thinking goes with its seal, a call keeps its place.
fn without_foreign(raw: &[u8], target: &Target<'_>) -> Option<String> {
    let contents = items(Raw::check(raw).ok()?)?;
    list(&contents, |content| {
        let members = Members::of(content)?;
        object(&members, |name, value| {
            let parts = items(value).filter(|_| name == "parts");
            parts.and_then(|parts| clean(&parts, target)).map_or(Change::None, Change::To)
        })
    })
}

fn clean(parts: &[Raw<'_>], target: &Target<'_>) -> Option<String> {
    let mut changed = false;
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        let members = Members::of(*part).unwrap_or_default();
        let is_foreign = |(name, value): &(_, Raw<'_>)| {
            let name: &std::borrow::Cow<'_, str> = name;
            FIELDS.contains(&name.as_ref())
                && value.string().is_some_and(|text| text.starts_with(FOREIGN))
        };
        if !members.0.iter().any(is_foreign) {
            kept.push(part.text().to_owned());
            continue;
        }
        changed = true;
        if members.last("thought").is_some_and(|raw| raw.text() == "true") {
            continue;
        }
        let is_call = ["functionCall", "function_call"].iter().any(|n| members.last(n).is_some());
        let written = object(&members, |name, _| match FIELDS.contains(&name) {
            false => Change::None,
            true if is_call && target.thinking_levels => Change::To(quoted(seal::NONE)),
            true => Change::Gone,
        });
        kept.push(written.unwrap_or_else(|| part.text().to_owned()));
    }
    changed.then(|| format!("[{}]", kept.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sealed;

    #[test]
    fn what_claude_has_sealed_stays_behind() {
        let seal = seal::for_client(&Sealed::claudes("s"));
        let raw = format!(
            r#"[{{"role":"model","parts":[{{"text":"t","thought":true,"thoughtSignature":"{seal}"}},{{"functionCall":{{"name":"f"}},"thoughtSignature":"{seal}"}},{{"text":"a","thoughtSignature":"b3du"}}]}}]"#
        );
        let target = Target { thinking_levels: true, ..Target::default() };
        assert_eq!(
            without_foreign(raw.as_bytes(), &target).unwrap(),
            r#"[{"role":"model","parts":[{"functionCall":{"name":"f"},"thoughtSignature":"skip_thought_signature_validator"},{"text":"a","thoughtSignature":"b3du"}]}]"#
        );
        assert_eq!(without_foreign(br#"[{"parts":[{"text":"a"}]}]"#, &target), None);
    }
}
