//! One choice of a stream being read: which of its parts are open.
//!
//! Text, refusal and reasoning follow each other, one open at a time. Tool
//! calls stay open until the choice ends, because their pieces may interleave.

use crate::Json;
use crate::json::escape::Joiner;
use crate::json::read::{Object, Raw, items, string};
use crate::json::write;
use crate::model::{Citation, Delta, Event, Extension, Opening, Part, Sealed, ToolKind};
use crate::openai_chat::assistant::{
    arguments, citation, detail, extra_content, image, thinking_block,
};
use crate::openai_chat::extension::extension;
use crate::openai_chat::part::thinking_text;
use crate::openai_chat::{made_id, response::has_logprobs};

/// More calls in one answer than any model makes; a stream that has more is
/// broken, and finding each call's pieces must not take forever.
const CALLS_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    Text,
    Refusal,
    Reasoning,
}

#[derive(Debug)]
struct Call {
    /// The provider's `index`, where it gives one.
    index: Option<u64>,
    id: String,
    /// Which part it is, once it could be opened.
    part: Option<u32>,
    kind: ToolKind,
    /// Arguments that came before the name.
    early: String,
    /// What came beside the call before the name.
    signature: Option<Sealed>,
    beside: Vec<Extension>,
    joiner: Joiner,
}

/// A piece of a call.
struct Piece<'a> {
    id: Option<String>,
    name: Option<String>,
    kind: ToolKind,
    arguments: Option<Raw<'a>>,
}

/// The state of one choice.
#[derive(Debug, Default)]
pub(super) struct Choice {
    number: u32,
    next_part: u32,
    words: Option<(Words, u32)>,
    joiner: Joiner,
    calls: Vec<Call>,
    seed: String,
}

impl Choice {
    pub(super) fn new(number: u32, seed: &str) -> Self {
        Self { number, seed: seed.to_owned(), ..Self::default() }
    }

    pub(super) fn called(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next_part == 0 && self.calls.is_empty()
    }

    /// Reads `delta`, or a `message` that stands in for it.
    pub(super) fn delta(&mut self, delta: &Object<'_>, out: &mut Vec<Event>) {
        self.reasoning(delta, out);
        if let Some(content) = delta.get("content") {
            self.content(content, out);
        }
        for raw in delta.get("annotations").and_then(items).unwrap_or_default() {
            if let Some(mut citation) = citation(raw) {
                // A stream numbers its items; the item is the rest.
                if let Some(rest) = without_index(raw) {
                    citation.source.1 = rest;
                }
                self.cite(citation, out);
            }
        }
        if let Some(refusal) = delta.get("refusal") {
            self.say(Words::Refusal, refusal, out);
        }
        for raw in delta.get("images").and_then(items).unwrap_or_default() {
            if let Some(part) = image(raw) {
                self.whole(part, out);
            }
        }
        let calls = delta.get("tool_calls").and_then(items).unwrap_or_default();
        for (position, raw) in calls.into_iter().enumerate() {
            if let Ok(call) = Object::of(raw) {
                self.call(&call, position, out);
            }
        }
        if let Some(call) = delta.object("function_call") {
            self.function_call(&call, out);
        }
    }

    /// Text of a legacy completion.
    pub(super) fn text(&mut self, raw: Raw<'_>, out: &mut Vec<Event>) {
        self.say(Words::Text, raw, out);
    }

    /// Log probabilities belong to the text that came with them.
    pub(super) fn logprobs(&mut self, raw: Raw<'_>, out: &mut Vec<Event>) {
        let Some((_, part)) = self.words.filter(|_| has_logprobs(raw)) else { return };
        let delta = Delta::Opaque(extension("logprobs", raw));
        out.push(Event::Delta { choice: self.number, part, delta });
    }

    fn content(&mut self, raw: Raw<'_>, out: &mut Vec<Event>) {
        if raw.text().starts_with('"') {
            self.say(Words::Text, raw, out);
            return;
        }
        // Mistral's list of parts.
        for item in items(raw).unwrap_or_default() {
            let Ok(part) = Object::of(item) else { continue };
            if let Some(thinking) = part.get("thinking") {
                self.say_text(Words::Reasoning, thinking_text(thinking), out);
            } else if let Some(text) = part.get("text") {
                self.say(Words::Text, text, out);
            } else if let Some(image) = image(item) {
                self.whole(image, out);
            }
        }
    }

