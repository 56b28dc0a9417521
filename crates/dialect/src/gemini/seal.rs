//! Signatures in this dialect's one field for them, `thoughtSignature`.
//!
//! Google's go in and out as they are. To a client that speaks this dialect with
//! Claude, Claude's go out as base64 of a mark and what Claude has sealed, and
//! come back by it: the field is bytes, and SDKs refuse what is not base64.

use crate::model::{Content, Origin, Part, Sealed, Thought};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// Beginning of the base64 of both marks below.
pub(super) const FOREIGN: &str = "a2V5bW9hdDph";

const CLAUDES: &str = "keymoat:anthropic:";
const REDACTED: &str = "keymoat:anthropic-redacted:";

/// What Google documents for calls whose signature is gone or was never made
/// (<https://ai.google.dev/gemini-api/docs/thought-signatures>, 2026).
pub(super) const NONE: &str = "skip_thought_signature_validator";

/// A signature in the field, as read.
pub(super) enum Read {
    /// A signature.
    Signature(Sealed),
    /// Encrypted thinking that replaces the words.
    Redacted(Sealed),
}

/// Reads the field; `None` if it says nothing.
pub(super) fn read(text: String) -> Option<Read> {
    if text.is_empty() || text == NONE {
        return None;
    }
    if text.starts_with(FOREIGN)
        && let Some(inner) = STANDARD.decode(&text).ok().and_then(|b| String::from_utf8(b).ok())
    {
        if let Some(own) = inner.strip_prefix(CLAUDES) {
            return Some(Read::Signature(Sealed::claudes(own)));
        }
        if let Some(own) = inner.strip_prefix(REDACTED) {
            return Some(Read::Redacted(Sealed::claudes(own)));
        }
    }
    Some(Read::Signature(Sealed::googles(text)))
}

/// The field's value for a client.
pub(super) fn for_client(signature: &Sealed) -> String {
    match signature.origin {
        Origin::Google => signature.text.clone(),
        Origin::Anthropic => STANDARD.encode([CLAUDES, &signature.text].concat()),
    }
}

/// The part as a client gets it: what Claude has sealed is in the field too.
pub(super) fn shown(part: &Part) -> Cow<'_, Part> {
    let mut part = Cow::Borrowed(part);
    if let Content::Reasoning(thought) = &part.content
        && let Some(field) = of_thought(thought)
    {
        let text = thought.text.clone();
        let thought = Thought { text, signature: Some(Sealed::googles(field)), redacted: None };
        part = Cow::Owned(Content::Reasoning(thought).into());
    } else if let Some(signature) = &part.signature
        && signature.origin != Origin::Google
    {
        let signature = Some(Sealed::googles(for_client(signature)));
        part = Cow::Owned(Part { signature, ..part.into_owned() });
    }
    part
}

/// The field's value for a client, of all that a thought has sealed.
fn of_thought(thought: &Thought) -> Option<String> {
    match (&thought.signature, &thought.redacted) {
        (Some(signature), _) => Some(for_client(signature)),
        (None, Some(redacted)) => Some(STANDARD.encode([REDACTED, &redacted.text].concat())),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claudes_seals_come_back_through_the_field() {
        let thought = Thought { signature: Some(Sealed::claudes("s/+=")), ..Thought::default() };
        let field = of_thought(&thought).unwrap();
        assert!(field.starts_with(FOREIGN), "{field}");
        let Some(Read::Signature(found)) = read(field) else { panic!() };
        assert_eq!(Some(found), thought.signature);
        let redacted = Thought { redacted: Some(Sealed::claudes("data")), ..Thought::default() };
        let field = of_thought(&redacted).unwrap();
        assert!(field.starts_with(FOREIGN), "{field}");
        let Some(Read::Redacted(found)) = read(field) else { panic!() };
        assert_eq!(Some(found), redacted.redacted);
        assert!(read(NONE.to_owned()).is_none());
    }
}
