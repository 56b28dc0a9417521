//! For each surface, the keys of its requests and what they bear on: those at the
//! top, and those inside the object of one of them.
//!
//! A key that is missing here is *unknown*: it goes upstream as it is, and
//! under a money cap the call is taken to cost the most it can. So a key that
//! cannot change the price is worth a row. Sources: OpenAI's and Anthropic's
//! API references, LiteLLM's request fields, the references of compatible
//! servers.

use crate::Surface;

/// What a key bears on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The model that is asked for.
    Model,
    /// The answer is to come in pieces.
    Stream,
    /// Usage is to be reported in a stream.
    Usage,
    /// The most tokens of an answer.
    OutputLimit,
    /// The number of answers that are generated.
    Choices,
    /// What a token costs, or what else is charged for.
    Price,
    /// Who the call is for.
    Identity,
    /// For the gateway alone: removed before the body goes upstream.
    Gateway,
    /// Would choose the host or the credential: removed like the former, and
    /// the gateway may refuse it.
    Credential,
    /// Part of the conversation or how it is answered; priced by its tokens.
    Ordinary,
}

/// A row of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// As written in the body.
    pub name: &'static str,
    /// What it bears on.
    pub role: Role,
}

/// A field of a request: a key at the top, or one inside the object of such a
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    path: &'static str,
    is_inner: bool,
}

impl Field {
    /// A key at the top.
    pub const fn top(name: &'static str) -> Self {
        Self { path: name, is_inner: false }
    }

    /// A key inside an object: `stream_options.include_usage`.
    pub const fn inner(path: &'static str) -> Self {
        Self { path, is_inner: true }
    }

    /// As written: keys parted by a dot.
    pub const fn path(self) -> &'static str {
        self.path
    }

    /// The key at the top, and the one inside its object.
    pub(crate) fn parts(self) -> (&'static str, Option<&'static str>) {
        match self.path.split_once('.') {
            Some((parent, name)) if self.is_inner => (parent, Some(name)),
            _ => (self.path, None),
        }
    }
}

impl From<&'static str> for Field {
    fn from(name: &'static str) -> Self {
        Self::top(name)
    }
}

/// The fields inside objects that a surface defines and the gateway reads, by
/// their paths; the key at the top has a row of its own.
pub(crate) fn inner(surface: Surface) -> &'static [Key] {
    const CHAT: &[Key] = &[key("stream_options.include_usage", Usage)];
    // Google reads each key in two spellings.
    const GEMINI: &[Key] = &[
        key("generationConfig.maxOutputTokens", OutputLimit),
        key("generationConfig.max_output_tokens", OutputLimit),
        key("generationConfig.candidateCount", Choices),
        key("generationConfig.candidate_count", Choices),
        key("generation_config.maxOutputTokens", OutputLimit),
        key("generation_config.max_output_tokens", OutputLimit),
        key("generation_config.candidateCount", Choices),
        key("generation_config.candidate_count", Choices),
    ];
    match surface {
        Surface::OpenAiChat | Surface::OpenAiCompletions => CHAT,
        Surface::GeminiGenerate | Surface::GeminiStream => GEMINI,
        _ => &[],
    }
}

/// The field that asks for usage in a stream, where the surface has one.
pub(crate) fn usage_flag(surface: Surface) -> Option<Field> {
    let row = inner(surface).iter().find(|row| row.role == Usage)?;
    Some(Field::inner(row.name))
}

/// The keys that a surface defines, by name.
pub fn table(surface: Surface) -> &'static [Key] {
    match surface {
        Surface::OpenAiChat => OPENAI_CHAT,
        Surface::OpenAiCompletions => OPENAI_COMPLETIONS,
        Surface::OpenAiEmbeddings => OPENAI_EMBEDDINGS,
        Surface::AnthropicMessages => ANTHROPIC_MESSAGES,
        Surface::AnthropicCountTokens => ANTHROPIC_COUNT_TOKENS,
        Surface::GeminiGenerate | Surface::GeminiStream => GEMINI,
        Surface::GeminiCountTokens => GEMINI_COUNT_TOKENS,
    }
}

/// Whether a surface defines a key.
pub fn knows(surface: Surface, name: &str) -> bool {
    table(surface).binary_search_by(|key| key.name.cmp(name)).is_ok()
}

/// The row of a key, of the surface's own or of [`GATEWAY`].
pub(crate) fn find(surface: Surface, name: &str) -> Option<&'static Key> {
    [table(surface), GATEWAY].into_iter().find_map(|table| {
        let at = table.binary_search_by(|key| key.name.cmp(name)).ok()?;
        table.get(at)
    })
}

