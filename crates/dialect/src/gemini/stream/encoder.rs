//! The model's events written for clients of Gemini's.

use super::super::response::{shows, word_of, write_head, write_part};
use super::super::{error, usage};
use crate::contract::StreamEncoder;
use crate::json::write::{ObjectWriter, one_line};
use crate::model::{Content, Delta, Event, Finish, Opening, Part, Sealed, Thought, ToolKind};
use crate::{Shown, Usage};
use std::collections::{BTreeMap, BTreeSet};

/// Writes a stream for a client. The reasons of all candidates come in its last
/// event, with the usage, which some providers report after them.
#[derive(Debug)]
pub struct Encoder {
    model: Option<String>,
    id: String,
    fallback_id: String,
    usage: Usage,
    /// Calls that are not whole yet, by candidate and part.
    calls: BTreeMap<(u32, u32), Call>,
    thoughts: BTreeSet<(u32, u32)>,
    finished: BTreeMap<u32, Finish>,
    is_over: bool,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    kind: ToolKind,
    arguments: String,
    signature: Option<Sealed>,
}

impl Encoder {
    /// An encoder at the beginning of a stream.
    pub fn new(shown: &Shown<'_>) -> Self {
        Self {
            model: shown.model.map(str::to_owned),
            id: String::new(),
            fallback_id: shown.fallback_id.to_owned(),
            usage: Usage::default(),
            calls: BTreeMap::new(),
            thoughts: BTreeSet::new(),
            finished: BTreeMap::new(),
            is_over: false,
        }
    }

    /// Writes the frames of one event.
    pub fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, usage, .. } => {
                self.id.clone_from(id);
                self.model.get_or_insert_with(|| model.clone());
                self.usage = usage.unwrap_or_default();
            }
            Event::Open { choice, part, opening } => self.open((*choice, *part), opening, out),
            Event::Delta { choice, part, delta } => self.delta((*choice, *part), delta, out),
            Event::Close { choice, part } => {
                self.thoughts.remove(&(*choice, *part));
                if let Some(call) = self.calls.remove(&(*choice, *part)) {
                    let Call { id, name, kind, arguments, signature } = call;
                    let call = Content::ToolCall { id, name, arguments, kind };
                    self.part(*choice, &Part { signature, ..call.into() }, out);
                }
            }
            Event::Finish { choice, finish, .. } => {
                self.finished.insert(*choice, finish.clone());
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Error(cause) => {
                error::encode_event(cause, out);
                self.is_over = true;
            }
            Event::End => self.end(out),
            Event::Ping | Event::Extension(_) => {}
        }
    }

    fn open(&mut self, at: (u32, u32), opening: &Opening, out: &mut Vec<u8>) {
        match opening {
            Opening::Reasoning => {
                self.thoughts.insert(at);
            }
            Opening::ToolCall { id, name, kind, signature, .. } => {
                let call = Call {
                    id: id.clone(),
                    name: name.clone(),
                    kind: *kind,
                    arguments: String::new(),
                    signature: signature.clone(),
                };
                self.calls.insert(at, call);
            }
            Opening::Whole(part) if shows(part) => self.part(at.0, part, out),
            Opening::Text | Opening::Refusal | Opening::Whole(_) => {}
        }
    }

    fn delta(&mut self, at: (u32, u32), delta: &Delta, out: &mut Vec<u8>) {
        let is_thought = self.thoughts.contains(&at);
        match delta {
            Delta::Text(text) if is_thought => {
                let thought = Thought { text: Some(text.clone()), ..Thought::default() };
                self.part(at.0, &Content::Reasoning(thought).into(), out);
            }
            Delta::Text(text) => {
                let text = Content::Text { text: text.clone(), citations: Vec::new() };
                self.part(at.0, &text.into(), out);
            }
            Delta::Arguments(text) => {
                if let Some(call) = self.calls.get_mut(&at) {
                    call.arguments.push_str(text);
                }
            }
            Delta::Signature(sealed) => {
                if let Some(call) = self.calls.get_mut(&at) {
                    call.signature = Some(sealed.clone());
                    return;
                }
                let content = if is_thought {
                    let (text, signature) = (Some(String::new()), Some(sealed.clone()));
                    Content::Reasoning(Thought { text, signature, redacted: None })
                } else {
                    Content::Text { text: String::new(), citations: Vec::new() }
                };
                let signature = Some(sealed.clone()).filter(|_| !is_thought);
                self.part(at.0, &Part { signature, ..content.into() }, out);
            }
            Delta::Citation(_) | Delta::Opaque(_) => {}
        }
    }

    fn part(&self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        self.frame(out, |answer| {
            answer.array("candidates", [part], |out, part| {
                let mut candidate = ObjectWriter::new(out);
                candidate.object("content", |content| {
                    content.array("parts", [part], write_part);
                    content.member("role", "model");
                });
                candidate.member("index", &choice);
                candidate.end();
            });
        });
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.frame(out, |answer| {
            answer.array("candidates", &self.finished, |out, (choice, finish)| {
                let mut candidate = ObjectWriter::new(out);
                candidate.object("content", |content| {
                    let nothing = Content::Text { text: String::new(), citations: Vec::new() };
                    content.array("parts", [&nothing.into()], write_part);
                    content.member("role", "model");
                });
                candidate.member("finishReason", &word_of(finish));
                candidate.member("index", choice);
                candidate.end();
            });
        });
    }

    fn frame(&self, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.extend_from_slice(b"data: ");
        let from = out.len();
        let mut answer = ObjectWriter::new(out);
        fill(&mut answer);
        if self.usage != Usage::default() {
            answer.object("usageMetadata", |object| usage::write(object, &self.usage));
        }
        let model = self.model.as_deref();
        let shown =
            Shown { model, fallback_id: &self.fallback_id, created_unix_s: 0, include_usage: true };
        write_head(&mut answer, &self.id, "", &shown);
        answer.end();
        one_line(out, from);
        out.extend_from_slice(b"\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        Self::push(self, event, out);
    }
}
