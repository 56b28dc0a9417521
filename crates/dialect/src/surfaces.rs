//! The endpoints that clients call: one row each, in [`SURFACES`].
//!
//! A row holds what differs between endpoints, so that nothing outside of this
//! crate asks which one it has before it.

use crate::contract::StreamEncoder;
use crate::head::Head;
use crate::head::keys::Field;
use crate::model::{Request, Response};
use crate::splice::Edits;
use crate::surface::Surface;
use crate::{DecodeError, Dropped, Endpoint, Framing, OutputLimitField, Shown, Target};
use crate::{anthropic_messages, gemini, openai_chat, openai_completions};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The next turn of a conversation.
    Conversation,
    /// Continuations of prompts.
    Completion,
    /// Vectors.
    Embedding,
    /// The size of a request, which is not answered.
    TokenCount,
}

/// An endpoint's codec between its clients and the neutral model.
pub struct Codec {
    /// Reads a client's request.
    pub decode_request: fn(&[u8]) -> Result<Request, DecodeError>,
    /// Writes a whole answer for a client.
    pub encode_response: fn(&Response, &Shown<'_>) -> Vec<u8>,
    /// Builds a writer for a client's stream.
    pub stream_encoder: fn(&Shown<'_>) -> Box<dyn StreamEncoder>,
}

/// Paths of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// Path after the version; the model's name is at `{model}`, or in the body.
    pub path: &'static str,
    /// Versions before it.
    pub versions: &'static [&'static str],
    /// It exists without `/v1` too, below Azure's `/openai`, and with a model's
    /// name before it.
    pub has_variants: bool,
    /// Template for records and metrics.
    pub route: &'static str,
}

/// Row of [`SURFACES`].
pub struct Row {
    /// The endpoint.
    pub surface: Surface,
    /// What it is called in messages.
    pub name: &'static str,
    /// Where it is.
    pub paths: Paths,
    /// The endpoint of providers that takes its bodies.
    pub endpoint: Endpoint,
    /// LiteLLM's name of the kind of call, for records.
    pub call_type: &'static str,
    /// What a request asks for.
    pub kind: Kind,
    /// Its answers may be streams.
    pub streams: bool,
    /// Its answers are streams, whatever the body says.
    pub always_streams: bool,
    /// Form of its streams, unless the query asks for server-sent events.
    pub framing: Framing,
    /// Requests may ask for usage at the end of a stream (`stream_options`).
    pub has_usage_option: bool,
    /// Providers take nothing for it.
    pub is_free: bool,
    /// Adds the edits that a target needs to a request that otherwise goes up as
    /// its client wrote it, and names what is left out.
    pub fit: fn(&mut Edits<'_>, &Head, &[u8], &Target<'_>, &mut Dropped),
    /// Field of the output limit, by the name that the target knows it by.
    pub output_limit: fn(OutputLimitField) -> Field,
    /// Name of the list of stop sequences.
    pub stop: &'static str,
    /// Fields that hold an end user's id.
    pub users: &'static [Field],
    /// Member whose entries each have an answer of their own.
    pub batch: Option<&'static str>,
    /// Writes a token count, for endpoints that answer with one.
    pub count: Option<fn(u64) -> String>,
    /// Towards upstreams of other dialects; `None` if it cannot be translated.
    pub codec: Option<Codec>,
}

/// The only name of the output limit in most dialects.
const MAX_TOKENS: Field = Field::top("max_tokens");

/// OpenAI's fields for an end user's id.
const OPENAI_USERS: &[Field] = &[Field::top("user"), Field::top("safety_identifier")];

/// Anthropic's field for an end user's id.
const ANTHROPIC_USERS: &[Field] = &[Field::inner("metadata.user_id")];

impl Row {
    /// Returns true if the model's name is in the path, not in the body.
    pub fn names_model_in_path(&self) -> bool {
        self.paths.path.contains("{model}")
    }

    /// Returns the form of its streams, which the query may ask to be server-sent
    /// events.
    pub fn framing(&self, asks_for_events: bool) -> Framing {
        if asks_for_events { Framing::Sse } else { self.framing }
    }

    /// Returns true if its answers have output tokens.
    pub fn generates(&self) -> bool {
        matches!(self.kind, Kind::Conversation | Kind::Completion)
    }
}

/// All endpoints that clients call.
pub static SURFACES: [&Row; 8] = [
    &OPENAI_CHAT,
    &OPENAI_COMPLETIONS,
    &OPENAI_EMBEDDINGS,
    &ANTHROPIC_MESSAGES,
    &ANTHROPIC_COUNT_TOKENS,
    &GEMINI_GENERATE,
    &GEMINI_STREAM,
    &GEMINI_COUNT_TOKENS,
];

