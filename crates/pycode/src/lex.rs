//! Text of a Python file → tokens.
//!
//! Every token of every Python 3 is split as Python splits it; a file that
//! Python would refuse still gives some tokens and never an error. Comments
//! are gone, and so are line ends inside brackets.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Number,
    /// A string literal with its prefix and quotes.
    Text,
    Op,
    Newline,
    Indent,
    Dedent,
    End,
}

/// A token: bytes `start..end` of the text, beginning on `line` (from 1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) line: u32,
}

/// Strings in fields of strings that are followed.
const NESTED_MAX: u32 = 20;

struct Lexer<'s> {
    text: &'s [u8],
    at: usize,
    line: u32,
    brackets: u32,
    indents: Vec<u32>,
    tokens: Vec<Token>,
}

/// The tokens of `text`, the last of which is [`Kind::End`].
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text: text.as_bytes(),
        at: 0,
        line: 1,
        brackets: 0,
        indents: vec![0],
        tokens: Vec::with_capacity(text.len() / 5 + 8),
    };
    lexer.indentation();
    while lexer.step() {}
    lexer.finish();
    lexer.tokens
}

/// The tokens of the expression `text[start..end]`, as in a field of a string.
pub(crate) fn expression(text: &str, start: usize, end: usize, line: u32) -> Vec<Token> {
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    let mut lexer = Lexer {
        text: bytes,
        at: start,
        line,
        brackets: 1,
        indents: Vec::new(),
        tokens: Vec::new(),
    };
    while lexer.step() {}
    lexer.push(Kind::End, end);
    lexer.tokens
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let token = Token { kind, start: start as u32, end: self.at as u32, line: self.line };
        self.tokens.push(token);
    }

    /// Reads one token; false at the end.
    fn step(&mut self) -> bool {
        let Some(byte) = self.text.get(self.at).copied() else { return false };
        let start = self.at;
        match byte {
            b' ' | b'\t' | b'\x0c' => self.at += 1,
            b'#' => self.comment(),
            b'\r' | b'\n' => self.end_of_line(),
            b'\\' if matches!(self.peek(1), b'\r' | b'\n') => {
                self.at += 1;
                self.line_end();
            }
            b'"' | b'\'' => self.string(start),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => {
                if let Some(quote) = self.prefix() {
                    self.at = quote;
                    self.string(start);
                } else {
                    let name = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80;
                    let rest = self.text.get(self.at..).unwrap_or_default();
                    self.at += rest.iter().take_while(|b| name(b)).count();
                    self.push(Kind::Name, start);
                }
            }
            _ => self.operator(byte),
        }
        true
    }

    fn comment(&mut self) {
        while !matches!(self.peek(0), b'\n' | b'\r') && self.at < self.text.len() {
            self.at += 1;
        }
    }

    fn line_end(&mut self) {
        self.at += if self.peek(0) == b'\r' && self.peek(1) == b'\n' { 2 } else { 1 };
        self.line += 1;
    }

    fn end_of_line(&mut self) {
        if self.brackets == 0 {
            self.push(Kind::Newline, self.at);
            self.line_end();
            self.indentation();
        } else {
            self.line_end();
        }
    }

    /// Measures the next line that holds something.
    fn indentation(&mut self) {
        let mut column = 0;
        loop {
            match self.peek(0) {
                b' ' => column += 1,
                b'\t' => column = (column / 8 + 1) * 8,
                b'\x0c' => column = 0,
                b'#' => {
                    self.comment();
                    continue;
                }
                b'\r' | b'\n' => {
                    self.line_end();
                    column = 0;
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        if self.at >= self.text.len() {
            return;
        }
        if column > self.indents.last().copied().unwrap_or(0) {
            self.indents.push(column);
            self.push(Kind::Indent, self.at);
        }
        while column < self.indents.last().copied().unwrap_or(0) {
            self.indents.pop();
            self.push(Kind::Dedent, self.at);
        }
    }

    fn finish(&mut self) {
        self.push(Kind::Newline, self.at);
        while self.indents.pop().is_some_and(|column| column > 0) {
            self.push(Kind::Dedent, self.at);
        }
        self.push(Kind::End, self.at);
    }

    /// Where the quote is, if a string begins here with a prefix.
    fn prefix(&self) -> Option<usize> {
        (1..=2).find_map(|length| {
            let before = self.text.get(self.at..self.at + length)?;
            let letter = |b: &u8| b"rbuftRBUFT".contains(b);
            let quote = matches!(self.peek(length), b'"' | b'\'');
            (quote && before.iter().all(letter)).then_some(self.at + length)
        })
    }

    /// A literal whose prefix began at `start` and whose quote is here.
    fn string(&mut self, start: usize) {
        let prefix = self.text.get(start..self.at).unwrap_or_default();
        let has = |wanted: u8| prefix.iter().any(|b| b.to_ascii_lowercase() == wanted);
        let fields = has(b'f') || has(b't');
        let (end, lines) = literal_end(self.text, self.at, fields, 0);
        self.at = end;
        self.push(Kind::Text, start);
        self.line += lines;
    }

    /// As many letters as belong to a number, and no more: `0or x` is three tokens.
    fn number(&mut self) {
        let start = self.at;
        let radix = self.text.get(self.at + 1).map(u8::to_ascii_lowercase);
        if self.peek(0) == b'0' && matches!(radix, Some(b'x' | b'o' | b'b')) {
            self.at += 2;
            let hex = radix == Some(b'x');
            self.skip(|b| {
                b == b'_' || if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() }
            });
        } else {
            let digits = |b: u8| b == b'_' || b.is_ascii_digit();
            self.skip(digits);
            if self.peek(0) == b'.' {
                self.at += 1;
                self.skip(digits);
            }
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.skip(digits);
            }
            if matches!(self.peek(0), b'j' | b'J') {
                self.at += 1;
            }
        }
        self.push(Kind::Number, start);
    }

    fn skip(&mut self, belongs: impl Fn(u8) -> bool) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|b| belongs(**b)).count();
    }

    fn operator(&mut self, byte: u8) {
        let start = self.at;
        match byte {
            b'(' | b'[' | b'{' => self.brackets += 1,
            b')' | b']' | b'}' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        let three = self.text.get(start..start + 3).unwrap_or_default();
        let two = self.text.get(start..start + 2).unwrap_or_default();
        let length = match (three, two) {
            (b"**=" | b"//=" | b">>=" | b"<<=" | b"...", _) => 3,
            (
                _,
                b"**" | b"//" | b">>" | b"<<" | b"<=" | b">=" | b"==" | b"!=" | b"->" | b"+="
                | b"-=" | b"*=" | b"/=" | b"%=" | b"&=" | b"|=" | b"^=" | b"@=" | b":=" | b"<>",
            ) => 2,
            _ => 1,
        };
        self.at += length;
        self.push(Kind::Op, start);
    }
}

