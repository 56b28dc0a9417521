//! Whether letters look as if a machine had drawn them, or a person had
//! written them to be replaced.
//!
//! Pure. Errs towards "a person": a finding that is none costs the trust in
//! those that are.

/// The fewest letters that are looked at.
const MIN: usize = 16;
/// The least entropy of the letters as they are spread, in bits a letter;
/// 32 random hexadecimal digits have 3.1 and more.
const BITS_MIN: f64 = 2.95;
/// So many of one letter, or so many in the order of the alphabet, in a row.
const ROW_MAX: usize = 6;

/// Words that stand in what is to be replaced, anywhere in it.
const FILLERS: [&str; 24] = [
    "xxxx",
    "your",
    "example",
    "placehold",
    "changeme",
    "change-me",
    "change_me",
    "replace",
    "insert",
    "dummy",
    "sample",
    "redacted",
    "secret-",
    "secret_",
    "goeshere",
    "goes-here",
    "goes_here",
    "sk-test",
    "fake",
    "todo",
    "password",
    "deadbeef",
    "foobar",
    "notareal",
];
/// Words that a person writes, as parts between `-`, `_` and `.`.
const WORDS: [&str; 26] = [
    "key", "api", "test", "local", "dev", "demo", "prod", "token", "secret", "my", "the", "none",
    "null", "empty", "default", "value", "here", "mock", "ollama", "lm", "studio", "litellm",
    "keymoat", "openai", "anything", "string",
];

/// Returns true if `body` looks drawn by a machine.
pub(super) fn is_random(body: &str) -> bool {
    body.len() >= MIN
        && body.is_ascii()
        && !is_filler(body)
        && bits_per_letter(body) >= BITS_MIN
        && longest_row(body) < ROW_MAX
        && is_mixed(body)
}

/// Returns true if the value of a variable that is called a key looks like one: more
/// is asked of it, since nothing but the name speaks for it.
pub(super) fn is_random_value(value: &str) -> bool {
    let parts = value.split(['-', '_', '.', ':', '/']);
    let words = |part: &str| WORDS.contains(&part.to_ascii_lowercase().as_str());
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+/=.~:|".contains(&byte);
    is_random(value)
        && value.bytes().all(fits)
        && !value.starts_with(['/', '.', '~'])
        && !value.contains("://")
        && !parts.into_iter().any(words)
}

fn is_filler(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    FILLERS.iter().any(|word| lower.contains(word))
}

/// Shannon's entropy over the letters of `text`.
fn bits_per_letter(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = text.len() as f64;
    let each = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    -each.map(|share| share * share.log2()).sum::<f64>()
}

/// The most neighbours that are alike, or that follow each other in the
/// alphabet.
fn longest_row(text: &str) -> usize {
    let bytes = text.as_bytes();
    let longest = |step: u8| {
        let (mut longest, mut row) = (1, 1);
        for pair in bytes.windows(2) {
            let [a, b] = pair else { continue };
            row = if a.checked_add(step) == Some(*b) { row + 1 } else { 1 };
            longest = longest.max(row);
        }
        longest
    };
    longest(0).max(longest(1))
}

/// Digits among letters, or upper and lower case as no words have them.
fn is_mixed(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    if digits >= 2 && letters >= 2 {
        return true;
    }
    let pairs = |fits: fn(u8, u8) -> bool| {
        let pairs = text.as_bytes().windows(2);
        pairs.filter(|pair| matches!(pair, [a, b] if fits(*a, *b))).count()
    };
    let turns = pairs(|a, b| a.is_ascii_lowercase() && b.is_ascii_uppercase())
        + pairs(|a, b| a.is_ascii_uppercase() && b.is_ascii_lowercase());
    // WordsWrittenLikeThis turn as often, and have no two capitals in a row.
    let capitals = pairs(|a, b| a.is_ascii_uppercase() && b.is_ascii_uppercase());
    turns * 4 >= text.len() && capitals >= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_to_be_replaced_is_no_key() {
        for text in [
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "your-api-key-goes-here-0123",
            "00000000000000000000000000000000",
            "abcdefghijklmnopqrstuvwxyz012345",
            "1234567890abcdef1234567890abcdef",
            "ThisIsMyVeryOwnAndVerySecretPhrase",
            "replace-this-by-a-real-one-4711",
            "EXAMPLE7Qm2Zk9XvT4bRn8L",
            "short7Qm2Z",
            "ключключключключ",
        ] {
            assert!(!is_random(text), "{text}");
        }
        for text in [
            "local-dev-key-2024-09",
            "/run/secrets/openai_2024_a7Qm2Zk9",
            "http://a7Qm2Zk9XvT4bRn8L",
            "sk_my-key-7Qm2Zk9XvT4bRn8L",
        ] {
            assert!(!is_random_value(text), "{text}");
        }
    }

    /// Drawn letters, the same at every run.
    fn drawn(alphabet: &[u8], length: usize, seed: u64) -> String {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            char::from(alphabet[(state >> 33) as usize % alphabet.len()])
        };
        (0..length).map(letter).collect()
    }

    #[test]
    fn of_letters_that_a_machine_drew_nearly_all_are_seen() {
        let hex = b"0123456789abcdef".as_slice();
        let alnum = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".as_slice();
        for (alphabet, length) in [(hex, 32), (alnum, 22), (alnum, 40), (alnum, 95)] {
            let seen = |seed: &u64| is_random_value(&drawn(alphabet, length, *seed));
            let count = (0..2000).filter(seen).count();
            assert!(count >= 1970, "{count} of 2000 with {length} letters");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,80}") {
            is_random(&text);
            is_random_value(&text);
        }
    }
}
