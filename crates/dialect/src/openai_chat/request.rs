//! Requests: `POST /v1/chat/completions`, both ways.

mod decode;
mod encode;
mod history;
mod messages;
pub(crate) mod params;

pub use decode::decode;
pub(crate) use decode::decode_parameters;
pub use encode::encode;
