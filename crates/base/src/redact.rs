//! Removes secrets from text by value.
//!
//! Patterns miss; the values themselves do not. A provider that echoes a key in
//! an error does not leak it through us, whether it writes the key as it is or
//! in another spelling: in base64 (both alphabets, alone or behind `Bearer ` or
//! a colon), in hexadecimal, behind JSON's, HTML's or percent escapes (up to
//! [`LAYERS_MAX`] layers of them), in other case, reversed, with white space or
//! line breaks inside, or the first or last twelve characters only.
//!
//! Not known: a part from the middle, and any other cipher. Where a provider
//! is likely to speak of a key, its text must therefore be left out whole.
//!
//! A search does not grow with the set.

mod decode;
mod spelling;

use crate::secret::Secret;
use decode::decoded;
use spelling::{Pattern, Short, Spellings, WINDOW, symbol};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Text that is written in a secret's place.
pub const MASK: &str = "[redacted]";

/// Shorter values are no secrets: they can be guessed.
const MIN_LEN: usize = 4;

/// Bytes that are looked through at a time.
const PIECE: usize = 248;

/// Layers of escapes that are undone.
const LAYERS_MAX: usize = 4;

/// Words that are written where a server takes no key, and that ordinary text
/// holds as well.
const PLACEHOLDERS: [&str; 8] =
    ["none", "null", "empty", "dummy", "fake", "test", "local", "ollama"];

/// The set of values that must never leave.
#[derive(Clone)]
pub struct Redactor {
    values: Vec<Box<str>>,
    /// The patterns that need a window, by that window.
    patterns: HashMap<u64, Vec<Pattern>>,
    /// Each window that a pattern's needed part begins with, or that begins less
    /// than a stride later.
    windows: HashSet<u64>,
    /// One bit for the hash of each of them; most text hits none.
    filter: Box<[u64]>,
    /// Symbols from one window of a text that is looked at to the next.
    stride: usize,
    /// Takes a window's hash to its place in `filter`.
    shift: u32,
    shorts: Vec<Short>,
    /// No shorter text holds a value in any spelling.
    shortest: usize,
    /// Differs from that of every other set.
    id: u64,
}

/// Sets that were built.
static SETS: AtomicU64 = AtomicU64::new(0);

/// A secret in a text.
struct Found {
    range: Range<usize>,
    /// The secret as it is, whole.
    is_plain: bool,
}

/// Returns true for a word that is written before a key in a header's value.
fn is_scheme(word: &str) -> bool {
    ["bearer", "basic", "token", "apikey"].iter().any(|known| known.eq_ignore_ascii_case(word))
}

impl Default for Redactor {
    fn default() -> Self {
        Self::build(Vec::new())
    }
}

