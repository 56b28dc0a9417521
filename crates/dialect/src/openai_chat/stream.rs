//! Streamed answers, both ways: `data:` chunks and a final `[DONE]`.

mod choice;
mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;
