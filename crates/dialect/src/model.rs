//! The neutral model: what every dialect can be translated through.
//!
//! A superset of the dialects, typed. Turns are made of parts; tool arguments
//! stay the text that the model wrote; what one dialect has and the model
//! lacks travels as an [`Extension`] named after its source, goes back out to
//! that same dialect, and to no other.

use crate::{Dialect, Usage, json::Json, json::read::Object};
use serde_json::Number;
use std::borrow::Cow;

/// A conversation to continue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What the client called the model.
    pub model: String,
    /// Instructions that stand before the conversation.
    pub system: Vec<Part>,
    /// The conversation. Adjacent turns may have the same role.
    pub turns: Vec<Turn>,
    /// The client's messages that `turns` came from.
    pub places: Places,
    /// Tools the model may call.
    pub tools: Vec<Tool>,
    /// Which tool it must call, if any.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called in one answer.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer's text.
    pub output_format: Option<OutputFormat>,
    /// How much the model should think.
    pub reasoning: Option<Reasoning>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// The most tokens the answer may have.
    pub max_output_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Whether the answer comes in pieces.
    pub stream: bool,
    /// Whether the client asked for usage at the end of a stream.
    pub include_usage: bool,
    /// The end user, as the client names them.
    pub user: Option<String>,
    /// `auto`, `flex`, `priority`, ….
    pub service_tier: Option<String>,
    /// A cache hint for the whole prompt.
    pub cache: Option<CacheHint>,
    /// What only the source dialect has.
    pub extensions: Vec<Extension>,
}

/// The client's messages that turns came from, for errors that name a part. It
/// is no part of a request's meaning: two requests that differ in it alone are
/// equal.
#[derive(Clone, Debug, Default)]
pub struct Places(Vec<Place>);

/// Where a turn came from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The message of this number; its parts are the turn's.
    Message(usize),
    /// Messages from this number on, each with one tool result.
    Results(usize),
}

impl Places {
    /// Adds the place of the next turn.
    pub(crate) fn push(&mut self, place: Place) {
        self.0.push(place);
    }

    fn of(&self, turn: usize) -> Place {
        // A decoder that says nothing makes a turn of every message.
        self.0.get(turn).copied().unwrap_or(Place::Message(turn))
    }

    /// The place of a turn's part: `messages[2].content[1]`.
    pub(crate) fn part(&self, turn: usize, part: usize) -> String {
        match self.of(turn) {
            Place::Message(message) => format!("messages[{message}].content[{part}]"),
            Place::Results(first) => format!("messages[{}]", first + part),
        }
    }

