//! Gemini's stream: every event is an answer that holds what is new.
//!
//! Parts have no begin and no end of their own: texts go on until another kind
//! comes, calls come whole. Usage stands in every event and grows.

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;
