//! The differences between a provider and its dialect, for bodies that go up as
//! the client wrote them. Nothing is changed for a provider whose entry says
//! nothing.
//!
//! A body that the gateway has written itself passes here too: what the
//! provider's entry refuses is in neither.

use crate::deployment::Candidate;
use crate::users;
use catalog::Quirks;
use dialect::Dropped;
use dialect::head::{Head, Metadata};
use dialect::splice::Edits;
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
    let quirks = &candidate.deployment.provider.quirks;
    (head.surface().row().fit)(edits, head, body, &candidate.target(rules.drop_params), dropped);
    users::fit(edits, head, body, quirks, rules.hasher);
    for (from, to) in &quirks.renames {
        edits.rename(from, to);
    }
    for name in &quirks.drop {
        edits.leave_out(name, dropped);
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
        edits.leave_out(name, dropped);
    }
    let Some(most) = candidate.deployment.provider.quirks.stop_max else { return };
    let name = head.surface().row().stop;
    let stops: Option<Vec<&RawValue>> =
        head.raw(body, name).and_then(|raw| serde_json::from_slice(raw).ok());
    if let Some((kept, [_, ..])) = stops.as_deref().and_then(|stops| stops.split_at_checked(most)) {
        let kept: Vec<&str> = kept.iter().map(|stop| stop.get()).collect();
        edits.set_text(name, format!("[{}]", kept.join(",")));
        dropped.add(format!("{name}[{most}]"));
    }
}

/// Takes out what is not the upstream's business: what is said to the gateway
/// alone, and `metadata` where the provider does not keep it.
pub fn remove_gateway_keys(edits: &mut Edits<'_>, head: &Head, body: &[u8], quirks: &Quirks) {
    edits.remove_gateway_keys();
    let kept = match head.metadata() {
        Metadata::Keep if head.surface().dialect().contract().metadata_is_optional => {
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

fn number(head: &Head, body: &[u8], name: &str) -> Option<base::Decimal> {
    std::str::from_utf8(head.raw(body, name)?).ok()?.parse().ok()
}
