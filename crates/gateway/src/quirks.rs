//! The differences between a provider and its dialect, for bodies that go up as
//! the client wrote them. Nothing is changed for a provider whose entry says
//! nothing.
//!
//! A body that the gateway has written itself passes here too: what the
//! provider's entry refuses is in neither.

use crate::claude;
use crate::deployment::Candidate;
use crate::users;
use catalog::{OutputLimit, Quirks};
use dialect::Surface;
use dialect::head::{Head, Metadata};
use dialect::openai_chat::fit::{self, Fit};
use dialect::openai_chat::request::rearranged;
use dialect::splice::Edits;
use dialect::{Dialect, Dropped, tool_schema};
use ledger::KeyHasher;
use serde_json::value::RawValue;

/// What else the edits of one body depend on.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Leave out what the model is known to refuse.
    pub drop_params: bool,
    /// Makes an end user's id that the provider refuses into one that it takes.
    pub hasher: &'a KeyHasher,
}

/// Adds the edits that the provider's entry asks for, and, under
/// `drop_params`, those that leave out what the model is known to refuse.
/// Names in `dropped` what is left out.
pub fn apply<'a>(
    edits: &mut Edits<'a>,
    head: &Head,
    body: &[u8],
    candidate: &'a Candidate,
    rules: Rules<'_>,
    dropped: &mut Dropped,
) {
    let provider = candidate.deployment.provider;
    let quirks = &provider.quirks;
    match head.surface() {
        Surface::OpenAiChat => {
            messages(edits, head, body, candidate);
            tools(edits, head, body, candidate);
            match provider.output_limit(&candidate.upstream_model) {
                OutputLimit::AsSent => {}
                OutputLimit::MaxTokens => {
                    rename(edits, head, body, "max_completion_tokens", "max_tokens");
                }
                OutputLimit::MaxCompletionTokens => {
                    rename(edits, head, body, "max_tokens", "max_completion_tokens");
                }
            }
            if quirks.store_false {
                edits.set_text("store", "false".to_owned());
            }
        }
        Surface::AnthropicMessages | Surface::AnthropicCountTokens => {
            claude::apply(edits, head, body, candidate, rules.drop_params, dropped);
        }
        Surface::OpenAiCompletions | Surface::OpenAiEmbeddings => {}
    }
    users::fit(edits, head, body, quirks, rules.hasher);
    for (from, to) in &quirks.renames {
        rename(edits, head, body, from, to);
    }
    for name in &quirks.drop {
        remove(edits, head, body, name, dropped);
    }
    if let Some(max) = quirks.temperature_max
        && let Some(asked) = number(head, body, "temperature")
        && asked.at_scale(12) > max.at_scale(12)
    {
        edits.set_text("temperature", max.to_string());
    }
    if rules.drop_params {
        drop_refused(edits, head, body, candidate, dropped);
    }
}

/// Takes a parameter out, and names it if it was there.
pub fn remove(edits: &mut Edits<'_>, head: &Head, body: &[u8], name: &str, dropped: &mut Dropped) {
    if head.raw(body, name).is_some() {
        dropped.add(name);
    }
    edits.remove(name);
    // Nothing may refer to a tool that is not there.
    let referring: &[&str] = match name {
        "tools" => &["tool_choice", "parallel_tool_calls"],
        "functions" => &["function_call"],
        _ => &[],
    };
    for name in referring {
        edits.remove(name);
    }
}

fn drop_refused(
    edits: &mut Edits<'_>,
    head: &Head,
    body: &[u8],
    candidate: &Candidate,
    dropped: &mut Dropped,
) {
    let refused = &candidate.facts.traits.refused;
    let effort = head.raw(body, "reasoning_effort").and_then(|raw| std::str::from_utf8(raw).ok());
    for name in refused.names(effort.map(|effort| effort.trim_matches('"'))) {
        remove(edits, head, body, name, dropped);
    }
    let Some(most) = candidate.deployment.provider.quirks.stop_max else { return };
    let (name, raw) = match head.surface().dialect() {
        Dialect::OpenAiChat => ("stop", head.raw(body, "stop")),
        Dialect::AnthropicMessages => ("stop_sequences", head.raw(body, "stop_sequences")),
    };
    let stops: Option<Vec<&RawValue>> = raw.and_then(|raw| serde_json::from_slice(raw).ok());
    if let Some((kept, [_, ..])) = stops.as_deref().and_then(|stops| stops.split_at_checked(most)) {
        let kept: Vec<&str> = kept.iter().map(|stop| stop.get()).collect();
        edits.set_text(name, format!("[{}]", kept.join(",")));
        dropped.add(format!("{name}[{most}]"));
    }
}

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

