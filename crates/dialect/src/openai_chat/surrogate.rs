//! Strings that hold half a surrogate pair.
//!
//! A provider that cuts its output between UTF-16 units sends `"\ud83d"` and
//! then `"\ude00"`; each alone is no text. [`Joiner`] puts the halves of one
//! stream together; [`whole`] makes text of one string with U+FFFD for what is
//! broken. It does not touch well-formed strings: callers try those first.

use serde::de::{Deserializer, Visitor};
use std::fmt;

const REPLACEMENT: char = '\u{FFFD}';

/// Holds the first half of a pair until the second comes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joiner {
    held: Option<u16>,
}

impl Joiner {
    /// The text of the next JSON string; a first half at its end is kept back.
    pub(crate) fn push(&mut self, json: &str) -> Option<String> {
        if self.held.is_none()
            && let Ok(text) = serde_json::from_str::<String>(json)
        {
            return Some(text);
        }
        let bytes = wtf8(json)?;
        let mut text = String::with_capacity(bytes.len());
        for unit in units(&bytes) {
            match (self.held.take(), unit) {
                (Some(high), Unit::Surrogate(low @ 0xDC00..)) => text.push(join(high, low)),
                (held, unit) => {
                    if held.is_some() {
                        text.push(REPLACEMENT);
                    }
                    match unit {
                        Unit::Surrogate(high @ ..0xDC00) => self.held = Some(high),
                        Unit::Surrogate(_) => text.push(REPLACEMENT),
                        Unit::Text(run) => text.push_str(run),
                    }
                }
            }
        }
        Some(text)
    }
}

/// The text of one JSON string, halves of pairs replaced.
pub(crate) fn whole(json: &str) -> Option<String> {
    let mut joiner = Joiner::default();
    let mut text = joiner.push(json)?;
    if joiner.held.is_some() {
        text.push(REPLACEMENT);
    }
    Some(text)
}

/// Replaces in JSON text the escapes of half a pair that stands alone by that of
/// U+FFFD: carried text may hold them, and providers refuse a body that does.
pub(crate) fn mend(json: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
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
    // ASCII stands for ASCII: what was text is text.
    String::from_utf8(bytes).unwrap_or_else(|_| json.to_owned())
}

/// The code unit that `\uXXXX` at this place stands for.
fn escape(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

enum Unit<'a> {
    Text(&'a str),
    Surrogate(u16),
}

/// Cuts WTF-8 into runs of UTF-8 and surrogates (ED A0..BF xx).
fn units(bytes: &[u8]) -> Vec<Unit<'_>> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                found.push(Unit::Text(text));
                break;
            }
            Err(error) => {
                let (good, bad) = rest.split_at(error.valid_up_to());
                if let Ok(text) = std::str::from_utf8(good)
                    && !text.is_empty()
                {
                    found.push(Unit::Text(text));
                }
                if let [0xED, second @ 0xA0..=0xBF, third, after @ ..] = bad {
                    let unit = 0xD000 | (u16::from(second & 0x3F) << 6) | u16::from(third & 0x3F);
                    found.push(Unit::Surrogate(unit));
                    rest = after;
                } else {
                    found.push(Unit::Text("\u{FFFD}"));
                    rest = bad.get(1..).unwrap_or_default();
                }
            }
        }
    }
    found
}

fn join(high: u16, low: u16) -> char {
    let code = 0x1_0000 + ((u32::from(high) & 0x3FF) << 10) + (u32::from(low) & 0x3FF);
    char::from_u32(code).unwrap_or(REPLACEMENT)
}

/// The bytes of a JSON string; `serde_json` lets halves through as WTF-8 when
/// asked for bytes.
fn wtf8(json: &str) -> Option<Vec<u8>> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
    if !json.starts_with('"') {
        return None;
    }
    serde_json::Deserializer::from_str(json).deserialize_bytes(Bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(whole(r#""a\ud83d""#).unwrap(), "a\u{FFFD}");
        assert_eq!(whole(r#""\ude00é""#).unwrap(), "\u{FFFD}é");
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(r#""\ud83d""#).unwrap(), "");
        assert_eq!(joiner.push(r#""x""#).unwrap(), "\u{FFFD}x");
    }
}
