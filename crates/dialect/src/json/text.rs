//! Finds the ends of strings in JSON text.
//!
//! Strings are nearly all of a long request, and escapes are frequent in them
//! (each line of code has some). A branch for each escape is what a processor
//! cannot predict, so 64 bytes are judged at once, in a form that compilers
//! turn into vector instructions: either all are inside the string, with the
//! usual escapes in them, or they are looked at one by one.

/// Bytes that are judged at once.
const BLOCK: usize = 64;

/// Bytes of a string that are looked at one by one before blocks are tried:
/// keys and many values end in them.
const SHORT: usize = 32;

/// Returns true if a block is text alone: no quote, no backslash and no control
/// character. Most blocks of prose are, and this costs a quarter of
/// [`is_inside`].
#[expect(clippy::needless_bitwise_bool, reason = "branches keep compilers from vectors")]
fn is_plain(block: &[u8; BLOCK]) -> bool {
    let mut found = false;
    for byte in block {
        found |= (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20);
    }
    !found
}

/// Returns true if a string does not end in a block and there is nothing in it
/// to look at: no control character, no escape but those that are usual, and no
/// more than three backslashes in a row. `window` is the block with the four
/// bytes before it, which belong to the same string.
#[expect(clippy::needless_bitwise_bool, reason = "branches keep compilers from vectors")]
fn is_inside(window: &[u8; BLOCK + 4]) -> bool {
    let from = |n: usize| window.get(n..).and_then(<[u8]>::first_chunk::<BLOCK>);
    let (Some(bytes), Some(first), Some(second), Some(third), Some(fourth)) =
        (from(4), from(3), from(2), from(1), from(0))
    else {
        return false;
    };
    let mut found = false;
    // Each byte with the first to the fourth before it.
    let before = first.iter().zip(second).zip(third.iter().zip(fourth));
    for (byte, ((first, second), (third, fourth))) in bytes.iter().zip(before) {
        let [first, second, third, fourth] =
            [*first == b'\\', *second == b'\\', *third == b'\\', *fourth == b'\\'];
        let is_escaped = first & !(second & !third);
        let is_usual = (*byte == b'n')
            | (*byte == b'"')
            | (*byte == b'\\')
            | (*byte == b't')
            | (*byte == b'r');
        let ends = (*byte == b'"') & !is_escaped;
        let is_odd = (is_escaped & !is_usual) | (first & second & third & fourth);
        found |= (*byte < 0x20) | ends | is_odd;
    }
    !found
}

/// Returns the place of the quote that ends the string whose text begins at
/// `start`. If `STRICT`, control characters and escapes that JSON does not have
/// are no string.
pub(super) fn end<const STRICT: bool>(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut at, mut until) = (start, start + SHORT);
    loop {
        while at < until {
            // No further: what follows is for blocks.
            let near = bytes.get(..until).unwrap_or(bytes);
            let Some(special) = next_special(near, at) else {
                if near.len() < until {
                    return None;
                }
                at = until;
                break;
            };
            at = special;
            match *bytes.get(at)? {
                b'"' => return Some(at),
                b'\\' => at += escape::<STRICT>(bytes, at)?,
                _ if STRICT => return None,
                _ => at += 1,
            }
        }
        let first = at;
        while bytes.get(at..).and_then(<[u8]>::first_chunk).is_some_and(is_plain)
            || bytes.get(at - 4..).and_then(<[u8]>::first_chunk).is_some_and(is_inside)
        {
            at += BLOCK;
        }
        if at > first {
            // The last byte may begin an escape.
            let inside = bytes.get(start..at).unwrap_or_default();
            let backslashes = inside.iter().rev().take_while(|byte| **byte == b'\\').count();
            at -= backslashes % 2;
        }
        until = at + BLOCK;
    }
}

/// The length of the escape at `at`.
#[inline]
fn escape<const STRICT: bool>(bytes: &[u8], at: usize) -> Option<usize> {
    if !STRICT {
        return Some(2);
    }
    match *bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
        }
        _ => None,
    }
}

/// Returns the place of the first quote, backslash or control character from
/// `at` on.
#[inline]
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let rest = bytes.get(at..)?;
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word);
        let zeros = |word: u64| word.wrapping_sub(LOW) & !word;
        let found = zeros(word ^ (LOW * u64::from(b'"')))
            | zeros(word ^ (LOW * u64::from(b'\\')))
            | (word.wrapping_sub(LOW * 0x20) & !word);
        let found = found & (LOW << 7);
        if found != 0 {
            // The lowest bit is right; those above it need not be.
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    rest.iter().position(special).map(|place| at + place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Byte by byte.
    fn plain_end(bytes: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        loop {
            match *bytes.get(at)? {
                b'"' => return Some(at),
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
    }

    proptest! {
        #[test]
        fn a_strings_end_is_found_whatever_is_escaped(
            text in r#"([\\]{1,5}|["]|[a-z]{0,70}|(\\[n"\\tu]|[a-z]{1,9}){20}|é|\n){0,12}"#,
            start in 0_usize..5,
        ) {
            let bytes = text.as_bytes();
            prop_assert_eq!(end::<false>(bytes, start), plain_end(bytes, start));
        }

        #[test]
        fn a_strict_end_is_the_end_of_what_serde_json_reads(
            text in r#"([a-zé]{0,70}|\\[n"\\/t]|\\u[0-9a-f]{4}|(\\n[a-z]{5}){14}){0,9}"#,
            odd in r"|\\x|\t|\\u12|\\",
        ) {
            let json = format!("\"{text}{odd}\"");
            let is_string = serde_json::from_str::<String>(&json).is_ok();
            let halves = json.contains("\\ud");
            let found = end::<true>(json.as_bytes(), 1);
            prop_assert_eq!(found == Some(json.len() - 1), is_string || (halves && found.is_some()));
        }

        #[test]
        fn special_bytes_are_found_in_order(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let plain = bytes.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(next_special(&bytes, 0), plain);
        }
    }
}
