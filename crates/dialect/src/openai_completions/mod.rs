//! OpenAI's legacy `POST /v1/completions`, as a surface only: what clients ask
//! becomes one user turn, what comes back becomes `text_completion`.
//!
//! No upstream is spoken to in this dialect. Errors are those of
//! [`openai_chat`](crate::openai_chat::error).

use crate::{Shown, openai_chat, unfold::unfold};

pub mod request;
pub mod response;
pub mod stream;

/// Reads arbitrary bytes as everything that this surface can be asked to read,
/// and writes back what could be read. Must not panic.
pub fn fuzz(data: &[u8]) {
    const SHOWN: Shown<'static> =
        Shown { model: None, fallback_id: "cmpl-0", created_unix_s: 0, include_usage: true };
    let _request = request::decode(data);
    if let Ok(answer) = openai_chat::response::decode(data) {
        let _written = response::encode(&answer, &SHOWN);
        let mut encoder = stream::Encoder::new(&SHOWN);
        let mut frames = Vec::new();
        unfold(answer, |event| encoder.push(&event, &mut frames));
    }
}
