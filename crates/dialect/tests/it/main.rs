//! Every test of the crate that is not at the foot of a pure file.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that fails here has failed as it should; skips are printed"
)]

mod anthropic_conversation;
mod anthropic_goldens;
mod anthropic_properties;
mod anthropic_recordings;
mod anthropic_stream;
mod arbitrary;
mod bytes_cost;
mod bytes_head;
mod bytes_recordings;
mod bytes_splice;
mod bytes_sse;
mod bytes_tap;
mod facts;
mod facts_anthropic;
mod facts_gemini;
mod gemini;
mod gemini_properties;
mod gemini_recordings;
mod limits;
mod openai_goldens;
mod openai_properties;
mod openai_recordings;
mod openai_stream;
mod recordings;
mod translate;
mod wire;
