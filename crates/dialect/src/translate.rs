//! The contract of each dialect, and methods that call it.
//!
//! Reading gives the neutral model, writing takes it; the dialect is a value.
//! Nothing is decided here that a dialect's folder does not decide.

use crate::contract::{Contract, Conversation, StreamDecoder, StreamEncoder};
use crate::model::{Request, Response};
use crate::{
    ApiError, DecodeError, Dialect, Dropped, EncodeError, ErrorClass, Shown, Surface, Target,
    anthropic_messages, gemini, openai_chat,
};

impl Dialect {
    /// The dialect's own part.
    pub fn contract(self) -> &'static Contract {
        match self {
            Self::OpenAiChat => &openai_chat::CONTRACT,
            Self::AnthropicMessages => &anthropic_messages::CONTRACT,
            Self::Gemini => &gemini::CONTRACT,
        }
    }

    /// Returns the dialect of this name in the table of providers.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.contract().name == name)
    }

    /// The endpoint for conversations of this dialect, answered whole or as a
    /// stream.
    pub fn conversation(self, stream: bool) -> Surface {
        let Conversation { whole, streamed } = self.contract().conversation;
        if stream { streamed } else { whole }
    }

    /// Reads a client's request.
    ///
    /// # Errors
    /// If the body is not a request of this dialect; names the parameter.
    pub fn decode_request(self, body: &[u8]) -> Result<Request, DecodeError> {
        (self.contract().decode_request)(body)
    }

    /// Writes a request for an upstream, and to `dropped` the names of what is
    /// left out.
    ///
    /// # Errors
    /// If the target cannot be told what the client asked for.
    pub fn encode_request(
        self,
        request: &Request,
        target: &Target<'_>,
        dropped: &mut Dropped,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut body = (self.contract().encode_request)(request, target, dropped)?;
        crate::json::escape::mend(&mut body);
        Ok(body)
    }

    /// Reads an upstream's whole answer; ask [`Dialect::error_inside`] first.
    ///
    /// # Errors
    /// If the body is not an answer of this dialect.
    pub fn decode_response(self, body: &[u8]) -> Result<Response, DecodeError> {
        (self.contract().decode_response)(body)
    }

    /// Writes a whole answer for a client.
    pub fn encode_response(self, response: &Response, shown: &Shown<'_>) -> Vec<u8> {
        (self.contract().encode_response)(response, shown)
    }

    /// Reads an upstream's error answer; never fails.
    pub fn decode_error(self, status: u16, body: &[u8]) -> ApiError {
        (self.contract().decode_error)(status, body)
    }

    /// Reads the error that an answer with status 200 holds, if it holds one.
    pub fn error_inside(self, body: &[u8]) -> Option<ApiError> {
        (self.contract().error_inside)(body)
    }

    /// Writes an error's body for a client.
    pub fn encode_error(self, error: &ApiError) -> Vec<u8> {
        (self.contract().encode_error)(error)
    }

    /// Writes an error as the last frame of a client's stream.
    pub fn encode_error_event(self, error: &ApiError, out: &mut Vec<u8>) {
        (self.contract().encode_error_event)(error, out);
    }

    /// The status that goes with a class of error towards this dialect's clients.
    pub fn status_of(self, class: ErrorClass) -> u16 {
        (self.contract().status_of)(class)
    }

    /// Builds a reader for an upstream's stream.
    pub fn stream_decoder(self) -> Box<dyn StreamDecoder> {
        (self.contract().stream_decoder)()
    }

    /// Builds a writer for a client's stream.
    pub fn stream_encoder(self, shown: &Shown<'_>) -> Box<dyn StreamEncoder> {
        (self.contract().stream_encoder)(shown)
    }
}
