//! OpenAI's `POST /v1/chat/completions`, as clients speak it and as some
//! hundred compatible providers answer it.
//!
//! Decoders are generous: they know the deviations of compatible servers
//! (Groq, Mistral, DeepSeek, xAI, OpenRouter, Azure, Perplexity,
//! Together, Z.ai, Cerebras, Snowflake, vLLM) and the additions that LiteLLM's
//! clients send. Encoders are strict: OpenAI's own form, plus the fields that
//! LiteLLM's clients read. Which provider is at the other end is not known
//! here; what differs in requests is said by [`Target`](crate::Target).

pub(crate) mod as_sent;
pub mod error;
pub mod fit;
pub mod request;
pub mod response;
pub mod stream;

use crate::contract::{Contract, Conversation, ModelList, UnknownModel};
use crate::{Dialect, Dropped, Endpoint, Shown, Surface, Target};

/// This dialect's contract.
pub static CONTRACT: Contract = Contract {
    name: "openai",
    endpoints: &[
        (Endpoint::Chat, "/chat/completions"),
        (Endpoint::Completions, "/completions"),
        (Endpoint::Embeddings, "/embeddings"),
        (Endpoint::Models, "/models"),
    ],
    further_endpoints: &[(Endpoint::Responses, "/responses"), (Endpoint::Messages, "/messages")],
    conversation: Conversation { whole: Surface::OpenAiChat, streamed: Surface::OpenAiChat },
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
    shows_error_kinds: true,
    unknown_model: UnknownModel::BadRequest,
    model_list: ModelList::Whole,
    answer_type: None,
    keep_alive: b": keep-alive\n\n",
    request_id_header: "x-request-id",
    default_headers: &[],
    betas: |_, _| Vec::new(),
    metadata_is_optional: true,
    longest_tool_name: 64,
    add_defaults: |edits, head, body, defaults| {
        crate::defaults::add(edits, head, body, defaults.fields());
    },
};

/// This folder's dialect, for what it marks as its own.
const HERE: Dialect = Dialect::OpenAiChat;

mod assistant;
pub(crate) mod extension;
pub(crate) mod finish;
pub(crate) mod part;
pub(crate) mod usage;

/// An id for a tool call that came without one: the same for the same answer
/// and position, unlikely to meet another's.
fn made_id(seed: &str, index: usize) -> String {
    format!("call_{:016x}", crate::tool_ids::digest(seed, index))
}

/// Reads arbitrary bytes as everything that this dialect can be asked to read, and writes back what could be read. Must not panic.
pub fn fuzz(data: &[u8]) {
    if let Ok(request) = request::decode(data) {
        let text_only = Target { content_as_text: true, drop_params: true, ..Target::default() };
        for target in [Target::default(), text_only] {
            let _written = request::encode(&request, &target, &mut Dropped::default());
        }
    }
    if let Ok(answer) = response::decode(data) {
        let _written = response::encode(&answer, &FUZZ_SHOWN);
    }
    for status in [200, 400, 429, 500] {
        let _written = error::encode(&error::decode(status, data));
    }
    let _error = error::inside(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut decoder = stream::Decoder::new();
    let mut events = Vec::new();
    for line in text.lines() {
        let data = line.strip_prefix("data:").unwrap_or(line);
        if decoder.push(crate::sse::Event { name: None, data }, &mut events).is_err() {
            break;
        }
    }
    decoder.finish(&mut events);
    let mut encoder = stream::Encoder::new(&FUZZ_SHOWN);
    let mut frames = Vec::new();
    for event in &events {
        encoder.push(event, &mut frames);
    }
}

const FUZZ_SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "chatcmpl-0", created_unix_s: 0, include_usage: true };