/// OpenAI's and Anthropic's version.
const V1: &[&str] = &["/v1"];

/// Google's versions, and LiteLLM's path without one.
const GOOGLES: &[&str] = &["/v1beta", "/v1", "/v1alpha", ""];

static OPENAI_CHAT: Row = Row {
    surface: Surface::OpenAiChat,
    name: "chat completions",
    paths: Paths {
        path: "/chat/completions",
        versions: V1,
        has_variants: true,
        route: "/chat/completions",
    },
    endpoint: Endpoint::Chat,
    call_type: "acompletion",
    kind: Kind::Conversation,
    streams: true,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: true,
    is_free: false,
    fit: openai_chat::as_sent::fit,
    output_limit: |name| match name {
        OutputLimitField::MaxCompletionTokens => Field::top("max_completion_tokens"),
        OutputLimitField::MaxTokens => MAX_TOKENS,
    },
    stop: "stop",
    users: OPENAI_USERS,
    batch: None,
    count: None,
    codec: Some(Codec {
        decode_request: openai_chat::CONTRACT.decode_request,
        encode_response: openai_chat::CONTRACT.encode_response,
        stream_encoder: openai_chat::CONTRACT.stream_encoder,
    }),
};

static OPENAI_COMPLETIONS: Row = Row {
    surface: Surface::OpenAiCompletions,
    name: "completions",
    paths: Paths { path: "/completions", versions: V1, has_variants: true, route: "/completions" },
    endpoint: Endpoint::Completions,
    call_type: "atext_completion",
    kind: Kind::Completion,
    streams: true,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: true,
    is_free: false,
    fit: |_, _, _, _, _| {},
    output_limit: |_| MAX_TOKENS,
    stop: "stop",
    users: OPENAI_USERS,
    batch: Some("prompt"),
    count: None,
    codec: Some(Codec {
        decode_request: openai_completions::request::decode,
        encode_response: openai_completions::response::encode,
        stream_encoder: |shown| Box::new(openai_completions::stream::Encoder::new(shown)),
    }),
};

static OPENAI_EMBEDDINGS: Row = Row {
    surface: Surface::OpenAiEmbeddings,
    name: "embeddings",
    paths: Paths { path: "/embeddings", versions: V1, has_variants: true, route: "/embeddings" },
    endpoint: Endpoint::Embeddings,
    call_type: "aembedding",
    kind: Kind::Embedding,
    streams: false,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: false,
    is_free: false,
    fit: |_, _, _, _, _| {},
    output_limit: |_| MAX_TOKENS,
    stop: "stop",
    users: OPENAI_USERS,
    batch: Some("input"),
    count: None,
    codec: None,
};

static ANTHROPIC_MESSAGES: Row = Row {
    surface: Surface::AnthropicMessages,
    name: "messages",
    paths: Paths { path: "/messages", versions: V1, has_variants: false, route: "/v1/messages" },
    endpoint: Endpoint::Messages,
    call_type: "anthropic_messages",
    kind: Kind::Conversation,
    streams: true,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: false,
    is_free: false,
    fit: anthropic_messages::as_sent::fit,
    output_limit: |_| MAX_TOKENS,
    stop: "stop_sequences",
    users: ANTHROPIC_USERS,
    batch: None,
    count: None,
    codec: Some(Codec {
        decode_request: anthropic_messages::CONTRACT.decode_request,
        encode_response: anthropic_messages::CONTRACT.encode_response,
        stream_encoder: anthropic_messages::CONTRACT.stream_encoder,
    }),
};

static ANTHROPIC_COUNT_TOKENS: Row = Row {
    surface: Surface::AnthropicCountTokens,
    name: "count_tokens",
    paths: Paths {
        path: "/messages/count_tokens",
        versions: V1,
        has_variants: false,
        route: "/v1/messages/count_tokens",
    },
    endpoint: Endpoint::CountTokens,
    call_type: "acount_tokens",
    kind: Kind::TokenCount,
    streams: false,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: false,
    is_free: true,
    fit: anthropic_messages::as_sent::fit,
    output_limit: |_| MAX_TOKENS,
    stop: "stop_sequences",
    users: ANTHROPIC_USERS,
    batch: None,
    count: Some(|tokens| format!("{{\"input_tokens\":{tokens}}}")),
    codec: Some(Codec {
        decode_request: anthropic_messages::CONTRACT.decode_request,
        encode_response: anthropic_messages::CONTRACT.encode_response,
        stream_encoder: anthropic_messages::CONTRACT.stream_encoder,
    }),
};

