//! What a surface needs beyond its dialect: OpenAI's older completions speak
//! chat's errors and another body.

use crate::error::Failure;
use bytes::Bytes;
use dialect::head::Surface;
use dialect::model::{Request, Response};
use dialect::translate::StreamEncoder;
use dialect::unfold::unfold;
use dialect::{DecodeError, Dialect, Shown, openai_completions};

/// Whether the surface can be served by another dialect.
pub fn translates(surface: Surface) -> bool {
    !matches!(surface, Surface::OpenAiEmbeddings)
}

/// Whether its answers may be streams.
pub fn streams(surface: Surface) -> bool {
    !matches!(surface, Surface::OpenAiEmbeddings | Surface::AnthropicCountTokens)
}

/// What the surface is called in messages.
pub fn name(surface: Surface) -> &'static str {
    match surface {
        Surface::OpenAiChat => "chat completions",
        Surface::OpenAiCompletions => "completions",
        Surface::OpenAiEmbeddings => "embeddings",
        Surface::AnthropicMessages => "messages",
        Surface::AnthropicCountTokens => "count_tokens",
    }
}

/// Keeps a silent stream's connection open; clients pass over it.
pub fn keep_alive(surface: Surface) -> Bytes {
    Bytes::from_static(match surface.dialect() {
        Dialect::OpenAiChat => b": keep-alive\n\n",
        Dialect::AnthropicMessages => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
    })
}

/// The provider has no such endpoint.
pub fn cannot_serve(surface: Surface, provider: &str) -> Failure {
    Failure::bad_request(format!("{provider} has no {} endpoint.", name(surface)))
        .param("model")
        .kind("unsupported_endpoint")
}

/// Reads a client's request.
///
/// # Errors
/// What is wrong with it.
pub fn decode_request(surface: Surface, body: &[u8]) -> Result<Request, DecodeError> {
    match surface {
        Surface::OpenAiCompletions => openai_completions::request::decode(body),
        other => other.dialect().decode_request(body),
    }
}

/// Writes a client's answer.
pub fn encode_response(surface: Surface, response: &Response, shown: &Shown<'_>) -> Bytes {
    match surface {
        Surface::OpenAiCompletions => openai_completions::response::encode(response, shown),
        other => other.dialect().encode_response(response, shown),
    }
    .into()
}

/// Writes a client's stream.
pub fn stream_encoder(surface: Surface, shown: &Shown<'_>) -> StreamEncoder {
    match surface {
        Surface::OpenAiCompletions => StreamEncoder::completions(shown),
        other => other.dialect().stream_encoder(shown),
    }
}

/// A whole answer as the stream that a client asked for.
pub fn stream_of(surface: Surface, response: Response, shown: &Shown<'_>) -> Bytes {
    let mut encoder = stream_encoder(surface, shown);
    let mut text = Vec::new();
    unfold(response, |event| encoder.push(&event, &mut text));
    text.into()
}
