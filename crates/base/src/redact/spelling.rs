//! The spellings in which a secret is looked for.
//!
//! All are compared by their letters and digits alone, without regard to case:
//! so white space, line breaks, both alphabets of base64 and its padding need
//! no spelling of their own.

use std::ops::Range;

/// Symbols of a window, the shortest text that a search can find. A symbol takes
/// a byte of the number that a window is.
pub(super) const WINDOW: usize = 8;

/// So much of a secret's beginning or end is as secret as the whole.
const PART_MIN_CHARS: usize = 12;

/// Beginnings that everybody knows: a part must be longer.
const PUBLIC_PREFIXES: [&str; 12] = [
    "sk-ant-api03-",
    "sk-ant-admin01-",
    "sk-ant-oat01-",
    "sk-or-v1-",
    "sk-proj-",
    "sk-svcacct-",
    "sk-admin-",
    "github_pat_",
    "nvapi-",
    "pplx-",
    "tgp_v1_",
    "-----",
];

/// Beginnings by which a text is known to be a key, however plain it reads.
const KEY_PREFIXES: [&str; 9] = ["sk-", "sk_", "key-", "pk-", "gsk_", "xai-", "hf_", "r8_", "AIza"];

const FOLDED: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let symbol = match byte as u8 {
            digit @ b'0'..=b'9' => digit - b'0' + 1,
            upper @ b'A'..=b'Z' => upper - b'A' + 11,
            lower @ b'a'..=b'z' => lower - b'a' + 11,
            _ => 0,
        };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            table[byte] = symbol;
        }
        byte += 1;
    }
    table
};

/// The symbol of a byte: 0 for what is no ASCII letter or digit.
pub(super) fn symbol(byte: u8) -> u8 {
    FOLDED.get(usize::from(byte)).copied().unwrap_or(0)
}

fn folded(text: &[u8]) -> Box<[u8]> {
    text.iter().map(|byte| symbol(*byte)).filter(|symbol| *symbol != 0).collect()
}

/// A spelling that is searched by its symbols.
#[derive(Clone)]
pub(super) struct Pattern {
    /// The whole spelling.
    pub(super) symbols: Box<[u8]>,
    /// The part that must be there; begins with a window.
    pub(super) need: Range<usize>,
    /// The secret itself, if this is its plain spelling.
    pub(super) plain: Option<Plain>,
}

/// A secret as it is.
#[derive(Clone)]
pub(super) struct Plain {
    /// Its bytes.
    pub(super) value: Box<[u8]>,
    /// Bytes before its first symbol.
    pub(super) lead: usize,
}

/// A spelling with fewer symbols than a window; without regard to case.
#[derive(Clone)]
pub(super) struct Short {
    /// Its bytes, in lower case.
    pub(super) lower: Box<[u8]>,
    /// Found only as a word of its own.
    pub(super) is_word: bool,
    /// This is the secret itself.
    pub(super) is_plain: bool,
}

/// All spellings of a set of secrets.
#[derive(Default)]
pub(super) struct Spellings {
    pub(super) patterns: Vec<Pattern>,
    pub(super) shorts: Vec<Short>,
}

impl Spellings {
    /// Adds every spelling of `secret`.
    pub(super) fn add(&mut self, secret: &str) {
        let bytes = secret.as_bytes();
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let (head, tail) = parts(secret);
        self.spell(bytes, head, tail, Some(bytes));
        self.spell(&reversed, tail, head, None);
        self.spell(&hex(bytes), head * 2, tail * 2, None);
        if bytes.len() < WINDOW {
            // Too short to be found inside of a longer text's base64.
            for text in [secret.to_owned(), format!(":{secret}"), format!("Bearer {secret}")] {
                let whole = base64(text.as_bytes(), 0, true);
                self.spell(&whole, whole.len(), whole.len(), None);
            }
        }
        for before in 0..3 {
            let core = base64(bytes, before, false);
            // Two characters at each end depend on what is next to the part.
            let of = |part: usize| {
                if part >= bytes.len() { core.len() } else { (part * 4 / 3).saturating_sub(2) }
            };
            if bytes.len() >= WINDOW || folded(&core).len() >= WINDOW {
                self.spell(&core, of(head), of(tail), None);
            }
        }
    }

