//! YAML with places, as far as files that name packages use it: mappings with
//! plain keys, lists and scalars, one document, a limit on everything. What an
//! alias stands for is read where it is defined, and nowhere else.

use super::Malformed;
use granit_parser::{Event, Parser, ScalarStyle, options};

/// Mappings and lists inside each other.
const DEPTH_MAX: usize = 32;
/// Values in one document.
const NODES_MAX: usize = 2_000_000;

/// A value.
pub enum Node {
    /// A plain value.
    Scalar(String),
    /// `null`, `~`, nothing at all, or an alias.
    Null,
    /// Values with their lines, in order.
    List(Vec<(u32, Node)>),
    /// Keys with their lines, in order.
    Map(Vec<(String, u32, Node)>),
}

impl Node {
    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    /// The entries, none if this is no mapping.
    pub fn entries(&self) -> &[(String, u32, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The values with their lines, none if this is no list.
    pub fn items(&self) -> &[(u32, Self)] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if this is a scalar.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

enum Open {
    List(Vec<(u32, Node)>, u32),
    Map(Vec<(String, u32, Node)>, Option<(String, u32)>, u32),
}

/// Whether aliases may stand in a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aliases {
    /// No machine writes them into a lock file.
    Refused,
    /// People do; see the top of this file.
    Skipped,
}

/// The document in `text`, which a machine wrote.
pub fn read(text: &str) -> Result<Node, Malformed> {
    document(text, Aliases::Refused)
}

/// The first document in `text`.
pub fn document(text: &str, aliases: Aliases) -> Result<Node, Malformed> {
    let options = options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut open: Vec<Open> = Vec::new();
    let mut nodes = 0_usize;
    for next in Parser::new_from_str_with_options(text, options) {
        let (event, span) = next.map_err(|error| Malformed {
            line: u32::try_from(error.marker().line()).unwrap_or(u32::MAX),
            what: format!("not valid YAML: {}", error.info()),
        })?;
        let mut line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        let at = line;
        let malformed = |what: &str| Malformed { line: at, what: what.to_owned() };
        let node = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..)
                if matches!(&*text, "" | "~" | "null" | "Null" | "NULL") =>
            {
                Node::Null
            }
            Event::Scalar(text, ..) => Node::Scalar(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new(), line));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None, line));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items, began)) => {
                    line = began;
                    Node::List(items)
                }
                Some(Open::Map(entries, None, began)) => {
                    line = began;
                    Node::Map(entries)
                }
                _ => return Err(malformed("a key without a value")),
            },
            Event::Alias(..) if aliases == Aliases::Refused => {
                return Err(malformed("a lock file has no aliases"));
            }
            Event::Alias(..) => Node::Null,
            _ => continue,
        };
        nodes += 1;
        if nodes > NODES_MAX {
            return Err(malformed("more values than a lock file has"));
        }
        match open.last_mut() {
            None => return Ok(node),
            Some(Open::List(items, _)) => items.push((line, node)),
            Some(Open::Map(entries, key, _)) => match (key.take(), node) {
                (Some((name, at)), node) => entries.push((name, at, node)),
                (None, Node::Scalar(name)) => *key = Some((name, line)),
                (None, Node::Null) => *key = Some(("null".to_owned(), line)),
                (None, _) => return Err(malformed("a key that is no text")),
            },
        }
    }
    Err(Malformed::whole("there is no document in it"))
}
