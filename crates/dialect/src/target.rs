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
    /// The model cannot be told not to think.
    pub always_thinks: bool,
    /// The model knows the effort `xhigh`; others get `high`.
    pub xhigh_effort: bool,
    /// The model knows the effort `max`; others get the next below.
    pub max_effort: bool,
    /// The model does not take a tool choice that forces a call.
    pub no_forced_tool: bool,
    /// The model does not go on from the beginning of an answer.
    pub no_prefill: bool,
    /// The parameters that the model refuses.
    pub refused: Refused<'a>,
    /// The target takes one system message, before all others (OpenAI dialect
    /// only).
    pub system_first: bool,
    /// The target refuses two messages of one role in a row (OpenAI dialect
    /// only).
    pub alternates: bool,
    /// Members of an assistant's message that an earlier answer brought and
    /// that the target takes back, see [`additions`](crate::additions); `None`:
    /// all of them (OpenAI dialect only).
    pub takes_back: Option<&'a [&'a str]>,
    /// An assistant's message with tool calls must have a `reasoning_content`
    /// that is not empty (OpenAI dialect only).
    pub needs_reasoning: bool,
    /// Maximum number of stop sequences; `None` if there is no limit.
    pub stop_max: Option<usize>,
    /// The model must get the signatures of its answers back, also from a target
    /// that refuses what others added to its dialect.
    pub keeps_signatures: bool,
    /// The model thinks in levels, and wants a signature with calls (Gemini 3).
    pub thinking_levels: bool,
    /// The model takes no thinking budget: it adapts.
    pub no_budgets: bool,
    /// The model does not know `output_config.effort`.
    pub no_effort: bool,
    /// The target refuses a tool whose schema has alternatives at its top.
    pub flat_schemas: bool,
    /// Facts for a request that otherwise goes up as its client wrote it.
    pub as_sent: AsSent,
}

/// Facts of a target that change a request of its own dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsSent {
    /// The target takes one system message, before all others.
    pub system_first: bool,
    /// The target takes `cache_control` on parts and tools.
    pub cache_control: bool,
    /// The one name of the output limit that the target knows; `None` if it
    /// takes both.
    pub output_limit: Option<OutputLimitField>,
    /// The target keeps answers unless `store` is false.
    pub store_false: bool,
    /// The target names its models as OpenAI does.
    pub openai_models: bool,
    /// A server of unknown kind behind OpenAI's name: it is not known what it
    /// refuses.
    pub is_unknown: bool,
    /// The model is one whose facts are known.
    pub is_known_model: bool,
    /// The model takes `temperature` or `top_p`, not both.
    pub one_sampler: bool,
}

impl Target<'_> {
    /// Returns true if the target takes back `member` of an assistant's
    /// message.
    pub(crate) fn takes_back(&self, member: &str) -> bool {
        self.takes_back.is_none_or(|taken| taken.contains(&member))
    }

    /// The effort as the model knows it.
    pub(crate) fn effort<'e>(&self, asked: &'e str) -> &'e str {
        match asked {
            "max" if !self.max_effort => self.effort("xhigh"),
            "xhigh" if !self.xhigh_effort => "high",
            asked => asked,
        }
    }
}

/// The parameters that a model refuses, by their names in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused<'a> {
    /// Whatever else is asked for.
    pub always: &'a [&'a str],
    /// While the model reasons.
    pub reasoning: &'a [&'a str],
    /// When it does.
    pub reasons: Reasons,
}

impl<'a> Refused<'a> {
    /// The names that are refused beside this `reasoning_effort`.
    pub fn names(&self, effort: Option<&str>) -> impl Iterator<Item = &'a str> + use<'a> {
        let reasons = match self.reasons {
            Reasons::Always => true,
            Reasons::UnlessNone => effort != Some("none"),
            Reasons::WhenAsked => effort.is_some_and(|effort| effort != "none"),
        };
        let reasoning = if reasons { self.reasoning } else { &[] };
        self.always.iter().chain(reasoning).copied()
    }

    /// Whether nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.always.is_empty() && self.reasoning.is_empty()
    }
}

/// When a model reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasons {
    /// Whatever effort is asked for.
    #[default]
    Always,
    /// Unless the effort is `none`.
    UnlessNone,
    /// Where an effort is asked for, and it is not `none`.
    WhenAsked,
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
