//! YAML with places, as far as machine-written lock files use it: mappings
//! with plain keys, lists and scalars, one document, a limit on everything.

use super::Malformed;
use granit_parser::{Event, Parser, options};

/// Mappings and lists inside each other.
const DEPTH_MAX: usize = 32;
/// Values in one document.
const NODES_MAX: usize = 2_000_000;

/// A value.
pub(super) enum Node {
    Scalar(String),
    /// Lists hold nothing that we read.
    List,
    /// Keys with their lines, in order.
    Map(Vec<(String, u32, Node)>),
}

impl Node {
    /// The value under `key`, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _, _)| name == key).map(|(_, _, node)| node)
    }

    /// The entries, none if this is no mapping.
    pub(super) fn entries(&self) -> &[(String, u32, Self)] {
        match self {
            Self::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text, if this is a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar(text) => Some(text),
            _ => None,
        }
    }
}

enum Open {
    List,
    Map(Vec<(String, u32, Node)>, Option<(String, u32)>),
}

/// The document in `text`.
pub(super) fn read(text: &str) -> Result<Node, Malformed> {
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
        let line = u32::try_from(span.start.line()).unwrap_or(u32::MAX);
        let malformed = |what: &str| Malformed { line, what: what.to_owned() };
        let node = match event {
            Event::Scalar(text, ..) => Node::Scalar(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push(Open::List);
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List) => Node::List,
                Some(Open::Map(entries, None)) => Node::Map(entries),
                _ => return Err(malformed("a key without a value")),
            },
            Event::Alias(..) => return Err(malformed("a lock file has no aliases")),
            _ => continue,
        };
        nodes += 1;
        if nodes > NODES_MAX {
            return Err(malformed("more values than a lock file has"));
        }
        match open.last_mut() {
            None => return Ok(node),
            Some(Open::List) => {}
            Some(Open::Map(entries, key)) => match (key.take(), node) {
                (Some((name, at)), node) => entries.push((name, at, node)),
                (None, Node::Scalar(name)) => *key = Some((name, line)),
                (None, _) => return Err(malformed("a key that is no text")),
            },
        }
    }
    Err(Malformed::whole("there is no document in it"))
}
