//! YAML text → [`Node`], with a limit on everything.
//!
//! The event parser underneath knows YAML 1.2; this file makes a tree of its
//! events and refuses what a configuration has no use for: duplicate keys,
//! several documents, mappings as keys, foreign tags, and documents that
//! unfold into far more than was written. Its messages never quote the file,
//! since any line of it may hold a secret.

use crate::node::{Key, Kind, Node, Pos};
use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, Tag, options};
use std::collections::HashMap;

/// The largest file that is read, in bytes.
pub(crate) const FILE_MAX_BYTES: usize = 4 << 20;
/// Mappings and lists inside each other, aliases unfolded.
const DEPTH_MAX: usize = 64;
/// Values in one document, aliases unfolded.
const NODES_MAX: usize = 400_000;
/// Text in one document, aliases unfolded, in bytes.
const TEXT_MAX_BYTES: usize = 32 << 20;
/// Problems of one document before reading stops.
const PROBLEMS_MAX: usize = 100;

/// Something wrong with the YAML itself.
pub(crate) struct Problem {
    pub(crate) pos: Pos,
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

/// The document in `bytes`, or `None` where it cannot be read at all, and
/// every problem met on the way.
pub(crate) fn parse(bytes: &[u8], file: u16) -> (Option<Node>, Vec<Problem>) {
    let mut builder = Builder::new(file);
    if bytes.len() > FILE_MAX_BYTES {
        let message = format!(
            "the file has {} bytes; a configuration has at most {FILE_MAX_BYTES}",
            bytes.len()
        );
        builder.problem(Pos { file, line: 0, column: 0 }, message, "is it the right file?");
        return (None, builder.problems);
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let pos = position_of(bytes, error.valid_up_to(), file);
            builder.problem(pos, "this byte is not UTF-8".into(), "save the file as UTF-8");
            return (None, builder.problems);
        }
    };
    let options = options! {
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        let keep_on = match next {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let marker = error.marker();
                let pos = pos_of(file, marker.line(), marker.col());
                let hint = hint_for(error.kind());
                builder.problem(pos, format!("not valid YAML: {}", error.info()), hint);
                builder.broken = true;
                false
            }
        };
        if !keep_on {
            break;
        }
    }
    let root = builder.root.take().filter(|_| !builder.broken);
    (root, builder.problems)
}

fn pos_of(file: u16, line: usize, column_from_0: usize) -> Pos {
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    Pos { file, line, column: u32::try_from(column_from_0).unwrap_or(u32::MAX).saturating_add(1) }
}

fn position_of(bytes: &[u8], at: usize, file: u16) -> Pos {
    let before = bytes.get(..at).unwrap_or_default();
    let line = before.split(|byte| *byte == b'\n').count();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    pos_of(file, line, column)
}

fn hint_for(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => "YAML is indented with spaces: replace the tab",
        ErrorKind::SimpleKeyExpected
        | ErrorKind::MappingValueNotAllowed
        | ErrorKind::ExpectedBlockMappingKey => {
            "look for a missing ':' or space after it, or a line that is indented differently from its neighbours"
        }
        ErrorKind::InvalidIndentation | ErrorKind::ExpectedBlockSequenceEntry => {
            "lines that belong together start in the same column"
        }
        ErrorKind::UnclosedQuotedScalar => "a quote is opened here or above and never closed",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => "look for a missing ',' or closing bracket",
        ErrorKind::UnexpectedCharacter { .. } => {
            "a value that begins with a special character must be quoted"
        }
        ErrorKind::RecursionLimitExceeded => "nothing in a configuration is nested that deep",
        _ => "",
    }
}

enum Open {
    Seq(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Option<Key> },
}

struct Frame {
    open: Open,
    pos: Pos,
    anchor: usize,
}

struct Builder {
    file: u16,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    problems: Vec<Problem>,
    documents: usize,
    nodes: usize,
    bytes: usize,
    /// What is left cannot be trusted: the tree is thrown away.
    broken: bool,
}

impl Builder {
    fn new(file: u16) -> Self {
        Self {
            file,
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            problems: Vec::new(),
            documents: 0,
            nodes: 0,
            bytes: 0,
            broken: false,
        }
    }

    fn problem(&mut self, pos: Pos, message: String, hint: &'static str) {
        self.problems.push(Problem { pos, message, hint });
    }

