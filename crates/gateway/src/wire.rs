//! A surface's own codec, between its clients and the neutral model.

use crate::error::Failure;
use bytes::Bytes;
use dialect::contract::StreamEncoder;
use dialect::model::{Request, Response};
use dialect::unfold::unfold;
use dialect::{DecodeError, Shown, Surface};

/// Failure of a call to a provider that has no such endpoint.
pub fn cannot_serve(surface: Surface, provider: &str) -> Failure {
    Failure::bad_request(format!("{provider} has no {} endpoint.", surface.row().name))
        .param("model")
        .kind("unsupported_endpoint")
}

/// Bytes that keep a silent stream's connection open.
pub fn keep_alive(surface: Surface) -> Bytes {
    Bytes::from_static(surface.dialect().contract().keep_alive)
}

/// Reads a client's request.
///
/// # Errors
/// What is wrong with it.
pub fn decode_request(surface: Surface, body: &[u8]) -> Result<Request, DecodeError> {
    match &surface.row().codec {
        Some(codec) => (codec.decode_request)(body),
        None => surface.dialect().decode_request(body),
    }
}

/// Writes a client's answer.
pub fn encode_response(surface: Surface, response: &Response, shown: &Shown<'_>) -> Bytes {
    let text = match &surface.row().codec {
        Some(codec) => (codec.encode_response)(response, shown),
        None => surface.dialect().encode_response(response, shown),
    };
    text.into()
}

/// Builds a writer for a client's stream.
pub fn stream_encoder(surface: Surface, shown: &Shown<'_>) -> Box<dyn StreamEncoder> {
    match &surface.row().codec {
        Some(codec) => (codec.stream_encoder)(shown),
        None => surface.dialect().stream_encoder(shown),
    }
}

/// Writes a whole answer as the stream that a client asked for.
pub fn stream_of(surface: Surface, response: Response, shown: &Shown<'_>) -> Bytes {
    let mut encoder = stream_encoder(surface, shown);
    let mut text = Vec::new();
    unfold(response, |event| encoder.push(&event, &mut text));
    text.into()
}
