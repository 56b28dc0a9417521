//! A stream folded up into the answer that it spells.
//!
//! For clients that asked for a whole answer where the upstream streams, and
//! for tests: the fold of a stream equals the unary answer. It keeps what it is
//! told and judges nothing; ask [`Fold::is_complete`] whether the stream ended
//! as its dialect ends streams.

use crate::{
    ApiError, Dialect, Json,
    model::{Choice, Content, Delta, Event, Extension, Finish, Opening, Part, Response, Thought},
};
use std::collections::BTreeMap;

/// A stream so far.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    response: Response,
    choices: BTreeMap<u32, Folding>,
    error: Option<ApiError>,
    complete: bool,
}

#[derive(Clone, Debug, Default)]
struct Folding {
    parts: BTreeMap<u32, Part>,
    finish: Option<Finish>,
    stop_sequence: Option<String>,
    /// Items of OpenAI's `logprobs.content`, which come by chunk.
    logprobs: Vec<Json>,
}

impl Fold {
    /// At the stream's beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// The provider's error inside the stream, if it sent one.
    pub fn error(&self) -> Option<&ApiError> {
        self.error.as_ref()
    }

    /// Whether the stream ended as its dialect ends streams.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes one event in.
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Start { id, model, created_unix_s, usage } => {
                self.response.id.clone_from(id);
                self.response.model.clone_from(model);
                self.response.created_unix_s = *created_unix_s;
                self.response.usage = *usage;
            }
            Event::Open { choice, part, opening } => {
                let parts = &mut self.choices.entry(*choice).or_default().parts;
                parts.insert(*part, opened(opening));
            }
            Event::Delta { choice, part, delta } => {
                self.choices.entry(*choice).or_default().delta(*part, delta);
            }
            Event::Finish { choice, finish, stop_sequence } => {
                let folding = self.choices.entry(*choice).or_default();
                folding.finish = Some(finish.clone());
                folding.stop_sequence.clone_from(stop_sequence);
            }
            Event::Usage(usage) => self.response.usage = Some(*usage),
            Event::Extension(extension) => self.extension(extension),
            Event::Error(error) => self.error = Some(error.clone()),
            Event::End => self.complete = true,
            Event::Close { .. } | Event::Ping => {}
        }
    }

    fn extension(&mut self, extension: &Extension) {
        if extension.name == "service_tier"
            && let Ok(tier) = extension.value.read::<String>()
        {
            self.response.service_tier = Some(tier);
            return;
        }
        let all = &mut self.response.extensions;
        match all.iter_mut().find(|e| e.source == extension.source && e.name == extension.name) {
            Some(known) => known.value = extension.value.clone(),
            None => all.push(extension.clone()),
        }
    }

    /// The answer.
    pub fn finish(self) -> Response {
        let choices = self.choices.into_values().map(Folding::finish).collect();
        Response { choices, ..self.response }
    }
}

impl Folding {
    fn delta(&mut self, part: u32, delta: &Delta) {
        if let Delta::Opaque(extension) = delta
            && extension.source == Dialect::OpenAiChat
            && extension.name == "logprobs"
        {
            let pieces = extension.value.read::<Logprobs>();
            self.logprobs.extend(pieces.ok().and_then(|l| l.content).unwrap_or_default());
            return;
        }
        let Some(part) = self.parts.get_mut(&part) else { return };
        match (delta, &mut part.content) {
            (Delta::Text(piece), Content::Text { text, .. } | Content::Refusal(text)) => {
                text.push_str(piece);
            }
            (Delta::Text(piece), Content::Reasoning(thought)) => {
                thought.text.get_or_insert_default().push_str(piece);
            }
            (Delta::Arguments(piece), Content::ToolCall { arguments, .. }) => {
                arguments.push_str(piece);
            }
            (Delta::Signature(signature), Content::Reasoning(thought)) => {
                thought.signature = Some(signature.clone());
            }
            (Delta::Citation(citation), Content::Text { citations, .. }) => {
                citations.push(citation.clone());
            }
            (Delta::Signature(signature), Content::ToolCall { .. } | Content::Text { .. }) => {
                part.signature = Some(signature.clone());
            }
            (Delta::Opaque(extension), _) => part.extensions.push(extension.clone()),
            _ => {}
        }
    }

    fn finish(self) -> Choice {
        let mut extensions = Vec::new();
        if !self.logprobs.is_empty()
            && let Ok(value) = Json::of(&Logprobs { content: Some(self.logprobs) })
        {
            let (source, name) = (Dialect::OpenAiChat, "logprobs");
            extensions.push(Extension::new(source, name, value));
        }
        Choice {
            parts: self.parts.into_values().collect(),
            finish: self.finish,
            stop_sequence: self.stop_sequence,
            extensions,
        }
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Logprobs {
    content: Option<Vec<Json>>,
}

fn opened(opening: &Opening) -> Part {
    let (signature, extensions) = match opening {
        Opening::ToolCall { signature, extensions, .. } => (signature.clone(), extensions.clone()),
        _ => (None, Vec::new()),
    };
    let content = match opening {
        Opening::Text => Content::Text { text: String::new(), citations: Vec::new() },
        Opening::Refusal => Content::Refusal(String::new()),
        Opening::Reasoning => Content::Reasoning(Thought::default()),
        Opening::ToolCall { id, name, kind, .. } => Content::ToolCall {
            id: id.clone(),
            name: name.clone(),
            arguments: String::new(),
            kind: *kind,
        },
        Opening::Whole(part) => return part.clone(),
    };
    Part { signature, extensions, ..Part::from(content) }
}
