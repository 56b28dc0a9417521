//! Words for the end of an answer.
//!
//! OpenAI has four; compatible providers have more, and some of ours have none
//! there. Those go out as the nearest of the four, with the exact one beside
//! it as `native_finish_reason` (OpenRouter's name).

use crate::json::read::{Raw, string, whole};
use crate::model::{Content, Finish, Part};

const CONTEXT_WINDOW: &str = "model_context_window_exceeded";
const REFUSAL: &str = "refusal";
const PAUSE: &str = "pause_turn";

/// Reads `finish_reason`; an empty word is none (Snowflake).
pub(crate) fn decode(raw: Option<Raw<'_>>, native: Option<Raw<'_>>) -> Option<Finish> {
    let raw = raw?;
    let Some(word) = string(raw) else {
        // Gemini's numbers, which Vertex lets through on its compatible path.
        return match whole(raw)? {
            1 => Some(Finish::Stop),
            2 => Some(Finish::Length),
            3..=5 => Some(Finish::ContentFilter),
            other => Some(Finish::Other(other.to_string())),
        };
    };
    match native.and_then(string).as_deref() {
        Some(CONTEXT_WINDOW) => return Some(Finish::ContextWindow),
        Some(REFUSAL) => return Some(Finish::Refusal),
        Some(PAUSE) => return Some(Finish::Pause),
        _ => {}
    }
    match word.as_str() {
        "" => None,
        "stop" | "eos" | "end_turn" | "stop_sequence" | "completed" | "STOP" | "COMPLETE" => {
            Some(Finish::Stop)
        }
        "length" | "model_length" | "max_tokens" | "MAX_TOKENS" => Some(Finish::Length),
        CONTEXT_WINDOW => Some(Finish::ContextWindow),
        "tool_calls" | "tool_call" | "function_call" | "tool_use" => Some(Finish::ToolCalls),
        "content_filter" | "SAFETY" => Some(Finish::ContentFilter),
        REFUSAL => Some(Finish::Refusal),
        PAUSE => Some(Finish::Pause),
        "error" => Some(Finish::Error),
        _ => Some(Finish::Other(word)),
    }
}

/// Providers say `stop` where they mean tool calls; what was called decides.
pub(crate) fn corrected(finish: Finish, called: bool) -> Finish {
    if called && finish == Finish::Stop { Finish::ToolCalls } else { finish }
}

/// Whether any part calls a tool.
pub(crate) fn calls_tool(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }))
}

/// OpenAI's word, and the exact one where OpenAI's loses something.
pub(crate) fn encode(finish: &Finish) -> (&'static str, Option<&str>) {
    match finish {
        Finish::Stop => ("stop", None),
        Finish::Length => ("length", None),
        Finish::ContextWindow => ("length", Some(CONTEXT_WINDOW)),
        Finish::ToolCalls => ("tool_calls", None),
        Finish::ContentFilter => ("content_filter", None),
        Finish::Refusal => ("content_filter", Some(REFUSAL)),
        Finish::Pause => ("stop", Some(PAUSE)),
        Finish::Error => ("error", None),
        Finish::Other(word) => ("stop", Some(word)),
    }
}