    /// The place of a part inside a tool's result.
    pub(crate) fn result_part(&self, turn: usize, part: usize, inner: usize) -> String {
        format!("{}.content[{inner}]", self.part(turn, part))
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// One speaker's words.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// The speaker's name, where the dialect has one.
    pub name: Option<String>,
    /// What is said. Tool results stand in user turns, before other parts.
    pub parts: Vec<Part>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions in the middle of a conversation.
    System,
    /// The client's side, tool results included.
    User,
    /// The model.
    Assistant,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub content: Content,
    /// A signature that its provider wants back with it. Thinking has its own.
    pub signature: Option<Sealed>,
    /// Cache the prompt up to here.
    pub cache: Option<CacheHint>,
    /// What only the source dialect has.
    pub extensions: Vec<Extension>,
}

impl Part {
    /// Returns true for text of white space alone; one that its model has signed
    /// says something to it.
    pub(crate) fn is_blank(&self) -> bool {
        match &self.content {
            _ if self.signature.is_some() => false,
            Content::Text { text, .. } | Content::Refusal(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// Its kind in a client's words, for errors.
    pub(crate) fn kind(&self) -> String {
        let kind = match &self.content {
            Content::Image { .. } => "image_url",
            Content::Document { .. } => "file",
            Content::Audio { .. } => "input_audio",
            Content::Opaque { kind, .. } if kind.is_empty() => "a part without a type",
            Content::Opaque { kind, .. } => kind,
            _ => "text",
        };
        kind.to_owned()
    }
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, signature: None, cache: None, extensions: Vec::new() }
    }
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Words.
    Text {
        /// The words.
        text: String,
        /// Where they come from.
        citations: Vec<Citation>,
    },
    /// The model declines, in words.
    Refusal(String),
    /// A picture.
    Image {
        /// Where it is.
        source: Media,
        /// OpenAI's `low`, `high`, `auto`.
        detail: Option<String>,
    },
    /// A PDF or text file.
    Document {
        /// Where it is.
        source: Media,
        /// Its title or file name.
        title: Option<String>,
        /// What the model should know about it.
        context: Option<String>,
        /// Whether the answer should cite it.
        citations: Option<bool>,
    },
    /// Sound.
    Audio {
        /// Base64.
        data: String,
        /// `wav`, `mp3`, ….
        format: String,
    },
    /// The model calls a tool.
    ToolCall {
        /// The call's id, as its provider gave it.
        id: String,
        /// The tool's name.
        name: String,
        /// The arguments as the model wrote them: JSON text, never re-encoded.
        /// Empty stands for no arguments.
        arguments: String,
        /// Function or free-form.
        kind: ToolKind,
    },
    /// What a tool answered.
    ToolResult {
        /// The call's id.
        id: String,
        /// Text, images and documents.
        parts: Vec<Part>,
        /// Whether the tool failed.
        is_error: bool,
    },
    /// What the model thought.
    Reasoning(Thought),
    /// What only its own dialect understands (server tool use, compaction).
    Opaque {
        /// The dialect it came from.
        source: Dialect,
        /// Its `type` there.
        kind: String,
        /// The whole block.
        block: Json,
        /// The same in parts that every dialect has; `None` if it has no such
        /// form.
        plain: Option<Vec<Part>>,
        /// Without a tool of its provider's own it means nothing.
        speaks_to_tool: bool,
    },
}

/// A piece of thinking, with what proves it to its provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thought {
    /// The words, where shown.
    pub text: Option<String>,
    /// The provider's signature over them.
    pub signature: Option<Sealed>,
    /// Encrypted thinking that replaces the words.
    pub redacted: Option<Sealed>,
}

impl Thought {
    /// The same without what models of other origins have sealed.
    pub(crate) fn of(&self, origin: Origin) -> Self {
        let own = |sealed: &Option<Sealed>| sealed.clone().filter(|s| s.origin == origin);
        let (signature, redacted) = (own(&self.signature), own(&self.redacted));
        Self { text: self.text.clone(), signature, redacted }
    }
}

/// Text that only models of its origin can read or check: a signature, or
/// encrypted thinking. It is sent back to them and to no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Whose models made it.
    pub origin: Origin,
    /// As it came.
    pub text: String,
}

impl Sealed {
    /// Text that Claude has sealed.
    pub fn claudes(text: impl Into<String>) -> Self {
        Self { origin: Origin::Anthropic, text: text.into() }
    }

    /// Text that one of Google's models has sealed.
    pub fn googles(text: impl Into<String>) -> Self {
        Self { origin: Origin::Google, text: text.into() }
    }
}

/// Whose models sealed a text, whatever dialect it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Claude.
    Anthropic,
    /// Gemini.
    Google,
}

/// Where a picture or document is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// Base64 in the request.
    Base64 {
        /// `image/png`, `application/pdf`.
        media_type: String,
        /// The bytes.
        data: String,
    },
    /// A link that the provider fetches.
    Url(String),
    /// A file uploaded earlier.
    FileId(String),
    /// Plain text given in place.
    Text(String),
}

/// A source for a stretch of text.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// The link, where there is one.
    pub url: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// First character of the text that it supports, where known.
    pub start: Option<u64>,
    /// After the last character, where known.
    pub end: Option<u64>,
    /// The dialect it came from and its whole form there.
    pub source: (Dialect, Json),
}

/// How long the provider should keep a prompt prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheHint {
    /// `5m`, `1h`; none is the provider's default.
    pub ttl: Option<String>,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// A function with a JSON schema.
    Function {
        /// Its name.
        name: String,
        /// What it does.
        description: Option<String>,
        /// The schema of its arguments.
        parameters: Option<Json>,
        /// Whether arguments must follow the schema exactly.
        strict: Option<bool>,
        /// Cache the tools up to here.
        cache: Option<CacheHint>,
        /// What only the source dialect has.
        extensions: Vec<Extension>,
    },
    /// A tool that only its own dialect has (web search, bash, custom grammar).
    Opaque {
        /// The dialect it came from.
        source: Dialect,
        /// What to call it in messages: `web_search_20250305`.
        kind: String,
        /// The whole entry.
        tool: Json,
    },
}

