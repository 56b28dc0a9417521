//! OpenAI's legacy `POST /v1/completions`, as a surface only: what clients ask
//! becomes one user turn, what comes back becomes `text_completion`.
//!
//! No upstream is spoken to in this dialect. Errors are those of
//! [`openai_chat`](crate::openai_chat::error).

pub mod request;
pub mod response;
pub mod stream;
