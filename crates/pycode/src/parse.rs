//! Tokens → syntax tree: statements.
//!
//! Takes what every Python 3 takes. Never fails: what it cannot read it skips
//! to the end of the line, and counts. Nesting is bounded as in Python itself.

use crate::lex::{self, Kind, Token};
use crate::tree::{Arg, Body, Class, Expr, Function, Op, Stmt, What};

/// Brackets in brackets and blocks in blocks, at most; Python allows 200.
pub(crate) const DEPTH_MAX: u32 = 220;
/// Statements of one file that are followed; a tree of more would fill memory.
const STATEMENTS_MAX: u32 = 400_000;

/// A file as a tree.
pub(crate) struct Tree<'s> {
    pub(crate) body: Body<'s>,
    /// True if it is nested deeper or longer than is followed.
    pub(crate) too_deep: bool,
}

pub(crate) struct Parser<'s> {
    pub(crate) text: &'s str,
    pub(crate) tokens: Vec<Token>,
    pub(crate) at: usize,
    pub(crate) depth: u32,
    pub(crate) too_deep: bool,
    pub(crate) statements: u32,
}

/// The tree of `text`.
pub(crate) fn parse(text: &str) -> Tree<'_> {
    let tokens = lex::tokens(text);
    let mut parser = Parser { text, tokens, at: 0, depth: 0, too_deep: false, statements: 0 };
    let mut body = Vec::new();
    while parser.kind() != Kind::End {
        // Indents that belong to nothing; Python refuses such a file.
        if matches!(parser.kind(), Kind::Indent | Kind::Dedent) {
            parser.at += 1;
        } else {
            parser.statements(&mut body);
        }
    }
    Tree { body, too_deep: parser.too_deep }
}

impl<'s> Parser<'s> {
    pub(crate) fn token(&self, ahead: usize) -> Token {
        let end = Token { kind: Kind::End, start: 0, end: 0, line: 0 };
        self.tokens.get(self.at + ahead).or(self.tokens.last()).copied().unwrap_or(end)
    }

    pub(crate) fn kind(&self) -> Kind {
        self.token(0).kind
    }

