//! The escapes in JSON strings, halves of surrogate pairs included.
//!
//! A provider that cuts its output between UTF-16 units sends `"\ud83d"` and
//! then `"\ude00"`; each alone is no text. [`Joiner`] puts the halves of one
//! stream together; elsewhere a half becomes U+FFFD.

use super::text::next_special;
use memchr::{memchr, memmem};
use std::borrow::Cow;

const REPLACEMENT: char = '\u{FFFD}';

/// Holds the first half of a pair until the second comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joiner {
    held: Option<u16>,
}

impl Joiner {
    /// The text of the next JSON string, with its quotes; a first half at its
    /// end is kept back.
    pub(crate) fn push(&mut self, json: &str) -> Option<String> {
        let inner = json.strip_prefix('"')?.strip_suffix('"')?;
        let mut text = String::with_capacity(inner.len());
        self.add(inner, &mut text);
        Some(text)
    }

    /// Adds the text between a string's quotes to `text`.
    fn add(&mut self, inner: &str, text: &mut String) {
        let bytes = inner.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            // In checked text no other special byte is left.
            let next = next_special(bytes, at).unwrap_or(bytes.len());
            if next > at {
                self.give_up(text);
                text.push_str(inner.get(at..next).unwrap_or_default());
                at = next;
                continue;
            }
            at += self.escape(bytes.get(at..).unwrap_or_default(), text);
        }
    }

    /// Adds the character of the escape at the beginning of `rest`; returns the
    /// escape's length.
    fn escape(&mut self, rest: &[u8], text: &mut String) -> usize {
        let unit = escape(rest, 0).and_then(|unit| u16::try_from(unit).ok());
        let Some(unit) = unit else {
            self.give_up(text);
            text.push(match rest.get(1) {
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(byte) if byte.is_ascii() => char::from(*byte),
                _ => REPLACEMENT,
            });
            return 2;
        };
        match (self.held.take(), unit) {
            (Some(high), 0xDC00..=0xDFFF) => text.push(join(high, unit)),
            (held, 0xD800..=0xDBFF) => {
                text.extend(held.map(|_| REPLACEMENT));
                self.held = Some(unit);
            }
            (held, unit) => {
                text.extend(held.map(|_| REPLACEMENT));
                text.push(char::from_u32(u32::from(unit)).unwrap_or(REPLACEMENT));
            }
        }
        6
    }

    /// Adds U+FFFD for a half that is held: the other does not follow.
    fn give_up(&mut self, text: &mut String) {
        text.extend(self.held.take().map(|_| REPLACEMENT));
    }
}

/// The text that is written as `inner` between a string's quotes, halves of
/// pairs replaced.
pub(crate) fn unescaped(inner: &str) -> Cow<'_, str> {
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut joiner = Joiner::default();
    let mut text = String::with_capacity(inner.len());
    joiner.add(inner, &mut text);
    joiner.give_up(&mut text);
    Cow::Owned(text)
}

fn join(high: u16, low: u16) -> char {
    let code = 0x1_0000 + ((u32::from(high) & 0x3FF) << 10) + (u32::from(low) & 0x3FF);
    char::from_u32(code).unwrap_or(REPLACEMENT)
}

/// Replaces in JSON text the escapes of half a pair that stands alone by that of
/// U+FFFD: carried text may hold them, and providers refuse a body that does.
pub(crate) fn mend(json: &mut [u8]) {
    if memmem::find(json, br"\u").is_none() {
        return;
    }
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        at += found;
        match escape(json, at) {
            Some(0xD800..=0xDBFF) if matches!(escape(json, at + 6), Some(0xDC00..=0xDFFF)) => {
                at += 12;
            }
            Some(0xD800..=0xDFFF) => {
                if let Some(digits) = json.get_mut(at + 2..at + 6) {
                    digits.copy_from_slice(b"fffd");
                }
                at += 6;
            }
            // Past the escaped sign, which may be a backslash.
            _ => at += 2,
        }
    }
}

/// A copy of JSON text, mended.
pub(crate) fn mended(json: &str) -> String {
    let mut bytes = json.as_bytes().to_vec();
    mend(&mut bytes);
    // ASCII replaces ASCII: what was text is text.
    String::from_utf8(bytes).unwrap_or_else(|_| json.to_owned())
}

/// The code unit of `\uXXXX` at this place.
fn escape(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_in_two_strings_become_one_character() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(r#""a\ud83d""#).unwrap(), "a");
        assert_eq!(joiner.push(r#""\ude00b""#).unwrap(), "\u{1F600}b");
    }

    #[test]
    fn halves_in_carried_text_are_mended_where_they_stand_alone() {
        for (text, mended) in [
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\ude00\uD83D x"}"#, r#"{"a":"\ufffd\ufffd x"}"#),
            (r#"{"a":"\ud83d\ude00 \\ud83d é"}"#, r#"{"a":"\ud83d\ude00 \\ud83d é"}"#),
            (r#""\ud83"#, r#""\ud83"#),
        ] {
            let mut bytes = text.as_bytes().to_vec();
            mend(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), mended);
        }
    }

    #[test]
    fn a_half_that_stays_alone_is_replaced() {
        assert_eq!(unescaped(r"a\ud83d"), "a\u{FFFD}");
        assert_eq!(unescaped(r"\ude00é"), "\u{FFFD}é");
        assert_eq!(unescaped(r"\ud83d\ud83d\ude00\ud83dA"), "\u{FFFD}\u{1F600}\u{FFFD}A");
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(r#""\ud83d""#).unwrap(), "");
        assert_eq!(joiner.push(r#""x""#).unwrap(), "\u{FFFD}x");
    }

    proptest! {
        #[test]
        fn escapes_stand_for_what_serde_json_reads(
            inner in r#"([a-zé]{0,9}|\\["\\/bfnrt]|\\u00[0-9a-f]{2}|\\ud83d\\ude0[0-9]){0,9}"#,
        ) {
            let text: String = serde_json::from_str(&format!("\"{inner}\"")).unwrap();
            prop_assert_eq!(unescaped(&inner), text);
        }
    }
}
