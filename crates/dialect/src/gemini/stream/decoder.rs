//! Gemini's events read, one at a time.

use super::super::extension::take;
use super::super::part::{self, Ids};
use super::super::{error, response, usage};
use crate::contract::StreamDecoder;
use crate::json::read::{Object, Raw, Wrong, items, list};
use crate::model::{Content, Delta, Event, Finish, Opening, Part};
use crate::{DecodeError, Usage, sse};
use std::collections::BTreeMap;

/// Turns an upstream's events into the model's.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    over: bool,
    blocked: bool,
    searched: bool,
    ids: Ids,
    usage: Option<Usage>,
    /// By the candidate's number.
    candidates: BTreeMap<u32, Candidate>,
}

#[derive(Debug, Default)]
struct Candidate {
    open: Option<(Kind, u32)>,
    next_part: u32,
    called: bool,
    finished: bool,
}

/// The parts that go on over several events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Thought,
}

impl Decoder {
    /// Reads one event. After [`Event::Error`] nothing more comes.
    ///
    /// # Errors
    /// If the event's data is not an answer of this dialect.
    pub fn push(&mut self, event: sse::Event<'_>, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let data = event.data.trim();
        if self.over || data.is_empty() || data == "[DONE]" {
            return Ok(());
        }
        let answer = Object::parse(data).map_err(|e| DecodeError {
            message: format!("an event of the provider's stream is not readable: {e}"),
            param: None,
        })?;
        if let Some(error) = error::of_event(&answer) {
            self.close_all(out);
            out.push(Event::Error(error));
            self.over = true;
            return Ok(());
        }
        self.read(answer, out).map_err(DecodeError::from)
    }

    /// The upstream's bytes ended. The stream is complete if every candidate had
    /// its reason, or the prompt was refused.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        if self.over {
            return;
        }
        self.over = true;
        self.close_all(out);
        let all = self.candidates.values().all(|candidate| candidate.finished);
        if self.blocked && self.candidates.is_empty() {
            out.push(Event::Finish {
                choice: 0,
                finish: Finish::ContentFilter,
                stop_sequence: None,
            });
            out.push(Event::End);
        } else if all && !self.candidates.is_empty() {
            out.push(Event::End);
        }
    }

    fn read(&mut self, mut answer: Object<'_>, out: &mut Vec<Event>) -> Result<(), Wrong> {
        let (id, model) = response::head(&mut answer);
        let mut usage = take(&mut answer, "usageMetadata").and_then(usage::read);
        if !self.started {
            self.started = true;
            out.push(Event::Start { id, model, created_unix_s: None, usage });
        }
        self.blocked |= response::is_blocked(&answer);
        if let Some(raw) = answer.take("candidates") {
            let all = list(raw).map_err(|e| e.within("candidates"))?;
            for (at, raw) in all.into_iter().enumerate() {
                self.candidate(raw, at, out).map_err(|e| e.at(at).within("candidates"))?;
            }
        }
        if let Some(usage) = &mut usage {
            usage.searches = u64::from(self.searched);
        }
        if usage.is_some() && usage != self.usage {
            self.usage = usage;
            out.extend(usage.map(Event::Usage));
        }
        Ok(())
    }

    fn candidate(&mut self, raw: Raw<'_>, at: usize, out: &mut Vec<Event>) -> Result<(), Wrong> {
        let mut fields = Object::of(raw)?;
        let number = fields.whole("index").and_then(|number| u32::try_from(number).ok());
        let choice = number.or_else(|| u32::try_from(at).ok()).unwrap_or(0);
        let state = self.candidates.entry(choice).or_default();
        let content = fields.object("content").unwrap_or_default();
        for raw in content.get("parts").and_then(items).unwrap_or_default() {
            // The mark of the end of a call that came in pieces.
            let part = match part::decode(raw, &mut self.ids) {
                Ok(part) => part,
                Err(_) if raw.text().contains("functionCall") => continue,
                Err(wrong) => return Err(wrong),
            };
            state.say(choice, part, out);
        }
        if let Some(raw) = fields.get("groundingMetadata") {
            self.searched |= response::is_searched(raw);
            out.push(Event::Extension(response::of_candidate("groundingMetadata", raw)));
        }
        if let Some(word) = take(&mut fields, "finishReason").map(response::reason)
            && !state.finished
        {
            state.finished = true;
            state.close(choice, out);
            let finish = response::finish(&word, state.called);
            out.push(Event::Finish { choice, finish, stop_sequence: None });
        }
        Ok(())
    }

    fn close_all(&mut self, out: &mut Vec<Event>) {
        for (choice, candidate) in &mut self.candidates {
            candidate.close(*choice, out);
        }
    }
}

impl Candidate {
    fn say(&mut self, choice: u32, said: Part, out: &mut Vec<Event>) {
        if self.finished {
            return;
        }
        let Part { content, signature, extensions, .. } = said;
        match content {
            Content::Text { text, .. } => {
                if text.is_empty() && signature.is_none() {
                    return;
                }
                // A signature is of its own words alone.
                if signature.is_some() {
                    self.close(choice, out);
                }
                let part = self.go_on(choice, Kind::Text, out);
                if !text.is_empty() {
                    out.push(Event::Delta { choice, part, delta: Delta::Text(text) });
                }
                if let Some(sealed) = signature {
                    out.push(Event::Delta { choice, part, delta: Delta::Signature(sealed) });
                    self.close(choice, out);
                }
            }
            Content::Reasoning(thought) if thought.redacted.is_none() => {
                let part = self.go_on(choice, Kind::Thought, out);
                if let Some(text) = thought.text.filter(|text| !text.is_empty()) {
                    out.push(Event::Delta { choice, part, delta: Delta::Text(text) });
                }
                if let Some(sealed) = thought.signature {
                    out.push(Event::Delta { choice, part, delta: Delta::Signature(sealed) });
                    self.close(choice, out);
                }
            }
            Content::ToolCall { id, name, arguments, kind } => {
                self.called = true;
                let opening = Opening::ToolCall { id, name, kind, signature, extensions };
                let part = self.begin(choice, opening, out);
                if !arguments.is_empty() {
                    out.push(Event::Delta { choice, part, delta: Delta::Arguments(arguments) });
                }
                out.push(Event::Close { choice, part });
            }
            content => {
                let whole = Part { signature, extensions, ..content.into() };
                let part = self.begin(choice, Opening::Whole(whole), out);
                out.push(Event::Close { choice, part });
            }
        }
    }

    /// The number of the open part of this kind, which is opened if need be.
    fn go_on(&mut self, choice: u32, kind: Kind, out: &mut Vec<Event>) -> u32 {
        if let Some((open, part)) = self.open
            && open == kind
        {
            return part;
        }
        let opening = match kind {
            Kind::Text => Opening::Text,
            Kind::Thought => Opening::Reasoning,
        };
        let part = self.begin(choice, opening, out);
        self.open = Some((kind, part));
        part
    }

    fn begin(&mut self, choice: u32, opening: Opening, out: &mut Vec<Event>) -> u32 {
        self.close(choice, out);
        let part = self.next_part;
        self.next_part = part.saturating_add(1);
        out.push(Event::Open { choice, part, opening });
        part
    }

    fn close(&mut self, choice: u32, out: &mut Vec<Event>) {
        if let Some((_, part)) = self.open.take() {
            out.push(Event::Close { choice, part });
        }
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
