//! A YAML document as a small tree in which every key and value knows where it
//! stands.
//!
//! Scalars stay the text that was written (after YAML's own escapes): nothing
//! here decides whether `1e-6` is a number. Aliases are copied in and merge
//! keys (`<<`) are applied by [`parse`](crate::parse), so readers never meet
//! either.

/// Where something stands: an index into the list of files read, a line and a
/// column, both from 1. Line 0 means that there is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pos {
    pub(crate) file: u16,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A key of a mapping.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) pos: Pos,
}

/// What a node is.
#[derive(Clone)]
pub(crate) enum Kind {
    /// `quoted` covers quotes, block scalars and the tag `!!str`: text that
    /// is never a number, a boolean or null.
    Scalar {
        text: String,
        quoted: bool,
    },
    Seq(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) pos: Pos,
    pub(crate) kind: Kind,
    /// Nodes in this subtree, itself included: what copying it costs.
    pub(crate) size: usize,
    /// Bytes of text in this subtree.
    pub(crate) bytes: usize,
    /// Levels in this subtree, 1 for a scalar: what recursing into it costs.
    pub(crate) depth: usize,
}

impl Node {
    pub(crate) fn scalar(pos: Pos, text: String, quoted: bool) -> Self {
        let bytes = text.len();
        Self { pos, kind: Kind::Scalar { text, quoted }, size: 1, bytes, depth: 1 }
    }

    pub(crate) fn null(pos: Pos) -> Self {
        Self::scalar(pos, String::new(), false)
    }

    pub(crate) fn seq(pos: Pos, items: Vec<Self>) -> Self {
        let size = 1 + items.iter().map(|item| item.size).sum::<usize>();
        let bytes = items.iter().map(|item| item.bytes).sum();
        let depth = 1 + items.iter().map(|item| item.depth).max().unwrap_or(0);
        Self { pos, kind: Kind::Seq(items), size, bytes, depth }
    }

    pub(crate) fn map(pos: Pos, entries: Vec<(Key, Self)>) -> Self {
        let size = 1 + entries.iter().map(|(_, value)| 1 + value.size).sum::<usize>();
        let bytes = entries.iter().map(|(key, value)| key.text.len() + value.bytes).sum();
        let depth = 1 + entries.iter().map(|(_, value)| value.depth).max().unwrap_or(0);
        Self { pos, kind: Kind::Map(entries), size, bytes, depth }
    }

    /// The value of `key`, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => {
                entries.iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// `~`, `null` in any of YAML's spellings, or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, quoted: false }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What to call it in a message.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar { .. } if self.is_null() => "nothing",
            Kind::Scalar { .. } => "a single value",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// Every scalar below, with the key that it stands under.
    pub(crate) fn each_scalar(&self, under: &str, see: &mut impl FnMut(&str, &str)) {
        match &self.kind {
            Kind::Scalar { text, .. } => see(under, text),
            Kind::Seq(items) => {
                for item in items {
                    item.each_scalar(under, see);
                }
            }
            Kind::Map(entries) => {
                for (key, value) in entries {
                    value.each_scalar(&key.text, see);
                }
            }
        }
    }
}