/// How long the quotes are that stand at `at`: 3 or 1.
pub(crate) fn quotes(text: &[u8], at: usize) -> usize {
    match text.get(at..at + 3) {
        Some([a, b, c]) if a == b && b == c => 3,
        _ => 1,
    }
}

/// Behind the literal whose quote is at `at`, and the line ends in it.
/// A literal on one line ends where the line does, closed or not.
fn literal_end(text: &[u8], at: usize, fields: bool, depth: u32) -> (usize, u32) {
    let length = quotes(text, at);
    let quote = text.get(at).copied().unwrap_or(0);
    let mut now = at + length;
    let mut lines = 0;
    while let Some(byte) = text.get(now).copied() {
        match byte {
            // A field may begin behind a backslash.
            b'\\' if fields && text.get(now + 1) == Some(&b'{') => {}
            b'\\' => {
                lines += u32::from(is_line_end(text, now + 1));
                // `\` before CR LF takes both.
                now += usize::from(text.get(now + 1..now + 3) == Some(b"\r\n"));
                now += 2;
                continue;
            }
            b'\n' | b'\r' => {
                if length == 1 {
                    return (now, lines);
                }
                lines += u32::from(is_line_end(text, now));
            }
            b'{' if fields && text.get(now + 1) == Some(&b'{') => now += 1,
            b'{' if fields && depth < NESTED_MAX => {
                let (end, more) = field_end(text, now, quote, length, depth);
                now = end;
                lines += more;
                continue;
            }
            _ if byte == quote => {
                let closing = text.get(now..now + length).unwrap_or_default();
                if closing.len() == length && closing.iter().all(|b| *b == quote) {
                    return (now + length, lines);
                }
            }
            _ => {}
        }
        now += 1;
    }
    (text.len(), lines)
}

/// A line end is counted at its last byte.
fn is_line_end(text: &[u8], at: usize) -> bool {
    match text.get(at) {
        Some(b'\n') => true,
        Some(b'\r') => text.get(at + 1) != Some(&b'\n'),
        _ => false,
    }
}