impl Tool {
    /// The name that a tool choice calls it by.
    pub(crate) fn name(&self) -> Option<Cow<'_, str>> {
        #[derive(serde::Deserialize)]
        struct Named {
            name: Option<String>,
        }
        match self {
            Self::Function { name, .. } => Some(Cow::Borrowed(name)),
            Self::Opaque { tool, .. } => tool.read::<Named>().ok()?.name.map(Cow::Owned),
        }
    }
}

/// Function or free-form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// Arguments are a JSON object.
    Function,
    /// Arguments are free text (OpenAI's `custom`).
    Custom,
}

/// Which tool must be called.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// Some tool.
    Required,
    /// This tool.
    Named(String),
    /// Some of the tools, by their names.
    Allowed {
        /// One of them must be called.
        required: bool,
        /// Which.
        names: Vec<String>,
    },
    /// What only the source dialect has.
    Opaque(Extension),
}

/// The form of the answer's text.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputFormat {
    /// Words.
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// The schema's name, where given.
        name: Option<String>,
        /// What it describes.
        description: Option<String>,
        /// The schema.
        schema: Json,
        /// Whether it must be followed exactly.
        strict: Option<bool>,
    },
}

/// How much the model should think.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    /// A budget in tokens.
    pub budget_tokens: Option<u64>,
    /// On, off, or as the model sees fit.
    pub mode: Option<ReasoningMode>,
}

/// The smallest thinking budget that any provider takes, in tokens: Anthropic's.
pub(crate) const LEAST_BUDGET_TOKENS: u64 = 1_024;

impl Reasoning {
    /// The wish with a budget below the output limit; `None` if no provider takes
    /// one that is so small.
    pub(crate) fn within(mut self, limit_tokens: Option<u64>) -> Option<Self> {
        if let (Some(budget), Some(limit)) = (self.budget_tokens, limit_tokens)
            && budget >= limit
        {
            let room = limit.saturating_sub(1);
            self.budget_tokens = Some(room).filter(|room| *room >= LEAST_BUDGET_TOKENS);
            self.budget_tokens?;
        }
        Some(self)
    }
}

/// Whether the model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningMode {
    /// With the budget given.
    Enabled,
    /// Not at all.
    Disabled,
    /// As the model sees fit.
    Adaptive,
}

/// How the next token is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2 at OpenAI, 0 to 1 at Anthropic.
    pub temperature: Option<Number>,
    /// Nucleus.
    pub top_p: Option<Number>,
    /// Only the k likeliest.
    pub top_k: Option<u64>,
    /// For repeatable answers.
    pub seed: Option<Number>,
    /// Against repeating topics.
    pub presence_penalty: Option<Number>,
    /// Against repeating words.
    pub frequency_penalty: Option<Number>,
    /// Answers to one prompt.
    pub n: Option<u64>,
    /// Whether to return log probabilities.
    pub logprobs: Option<bool>,
    /// How many of them.
    pub top_logprobs: Option<u64>,
    /// Token id to bias.
    pub logit_bias: Option<Json>,
}

impl Sampling {
    /// The names of those that may be refused and do not have the value that
    /// leaving them out has.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &'static str> {
        let beside = |number: &Option<Number>, usual: f64| {
            number.as_ref().and_then(Number::as_f64).is_some_and(|n| (n - usual).abs() > 1e-9)
        };
        [
            ("temperature", beside(&self.temperature, 1.0)),
            ("top_p", beside(&self.top_p, 1.0)),
            ("top_k", self.top_k.is_some()),
            ("presence_penalty", beside(&self.presence_penalty, 0.0)),
            ("frequency_penalty", beside(&self.frequency_penalty, 0.0)),
            ("logprobs", self.logprobs == Some(true)),
            ("top_logprobs", self.top_logprobs.is_some_and(|n| n > 0)),
            ("logit_bias", self.logit_bias.as_ref().is_some_and(|bias| bias.text() != "{}")),
        ]
        .into_iter()
        .filter_map(|(name, chosen)| chosen.then_some(name))
    }
}

/// A field that one dialect has and the model lacks.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The dialect it came from.
    pub source: Dialect,
    /// The field's name there.
    pub name: String,
    /// Its value.
    pub value: Json,
    /// The meaning of leaving it out; judged by the decoder of its dialect, for
    /// fields of a request.
    pub weight: Weight,
}

/// The weight follows from the rest.
impl PartialEq for Extension {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.name == other.name && self.value == other.value
    }
}

/// The meaning of leaving out a field of another dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// Nothing: the model says the same, or the value says nothing.
    #[default]
    Nothing,
    /// Nothing for the answer's meaning; it is named all the same.
    Hint,
    /// Another answer: it is refused, or left out where that is wanted.
    Meaning,
}

