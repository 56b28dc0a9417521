//! Whether anything here would ever serve a deployment.
//!
//! LiteLLM has an endpoint for each mode of the price data. Those that do not
//! exist here yet are named, so that nobody waits for a deployment that no
//! path leads to.

use crate::env::Env as _;
use crate::reader::{Field, Reader};
use catalog::Provider;

/// What stands before the name of a model that LiteLLM asks over OpenAI's
/// Responses API.
const RESPONSES_PREFIX: &str = "responses/";

/// Why a deployment that names it is left out.
pub(crate) const NO_RESPONSES: &str =
    "it asks for the Responses API, which does not exist here yet";

/// Whether the model's name asks for OpenAI's Responses API.
pub(crate) fn names_responses(model: &str) -> bool {
    model.starts_with(RESPONSES_PREFIX)
}

/// What becomes of a deployment of this mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Calls reach it.
    Served,
    /// LiteLLM reaches it by another endpoint for chat, too.
    Responses,
    /// No endpoint here leads to it.
    Unserved,
    /// Nobody knows it.
    Unknown,
}

/// What becomes of a deployment of this `mode`.
pub(crate) fn mode(name: &str) -> Mode {
    match name {
        "" | "chat" | "completion" | "embedding" => Mode::Served,
        "responses" => Mode::Responses,
        "audio_speech"
        | "audio_transcription"
        | "batch"
        | "decisions"
        | "evaluation"
        | "extraction"
        | "fine_tuning"
        | "guardrail"
        | "image_edit"
        | "image_generation"
        | "image_variation"
        | "moderation"
        | "ocr"
        | "realtime"
        | "rerank"
        | "search"
        | "vector_store"
        | "video_edit"
        | "video_generation" => Mode::Unserved,
        _ => Mode::Unknown,
    }
}

/// Returns true if a deployment with this `supported_environments` is for the
/// environment that `LITELLM_ENVIRONMENT` names; records otherwise why not.
pub(crate) fn in_environment(reader: &mut Reader<'_>, field: &Field<'_>) -> bool {
    let supported = reader.texts(field);
    if supported.is_empty() {
        return true;
    }
    let supported_text = supported.join(", ");
    let (why, hint) = match reader.env.var("LITELLM_ENVIRONMENT") {
        Some(name) if supported.contains(&name) => return true,
        Some(_) => (format!("it is for other environments: {supported_text}"), ""),
        None => (
            format!("it is for some environments only: {supported_text}"),
            "set LITELLM_ENVIRONMENT to this one's name",
        ),
    };
    reader.leave_out(field, why, hint);
    false
}

/// Why the price data says that nothing here would serve a model; none where
/// it does not.
pub(crate) fn why_not(provider: &Provider, model: &str) -> Option<String> {
    let known = catalog::model(provider.id, model)?;
    let endpoints = known.fact("supported_endpoints").unwrap_or("");
    let speaks = |path: &str| endpoints.split(',').any(|endpoint| endpoint.ends_with(path));
    if ["/chat/completions", "/completions", "/embeddings", "/messages"].into_iter().any(speaks) {
        return None;
    }
    match mode(known.mode()) {
        Mode::Served | Mode::Unknown => None,
        Mode::Responses => {
            Some("it answers on the Responses API only, which does not exist here yet".to_owned())
        }
        Mode::Unserved => Some(unserved(known.mode())),
    }
}

/// Why not, for a mode that is not served.
pub(crate) fn unserved(mode: &str) -> String {
    format!(
        "only chat, completions and embeddings are served here yet, not {}",
        mode.replace('_', " ")
    )
}

#[cfg(test)]
mod tests {
    use super::{Mode, mode, why_not};

    #[test]
    fn every_mode_of_the_price_data_is_known() {
        for model in catalog::models().filter(|model| model.mode() != "mode") {
            assert_ne!(mode(model.mode()), Mode::Unknown, "{} {}", model.key(), model.mode());
        }
    }

    #[test]
    fn what_no_endpoint_serves_is_known_by_its_model() {
        let openai = catalog::provider("openai").unwrap();
        for model in ["whisper-1", "tts-1", "gpt-5-pro"] {
            assert!(why_not(openai, model).is_some(), "{model}");
        }
        for model in ["gpt-4o", "gpt-5", "text-embedding-3-small", "a-model-of-tomorrow", "*"] {
            assert_eq!(why_not(openai, model), None, "{model}");
        }
    }
}
