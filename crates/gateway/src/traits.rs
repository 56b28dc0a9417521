//! What a model takes: from its row in the catalogue, or from the rows of its
//! family where the model's own is silent. A model that neither knows is taken to
//! take everything.

use catalog::{Families, Model, OutputLimit, Provider};
use dialect::{Reasons, Refused};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// One of OpenAI's own models, behind OpenAI's own prefix.
    pub openais_own: bool,
    /// Whether it reasons, where that is known.
    pub reasons: Option<bool>,
    /// Thinks with an effort, not with a budget.
    pub adaptive_thinking: bool,
    /// Cannot be told not to think.
    pub always_thinks: bool,
    /// Has structured outputs of its own.
    pub native_json_schema: bool,
    /// Knows the effort `xhigh`.
    pub xhigh_effort: bool,
    /// Knows the effort `max`.
    pub max_effort: bool,
    /// Takes no tool choice that forces a call.
    pub no_forced_tool: bool,
    /// Does not go on from the beginning of an answer.
    pub no_prefill: bool,
    /// Understands Anthropic's cache hints, wherever it is served.
    pub cache_control: bool,
    /// In the catalogue, or a Claude by its name.
    pub is_known: bool,
    /// Must get the signatures of its answers back, wherever it is served.
    pub keeps_signatures: bool,
    /// Thinks in levels, as Gemini does since 3.
    pub thinking_levels: bool,
    /// Takes no thinking budget.
    pub no_budgets: bool,
    /// Does not know `output_config.effort`.
    pub no_effort: bool,
    /// A Claude that refuses `temperature` and `top_p` together.
    pub one_sampler: bool,
    /// Takes one system message, before all others.
    pub system_first: bool,
    /// Insists on `reasoning_content` in an assistant's message with calls.
    pub needs_reasoning: bool,
    /// The parameters that it refuses.
    pub refused: Refused<'static>,
}

impl Traits {
    /// Of a provider's model, which is `known` to the catalogue or not.
    pub fn of(provider: &'static Provider, model: &str, known: Option<Model>) -> Self {
        let supports = |flag: &str| known.and_then(|known| known.supports(flag));
        let family = Families::of(model);
        let says = |flag: &str| supports(flag).or_else(|| family.supports(flag));
        let has = |flag: &str| says(flag) == Some(true);
        let known_by_name = family.has("known_by_name");
        let quirks = &provider.quirks;
        // Servers of many kinds stand behind OpenAI's prefix.
        let openais_own = quirks.openai_models && known.is_some();
        let adaptive_thinking = has("adaptive_thinking");
        let budgets = match (known, supports("legacy_thinking")) {
            (_, Some(takes)) => takes,
            (Some(_), None) => !adaptive_thinking,
            (None, None) => family.supports("legacy_thinking") != Some(false),
        };
        Self {
            openais_own,
            reasons: known
                .and_then(|known| reasons(provider, known, model))
                .or_else(|| family.supports("reasoning")),
            adaptive_thinking,
            always_thinks: has("thinking_always_on"),
            native_json_schema: has("native_structured_output"),
            xhigh_effort: has("xhigh_reasoning_effort"),
            max_effort: has("max_reasoning_effort"),
            no_forced_tool: says("forced_tool_use") == Some(false),
            // The others go on from nothing, or do not say.
            no_prefill: says("assistant_prefill") == Some(false)
                && (quirks.claude_models || known_by_name),
            cache_control: family.has("cache_hints"),
            is_known: known.is_some() || known_by_name,
            keeps_signatures: family.has("signatures"),
            thinking_levels: family.has("thinking_levels"),
            no_budgets: !budgets,
            no_effort: !has("output_config"),
            one_sampler: family.has("one_sampler"),
            system_first: !quirks.system_anywhere || quirks.openai_models && !openais_own,
            needs_reasoning: quirks.needs_reasoning
                && known.is_none_or(|known| known.supports("reasoning") == Some(true)),
            refused: refused(provider, model, known, says("sampling_params") == Some(false)),
        }
    }
}

/// Whether a listed model thinks. Of OpenAI's and Anthropic's own models the
/// data names all that do; of others, silence says nothing.
fn reasons(provider: &Provider, listed: Model, model: &str) -> Option<bool> {
    let complete = provider.quirks.openai_models || provider.quirks.claude_models;
    let by_name = provider.output_limit(model) == OutputLimit::MaxCompletionTokens;
    listed.supports("reasoning").or((complete && !by_name).then_some(false))
}

