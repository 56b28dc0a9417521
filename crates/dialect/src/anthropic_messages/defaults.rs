//! A deployment's own parameters in Anthropic's words, for a client's request of
//! this dialect that otherwise goes up as it came.

use super::wish;
use crate::defaults::{Defaults, belongs, is_native};
use crate::head::Head;
use crate::splice::Edits;
use crate::{Json, Surface};
use memchr::memmem;

/// Adds those that this dialect has words for, where the client says nothing of
/// them. The client's words go before a wish to think.
pub(super) fn add<'d>(edits: &mut Edits<'d>, head: &Head, body: &[u8], defaults: &Defaults<'d>) {
    let surface = head.surface();
    let has = |name: &str| head.raw(body, name).is_some();
    let target = &defaults.target;
    let mut thinks =
        head.raw(body, "thinking").is_some_and(|raw| memmem::find(raw, b"disabled").is_none());
    if surface == Surface::AnthropicMessages && !has("thinking") {
        let added = defaults
            .wish()
            .and_then(|(wish, limit)| wish::added(body, &wish, limit, target))
            .unwrap_or_default();
        if let Some(effort) = added.effort.filter(|_| !has("output_config")) {
            edits.set_text("output_config", format!(r#"{{"effort":"{effort}"}}"#));
        }
        if let Some(thinking) = added.thinking {
            thinks |= !thinking.contains("disabled");
            edits.set_text("thinking", thinking);
        }
    }
    let refused = |name: &str| target.refused.names(None).any(|refused| refused == name);
    // Beside thinking they are refused, and by some models beside each other.
    let mut chosen = has("temperature") || has("top_p");
    for (name, value) in defaults.fields() {
        let Some((name, text)) = in_own_words(name, value) else { continue };
        let chooses = matches!(name, "temperature" | "top_p" | "top_k");
        if chooses && (thinks || refused(name)) || !belongs(surface, name) || has(name) {
            continue;
        }
        if matches!(name, "temperature" | "top_p") && std::mem::replace(&mut chosen, true) {
            continue;
        }
        if name != "tool_choice" || has("tools") {
            edits.set_text(name, text);
        }
    }
}

/// A parameter of OpenAI's as Anthropic says it; `None` if it does not.
fn in_own_words<'a>(name: &'a str, value: &Json) -> Option<(&'a str, String)> {
    let text = value.text();
    let same = || text.to_owned();
    Some(match name {
        "max_tokens" | "max_completion_tokens" => ("max_tokens", same()),
        "temperature" => match text.parse::<f64>() {
            Ok(hot) if hot > 1.0 => (name, "1".to_owned()),
            _ => (name, same()),
        },
        "top_p" | "top_k" | "container" => (name, same()),
        "stop" if text.starts_with('[') => ("stop_sequences", same()),
        "stop" => ("stop_sequences", format!("[{text}]")),
        "user" => ("metadata", format!(r#"{{"user_id":{text}}}"#)),
        "service_tier" => match text {
            r#""auto""# | r#""standard_only""# => (name, same()),
            r#""default""# => (name, r#""standard_only""#.to_owned()),
            _ => return None,
        },
        "parallel_tool_calls" if text == "false" => {
            let serial = r#"{"type":"auto","disable_parallel_tool_use":true}"#;
            ("tool_choice", serial.to_owned())
        }
        name if is_native(name, value) => (name, same()),
        _ => return None,
    })
}
