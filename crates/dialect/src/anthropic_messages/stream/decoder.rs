//! Anthropic's events read, one at a time.
//!
//! Proxies duplicate events, and new kinds appear: what is not understood is
//! carried on, and only an event that cannot be read at all is an error. The
//! blocks that the model has no part for are gathered and handed on whole.

use super::super::response::{explanation, finish};
use super::super::usage::Figures;
use super::super::{JSON_TOOL, error};
use crate::anthropic_messages::extension::{extension, rest};
use crate::contract::StreamDecoder;
use crate::json::read::{Object, Raw, Wrong, list};
use crate::json::write::ObjectWriter;
use crate::model::{
    Content, Delta, Event, Extension, Finish, Opening, Part, Sealed, Thought, ToolKind,
};
use crate::{DecodeError, Json, sse};
use crate::{blocks, tool_ids};
use std::collections::BTreeMap;

/// The largest block that is gathered, in bytes.
const WHOLE_BLOCK_MAX_BYTES: usize = 8 << 20;

/// Turns an upstream's events into the model's.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    finished: bool,
    over: bool,
    /// By the upstream's index.
    blocks: BTreeMap<u64, Block>,
    next_part: u32,
    figures: Figures,
    /// The extensions that were reported, so that repetitions are not.
    reported: Vec<Extension>,
    called: bool,
    stood_in: bool,
}

#[derive(Debug)]
enum Block {
    /// Open in the model.
    Open { part: u32, kind: Kind },
    /// Gathered until it stops.
    Whole(Gathered),
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    /// A tool call, or one that stands in for text. `input` is what it
    /// started with; it counts if no delta comes.
    Call {
        input: String,
        stands_in: bool,
        any: bool,
    },
    /// Open and complete.
    Done,
}

/// The members of an event's data that are read.
struct Frame<'a> {
    kind: Option<String>,
    index: u64,
    message: Option<Raw<'a>>,
    content_block: Option<Raw<'a>>,
    delta: Option<Raw<'a>>,
    usage: Option<Raw<'a>>,
    context_management: Option<Raw<'a>>,
}

