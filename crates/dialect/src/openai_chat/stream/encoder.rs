//! A stream, written for a client of OpenAI's.
//!
//! Each choice begins with its role, once; each tool call with its index, id
//! and name; usage comes last, in a chunk of its own without choices, and only
//! if it was asked for. `[DONE]` stands only for [`Event::End`].
//!
//! Every item of a list in a delta has its `index`: the official clients put
//! pieces together by it, and fail without it at the second.

use crate::additions::EXTRA_CONTENT;
use crate::contract::StreamEncoder;
use crate::json::read::Object;
use crate::json::write::{self, ObjectWriter};
use crate::model::{
    Content, Delta, Event, Extension, Opening, Origin, Part, Sealed, Thought, ToolKind,
};
use crate::openai_chat::assistant::{
    arguments_or_empty, encode_beside, encode_call, encode_citation,
};
use crate::openai_chat::extension;
use crate::openai_chat::response::{encode_image, encode_thinking_block};
use crate::openai_chat::{error, finish, usage};
use crate::{Dialect, Json, Shown, Usage};

/// Writes a chat completions stream, one event at a time.
#[derive(Debug)]
pub struct Encoder {
    id: String,
    model: Option<String>,
    created_unix_s: i64,
    include_usage: bool,
    /// The members that every chunk begins with, once they are known.
    head: Vec<u8>,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// Fields for the next chunk.
    extensions: Vec<Extension>,
}

#[derive(Debug, Default)]
struct Choice {
    begun: bool,
    parts: Vec<Written>,
    calls: usize,
    images: usize,
    annotations: usize,
    thinking_blocks: usize,
}

#[derive(Debug, Default)]
enum Written {
    #[default]
    Words,
    Refusal,
    Thought(Thought),
    Call {
        index: usize,
        kind: ToolKind,
        any_arguments: bool,
    },
}