/// Returns true if a key of a surface's requests is said to the gateway alone.
pub(crate) fn is_for_gateway(surface: Surface, name: &str) -> bool {
    find(surface, name).is_some_and(|key| matches!(key.role, Role::Gateway | Role::Credential))
}

/// The row that a reader who ignores case would take `name` for.
pub(crate) fn lookalike(surface: Surface, name: &str) -> Option<&'static Key> {
    [table(surface), GATEWAY].into_iter().flatten().find(|key| folds_to(name, key.name))
}

/// Equal but for case. Beside ASCII, two signs fold to letters in readers that
/// follow Unicode (Go's `encoding/json`): the long s and the Kelvin sign.
pub(crate) fn folds_to(name: &str, key: &str) -> bool {
    // No sign folds to more than three times its bytes.
    if name.len() < key.len() || name.len() > 3 * key.len() {
        return false;
    }
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(key.chars().map(fold))
}

pub(super) const fn key(name: &'static str, role: Role) -> Key {
    Key { name, role }
}

use Role::{
    Choices, Credential, Gateway, Identity, Model, Ordinary, OutputLimit, Price, Stream, Usage,
};

/// `POST /v1/chat/completions`, at OpenAI and at compatible servers.
const OPENAI_CHAT: &[Key] = &[
    key("audio", Price),
    key("background", Price),
    key("cached_content", Price),
    key("chat_template_kwargs", Ordinary),
    key("container", Price),
    key("deferred", Price),
    key("echo", Ordinary),
    key("enable_search", Price),
    key("enable_thinking", Ordinary),
    key("extra_body", Price),
    key("frequency_penalty", Ordinary),
    key("function_call", Ordinary),
    key("functions", Ordinary),
    key("guided_choice", Ordinary),
    key("guided_grammar", Ordinary),
    key("guided_json", Ordinary),
    key("guided_regex", Ordinary),
    key("ignore_eos", Ordinary),
    key("include_reasoning", Ordinary),
    key("logit_bias", Ordinary),
    key("logprobs", Ordinary),
    key("max_completion_tokens", OutputLimit),
    key("max_tokens", OutputLimit),
    key("messages", Ordinary),
    key("metadata", Identity),
    key("min_p", Ordinary),
    key("min_tokens", Ordinary),
    key("modalities", Price),
    key("model", Model),
    key("models", Price),
    key("n", Choices),
    key("parallel_tool_calls", Ordinary),
    key("plugins", Price),
    key("prediction", Price),
    key("presence_penalty", Ordinary),
    key("previous_response_id", Price),
    key("prompt_cache_key", Ordinary),
    key("prompt_cache_options", Price),
    key("prompt_cache_retention", Price),
    key("prompt_mode", Ordinary),
    key("provider", Price),
    key("random_seed", Ordinary),
    key("reasoning", Ordinary),
    key("reasoning_effort", Ordinary),
    key("reasoning_format", Ordinary),
    key("repetition_penalty", Ordinary),
    key("response_format", Ordinary),
    key("route", Price),
    key("safe_prompt", Ordinary),
    key("safety_identifier", Identity),
    key("search_domain_filter", Price),
    key("search_mode", Price),
    key("search_parameters", Price),
    key("search_recency_filter", Price),
    key("search_settings", Price),
    key("seed", Ordinary),
    key("separate_reasoning", Ordinary),
    key("service_tier", Price),
    key("skip_special_tokens", Ordinary),
    key("stop", Ordinary),
    key("stop_token_ids", Ordinary),
    key("store", Ordinary),
    key("stream", Stream),
    key("stream_options", Ordinary),
    key("temperature", Ordinary),
    key("thinking", Price),
    key("thinking_budget", Ordinary),
    key("tool_choice", Ordinary),
    key("tools", Price),
    key("top_a", Ordinary),
    key("top_k", Ordinary),
    key("top_logprobs", Ordinary),
    key("top_p", Ordinary),
    key("transforms", Ordinary),
    key("user", Identity),
    key("verbosity", Ordinary),
    key("web_search_options", Price),
];

/// `POST /v1/completions`.
const OPENAI_COMPLETIONS: &[Key] = &[
    key("best_of", Choices),
    key("echo", Ordinary),
    key("extra_body", Price),
    key("frequency_penalty", Ordinary),
    key("ignore_eos", Ordinary),
    key("logit_bias", Ordinary),
    key("logprobs", Ordinary),
    key("max_completion_tokens", OutputLimit),
    key("max_tokens", OutputLimit),
    key("metadata", Identity),
    key("min_p", Ordinary),
    key("min_tokens", Ordinary),
    key("model", Model),
    key("models", Price),
    key("n", Choices),
    key("presence_penalty", Ordinary),
    key("prompt", Ordinary),
    key("provider", Price),
    key("random_seed", Ordinary),
    key("repetition_penalty", Ordinary),
    key("safety_identifier", Identity),
    key("seed", Ordinary),
    key("service_tier", Price),
    key("skip_special_tokens", Ordinary),
    key("stop", Ordinary),
    key("stream", Stream),
    key("stream_options", Ordinary),
    key("suffix", Ordinary),
    key("temperature", Ordinary),
    key("top_k", Ordinary),
    key("top_p", Ordinary),
    key("user", Identity),
];

