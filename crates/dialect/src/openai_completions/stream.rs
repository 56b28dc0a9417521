//! Streams: text as it comes, then why it ended, then usage, then `[DONE]`.

use crate::contract::StreamEncoder;
use crate::json::write;
use crate::model::{Content, Delta, Event, Opening};
use crate::openai_chat::{error, finish, usage};
use crate::{Shown, Usage};
use std::collections::BTreeSet;

/// Writes a legacy completions stream, one event at a time.
#[derive(Debug)]
pub struct Encoder {
    id: String,
    model: Option<String>,
    created_unix_s: i64,
    include_usage: bool,
    usage: Option<Usage>,
    /// Parts that are words for the client, by choice and part.
    spoken: BTreeSet<(u32, u32)>,
}

impl Encoder {
    /// At the stream's beginning.
    pub fn new(shown: &Shown<'_>) -> Self {
        Self {
            id: shown.fallback_id.to_owned(),
            model: shown.model.map(str::to_owned),
            created_unix_s: shown.created_unix_s,
            include_usage: shown.include_usage,
            usage: None,
            spoken: BTreeSet::new(),
        }
    }

    /// Writes one event's frames, if it has any.
    pub fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match event {
            Event::Start { id, model, created_unix_s, usage } => {
                if !id.is_empty() {
                    self.id.clone_from(id);
                }
                self.model.get_or_insert_with(|| model.clone());
                self.created_unix_s = created_unix_s.unwrap_or(self.created_unix_s);
                self.usage = *usage;
            }
            Event::Open { choice, part, opening } => match opening {
                Opening::Text | Opening::Refusal => {
                    self.spoken.insert((*choice, *part));
                }
                Opening::Whole(whole) => {
                    if let Content::Text { text, .. } = &whole.content {
                        self.chunk(Some((*choice, text, None)), out);
                    }
                }
                Opening::Reasoning | Opening::ToolCall { .. } => {}
            },
            Event::Delta { choice, part, delta: Delta::Text(text) } => {
                if self.spoken.contains(&(*choice, *part)) {
                    self.chunk(Some((*choice, text, None)), out);
                }
            }
            Event::Finish { choice, finish, .. } => {
                self.chunk(Some((*choice, "", Some(finish::encode(finish).0))), out);
            }
            Event::Usage(used) => self.usage = Some(*used),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Error(failure) => error::encode_event(failure, out),
            Event::End => {
                if self.include_usage && self.usage.is_some() {
                    self.chunk(None, out);
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
            Event::Delta { .. } | Event::Close { .. } | Event::Extension(_) => {}
        }
    }

    /// Writes a chunk of one choice, or the last one, which holds usage.
    fn chunk(&self, piece: Option<(u32, &str, Option<&str>)>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        write::object(out, |object| {
            object.member("id", &self.id);
            object.member("object", "text_completion");
            object.member("created", &self.created_unix_s);
            object.member("model", self.model.as_deref().unwrap_or_default());
            object.array("choices", piece, |out, (choice, text, word)| {
                write::object(out, |object| {
                    object.member("text", text);
                    object.member("index", &choice);
                    object.null("logprobs");
                    object.member("finish_reason", &word);
                });
            });
            match self.usage.filter(|_| piece.is_none()) {
                Some(used) => object.object("usage", |object| usage::encode(&used, object)),
                None if self.include_usage => object.null("usage"),
                None => {}
            }
        });
        out.extend_from_slice(b"\n\n");
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        Self::push(self, event, out);
    }
}