impl<'a> Frame<'a> {
    fn of(data: &Object<'a>) -> Self {
        Self {
            kind: data.text("type"),
            index: data.whole("index").unwrap_or(0),
            message: data.get("message"),
            content_block: data.get("content_block"),
            delta: data.get("delta"),
            usage: data.get("usage"),
            context_management: data.get("context_management"),
        }
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event. After [`Event::End`] or [`Event::Error`] nothing more
    /// comes.
    ///
    /// # Errors
    /// Where the event's data is not JSON, or lacks what its type must have.
    pub fn push(&mut self, event: sse::Event<'_>, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let data = event.data.trim();
        if self.over || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let object = Object::parse(data).map_err(|e| DecodeError {
            message: format!("an event of the provider's stream is not readable: {e}"),
            param: None,
        })?;
        let frame = Frame::of(&object);
        let kind = frame.kind.as_deref().or(event.name).unwrap_or_default();
        self.read(kind, &frame, data, out).map_err(|e| e.within(kind).into())
    }

    /// The upstream's bytes ended. Open parts are closed; an end that
    /// Anthropic did not say is not said here either.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        if !self.over {
            self.close_all(out);
        }
        self.over = true;
    }

    fn read(
        &mut self,
        kind: &str,
        frame: &Frame<'_>,
        data: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Wrong> {
        match kind {
            "message_start" => self.start(frame, out)?,
            "content_block_start" => {
                let raw = need(frame.content_block, "content_block")?;
                self.close(frame.index, out);
                self.open(frame.index, raw, out).map_err(|e| e.within("content_block"))?;
            }
            "content_block_delta" => {
                let raw = need(frame.delta, "delta")?;
                self.delta(frame.index, raw, out).map_err(|e| e.within("delta"))?;
            }
            "content_block_stop" => self.close(frame.index, out),
            "message_delta" => self.end_of_message(frame, out)?,
            "message_stop" => {
                self.close_all(out);
                out.push(Event::End);
                self.over = true;
            }
            "ping" => out.push(Event::Ping),
            "error" => {
                self.close_all(out);
                out.push(Event::Error(error::decode_event(data)));
                self.over = true;
            }
            _ => {
                if let Ok(value) = Json::parse(data.to_owned()) {
                    out.push(Event::Extension(extension(format!("event.{kind}"), value)));
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Wrong> {
        // A proxy's second start says nothing new.
        if self.started {
            return Ok(());
        }
        let mut message = Object::of(need(frame.message, "message")?)?;
        for known in ["type", "role", "content", "stop_reason", "stop_sequence", "stop_details"] {
            let _ours = message.take(known);
        }
        let id = message.string("id")?.unwrap_or_default();
        let model = message.string("model")?.unwrap_or_default();
        let usage = message.take("usage");
        let remarks = usage.and_then(|raw| self.figures.merge(raw).ok());
        let usage = usage.map(|_| self.figures.usage());
        self.started = true;
        out.push(Event::Start { id, model, created_unix_s: None, usage });
        if let Some(remarks) = remarks {
            let tier = remarks.service_tier.and_then(|tier| Json::of(&tier).ok());
            let tier = tier.map(|value| extension("service_tier", value));
            for e in tier.into_iter().chain(remarks.extensions) {
                self.report(e, out);
            }
        }
        for e in rest("", &message) {
            self.report(e, out);
        }
        Ok(())
    }

    fn report(&mut self, e: Extension, out: &mut Vec<Event>) {
        match self.reported.iter_mut().find(|known| known.name == e.name) {
            Some(known) if *known == e => return,
            Some(known) => known.value = e.value.clone(),
            None => self.reported.push(e.clone()),
        }
        out.push(Event::Extension(e));
    }

    fn open(&mut self, index: u64, raw: Raw<'_>, out: &mut Vec<Event>) -> Result<(), Wrong> {
        let mut fields = Object::of(raw)?;
        let kind = fields.required_string("type")?;
        match kind.as_str() {
            "text" => {
                let part = self.begin(index, Opening::Text, Kind::Text, out);
                say(part, fields.string("text")?.map(Delta::Text), out);
                if let Some(Ok(citations)) = fields.take("citations").map(list) {
                    for citation in citations {
                        say(part, Some(Delta::Citation(blocks::citation(citation)?)), out);
                    }
                }
            }
            "thinking" => {
                let part = self.begin(index, Opening::Reasoning, Kind::Thinking, out);
                say(part, fields.string("thinking")?.map(Delta::Text), out);
                say(
                    part,
                    fields.string("signature")?.map(Sealed::claudes).map(Delta::Signature),
                    out,
                );
            }
            "redacted_thinking" => {
                let redacted = Some(Sealed::claudes(fields.required_string("data")?));
                let thought = Thought { redacted, ..Thought::default() };
                let whole = Opening::Whole(Content::Reasoning(thought).into());
                self.begin(index, whole, Kind::Done, out);
            }
            "tool_use" => {
                let (id, carried) = tool_ids::original(fields.required_string("id")?);
                let name = fields.required_string("name")?;
                let input = fields.take("input").map_or("{}", Raw::text).to_owned();
                let stands_in = name == JSON_TOOL;
                let extensions = rest("", &fields);
                let opening = if stands_in {
                    self.stood_in = true;
                    Opening::Text
                } else {
                    self.called = true;
                    let kind = ToolKind::Function;
                    Opening::ToolCall { id, name, kind, signature: carried, extensions }
                };
                let kind = Kind::Call { input, stands_in, any: false };
                self.begin(index, opening, kind, out);
            }
            _ => {
                self.blocks.insert(index, Block::Whole(Gathered::of(raw)?));
            }
        }
        Ok(())
    }

    fn begin(&mut self, index: u64, opening: Opening, kind: Kind, out: &mut Vec<Event>) -> u32 {
        let part = self.next_part;
        self.next_part = part.saturating_add(1);
        self.blocks.insert(index, Block::Open { part, kind });
        out.push(Event::Open { choice: 0, part, opening });
        part
    }

    fn delta(&mut self, index: u64, raw: Raw<'_>, out: &mut Vec<Event>) -> Result<(), Wrong> {
        let (part, kind) = match self.blocks.get_mut(&index) {
            Some(Block::Open { part, kind }) => (*part, kind),
            Some(Block::Whole(gathered)) => return gathered.add(raw),
            // The block's start was lost on the way; its rest means nothing.
            None => return Ok(()),
        };
        let mut fields = Object::of(raw)?;
        let name = fields.required_string("type")?;
        let delta = match (name.as_str(), kind) {
            ("text_delta", Kind::Text) => fields.string("text")?.map(Delta::Text),
            ("thinking_delta", Kind::Thinking) => fields.string("thinking")?.map(Delta::Text),
            ("signature_delta", Kind::Thinking) => {
                fields.string("signature")?.map(Sealed::claudes).map(Delta::Signature)
            }
            ("citations_delta", Kind::Text) => match fields.take("citation") {
                Some(raw) => Some(Delta::Citation(blocks::citation(raw)?)),
                None => None,
            },
            ("input_json_delta", Kind::Call { stands_in, any, .. }) => {
                let json = fields.string("partial_json")?.filter(|json| !json.is_empty());
                *any |= json.is_some();
                json.map(if *stands_in { Delta::Text } else { Delta::Arguments })
            }
            _ => Some(Delta::Opaque(extension(name.as_str(), raw))),
        };
        say(part, delta, out);
        Ok(())
    }

    fn close(&mut self, index: u64, out: &mut Vec<Event>) {
        match self.blocks.remove(&index) {
            None => {}
            Some(Block::Open { part, kind }) => {
                // Without a delta the call's arguments are what it started
                // with: `{}`, or all of them from a proxy that does not stream.
                if let Kind::Call { input, stands_in, any: false } = kind {
                    let delta = if stands_in { Delta::Text } else { Delta::Arguments };
                    say(part, Some(delta(input)), out);
                }
                out.push(Event::Close { choice: 0, part });
            }
            Some(Block::Whole(gathered)) => {
                let Some(block) = gathered.whole() else { return };
                let part = self.next_part;
                self.next_part = part.saturating_add(1);
                let whole = Part::from(blocks::answered(block));
                out.push(Event::Open { choice: 0, part, opening: Opening::Whole(whole) });
                out.push(Event::Close { choice: 0, part });
            }
        }
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        while let Some(index) = self.blocks.keys().next().copied() {
            self.close(index, out);
        }
    }

    fn end_of_message(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Wrong> {
        let mut fields = match frame.delta {
            Some(raw) => Some(Object::of(raw).map_err(|e| e.within("delta"))?),
            None => None,
        };
        let mut reason = None;
        let mut stop_sequence = None;
        if let Some(delta) = &mut fields {
            reason = delta.string("stop_reason")?;
            stop_sequence = delta.string("stop_sequence")?;
        }
        if reason.is_some() {
            self.close_all(out);
        }
        let finish = reason.map(|word| finish(&word, self.stood_in && !self.called));
        if let Some(mut delta) = fields {
            if let Some(details) = delta.take("stop_details") {
                self.report(extension("stop_details", details), out);
                let words = explanation(details).filter(|_| finish == Some(Finish::Refusal));
                if let (Some(words), false) = (words, self.finished) {
                    self.refuse(words, out);
                }
            }
            for e in rest("", &delta) {
                self.report(e, out);
            }
        }
        if let Some(raw) = frame.context_management {
            self.report(extension("context_management", raw), out);
        }
        if let Some(raw) = frame.usage
            && let Ok(remarks) = self.figures.merge(raw)
        {
            out.push(Event::Usage(self.figures.usage()));
            for e in remarks.extensions {
                self.report(e, out);
            }
        }
        if let (Some(finish), false) = (finish, self.finished) {
            self.finished = true;
            out.push(Event::Finish { choice: 0, finish, stop_sequence });
        }
        Ok(())
    }

    fn refuse(&mut self, words: String, out: &mut Vec<Event>) {
        let part = self.next_part;
        self.next_part = part.saturating_add(1);
        out.push(Event::Open { choice: 0, part, opening: Opening::Refusal });
        say(part, Some(Delta::Text(words)), out);
        out.push(Event::Close { choice: 0, part });
    }
}

impl StreamDecoder for Decoder {
    fn push(&mut self, event: sse::Event<'_>, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        Self::push(self, event, out)
    }

    fn finish(&mut self, out: &mut Vec<Event>) {
        Self::finish(self, out);
    }
}

fn need<'a>(raw: Option<Raw<'a>>, name: &str) -> Result<Raw<'a>, Wrong> {
    raw.ok_or_else(|| Wrong::new(name, "is missing"))
}

/// A delta that says something.
fn say(part: u32, delta: Option<Delta>, out: &mut Vec<Event>) {
    let delta = match delta {
        None => return,
        Some(Delta::Text(s) | Delta::Arguments(s)) if s.is_empty() => return,
        Some(Delta::Signature(s)) if s.text.is_empty() => return,
        Some(delta) => delta,
    };
    out.push(Event::Delta { choice: 0, part, delta });
}

/// A block that is handed on whole: its start, and what its deltas add to it.
#[derive(Debug)]
struct Gathered {
    members: Vec<(String, Json)>,
    /// Of `input_json_delta`s.
    input: String,
    bytes: usize,
}

impl Gathered {
    fn of(raw: Raw<'_>) -> Result<Self, Wrong> {
        let fields = Object::of(raw)?;
        let members =
            fields.members().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Ok(Self { members, input: String::new(), bytes: raw.text().len() })
    }

    fn add(&mut self, raw: Raw<'_>) -> Result<(), Wrong> {
        self.bytes = self.bytes.saturating_add(raw.text().len());
        if self.bytes > WHOLE_BLOCK_MAX_BYTES {
            return Err(Wrong::new(
                "",
                format!("the block is larger than {WHOLE_BLOCK_MAX_BYTES} bytes"),
            ));
        }
        let mut delta = Object::of(raw)?;
        if delta.required_string("type")? == "input_json_delta" {
            self.input.push_str(&delta.string("partial_json")?.unwrap_or_default());
            return Ok(());
        }
        for (name, value) in delta.members() {
            self.append(name, value);
        }
        Ok(())
    }

    /// Strings grow; anything else is replaced.
    fn append(&mut self, name: &str, value: Raw<'_>) {
        let Some((_, member)) = self.members.iter_mut().find(|(known, _)| known == name) else {
            self.members.push((name.to_owned(), value.into()));
            return;
        };
        let grown = match (member.read::<String>(), serde_json::from_str::<String>(value.text())) {
            (Ok(before), Ok(more)) => Json::of(&(before + &more)).ok(),
            _ => None,
        };
        *member = grown.unwrap_or_else(|| value.into());
    }

    fn whole(mut self) -> Option<Json> {
        if let Ok(input) = Json::parse(std::mem::take(&mut self.input)) {
            match self.members.iter_mut().find(|(name, _)| name == "input") {
                Some((_, member)) => *member = input,
                None => self.members.push(("input".to_owned(), input)),
            }
        }
        let mut out = Vec::new();
        let mut object = ObjectWriter::new(&mut out);
        for (name, value) in &self.members {
            object.raw(name, value.text());
        }
        object.end();
        Json::parse(String::from_utf8(out).ok()?).ok()
    }
}
