//! Removes secrets from text by value.
//!
//! Patterns miss; the values themselves do not. A provider that echoes a key
//! in an error message, whole or behind JSON's escapes, does not leak it
//! through us. What it deliberately does not know: values that were encoded in
//! any other way (base64, percent signs).

use crate::secret::Secret;
use memchr::memchr;
use std::borrow::Cow;

/// What stands in a secret's place.
pub const MASK: &str = "[redacted]";

/// Shorter values would match ordinary text.
const MIN_LEN: usize = 8;

/// JSON in JSON in JSON: nobody escapes more often.
const UNESCAPE_MAX: usize = 4;

/// The set of values that must never leave. The time of a search does not grow
/// with the set.
#[derive(Clone)]
pub struct Redactor {
    /// Longest first, so that none is cut by another that it begins with.
    values: Vec<Box<str>>,
    /// Which pairs of bytes a value begins with.
    starts: Box<[u64; PAIRS / 64]>,
    shortest: usize,
}

const PAIRS: usize = 1 << 16;

/// Words before a key in a header's value.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "token", "apikey"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

impl Default for Redactor {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl Redactor {
    /// Builds the set; texts under 8 bytes are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let values = |secret: &'a Secret| {
            let whole = secret.expose();
            // A header's value is said back without its scheme as well.
            let bare = whole.split_once(' ').filter(|(scheme, _)| is_scheme(scheme));
            std::iter::once(whole).chain(bare.map(|(_, bare)| bare.trim()))
        };
        Self::of(secrets.into_iter().flat_map(values).map(Into::into).collect())
    }

    /// This set and another: what was secret stays so.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::of(self.values.iter().chain(&other.values).cloned().collect())
    }

    fn of(mut values: Vec<Box<str>>) -> Self {
        values.retain(|value| value.len() >= MIN_LEN);
        values.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        let mut starts = Box::new([0; PAIRS / 64]);
        for value in &values {
            if let [first, second, ..] = value.as_bytes() {
                let (word, bit) = place(*first, *second);
                if let Some(word) = starts.get_mut(word) {
                    *word |= bit;
                }
            }
        }
        let shortest = values.last().map_or(usize::MAX, |value| value.len());
        Self { values, starts, shortest }
    }

    /// Whether any value stands in `bytes`, as it is or behind JSON's escapes.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.shortest && (self.next(bytes).is_some() || self.finds_escaped(bytes))
    }

    /// `text` with every value replaced; borrowed where there is none. A text
    /// in which a value hides behind escapes is replaced whole.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if text.len() < self.shortest {
            return Cow::Borrowed(text);
        }
        let mut clean = Cow::Borrowed(text);
        if self.next(text.as_bytes()).is_some() {
            clean = Cow::Owned(self.without_plain(text));
        }
        if self.finds_escaped(clean.as_bytes()) {
            return Cow::Borrowed(MASK);
        }
        clean
    }

    fn without_plain(&self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((at, length)) = self.next(rest.as_bytes()) {
            // A value is text, so it begins and ends between characters.
            clean.push_str(rest.get(..at).unwrap_or_default());
            clean.push_str(MASK);
            rest = rest.get(at + length..).unwrap_or_default();
        }
        clean.push_str(rest);
        clean
    }

    /// Where the first value stands, and how long it is.
    fn next(&self, bytes: &[u8]) -> Option<(usize, usize)> {
        for (at, pair) in bytes.windows(2).enumerate() {
            let [first, second] = pair else { continue };
            let (word, bit) = place(*first, *second);
            if self.starts.get(word).is_some_and(|word| word & bit != 0) {
                let rest = bytes.get(at..).unwrap_or_default();
                let found = self.values.iter().find(|value| rest.starts_with(value.as_bytes()));
                if let Some(value) = found {
                    return Some((at, value.len()));
                }
            }
        }
        None
    }

    fn finds_escaped(&self, bytes: &[u8]) -> bool {
        let mut text = Cow::Borrowed(bytes);
        for _ in 0..UNESCAPE_MAX {
            if memchr(b'\\', &text).is_none() {
                return false;
            }
            text = Cow::Owned(unescaped(&text));
            if self.next(&text).is_some() {
                return true;
            }
        }
        false
    }
}

