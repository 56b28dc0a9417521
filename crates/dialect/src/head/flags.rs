//! Signs of a request's content, seen while it is checked.
//!
//! They are no facts: if one is seen, the messages have to be read to know; if
//! none is, they need not be. Keys and values that are written with
//! escapes are not seen.

use crate::json::check::Watch;
use crate::json::index::Index;

/// Signs that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signs(u16);

impl Signs {
    /// An object or a list under the key `cache_control`.
    pub(crate) const CACHE_CONTROL: Self = Self(1);
    /// A list under the key `content`.
    pub(crate) const CONTENT_LIST: Self = Self(1 << 1);
    /// A list or an object under a key that no provider's message has and that
    /// an earlier answer may have brought.
    pub(crate) const ADDITIONS: Self = Self(1 << 2);
    /// The same of keys that OpenAI's own answers have.
    pub(crate) const ANNOTATIONS: Self = Self(1 << 3);
    /// A key that begins with `reasoning`.
    pub(crate) const REASONING: Self = Self(1 << 4);
    /// The key `refusal`.
    pub(crate) const REFUSAL: Self = Self(1 << 5);
    /// The key `tool_calls`.
    pub(crate) const TOOL_CALLS: Self = Self(1 << 6);
    /// An empty `signature` or `encrypted_index`.
    pub(crate) const UNSIGNED: Self = Self(1 << 7);
    /// The role `developer`.
    pub(crate) const DEVELOPER: Self = Self(1 << 8);
    /// The role `system` or `developer` after another role.
    pub(crate) const LATE_SYSTEM: Self = Self(1 << 9);
    /// One role twice in a row.
    pub(crate) const REPEATED_ROLE: Self = Self(1 << 10);

    /// Returns true if `sign` was seen.
    pub(crate) fn has(self, sign: Self) -> bool {
        self.0 & sign.0 != 0
    }

    fn add(&mut self, sign: Self) {
        self.0 |= sign.0;
    }
}

/// Sees the signs, and notes where long values are.
#[derive(Debug)]
pub(super) struct Watcher<'i> {
    pub(super) signs: Signs,
    index: &'i mut Index,
    /// The last role.
    role: Option<Role>,
}

/// The speaker of a message, as far as order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
    Other,
}

impl<'i> Watcher<'i> {
    /// For one member of a request; adds its long values to `index`.
    pub(super) fn new(index: &'i mut Index) -> Self {
        Self { signs: Signs::default(), index, role: None }
    }

    fn speaks(&mut self, role: &[u8]) {
        let role = match role {
            b"user" => Role::User,
            b"assistant" => Role::Assistant,
            b"developer" => {
                self.signs.add(Signs::DEVELOPER);
                Role::System
            }
            b"system" => Role::System,
            _ => Role::Other,
        };
        if role == Role::System && self.role.is_some() {
            self.signs.add(Signs::LATE_SYSTEM);
        }
        if self.role.replace(role) == Some(role) {
            self.signs.add(Signs::REPEATED_ROLE);
        }
    }
}

impl Watch for Watcher<'_> {
    #[inline]
    fn member(&mut self, key: &[u8]) {
        match key {
            b"refusal" => self.signs.add(Signs::REFUSAL),
            b"tool_calls" => self.signs.add(Signs::TOOL_CALLS),
            [b'r', b'e', b'a', b's', b'o', b'n', b'i', b'n', b'g', ..] => {
                self.signs.add(Signs::REASONING);
            }
            _ => {}
        }
    }

    #[inline]
    fn opens(&mut self, key: &[u8], bracket: u8, start: usize) {
        self.index.opens(key, bracket, start);
        match key {
            b"content" if bracket == b'[' => self.signs.add(Signs::CONTENT_LIST),
            b"cache_control" => self.signs.add(Signs::CACHE_CONTROL),
            b"thinking_blocks" | b"provider_specific_fields" | b"reasoning_details" => {
                self.signs.add(Signs::ADDITIONS);
            }
            b"annotations" | b"citations" | b"images" => self.signs.add(Signs::ANNOTATIONS),
            _ => {}
        }
    }

    #[inline]
    fn closes(&mut self, end: usize) {
        self.index.closes(end);
    }

    #[inline]
    fn string(&mut self, key: &[u8], start: usize, inner: &[u8]) {
        self.index.string(key, start, inner);
        match key {
            b"role" => self.speaks(inner),
            b"signature" | b"encrypted_index" if inner.is_empty() => {
                self.signs.add(Signs::UNSIGNED);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::check::Checker;

    fn seen(text: &str) -> Signs {
        let mut index = Index::default();
        let mut watcher = Watcher::new(&mut index);
        Checker::new(text.as_bytes()).value(b"", 0, &mut watcher).unwrap();
        watcher.signs
    }

    #[test]
    fn a_bracket_is_seen_with_the_key_before_it() {
        let seen = |text: &str| {
            let signs = seen(text);
            (signs.has(Signs::CACHE_CONTROL), signs.has(Signs::CONTENT_LIST))
        };
        assert_eq!(seen(r#"{"messages":[{"content":"x"}]}"#), (false, false));
        assert_eq!(seen(r#"{"content" : [{"text":"x"}]}"#), (false, true));
        assert_eq!(seen("{\"cache_control\":\n {\"type\":1}}"), (true, false));
        assert_eq!(seen(r#"{"a":"{\"cache_control\":{\"content\":["}"#), (false, false));
        assert_eq!(seen(r#"{"cache_control":null,"content":{}}"#), (false, false));
        assert_eq!(seen(r#"{"content":1,"a":[[]],"b":[{"c":2},[]]}"#), (false, false));
        assert_eq!(seen(r#"{"content":[1,[2]]}"#), (false, true));
    }

    #[test]
    fn roles_are_seen_in_their_order() {
        let seen = |roles: &[&str]| {
            let messages: Vec<String> =
                roles.iter().map(|role| format!(r#"{{"role":"{role}","content":"a"}}"#)).collect();
            let signs = seen(&format!("[{}]", messages.join(",")));
            [Signs::DEVELOPER, Signs::LATE_SYSTEM, Signs::REPEATED_ROLE].map(|sign| signs.has(sign))
        };
        assert_eq!(seen(&["system", "user", "assistant", "user"]), [false, false, false]);
        assert_eq!(seen(&["user", "system"]), [false, true, false]);
        assert_eq!(seen(&["developer", "user", "user"]), [true, false, true]);
        assert_eq!(seen(&["developer", "system"]), [true, true, true]);
    }

    #[test]
    fn members_of_earlier_answers_are_seen() {
        for (text, sign) in [
            (r#"{"reasoning_content":"a"}"#, Signs::REASONING),
            (r#"{"refusal":null}"#, Signs::REFUSAL),
            (r#"[{"tool_calls":[]}]"#, Signs::TOOL_CALLS),
            (r#"{"type":"thinking","signature" : ""}"#, Signs::UNSIGNED),
            (r#"[{"thinking_blocks":[]}]"#, Signs::ADDITIONS),
            (r#"[{"citations":[]}]"#, Signs::ANNOTATIONS),
        ] {
            assert!(seen(text).has(sign), "{text}");
        }
        assert_eq!(seen(r#"["reasoning","refusal",{"signature":"x","a":""}]"#), Signs::default());
    }
}
