//! What stands in a literal, and names in their normal spelling.

use crate::expr::PLAIN;
use std::borrow::Cow;
use std::rc::Rc;

/// The longest text that is followed, in bytes.
pub(crate) const TEXT_MAX: usize = 8 << 20;

/// Text of the file itself, or made from it.
#[derive(Clone, Debug)]
pub(crate) enum Txt<'s> {
    Of(&'s str),
    Made(Rc<str>),
}

impl std::ops::Deref for Txt<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Self::Of(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl From<String> for Txt<'_> {
    fn from(text: String) -> Self {
        Self::Made(text.into())
    }
}

/// What literals beside each other hold.
pub(crate) enum Literal<'s> {
    Text(Txt<'s>),
    Bytes(Vec<u8>),
}

/// What the literals at `spans` of `text` hold together.
pub(crate) fn literal<'s>(text: &'s str, spans: &[(u32, u32)]) -> Literal<'s> {
    let mut made = Vec::new();
    let mut is_bytes = false;
    for (start, end) in spans {
        let plain = end & PLAIN != 0;
        let token = text.get(*start as usize..(end & !PLAIN) as usize).unwrap_or_default();
        let (prefix, inner) = if plain { ("", token) } else { unquoted(token) };
        let has = |letter: char| prefix.contains([letter, letter.to_ascii_uppercase()]);
        let raw = has('r') || !inner.contains('\\');
        is_bytes |= has('b');
        if raw && !is_bytes && spans.len() == 1 {
            return Literal::Text(Txt::Of(inner));
        }
        if raw {
            made.extend_from_slice(inner.as_bytes());
        } else {
            unescape(inner, is_bytes, &mut made);
        }
    }
    if is_bytes {
        return Literal::Bytes(made);
    }
    Literal::Text(String::from_utf8_lossy(&made).into_owned().into())
}

fn unquoted(token: &str) -> (&str, &str) {
    let quote = token.find(['"', '\'']).unwrap_or(0);
    let length = crate::lex::quotes(token.as_bytes(), quote);
    let (prefix, rest) = token.split_at_checked(quote).unwrap_or_default();
    let (quotes, rest) = rest.split_at_checked(length).unwrap_or_default();
    (prefix, rest.strip_suffix(quotes).unwrap_or(rest))
}

fn unescape(text: &str, is_bytes: bool, out: &mut Vec<u8>) {
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            push(letter as u32, false, out);
            continue;
        }
        let Some(kind) = rest.next() else { break };
        let digits = match kind {
            'x' => 2,
            'u' if !is_bytes => 4,
            'U' if !is_bytes => 8,
            _ => 0,
        };
        if digits > 0 {
            let code: String = rest.as_str().chars().take(digits).collect();
            if let Ok(code) = u32::from_str_radix(&code, 16) {
                push(code, is_bytes, out);
                rest.nth(digits - 1);
            }
            continue;
        }
        let simple = match kind {
            'n' => 10,
            't' => 9,
            'r' => 13,
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'v' => 11,
            '\n' => continue,
            '\r' => {
                if rest.as_str().starts_with('\n') {
                    rest.next();
                }
                continue;
            }
            '0'..='7' => {
                let mut code = kind.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = rest.as_str().chars().next().and_then(|l| l.to_digit(8))
                    else {
                        break;
                    };
                    code = code * 8 + digit;
                    rest.next();
                }
                code
            }
            '\\' | '\'' | '"' => kind as u32,
            other => {
                out.push(b'\\');
                other as u32
            }
        };
        push(simple, is_bytes, out);
    }
}

