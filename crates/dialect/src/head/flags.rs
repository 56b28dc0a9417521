//! What stands in the body of a request somewhere, seen while it is checked.

use crate::json::check::Watch;

/// Members of messages and parts that a provider may refuse, or that an
/// earlier answer of the gateway may have brought. Keys that are written with
/// escapes are not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Somewhere an object stands under the key `cache_control`.
    pub(crate) cache_control: bool,
    /// Somewhere a list stands under the key `content`.
    pub(crate) content_list: bool,
    /// Somewhere a list or an object stands under a key that no provider's
    /// message has and that an earlier answer may have brought.
    pub(crate) additions: bool,
    /// The same of keys that OpenAI's own answers have.
    pub(crate) annotations: bool,
}

impl Watch for Flags {
    #[inline]
    fn opens(&mut self, key: &[u8], bracket: u8, _: usize) {
        match key {
            b"content" => self.content_list |= bracket == b'[',
            b"cache_control" => self.cache_control = true,
            b"thinking_blocks" | b"provider_specific_fields" | b"reasoning_details" => {
                self.additions = true;
            }
            b"annotations" | b"citations" | b"images" => self.annotations = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::check::Checker;

    #[test]
    fn a_bracket_is_seen_with_the_key_before_it() {
        let seen = |text: &str| {
            let mut flags = Flags::default();
            Checker::new(text.as_bytes()).value(b"", 0, &mut flags).unwrap();
            (flags.cache_control, flags.content_list)
        };
        assert_eq!(seen(r#"{"messages":[{"content":"x"}]}"#), (false, false));
        assert_eq!(seen(r#"{"content" : [{"text":"x"}]}"#), (false, true));
        assert_eq!(seen("{\"cache_control\":\n {\"type\":1}}"), (true, false));
        assert_eq!(seen(r#"{"a":"{\"cache_control\":{\"content\":["}"#), (false, false));
        assert_eq!(seen(r#"{"cache_control":null,"content":{}}"#), (false, false));
        assert_eq!(seen(r#"{"content":1,"a":[[]],"b":[{"c":2},[]]}"#), (false, false));
    }
}
