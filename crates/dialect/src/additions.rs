//! What the gateway adds to answers, and what happens to it when a client sends
//! an answer back in a later turn.
//!
//! This is the one list. An addition is recognised on every way in, also where
//! client and upstream speak the same dialect, and is used or removed there;
//! it never reaches a provider that refuses it.
//!
//! | addition | seen by | when it comes back |
//! |---|---|---|
//! | [`CHAT_MEMBERS`] on an assistant's message | OpenAI's clients | used where the target is Claude (`thinking_blocks` with a signature) or takes the member back (`takes_back` in the provider's row); removed elsewhere |
//! | `refusal: null` on an assistant's message | OpenAI's clients | removed for providers that are not OpenAI |
//! | `thinking` blocks with an empty signature | Anthropic's clients | written as `reasoning_content` where the provider takes it back; removed elsewhere ([`without_foreign`](crate::anthropic_messages::fit::without_foreign)) |
//! | `web_search_result_location` citations with an empty `encrypted_index` | Anthropic's clients | removed |
//! | tool ids that begin with `toolu_km_` | Anthropic's clients | read back as the provider's own ids (`tool_ids`) |
//! | a signature of Gemini's in such an id | Anthropic's clients | written beside the call again where the target knows [`EXTRA_CONTENT`]; removed elsewhere |
//! | Claude's signatures and encrypted thinking in `thoughtSignature`, as base64 of a mark and what is sealed | Google's clients | read back as Claude's; removed for Google |
//! | shortened tool names | nobody: put back in the answer ([`ToolNames`](crate::ToolNames)) | |
//! | calls of [`JSON_TOOL`](crate::anthropic_messages::JSON_TOOL) | nobody: shown as the answer's text | |
//! | `msg_` before a message's id; `native_finish_reason`, `stop_reason` beside a choice | both | not part of a message, so never sent back |

use crate::Json;
use crate::json::read::{Object, Raw, string};
use crate::json::write;
use crate::model::{Origin, Sealed};

/// Members of an assistant's chat message that an earlier answer may hold
/// beyond OpenAI's own. The gateway writes the first four itself; the others
/// come from a provider whose answer the client now sends to another one.
pub const CHAT_MEMBERS: [&str; 8] = [
    "thinking_blocks",
    "reasoning_content",
    "provider_specific_fields",
    "annotations",
    "reasoning",
    "reasoning_details",
    "citations",
    "images",
];

/// The member next to a call that only Gemini's compatible path has.
pub(crate) const EXTRA_CONTENT: &str = "extra_content";

/// The member that holds an assistant's thinking as plain text.
pub(crate) const REASONING_CONTENT: &str = "reasoning_content";

/// Stands for thinking that is gone, where a provider insists on some.
pub(crate) const NO_REASONING: &str = " ";

/// The value of [`EXTRA_CONTENT`] that says a signature; `None` for one that is
/// not Google's.
pub(crate) fn extra_content(signature: &Sealed) -> Option<Json> {
    if signature.origin != Origin::Google {
        return None;
    }
    write::json(|extra| {
        extra.object("google", |google| google.member("thought_signature", &signature.text));
    })
}

/// The signature that a value of [`EXTRA_CONTENT`] says, if that is all it says.
pub(crate) fn signature_in(extra: Raw<'_>) -> Option<Sealed> {
    let mut extra = Object::of(extra).ok()?;
    let mut google = Object::of(extra.take("google")?).ok()?;
    let signature = google.take("thought_signature").and_then(string)?;
    (extra.is_empty() && google.is_empty()).then(|| Sealed::googles(signature))
}