    /// Adds one spelling, of which the first `head` or the last `tail` bytes
    /// are enough.
    fn spell(&mut self, text: &[u8], head: usize, tail: usize, plain: Option<&[u8]>) {
        let symbols = folded(text);
        let length = symbols.len();
        if length < WINDOW {
            let is_word = text.len() < WINDOW;
            let (lower, is_plain) = (text.to_ascii_lowercase().into(), plain.is_some());
            self.shorts.push(Short { lower, is_word, is_plain });
            return;
        }
        let count = |part: Option<&[u8]>| part.map_or(length, |part| folded(part).len());
        let head = count(text.get(..head)).clamp(WINDOW, length);
        let tail = count(text.len().checked_sub(tail).and_then(|at| text.get(at..)));
        let tail = tail.clamp(WINDOW, length);
        let lead = text.iter().take_while(|byte| symbol(**byte) == 0).count();
        let plain = plain.map(|value| Plain { value: value.into(), lead });
        if head < length || tail < length {
            let (symbols, plain) = (symbols.clone(), plain.clone());
            self.patterns.push(Pattern { symbols, need: length - tail..length, plain });
        }
        self.patterns.push(Pattern { symbols, need: 0..head, plain });
    }
}

/// How long a secret's beginning and its end must be to count as the secret.
fn parts(secret: &str) -> (usize, usize) {
    let whole = secret.len();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte);
    if !secret.bytes().all(is_token) {
        return (whole, whole);
    }
    let is_key = KEY_PREFIXES.iter().any(|prefix| secret.starts_with(prefix));
    let public = PUBLIC_PREFIXES.iter().filter(|prefix| secret.starts_with(**prefix));
    let public = public.map(|prefix| prefix.len()).max().unwrap_or(0);
    let is_telling = |part: &str| {
        is_key
            || part.bytes().any(|byte| byte.is_ascii_digit())
            || part.bytes().any(|byte| byte.is_ascii_uppercase())
                && part.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    let head_min = PART_MIN_CHARS.max(public + WINDOW / 2);
    let head = (head_min..whole).find(|end| secret.get(..*end).is_some_and(is_telling));
    let tail =
        (PART_MIN_CHARS..whole).find(|length| secret.get(whole - length..).is_some_and(is_telling));
    (head.unwrap_or(whole), tail.unwrap_or(whole))
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// What base64 makes of `bytes` behind `before` others, without the characters
/// in which other bytes than these have a part (RFC 4648, section 4); with the
/// last one in any case if nothing follows.
fn base64(bytes: &[u8], before: usize, is_last: bool) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| {
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        usize::from(byte >> (7 - at % 8) & 1)
    };
    let skipped = (before * 8).next_multiple_of(6) - before * 8;
    let bits = bytes.len() * 8;
    let last = if is_last { bits.next_multiple_of(6) } else { bits };
    let groups = last.saturating_sub(skipped) / 6;
    let letter = |group: usize| {
        let value = (0..6).fold(0, |value, at| value << 1 | bit(skipped + group * 6 + at));
        ALPHABET.get(value).copied().unwrap_or(b'A')
    };
    (0..groups).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::{base64, hex, parts};

    #[test]
    fn base64_is_cut_to_what_the_bytes_alone_decide() {
        assert_eq!(base64(b"Bearer k", 0, true), b"QmVhcmVyIGs");
        assert_eq!(base64(b"secret", 0, false), b"c2VjcmV0");
        // Of ":secret" and "::secret".
        assert_eq!(base64(b"secret", 1, false), b"NlY3JldA"[..7].to_vec());
        assert_eq!(base64(b"secret", 2, false), b"zZWNyZXQ"[..7].to_vec());
        assert_eq!(hex(b"sk-\xff"), b"736b2dff");
    }

    #[test]
    fn a_part_counts_from_twelve_characters_and_never_for_what_everybody_knows() {
        assert_eq!(parts("sk-0123456789abcdef"), (12, 12));
        assert_eq!(parts("sk-ant-api03-0123456789abcdef"), (17, 12));
        assert_eq!(parts("sk-short-1"), (10, 10));
        assert_eq!(parts("prompt-caching-2024-07-31"), (16, 12));
        assert_eq!(parts("two words and a number 1"), (24, 24));
        assert_eq!(parts("https://host.example/1234"), (25, 25));
    }
}