    /// Whether to go on.
    fn event(&mut self, event: Event<'_>, span: Span) -> bool {
        let pos = pos_of(self.file, span.start.line(), span.start.col());
        let tag_at = span.tag_start().unwrap_or(span.start);
        let tag_pos = pos_of(self.file, tag_at.line(), tag_at.col());
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = "keep one document: remove what follows the line '---'";
                    self.problem(pos, "a second YAML document begins here".into(), hint);
                    return false;
                }
                true
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = matches!(style, ScalarStyle::Plain);
                let quoted = !plain || tag.as_deref().is_some_and(|tag| is_core(tag, &["str"]));
                self.refuse_foreign(
                    tag.as_deref(),
                    &["str", "int", "float", "bool", "null", "timestamp"],
                    tag_pos,
                );
                self.add(Node::scalar(pos, text.into_owned(), quoted), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_foreign(tag.as_deref(), &["seq"], tag_pos);
                self.stack.push(Frame { open: Open::Seq(Vec::new()), pos, anchor });
                true
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_foreign(tag.as_deref(), &["map"], tag_pos);
                let open = Open::Map { entries: Vec::new(), key: None };
                self.stack.push(Frame { open, pos, anchor });
                true
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(frame) = self.stack.pop() else { return true };
                let node = match frame.open {
                    Open::Seq(items) => Node::seq(frame.pos, items),
                    Open::Map { entries, .. } => {
                        Node::map(frame.pos, self.merge_and_check(entries))
                    }
                };
                self.add(node, frame.anchor)
            }
            Event::Alias(id) => {
                if let Some(target) = self.anchors.get(&id) {
                    // A collection's own texts are counted here, a scalar's in `add`.
                    let bytes = if target.size > 1 { target.bytes } else { 0 };
                    let fits = self.nodes + target.size <= NODES_MAX
                        && self.bytes + bytes <= TEXT_MAX_BYTES
                        && self.stack.len() + target.depth <= DEPTH_MAX;
                    if !fits {
                        return self.too_large(pos);
                    }
                    let copy = Node { pos, ..target.clone() };
                    self.nodes += copy.size - 1;
                    self.bytes += bytes;
                    self.add(copy, 0)
                } else {
                    let hint = "write the value out";
                    self.problem(pos, "an alias stands inside its own anchor".into(), hint);
                    self.add(Node::null(pos), 0)
                }
            }
            Event::UnresolvedAlias(_) => {
                let hint = "an alias (*name) needs its anchor (&name) earlier in the file; text that begins with '*' must be quoted";
                self.problem(pos, "this alias has no anchor".into(), hint);
                self.add(Node::null(pos), 0)
            }
            _ => true,
        }
    }

    fn too_large(&mut self, pos: Pos) -> bool {
        let message = "the document unfolds into more than a configuration may hold".into();
        self.problem(pos, message, "write fewer or smaller aliases");
        self.broken = true;
        false
    }

    fn refuse_foreign(&mut self, tag: Option<&Tag>, known: &[&str], pos: Pos) {
        if tag.is_some_and(|tag| !is_core(tag, known)) {
            let hint = "write the plain value; for environment variables: os.environ/NAME";
            self.problem(pos, "YAML tags (!…) are not read here".into(), hint);
        }
    }

    fn add(&mut self, node: Node, anchor: usize) -> bool {
        self.nodes += 1;
        if let Kind::Scalar { text, .. } = &node.kind {
            self.bytes += text.len();
        }
        let too_large = self.nodes > NODES_MAX
            || self.bytes > TEXT_MAX_BYTES
            || self.stack.len() + node.depth > DEPTH_MAX + 1;
        if too_large {
            return self.too_large(node.pos);
        }
        if anchor != 0 {
            self.nodes += node.size; // the copy that is kept for aliases
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame { open: Open::Seq(items), .. }) => items.push(node),
            Some(Frame { open: Open::Map { entries, key }, .. }) => {
                if let Some(key) = key.take() {
                    entries.push((key, node));
                } else {
                    let pos = node.pos;
                    let text = if let Kind::Scalar { text, .. } = node.kind {
                        text
                    } else {
                        let hint = "text that begins with '{' or '[' must be quoted";
                        self.problems.push(Problem {
                            pos,
                            message: "a key must be a single value".into(),
                            hint,
                        });
                        String::new()
                    };
                    *key = Some(Key { text, pos });
                }
            }
        }
        self.problems.len() < PROBLEMS_MAX
    }

    /// Applies `<<` (keys that stand in the mapping itself win, then earlier
    /// merges), and refuses keys that come twice.
    fn merge_and_check(&mut self, entries: Vec<(Key, Node)>) -> Vec<(Key, Node)> {
        let mut seen: HashMap<String, u32> = HashMap::new();
        let mut own = Vec::with_capacity(entries.len());
        let mut merges = Vec::new();
        for (key, value) in entries {
            if key.text == "<<" {
                merges.push((key, value));
            } else if let Some(line) = seen.get(&key.text) {
                let message = format!("this key stands already in line {line}");
                self.problem(key.pos, message, "keep one of the two");
            } else {
                seen.insert(key.text.clone(), key.pos.line);
                own.push((key, value));
            }
        }
        for (key, value) in merges {
            let sources = match value.kind {
                Kind::Seq(items) => items,
                kind => vec![Node { kind, ..Node::null(value.pos) }],
            };
            for source in sources {
                let Kind::Map(merged) = source.kind else {
                    let message = "'<<' takes a mapping or a list of mappings".into();
                    self.problem(key.pos, message, "as in: <<: *defaults");
                    continue;
                };
                for (key, value) in merged {
                    if !seen.contains_key(&key.text) {
                        seen.insert(key.text.clone(), key.pos.line);
                        own.push((key, value));
                    }
                }
            }
        }
        own
    }
}