impl Extension {
    /// A field of `source`'s, not yet weighed.
    pub fn new(source: Dialect, name: impl Into<String>, value: impl Into<Json>) -> Self {
        Self { source, name: name.into(), value: value.into(), weight: Weight::default() }
    }

    /// Members that are left of an object of `source`'s, named `prefix` + key.
    pub(crate) fn of_rest(source: Dialect, prefix: &str, rest: &Object<'_>) -> Vec<Self> {
        rest.members()
            .map(|(name, value)| Self::new(source, format!("{prefix}{name}"), value))
            .collect()
    }

    /// Returns true if leaving it out changes nothing: an empty value, or
    /// something that is switched off.
    pub(crate) fn says_nothing(&self) -> bool {
        let text: String = self.value.text().split_ascii_whitespace().collect();
        matches!(text.as_str(), "null" | "false" | "[]" | "\"\"")
    }
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// The provider's id.
    pub id: String,
    /// The provider's name of the model.
    pub model: String,
    /// Seconds since 1970, where said.
    pub created_unix_s: Option<i64>,
    /// One, unless `n` asked for more.
    pub choices: Vec<Choice>,
    /// What it consumed.
    pub usage: Option<Usage>,
    /// The tier that served it.
    pub service_tier: Option<String>,
    /// What only the source dialect has.
    pub extensions: Vec<Extension>,
}

/// One of several answers to a prompt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What was said.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// The stop text that ended it.
    pub stop_sequence: Option<String>,
    /// What only the source dialect has (log probabilities).
    pub extensions: Vec<Extension>,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It was complete, or a stop text came.
    Stop,
    /// `max_output_tokens` was reached.
    Length,
    /// The context window was full.
    ContextWindow,
    /// Tools are to be called.
    ToolCalls,
    /// A filter cut it.
    ContentFilter,
    /// The model refused.
    Refusal,
    /// A long turn pauses and may be continued.
    Pause,
    /// The provider failed in the middle.
    Error,
    /// A word that we do not know, as the provider wrote it.
    Other(String),
}

/// A piece of a streamed answer. Parts of a choice have dense indices from 0
/// and are opened before and closed after their deltas; several may be open.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// First, once.
    Start {
        /// The provider's id.
        id: String,
        /// The provider's name of the model.
        model: String,
        /// Seconds since 1970, where said.
        created_unix_s: Option<i64>,
        /// A first estimate, where the provider gives one.
        usage: Option<Usage>,
    },
    /// A part begins.
    Open {
        /// Which answer.
        choice: u32,
        /// Which part of it.
        part: u32,
        /// What it will be.
        opening: Opening,
    },
    /// More of an open part.
    Delta {
        /// Which answer.
        choice: u32,
        /// Which part of it.
        part: u32,
        /// The piece.
        delta: Delta,
    },
    /// A part ends.
    Close {
        /// Which answer.
        choice: u32,
        /// Which part of it.
        part: u32,
    },
    /// An answer ends; its parts are closed.
    Finish {
        /// Which answer.
        choice: u32,
        /// Why.
        finish: Finish,
        /// The stop text that ended it.
        stop_sequence: Option<String>,
    },
    /// What is known of the consumption by now; replaces what was said before.
    Usage(Usage),
    /// Nothing; the connection lives.
    Ping,
    /// A field that only the source dialect has.
    Extension(Extension),
    /// The provider reports an error inside the stream; nothing follows.
    Error(crate::error::ApiError),
    /// The provider's own end of stream: the only thing that makes an answer
    /// complete.
    End,
}

/// What a streamed part will be.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// Words.
    Text,
    /// The model declines.
    Refusal,
    /// Thinking.
    Reasoning,
    /// A tool call; its arguments follow.
    ToolCall {
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
        /// Function or free-form.
        kind: ToolKind,
        /// The signature that its provider wants back with it, if it came by now.
        signature: Option<Sealed>,
        /// What only the source dialect has.
        extensions: Vec<Extension>,
    },
    /// A whole part, with no deltas to come (redacted thinking, opaque blocks).
    Whole(Part),
}

/// A piece of a streamed part.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Words, of text, refusal or thinking.
    Text(String),
    /// Text of tool arguments.
    Arguments(String),
    /// The signature of the part, whole.
    Signature(Sealed),
    /// A source.
    Citation(Citation),
    /// What only the source dialect has.
    Opaque(Extension),
}
