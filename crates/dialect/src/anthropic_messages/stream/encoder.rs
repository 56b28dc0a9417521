//! The model's events written for an Anthropic client.
//!
//! The client's grammar allows one open block at a time. Parts that are open
//! together are written one after the other: text and thinking give way to
//! what opens after them and go on in a new block; a tool call keeps its
//! block, and what opens meanwhile waits, up to a bound.

use super::super::block::{self, Reader, citation_json, tool_id};
use super::super::response::{
    is_of_the_end, message_id, picture_link, shows, stop_reason, write_usage,
};
use super::super::{HERE, error};
use crate::anthropic_messages::extension;
use crate::contract::StreamEncoder;
use crate::json::write::{ObjectWriter, put};
use crate::model::{
    Content, Delta, Event, Extension, Finish, Media, Opening, Origin, Part, Sealed, ToolKind,
};
use crate::{ApiError, ErrorClass, Shown, Usage};
use std::collections::VecDeque;

/// The most that waits for an earlier block, in bytes.
const WAITING_MAX_BYTES: usize = 16 << 20;

/// Writes server-sent events for one answer.
#[derive(Debug)]
pub struct Encoder {
    model: Option<String>,
    fallback_id: String,
    started: bool,
    over: bool,
    next_index: u32,
    /// The first is being written; the others wait.
    queue: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Text and thinking that gave way, by part.
    gave_way: Vec<(u32, Opening)>,
    finish: Option<(Finish, Option<String>)>,
    usage: Option<Usage>,
    at_end: Vec<Extension>,
    called: bool,
    refused: bool,
    /// The frame being written.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    part: u32,
    opening: Opening,
    deltas: Vec<Delta>,
    closed: bool,
    /// Its block's index, once its start is written.
    index: Option<u32>,
}

impl Encoder {
    /// An encoder at the beginning of a stream.
    pub fn new(shown: &Shown<'_>) -> Self {
        Self {
            model: shown.model.map(str::to_owned),
            fallback_id: shown.fallback_id.to_owned(),
            started: false,
            over: false,
            next_index: 0,
            queue: VecDeque::new(),
            waiting_bytes: 0,
            gave_way: Vec::new(),
            finish: None,
            usage: None,
            at_end: Vec::new(),
            called: false,
            refused: false,
            scratch: Vec::new(),
        }
    }

