//! What an expression is known to be, and what it is known to come from.

use crate::text::Txt;
use crate::tree::Lambda;
use std::rc::Rc;

/// Where a value comes from, as bits; a value made of others has all of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(u64);

impl Marks {
    /// Decoded from a form that people cannot read.
    pub(crate) const DECODED: Self = Self(1);
    /// Came over the network.
    pub(crate) const FETCHED: Self = Self(1 << 1);
    /// Names a file of sound or pictures, or comes from one.
    pub(crate) const MEDIA: Self = Self(1 << 2);
    /// Holds secrets: what a secret file says, or the whole environment.
    pub(crate) const LOOT: Self = Self(1 << 3);
    /// Names the interpreter that is running.
    pub(crate) const PYTHON: Self = Self(1 << 4);
    /// Names a place from which things come back by themselves.
    pub(crate) const PERSISTS: Self = Self(1 << 5);
    /// A file that is open for writing.
    pub(crate) const WRITABLE: Self = Self(1 << 6);
    /// The process's environment itself.
    pub(crate) const ENVIRONMENT: Self = Self(1 << 7);
    /// Computed from nothing but literals, by a function that is not followed.
    pub(crate) const COMPUTED: Self = Self(1 << 8);
    /// What a file says that a literal names.
    pub(crate) const READ: Self = Self(1 << 9);
    /// The value of a variable whose name says that it holds a secret.
    pub(crate) const KEY: Self = Self(1 << 10);
    /// What a person typed, showed or gave to a function of another module.
    pub(crate) const INPUT: Self = Self(1 << 11);

    /// Names a place where secrets of this kind are kept.
    pub(crate) fn secret(kind: usize) -> Self {
        Self(1 << (16 + (kind & 31)))
    }

    /// The kinds of secrets whose places are named.
    pub(crate) fn secrets(self) -> impl Iterator<Item = usize> {
        (0..32).filter(move |kind| self.has(Self::secret(*kind)))
    }

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What survives a call that is not known: what it holds, not what it names.
    pub(crate) fn of_content(self) -> Self {
        Self(
            self.0
                & (Self::DECODED.0
                    | Self::FETCHED.0
                    | Self::MEDIA.0
                    | Self::LOOT.0
                    | Self::COMPUTED.0
                    | Self::READ.0
                    | Self::KEY.0
                    | Self::INPUT.0)
                | self.0 & 0xffff_ffff_0000,
        )
    }
}

/// Lists in lists that are followed.
const LISTS_MAX: u32 = 16;
/// Items of lists in lists that one question looks at.
const LOOKS_MAX: u32 = 8192;

/// The items of a list, and how deep lists lie in each other in it.
#[derive(Debug)]
pub(crate) struct List<'t, 's> {
    items: Vec<Abs<'t, 's>>,
    depth: u32,
}

impl<'t, 's> std::ops::Deref for List<'t, 's> {
    type Target = [Abs<'t, 's>];
    fn deref(&self) -> &Self::Target {
        &self.items
    }
}

/// What an expression is known to be.
#[derive(Clone, Debug, Default)]
pub(crate) enum Value<'t, 's> {
    #[default]
    Unknown,
    Text(Txt<'s>),
    Bytes(Rc<[u8]>),
    Int(i64),
    List(Rc<List<'t, 's>>),
    /// The dotted name of a module, of something in one, or of what a call of
    /// such a thing gives: `http.client.HTTPConnection()`.
    Path(Txt<'s>),
    /// A function of this file, by its number, and what it is bound to.
    Function(usize, Option<usize>),
    Lambda(&'t Lambda<'s>),
    /// A class of this file, by its number.
    Class(usize),
    /// An object of such a class.
    Object(usize),
}

impl<'t, 's> Value<'t, 's> {
    /// A list of `items`; nothing is known of one that is nested too deep.
    pub(crate) fn list(items: Vec<Abs<'t, 's>>) -> Self {
        let depth = |item: &Abs<'t, 's>| match &item.value {
            Value::List(list) => list.depth + 1,
            _ => 0,
        };
        let depth = items.iter().map(depth).max().unwrap_or(0);
        if depth > LISTS_MAX { Self::Unknown } else { Self::List(Rc::new(List { items, depth })) }
    }
}

/// A value with its marks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Abs<'t, 's> {
    pub(crate) marks: Marks,
    pub(crate) value: Value<'t, 's>,
}

impl<'t, 's> Abs<'t, 's> {
    pub(crate) fn new(value: Value<'t, 's>) -> Self {
        Self { marks: Marks::default(), value }
    }

    pub(crate) fn marked(marks: Marks) -> Self {
        Self { marks, value: Value::Unknown }
    }

    pub(crate) fn path(path: &'s str) -> Self {
        Self::new(Value::Path(Txt::Of(path)))
    }

    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self::new(Value::Bytes(bytes.into()))
    }

    pub(crate) fn made(text: String) -> Self {
        Self::new(Value::Text(text.into()))
    }

    pub(crate) fn and(mut self, marks: Marks) -> Self {
        self.marks = self.marks.with(marks);
        self
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn dotted(&self) -> Option<&str> {
        match &self.value {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    pub(crate) fn int(&self) -> Option<i64> {
        match self.value {
            Value::Int(int) => Some(int),
            _ => None,
        }
    }

    /// Returns true if it is made of nothing but literals.
    pub(crate) fn is_constant(&self) -> bool {
        self.constant(&mut { LOOKS_MAX })
    }

    /// The same, as far as `looks` items reach.
    fn constant(&self, looks: &mut u32) -> bool {
        let Some(fewer) = looks.checked_sub(1) else { return true };
        *looks = fewer;
        match &self.value {
            // What was filled in at a mark was not known.
            Value::Text(text) => !text.contains('\u{fffc}'),
            Value::Bytes(_) | Value::Int(_) => true,
            Value::List(items) => items.iter().take(4096).all(|item| item.constant(looks)),
            _ => self.marks.has(Marks::COMPUTED),
        }
    }

    /// Returns true if it is constant and long enough to hold code.
    pub(crate) fn is_carrier(&self) -> bool {
        self.is_long(12)
    }

    /// Returns true if it is constant and holds at least `least` letters or items.
    pub(crate) fn is_long(&self, least: usize) -> bool {
        self.long(least, &mut { LOOKS_MAX }) && self.is_constant()
    }

    /// Returns true if it, or something in it, holds at least `least` letters or items.
    fn long(&self, least: usize, looks: &mut u32) -> bool {
        let Some(fewer) = looks.checked_sub(1) else { return false };
        *looks = fewer;
        match &self.value {
            Value::Text(text) => text.len() >= least,
            Value::Bytes(bytes) => bytes.len() >= least,
            Value::List(items) => {
                items.len() >= least || items.iter().take(64).any(|item| item.long(least, looks))
            }
            _ => self.marks.has(Marks::COMPUTED),
        }
    }

    /// The bytes of a text or of bytes.
    pub(crate) fn raw(&self) -> Option<&[u8]> {
        match &self.value {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> Option<&[Abs<'t, 's>]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// Its marks and those of everything in it.
    pub(crate) fn all_marks(&self) -> Marks {
        let inner = self.items().unwrap_or_default().iter().take(4096);
        inner.fold(self.marks, |marks, item| marks.with(item.marks))
    }
}