fn push(code: u32, as_byte: bool, out: &mut Vec<u8>) {
    if as_byte {
        out.push(code as u8);
    } else {
        let letter = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// A name as Python compares it (NFKC), as far as letters are concerned that
/// only look different from ASCII's.
pub(crate) fn name(spelled: &str) -> Cow<'_, str> {
    if spelled.is_ascii() {
        return Cow::Borrowed(spelled);
    }
    Cow::Owned(spelled.chars().map(plain).collect())
}

fn plain(letter: char) -> char {
    const LETTERLIKE: [(char, char); 28] = [
        ('ª', 'a'),
        ('º', 'o'),
        ('ſ', 's'),
        ('ℂ', 'C'),
        ('ℊ', 'g'),
        ('ℋ', 'H'),
        ('ℌ', 'H'),
        ('ℍ', 'H'),
        ('ℎ', 'h'),
        ('ℐ', 'I'),
        ('ℑ', 'I'),
        ('ℒ', 'L'),
        ('ℓ', 'l'),
        ('ℕ', 'N'),
        ('ℙ', 'P'),
        ('ℚ', 'Q'),
        ('ℛ', 'R'),
        ('ℜ', 'R'),
        ('ℝ', 'R'),
        ('ℤ', 'Z'),
        ('ℨ', 'Z'),
        ('ℬ', 'B'),
        ('ℭ', 'C'),
        ('ℯ', 'e'),
        ('ℰ', 'E'),
        ('ℱ', 'F'),
        ('ℳ', 'M'),
        ('ℴ', 'o'),
    ];
    const SMALL: [(char, char); 44] = [
        ('ᵃ', 'a'),
        ('ᵇ', 'b'),
        ('ᶜ', 'c'),
        ('ᵈ', 'd'),
        ('ᵉ', 'e'),
        ('ᶠ', 'f'),
        ('ᵍ', 'g'),
        ('ʰ', 'h'),
        ('ⁱ', 'i'),
        ('ʲ', 'j'),
        ('ᵏ', 'k'),
        ('ˡ', 'l'),
        ('ᵐ', 'm'),
        ('ⁿ', 'n'),
        ('ᵒ', 'o'),
        ('ᵖ', 'p'),
        ('ʳ', 'r'),
        ('ˢ', 's'),
        ('ᵗ', 't'),
        ('ᵘ', 'u'),
        ('ᵛ', 'v'),
        ('ʷ', 'w'),
        ('ˣ', 'x'),
        ('ʸ', 'y'),
        ('ᶻ', 'z'),
        ('ₐ', 'a'),
        ('ₑ', 'e'),
        ('ₕ', 'h'),
        ('ᵢ', 'i'),
        ('ⱼ', 'j'),
        ('ₖ', 'k'),
        ('ₗ', 'l'),
        ('ₘ', 'm'),
        ('ₙ', 'n'),
        ('ₒ', 'o'),
        ('ₚ', 'p'),
        ('ᵣ', 'r'),
        ('ₛ', 's'),
        ('ₜ', 't'),
        ('ᵤ', 'u'),
        ('ᵥ', 'v'),
        ('ₓ', 'x'),
        ('ⅰ', 'i'),
        ('ⅴ', 'v'),
    ];
    let code = letter as u32;
    let from = |start: u8, offset: u32| char::from(start + offset as u8);
    match code {
        0..=0x7f => letter,
        // Mathematical alphabets: 26 capitals and 26 small letters, 13 times.
        0x1_d400..=0x1_d6a3 => match (code - 0x1_d400) % 52 {
            n @ 0..=25 => from(b'A', n),
            n => from(b'a', n - 26),
        },
        0x1_d7ce..=0x1_d7ff => from(b'0', (code - 0x1_d7ce) % 10),
        0xff01..=0xff5e => from(0x21, code - 0xff01),
        0xfe33 | 0xfe34 | 0xfe4d..=0xfe4f => '_',
        _ => {
            let known = LETTERLIKE.iter().chain(&SMALL).find(|(look, _)| *look == letter);
            known.map_or(letter, |(_, plain)| *plain)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> String {
        match literal(text, &[(0, text.len() as u32)]) {
            Literal::Text(text) => text.to_string(),
            Literal::Bytes(bytes) => format!("b:{}", bytes.escape_ascii()),
        }
    }

    #[test]
    fn literals_hold_what_python_says() {
        for (text, held_) in [
            ("'a'", "a"),
            ("'''a'b'''", "a'b"),
            (r"'\x65\x76\u0061\154'", "eval"),
            (r"r'\x65'", r"\x65"),
            (r"b'\xff\0'", r"b:\xff\x00"),
            (r"Rb'\xff'", r"b:\\xff"),
            ("'a\\\nb'", "ab"),
            (r"'\q'", r"\q"),
            ("'open", "open"),
        ] {
            assert_eq!(held(text), held_, "{text}");
        }
    }

    #[test]
    fn letters_that_only_look_different_are_the_same() {
        assert_eq!(name("𝘦𝘹𝘦𝘤"), "exec");
        assert_eq!(name("ｅｖａｌ"), "eval");
        assert_eq!(name("ℯₓₑᶜ"), "exec");
        assert_eq!(name("größe"), "größe");
    }
}