/// Claude 4.7 and later, and OpenAI's models while they reason, choose their
/// words by themselves (Anthropic, "What's new in Claude Opus 4.7", 2026;
/// OpenAI, "Using GPT-5.2", parameter compatibility, 2026).
fn refused(
    provider: &'static Provider,
    model: &str,
    known: Option<Model>,
    chooses_alone: bool,
) -> Refused<'static> {
    let quirks = &provider.quirks;
    let supports = |flag: &str| known.and_then(|known| known.supports(flag));
    let none_by_default = known.and_then(|known| known.fact("default_reasoning_effort"));
    let (refuses, reasons) = if provider.is_reasoning_model(model) {
        let reasons = match none_by_default {
            Some("none") => Reasons::WhenAsked,
            _ if supports("none_reasoning_effort") == Some(true) => Reasons::UnlessNone,
            _ => Reasons::Always,
        };
        (true, reasons)
    } else {
        (chooses_alone, Reasons::Always)
    };
    // Servers of many kinds stand behind OpenAI's prefix: its own models alone
    // are known to refuse what its entry says.
    let its_own = known.is_some() || !quirks.openai_models;
    Refused {
        always: if its_own { &quirks.refuses } else { &[] },
        reasoning: if refuses { &quirks.sampling } else { &[] },
        reasons,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(provider: &str, model: &str) -> Traits {
        let provider = catalog::provider(provider).unwrap();
        Traits::of(provider, model, catalog::model(provider.id, model))
    }

    fn refuses(provider: &str, model: &str, effort: Option<&str>, name: &str) -> bool {
        of(provider, model).refused.names(effort).any(|refused| refused == name)
    }

    /// Its name says nothing: a budget, a stand-in tool and a forced choice
    /// were sent to it.
    #[test]
    fn what_the_catalogue_knows_of_a_claude_goes_before_its_name() {
        let mythos = of("anthropic", "claude-mythos-preview");
        assert!(mythos.adaptive_thinking && mythos.always_thinks && mythos.native_json_schema);
        assert!(mythos.no_prefill && mythos.xhigh_effort && mythos.max_effort);
        let opus = of("anthropic", "claude-opus-4-6");
        assert!(!opus.xhigh_effort && opus.max_effort && opus.no_prefill);
        assert!(of("anthropic", "claude-sonnet-5-5").no_forced_tool);
        assert!(!of("anthropic", "claude-sonnet-4-5").no_prefill);
    }

    #[test]
    fn an_unlisted_claude_is_judged_by_its_name() {
        let next = of("anthropic", "claude-opus-9-1");
        assert!(next.adaptive_thinking && next.no_prefill && next.xhigh_effort);
        assert!(refuses("anthropic", "claude-opus-9-1", None, "temperature"));
        let old = of("anthropic", "claude-3-5-sonnet-20241022");
        assert_eq!(old.reasons, Some(false));
        assert!(!old.adaptive_thinking && !old.no_prefill);
        assert!(!refuses("anthropic", "claude-3-5-sonnet-20241022", None, "temperature"));
    }

    #[test]
    fn newer_claudes_refuse_sampling_and_older_ones_do_not() {
        for model in ["claude-opus-4-7", "claude-opus-5", "claude-mythos-preview"] {
            for name in ["temperature", "top_p", "top_k"] {
                assert!(refuses("anthropic", model, None, name), "{model} {name}");
            }
        }
        for model in ["claude-opus-4-6", "claude-sonnet-4-5"] {
            assert!(of("anthropic", model).refused.is_empty(), "{model}");
        }
    }

    #[test]
    fn openais_reasoning_models_refuse_sampling_while_they_reason() {
        for (model, effort, expected) in [
            ("gpt-5", None, true),
            ("o3", Some("low"), true),
            ("gpt-5.1", None, false),
            ("gpt-5.1", Some("none"), false),
            ("gpt-5.1", Some("low"), true),
            ("gpt-5.5", None, true),
            ("gpt-5.5", Some("none"), false),
            ("gpt-5-chat-latest", None, false),
            ("gpt-4o", None, false),
            ("a-model-nobody-lists", None, false),
        ] {
            assert_eq!(refuses("openai", model, effort, "temperature"), expected, "{model}");
            assert_eq!(refuses("openai", model, effort, "logprobs"), expected, "{model}");
        }
        assert!(refuses("openai", "gpt-4o", None, "top_k"));
        assert!(!refuses("openai", "a-model-nobody-lists", None, "top_k"));
        assert!(!refuses("hosted_vllm", "gpt-5", None, "top_k"));
    }

    #[test]
    fn whether_a_model_thinks_is_known_of_openais_and_anthropics_own() {
        for (provider, model, expected) in [
            ("openai", "gpt-4o", Some(false)),
            ("openai", "gpt-5", Some(true)),
            ("openai", "my-own", None),
            ("anthropic", "claude-sonnet-4-5", Some(true)),
            ("groq", "llama-3.1-8b-instant", None),
        ] {
            assert_eq!(of(provider, model).reasons, expected, "{provider}/{model}");
        }
    }
}