impl Encoder {
    /// At the stream's beginning.
    pub fn new(shown: &Shown<'_>) -> Self {
        Self {
            id: shown.fallback_id.to_owned(),
            model: shown.model.map(str::to_owned),
            created_unix_s: shown.created_unix_s,
            include_usage: shown.include_usage,
            head: Vec::new(),
            choices: Vec::new(),
            usage: None,
            extensions: Vec::new(),
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
            Event::Open { choice, part, opening } => self.open(*choice, *part, opening, out),
            Event::Delta { choice, part, delta } => self.delta(*choice, *part, delta, out),
            Event::Close { choice, part } => self.close(*choice, *part, out),
            Event::Finish { choice, finish, stop_sequence } => {
                self.begin(*choice, out);
                let (word, native) = finish::encode(finish);
                self.chunk(*choice, out, |object| {
                    object.object("delta", |_| {});
                    object.member("finish_reason", word);
                    object.maybe("native_finish_reason", native.as_ref());
                    object.maybe("stop_reason", stop_sequence.as_ref());
                });
            }
            Event::Usage(used) => self.usage = Some(*used),
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Extension(extension) => {
                if extension.source == Dialect::OpenAiChat {
                    self.extensions.retain(|known| known.name != extension.name);
                    self.extensions.push(extension.clone());
                }
            }
            Event::Error(failure) => error::encode_event(failure, out),
            Event::End => self.end(out),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if let (true, Some(used)) = (self.include_usage, self.usage) {
            self.frame(out, |object| {
                object.key("choices").extend_from_slice(b"[]");
                object.object("usage", |object| usage::encode(&used, object));
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Writes the members that all chunks share, then the rest.
    fn frame(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        if self.head.is_empty() {
            let mut head = Vec::new();
            let mut object = ObjectWriter::new(&mut head);
            object.member("id", &self.id);
            object.member("object", "chat.completion.chunk");
            object.member("created", &self.created_unix_s);
            object.member("model", self.model.as_deref().unwrap_or_default());
            self.head = head;
        }
        out.extend_from_slice(b"data: ");
        let from = out.len();
        let mut object = ObjectWriter::resume(out, &self.head);
        extension::write(&mut object, &self.extensions);
        self.extensions.clear();
        fill(&mut object);
        object.end();
        write::one_line(out, from);
        out.extend_from_slice(b"\n\n");
    }

    /// Writes a chunk of one choice.
    fn chunk(&mut self, choice: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let usage_to_come = self.include_usage;
        self.frame(out, |object| {
            let out = object.key("choices");
            out.push(b'[');
            write::object(out, |object| {
                object.member("index", &choice);
                fill(object);
            });
            out.push(b']');
            if usage_to_come {
                object.null("usage");
            }
        });
    }

    /// Writes a chunk with a delta and no end.
    fn delta_chunk(
        &mut self,
        choice: u32,
        out: &mut Vec<u8>,
        fill: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        self.begin(choice, out);
        self.chunk(choice, out, |object| {
            object.object("delta", fill);
            object.null("finish_reason");
        });
    }

    /// Says the role, before anything else of a choice.
    fn begin(&mut self, choice: u32, out: &mut Vec<u8>) {
        let state = self.state(choice);
        if state.begun {
            return;
        }
        state.begun = true;
        self.chunk(choice, out, |object| {
            object.object("delta", |delta| {
                delta.member("role", "assistant");
                delta.member("content", "");
            });
            object.null("finish_reason");
        });
    }

    fn state(&mut self, choice: u32) -> &mut Choice {
        let at = choice as usize;
        if self.choices.len() <= at {
            self.choices.resize_with(at + 1, Choice::default);
        }
        match self.choices.get_mut(at) {
            Some(state) => state,
            None => unreachable!("it was made just above"),
        }
    }

    fn open(&mut self, choice: u32, part: u32, opening: &Opening, out: &mut Vec<u8>) {
        let written = match opening {
            Opening::Text => Written::Words,
            Opening::Refusal => Written::Refusal,
            Opening::Reasoning => Written::Thought(Thought::default()),
            Opening::ToolCall { id, name, kind, signature, extensions } => {
                let beside = (signature.as_ref(), extensions.as_slice());
                let index = self.call(choice, (id, name, ""), *kind, beside, out);
                Written::Call { index, kind: *kind, any_arguments: false }
            }
            Opening::Whole(whole) => {
                self.whole(choice, whole, out);
                Written::Words
            }
        };
        let parts = &mut self.state(choice).parts;
        let at = part as usize;
        if parts.len() <= at {
            parts.resize_with(at + 1, Written::default);
        }
        if let Some(slot) = parts.get_mut(at) {
            *slot = written;
        }
    }

    /// Begins a call; all of its arguments may come with it.
    fn call(
        &mut self,
        choice: u32,
        (id, name, arguments): (&str, &str, &str),
        kind: ToolKind,
        (signature, extensions): (Option<&Sealed>, &[Extension]),
        out: &mut Vec<u8>,
    ) -> usize {
        let index = next(&mut self.state(choice).calls);
        self.delta_chunk(choice, out, |delta| {
            delta.array("tool_calls", [index], |out, index| {
                write::object(out, |call| {
                    encode_call(call, Some(index), id, name, arguments, kind);
                    encode_beside(call, signature, extensions);
                });
            });
        });
        index
    }

    /// Writes members next to call number `at` that came after its beginning.
    fn beside_call(
        &mut self,
        choice: u32,
        at: usize,
        out: &mut Vec<u8>,
        fill: impl Fn(&mut ObjectWriter<'_>),
    ) {
        self.delta_chunk(choice, out, |delta| {
            delta.array("tool_calls", [at], |out, at| {
                write::object(out, |call| {
                    call.member("index", &at);
                    fill(call);
                });
            });
        });
    }

    fn whole(&mut self, choice: u32, part: &Part, out: &mut Vec<u8>) {
        match &part.content {
            Content::Reasoning(thought) => self.thinking_block(choice, thought, out),
            Content::Text { text, .. } => {
                self.delta_chunk(choice, out, |delta| delta.member("content", text));
            }
            Content::Refusal(text) => {
                self.delta_chunk(choice, out, |delta| delta.member("refusal", text));
            }
            Content::ToolCall { id, name, arguments, kind } => {
                let arguments = arguments_or_empty(arguments, *kind);
                let beside = (part.signature.as_ref(), part.extensions.as_slice());
                self.call(choice, (id, name, arguments), *kind, beside, out);
            }
            Content::Image { .. } => {
                let at = next(&mut self.state(choice).images);
                self.delta_chunk(choice, out, |delta| {
                    delta.array("images", [at], |out, at| {
                        write::object(out, |image| encode_image(at, part, image));
                    });
                });
            }
            _ => {}
        }
    }

    fn thinking_block(&mut self, choice: u32, thought: &Thought, out: &mut Vec<u8>) {
        let thought = thought.of(Origin::Anthropic);
        if thought.signature.is_none() && thought.redacted.is_none() {
            return;
        }
        let at = next(&mut self.state(choice).thinking_blocks);
        self.delta_chunk(choice, out, |delta| {
            delta.array("thinking_blocks", [at], |out, at| {
                write::object(out, |block| {
                    block.member("index", &at);
                    encode_thinking_block(&thought, block);
                });
            });
        });
    }

    fn annotation(&mut self, choice: u32, annotation: &Json, out: &mut Vec<u8>) {
        let Ok(members) = Object::of(annotation.into()) else { return };
        let at = next(&mut self.state(choice).annotations);
        self.delta_chunk(choice, out, |delta| {
            delta.array("annotations", [at], |out, at| {
                write::object(out, |object| {
                    object.member("index", &at);
                    for (name, value) in members.members().filter(|(name, _)| *name != "index") {
                        object.member(name, &value);
                    }
                });
            });
        });
    }

    fn delta(&mut self, choice: u32, part: u32, delta: &Delta, out: &mut Vec<u8>) {
        let Some(written) = self.state(choice).parts.get_mut(part as usize) else { return };
        match delta {
            Delta::Text(text) => {
                let field = match written {
                    Written::Refusal => "refusal",
                    Written::Thought(thought) => {
                        thought.text.get_or_insert_default().push_str(text);
                        "reasoning_content"
                    }
                    Written::Words | Written::Call { .. } => "content",
                };
                self.delta_chunk(choice, out, |delta| delta.member(field, text));
            }
            Delta::Arguments(text) => self.arguments(choice, part, text, out),
            Delta::Signature(signature) => {
                if let Written::Thought(thought) = written {
                    thought.signature = Some(signature.clone());
                } else if let Written::Call { index, .. } = &*written {
                    let at = *index;
                    self.beside_call(choice, at, out, |call| {
                        encode_beside(call, Some(signature), &[]);
                    });
                }
            }
            Delta::Citation(citation) => {
                if let Some(annotation) = encode_citation(citation) {
                    self.annotation(choice, &annotation, out);
                }
            }
            Delta::Opaque(extension) => {
                if let (Written::Call { index, .. }, true) = (&*written, is_extra(extension)) {
                    let at = *index;
                    self.beside_call(choice, at, out, |call| extension::write(call, [extension]));
                } else if extension.source == Dialect::OpenAiChat && extension.name == "logprobs" {
                    self.begin(choice, out);
                    self.chunk(choice, out, |object| {
                        object.object("delta", |_| {});
                        object.member("logprobs", &extension.value);
                        object.null("finish_reason");
                    });
                }
            }
        }
    }

    fn arguments(&mut self, choice: u32, part: u32, text: &str, out: &mut Vec<u8>) {
        let written = self.state(choice).parts.get_mut(part as usize);
        let Some(Written::Call { index, kind, any_arguments }) = written else { return };
        if text.is_empty() {
            return;
        }
        *any_arguments = true;
        let (index, kind) = (*index, *kind);
        let (holder, field) = match kind {
            ToolKind::Function => ("function", "arguments"),
            ToolKind::Custom => ("custom", "input"),
        };
        self.delta_chunk(choice, out, |delta| {
            delta.array("tool_calls", [index], |out, index| {
                write::object(out, |call| {
                    call.member("index", &index);
                    call.object(holder, |inner| inner.member(field, text));
                });
            });
        });
    }

    fn close(&mut self, choice: u32, part: u32, out: &mut Vec<u8>) {
        let written = self.state(choice).parts.get_mut(part as usize);
        match written.map(std::mem::take) {
            // Clients parse the arguments of every call.
            Some(Written::Call { index, kind: ToolKind::Function, any_arguments: false }) => {
                let again = Written::Call { index, kind: ToolKind::Function, any_arguments: false };
                if let Some(slot) = self.state(choice).parts.get_mut(part as usize) {
                    *slot = again;
                }
                self.arguments(choice, part, "{}", out);
            }
            // A signature covers the whole block, so it is said whole.
            Some(Written::Thought(thought)) if thought.signature.is_some() => {
                self.thinking_block(choice, &thought, out);
            }
            _ => {}
        }
    }
}

impl StreamEncoder for Encoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        Self::push(self, event, out);
    }
}

/// What stands beside a call, and came after its beginning.
fn is_extra(extension: &Extension) -> bool {
    extension.source == Dialect::OpenAiChat && extension.name == EXTRA_CONTENT
}

/// The number of the next item, counted.
fn next(count: &mut usize) -> usize {
    let at = *count;
    *count += 1;
    at
}