fn is_core(tag: &Tag, names: &[&str]) -> bool {
    tag.core_suffix().is_some_and(|suffix| names.contains(&suffix))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Node, parse};
    use std::fmt::Write;

    fn tree(text: &str) -> Node {
        let (node, problems) = parse(text.as_bytes(), 0);
        assert!(problems.is_empty(), "{}", problems[0].message);
        node.unwrap()
    }

    fn first_problem(text: &str) -> String {
        let (_, problems) = parse(text.as_bytes(), 0);
        let first = problems.first().unwrap();
        format!("{}:{} {}", first.pos.line, first.pos.column, first.message)
    }

    fn text_of<'a>(node: &'a Node, key: &str) -> &'a str {
        match &node.get(key).unwrap().kind {
            Kind::Scalar { text, .. } => text,
            _ => panic!("{key} is not a scalar"),
        }
    }

    #[test]
    fn scalars_keep_their_text_and_everything_its_place() {
        let node = tree("a: 1.50e-06\nb:\n  - 'x'\n");
        assert_eq!(text_of(&node, "a"), "1.50e-06");
        let Kind::Seq(items) = &node.get("b").unwrap().kind else { panic!() };
        assert_eq!((items[0].pos.line, items[0].pos.column), (3, 5));
        assert!(matches!(&items[0].kind, Kind::Scalar { quoted: true, .. }));
    }

    #[test]
    fn byte_order_mark_and_carriage_returns_do_not_move_places() {
        let node = tree("\u{feff}a: 1\r\nb: 2\r\n");
        let b = node.get("b").unwrap();
        assert_eq!((b.pos.line, b.pos.column), (2, 4));
        assert_eq!(text_of(&node, "a"), "1");
    }

    #[test]
    fn merge_keys_fill_in_what_is_not_given() {
        let node = tree("d: &d {a: 1, b: 2}\nx: {<<: *d, b: 3}\ny: {<<: [{a: 9}, *d]}\n");
        let x = node.get("x").unwrap();
        assert_eq!((text_of(x, "a"), text_of(x, "b")), ("1", "3"));
        let y = node.get("y").unwrap();
        assert_eq!((text_of(y, "a"), text_of(y, "b")), ("9", "2"));
    }

    #[test]
    fn what_a_configuration_has_no_use_for_is_refused_with_its_place() {
        for (text, problem) in [
            ("a: 1\nb: 2\na: 3\n", "3:1 this key stands already in line 1"),
            ("a: 1\n---\nb: 2\n", "2:1 a second YAML document begins here"),
            ("{x: 1}: 2\n", "1:1 a key must be a single value"),
            ("a: !python/name:os.system x\n", "1:4 YAML tags (!…) are not read here"),
            ("a: *b\n", "1:4 this alias has no anchor"),
            ("a: &a [*a]\n", "1:8 an alias stands inside its own anchor"),
            ("<<: 3\n", "1:1 '<<' takes a mapping or a list of mappings"),
        ] {
            assert_eq!(first_problem(text), problem, "{text}");
        }
    }

    #[test]
    fn alias_bombs_and_deep_nesting_stop_at_the_limit() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
        }
        assert!(first_problem(&bomb).contains("unfolds into more"));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(first_problem(&deep).contains("recursion limit"));
        let mut chain = format!("a0: &a0 {}{}\n", "[".repeat(40), "]".repeat(40));
        for level in 1..2000 {
            writeln!(chain, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
        }
        assert!(first_problem(&chain).contains("unfolds into more"));
        let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(1000));
        assert!(first_problem(&text).contains("unfolds into more"));
    }

    #[test]
    fn bytes_that_are_not_text_are_located() {
        let (node, problems) = parse(b"a: 1\nb: \xff\n", 0);
        assert!(node.is_none());
        assert_eq!((problems[0].pos.line, problems[0].pos.column), (2, 4));
    }
}
