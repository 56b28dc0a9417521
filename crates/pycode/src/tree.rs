//! The syntax tree of a Python file, as far as what the code does is concerned:
//! patterns, type parameters and comparisons are not told apart.

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr<'s> {
    /// What is not followed: numbers too large, what could not be read.
    Unknown,
    /// A name, in its normal spelling.
    Name(&'s str),
    Int(i64),
    /// Literals that stand beside each other: their tokens' spans.
    Text(Vec<(u32, u32)>),
    /// A literal with fields: what stands in it, in order.
    Fields(Vec<Expr<'s>>),
    Attr(Box<Expr<'s>>, &'s str),
    Call(Box<Call<'s>>),
    /// `base[index]`
    Index(Box<(Expr<'s>, Expr<'s>)>),
    /// `start:stop:step`; [`Expr::Unknown`] where nothing stands.
    Slice(Box<[Expr<'s>; 3]>),
    /// Operands of operators of one precedence, from left to right.
    Binary(Box<Expr<'s>>, Vec<(Op, Expr<'s>)>),
    /// A tuple, a list or a set.
    List(Vec<Expr<'s>>),
    /// Pairs; no key for `**more`.
    Dict(Vec<(Option<Expr<'s>>, Expr<'s>)>),
    Comp(Box<Comp<'s>>),
    Lambda(Box<Lambda<'s>>),
    /// `if`-`else`: the test and both values.
    Cond(Box<[Expr<'s>; 3]>),
    /// `name := value`
    Named(&'s str, Box<Expr<'s>>),
    Star(Box<Expr<'s>>),
    Minus(Box<Expr<'s>>),
    /// Expressions whose values do not matter, but whose doing does.
    Many(Vec<Expr<'s>>),
}

/// An operator whose result is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Xor,
    BitOr,
    Equal,
    And,
    Other,
}

#[derive(Debug)]
pub(crate) struct Call<'s> {
    pub(crate) func: Expr<'s>,
    pub(crate) args: Vec<Arg<'s>>,
    pub(crate) line: u32,
}

#[derive(Debug)]
pub(crate) struct Arg<'s> {
    pub(crate) name: Option<&'s str>,
    pub(crate) value: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct Comp<'s> {
    /// The element, or key and value.
    pub(crate) out: Vec<Expr<'s>>,
    pub(crate) clauses: Vec<Clause<'s>>,
}

/// `for target in iter if tests…`
#[derive(Debug)]
pub(crate) struct Clause<'s> {
    pub(crate) target: Expr<'s>,
    pub(crate) iter: Expr<'s>,
    pub(crate) tests: Vec<Expr<'s>>,
}

#[derive(Debug)]
pub(crate) struct Lambda<'s> {
    pub(crate) params: Vec<Param<'s>>,
    pub(crate) body: Expr<'s>,
}

#[derive(Debug)]
pub(crate) struct Param<'s> {
    pub(crate) name: &'s str,
    pub(crate) default: Option<Expr<'s>>,
    pub(crate) hint: Option<Expr<'s>>,
}

/// A statement and the line on which it begins.
#[derive(Debug)]
pub(crate) struct Stmt<'s> {
    pub(crate) line: u32,
    pub(crate) what: What<'s>,
}

pub(crate) type Body<'s> = Vec<Stmt<'s>>;

#[derive(Debug)]
pub(crate) enum What<'s> {
    Function(Box<Function<'s>>),
    Class(Box<Class<'s>>),
    /// Targets from left to right, and the value.
    Assign(Vec<Expr<'s>>, Expr<'s>),
    /// `target += value` and its kin.
    Change(Expr<'s>, Op, Expr<'s>),
    Expr(Expr<'s>),
    Return(Expr<'s>),
    /// The module's dotted name and the name that it is given, if any.
    Import(Vec<(&'s str, Option<&'s str>)>),
    /// From where (with its leading dots), and what as what; `*` is a name.
    From(&'s str, Vec<(&'s str, Option<&'s str>)>),
    /// Tests with what they guard; no test for `else`.
    If(Vec<(Option<Expr<'s>>, Body<'s>)>),
    For(Expr<'s>, Expr<'s>, Body<'s>, Body<'s>),
    While(Expr<'s>, Body<'s>, Body<'s>),
    With(Vec<(Expr<'s>, Option<Expr<'s>>)>, Body<'s>),
    /// `try` and all that belongs to it, and what the handlers name.
    Try(Vec<Expr<'s>>, Vec<Body<'s>>),
    Match(Expr<'s>, Vec<(Option<Expr<'s>>, Body<'s>)>),
    Global(Vec<&'s str>),
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Function<'s> {
    pub(crate) name: &'s str,
    pub(crate) decorators: Vec<Expr<'s>>,
    pub(crate) params: Vec<Param<'s>>,
    pub(crate) returns: Option<Expr<'s>>,
    pub(crate) body: Body<'s>,
}

#[derive(Debug)]
pub(crate) struct Class<'s> {
    pub(crate) name: &'s str,
    pub(crate) decorators: Vec<Expr<'s>>,
    pub(crate) bases: Vec<Arg<'s>>,
    pub(crate) body: Body<'s>,
}
