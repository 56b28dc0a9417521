//! Anthropic's `POST /v1/messages`, as clients speak it and as Claude answers.
//!
//! Deliberately absent: the authentication headers and the paths of Vertex and
//! Bedrock, which belong to the provider's entry.
//!
//! Decisions where the formats leave a choice:
//! - A tool call without a result gets a stub result that says so and is
//!   marked as an error. A result without its call is refused.
//! - Adjacent turns of one role become one message, tool results first; of
//!   two results for one call the later stands.
//! - A conversation that the assistant opens gets a user message before it.
//! - A system message in the middle becomes tagged text in the user's turn,
//!   unless it holds blocks that only Anthropic's role `system` may carry.
//! - Without a limit from client or target, `max_tokens` is 4,096.
//! - `temperature` and `top_p` together: `top_p` is left out.
//! - With thinking on: a forced tool choice becomes `auto`; `top_k` and a
//!   `temperature` other than 1 are left out, and so is a `top_p` below 0.95.
//! - The same forced choice for a model that takes none; a parameter that the
//!   model refuses is refused here by name, unless its value is the default.
//! - A conversation that ends with the assistant gets a user message after it
//!   where the model does not go on from the beginning of an answer.
//! - Wishes about thinking are left out for a model that does not think; one
//!   that cannot be told not to gets the effort `low` instead.
//! - A tool loop whose thinking is gone or was signed elsewhere runs with
//!   thinking off, where the model thinks with a budget.

pub(crate) mod as_sent;
mod betas;
mod block;
mod conversation;
mod defaults;
pub mod error;
mod extension;
pub mod fit;
pub mod request;
mod request_encode;
pub mod response;
mod schema;
pub mod stream;
mod thinking;
mod usage;
pub mod wish;

use crate::contract::{Contract, Conversation, ModelList, UnknownModel};
use crate::{Dialect, Endpoint, Surface};

/// This dialect's contract.
pub static CONTRACT: Contract = Contract {
    name: "anthropic",
    endpoints: &[
        (Endpoint::Messages, "/v1/messages"),
        (Endpoint::CountTokens, "/v1/messages/count_tokens"),
        (Endpoint::Models, "/v1/models"),
    ],
    further_endpoints: &[],
    conversation: Conversation {
        whole: Surface::AnthropicMessages,
        streamed: Surface::AnthropicMessages,
    },
    decode_request: request::decode,
    encode_request: request::encode,
    decode_response: response::decode,
    encode_response: response::encode,
    stream_decoder: || Box::new(stream::Decoder::new()),
    stream_encoder: |shown| Box::new(stream::Encoder::new(shown)),
    decode_error: error::decode,
    error_inside: error::inside,
    encode_error: error::encode,
    encode_error_event: error::encode_event,
    status_of: error::status_of,
    shows_error_kinds: false,
    unknown_model: UnknownModel::NotFound,
    model_list: ModelList::Paged,
    answer_type: Some("message"),
    keep_alive: b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
    request_id_header: "request-id",
    default_headers: &[("anthropic-version", "2023-06-01")],
    betas: betas::needed,
    metadata_is_optional: false,
    longest_tool_name: 128,
    add_defaults: defaults::add,
};

/// This folder's dialect, for what it marks as its own.
const HERE: Dialect = Dialect::AnthropicMessages;

/// The name of the tool that stands in for a JSON schema where the model has
/// no `output_config.format`; a call of it is the answer's text.
pub const JSON_TOOL: &str = "keymoat_json_answer";

/// Reads arbitrary bytes as everything that this dialect can be asked to
/// read, and writes back what could be read. Must not panic.
pub fn fuzz(data: &[u8]) {
    if let Ok(request) = request::decode(data) {
        let target = crate::Target::default();
        let _written = request::encode(&request, &target, &mut crate::Dropped::default());
        let _tokens = crate::count::estimate_input_tokens(&request, crate::count::Hidden::CLAUDE);
    }
    if let Ok(response) = response::decode(data) {
        let _written = response::encode(&response, &FUZZ_SHOWN);
    }
    let _error = error::decode(400, data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut decoder = stream::Decoder::new();
    let mut encoder = stream::Encoder::new(&FUZZ_SHOWN);
    let mut events = Vec::new();
    for line in text.lines() {
        let data = line.strip_prefix("data:").unwrap_or(line).trim_start();
        if decoder.push(crate::sse::Event { name: None, data }, &mut events).is_err() {
            break;
        }
    }
    decoder.finish(&mut events);
    let mut frames = Vec::new();
    for event in &events {
        encoder.push(event, &mut frames);
    }
}

const FUZZ_SHOWN: crate::Shown<'static> =
    crate::Shown { model: None, fallback_id: "msg_0", created_unix_s: 0, include_usage: true };
