//! Google's `generateContent`, as AI Studio and Vertex AI serve it and as
//! google-genai and gemini-cli speak it
//! (<https://ai.google.dev/api/generate-content>, November 2026).
//!
//! The model and the wish to stream are in the path, not in the body. Keys are
//! read in both of the spellings that Google's servers take (`inlineData`,
//! `inline_data`) and written in the first. Calls have an id only now and then:
//! one without gets an id that is the same whenever the conversation is read. A
//! stream has no last event: it is complete when every candidate has its reason
//! and the connection ends.

pub(crate) mod as_sent;
mod defaults;
mod encode;
pub mod error;
mod extension;
mod foreign;
mod part;
pub mod request;
pub mod response;
mod seal;
pub mod stream;
pub(crate) mod usage;

use crate::contract::{Contract, Conversation, ModelList, UnknownModel};
use crate::{Dialect, Dropped, Endpoint, Shown, Surface, Target};

/// This dialect's contract.
pub static CONTRACT: Contract = Contract {
    name: "gemini",
    endpoints: &[
        (Endpoint::GenerateContent, "/models/{model}:generateContent"),
        (Endpoint::StreamGenerateContent, "/models/{model}:streamGenerateContent?alt=sse"),
        (Endpoint::CountContentTokens, "/models/{model}:countTokens"),
        (Endpoint::Models, "/models"),
    ],
    further_endpoints: &[],
    conversation: Conversation { whole: Surface::GeminiGenerate, streamed: Surface::GeminiStream },
    decode_request: request::decode,
    encode_request: encode::encode,
    decode_response: response::decode,
    encode_response: response::encode,
    stream_decoder: || Box::new(stream::Decoder::default()),
    stream_encoder: |shown| Box::new(stream::Encoder::new(shown)),
    decode_error: error::decode,
    error_inside: error::inside,
    encode_error: error::encode,
    encode_error_event: error::encode_event,
    status_of: error::status_of,
    shows_error_kinds: false,
    unknown_model: UnknownModel::NotFound,
    model_list: ModelList::Whole,
    answer_type: None,
    // google-genai for Python fails on comments.
    keep_alive: b"\n",
    request_id_header: "x-request-id",
    default_headers: &[],
    betas: |_, _| Vec::new(),
    metadata_is_optional: false,
    longest_tool_name: 64,
    add_defaults: defaults::add,
};

/// Names of the object that holds most parameters.
const CONFIG: [&str; 2] = ["generationConfig", "generation_config"];

/// This folder's dialect, for what it marks as its own.
const HERE: Dialect = Dialect::Gemini;

/// Reads arbitrary bytes as everything that this dialect can be asked to read,
/// and writes back what could be read. Must not panic.
pub fn fuzz(data: &[u8]) {
    if let Ok(request) = request::decode(data) {
        let levels = Target { thinking_levels: true, drop_params: true, ..Target::default() };
        for target in [Target::default(), levels] {
            let _written = encode::encode(&request, &target, &mut Dropped::default());
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
    let mut decoder = stream::Decoder::default();
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
    Shown { model: None, fallback_id: "r", created_unix_s: 0, include_usage: true };
