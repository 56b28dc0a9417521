//! Where a provider's entry says that it differs from its dialect, for bodies
//! that go up as the client wrote them. Nothing is changed for a provider
//! whose entry says nothing.

use crate::deployment::Candidate;
use catalog::{OutputLimit, Quirks};
use dialect::Dialect;
use dialect::head::{Head, Metadata, Surface};
use dialect::openai_chat::fit::Fit;
use dialect::splice::Edits;

/// Adds the edits that the provider's entry asks for, and, where
/// `drop_params`, those that leave out what the model is known to refuse.
pub fn apply<'a>(
    edits: &mut Edits<'a>,
    head: &Head,
    body: &[u8],
    candidate: &'a Candidate,
    drop_params: bool,
) {
    let provider = candidate.deployment.provider;
    let quirks = &provider.quirks;
    if head.surface() == Surface::OpenAiChat {
        fit(edits, head, body, quirks, candidate.facts.traits.cache_control);
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
    for (from, to) in &quirks.renames {
        rename(edits, head, body, from, to);
    }
    for name in &quirks.drop {
        edits.remove(name);
    }
    if let Some(max) = quirks.temperature_max
        && let Some(asked) = number(head, body, "temperature")
        && asked.at_scale(12) > max.at_scale(12)
    {
        edits.set_text("temperature", max.to_string());
    }
    let refused = &candidate.facts.traits.refused;
    if drop_params && !refused.is_empty() {
        let effort =
            head.raw(body, "reasoning_effort").and_then(|raw| std::str::from_utf8(raw).ok());
        for name in refused.names(effort.map(|effort| effort.trim_matches('"'))) {
            edits.remove(name);
        }
    }
}

/// Messages and tools as the provider takes them. What the scan has seen, and
/// for a provider that refuses a role a look for the word, tells whether they
/// need to be read.
fn fit(edits: &mut Edits<'_>, head: &Head, body: &[u8], quirks: &Quirks, takes_hints: bool) {
    let keeps_hints = quirks.keeps_cache_control || takes_hints;
    let fit = Fit {
        no_cache_control: !keeps_hints && head.has_cache_control(),
        text_content: quirks.text_content && head.has_content_list(),
        no_developer: !quirks.developer_role
            && memchr::memmem::find(body, b"\"developer\"").is_some(),
    };
    if fit == Fit::default() {
        return;
    }
    if let Some(messages) = head.raw(body, "messages").and_then(|raw| fit.messages(raw)) {
        edits.set_text("messages", messages);
    }
    if let Some(tools) = head.raw(body, "tools").and_then(|raw| fit.tools(raw)) {
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
