//! OpenAI's `POST /v1/chat/completions`, as clients speak it and as some
//! hundred compatible providers answer it.
//!
//! Decoders are generous: they know the deviations of section 7 of the wire
//! format notes (Groq, Mistral, DeepSeek, xAI, OpenRouter, Azure, Perplexity,
//! Together, Z.ai, Cerebras, Snowflake, vLLM) and the additions that LiteLLM's
//! clients send. Encoders are strict: OpenAI's own form, plus the fields that
//! LiteLLM's clients read. Which provider is at the other end is not known
//! here; what differs in requests is said by [`Target`](crate::Target).

pub mod error;
pub mod request;
pub mod response;
pub mod stream;

mod assistant;
pub(crate) mod finish;
mod media;
pub(crate) mod object;
pub(crate) mod part;
mod surrogate;
pub(crate) mod usage;
pub(crate) mod write;

/// An id for a tool call that came without one: the same for the same answer
/// and position, unlikely to meet another's.
fn made_id(seed: &str, index: usize) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in seed.bytes().chain(index.to_le_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("call_{hash:016x}")
}
