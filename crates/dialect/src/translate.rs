//! One face for all dialects: what the gateway calls.
//!
//! Reading gives the neutral model, writing takes it; which dialect is a value.
//! Nothing is decided here that a dialect's folder does not decide.

use crate::{
    ApiError, DecodeError, Dialect, Dropped, EncodeError, ErrorClass, Shown, Target,
    anthropic_messages,
    json::read::Object,
    model::{Event, Request, Response},
    openai_chat, openai_completions, sse,
};

impl Dialect {
    /// Reads a client's request.
    ///
    /// # Errors
    /// Where the body is not a request of this dialect; names the parameter.
    pub fn decode_request(self, body: &[u8]) -> Result<Request, DecodeError> {
        match self {
            Self::OpenAiChat => openai_chat::request::decode(body),
            Self::AnthropicMessages => anthropic_messages::request::decode(body),
        }
    }

    /// Writes a request for an upstream, and to `dropped` the names of what is
    /// left out.
    ///
    /// # Errors
    /// Where the target cannot be told what the client asked for.
    pub fn encode_request(
        self,
        request: &Request,
        target: &Target<'_>,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut body = match self {
            Self::OpenAiChat => openai_chat::request::encode(request, target, dropped),
            Self::AnthropicMessages => {
                anthropic_messages::request::encode(request, target, dropped)
            }
        }?;
        crate::json::escape::mend(&mut body);
        Ok(body)
    }

    /// Reads an upstream's whole answer; ask [`Dialect::error_inside`] first.
    ///
    /// # Errors
    /// Where the body is not an answer of this dialect.
    pub fn decode_response(self, body: &[u8]) -> Result<Response, DecodeError> {
        match self {
            Self::OpenAiChat => openai_chat::response::decode(body),
            Self::AnthropicMessages => anthropic_messages::response::decode(body),
        }
    }

    /// Writes a whole answer for a client.
    pub fn encode_response(self, response: &Response, shown: &Shown<'_>) -> Vec<u8> {
        match self {
            Self::OpenAiChat => openai_chat::response::encode(response, shown),
            Self::AnthropicMessages => anthropic_messages::response::encode(response, shown),
        }
    }

    /// Reads an upstream's error answer; never fails.
    pub fn decode_error(self, status: u16, body: &[u8]) -> ApiError {
        match self {
            Self::OpenAiChat => openai_chat::error::decode(status, body),
            Self::AnthropicMessages => anthropic_messages::error::decode(status, body),
        }
    }

    /// The error that an answer with status 200 holds, if it holds one.
    pub fn error_inside(self, body: &[u8]) -> Option<ApiError> {
        match self {
            Self::OpenAiChat => openai_chat::error::inside(body),
            Self::AnthropicMessages => {
                let kind = Object::of_body(body).ok()?.text("type")?;
                if kind != "error" {
                    return None;
                }
                let error = anthropic_messages::error::decode(200, body);
                let status = self.status_of(error.class);
                Some(ApiError { status, ..error })
            }
        }
    }

    /// Writes an error's body for a client.
    pub fn encode_error(self, error: &ApiError) -> Vec<u8> {
        match self {
            Self::OpenAiChat => openai_chat::error::encode(error),
            Self::AnthropicMessages => anthropic_messages::error::encode(error),
        }
    }

    /// Writes an error as the last frame of a client's stream.
    pub fn encode_error_event(self, error: &ApiError, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat => openai_chat::error::encode_event(error, out),
            Self::AnthropicMessages => anthropic_messages::error::encode_event(error, out),
        }
    }

    /// The status that goes with a class towards this dialect's clients.
    pub fn status_of(self, class: ErrorClass) -> u16 {
        match self {
            Self::OpenAiChat => openai_chat::error::status_of(class),
            Self::AnthropicMessages => anthropic_messages::error::status_of(class),
        }
    }

    /// A reader for an upstream's stream.
    pub fn stream_decoder(self) -> StreamDecoder {
        match self {
            Self::OpenAiChat => StreamDecoder::OpenAiChat(openai_chat::stream::Decoder::new()),
            Self::AnthropicMessages => {
                StreamDecoder::AnthropicMessages(anthropic_messages::stream::Decoder::new())
            }
        }
    }

    /// A writer for a client's stream.
    pub fn stream_encoder(self, shown: &Shown<'_>) -> StreamEncoder {
        match self {
            Self::OpenAiChat => StreamEncoder::OpenAiChat(openai_chat::stream::Encoder::new(shown)),
            Self::AnthropicMessages => {
                StreamEncoder::AnthropicMessages(anthropic_messages::stream::Encoder::new(shown))
            }
        }
    }
}

/// Reads an upstream's stream in its dialect.
#[derive(Debug)]
pub enum StreamDecoder {
    /// Chunks and `[DONE]`.
    OpenAiChat(openai_chat::stream::Decoder),
    /// `message_start` to `message_stop`.
    AnthropicMessages(anthropic_messages::stream::Decoder),
}

impl StreamDecoder {
    /// Reads one event into `out`.
    ///
    /// # Errors
    /// Where the event is not one of the dialect's.
    pub fn push(&mut self, event: sse::Event<'_>, out: &mut Vec<Event>) -> Result<(), DecodeError> {
        match self {
            Self::OpenAiChat(decoder) => decoder.push(event, out),
            Self::AnthropicMessages(decoder) => decoder.push(event, out),
        }
    }

    /// The upstream closed the connection: closes open parts, and says
    /// [`Event::End`] only where the dialect's own completion was seen.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        match self {
            Self::OpenAiChat(decoder) => decoder.finish(out),
            Self::AnthropicMessages(decoder) => decoder.finish(out),
        }
    }
}

/// Writes a client's stream in its dialect.
#[derive(Debug)]
pub enum StreamEncoder {
    /// Chunks and `[DONE]`.
    OpenAiChat(openai_chat::stream::Encoder),
    /// Text chunks and `[DONE]`: the legacy surface.
    OpenAiCompletions(openai_completions::stream::Encoder),
    /// `message_start` to `message_stop`.
    AnthropicMessages(anthropic_messages::stream::Encoder),
}

impl StreamEncoder {
    /// A writer for clients of the legacy completions surface.
    pub fn completions(shown: &Shown<'_>) -> Self {
        Self::OpenAiCompletions(openai_completions::stream::Encoder::new(shown))
    }

    /// Writes one event's frames, if it has any.
    pub fn push(&mut self, event: &Event, out: &mut Vec<u8>) {
        match self {
            Self::OpenAiChat(encoder) => encoder.push(event, out),
            Self::OpenAiCompletions(encoder) => encoder.push(event, out),
            Self::AnthropicMessages(encoder) => encoder.push(event, out),
        }
    }
}
