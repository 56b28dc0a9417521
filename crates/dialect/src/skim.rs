//! Walks JSON text without building it and without checking all of it.
//!
//! For bytes that only pass by: it finds members and where they stand, skips
//! the rest, and gives up (`None`) where the text is not JSON. Escaped keys
//! match nothing. Recursion-free, so no nesting hurts it.

use memchr::{memchr2, memchr2_iter};
use std::ops::Range;

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Skim<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Skim<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
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
        loop {
            let rest = self.bytes.get(self.at..)?;
            let stop = memchr2(b'"', b'\\', rest)?;
            self.at += stop + 1;
            if rest.get(stop) == Some(&b'"') {
                return self.bytes.get(start..self.at - 1);
            }
            self.at += 1;
        }
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
        match self.peek()? {
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

/// What the brackets of JSON text tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brackets {
    /// It nests deeper than was allowed.
    pub(crate) too_deep: bool,
    /// Somewhere an object stands under the key `cache_control`.
    pub(crate) cache_control: bool,
    /// Somewhere a list stands under the key `content`.
    pub(crate) content_list: bool,
    /// Somewhere a list or an object stands under a key that no provider's
    /// message has and that an earlier answer may have brought.
    pub(crate) additions: bool,
    /// The same of keys that OpenAI's own answers have.
    pub(crate) annotations: bool,
}

impl Brackets {
    fn note(&mut self, bytes: &[u8], at: usize) {
        let before = bytes.get(..at).unwrap_or_default().trim_ascii_end();
        let Some(key) = before.strip_suffix(b":") else { return };
        let key = key.trim_ascii_end();
        // Within a string, a quote has a backslash before it.
        self.cache_control |= key.ends_with(b"\"cache_control\"");
        self.content_list |= bytes.get(at) == Some(&b'[') && key.ends_with(b"\"content\"");
        // All of these end in `s`, which few other keys in front of a bracket do.
        if key.ends_with(b"s\"") {
            const ADDITIONS: [&[u8]; 3] =
                [b"\"thinking_blocks\"", b"\"provider_specific_fields\"", b"\"reasoning_details\""];
            const ANNOTATIONS: [&[u8]; 3] = [b"\"annotations\"", b"\"citations\"", b"\"images\""];
            self.additions |= ADDITIONS.iter().any(|name| key.ends_with(name));
            self.annotations |= ANNOTATIONS.iter().any(|name| key.ends_with(name));
        }
    }
}

/// Looks at every bracket of JSON text once; twice where there are many.
pub(crate) fn brackets(bytes: &[u8], depth_max: usize) -> Brackets {
    let mut found = Brackets::default();
    let mut count = 0_usize;
    for at in memchr2_iter(b'{', b'[', bytes) {
        found.note(bytes, at);
        count += 1;
    }
    // Most texts have too few brackets, quoted ones included.
    found.too_deep = count > depth_max && deeper_than(bytes, depth_max);
    found
}

fn deeper_than(bytes: &[u8], max: usize) -> bool {
    let mut skim = Skim::new(bytes);
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(skim.at) {
        match byte {
            b'"' => {
                if skim.string().is_none() {
                    return false;
                }
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        skim.at += 1;
    }
    false
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
    fn brackets_tell_what_stands_before_them() {
        let text = |text: &str| {
            let found = brackets(text.as_bytes(), 9);
            (found.cache_control, found.content_list)
        };
        assert_eq!(text(r#"{"messages":[{"content":"x"}]}"#), (false, false));
        assert_eq!(text(r#"{"content" : [{"text":"x"}]}"#), (false, true));
        assert_eq!(text("{\"cache_control\":\n {\"type\":1}}"), (true, false));
        assert_eq!(text(r#"{"a":"{\"cache_control\":{\"content\":["}"#), (false, false));
        assert_eq!(text(r#"{"cache_control":null,"content":{}}"#), (false, false));
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let deeper_than = |bytes: &[u8], max| brackets(bytes, max).too_deep;
        let open = "[".repeat(300);
        let quoted = format!("[\"{open}\"]");
        assert!(!deeper_than(quoted.as_bytes(), 256));
        let hidden = format!("[\"{}\",{open}{}]", "]".repeat(500), "]".repeat(300));
        assert!(deeper_than(hidden.as_bytes(), 256));
        assert!(deeper_than("[".repeat(257).as_bytes(), 256));
        assert!(!deeper_than("[".repeat(256).as_bytes(), 256));
    }

    #[test]
    fn strings_are_unescaped_up_to_a_length() {
        assert_eq!(unescape(br"a\u0062\n", 99).as_deref(), Some("ab\n"));
        assert_eq!(unescape(br"\ud800", 99), None);
        assert_eq!(unescape(b"\xff", 99), None);
        assert_eq!(unescape(b"abcd", 3), None);
    }
}
