//! The contract of a dialect: everything that is specific to one wire format, as
//! a table of functions and facts.
//!
//! Each folder fills one [`Contract`] in its `mod.rs`, and nothing outside of the
//! folders asks which dialect it has before it. A new dialect is a folder, a
//! variant of [`Dialect`](crate::Dialect) and its line in `translate`.

use crate::defaults::Defaults;
use crate::head::Head;
use crate::model::{Event, Request, Response};
use crate::splice::Edits;
use crate::{
    ApiError, DecodeError, Dropped, EncodeError, Endpoint, ErrorClass, Shown, Surface, Target, sse,
};

/// Reads an upstream's stream in its dialect.
pub trait StreamDecoder: Send {
    /// Reads one event into `out`.
    ///
    /// # Errors
    /// If the event is not one of the dialect's.
    fn push(&mut self, event: sse::Event<'_>, out: &mut Vec<Event>) -> Result<(), DecodeError>;

    /// Ends the stream after the upstream has closed the connection: closes open
    /// parts, and adds [`Event::End`] only if the dialect's own end has come.
    fn finish(&mut self, out: &mut Vec<Event>);
}

/// Writes a client's stream in its dialect.
pub trait StreamEncoder: Send {
    /// Writes the frames of one event, if it has any.
    fn push(&mut self, event: &Event, out: &mut Vec<u8>);
}

/// How clients of a dialect are told that a model is not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownModel {
    /// A 400 in the words of LiteLLM, which its clients read.
    BadRequest,
    /// A 404, whose sentence clients show to people.
    NotFound,
}

/// Shape of the list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelList {
    /// OpenAI's: all at once.
    Whole,
    /// Anthropic's: in pages, with names for people.
    Paged,
}

/// A dialect's endpoints for conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// For whole answers.
    pub whole: Surface,
    /// For streams: the same, or one of its own.
    pub streamed: Surface,
}

/// Everything that is specific to one wire format.
pub struct Contract {
    /// Name in the table of providers.
    pub name: &'static str,
    /// Endpoints that a provider of this dialect serves unless its row says
    /// otherwise, with their paths after the base URL.
    pub endpoints: &'static [(Endpoint, &'static str)],
    /// Endpoints that some providers of this dialect serve too.
    pub further_endpoints: &'static [(Endpoint, &'static str)],
    /// The endpoints for conversations.
    pub conversation: Conversation,
    /// Reads a client's request.
    pub decode_request: fn(&[u8]) -> Result<Request, DecodeError>,
    /// Writes a request for an upstream, and the names of what is left out.
    pub encode_request: fn(&Request, &Target<'_>, &mut Dropped) -> Result<Vec<u8>, EncodeError>,
    /// Reads an upstream's whole answer.
    pub decode_response: fn(&[u8]) -> Result<Response, DecodeError>,
    /// Writes a whole answer for a client.
    pub encode_response: fn(&Response, &Shown<'_>) -> Vec<u8>,
    /// Builds a reader for an upstream's stream.
    pub stream_decoder: fn() -> Box<dyn StreamDecoder>,
    /// Builds a writer for a client's stream.
    pub stream_encoder: fn(&Shown<'_>) -> Box<dyn StreamEncoder>,
    /// Reads an upstream's error answer by its status; never fails.
    pub decode_error: fn(u16, &[u8]) -> ApiError,
    /// Reads the error that an answer with status 200 holds, if it holds one.
    pub error_inside: fn(&[u8]) -> Option<ApiError>,
    /// Writes an error's body for a client.
    pub encode_error: fn(&ApiError) -> Vec<u8>,
    /// Writes an error as the last frame of a client's stream.
    pub encode_error_event: fn(&ApiError, &mut Vec<u8>),
    /// The status that goes with a class of error towards clients.
    pub status_of: fn(ErrorClass) -> u16,
    /// Clients read LiteLLM's own word for an error as its `type`.
    pub shows_error_kinds: bool,
    /// How clients are told that a model is not configured.
    pub unknown_model: UnknownModel,
    /// How clients list models.
    pub model_list: ModelList,
    /// Value of `type` in whole answers, if they have one.
    pub answer_type: Option<&'static str>,
    /// Bytes between two events that keep a silent stream's connection open, and
    /// that every client of the dialect passes over.
    pub keep_alive: &'static [u8],
    /// Header in which clients read an answer's id, in lower case.
    pub request_id_header: &'static str,
    /// Headers that the upstream needs unless the client or the deployment sets
    /// them: names in lower case, and values.
    pub default_headers: &'static [(&'static str, &'static str)],
    /// Names of betas that a body needs which the gateway wrote; see the dialect's
    /// header for them.
    pub betas: fn(&Head, &[u8]) -> Vec<&'static str>,
    /// Some providers of the dialect refuse `metadata`; their rows say which take it.
    pub metadata_is_optional: bool,
    /// Maximum length of a tool's name, in characters.
    pub longest_tool_name: usize,
    /// Adds a deployment's parameters to a client's request of the dialect that
    /// otherwise goes up as it came.
    pub add_defaults: for<'d> fn(&mut Edits<'d>, &Head, &[u8], &Defaults<'d>),
}
