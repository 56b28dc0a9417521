//! An upstream's stream, read.
//!
//! Finishes are held back until the stream's end: providers repeat them, send
//! them before the last tool call, or send usage after them. The end is
//! `[DONE]`, Perplexity's `chat.completion.done`, or the connection's end after
//! every choice has finished.

use super::choice::{Choice, stop_sequence, telling};
use crate::contract::StreamDecoder;
use crate::json::read::{Object, Raw, items, string, whole};
use crate::model::{Event, Extension, Finish};
use crate::openai_chat::extension::rest;
use crate::openai_chat::response::NOISE;
use crate::openai_chat::{error, finish, usage};
use crate::{DecodeError, Usage, sse};

/// More answers to one prompt than anybody offers; above it a stream is broken.
const CHOICES_MAX: u64 = 1024;

/// How many different fields of chunks are carried on.
const EXTENSIONS_MAX: usize = 64;

/// What goes by in chunks and is worth nothing afterwards.
const PASSING: [&str; 6] = [
    "prompt_filter_results",
    "x_groq",
    "time_info",
    "timings",
    "sla_metrics",
    "latency_checkpoint",
];

/// Reads a chat completions stream, one event at a time.
#[derive(Debug, Default)]
pub struct Decoder {
    id: String,
    started: bool,
    ended: bool,
    choices: Vec<Slot>,
    usage: Option<Usage>,
    /// The last of each extension, so that repetitions pass silently.
    extensions: Vec<Extension>,
}

#[derive(Debug)]
struct Slot {
    choice: Choice,
    seen: bool,
    finish: Option<Finish>,
    stop_sequence: Option<String>,
}

impl Decoder {
    /// At the stream's beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads one event.
    ///
    /// # Errors
    /// Where the event's data is neither `[DONE]` nor a JSON object.
    pub fn push(&mut self, event: sse::Event<'_>, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        let data = event.data.trim();
        if self.ended {
            return Ok(());
        }
        if data.is_empty() {
            out.push(Event::Ping);
            return Ok(());
        }
        if data == "[DONE]" {
            self.end(out);
            return Ok(());
        }
        let mut chunk = Object::parse(data).map_err(|error| DecodeError {
            message: format!("a chunk of the provider's stream is not a JSON object: {error}"),
            param: None,
        })?;
        let failure = match event.name {
            Some("error") => error::of_fields(200, &chunk),
            _ => error::in_fields(&chunk),
        };
        if let Some(failure) = failure {
            self.fail(failure, out);
            return Ok(());
        }
        let done = chunk.text("object").as_deref() == Some("chat.completion.done");
        let choices = chunk.take("choices").and_then(items).unwrap_or_default();
        self.start(&mut chunk, !choices.is_empty(), out);
        for (at, raw) in choices.into_iter().enumerate() {
            self.choice(raw, at, out);
        }
        let groq = chunk.object("x_groq").unwrap_or_default();
        for raw in [groq.get("usage"), chunk.take("usage")].into_iter().flatten() {
            self.usage(raw, out);
        }
        self.remember(&chunk, out);
        if done {
            self.end(out);
        }
        Ok(())
    }

    /// The upstream closed the connection.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        let mut seen = self.choices.iter().filter(|slot| slot.seen).peekable();
        if seen.peek().is_some() && seen.all(|slot| slot.finish.is_some()) {
            self.end(out);
            return;
        }
        self.ended = true;
        for slot in &mut self.choices {
            slot.choice.close(out);
        }
    }

    fn start(&mut self, chunk: &mut Object<'_>, has_choices: bool, out: &mut Vec<Event>) {
        let id = chunk.take("id").and_then(string).unwrap_or_default();
        let model = chunk.take("model").and_then(string).unwrap_or_default();
        let created = chunk.take("created").and_then(whole).filter(|s| *s > 0);
        // Azure's first chunk has no id, no model and no choices.
        if self.started || (id.is_empty() && !has_choices) {
            return;
        }
        self.started = true;
        self.id.clone_from(&id);
        let created_unix_s = created.and_then(|s| i64::try_from(s).ok());
        out.push(Event::Start { id, model, created_unix_s, usage: None });
    }

    fn choice(&mut self, raw: Raw<'_>, at: usize, out: &mut Vec<Event>) {
        let Ok(fields) = Object::of(raw) else { return };
        let index = fields.whole("index").unwrap_or(at as u64);
        if index >= CHOICES_MAX {
            return;
        }
        while self.choices.len() as u64 <= index {
            let choice = Choice::new(self.choices.len() as u32, &self.id);
            self.choices.push(Slot { choice, seen: false, finish: None, stop_sequence: None });
        }
        let Some(slot) = self.choices.get_mut(index as usize) else { return };
        slot.seen = true;
        match (fields.object("delta"), fields.object("message"), fields.get("text")) {
            (Some(delta), _, _) => slot.choice.delta(&delta, out),
            // A whole message instead of pieces: once, and only if none came.
            (None, Some(message), _) if slot.choice.is_empty() => slot.choice.delta(&message, out),
            (None, None, Some(text)) => slot.choice.text(text, out),
            _ => {}
        }
        if let Some(logprobs) = fields.get("logprobs") {
            slot.choice.logprobs(logprobs, out);
        }
        let word = fields.get("finish_reason");
        if let Some(finish) = finish::decode(word, fields.get("native_finish_reason")) {
            slot.finish = Some(finish);
        }
        if let Some(text) = stop_sequence(&fields) {
            slot.stop_sequence = Some(text);
        }
    }

    fn usage(&mut self, raw: Raw<'_>, out: &mut Vec<Event>) {
        let Some(used) = usage::decode(raw) else { return };
        if self.usage != Some(used) {
            self.usage = Some(used);
            out.push(Event::Usage(used));
        }
    }

    fn remember(&mut self, chunk: &Object<'_>, out: &mut Vec<Event>) {
        for extension in rest("", chunk) {
            let name = extension.name.as_str();
            if NOISE.contains(&name) || PASSING.contains(&name) || !telling(&extension) {
                continue;
            }
            let full = self.extensions.len() >= EXTENSIONS_MAX;
            match self.extensions.iter_mut().find(|known| known.name == name) {
                Some(known) if *known == extension => continue,
                Some(known) => *known = extension.clone(),
                None if full => continue,
                None => self.extensions.push(extension.clone()),
            }
            out.push(Event::Extension(extension));
        }
    }

    fn fail(&mut self, failure: crate::ApiError, out: &mut Vec<Event>) {
        self.ended = true;
        for slot in &mut self.choices {
            slot.choice.close(out);
        }
        out.push(Event::Error(failure));
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        self.ended = true;
        for (number, slot) in self.choices.iter_mut().enumerate() {
            slot.choice.close(out);
            // Snowflake says `[DONE]` without ever saying why.
            let finish = slot.finish.take().unwrap_or(Finish::Stop);
            out.push(Event::Finish {
                choice: number as u32,
                finish: finish::corrected(finish, slot.choice.called()),
                stop_sequence: slot.stop_sequence.take(),
            });
        }
        out.push(Event::End);
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