/// `POST /v1/embeddings`.
const OPENAI_EMBEDDINGS: &[Key] = &[
    key("dimensions", Ordinary),
    key("encoding_format", Ordinary),
    key("extra_body", Price),
    key("input", Ordinary),
    key("input_type", Ordinary),
    key("metadata", Identity),
    key("model", Model),
    key("output_dimension", Ordinary),
    key("output_dtype", Ordinary),
    key("provider", Price),
    key("service_tier", Price),
    key("truncate", Ordinary),
    key("truncation", Ordinary),
    key("user", Identity),
];

/// `POST /v1/messages`.
const ANTHROPIC_MESSAGES: &[Key] = &[
    key("anthropic_beta", Price),
    key("anthropic_version", Ordinary),
    key("cache_control", Price),
    key("container", Price),
    key("context_management", Price),
    key("extra_body", Price),
    key("inference_geo", Price),
    key("max_tokens", OutputLimit),
    key("mcp_servers", Price),
    key("messages", Ordinary),
    key("metadata", Identity),
    key("model", Model),
    key("output_config", Ordinary),
    key("output_format", Ordinary),
    key("service_tier", Price),
    key("speed", Price),
    key("stop_sequences", Ordinary),
    key("stream", Stream),
    key("system", Ordinary),
    key("temperature", Ordinary),
    key("thinking", Price),
    key("tool_choice", Ordinary),
    key("tools", Price),
    key("top_k", Ordinary),
    key("top_p", Ordinary),
];

/// `POST /v1/messages/count_tokens`: generates nothing.
const ANTHROPIC_COUNT_TOKENS: &[Key] = &[
    key("anthropic_beta", Ordinary),
    key("anthropic_version", Ordinary),
    key("cache_control", Ordinary),
    key("context_management", Ordinary),
    key("mcp_servers", Ordinary),
    key("messages", Ordinary),
    key("metadata", Identity),
    key("model", Model),
    key("output_config", Ordinary),
    key("output_format", Ordinary),
    key("speed", Ordinary),
    key("system", Ordinary),
    key("thinking", Ordinary),
    key("tool_choice", Ordinary),
    key("tools", Ordinary),
];

/// `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
const GEMINI: &[Key] = &[
    key("cachedContent", Price),
    key("cached_content", Price),
    key("contents", Ordinary),
    key("generationConfig", Ordinary),
    key("generation_config", Ordinary),
    key("labels", Ordinary),
    key("safetySettings", Ordinary),
    key("safety_settings", Ordinary),
    key("serviceTier", Price),
    key("service_tier", Price),
    key("store", Ordinary),
    key("systemInstruction", Ordinary),
    key("system_instruction", Ordinary),
    key("toolConfig", Ordinary),
    key("tool_config", Ordinary),
    key("tools", Price),
];

/// `POST /v1beta/models/{model}:countTokens`: generates nothing.
const GEMINI_COUNT_TOKENS: &[Key] = &[
    key("contents", Ordinary),
    key("generateContentRequest", Ordinary),
    key("generate_content_request", Ordinary),
    key("generationConfig", Ordinary),
    key("generation_config", Ordinary),
    key("systemInstruction", Ordinary),
    key("system_instruction", Ordinary),
    key("tools", Ordinary),
];

