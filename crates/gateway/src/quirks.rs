//! Where a provider's entry says that it differs from its dialect, for bodies
//! that go up as the client wrote them. Nothing is changed for a provider
//! whose entry says nothing.

use crate::deployment::Deployment;
use catalog::OutputLimit;
use dialect::head::{Head, Surface};
use dialect::splice::Edits;

/// Adds the edits that the provider's entry asks for.
pub fn apply<'a>(
    edits: &mut Edits<'a>,
    head: &Head,
    body: &[u8],
    deployment: &'a Deployment,
    upstream_model: &str,
) {
    let provider = deployment.provider;
    let quirks = &provider.quirks;
    if head.surface() == Surface::OpenAiChat {
        match provider.output_limit(upstream_model) {
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