fn place(first: u8, second: u8) -> (usize, u64) {
    let pair = usize::from(first) << 8 | usize::from(second);
    (pair / 64, 1 << (pair % 64))
}

/// Undoes JSON's escapes wherever they stand (RFC 8259, section 7). What is no
/// escape stays.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr(b'\\', rest) {
        let (before, escape) = rest.split_at(at);
        out.extend_from_slice(before);
        rest = match escape {
            [_, b'u', more @ ..] => match code_unit(more) {
                Some(unit) => {
                    let mut buffer = [0; 4];
                    let letter = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
                    more.get(4..).unwrap_or_default()
                }
                None => more,
            },
            [_, letter, more @ ..] => {
                out.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    other => *other,
                });
                more
            }
            _ => &[],
        };
    }
    out.extend_from_slice(rest);
    out
}

fn code_unit(hex: &[u8]) -> Option<u32> {
    let hex = std::str::from_utf8(hex.get(..4)?).ok()?;
    u32::from_str_radix(hex, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::{MASK, Redactor};
    use crate::secret::Secret;

    fn redactor(values: &[&str]) -> Redactor {
        let secrets: Vec<Secret> = values.iter().map(|v| Secret::new((*v).into())).collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn every_occurrence_goes_and_ordinary_text_stays() {
        let redactor = redactor(&["sk-upstream-1234", "key"]);
        assert_eq!(
            redactor.clean("bad key sk-upstream-1234, sk-upstream-1234!"),
            "bad key [redacted], [redacted]!"
        );
        assert!(matches!(redactor.clean("a key"), std::borrow::Cow::Borrowed(_)));
    }

    #[test]
    fn a_value_behind_json_escapes_is_found() {
        let redactor = redactor(&["wJalr/K7MDENG\"x"]);
        for text in [
            r#"{"error":"wJalr\/K7MDENG\"x"}"#,
            r#"{"error":"\u0077Jalr/K7MDENG\u0022x"}"#,
            r#"{"raw":"{\"error\":\"wJalr\\/K7MDENG\\\"x\"}"}"#,
        ] {
            assert!(redactor.finds(text.as_bytes()), "{text}");
            assert_eq!(redactor.clean(text), MASK, "{text}");
        }
        for text in [r"C:\new\table", r#"{"error":"\u00e9\ud83d\ude00 \u12"}"#, "\\"] {
            assert!(!redactor.finds(text.as_bytes()), "{text}");
            assert_eq!(redactor.clean(text), text);
        }
    }

    #[test]
    fn a_longer_value_is_not_cut_by_a_shorter_one() {
        let redactor = redactor(&["sk-shared", "sk-shared-and-more"]);
        assert_eq!(redactor.clean("sk-shared-and-more, sk-shared"), "[redacted], [redacted]");
    }

    #[test]
    fn a_headers_value_is_found_without_its_scheme() {
        let redactor = redactor(&["Basic b3A6c2VjcmV0", "two words1"]);
        assert_eq!(redactor.clean("b3A6c2VjcmV0"), MASK);
        assert_eq!(redactor.clean("Basic b3A6c2VjcmV0"), MASK);
        assert_eq!(redactor.clean("words1 two words1"), "words1 [redacted]");
    }

    #[test]
    fn what_was_secret_before_stays_so() {
        let both = redactor(&["old-secret"]).and(&redactor(&["new-secret"]));
        assert_eq!(both.clean("old-secret new-secret"), "[redacted] [redacted]");
        assert!(!Redactor::default().finds(b"old-secret new-secret"));
    }
}
