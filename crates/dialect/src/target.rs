//! What an encoder must know about where a request goes.

/// The facts of one deployment that change how a request is written.
#[derive(Clone, Debug, Default)]
pub struct Target<'a> {
    /// The upstream's name of the model.
    pub model: &'a str,
    /// The model's own output limit, for dialects that require one.
    pub max_output_tokens: Option<u64>,
    /// Leave out what the target cannot honour, instead of refusing.
    pub drop_params: bool,
    /// Parameters to leave out whatever the target supports.
    pub additional_drop_params: &'a [String],
    /// Which name the output limit has (OpenAI dialect only).
    pub output_limit_field: OutputLimitField,
    /// Message content must be a string, never a list of parts.
    pub content_as_text: bool,
    /// The target does not know `stream_options`.
    pub no_stream_options: bool,
    /// The target does not know the role `developer`.
    pub no_developer_role: bool,
    /// The target takes `cache_control` on parts and tools, in Anthropic's form
    /// (OpenAI dialect only: OpenRouter does, OpenAI refuses it).
    pub cache_control: bool,
    /// Whether the model thinks; none where that is not known.
    pub reasons: Option<bool>,
    /// The target is OpenAI itself, which refuses what others added to its
    /// dialect: `top_k`, `extra_content` beside a call.
    pub only_openais_fields: bool,
    /// The model thinks with `adaptive` mode and an effort, not with a budget.
    pub adaptive_thinking: bool,
    /// The model takes `output_config.format` for JSON schemas; otherwise a
    /// forced tool stands in.
    pub native_json_schema: bool,
}

/// OpenAI's two names for the output limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputLimitField {
    /// `max_completion_tokens`: OpenAI's own, required by reasoning models.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`: what most compatible servers know.
    MaxTokens,
}

/// What an answer's encoder must know that the answer does not say.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The model name to show; `None` shows the upstream's own.
    pub model: Option<&'a str>,
    /// An id to use where the upstream gave none.
    pub fallback_id: &'a str,
    /// Seconds since 1970, where the upstream said nothing.
    pub created_unix_s: i64,
    /// Whether the client asked for usage in a stream.
    pub include_usage: bool,
}
