//! Tokens → syntax tree: expressions.

use crate::lex::{self, Kind};
use crate::parse::{DEPTH_MAX, Parser};
use crate::tree::{Arg, Call, Clause, Comp, Expr, Lambda, Op, Param};

/// `.name`, `(…)` and `[…]` behind each other, at most.
const CHAIN_MAX: u32 = 400;
/// Words that end an expression.
const STOPS: [&str; 12] =
    ["if", "else", "for", "in", "is", "and", "or", "as", "from", "import", "async", "not"];

impl<'s> Parser<'s> {
    /// Expressions with commas between them: a tuple if there is a comma.
    pub(crate) fn expressions(&mut self) -> Expr<'s> {
        let first = self.starred();
        if self.word(0) != "," {
            return first;
        }
        let mut all = vec![first];
        while self.take(",") {
            if !self.begins_expression() {
                break;
            }
            all.push(self.starred());
        }
        Expr::List(all)
    }

    fn begins_expression(&self) -> bool {
        match self.kind() {
            Kind::Name => {
                let word = self.word(0);
                !STOPS.contains(&word) || word == "not"
            }
            Kind::Number | Kind::Text => true,
            Kind::Op => {
                matches!(self.word(0), "(" | "[" | "{" | "-" | "+" | "~" | "*" | "**" | "...")
            }
            _ => false,
        }
    }

    fn starred(&mut self) -> Expr<'s> {
        if self.take("*") || self.take("**") {
            return Expr::Star(Box::new(self.test()));
        }
        self.test()
    }

    /// Goes one level deeper; what is too deep is skipped with its line.
    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Expr<'s>) -> Expr<'s> {
        if self.depth >= DEPTH_MAX {
            self.too_deep = true;
            while !matches!(self.kind(), Kind::Newline | Kind::End) {
                self.at += 1;
            }
            return Expr::Unknown;
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// One expression: a walrus, a lambda, `if`-`else`, or what stands below.
    pub(crate) fn test(&mut self) -> Expr<'s> {
        self.deeper(|parser| {
            if parser.word(0) == "lambda" {
                return parser.lambda();
            }
            if parser.kind() == Kind::Name && parser.word(1) == ":=" {
                let name = parser.name();
                parser.at += 1;
                return Expr::Named(name, Box::new(parser.test()));
            }
            let value = parser.binary(1);
            if parser.word(0) != "if" {
                return value;
            }
            parser.at += 1;
            let test = parser.binary(1);
            let other = if parser.take("else") { parser.test() } else { Expr::Unknown };
            Expr::Cond(Box::new([test, value, other]))
        })
    }

    fn lambda(&mut self) -> Expr<'s> {
        self.at += 1;
        let params = self.params(":");
        let body = self.test();
        Expr::Lambda(Box::new(Lambda { params, body }))
    }

    /// Parameters up to and with `close`.
    pub(crate) fn params(&mut self, close: &str) -> Vec<Param<'s>> {
        let mut params = Vec::new();
        while !self.take(close) {
            while matches!(self.word(0), "*" | "**" | "/" | ",") {
                self.at += 1;
            }
            if self.kind() != Kind::Name {
                if self.take(close) || self.kind() == Kind::Newline || self.kind() == Kind::End {
                    break;
                }
                self.at += 1;
                continue;
            }
            let name = self.name();
            let hint = (close == ")" && self.take(":")).then(|| self.starred());
            let default = self.take("=").then(|| self.test());
            params.push(Param { name, default, hint });
        }
        params
    }

    /// The precedence of the operator here, how many words it has, and what
    /// becomes of its operands.
    fn operator(&self) -> Option<(u8, usize, Op)> {
        Some(match self.word(0).as_bytes() {
            b"or" => (1, 1, Op::Other),
            b"and" => (2, 1, Op::And),
            b"not" if self.word(1) == "in" => (4, 2, Op::Other),
            b"is" if self.word(1) == "not" => (4, 2, Op::Other),
            b"==" => (4, 1, Op::Equal),
            b"in" | b"is" | b"<" | b">" | b"<=" | b">=" | b"!=" | b"<>" => (4, 1, Op::Other),
            b"|" => (5, 1, Op::BitOr),
            b"^" => (6, 1, Op::Xor),
            b"&" => (7, 1, Op::Other),
            b"<<" | b">>" => (8, 1, Op::Other),
            b"+" => (9, 1, Op::Add),
            b"-" => (9, 1, Op::Sub),
            b"*" => (10, 1, Op::Mul),
            b"/" => (10, 1, Op::Div),
            b"%" => (10, 1, Op::Mod),
            b"//" | b"@" => (10, 1, Op::Other),
            b"**" => (12, 1, Op::Other),
            _ => return None,
        })
    }

    pub(crate) fn binary(&mut self, least: u8) -> Expr<'s> {
        let mut left = self.unary();
        while let Some((precedence, _, _)) = self.operator() {
            if precedence < least {
                break;
            }
            let mut rest = Vec::new();
            while let Some((same, words, op)) = self.operator() {
                if same != precedence {
                    break;
                }
                self.at += words;
                rest.push((op, self.deeper(|parser| parser.binary(precedence + 1))));
            }
            left = Expr::Binary(Box::new(left), rest);
        }
        left
    }

    fn unary(&mut self) -> Expr<'s> {
        match self.word(0).as_bytes() {
            b"not" | b"+" | b"~" | b"await" => {
                let least = if self.word(0) == "not" { 4 } else { 12 };
                self.at += 1;
                self.deeper(|parser| Expr::Many(vec![parser.binary(least)]))
            }
            b"-" => {
                self.at += 1;
                self.deeper(|parser| Expr::Minus(Box::new(parser.binary(12))))
            }
            b"lambda" => self.test(),
            b"yield" => {
                self.at += 1;
                self.take("from");
                let all = if self.begins_expression() { self.expressions() } else { Expr::Unknown };
                Expr::Many(vec![all])
            }
            _ => self.postfix(),
        }
    }

    fn postfix(&mut self) -> Expr<'s> {
        let mut value = self.atom();
        let mut chain = 0;
        loop {
            let line = self.token(0).line;
            match self.word(0).as_bytes() {
                b"." => {
                    self.at += 1;
                    value = Expr::Attr(Box::new(value), self.name());
                }
                b"(" => {
                    self.at += 1;
                    let args = self.args();
                    value = Expr::Call(Box::new(Call { func: value, args, line }));
                }
                b"[" => {
                    self.at += 1;
                    let index = self.subscript();
                    value = Expr::Index(Box::new((value, index)));
                }
                _ => return value,
            }
            chain += 1;
            if chain > CHAIN_MAX {
                self.too_deep = true;
                value = Expr::Unknown;
            }
        }
    }

    fn subscript(&mut self) -> Expr<'s> {
        self.deeper(|parser| {
            let mut all = Vec::new();
            while !parser.take("]") {
                let before = parser.at;
                all.push(parser.slice());
                parser.take(",");
                if parser.at == before {
                    parser.at += usize::from(parser.kind() != Kind::End);
                    break;
                }
            }
            if all.len() == 1 { all.pop().unwrap_or(Expr::Unknown) } else { Expr::List(all) }
        })
    }

    fn slice(&mut self) -> Expr<'s> {
        let bound = |parser: &mut Self| {
            if matches!(parser.word(0), ":" | "]" | ",") { Expr::Unknown } else { parser.starred() }
        };
        let start = bound(self);
        if !self.take(":") {
            return start;
        }
        let stop = bound(self);
        let step = if self.take(":") { bound(self) } else { Expr::Unknown };
        Expr::Slice(Box::new([start, stop, step]))
    }

    /// Arguments up to and with the closing bracket.
    pub(crate) fn args(&mut self) -> Vec<Arg<'s>> {
        let mut args = Vec::new();
        while !self.take(")") {
            let before = self.at;
            let named = self.kind() == Kind::Name && self.word(1) == "=";
            let name = named.then(|| self.name());
            self.at += usize::from(named);
            let mut value = self.starred();
            if self.begins_comprehension() {
                value = self.comprehension(vec![value], ")");
                args.push(Arg { name, value });
                break;
            }
            args.push(Arg { name, value });
            self.take(",");
            if self.at == before {
                // Nothing that belongs here: Python would refuse it.
                if matches!(self.kind(), Kind::Newline | Kind::End) {
                    break;
                }
                self.at += 1;
            }
        }
        args
    }

    fn begins_comprehension(&self) -> bool {
        self.word(0) == "for" || (self.word(0) == "async" && self.word(1) == "for")
    }

    fn comprehension(&mut self, out: Vec<Expr<'s>>, close: &str) -> Expr<'s> {
        let mut clauses = Vec::new();
        while self.begins_comprehension() {
            self.take("async");
            self.take("for");
            let target = self.targets();
            self.take("in");
            let iter = self.deeper(|parser| parser.binary(1));
            let mut tests = Vec::new();
            while self.take("if") {
                // A test ends where the next clause begins.
                if self.kind() == Kind::Name && self.word(1) == ":=" {
                    tests.push(self.test());
                } else {
                    tests.push(self.deeper(|parser| parser.binary(1)));
                }
            }
            clauses.push(Clause { target, iter, tests });
        }
        self.take(close);
        Expr::Comp(Box::new(Comp { out, clauses }))
    }

    /// Targets of a loop: what stands before `in`.
    pub(crate) fn targets(&mut self) -> Expr<'s> {
        let first = self.target();
        if self.word(0) != "," {
            return first;
        }
        let mut all = vec![first];
        while self.take(",") {
            if self.word(0) == "in" {
                break;
            }
            all.push(self.target());
        }
        Expr::List(all)
    }

    pub(crate) fn target(&mut self) -> Expr<'s> {
        self.take("*");
        self.deeper(Self::postfix)
    }

    fn atom(&mut self) -> Expr<'s> {
        let token = self.token(0);
        match token.kind {
            Kind::Name => {
                let word = self.word(0);
                if STOPS.contains(&word) {
                    return Expr::Unknown;
                }
                self.at += 1;
                match word {
                    "None" => Expr::Unknown,
                    _ => Expr::Name(word),
                }
            }
            Kind::Number => {
                self.at += 1;
                number(self.span(token)).map_or(Expr::Unknown, Expr::Int)
            }
            Kind::Text => self.literal(),
            Kind::Op => match self.word(0) {
                "(" => self.deeper(|parser| parser.bracket(")")),
                "[" => self.deeper(|parser| parser.bracket("]")),
                "{" => self.deeper(Self::braces),
                "..." => {
                    self.at += 1;
                    Expr::Unknown
                }
                _ => Expr::Unknown,
            },
            _ => Expr::Unknown,
        }
    }

    fn bracket(&mut self, close: &str) -> Expr<'s> {
        self.at += 1;
        if self.take(close) {
            return Expr::List(Vec::new());
        }
        let first = self.starred();
        if self.begins_comprehension() {
            return self.comprehension(vec![first], close);
        }
        let mut all = vec![first];
        let mut comma = close == "]";
        while self.take(",") {
            comma = true;
            if self.word(0) != close {
                all.push(self.starred());
            }
        }
        self.take(close);
        if comma { Expr::List(all) } else { all.pop().unwrap_or(Expr::Unknown) }
    }

    fn braces(&mut self) -> Expr<'s> {
        self.at += 1;
        let (mut pairs, mut items) = (Vec::new(), Vec::new());
        while !self.take("}") {
            let before = self.at;
            if self.take("**") {
                pairs.push((None, self.test()));
            } else {
                let first = self.starred();
                if self.take(":") {
                    let value = self.test();
                    if self.begins_comprehension() {
                        return self.comprehension(vec![first, value], "}");
                    }
                    pairs.push((Some(first), value));
                } else if self.begins_comprehension() {
                    return self.comprehension(vec![first], "}");
                } else {
                    items.push(first);
                }
            }
            self.take(",");
            if self.at == before {
                if matches!(self.kind(), Kind::Newline | Kind::End) {
                    break;
                }
                self.at += 1;
            }
        }
        if items.is_empty() { Expr::Dict(pairs) } else { Expr::List(items) }
    }

    /// Literals beside each other are one; a field in any of them makes all of
    /// them a literal with fields.
    fn literal(&mut self) -> Expr<'s> {
        let mut spans = Vec::new();
        let mut parts = Vec::new();
        while self.kind() == Kind::Text {
            let token = self.token(0);
            self.at += 1;
            let text = self.span(token);
            let quote = text.find(['"', '\'']).unwrap_or(0);
            let prefix = text.get(..quote).unwrap_or_default();
            if !prefix.contains(['f', 'F', 't', 'T']) {
                spans.push((token.start, token.end));
                continue;
            }
            if !spans.is_empty() {
                parts.push(Expr::Text(std::mem::take(&mut spans)));
            }
            let length = lex::quotes(text.as_bytes(), quote);
            let start = token.start as usize + quote + length;
            let closing = text.get(quote..quote + length).unwrap_or_default();
            let closed = text.ends_with(closing) && text.len() >= quote + 2 * length;
            let end = token.end as usize - if closed { length } else { 0 };
            for (start, end, is_field) in lex::fields(self.text, start, end) {
                parts.push(if is_field {
                    self.field(start, end, token.line)
                } else {
                    // Without quotes of its own; see `text::literal`.
                    Expr::Text(vec![(start as u32, end as u32 | PLAIN)])
                });
            }
        }
        if parts.is_empty() {
            return Expr::Text(spans);
        }
        if !spans.is_empty() {
            parts.push(Expr::Text(spans));
        }
        Expr::Fields(parts)
    }

    fn field(&mut self, start: usize, end: usize, line: u32) -> Expr<'s> {
        let tokens = lex::expression(self.text, start, end, line);
        let (depth, text) = (self.depth, self.text);
        let mut inner = Parser { text, tokens, at: 0, depth, too_deep: false, statements: 0 };
        let value = inner.deeper(Self::expressions);
        self.too_deep |= inner.too_deep;
        value
    }
}

/// Marks the end of a span that has no quotes around it.
pub(crate) const PLAIN: u32 = 1 << 31;

fn number(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let lower = text.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = lower.strip_prefix(prefix) {
            return i64::from_str_radix(digits, radix).ok();
        }
    }
    lower.parse().ok()
}