impl Redactor {
    /// Builds the set. Values under 4 bytes are left out, and so are the words
    /// that are commonly written where no key is needed (`none`, `dummy`, …).
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let values = |secret: &'a Secret| {
            let whole = secret.expose();
            // Providers repeat a header's value without its scheme as well.
            let bare = whole.split_once(' ').filter(|(scheme, _)| is_scheme(scheme));
            std::iter::once(whole).chain(bare.map(|(_, bare)| bare.trim()))
        };
        Self::build(secrets.into_iter().flat_map(values).map(Into::into).collect())
    }

    /// Returns the union of two sets: what was secret stays secret.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self::build(self.values.iter().chain(&other.values).cloned().collect())
    }

    fn build(mut values: Vec<Box<str>>) -> Self {
        let is_placeholder =
            |value: &str| PLACEHOLDERS.iter().any(|word| word.eq_ignore_ascii_case(value));
        values.retain(|value| value.len() >= MIN_LEN && !is_placeholder(value));
        values.sort_unstable();
        values.dedup();
        let mut all = Spellings::default();
        for value in &values {
            all.add(value);
        }
        let needed = all.patterns.iter().map(|pattern| pattern.need.len()).min();
        let stride = needed.map_or(1, |needed| (needed + 1).saturating_sub(WINDOW));
        let stride = stride.clamp(1, WINDOW);
        let bits = (all.patterns.len() * stride * 16).next_power_of_two();
        let bits = bits.clamp(1 << 12, 1 << 20);
        let shift = u64::BITS - bits.trailing_zeros();
        let mut filter = vec![0; bits / 64].into_boxed_slice();
        let mut patterns: HashMap<u64, Vec<Pattern>> = HashMap::new();
        let mut windows = HashSet::new();
        for pattern in all.patterns {
            let needed = pattern.symbols.get(pattern.need.clone()).unwrap_or_default();
            for symbols in needed.windows(WINDOW).take(stride) {
                windows.insert(window(symbols));
                let (word, bit) = place(window(symbols), shift);
                if let Some(word) = filter.get_mut(word) {
                    *word |= bit;
                }
            }
            patterns.entry(window(needed)).or_default().push(pattern);
        }
        let shorts = all.shorts.iter().map(|short| short.lower.len());
        let shortest = shorts.chain(needed).min().unwrap_or(usize::MAX);
        let id = SETS.fetch_add(1, Ordering::Relaxed);
        Self { values, patterns, windows, filter, stride, shift, shorts: all.shorts, shortest, id }
    }

    /// A number that no other set has, for those who remember what they asked.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns true if any value is in `bytes`, in any of the known spellings.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        if bytes.len() < self.shortest {
            return false;
        }
        let mut is_found = false;
        self.search(bytes, |_| {
            is_found = true;
            false
        });
        is_found || self.finds_escaped(bytes)
    }

    fn finds_escaped(&self, bytes: &[u8]) -> bool {
        let mut is_found = false;
        let mut layer = decoded(bytes, None);
        for _ in 0..LAYERS_MAX {
            let Some(text) = layer else { break };
            self.search(&text.bytes, |_| {
                is_found = true;
                false
            });
            if is_found {
                return true;
            }
            layer = decoded(&text.bytes, Some(&text));
        }
        false
    }

    /// Returns `text` with every value replaced; borrowed if there is none.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.finds(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let ranges = self.ranges(text.as_bytes());
        let clean = without(text, ranges).filter(|clean| !self.finds(clean.as_bytes()));
        // Two spellings that overlap oddly: nothing of the text is kept.
        let line_feed = if text.ends_with('\n') { "\n" } else { "" };
        Cow::Owned(clean.unwrap_or_else(|| [MASK, line_feed].concat()))
    }

    /// Where the values are in `text`, sorted; what is left of a value's other
    /// spelling at its ends is part of it.
    fn ranges(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        self.search(text, |found| {
            ranges.push(if found.is_plain { found.range } else { widened(text, found.range) });
            true
        });
        let mut layer = decoded(text, None);
        for _ in 0..LAYERS_MAX {
            let Some(inner) = layer else { break };
            self.search(&inner.bytes, |found| {
                let range = inner.origin(found.range.start)..inner.origin(found.range.end);
                ranges.push(if found.is_plain { range } else { widened(text, range) });
                true
            });
            layer = decoded(&inner.bytes, Some(&inner));
        }
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }

    fn may_be(&self, window: u64) -> bool {
        let (word, bit) = place(window, self.shift);
        self.filter.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Returns false if no pattern is in `bytes`, and true if one may be.
    ///
    /// Nearly all text ends here, so this is what a search costs: the symbols
    /// are put side by side, and one window in a stride is looked up.
    fn suspects(&self, bytes: &[u8]) -> bool {
        let mut symbols = [0; WINDOW + PIECE];
        let mut filled = 0;
        for piece in bytes.chunks(PIECE) {
            for byte in piece {
                let symbol = symbol(*byte);
                if let Some(free) = symbols.get_mut(filled) {
                    *free = symbol;
                }
                // No branch: where words end cannot be foreseen.
                filled += usize::from(symbol != 0);
            }
            let mut at = 0;
            while let Some(next) = symbols.get(..filled).and_then(|all| all.get(at..at + WINDOW)) {
                if self.may_be(window(next)) && self.windows.contains(&window(next)) {
                    return true;
                }
                at += self.stride;
            }
            let at = at.min(filled);
            symbols.copy_within(at..filled, 0);
            filled -= at;
        }
        false
    }

    /// Calls `found` for each place of a value, until it returns false.
    fn search(&self, bytes: &[u8], mut found: impl FnMut(Found) -> bool) {
        let mut window = 0;
        let suspicious = if self.suspects(bytes) { bytes } else { &[] };
        for (at, byte) in suspicious.iter().enumerate() {
            let symbol = symbol(*byte);
            if symbol == 0 {
                continue;
            }
            window = window << 8 | u64::from(symbol);
            if !self.may_be(window) {
                continue;
            }
            let matches = self.patterns.get(&window).into_iter().flatten();
            for place in matches.filter_map(|pattern| pattern.at(bytes, at)) {
                if !found(place) {
                    return;
                }
            }
        }
        for short in &self.shorts {
            let mut from = 0;
            while let Some(range) = short.next(bytes, from) {
                from = range.end;
                if !found(Found { range, is_plain: short.is_plain }) {
                    return;
                }
            }
        }
    }
}

