//! A chat request that goes up as its client wrote it, but for what the target
//! refuses. Signs that the scan has seen say if a part needs to be read.

use super::fit::{self, Fit};
use super::request::rearranged;
use crate::head::Head;
use crate::splice::Edits;
use crate::{Dialect, Dropped, OutputLimitField, Target, tool_schema};

/// Members of an assistant's message that an OpenAI-like server may have
/// written itself.
const PROVIDERS_OWN: [&str; 7] = [
    "annotations",
    "citations",
    "images",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "refusal",
];

/// Adds the edits that `target` needs.
pub(crate) fn fit(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    target: &Target<'_>,
    _: &mut Dropped,
) {
    messages(edits, head, body, target);
    tools(edits, head, body, target);
    match target.as_sent.output_limit {
        None => {}
        Some(OutputLimitField::MaxTokens) => {
            edits.rename("max_completion_tokens", "max_tokens");
        }
        Some(OutputLimitField::MaxCompletionTokens) => {
            edits.rename("max_tokens", "max_completion_tokens");
        }
    }
    if target.as_sent.store_false {
        edits.set_text("store", "false".to_owned());
    }
}

fn messages(edits: &mut Edits<'_>, head: &Head, body: &[u8], target: &Target<'_>) {
    let facts = target.as_sent;
    let Some(raw) = head.raw(body, "messages") else { return };
    if head.may_be_disordered(facts.system_first, target.alternates)
        && fit::is_disordered(raw, facts.system_first, target.alternates)
    {
        let target = Target { cache_control: facts.cache_control, ..target.clone() };
        if let Some(messages) = rearranged(raw, &target) {
            edits.set_text("messages", messages);
            return;
        }
    }
    // What a server of unknown kind may have said itself, it may want back.
    let takes_back: &[&str] =
        if facts.is_unknown { &PROVIDERS_OWN } else { target.takes_back.unwrap_or_default() };
    let brought = head.has_additions()
        || (!facts.is_unknown && head.has_reasoning())
        || (!facts.openai_models && (head.has_annotations() || head.has_refusal()));
    let fit = Fit {
        no_cache_control: !facts.cache_control && head.has_cache_control(),
        text_content: target.content_as_text && head.has_content_list(),
        no_developer: target.no_developer_role && head.has_developer(),
        takes_back: brought.then_some(takes_back),
        needs_reasoning: target.needs_reasoning && head.has_tool_calls(),
    };
    if fit != Fit::default()
        && let Some(messages) = fit.messages(raw)
    {
        edits.set_text("messages", messages);
    }
    if fit.no_cache_control
        && let Some(tools) = head.raw(body, "tools").and_then(|raw| fit.tools(raw))
    {
        edits.set_text("tools", tools);
    }
}

/// Tools as the target takes them: OpenAI and others refuse an empty list.
fn tools(edits: &mut Edits<'_>, head: &Head, body: &[u8], target: &Target<'_>) {
    let Some(raw) = head.raw(body, "tools").filter(|_| !target.as_sent.is_unknown) else { return };
    let is_empty = raw.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start() == b"]");
    if is_empty {
        for name in ["tools", "tool_choice", "parallel_tool_calls"] {
            edits.remove(name);
        }
    } else if target.flat_schemas
        && let Some(tools) = tool_schema::flat_tools(raw, Dialect::OpenAiChat)
    {
        edits.set_text("tools", tools);
    }
}
