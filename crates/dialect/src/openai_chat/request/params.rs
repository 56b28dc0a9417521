//! Which parameters may be left out unasked.

use crate::{Dialect, anthropic_messages, model::Extension};

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

/// Whether another dialect's field may be dropped without a word.
pub(super) fn is_harmless(extension: &Extension) -> bool {
    match extension.source {
        Dialect::OpenAiChat => false,
        Dialect::AnthropicMessages => anthropic_messages::is_hint(&extension.name),
    }
}