/// The first symbols in one number.
fn window(symbols: &[u8]) -> u64 {
    symbols.first_chunk().map_or(0, |symbols| u64::from_be_bytes(*symbols))
}

/// The word and the bit of a filter that belong to a window.
fn place(window: u64, shift: u32) -> (usize, u64) {
    let hash = window.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> shift;
    ((hash / 64) as usize, 1 << (hash % 64))
}

impl Pattern {
    /// The place of the spelling whose needed window ends at `at`, as far as
    /// the text goes on like it in both directions.
    fn at(&self, bytes: &[u8], at: usize) -> Option<Found> {
        let behind = self.need.start + WINDOW;
        let (after, end) = bytes.split_at_checked(at + 1).map(|(_, after)| {
            let wanted = self.symbols.get(behind..).unwrap_or_default();
            let (count, length) = common(after.iter().copied(), wanted.iter().copied());
            (count, at + 1 + length)
        })?;
        if behind + after < self.need.end {
            return None;
        }
        let before = bytes.get(..=at)?.iter().rev().copied();
        let wanted = self.symbols.get(..behind)?.iter().rev().copied();
        let (count, length) = common(before, wanted);
        let start = at + 1 - length;
        let is_whole = count == behind && behind + after == self.symbols.len();
        if let Some(plain) = self.plain.as_ref().filter(|_| is_whole) {
            let start = start.checked_sub(plain.lead);
            let range = start.map(|start| start..start + plain.value.len());
            let range = range.filter(|range| bytes.get(range.clone()) == Some(&*plain.value));
            if let Some(range) = range {
                return Some(Found { range, is_plain: true });
            }
        }
        Some(Found { range: start..end, is_plain: false })
    }
}

/// How many symbols of `text` are as `wanted`, and the number of bytes that
/// they take.
fn common(text: impl Iterator<Item = u8>, mut wanted: impl Iterator<Item = u8>) -> (usize, usize) {
    let (mut count, mut length) = (0, 0);
    let symbols = text.enumerate().map(|(at, byte)| (at, symbol(byte)));
    for (at, symbol) in symbols.filter(|(_, symbol)| *symbol != 0) {
        if wanted.next() != Some(symbol) {
            break;
        }
        (count, length) = (count + 1, at + 1);
    }
    (count, length)
}

impl Short {
    /// The next place from `from` on.
    fn next(&self, bytes: &[u8], from: usize) -> Option<Range<usize>> {
        let length = self.lower.len();
        let rest = bytes.get(from..)?;
        let is_letter = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_alphanumeric)
        };
        let starts = rest.windows(length.max(1)).enumerate();
        starts.filter(|(_, text)| text.eq_ignore_ascii_case(&self.lower)).find_map(|(at, _)| {
            let range = from + at..from + at + length;
            let is_inside = is_letter(range.start.checked_sub(1)) || is_letter(Some(range.end));
            (!self.is_word || !is_inside).then_some(range)
        })
    }
}

/// The range with what base64 or an escape goes on with at its ends.
fn widened(text: &[u8], range: Range<usize>) -> Range<usize> {
    let goes_on = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=_-%~".contains(byte);
    let before = text.get(..range.start).unwrap_or_default().iter().rev();
    let after = text.get(range.end..).unwrap_or_default().iter();
    range.start - before.take_while(goes_on).count()..range.end + after.take_while(goes_on).count()
}

/// `text` with a mask for each of `ranges`, which are sorted. `None` if one of
/// them begins or ends within a character.
fn without(text: &str, ranges: Vec<Range<usize>>) -> Option<String> {
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        if range.start >= done {
            clean.push_str(text.get(done..range.start)?);
            clean.push_str(MASK);
        }
        done = done.max(range.end);
    }
    clean.push_str(text.get(done..)?);
    Some(clean)
}

#[cfg(test)]
mod tests {
    use super::{MASK, Redactor, WINDOW};
    use crate::secret::Secret;
    use proptest::prelude::*;

