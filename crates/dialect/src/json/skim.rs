//! Walks JSON text without building it and without checking all of it.
//!
//! For bytes that only pass by: it finds members and where they stand, skips
//! the rest, and gives up (`None`) where the text is not JSON. Escaped keys
//! match nothing. Recursion-free, so no nesting hurts it.

use super::index::{Index, LONG};
use super::text;
use std::ops::Range;

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Skim<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The ends of its long values, and its place in the text that the index is
    /// of.
    index: Option<(&'a Index, usize)>,
}

impl<'a> Skim<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, index: None }
    }

    /// Text that begins at `start` of the text that `index` is of.
    pub(crate) fn indexed(bytes: &'a [u8], index: Option<&'a Index>, start: usize) -> Self {
        Self { bytes, at: 0, index: index.map(|index| (index, start)) }
    }

    /// The end of the value that is next, where it is known.
    #[inline]
    fn known_end(&self) -> Option<usize> {
        let (index, start) = self.index?;
        if self.bytes.get(self.at) == Some(&b'"') {
            let rest = self.bytes.get(self.at + 1..)?;
            let near = rest.get(..LONG).unwrap_or(rest);
            if text::end::<false>(near, 0).is_some() {
                return None;
            }
        }
        index.end(start + self.at)?.checked_sub(start)
    }

    /// Goes on from another place.
    pub(crate) fn jump(&mut self, at: usize) {
        self.at = at;
    }

    /// Bytes from the start.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space; moves up to it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Enters an object (`{`) or array (`[`): whether it has a first entry.
    pub(crate) fn enter(&mut self, open: u8) -> Option<bool> {
        self.eat(open)?;
        let close = if open == b'{' { b'}' } else { b']' };
        if self.peek()? == close {
            self.at += 1;
            return Some(false);
        }
        Some(true)
    }

    /// After an entry: whether another follows.
    pub(crate) fn more(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            byte if byte == close => Some(false),
            _ => None,
        }
    }

    /// A member's key, up to and with its colon.
    pub(crate) fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.string()?;
        self.eat(b':')?;
        Some(key)
    }

    /// What stands between a string's quotes, escapes as they are.
    pub(crate) fn string(&mut self) -> Option<&'a [u8]> {
        self.eat(b'"')?;
        let start = self.at;
        let end = text::end::<false>(self.bytes, start)?;
        self.at = end + 1;
        self.bytes.get(start..end)
    }

    /// The place of a member's key, without its quotes; moves past its colon.
    pub(crate) fn key_span(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let start = self.at + 1;
        let key = self.key()?;
        Some(start..start + key.len())
    }

    /// A string, or an empty one for any other value; moves past it.
    pub(crate) fn string_or_skip(&mut self) -> Option<&'a [u8]> {
        if self.peek()? == b'"' {
            return self.string();
        }
        self.skip()?;
        Some(&[])
    }

    /// Moves past a value.
    pub(crate) fn skip(&mut self) -> Option<()> {
        let first = self.peek()?;
        if matches!(first, b'"' | b'{' | b'[')
            && let Some(end) = self.known_end()
        {
            self.at = end;
            return Some(());
        }
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => {
                let mut depth = 0_usize;
                loop {
                    match *self.bytes.get(self.at)? {
                        b'"' => {
                            self.string()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            _ => {
                let rest = self.bytes.get(self.at..)?;
                let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t');
                let length = rest.iter().position(ends).unwrap_or(rest.len());
                if length == 0 {
                    return None;
                }
                self.at += length;
            }
        }
        Some(())
    }

    /// Where the next value stands; moves past it.
    pub(crate) fn value(&mut self) -> Option<Range<usize>> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        Some(start..self.at)
    }

    /// The next value's text; moves past it.
    pub(crate) fn raw(&mut self) -> Option<&'a [u8]> {
        let range = self.value()?;
        self.bytes.get(range)
    }
}

/// A string's text, from what stands between its quotes; `None` where that is
/// not text or longer than `max_bytes`.
pub(crate) fn unescape(raw: &[u8], max_bytes: usize) -> Option<String> {
    if raw.len() > max_bytes {
        return None;
    }
    if !raw.contains(&b'\\') {
        return std::str::from_utf8(raw).ok().map(str::to_owned);
    }
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_where_they_stand() {
        let text = br#" { "a\"b" : [1,{"x":"]"}] , "c":"d\\" , "e" : -1.5e3 } "#;
        let mut skim = Skim::new(text);
        let mut found = Vec::new();
        let mut more = skim.enter(b'{').unwrap();
        while more {
            let key = skim.key().unwrap();
            found.push((key, skim.raw().unwrap()));
            more = skim.more(b'}').unwrap();
        }
        let expected: [(&[u8], &[u8]); 3] =
            [(br#"a\"b"#, br#"[1,{"x":"]"}]"#), (b"c", br#""d\\""#), (b"e", b"-1.5e3")];
        assert_eq!(found, expected);
    }

    #[test]
    fn broken_text_ends_the_walk() {
        for text in ["", "{", "{\"a", "{\"a\\", "[1", "\"", "{\"a\":", "[[[", "]", ","] {
            assert_eq!(Skim::new(text.as_bytes()).value(), None, "{text}");
        }
    }

    #[test]
    fn strings_are_unescaped_up_to_a_length() {
        assert_eq!(unescape(br"a\u0062\n", 99).as_deref(), Some("ab\n"));
        assert_eq!(unescape(br"\ud800", 99), None);
        assert_eq!(unescape(b"\xff", 99), None);
        assert_eq!(unescape(b"abcd", 3), None);
    }
}
