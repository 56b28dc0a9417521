//! Checks that text is JSON (RFC 8259), in one pass and without recursion.
//!
//! As strict as `serde_json` is for values that it only passes over: strings
//! without control characters and with known escapes, numbers in JSON's
//! spelling, nothing after the end. Escapes of half a surrogate pair are let
//! through; who reads the string judges them. UTF-8 is the caller's to check.

use super::text;
use std::ops::Range;

/// The deepest nesting, in brackets.
pub(crate) const DEPTH_MAX: usize = 256;

/// The reason to refuse text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no JSON, or not of the wanted kind.
    Syntax,
    /// Its brackets are nested too deep.
    TooDeep,
}

/// Learns what is in a text while it is checked. Keys and strings are given as
/// the text between their quotes, escapes as they are.
pub(crate) trait Watch {
    /// A member's key.
    fn member(&mut self, _key: &[u8]) {}

    /// An object (`{`) or list (`[`) opens at `start` as the value of `key`.
    fn opens(&mut self, _key: &[u8], _bracket: u8, _start: usize) {}

    /// The innermost object or list ends before `end`.
    fn closes(&mut self, _end: usize) {}

    /// A string that is the value of `key` and whose first quote is at `start`.
    fn string(&mut self, _key: &[u8], _start: usize, _inner: &[u8]) {}
}

/// Nothing is to be learned.
impl Watch for () {}

/// The brackets that are open: a bit each, set for objects.
#[derive(Debug, Default)]
struct Brackets {
    kinds: [u64; DEPTH_MAX / 64],
    depth: usize,
}

impl Brackets {
    fn push(&mut self, is_object: bool) -> Result<(), Fault> {
        let word = self.kinds.get_mut(self.depth / 64).ok_or(Fault::TooDeep)?;
        let bit = 1 << (self.depth % 64);
        *word = if is_object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(())
    }

    /// Closes the innermost bracket; returns true if the one around it is an
    /// object's.
    fn pop(&mut self) -> bool {
        self.depth = self.depth.saturating_sub(1);
        let Some(around) = self.depth.checked_sub(1) else { return false };
        self.kinds.get(around / 64).is_some_and(|word| word >> (around % 64) & 1 == 1)
    }
}

