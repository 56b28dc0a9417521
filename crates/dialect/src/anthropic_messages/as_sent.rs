//! A messages request that goes up as its client wrote it: what the gateway put
//! into an earlier answer is taken out, and under `drop_params` a wish that the
//! model refuses becomes one that it takes.

use super::{fit as messages, wish};
use crate::head::Head;
use crate::splice::Edits;
use crate::{Dialect, Dropped, Target, tool_schema};
use memchr::memmem;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Adds the edits that `target` needs, and names in `dropped` what is left out.
pub(crate) fn fit(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    target: &Target<'_>,
    dropped: &mut Dropped,
) {
    if target.flat_schemas
        && let Some(raw) = head.raw(body, "tools")
        && let Some(tools) = tool_schema::flat_tools(raw, Dialect::AnthropicMessages)
    {
        edits.set_text("tools", tools);
    }
    let foreign = head.raw(body, "messages").filter(|_| head.has_unsigned());
    if let Some(messages) = foreign.and_then(messages::without_foreign) {
        edits.set_text("messages", messages);
        if messages::forbids_thinking(body, target) {
            without_thinking(edits, head, body, dropped);
            return;
        }
    }
    if target.drop_params && target.as_sent.is_known_model {
        sampling(edits, head, body, target, dropped);
        adjust(edits, head, body, target, dropped);
    }
}

/// Takes out the wish to think, and the edits of the context that need it.
fn without_thinking(edits: &mut Edits<'_>, head: &Head, body: &[u8], dropped: &mut Dropped) {
    edits.leave_out("thinking", dropped);
    let clears = |raw: &[u8]| memmem::find(raw, b"clear_thinking").is_some();
    if head.raw(body, "context_management").is_some_and(clears) {
        edits.leave_out("context_management", dropped);
    }
}

/// Takes out sampling that Claude refuses: beside thinking, and `top_p` beside
/// `temperature` (<https://platform.claude.com/docs/en/about-claude/models>).
fn sampling(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    target: &Target<'_>,
    dropped: &mut Dropped,
) {
    let number = |name: &str| -> Option<f64> {
        std::str::from_utf8(head.raw(body, name)?).ok()?.trim().parse().ok()
    };
    let thinks = head.raw(body, "thinking").is_some_and(|raw| {
        memmem::find(raw, b"disabled").is_none() && target.reasons != Some(false)
    });
    if thinks {
        if number("temperature").is_some_and(|hot| (hot - 1.0).abs() > f64::EPSILON) {
            edits.leave_out("temperature", dropped);
        }
        if number("top_p").is_some_and(|p| p < 0.95) {
            edits.leave_out("top_p", dropped);
        }
        edits.leave_out("top_k", dropped);
    }
    if target.as_sent.one_sampler && number("temperature").is_some() && number("top_p").is_some() {
        edits.leave_out("top_p", dropped);
    }
}

/// Puts the wish to think into the words that the model knows.
fn adjust(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    target: &Target<'_>,
    dropped: &mut Dropped,
) {
    if head.raw(body, "thinking").is_none() && head.raw(body, "output_config").is_none() {
        return;
    }
    let Some(adjusted) = wish::adjusted(body, target) else { return };
    match adjusted.thinking {
        Some(thinking) => {
            edits.set_text("thinking", thinking);
        }
        None => without_thinking(edits, head, body, dropped),
    }
    let config = head.raw(body, "output_config").map(serde_json::from_slice);
    let Some(Ok(config)): Option<Result<BTreeMap<String, &RawValue>, _>> = config else {
        if let Some(effort) = adjusted.effort {
            edits.set_text("output_config", format!(r#"{{"effort":"{effort}"}}"#));
        }
        return;
    };
    let others = config.iter().filter(|(name, _)| *name != "effort");
    let mut members: Vec<String> = others
        .filter_map(|(name, value)| {
            Some(format!("{}:{}", serde_json::to_string(name).ok()?, value.get()))
        })
        .collect();
    match adjusted.effort {
        Some(effort) => members.push(format!(r#""effort":"{effort}""#)),
        None if config.contains_key("effort") => dropped.add("output_config.effort"),
        None => {}
    }
    if members.is_empty() {
        edits.remove("output_config");
    } else {
        edits.set_text("output_config", format!("{{{}}}", members.join(",")));
    }
}