/// What clients of LiteLLM say to the gateway on any surface. A surface's own
/// row of the same name goes first.
pub const GATEWAY: &[Key] = &[
    key("additional_drop_params", Gateway),
    key("allowed_openai_params", Gateway),
    key("api_base", Credential),
    key("api_key", Credential),
    key("api_version", Credential),
    key("aws_access_key_id", Credential),
    key("aws_bedrock_runtime_endpoint", Credential),
    key("aws_external_id", Credential),
    key("aws_profile_name", Credential),
    key("aws_region_name", Credential),
    key("aws_role_name", Credential),
    key("aws_secret_access_key", Credential),
    key("aws_session_name", Credential),
    key("aws_session_token", Credential),
    key("aws_sts_endpoint", Credential),
    key("aws_web_identity_token", Credential),
    key("azure_ad_token", Credential),
    key("base_url", Credential),
    key("cache", Gateway),
    key("caching", Gateway),
    key("client_id", Credential),
    key("client_secret", Credential),
    key("content_policy_fallbacks", Gateway),
    key("context_window_fallbacks", Gateway),
    key("cooldown_time", Gateway),
    key("custom_llm_provider", Credential),
    key("default_headers", Credential),
    key("deployment_id", Credential),
    key("disable_fallbacks", Gateway),
    key("drop_params", Gateway),
    key("enable_tag_filtering", Gateway),
    key("extra_headers", Credential),
    key("extra_query", Credential),
    key("fallbacks", Gateway),
    key("force_timeout", Gateway),
    key("guardrail_config", Gateway),
    key("guardrails", Gateway),
    key("headers", Credential),
    key("hf_model_name", Gateway),
    key("include_cost_in_streaming_usage", Gateway),
    key("input_cost_per_second", Gateway),
    key("input_cost_per_token", Gateway),
    key("litellm_call_id", Gateway),
    key("litellm_credential_name", Credential),
    key("litellm_metadata", Gateway),
    key("litellm_params", Gateway),
    key("litellm_session_id", Gateway),
    key("litellm_trace_id", Gateway),
    key("logger_fn", Gateway),
    key("max_budget", Gateway),
    key("max_parallel_requests", Gateway),
    key("max_retries", Gateway),
    key("mock_delay", Gateway),
    key("mock_response", Gateway),
    key("mock_testing_content_policy_fallbacks", Gateway),
    key("mock_testing_context_fallbacks", Gateway),
    key("mock_testing_fallbacks", Gateway),
    key("mock_testing_rate_limit_error", Gateway),
    key("mock_timeout", Gateway),
    key("mock_tool_calls", Gateway),
    key("model_file_id_mapping", Gateway),
    key("model_info", Gateway),
    key("model_list", Credential),
    key("no-log", Gateway),
    key("num_retries", Gateway),
    key("organization", Credential),
    key("output_cost_per_second", Gateway),
    key("output_cost_per_token", Gateway),
    key("priority", Gateway),
    key("prompt_id", Gateway),
    key("prompt_label", Gateway),
    key("prompt_variables", Gateway),
    key("prompt_version", Gateway),
    key("provider_specific_header", Credential),
    key("proxy_server_request", Gateway),
    key("region_name", Credential),
    key("request_timeout", Gateway),
    key("retry_policy", Gateway),
    key("retry_strategy", Gateway),
    key("rpm", Gateway),
    key("s_max_age", Gateway),
    key("secret_fields", Gateway),
    key("stream_timeout", Gateway),
    key("tags", Gateway),
    key("tenant_id", Credential),
    key("timeout", Gateway),
    key("tpm", Gateway),
    key("ttl", Gateway),
    key("use_litellm_proxy", Gateway),
    key("user_config", Credential),
    key("user_continue_message", Gateway),
    key("vertex_credentials", Credential),
    key("vertex_location", Credential),
    key("vertex_project", Credential),
];

#[cfg(test)]
mod tests {
    use super::*;

    const SURFACES: [Surface; 8] = [
        Surface::OpenAiChat,
        Surface::OpenAiCompletions,
        Surface::OpenAiEmbeddings,
        Surface::AnthropicMessages,
        Surface::AnthropicCountTokens,
        Surface::GeminiGenerate,
        Surface::GeminiStream,
        Surface::GeminiCountTokens,
    ];

    #[test]
    fn tables_are_in_order_and_every_row_is_found() {
        for table in SURFACES.map(table).into_iter().chain([GATEWAY]) {
            for pair in table.windows(2) {
                assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
            }
        }
        for surface in SURFACES {
            for key in table(surface).iter().chain(GATEWAY) {
                assert_eq!(find(surface, key.name).unwrap().name, key.name);
            }
            for row in inner(surface) {
                let (parent, name) = Field::inner(row.name).parts();
                assert!(knows(surface, parent) && name.is_some(), "{}", row.name);
            }
        }
    }

    #[test]
    fn no_two_rows_are_alike_to_a_reader_who_ignores_case() {
        for surface in SURFACES {
            for key in table(surface).iter().chain(GATEWAY) {
                assert_eq!(lookalike(surface, &key.name.to_uppercase()).unwrap().name, key.name);
            }
        }
    }

    #[test]
    fn unicode_signs_fold_to_letters() {
        assert!(folds_to("\u{17f}tream", "stream"));
        assert!(folds_to("max_to\u{212a}ens", "max_tokens"));
        assert!(folds_to("MODEL", "model"));
        assert!(!folds_to("models", "model"));
        assert!(!folds_to("mode", "model"));
    }
}