    /// Writes what the event means to the client, if anything. Only the first
    /// choice is shown. After the end or an error nothing is written.
    pub fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start { id, model, usage, .. } => {
                self.usage = *usage;
                self.start(id, model, out);
            }
            Event::Ping => self.frame("ping", out, |_| {}),
            Event::Error(e) => self.fail(e, out),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Extension(e) => self.extension(e, out),
            Event::Open { choice: 0, part, opening } => self.open(*part, opening, out),
            Event::Delta { choice: 0, part, delta } => self.delta(*part, delta, out),
            Event::Close { choice: 0, part } => self.close(*part, out),
            Event::Finish { choice: 0, finish, stop_sequence } => {
                self.finish = Some((finish.clone(), stop_sequence.clone()));
            }
            Event::End => self.end(out),
            Event::Open { .. }
            | Event::Delta { .. }
            | Event::Close { .. }
            | Event::Finish { .. } => {}
        }
    }

    fn frame(
        &mut self,
        kind: &str,
        out: &mut Vec<u8>,
        members: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        self.scratch.clear();
        let mut object = ObjectWriter::new(&mut self.scratch);
        object.member("type", kind);
        members(&mut object);
        object.end();
        write_frame(kind, &mut self.scratch, out);
    }

    fn start(&mut self, id: &str, model: &str, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let id = message_id(id, &self.fallback_id);
        let model = self.model.clone().unwrap_or_else(|| model.to_owned());
        let usage = self.usage;
        self.frame("message_start", out, |object| {
            let mut message = ObjectWriter::new(object.key("message"));
            message.member("id", &id);
            message.member("type", "message");
            message.member("role", "assistant");
            message.member("model", &model);
            message.raw("content", "[]");
            message.raw("stop_reason", "null");
            message.raw("stop_sequence", "null");
            write_usage(message.key("usage"), usage.as_ref());
            message.end();
        });
    }

    fn extension(&mut self, e: &Extension, out: &mut Vec<u8>) {
        if is_of_the_end(e) || (e.source == HERE && e.name == "context_management") {
            self.at_end.retain(|known| known.name != e.name);
            self.at_end.push(e.clone());
        } else if let (true, Some(kind)) = (e.source == HERE, e.name.strip_prefix("event.")) {
            // A name with a line break would end its line.
            if !kind.is_empty() && !kind.contains(['\n', '\r']) {
                self.scratch.clear();
                self.scratch.extend_from_slice(e.value.text().as_bytes());
                write_frame(kind, &mut self.scratch, out);
            }
        }
    }

    fn open(&mut self, part: u32, opening: &Opening, out: &mut Vec<u8>) {
        self.start("", "", out);
        // Anthropic says a refusal's words in `stop_details` only.
        let said_at_end = self.at_end.iter().any(|e| e.name == "stop_details");
        match opening {
            Opening::Whole(whole) if !shows(whole) => return,
            Opening::Refusal if said_at_end => return,
            _ => {}
        }
        self.called |= matches!(opening, Opening::ToolCall { .. });
        self.enqueue(part, opening.clone(), out);
    }

    fn enqueue(&mut self, part: u32, opening: Opening, out: &mut Vec<u8>) {
        if self.queue.front().is_some_and(Waiting::gives_way)
            && let Some(head) = self.queue.pop_front()
        {
            self.stop(&head, out);
            self.gave_way.push((head.part, head.opening));
        }
        self.queue.push_back(Waiting {
            part,
            opening,
            deltas: Vec::new(),
            closed: false,
            index: None,
        });
        self.advance(out);
    }

    fn delta(&mut self, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        if says_nothing(delta) {
            return;
        }
        if let Some(at) = self.gave_way.iter().position(|(gone, _)| *gone == part) {
            let (part, opening) = self.gave_way.swap_remove(at);
            self.enqueue(part, opening, out);
        }
        let Some(at) = self.queue.iter().position(|waiting| waiting.part == part) else { return };
        if at == 0 {
            if let Some(mut head) = self.queue.pop_front() {
                self.write_delta(&mut head, delta, out);
                self.queue.push_front(head);
            }
            return;
        }
        self.waiting_bytes = self.waiting_bytes.saturating_add(size(delta));
        if self.waiting_bytes > WAITING_MAX_BYTES {
            self.fail(&too_much_waits(), out);
        } else if let Some(waiting) = self.queue.get_mut(at) {
            waiting.deltas.push(delta.clone());
        }
    }

    fn close(&mut self, part: u32, out: &mut Vec<u8>) {
        self.gave_way.retain(|(gone, _)| *gone != part);
        if let Some(waiting) = self.queue.iter_mut().find(|waiting| waiting.part == part) {
            waiting.closed = true;
            self.advance(out);
        }
    }

    /// Writes what the first in the queue has gathered, and goes on to the
    /// next while there is nothing more to come of it.
    fn advance(&mut self, out: &mut Vec<u8>) {
        while let Some(mut head) = self.queue.pop_front() {
            if matches!(head.opening, Opening::ToolCall { .. } | Opening::Whole(_)) {
                self.write_start(&mut head, out);
            }
            for delta in std::mem::take(&mut head.deltas) {
                self.waiting_bytes = self.waiting_bytes.saturating_sub(size(&delta));
                self.write_delta(&mut head, &delta, out);
            }
            if head.closed {
                self.stop(&head, out);
            } else if head.gives_way() && !self.queue.is_empty() {
                self.stop(&head, out);
                self.gave_way.push((head.part, head.opening));
            } else {
                self.queue.push_front(head);
                return;
            }
        }
    }

    /// Text and thinking start with their first words: an empty block would
    /// come back in the client's next request, and be refused.
    fn write_start(&mut self, waiting: &mut Waiting, out: &mut Vec<u8>) -> u32 {
        if let Some(index) = waiting.index {
            return index;
        }
        let index = self.next_index;
        self.next_index = index.saturating_add(1);
        waiting.index = Some(index);
        let opening = waiting.opening.clone();
        self.frame("content_block_start", out, |object| {
            object.member("index", &index);
            write_opening(object.key("content_block"), &opening);
        });
        match opening {
            Opening::ToolCall { kind: ToolKind::Custom, .. } => {
                self.write_json(index, r#"{"input":""#, out);
            }
            Opening::Whole(part) => self.write_whole(index, &part, out),
            _ => {}
        }
        index
    }

    /// What of a whole part goes by deltas, because clients gather it so.
    fn write_whole(&mut self, index: u32, part: &Part, out: &mut Vec<u8>) {
        match &part.content {
            Content::Text { text, citations } => {
                self.write_member(index, "text_delta", "text", text, out);
                for citation in citations {
                    self.write_citation(index, citation, out);
                }
            }
            Content::Refusal(text) => {
                self.refused = true;
                self.write_member(index, "text_delta", "text", text, out);
            }
            Content::Image { source: Media::Url(url), .. } => {
                self.write_member(index, "text_delta", "text", &picture_link(url), out);
            }
            Content::ToolCall { arguments, kind, .. } => {
                self.called = true;
                self.write_json(index, &block::input(arguments, *kind), out);
            }
            Content::Reasoning(thought) => {
                if let Some(text) = &thought.text {
                    self.write_member(index, "thinking_delta", "thinking", text, out);
                }
                if let Some(signature) = &thought.signature {
                    self.write_signature(index, signature, out);
                }
            }
            _ => {}
        }
    }

    fn write_delta(&mut self, waiting: &mut Waiting, delta: &Delta, out: &mut Vec<u8>) {
        if matches!(waiting.opening, Opening::Whole(_)) {
            return;
        }
        self.refused |= matches!(waiting.opening, Opening::Refusal);
        let index = self.write_start(waiting, out);
        match (delta, &waiting.opening) {
            (Delta::Text(text), Opening::Reasoning) => {
                self.write_member(index, "thinking_delta", "thinking", text, out);
            }
            (Delta::Text(text), _) => self.write_member(index, "text_delta", "text", text, out),
            (Delta::Arguments(text), Opening::ToolCall { kind: ToolKind::Custom, .. }) => {
                let mut quoted = Vec::with_capacity(text.len() + 2);
                put(&mut quoted, text);
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                self.write_json(index, &String::from_utf8_lossy(inner), out);
            }
            (Delta::Arguments(text), _) => self.write_json(index, text, out),
            // A call's id, which would carry it, is written.
            (Delta::Signature(_), Opening::ToolCall { .. }) => {}
            (Delta::Signature(signature), _) => self.write_signature(index, signature, out),
            (Delta::Citation(citation), _) => self.write_citation(index, citation, out),
            (Delta::Opaque(e), _) => self.frame("content_block_delta", out, |object| {
                object.member("index", &index);
                object.raw("delta", e.value.text());
            }),
        }
    }

    fn write_citation(&mut self, index: u32, citation: &crate::model::Citation, out: &mut Vec<u8>) {
        let Some(json) = citation_json(citation, Reader::Client) else { return };
        self.frame("content_block_delta", out, |object| {
            object.member("index", &index);
            let mut delta = ObjectWriter::new(object.key("delta"));
            delta.member("type", "citations_delta");
            delta.raw("citation", json.text());
            delta.end();
        });
    }

    /// Writes Claude's signature; another model's is nothing that it could
    /// check later.
    fn write_signature(&mut self, index: u32, signature: &Sealed, out: &mut Vec<u8>) {
        if signature.origin == Origin::Anthropic {
            self.write_member(index, "signature_delta", "signature", &signature.text, out);
        }
    }

    fn write_json(&mut self, index: u32, json: &str, out: &mut Vec<u8>) {
        self.write_member(index, "input_json_delta", "partial_json", json, out);
    }

    fn write_member(
        &mut self,
        index: u32,
        kind: &str,
        member: &str,
        text: &str,
        out: &mut Vec<u8>,
    ) {
        if text.is_empty() {
            return;
        }
        self.frame("content_block_delta", out, |object| {
            object.member("index", &index);
            let mut delta = ObjectWriter::new(object.key("delta"));
            delta.member("type", kind);
            delta.member(member, text);
            delta.end();
        });
    }

    fn stop(&mut self, waiting: &Waiting, out: &mut Vec<u8>) {
        let Some(index) = waiting.index else { return };
        if matches!(waiting.opening, Opening::ToolCall { kind: ToolKind::Custom, .. }) {
            self.write_json(index, r#""}"#, out);
        }
        self.frame("content_block_stop", out, |object| object.member("index", &index));
    }

    fn fail(&mut self, e: &ApiError, out: &mut Vec<u8>) {
        self.over = true;
        self.queue.clear();
        error::encode_event(e, out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.start("", "", out);
        for waiting in &mut self.queue {
            waiting.closed = true;
        }
        self.advance(out);
        self.over = true;
        let (finish, stop_sequence) = self.finish.take().unzip();
        let stop_sequence = stop_sequence.flatten();
        let reason = finish
            .as_ref()
            .map(|f| stop_reason(f, stop_sequence.as_deref(), self.called, self.refused));
        let at_end = std::mem::take(&mut self.at_end);
        let usage = self.usage;
        self.frame("message_delta", out, |object| {
            let mut delta = ObjectWriter::new(object.key("delta"));
            delta.member("stop_reason", &reason);
            delta.member("stop_sequence", &stop_sequence);
            for e in at_end.iter().filter(|e| is_of_the_end(e)) {
                delta.raw(&e.name, e.value.text());
            }
            delta.end();
            write_usage(object.key("usage"), usage.as_ref());
            for e in at_end.iter().filter(|e| !is_of_the_end(e)) {
                object.raw(&e.name, e.value.text());
            }
        });
        self.frame("message_stop", out, |_| {});
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        Self::push(self, event, out);
    }
}

impl Waiting {
    fn gives_way(&self) -> bool {
        matches!(self.opening, Opening::Text | Opening::Reasoning | Opening::Refusal)
    }
}

/// Adds a frame; raw JSON may hold line breaks between its tokens, which
/// would end the data line.
fn write_frame(kind: &str, data: &mut [u8], out: &mut Vec<u8>) {
    for byte in data.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
        *byte = b' ';
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\n\n");
}

fn write_opening(out: &mut Vec<u8>, opening: &Opening) {
    let empty_text = r#"{"type":"text","text":""}"#;
    match opening {
        Opening::Text | Opening::Refusal => out.extend_from_slice(empty_text.as_bytes()),
        Opening::Reasoning => {
            out.extend_from_slice(br#"{"type":"thinking","thinking":"","signature":""}"#);
        }
        Opening::ToolCall { id, name, signature, extensions, .. } => {
            write_call(out, id, name, signature.as_ref(), extensions);
        }
        Opening::Whole(part) => match &part.content {
            Content::Text { .. } | Content::Refusal(_) | Content::Image { .. } => {
                out.extend_from_slice(empty_text.as_bytes());
            }
            Content::ToolCall { id, name, .. } => {
                write_call(out, id, name, part.signature.as_ref(), &part.extensions);
            }
            Content::Reasoning(thought)
                if thought.text.is_some() || thought.signature.is_some() =>
            {
                write_opening(out, &Opening::Reasoning);
            }
            _ => block::encode(out, part, Reader::Client),
        },
    }
}

fn write_call(
    out: &mut Vec<u8>,
    id: &str,
    name: &str,
    signature: Option<&Sealed>,
    extensions: &[Extension],
) {
    let mut call = ObjectWriter::new(out);
    call.member("type", "tool_use");
    call.member("id", tool_id(id, signature, Reader::Client).as_ref());
    call.member("name", name);
    call.raw("input", "{}");
    extension::write(&mut call, extensions);
    call.end();
}

/// Whether a delta has nothing that Anthropic's clients understand.
fn says_nothing(delta: &Delta) -> bool {
    match delta {
        Delta::Text(text) | Delta::Arguments(text) => text.is_empty(),
        Delta::Signature(s) => s.origin != Origin::Anthropic || s.text.is_empty(),
        Delta::Citation(citation) => citation_json(citation, Reader::Client).is_none(),
        // A delta of Anthropic's has its own type; other extensions belong to
        // the block's start, which is gone.
        Delta::Opaque(e) => e.source != HERE || !e.name.ends_with("_delta"),
    }
}

fn size(delta: &Delta) -> usize {
    match delta {
        Delta::Text(text) | Delta::Arguments(text) => text.len(),
        Delta::Signature(signature) => signature.text.len(),
        Delta::Citation(citation) => citation.source.1.text().len(),
        Delta::Opaque(e) => e.value.text().len(),
    }
}

fn too_much_waits() -> ApiError {
    ApiError {
        class: ErrorClass::Server,
        status: 502,
        message: "the provider interleaves more of its answer than can be put in order".to_owned(),
        kind: None,
        code: None,
        param: None,
    }
}