    pub(crate) fn span(&self, token: Token) -> &'s str {
        self.text.get(token.start as usize..token.end as usize).unwrap_or_default()
    }

    /// The word or operator `ahead` tokens from here; strings are neither.
    pub(crate) fn word(&self, ahead: usize) -> &'s str {
        let token = self.token(ahead);
        if matches!(token.kind, Kind::Name | Kind::Op) { self.span(token) } else { "" }
    }

    /// Goes on if `word` stands here.
    #[inline]
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let here = self.word(0) == word;
        self.at += usize::from(here);
        here
    }

    pub(crate) fn name(&mut self) -> &'s str {
        if self.kind() != Kind::Name {
            return "";
        }
        let name = self.word(0);
        self.at += 1;
        name
    }

    /// The statements of one line, or one compound statement.
    fn statements(&mut self, body: &mut Body<'s>) {
        let started = self.at;
        let line = self.token(0).line;
        if let Some(what) = self.compound() {
            self.add(body, line, what);
        } else {
            self.simple_line(body);
        }
        // Whatever happened, the next call finds another token.
        self.at = self.at.max(started + 1);
    }

    /// The simple statements of one line.
    fn simple_line(&mut self, body: &mut Body<'s>) {
        loop {
            let line = self.token(0).line;
            let what = self.simple();
            self.add(body, line, what);
            if !self.take(";") || self.kind() == Kind::Newline {
                break;
            }
        }
        self.end_of_line();
    }

    /// Adds a statement; the rest of a file with too many of them is skipped.
    fn add(&mut self, body: &mut Body<'s>, line: u32, what: What<'s>) {
        self.statements += 1;
        if self.statements > STATEMENTS_MAX {
            self.too_deep = true;
            self.at = self.tokens.len();
            return;
        }
        body.push(Stmt { line, what });
    }

    fn end_of_line(&mut self) {
        while !matches!(self.kind(), Kind::Newline | Kind::End) {
            self.at += 1;
        }
        self.at += usize::from(self.kind() == Kind::Newline);
    }

    /// `: statements` on the same line, or an indented block.
    fn block(&mut self) -> Body<'s> {
        let mut body = Vec::new();
        if !self.take(":") {
            self.end_of_line();
            if self.kind() != Kind::Indent {
                return body;
            }
        } else if self.kind() == Kind::Newline {
            self.at += 1;
        } else {
            // No compound statement may follow on the same line.
            self.simple_line(&mut body);
            return body;
        }
        if self.kind() != Kind::Indent {
            return body;
        }
        self.at += 1;
        self.depth += 1;
        let followed = self.depth <= DEPTH_MAX;
        self.too_deep |= !followed;
        let mut inner = 0_u32;
        loop {
            match self.kind() {
                Kind::End => break,
                Kind::Dedent if followed || inner == 0 => {
                    self.at += 1;
                    break;
                }
                Kind::Dedent => {
                    inner -= 1;
                    self.at += 1;
                }
                Kind::Indent => {
                    inner += u32::from(!followed);
                    self.at += 1;
                }
                _ if followed => self.statements(&mut body),
                _ => self.at += 1,
            }
        }
        self.depth -= 1;
        body
    }

    fn compound(&mut self) -> Option<What<'s>> {
        if self.kind() == Kind::Op && self.word(0) == "@" {
            return Some(self.decorated());
        }
        if self.kind() != Kind::Name {
            return None;
        }
        if self.word(0) == "async" && matches!(self.word(1), "def" | "for" | "with") {
            self.at += 1;
        }
        // By bytes, as all that is asked of every statement or operand: the compiler
        // makes one decision of it, not a comparison for each word.
        match self.word(0).as_bytes() {
            b"def" => Some(self.function(Vec::new())),
            b"class" => Some(self.class(Vec::new())),
            b"if" => Some(self.branches()),
            b"for" => {
                self.at += 1;
                let target = self.targets();
                self.take("in");
                let iter = self.expressions();
                let body = self.block();
                Some(What::For(target, iter, body, self.otherwise()))
            }
            b"while" => {
                self.at += 1;
                let test = self.test();
                let body = self.block();
                Some(What::While(test, body, self.otherwise()))
            }
            b"with" => Some(self.with()),
            b"try" => Some(self.attempt()),
            b"match" if self.is_match() => Some(self.matching()),
            _ => None,
        }
    }

    fn decorated(&mut self) -> What<'s> {
        let mut decorators = Vec::new();
        while self.take("@") {
            decorators.push(self.test());
            self.end_of_line();
        }
        if self.word(0) == "async" {
            self.at += 1;
        }
        match self.word(0) {
            "def" => self.function(decorators),
            "class" => self.class(decorators),
            _ => What::Expr(Expr::Many(decorators)),
        }
    }

    fn function(&mut self, decorators: Vec<Expr<'s>>) -> What<'s> {
        self.at += 1;
        let name = self.name();
        self.type_params();
        let params = if self.take("(") { self.params(")") } else { Vec::new() };
        let returns = self.take("->").then(|| self.expressions());
        let body = self.block();
        What::Function(Box::new(Function { name, decorators, params, returns, body }))
    }

    fn class(&mut self, decorators: Vec<Expr<'s>>) -> What<'s> {
        self.at += 1;
        let name = self.name();
        self.type_params();
        let bases: Vec<Arg<'s>> = if self.take("(") { self.args() } else { Vec::new() };
        let body = self.block();
        What::Class(Box::new(Class { name, decorators, bases, body }))
    }

    /// `[T: bound]`, which runs nothing until it is asked.
    fn type_params(&mut self) {
        if self.word(0) != "[" {
            return;
        }
        let mut open = 0_i32;
        while !matches!(self.kind(), Kind::Newline | Kind::End) {
            open += match self.word(0) {
                "[" => 1,
                "]" => -1,
                _ => 0,
            };
            self.at += 1;
            if open == 0 {
                break;
            }
        }
    }

    fn branches(&mut self) -> What<'s> {
        let mut branches = Vec::new();
        self.at += 1;
        let test = self.test();
        branches.push((Some(test), self.block()));
        loop {
            if self.take("elif") {
                let test = self.test();
                branches.push((Some(test), self.block()));
            } else if self.word(0) == "else" {
                self.at += 1;
                branches.push((None, self.block()));
                return What::If(branches);
            } else {
                return What::If(branches);
            }
        }
    }

    fn otherwise(&mut self) -> Body<'s> {
        if self.take("else") { self.block() } else { Vec::new() }
    }

    fn with(&mut self) -> What<'s> {
        self.at += 1;
        // Brackets around all items, or around the first expression only?
        let bracketed = self.word(0) == "(" && self.closes_before_colon();
        if bracketed {
            self.at += 1;
        }
        let mut items = Vec::new();
        loop {
            if bracketed && self.take(")") {
                break;
            }
            let value = self.test();
            let target = self.take("as").then(|| self.target());
            items.push((value, target));
            if !self.take(",") {
                if bracketed {
                    self.take(")");
                }
                break;
            }
        }
        What::With(items, self.block())
    }

    /// Returns true if the bracket here closes right before the colon of the block,
    /// with `as` inside of it.
    fn closes_before_colon(&self) -> bool {
        let (mut open, mut ahead, mut names) = (0_i32, 0, false);
        loop {
            match (self.token(ahead).kind, self.word(ahead)) {
                (Kind::Newline | Kind::End, _) => return false,
                (_, "(" | "[" | "{") => open += 1,
                (_, ")" | "]" | "}") => open -= 1,
                (_, "as" | ",") if open == 1 => names = true,
                _ => {}
            }
            ahead += 1;
            if open == 0 {
                return names && self.word(ahead) == ":";
            }
        }
    }

    fn attempt(&mut self) -> What<'s> {
        self.at += 1;
        let mut bodies = vec![self.block()];
        let mut named = Vec::new();
        loop {
            match self.word(0) {
                "except" => {
                    self.at += 1;
                    self.take("*");
                    if self.word(0) != ":" {
                        named.push(self.expressions());
                        if self.take("as") {
                            self.name();
                        }
                    }
                }
                "else" | "finally" => self.at += 1,
                _ => return What::Try(named, bodies),
            }
            bodies.push(self.block());
        }
    }

    /// `match` is a name, too: it begins a block if its line ends in a colon
    /// and the next one begins with `case`.
    fn is_match(&self) -> bool {
        let mut ahead = 1;
        while !matches!(self.token(ahead).kind, Kind::Newline | Kind::End) {
            ahead += 1;
        }
        ahead > 2
            && self.word(ahead - 1) == ":"
            && self.token(ahead + 1).kind == Kind::Indent
            && self.word(ahead + 2) == "case"
    }

    fn matching(&mut self) -> What<'s> {
        self.at += 1;
        let subject = self.expressions();
        self.take(":");
        self.end_of_line();
        let mut cases = Vec::new();
        self.at += usize::from(self.kind() == Kind::Indent);
        while self.take("case") {
            let mut open = 0_i32;
            loop {
                match (self.kind(), self.word(0)) {
                    (Kind::Newline | Kind::End, _) | (_, ":" | "if") if open == 0 => break,
                    (Kind::Newline | Kind::End, _) => break,
                    (_, "(" | "[" | "{") => open += 1,
                    (_, ")" | "]" | "}") => open -= 1,
                    _ => {}
                }
                self.at += 1;
            }
            let guard = self.take("if").then(|| self.test());
            cases.push((guard, self.block()));
        }
        self.at += usize::from(self.kind() == Kind::Dedent);
        What::Match(subject, cases)
    }

    fn simple(&mut self) -> What<'s> {
        let next_is_name = self.token(1).kind == Kind::Name;
        match self.word(0) {
            "import" => return self.import(),
            "from" => return self.from(),
            "pass" | "break" | "continue" => {
                self.at += 1;
                return What::Nothing;
            }
            "return" => {
                self.at += 1;
                return What::Return(self.expressions());
            }
            "raise" => {
                self.at += 1;
                let raised = self.expressions();
                let cause = if self.take("from") { self.test() } else { Expr::Unknown };
                return What::Expr(Expr::Many(vec![raised, cause]));
            }
            "assert" | "del" => {
                self.at += 1;
                return What::Expr(self.expressions());
            }
            "global" | "nonlocal" => {
                self.at += 1;
                let mut names = vec![self.name()];
                while self.take(",") {
                    names.push(self.name());
                }
                return What::Global(names);
            }
            // `type X = …` is evaluated when it is asked.
            "type" if next_is_name && matches!(self.word(2), "=" | "[") => {
                while !matches!(self.kind(), Kind::Newline | Kind::End) {
                    self.at += 1;
                }
                return What::Nothing;
            }
            _ => {}
        }
        self.assignment()
    }

    fn assignment(&mut self) -> What<'s> {
        let first = self.expressions();
        if self.take(":") {
            let hint = self.test();
            let value = if self.take("=") { self.expressions() } else { Expr::Unknown };
            // The annotation is evaluated as well.
            return What::Assign(vec![first, Expr::Many(vec![hint])], value);
        }
        let change = match self.word(0) {
            "+=" => Some(Op::Add),
            "-=" => Some(Op::Sub),
            "*=" => Some(Op::Mul),
            "^=" => Some(Op::Xor),
            "|=" => Some(Op::BitOr),
            "/=" | "//=" | "%=" | "@=" | "&=" | ">>=" | "<<=" | "**=" => Some(Op::Other),
            _ => None,
        };
        if let Some(op) = change {
            self.at += 1;
            return What::Change(first, op, self.expressions());
        }
        if self.word(0) != "=" {
            return What::Expr(first);
        }
        let mut all = vec![first];
        while self.take("=") {
            all.push(self.expressions());
        }
        let value = all.pop().unwrap_or(Expr::Unknown);
        What::Assign(all, value)
    }

    fn import(&mut self) -> What<'s> {
        self.at += 1;
        let mut names = Vec::new();
        loop {
            let module = self.dotted();
            let name = self.take("as").then(|| self.name());
            names.push((module, name));
            if !self.take(",") {
                return What::Import(names);
            }
        }
    }

    fn from(&mut self) -> What<'s> {
        self.at += 1;
        let module = self.dotted();
        self.take("import");
        let mut names = Vec::new();
        if self.take("*") {
            return What::From(module, vec![("*", None)]);
        }
        let bracketed = self.take("(");
        while self.kind() == Kind::Name {
            let name = self.name();
            let other = self.take("as").then(|| self.name());
            names.push((name, other));
            if !self.take(",") {
                break;
            }
        }
        if bracketed {
            self.take(")");
        }
        What::From(module, names)
    }

    /// Dots and names up to `import`, `as` or whatever else.
    fn dotted(&mut self) -> &'s str {
        let start = self.token(0).start as usize;
        let mut end = start;
        let mut after_name = false;
        loop {
            let token = self.token(0);
            let word = self.word(0);
            let belongs = match token.kind {
                Kind::Name => !after_name && word != "import",
                Kind::Op => matches!(word, "." | "..."),
                _ => false,
            };
            if !belongs {
                return self.text.get(start..end).unwrap_or_default();
            }
            after_name = token.kind == Kind::Name;
            end = token.end as usize;
            self.at += 1;
        }
    }
}
