//! Watches an answer pass by: what it is made of, how it ends, what it used.
//!
//! Never fails and never changes a byte: where an answer is not what its
//! dialect says, the tap knows less. Reads each frame once without building
//! it; only usage and errors are parsed.

mod anthropic;
mod gemini;
mod openai;
mod problem;
pub mod usage;

use crate::{Dialect, Surface, Usage, sse};

pub use problem::Problem;

/// What a frame of a stream is to a gateway. A frame that is several of these
/// is the first that applies, from the bottom up; `UsageOnly` and `Semantic`
/// exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing that a client could not do without: comments, pings, preambles.
    Neutral,
    /// Usage and no choices: for clients that asked for it.
    UsageOnly,
    /// Text, reasoning, a refusal, a tool call, or a piece of one.
    Semantic,
    /// The answer, or one of several, has come to its end.
    Finish,
    /// The dialect's own end of stream.
    Terminal,
    /// The upstream says that it failed.
    Error,
}

impl Class {
    /// Whether a client who has seen this has begun to see the answer: no other
    /// upstream can be tried after it.
    pub fn commits(self) -> bool {
        matches!(self, Self::Semantic | Self::Finish | Self::Terminal)
    }
}

/// What is known of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What it used, where the upstream said so.
    pub usage: Option<Usage>,
    /// The usage is final by the dialect's own definition: in a stream,
    /// Anthropic's comes in `message_delta` with output tokens, OpenAI's with
    /// the last finish reason or after it. Earlier reports are running totals.
    pub usage_is_final: bool,
    /// The upstream's name of the model.
    pub model: Option<String>,
    /// The tier that served it, where the upstream said so.
    pub service_tier: Option<String>,
    /// Text, reasoning and tool arguments as JSON text, in bytes: what an
    /// estimate of the output can start from.
    pub output_text_bytes: u64,
    /// Output has come that `output_text_bytes` does not measure: audio, images,
    /// summarised or encrypted reasoning, members that this reader does not know.
    pub has_unmeasured_output: bool,
    /// At least one choice has come to its end.
    pub finished: bool,
    /// What the upstream says went wrong, be it under status 200.
    pub problem: Option<Problem>,
}

/// Watches one answer.
#[derive(Debug)]
pub struct Tap {
    surface: Surface,
    facts: Facts,
    joined: Vec<u8>,
}

/// What the dialects' readers write to.
#[derive(Debug, Default)]
struct Facts {
    observed: Observed,
    anthropic: usage::Anthropic,
    /// OpenAI's report has the output as a number, or Gemini's has output.
    has_output: bool,
    /// Gemini refused the prompt.
    blocked: bool,
    /// Searches of Gemini's own.
    searches: u64,
    envelope: openai::Envelope,
    /// The choices begun and ended, as bits by their index.
    begun: u128,
    ended: u128,
    semantic: bool,
    terminal: bool,
}

impl Facts {
    /// Returns true if input and output are both reported, in OpenAI's shape.
    fn is_complete_openai(&self) -> bool {
        self.has_output && self.observed.usage.is_some_and(|usage| usage.input > 0)
    }
}

/// What one frame holds.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    semantic: bool,
    finish: bool,
    usage: bool,
    /// The usage is the dialect's last report.
    final_usage: bool,
    /// Output that no text measures.
    unmeasured: bool,
    choices: bool,
    terminal: bool,
    error: bool,
}

impl Marks {
    fn add(&mut self, other: Self) {
        self.semantic |= other.semantic;
        self.finish |= other.finish;
        self.usage |= other.usage;
        self.final_usage |= other.final_usage;
        self.unmeasured |= other.unmeasured;
        self.choices |= other.choices;
        self.terminal |= other.terminal;
        self.error |= other.error;
    }

    fn class(self) -> Class {
        if self.error {
            Class::Error
        } else if self.terminal {
            Class::Terminal
        } else if self.finish {
            Class::Finish
        } else if self.semantic {
            Class::Semantic
        } else if self.usage && !self.choices {
            Class::UsageOnly
        } else {
            Class::Neutral
        }
    }
}

impl Tap {
    /// Watches an answer in the upstream's wire format.
    pub fn new(surface: Surface) -> Self {
        Self { surface, facts: Facts::default(), joined: Vec::new() }
    }

    /// Looks at one frame of a stream, or at what remained of it at its end.
    pub fn observe(&mut self, frame: &[u8]) -> Class {
        let fields = sse::fields(frame, &mut self.joined);
        let data = match fields.data {
            sse::Data::None => return Class::Neutral,
            sse::Data::Line(line) => line,
            sse::Data::Joined => &self.joined,
        };
        let marks = match self.surface.dialect() {
            Dialect::OpenAiChat => openai::chunk(data, &mut self.facts),
            Dialect::AnthropicMessages => anthropic::event(fields.name, data, &mut self.facts),
            Dialect::Gemini => gemini::event(data, &mut self.facts),
        };
        self.facts.semantic |= marks.semantic;
        self.facts.terminal |= marks.terminal;
        let observed = &mut self.facts.observed;
        if marks.final_usage {
            observed.usage_is_final = true;
        } else if marks.semantic || marks.unmeasured {
            // What is generated after a report is not in it.
            observed.usage_is_final = false;
        }
        marks.class()
    }

    /// Looks at a whole answer.
    pub fn unary(surface: Surface, body: &[u8]) -> Observed {
        let mut facts = Facts::default();
        match surface.dialect() {
            Dialect::OpenAiChat => openai::whole(body, &mut facts),
            Dialect::AnthropicMessages => anthropic::whole(body, &mut facts),
            Dialect::Gemini => gemini::whole(body, &mut facts),
        }
        facts.observed.usage_is_final = match surface {
            Surface::OpenAiEmbeddings => facts.observed.usage.is_some_and(|usage| usage.input > 0),
            Surface::AnthropicMessages => facts.anthropic.is_complete(),
            Surface::GeminiGenerate | Surface::GeminiStream => facts.is_complete_gemini(),
            _ => facts.is_complete_openai(),
        };
        facts.observed
    }

    /// What is known by now.
    pub fn observed(&self) -> &Observed {
        &self.facts.observed
    }

    /// What is known, at the end.
    pub fn into_observed(self) -> Observed {
        self.facts.observed
    }

    /// Whether any of the answer itself has come.
    pub fn has_semantic(&self) -> bool {
        self.facts.semantic
    }

    /// Returns true if a choice has begun; of OpenAI's streams only.
    pub fn has_choice(&self) -> bool {
        self.facts.begun != 0
    }

    /// Whether the dialect's own end of stream has come.
    pub fn is_terminal(&self) -> bool {
        self.facts.terminal
    }

    /// How many choices have come to their end; of OpenAI's streams only.
    pub fn choices_ended(&self) -> u32 {
        self.facts.ended.count_ones()
    }

    /// Whether the stream may end here. Anthropic says so with `message_stop`
    /// only; OpenAI's servers with `[DONE]`, or by ending every choice. Never
    /// after an error.
    pub fn complete(&self) -> bool {
        let facts = &self.facts;
        if facts.observed.problem.is_some() {
            return false;
        }
        match self.surface.dialect() {
            Dialect::AnthropicMessages => facts.terminal,
            Dialect::OpenAiChat | Dialect::Gemini => {
                facts.terminal || (facts.observed.finished && facts.begun & !facts.ended == 0)
            }
        }
    }
}
