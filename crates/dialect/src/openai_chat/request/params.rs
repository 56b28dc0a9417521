//! Which parameters may be left out unasked.

use crate::anthropic_messages;
use crate::head::{Surface, keys::knows};
use crate::model::Extension;

/// Fields that speak to a gateway, not to a model: never sent upstream
/// (LiteLLM's request fields, section 1 of the compatibility notes).
const GATEWAY: [&str; 34] = [
    "metadata",
    "litellm_metadata",
    "litellm_session_id",
    "litellm_trace_id",
    "tags",
    "cache",
    "caching",
    "ttl",
    "guardrails",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "disable_fallbacks",
    "num_retries",
    "max_retries",
    "timeout",
    "stream_timeout",
    "request_timeout",
    "mock_response",
    "mock_testing_fallbacks",
    "mock_testing_context_fallbacks",
    "mock_testing_content_policy_fallbacks",
    "mock_timeout",
    "no-log",
    "drop_params",
    "additional_drop_params",
    "allowed_openai_params",
    "api_key",
    "api_base",
    "base_url",
    "prompt_id",
    "prompt_variables",
    "enable_tag_filtering",
    "user_config",
];

/// Whether a field of this dialect stays with the gateway.
pub(crate) fn is_gateways(name: &str) -> bool {
    GATEWAY.contains(&name)
}

/// What leaving out another dialect's field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Nothing: it is empty or the gateway's own.
    Silent,
    /// Nothing for the answer's meaning; it is named all the same.
    Hint,
    /// Another answer: it is refused, or dropped where that is wanted.
    Meaning,
}

/// The weight of a field that Anthropic's clients sent.
///
/// A field that no table knows is a hint: new releases of coding agents bring
/// such fields, and none of them was meant for this target.
pub(super) fn weight(extension: &Extension) -> Weight {
    let name = &*extension.name;
    // The effort has become the target's own.
    if extension.says_nothing() || name == "output_config.effort" {
        Weight::Silent
    } else if anthropic_messages::is_hint(name) || !knows(Surface::AnthropicMessages, name) {
        Weight::Hint
    } else {
        Weight::Meaning
    }
}