    fn reasoning(&mut self, delta: &Object<'_>, out: &mut Vec<Event>) {
        let words = ["reasoning_content", "reasoning"]
            .into_iter()
            .filter_map(|name| delta.get(name))
            .find(|raw| raw.text().starts_with('"') && raw.text() != "\"\"");
        if let Some(words) = words {
            self.say(Words::Reasoning, words, out);
        }
        for (name, read) in [
            ("thinking_blocks", thinking_block as fn(&Object<'_>) -> _),
            ("reasoning_details", detail),
        ] {
            let mut found = false;
            for raw in delta.get(name).and_then(items).unwrap_or_default() {
                let thought = Object::of(raw).ok().and_then(|block| read(&block));
                let Some(mut thought) = thought else { continue };
                found = true;
                if thought.redacted.is_some() {
                    self.whole(crate::model::Content::Reasoning(thought).into(), out);
                    continue;
                }
                // The words came beside it already, or LiteLLM repeats them
                // with the signature.
                let repeats = words.is_some() || thought.signature.is_some();
                let repeats = repeats && (words.is_some() || self.is_reasoning());
                if let Some(text) = thought.text.take().filter(|_| !repeats) {
                    self.say_text(Words::Reasoning, text, out);
                }
                if let Some(signature) = thought.signature.take() {
                    let part = self.open_words(Words::Reasoning, out);
                    let delta = Delta::Signature(signature);
                    out.push(Event::Delta { choice: self.number, part, delta });
                    self.close_words(out);
                }
            }
            if found {
                return;
            }
        }
    }

    fn is_reasoning(&self) -> bool {
        matches!(self.words, Some((Words::Reasoning, _)))
    }

    fn say(&mut self, kind: Words, raw: Raw<'_>, out: &mut Vec<Event>) {
        if let Some(text) = self.joiner.push(raw.text()) {
            self.say_text(kind, text, out);
        }
    }

    fn say_text(&mut self, kind: Words, text: String, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        let part = self.open_words(kind, out);
        out.push(Event::Delta { choice: self.number, part, delta: Delta::Text(text) });
    }

    fn cite(&mut self, citation: Citation, out: &mut Vec<Event>) {
        let part = self.open_words(Words::Text, out);
        out.push(Event::Delta { choice: self.number, part, delta: Delta::Citation(citation) });
    }

    fn open_words(&mut self, kind: Words, out: &mut Vec<Event>) -> u32 {
        if let Some((open, part)) = self.words {
            if open == kind {
                return part;
            }
            self.close_words(out);
        }
        let opening = match kind {
            Words::Text => Opening::Text,
            Words::Refusal => Opening::Refusal,
            Words::Reasoning => Opening::Reasoning,
        };
        let part = self.open(opening, out);
        self.words = Some((kind, part));
        part
    }

    fn open(&mut self, opening: Opening, out: &mut Vec<Event>) -> u32 {
        let part = self.next_part;
        self.next_part += 1;
        out.push(Event::Open { choice: self.number, part, opening });
        part
    }

    fn whole(&mut self, content: Part, out: &mut Vec<Event>) {
        self.close_words(out);
        let part = self.open(Opening::Whole(content), out);
        out.push(Event::Close { choice: self.number, part });
    }

    fn close_words(&mut self, out: &mut Vec<Event>) {
        if let Some((_, part)) = self.words.take() {
            out.push(Event::Close { choice: self.number, part });
        }
    }

    /// Legacy: one call, never an id or index.
    fn function_call(&mut self, call: &Object<'_>, out: &mut Vec<Event>) {
        let name = call.filled("name");
        let at = if name.is_some() || !self.calls.is_empty() {
            self.at(Some(0), None, name.is_some(), 0)
        } else {
            return;
        };
        if let Some(at) = at {
            let arguments = call.get("arguments");
            self.piece(at, Piece { id: None, name, kind: ToolKind::Function, arguments }, out);
        }
    }

    fn call(&mut self, call: &Object<'_>, position: usize, out: &mut Vec<Event>) {
        let custom = call.object("custom").filter(|custom| !custom_is_empty(custom));
        let (kind, inner, input) = match custom {
            Some(custom) if call.get("function").is_none() => (ToolKind::Custom, custom, "input"),
            _ => (ToolKind::Function, call.object("function").unwrap_or_default(), "arguments"),
        };
        let id = call.filled("id");
        let name = inner.filled("name");
        let at = self.at(call.whole("index"), id.as_deref(), name.is_some(), position);
        let Some(at) = at else { return };
        self.beside(at, extra_content(call), out);
        self.piece(at, Piece { id, name, kind, arguments: inner.get(input) }, out);
    }

    /// Which call a piece belongs to; `None` starts none and belongs to none.
    ///
    /// A new id with a name is a new call even under an old index, since some
    /// providers give every call the index 0; a piece without an index belongs
    /// to the call with its id, or starts one if it has a name.
    fn at(
        &mut self,
        index: Option<u64>,
        id: Option<&str>,
        named: bool,
        position: usize,
    ) -> Option<usize> {
        let found = match (index, id) {
            (Some(index), _) => {
                let at = self.calls.iter().rposition(|call| call.index == Some(index));
                at.filter(|at| {
                    let other = self.calls.get(*at).map_or("", |call| call.id.as_str());
                    let same = id.is_none_or(|id| other.is_empty() || other == id);
                    same || !named
                })
            }
            (None, Some(id)) => self.calls.iter().position(|call| call.id == id),
            (None, None) if named => None,
            (None, None) if position < self.calls.len() && position > 0 => Some(position),
            (None, None) => self.calls.len().checked_sub(1),
        };
        if found.is_some() || (index.is_none() && id.is_none() && !named) {
            return found;
        }
        if self.calls.len() >= CALLS_MAX {
            return None;
        }
        self.calls.push(Call {
            index,
            id: String::new(),
            part: None,
            kind: ToolKind::Function,
            early: String::new(),
            signature: None,
            beside: Vec::new(),
            joiner: Joiner::default(),
        });
        Some(self.calls.len() - 1)
    }

    /// Members next to a call open with it, if they come in time.
    fn beside(
        &mut self,
        at: usize,
        (signature, extension): (Option<Sealed>, Option<Extension>),
        out: &mut Vec<Event>,
    ) {
        let Some(call) = self.calls.get_mut(at) else { return };
        let Some(part) = call.part else {
            call.signature = signature.or(call.signature.take());
            call.beside.extend(extension);
            return;
        };
        let late = signature.map(Delta::Signature).into_iter();
        for delta in late.chain(extension.map(Delta::Opaque)) {
            out.push(Event::Delta { choice: self.number, part, delta });
        }
    }

    fn piece(&mut self, at: usize, piece: Piece<'_>, out: &mut Vec<Event>) {
        let Piece { id, name, kind, arguments: raw } = piece;
        let made = made_id(&self.seed, at);
        let Some(call) = self.calls.get_mut(at) else { return };
        if let Some(id) = id.filter(|_| call.id.is_empty()) {
            call.id = id;
        }
        let text = raw
            .map(|raw| call.joiner.push(raw.text()).unwrap_or_else(|| arguments(raw)))
            .unwrap_or_default();
        if let Some(part) = call.part {
            if !text.is_empty() {
                let delta = Delta::Arguments(text);
                out.push(Event::Delta { choice: self.number, part, delta });
            }
            return;
        }
        call.early.push_str(&text);
        let Some(name) = name else { return };
        if call.id.is_empty() {
            call.id = made;
        }
        call.kind = kind;
        let extensions = std::mem::take(&mut call.beside);
        let (id, signature) = (call.id.clone(), call.signature.take());
        let opening = Opening::ToolCall { id, name, kind, signature, extensions };
        let early = std::mem::take(&mut call.early);
        self.close_words(out);
        let part = self.open(opening, out);
        if let Some(call) = self.calls.get_mut(at) {
            call.part = Some(part);
        }
        if !early.is_empty() {
            let delta = Delta::Arguments(early);
            out.push(Event::Delta { choice: self.number, part, delta });
        }
    }

    /// Closes what is open, in order.
    pub(super) fn close(&mut self, out: &mut Vec<Event>) {
        self.close_words(out);
        for call in &mut self.calls {
            if let Some(part) = call.part.take() {
                out.push(Event::Close { choice: self.number, part });
            }
        }
    }
}

/// The item without its number, where it has one.
fn without_index(raw: Raw<'_>) -> Option<Json> {
    let item = Object::of(raw).ok()?;
    item.get("index")?;
    write::json(|object| {
        for (name, value) in item.members().filter(|(name, _)| *name != "index") {
            object.member(name, &value);
        }
    })
}

fn custom_is_empty(custom: &Object<'_>) -> bool {
    custom.filled("name").is_none() && custom.filled("input").is_none()
}

/// An extension of a chunk that says more than nothing.
pub(super) fn telling(extension: &Extension) -> bool {
    crate::openai_chat::response::says_something(&extension.value)
}

/// A stop text, under vLLM's or SGLang's name.
pub(super) fn stop_sequence(choice: &Object<'_>) -> Option<String> {
    ["stop_reason", "matched_stop"].into_iter().filter_map(|name| choice.get(name)).find_map(string)
}
