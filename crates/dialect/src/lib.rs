//! Wire formats to and from one neutral model.
//!
//! Pure functions: no I/O, no async, no clock. Each dialect is one folder that
//! fills the same [`Contract`](contract::Contract); each endpoint that clients call
//! is a row of [`SURFACES`](surfaces::SURFACES).

pub mod additions;
pub mod answer;
pub mod anthropic_messages;
mod blocks;
pub mod contract;
pub mod count;
pub mod defaults;
pub mod dropped;
pub mod embeddings;
mod endpoint;
pub mod error;
pub mod fold;
pub mod framing;
pub mod gemini;
pub mod head;
pub mod json;
mod media;
pub mod model;
pub mod openai_chat;
pub mod openai_completions;
mod repair;
pub mod retouch;

pub mod splice;
pub mod sse;
mod strict_schema;
mod surface;
pub mod surfaces;
pub mod tap;
pub mod target;
mod tool_ids;
pub mod tool_names;
pub mod tool_schema;
pub mod translate;
pub mod unfold;
pub mod usage;

pub use dropped::Dropped;
pub use endpoint::Endpoint;
pub use error::{ApiError, DecodeError, EncodeError, ErrorClass};
pub use framing::Framing;
pub use json::Json;
pub use surface::Surface;
pub use target::{AsSent, OutputLimitField, Reasons, Refused, Shown, Target};
pub use tool_names::ToolNames;
pub use usage::Usage;

/// A wire format. A provider is data; this is what the data chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's `POST /chat/completions`.
    OpenAiChat,
    /// Anthropic's `POST /v1/messages`.
    AnthropicMessages,
    /// Google's `generateContent`.
    Gemini,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAiChat, Self::AnthropicMessages, Self::Gemini];
}