/// Behind the `}` of the field that begins at `at`. In its format, after `:`,
/// the quotes of the literal end the literal; before it they begin another.
fn field_end(text: &[u8], at: usize, quote: u8, length: usize, depth: u32) -> (usize, u32) {
    let mut now = at + 1;
    let mut lines = 0;
    let mut brackets = 0_u32;
    let mut in_format = false;
    while let Some(byte) = text.get(now).copied() {
        match byte {
            b'(' | b'[' if !in_format => brackets += 1,
            b')' | b']' if !in_format => brackets = brackets.saturating_sub(1),
            b'{' if in_format && depth < NESTED_MAX => {
                let (end, more) = field_end(text, now, quote, length, depth + 1);
                now = end;
                lines += more;
                continue;
            }
            b'{' => brackets += 1,
            b'}' if brackets == 0 => return (now + 1, lines),
            b'}' => brackets -= 1,
            b':' if brackets == 0 => in_format = true,
            b'#' if !in_format && length == 3 => {
                while !matches!(text.get(now), None | Some(b'\n' | b'\r')) {
                    now += 1;
                }
                continue;
            }
            b'"' | b'\'' if in_format => {
                let closing = text.get(now..now + length).unwrap_or_default();
                if byte == quote && closing.iter().all(|b| *b == quote) {
                    return (now, lines);
                }
            }
            b'"' | b'\'' => {
                // Before 3.12 the outer quotes could not stand here at all.
                let before = text.get(now.saturating_sub(2)..now).unwrap_or_default();
                let fields = before.iter().any(|b| matches!(b, b'f' | b'F' | b't' | b'T'));
                let (end, more) = literal_end(text, now, fields, depth + 1);
                now = end;
                lines += more;
                continue;
            }
            b'\n' | b'\r' => {
                if length == 1 && in_format {
                    return (now, lines);
                }
                lines += u32::from(is_line_end(text, now));
            }
            _ => {}
        }
        now += 1;
    }
    (text.len(), lines)
}

/// The parts of a literal with fields, between its quotes: `(start, end, true)`
/// is an expression, `(start, end, false)` plain text. Formats are left out,
/// the fields in them are not.
pub(crate) fn fields(text: &str, start: usize, end: usize) -> Vec<(usize, usize, bool)> {
    let bytes = text.as_bytes().get(..end).unwrap_or_default();
    let mut parts = Vec::new();
    let mut now = start;
    let mut plain = start;
    while let Some(byte) = bytes.get(now).copied() {
        if byte == b'{' && bytes.get(now + 1) == Some(&b'{') {
            now += 2;
        } else if byte == b'{' {
            if now > plain {
                parts.push((plain, now, false));
            }
            // No quote can close the literal in here: its end is known.
            let (end, _) = field_end(bytes, now, 0, 1, 0);
            field(bytes, now + 1, end.saturating_sub(1), &mut parts, 0);
            now = end.max(now + 1);
            plain = now;
        } else {
            now += 1;
        }
    }
    if now > plain {
        parts.push((plain, now, false));
    }
    parts
}

/// Splits a field into its expression and the fields of its format.
fn field(text: &[u8], start: usize, end: usize, parts: &mut Vec<(usize, usize, bool)>, depth: u32) {
    let mut now = start;
    let mut brackets = 0_u32;
    let mut cut = end;
    while now < end {
        match text.get(now).copied().unwrap_or(0) {
            b'(' | b'[' | b'{' => brackets += 1,
            b')' | b']' | b'}' => brackets = brackets.saturating_sub(1),
            b'"' | b'\'' => {
                let before = text.get(now.saturating_sub(2).max(start)..now).unwrap_or_default();
                let fields = before.iter().any(|b| matches!(b, b'f' | b'F' | b't' | b'T'));
                now = literal_end(text, now, fields, depth + 1).0;
                continue;
            }
            b'!' if brackets == 0 && text.get(now + 1) != Some(&b'=') => {
                cut = cut.min(now);
            }
            b':' if brackets == 0 => {
                cut = cut.min(now);
                break;
            }
            _ => {}
        }
        now += 1;
    }
    parts.push((start, cut, true));
    while now < end && depth < NESTED_MAX {
        if text.get(now) == Some(&b'{') {
            let (behind, _) = field_end(text, now, 0, 1, depth + 1);
            field(text, now + 1, behind.saturating_sub(1).min(end), parts, depth + 1);
            now = behind;
        } else {
            now += 1;
        }
    }
}
