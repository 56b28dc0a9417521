//! Anthropic's stream of events.
//!
//! ```text
//! message_start (content_block_start content_block_delta* content_block_stop)*
//! message_delta+ message_stop; ping anywhere; error anywhere, and last
//! ```

mod decoder;
mod encoder;

pub use decoder::Decoder;
pub use encoder::Encoder;
