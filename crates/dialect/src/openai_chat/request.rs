//! Requests: `POST /v1/chat/completions`, both ways.

mod decode;
mod encode;
mod history;
mod messages;

use crate::json::read::{Raw, items};
use crate::{Dropped, Target};

pub use decode::decode;
pub(crate) use decode::decode_parameters;
pub use encode::encode;

/// The value of `messages` in the order that `target` demands; `None` if it
/// cannot be read or said, and is the provider's to judge.
pub fn rearranged(raw: &[u8], target: &Target<'_>) -> Option<String> {
    let list = items(Raw::check(raw).ok()?)?;
    let request = messages::decode(list).ok()?;
    let mut out = Vec::with_capacity(raw.len());
    history::encode(&request, target, &mut Dropped::default(), &mut out).ok()?;
    String::from_utf8(out).ok()
}