    fn redactor(values: &[&str]) -> Redactor {
        let secrets: Vec<Secret> = values.iter().map(|v| Secret::new((*v).into())).collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn every_occurrence_goes_and_ordinary_text_stays() {
        let redactor = redactor(&["sk-upstream-1234", "key", "none", "EMPTY"]);
        assert_eq!(
            redactor.clean("bad key sk-upstream-1234, sk-upstream-1234!"),
            "bad key [redacted], [redacted]!"
        );
        for text in ["a key", "none is empty", "sk-upstre", "upstream 123 of sk", ""] {
            assert!(matches!(redactor.clean(text), std::borrow::Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn a_value_behind_json_escapes_is_found() {
        let redactor = redactor(&["wJalr/K7MDENG\"x"]);
        for (text, clean) in [
            (r#"{"error":"wJalr\/K7MDENG\"x"}"#, r#"{"error":"[redacted]"}"#),
            (r#"{"error":"\u0077Jalr/K7MDENG\u0022x"}"#, r#"{"error":"[redacted]"}"#),
            (
                r#"{"raw":"{\"error\":\"wJalr\\/K7MDENG\\\"x\"}"}"#,
                r#"{"raw":"{\"error\":\"[redacted]\"}"}"#,
            ),
        ] {
            assert!(redactor.finds(text.as_bytes()), "{text}");
            assert_eq!(redactor.clean(text), clean, "{text}");
        }
        for text in [r"C:\new\table", r#"{"error":"\u00e9\ud83d\ude00 \u12"}"#, "\\", "100%"] {
            assert!(!redactor.finds(text.as_bytes()), "{text}");
            assert_eq!(redactor.clean(text), text);
        }
    }

    /// Spells each byte of `key`.
    fn each(key: &str, spell: fn(u8) -> String) -> String {
        key.bytes().map(spell).collect()
    }

    /// Spellings of `key`, each with its name.
    fn spellings(key: &str) -> Vec<(&'static str, String)> {
        let hex = each(key, |byte| format!("{byte:02x}"));
        let spaced: Vec<String> = key.chars().map(String::from).collect();
        let (half, rest) = key.split_at(key.len() / 2);
        let mut all = vec![
            ("plain", key.to_owned()),
            ("upper case", key.to_uppercase()),
            ("lower case", key.to_lowercase()),
            ("reversed", key.chars().rev().collect()),
            ("spaced", spaced.join(" ")),
            ("a line break", format!("{half}\n{rest}")),
            ("a carriage return", format!("{half}\r\n\t{rest}")),
            ("a line break in JSON", format!("{half}\\n{rest}")),
            ("a zero-width space", format!("{half}\u{200b}{rest}")),
            ("hex", hex.clone()),
            ("upper hex", hex.to_uppercase()),
            ("percent", each(key, |byte| format!("%{byte:02X}"))),
            ("percent twice", each(key, |byte| format!("%25{byte:02x}"))),
            ("entities", each(key, |byte| format!("&#{byte};"))),
            ("hex entities", each(key, |byte| format!("&#x{byte:X};"))),
            ("entities of entities", each(key, |byte| format!("&amp;#{byte};"))),
            ("JSON", each(key, |byte| format!("\\u{byte:04x}"))),
            ("JSON in JSON", each(key, |byte| format!("\\\\u{byte:04x}"))),
            ("a byte escape", each(key, |byte| format!("\\x{byte:02x}"))),
        ];
        for before in ["", ":", "::", "Bearer ", "user:"] {
            for after in ["", "\n", "@host", ":"] {
                let text = format!("{before}{key}{after}");
                let standard = base64(text.as_bytes(), b'+', b'/');
                let bare = standard.trim_end_matches('=').to_owned();
                let (half, rest) = bare.split_at(bare.len() / 2);
                all.push(("base64 in two lines", format!("{half}\n{rest}")));
                all.push(("base64 in JSON", format!("{half}\\r\\n{rest}")));
                all.push(("unpadded base64", bare));
                all.push(("percent-encoded base64", standard.replace('=', "%3D")));
                all.push(("base64", standard));
                all.push(("URL-safe base64", base64(text.as_bytes(), b'-', b'_')));
            }
        }
        all
    }

    fn base64(bytes: &[u8], plus: u8, slash: u8) -> String {
        let mut alphabet: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
        alphabet.extend([plus, slash]);
        let mut text = String::new();
        for chunk in bytes.chunks(3) {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | usize::from(*byte))
                << (8 * (3 - chunk.len()));
            for at in 0..4 {
                let letter = alphabet[word >> (18 - 6 * at) & 63];
                text.push(if at > chunk.len() { '=' } else { char::from(letter) });
            }
        }
        text
    }

    #[test]
    fn a_secret_is_found_in_every_spelling_and_nothing_of_it_is_left() {
        for key in [
            "sk-upstream-5e884898da28047151d0e56f",
            "sk-ant-api03-Qx7+_Zt/aB3dEf6hIj9kLm2nOp5qRs8t",
            "plainlettersonly",
            "1234567890123456",
            "abc\"d<e>&f%g\\h'1",
        ] {
            let redactor = redactor(&[key]);
            for (name, spelled) in spellings(key) {
                for (before, after) in [("", ""), ("bad key: ", "."), ("{\"k\":\"", "\"}\n")] {
                    let text = format!("{before}{spelled}{after}");
                    assert!(redactor.finds(text.as_bytes()), "{name} of {key}: {text}");
                    let clean = redactor.clean(&text);
                    assert!(clean.contains(MASK), "{name}: {clean}");
                    assert!(clean.len() <= text.len().max(30), "{name}: {clean}");
                    let left = clean.replace(MASK, "").replace(before, "").replace(after, "");
                    assert!(left.len() < 6, "{name} of {key} leaves {left}");
                }
            }
        }
    }

    #[test]
    fn a_short_secret_is_found_as_a_word_and_in_other_spellings() {
        for key in ["secret1", "sk-1234", "pa$$", "a.b.c.d.e"] {
            let redactor = redactor(&[key]);
            let hex = each(key, |byte| format!("{byte:02x}"));
            let percent = each(key, |byte| format!("%{byte:02X}"));
            let reversed: String = key.chars().rev().collect();
            for spelled in [
                key.to_owned(),
                key.to_uppercase(),
                reversed,
                hex,
                percent,
                base64(key.as_bytes(), b'+', b'/'),
                base64(format!("Bearer {key}").as_bytes(), b'+', b'/'),
                base64(format!(":{key}").as_bytes(), b'-', b'_'),
            ] {
                let text = format!("bad key: {spelled}, sorry");
                assert_eq!(redactor.clean(&text), "bad key: [redacted], sorry", "{spelled}");
            }
        }
        let redactor = redactor(&["sk-1234"]);
        for text in ["sk-12345", "desk-1234", "sk 1234"] {
            assert_eq!(redactor.clean(text), text);
        }
    }

    #[test]
    fn twelve_characters_of_either_end_are_as_secret_as_the_whole() {
        let key = "sk-upstream-5e884898da28047151d0e56f";
        let redactor = redactor(&[key]);
        for length in 12..key.len() {
            let (first, last) = (key.split_at(length).0, key.split_at(key.len() - length).1);
            for part in [first, last] {
                let text = format!("({part})");
                assert_eq!(redactor.clean(&text), "([redacted])");
                let reversed: String = part.chars().rev().collect();
                assert!(redactor.finds(reversed.as_bytes()), "{reversed}");
                for before in ["", ":", "Bearer "] {
                    let base64 = base64(format!("{before}{part}").as_bytes(), b'+', b'/');
                    assert!(redactor.finds(base64.as_bytes()), "{before}{part}");
                }
            }
        }
        assert!(!redactor.finds(b"sk-upstre"));
    }

    #[test]
    fn the_beginning_that_all_keys_of_a_provider_share_is_no_secret() {
        let redactor = redactor(&["sk-ant-api03-Qx7ZtaB3dEf6hIj9kLm2nOp5qRs8t"]);
        assert!(!redactor.finds(b"Keys begin with sk-ant-api03- or sk-ant-admin01-."));
        assert!(redactor.finds(b"sk-ant-api03-Qx7Z..."));
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

    proptest! {
        #[test]
        fn no_text_breaks_a_search_and_nothing_is_found_in_what_was_cleaned(
            key in "[ -~]{4,40}",
            texts in proptest::collection::vec("\\PC{0,12}", 0..4),
            pick in any::<prop::sample::Index>(),
        ) {
            let redactor = redactor(&[&key]);
            let spelled = spellings(&key);
            let spelled = &spelled[pick.index(spelled.len())].1;
            let clean = redactor.clean(&texts.join(spelled)).into_owned();
            prop_assert!(!redactor.finds(clean.as_bytes()), "{clean}");
            // A key below the window is looked for as a word; inside of another word it may stay.
            let is_left = clean.contains(&key) && redactor.finds(key.as_bytes());
            prop_assert!(!is_left || key.len() < WINDOW, "{clean}");
        }
    }
}