/// A place in text that is checked up to there.
#[derive(Debug)]
pub(crate) struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Checker<'a> {
    /// At the beginning.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values: 0 }
    }

    /// Values so far, those inside others too.
    pub(crate) fn values(&self) -> usize {
        self.values
    }

    /// The next byte that is not white space; moves up to it.
    #[inline]
    fn peek(&mut self) -> Result<u8, Fault> {
        loop {
            let byte = *self.bytes.get(self.at).ok_or(Fault::Syntax)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn eat(&mut self, wanted: u8) -> Result<(), Fault> {
        if self.peek()? != wanted {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        Ok(())
    }

    /// Enters an object; returns true if it has a member.
    pub(crate) fn enter_object(&mut self) -> Result<bool, Fault> {
        self.eat(b'{')?;
        let is_empty = self.peek()? == b'}';
        self.at += usize::from(is_empty);
        Ok(!is_empty)
    }

    /// Goes on after a member; returns true if another follows.
    pub(crate) fn more_members(&mut self) -> Result<bool, Fault> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            b'}' => Ok(false),
            _ => Err(Fault::Syntax),
        }
    }

    /// A member's key with its quotes; moves past the colon.
    pub(crate) fn key(&mut self) -> Result<Range<usize>, Fault> {
        self.eat(b'"')?;
        let start = self.at - 1;
        self.string()?;
        let key = start..self.at;
        self.eat(b':')?;
        Ok(key)
    }

    /// A whole text that is one value.
    pub(crate) fn only_value(mut self, watch: &mut impl Watch) -> Result<(), Fault> {
        self.value(b"", 0, watch)?;
        self.end()
    }

    /// Nothing but white space follows.
    pub(crate) fn end(mut self) -> Result<(), Fault> {
        if self.peek().is_ok() { Err(Fault::Syntax) } else { Ok(()) }
    }

    /// The next value, which is that of `key` and in `depth` brackets; moves past
    /// it.
    pub(crate) fn value(
        &mut self,
        key: &'a [u8],
        depth: usize,
        watch: &mut impl Watch,
    ) -> Result<Range<usize>, Fault> {
        self.peek()?;
        let start = self.at;
        let mut brackets = Brackets { depth, ..Brackets::default() };
        let mut in_object = false;
        let mut key = key;
        loop {
            self.values += 1;
            match self.peek()? {
                b'"' => {
                    let start = self.at;
                    self.at += 1;
                    self.string()?;
                    let inner = self.bytes.get(start + 1..self.at - 1).unwrap_or_default();
                    watch.string(key, start, inner);
                }
                open @ (b'{' | b'[') => {
                    watch.opens(key, open, self.at);
                    self.at += 1;
                    brackets.push(open == b'{')?;
                    key = b"";
                    let is_object = open == b'{';
                    if self.peek()? == if is_object { b'}' } else { b']' } {
                        self.at += 1;
                        watch.closes(self.at);
                        in_object = brackets.pop();
                    } else {
                        in_object = is_object;
                        if is_object {
                            key = self.inner_key()?;
                            watch.member(key);
                        }
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return Err(Fault::Syntax),
            }
            // After a value: what follows it, up to the next value.
            loop {
                if brackets.depth == depth {
                    return Ok(start..self.at);
                }
                let byte = self.peek()?;
                self.at += 1;
                match byte {
                    b',' => {
                        key = b"";
                        if in_object {
                            key = self.inner_key()?;
                            watch.member(key);
                        }
                        break;
                    }
                    b'}' | b']' if in_object == (byte == b'}') => {
                        watch.closes(self.at);
                        in_object = brackets.pop();
                    }
                    _ => return Err(Fault::Syntax),
                }
            }
        }
    }

    /// A member's key without its quotes; moves past the colon.
    #[inline]
    fn inner_key(&mut self) -> Result<&'a [u8], Fault> {
        let quoted = self.key()?;
        Ok(self.bytes.get(quoted.start + 1..quoted.end - 1).unwrap_or_default())
    }

    /// The rest of a string after its opening quote; moves past the closing one.
    #[inline]
    fn string(&mut self) -> Result<(), Fault> {
        self.at = text::end::<true>(self.bytes, self.at).ok_or(Fault::Syntax)? + 1;
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(Fault::Syntax) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let byte = |checker: &Self| checker.bytes.get(checker.at).copied();
        if byte(self) == Some(b'-') {
            self.at += 1;
        }
        if byte(self) == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if byte(self) == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(byte(self), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(byte(self), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Fault::Syntax);
        }
        self.at += word.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn is_json(text: &str) -> bool {
        Checker::new(text.as_bytes()).only_value(&mut ()).is_ok()
    }

    /// The same text with one byte changed, at any place: most faults that
    /// there are.
    const WHOLE: &str = r#" {"a\u00e9\n":[1,-0.5e+3,true,null,"\"\\\/\b\f\r\té",[],{}] , "b":{"c":false,"d":"0123456789012345678901234567890123456789012345678901234567890123456789\\"} } "#;

    #[test]
    fn it_is_as_strict_as_serde_json() {
        assert!(is_json(WHOLE));
        for (at, _) in WHOLE.char_indices() {
            for byte in [
                "\"", "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "x", "u", "\n",
                "\u{1}", "\u{1f}", " ", "é", "t", "",
            ] {
                let mut text = WHOLE.to_owned();
                let next = text.get(at..).unwrap().chars().next().unwrap().len_utf8();
                text.replace_range(at..at + next, byte);
                let expected = serde_json::from_str::<&RawValue>(&text).is_ok();
                assert_eq!(is_json(&text), expected, "{text}");
            }
        }
        for text in [
            "",
            " ",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "--1",
            "0x1",
            "tru",
            "nulll",
            "\"",
            "\"\\\"",
            "\"\\u12\"",
            "\"\\u123g\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\u{7f}\"",
            "[",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "[}",
            "{]",
            "[1}",
            "1 2",
            "[]]",
            "NaN",
            "'a'",
            "\u{feff}1",
            "\u{a0}1",
            "1\u{c}",
            "-0",
            "0e1",
        ] {
            let expected = serde_json::from_str::<&RawValue>(text).is_ok();
            assert_eq!(is_json(text), expected, "{text}");
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let check = |text: &str| Checker::new(text.as_bytes()).only_value(&mut ());
        assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(Fault::TooDeep));
        let mixed = "[{\"a\":".repeat(100) + "1" + &"}]".repeat(100);
        assert_eq!(check(&mixed), Ok(()));
        assert_eq!(check(&mixed.replace("1}]", "1]}")), Err(Fault::Syntax));
    }

    proptest! {
        #[test]
        fn what_is_json_for_serde_json_is_json_here(
            text in r#"([\[\]{},: ]|"([a-z\n]|\\["\\/bfnrtux]|\\u[0-9a-g]{3,4}){0,20}"|-?[0-9.]{1,3}(e[+-]?[0-9])?|true|null){0,8}"#
        ) {
            let expected = serde_json::from_str::<&RawValue>(&text).is_ok();
            prop_assert_eq!(is_json(&text), expected, "{}", text);
        }

        #[test]
        fn a_string_is_checked_at_any_length(
            before in "[a-zé]{0,140}", what in r#"\\n|\\\\|\\"|\\u00e9|\\q|\t|é|"#, after in "[a-z]{0,70}",
        ) {
            let text = format!("[\"{before}{what}{after}\"]");
            let expected = serde_json::from_str::<&RawValue>(&text).is_ok();
            prop_assert_eq!(is_json(&text), expected, "{}", text);
        }
    }
}