/// Messages as the provider takes them. Signs that the scan has seen say if they
/// need to be read.
fn messages<'a>(edits: &mut Edits<'a>, head: &Head, body: &[u8], candidate: &'a Candidate) {
    let quirks = &candidate.deployment.provider.quirks;
    let traits = &candidate.facts.traits;
    let Some(raw) = head.raw(body, "messages") else { return };
    let keeps_hints = quirks.keeps_cache_control || traits.cache_control;
    let system_first = !quirks.system_anywhere;
    if head.may_be_disordered(system_first, quirks.alternates)
        && fit::is_disordered(raw, system_first, quirks.alternates)
    {
        let mut target = candidate.target(false);
        target.cache_control = keeps_hints;
        if let Some(messages) = rearranged(raw, &target) {
            edits.set_text("messages", messages);
            return;
        }
    }
    // What such a server may have said itself, it may want back.
    let is_unknown = is_unknown_server(candidate);
    let takes_back: &[&str] = if is_unknown { &PROVIDERS_OWN } else { &quirks.takes_back };
    let brought = head.has_additions()
        || (!is_unknown && head.has_reasoning())
        || (!quirks.openai_models && (head.has_annotations() || head.has_refusal()));
    let fit = Fit {
        no_cache_control: !keeps_hints && head.has_cache_control(),
        text_content: quirks.text_content && head.has_content_list(),
        no_developer: !quirks.developer_role && head.has_developer(),
        takes_back: brought.then_some(takes_back),
        needs_reasoning: traits.needs_reasoning && head.has_tool_calls(),
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

/// Returns true for a model that OpenAI does not have, behind OpenAI's prefix:
/// servers of many kinds are configured so, and what they refuse is not known.
fn is_unknown_server(candidate: &Candidate) -> bool {
    candidate.deployment.provider.quirks.openai_models && !candidate.facts.traits.openais_own
}

/// Tools as the provider takes them: OpenAI and others refuse an empty list.
fn tools(edits: &mut Edits<'_>, head: &Head, body: &[u8], candidate: &Candidate) {
    let quirks = &candidate.deployment.provider.quirks;
    let is_unknown = is_unknown_server(candidate);
    let Some(raw) = head.raw(body, "tools") else { return };
    let is_empty = raw.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start() == b"]");
    if is_empty && !is_unknown {
        for name in ["tools", "tool_choice", "parallel_tool_calls"] {
            edits.remove(name);
        }
    } else if quirks.flat_schemas
        && !is_unknown
        && let Some(tools) = tool_schema::flat_tools(raw, Dialect::OpenAiChat)
    {
        edits.set_text("tools", tools);
    }
}

/// Takes out what is not the upstream's business: what is said to the gateway
/// alone, and `metadata` where the provider does not keep it.
pub fn remove_gateway_keys(edits: &mut Edits<'_>, head: &Head, body: &[u8], quirks: &Quirks) {
    edits.remove_gateway_keys();
    let kept = match head.metadata() {
        Metadata::Keep if head.surface().dialect() == Dialect::OpenAiChat => {
            match quirks.metadata {
                catalog::Metadata::Never => false,
                catalog::Metadata::Stored => head.raw(body, "store") == Some(b"true"),
                catalog::Metadata::Always => true,
            }
        }
        _ => true,
    };
    if !kept {
        edits.remove("metadata");
    }
}

fn rename<'a>(edits: &mut Edits<'a>, head: &Head, body: &[u8], from: &str, to: &'a str) {
    let Some(raw) = head.raw(body, from) else { return };
    let Ok(text) = std::str::from_utf8(raw) else { return };
    // A null beside it says nothing: what is said must not go with it.
    if head.raw(body, to).is_none() {
        edits.set_text(to, text.to_owned());
    }
    edits.remove(from);
}

fn number(head: &Head, body: &[u8], name: &str) -> Option<base::Decimal> {
    std::str::from_utf8(head.raw(body, name)?).ok()?.parse().ok()
}