static GEMINI_GENERATE: Row = Row {
    surface: Surface::GeminiGenerate,
    name: "generateContent",
    paths: Paths {
        path: "/models/{model}:generateContent",
        versions: GOOGLES,
        has_variants: false,
        route: "/v1beta/models/{model}:generateContent",
    },
    endpoint: Endpoint::GenerateContent,
    call_type: "agenerate_content",
    kind: Kind::Conversation,
    streams: false,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: false,
    is_free: false,
    fit: gemini::as_sent::fit,
    output_limit: |_| Field::inner("generationConfig.maxOutputTokens"),
    stop: "stopSequences",
    users: &[],
    batch: None,
    count: None,
    codec: Some(Codec {
        decode_request: gemini::CONTRACT.decode_request,
        encode_response: gemini::CONTRACT.encode_response,
        stream_encoder: gemini::CONTRACT.stream_encoder,
    }),
};

static GEMINI_STREAM: Row = Row {
    surface: Surface::GeminiStream,
    name: "streamGenerateContent",
    paths: Paths {
        path: "/models/{model}:streamGenerateContent",
        versions: GOOGLES,
        has_variants: false,
        route: "/v1beta/models/{model}:streamGenerateContent",
    },
    endpoint: Endpoint::StreamGenerateContent,
    call_type: "agenerate_content_stream",
    kind: Kind::Conversation,
    streams: true,
    always_streams: true,
    framing: Framing::JsonArray,
    has_usage_option: false,
    is_free: false,
    fit: gemini::as_sent::fit,
    output_limit: |_| Field::inner("generationConfig.maxOutputTokens"),
    stop: "stopSequences",
    users: &[],
    batch: None,
    count: None,
    codec: Some(Codec {
        decode_request: gemini::CONTRACT.decode_request,
        encode_response: gemini::CONTRACT.encode_response,
        stream_encoder: gemini::CONTRACT.stream_encoder,
    }),
};

static GEMINI_COUNT_TOKENS: Row = Row {
    surface: Surface::GeminiCountTokens,
    name: "countTokens",
    paths: Paths {
        path: "/models/{model}:countTokens",
        versions: GOOGLES,
        has_variants: false,
        route: "/v1beta/models/{model}:countTokens",
    },
    endpoint: Endpoint::CountContentTokens,
    call_type: "acount_content_tokens",
    kind: Kind::TokenCount,
    streams: false,
    always_streams: false,
    framing: Framing::Sse,
    has_usage_option: false,
    is_free: true,
    fit: gemini::as_sent::fit,
    output_limit: |_| Field::inner("generationConfig.maxOutputTokens"),
    stop: "stopSequences",
    users: &[],
    batch: None,
    count: Some(|tokens| format!("{{\"totalTokens\":{tokens}}}")),
    codec: Some(Codec {
        decode_request: gemini::CONTRACT.decode_request,
        encode_response: gemini::CONTRACT.encode_response,
        stream_encoder: gemini::CONTRACT.stream_encoder,
    }),
};

impl Surface {
    /// The endpoint's row.
    pub fn row(self) -> &'static Row {
        match self {
            Self::OpenAiChat => &OPENAI_CHAT,
            Self::OpenAiCompletions => &OPENAI_COMPLETIONS,
            Self::OpenAiEmbeddings => &OPENAI_EMBEDDINGS,
            Self::AnthropicMessages => &ANTHROPIC_MESSAGES,
            Self::AnthropicCountTokens => &ANTHROPIC_COUNT_TOKENS,
            Self::GeminiGenerate => &GEMINI_GENERATE,
            Self::GeminiStream => &GEMINI_STREAM,
            Self::GeminiCountTokens => &GEMINI_COUNT_TOKENS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SURFACES;

    #[test]
    fn each_surface_has_one_row_of_its_own() {
        for row in SURFACES {
            assert_eq!(row.surface.row().surface, row.surface);
            assert!(std::ptr::eq(row.surface.row(), row), "{}", row.name);
        }
        for (at, row) in SURFACES.iter().enumerate() {
            let others = SURFACES.iter().skip(at + 1);
            assert!(others.clone().all(|other| other.call_type != row.call_type));
            assert!(others.clone().all(|other| other.paths.path != row.paths.path));
        }
        for row in SURFACES.iter().filter(|row| row.kind == super::Kind::Conversation) {
            assert!(row.codec.is_some(), "{}", row.name);
        }
    }
}
