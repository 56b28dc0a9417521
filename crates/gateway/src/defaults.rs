//! A deployment's own parameters, given where the client gave none.
//!
//! They are in OpenAI's words, as LiteLLM's configuration has them. Towards
//! another dialect they are part of what is translated, so that the encoder
//! weighs them as it weighs the client's; a client and an upstream that both
//! speak Anthropic's get the few that Anthropic has words for. What is
//! Anthropic's own, or nobody's, goes as it is written. `extra_body` is none
//! of this: it goes raw.

use crate::deployment::{Candidate, Deployment};
use dialect::Surface;
use dialect::anthropic_messages::wish;
use dialect::head::{Head, keys::knows};
use dialect::model::{Reasoning, Request};
use dialect::splice::Edits;
use dialect::{Dialect, Json};

/// The names of a wish to think: one of them stands for all.
const WISHES: [&str; 3] = ["reasoning_effort", "thinking", "reasoning"];

/// The names of an output limit: one of them stands for both.
const LIMITS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Adds those that the body of this surface has room for: `body` is what goes
/// to an upstream of the same dialect.
pub fn same<'a>(edits: &mut Edits<'a>, head: &'a Head, body: &[u8], candidate: &'a Candidate) {
    match head.surface() {
        Surface::AnthropicMessages | Surface::AnthropicCountTokens => {
            claude(edits, head, body, candidate);
        }
        _ => openai(edits, head, body, all(&candidate.deployment)),
    }
}

/// Adds to what a client wrote those that are translated with it.
pub fn before<'a>(edits: &mut Edits<'a>, head: &'a Head, body: &[u8], candidate: &'a Candidate) {
    let translated = |(name, value): &(&str, &Json)| {
        goes_before(head.surface(), candidate.dialect(), name, value)
    };
    openai(edits, head, body, all(&candidate.deployment).filter(translated));
}

/// Adds the others to what was translated from a client's `surface`.
pub fn after<'a>(
    edits: &mut Edits<'a>,
    head: &'a Head,
    body: &[u8],
    candidate: &'a Candidate,
    surface: Surface,
) {
    let theirs = candidate.dialect();
    let others = all(&candidate.deployment)
        .filter(|(name, value)| !goes_before(surface, theirs, name, value))
        .filter(|(name, value)| theirs != Dialect::AnthropicMessages || is_native(name, value));
    openai(edits, head, body, others);
}

/// A wish to think that is the deployment's gives way to the client's limit.
pub fn give_way(request: &mut Request, head: &Head, body: &[u8]) {
    if WISHES.iter().all(|name| head.raw(body, name).is_none())
        && let Some(wish) = request.reasoning.take()
    {
        request.reasoning = wish::within(wish, request.max_output_tokens);
    }
}

fn all(deployment: &Deployment) -> impl Iterator<Item = (&str, &Json)> {
    let all = deployment.body_defaults.iter().map(|(name, value)| (name.as_str(), value));
    all.filter(|(name, _)| !CLIENTS_OWN.contains(name))
}

/// Parameters that only a client may set: what it asks, and whether the answer
/// comes in pieces. LiteLLM's configurations have some of them without effect.
const CLIENTS_OWN: [&str; 7] =
    ["stream", "stream_options", "messages", "prompt", "input", "model", "system"];

/// Whether it can be said in what the client wrote.
fn goes_before(surface: Surface, theirs: Dialect, name: &str, value: &Json) -> bool {
    let sayable = knows(surface, name) || name == "reasoning_effort";
    let native = theirs == Dialect::AnthropicMessages && is_native(name, value);
    surface.dialect() == Dialect::OpenAiChat && sayable && !native
}

/// Whether it is in Anthropic's own words, or in nobody's.
fn is_native(name: &str, value: &Json) -> bool {
    match name {
        "tools" | "tool_choice" => !value.text().contains("function"),
        name => !knows(Surface::OpenAiChat, name),
    }
}

fn openai<'a>(
    edits: &mut Edits<'a>,
    head: &Head,
    body: &[u8],
    fields: impl Iterator<Item = (&'a str, &'a Json)>,
) {
    let stands = |names: &[&str]| names.iter().any(|name| head.raw(body, name).is_some());
    let mut limited = stands(&LIMITS);
    let wished = stands(&WISHES);
    for (name, value) in fields {
        if LIMITS.contains(&name) {
            if limited {
                continue;
            }
            limited = true;
        }
        if !(wished && WISHES.contains(&name)) && belongs(head.surface(), name) {
            edits.default_value(name, value);
        }
    }
}

/// Whether a field that is configured for all calls belongs into this one:
/// providers take more than chat's tables know, and refuse chat's elsewhere.
pub fn belongs(surface: Surface, name: &str) -> bool {
    match surface {
        Surface::OpenAiChat | Surface::AnthropicMessages => true,
        Surface::AnthropicCountTokens => knows(surface, name),
        Surface::OpenAiCompletions | Surface::OpenAiEmbeddings => {
            let others = [Surface::OpenAiChat, Surface::AnthropicMessages];
            knows(surface, name) || !others.into_iter().any(|other| knows(other, name))
        }
    }
}

/// Those that Anthropic has words for, in a body of its own dialect.
fn claude<'a>(edits: &mut Edits<'a>, head: &'a Head, body: &[u8], candidate: &'a Candidate) {
    let surface = head.surface();
    let stands = |name: &str| head.raw(body, name).is_some();
    let mut thinks = head
        .raw(body, "thinking")
        .is_some_and(|raw| memchr::memmem::find(raw, b"disabled").is_none());
    if surface == Surface::AnthropicMessages && !stands("thinking") {
        let added = wish_of(&candidate.deployment)
            .and_then(|(wish, limit)| wish::added(body, &wish, limit, &candidate.target(true)))
            .unwrap_or_default();
        if let Some(effort) = added.effort.filter(|_| !stands("output_config")) {
            edits.set_text("output_config", format!(r#"{{"effort":"{effort}"}}"#));
        }
        if let Some(thinking) = added.thinking {
            thinks |= !thinking.contains("disabled");
            edits.set_text("thinking", thinking);
        }
    }
    let refused = |name: &str| candidate.facts.traits.refused.names(None).any(|no| no == name);
    // Beside thinking they are refused, and by some models beside each other.
    let mut chosen = stands("temperature") || stands("top_p");
    for (name, value) in all(&candidate.deployment) {
        let Some((name, text)) = in_claudes_words(name, value) else { continue };
        let chooses = matches!(name, "temperature" | "top_p" | "top_k");
        if chooses && (thinks || refused(name)) || !belongs(surface, name) || stands(name) {
            continue;
        }
        if matches!(name, "temperature" | "top_p") && std::mem::replace(&mut chosen, true) {
            continue;
        }
        if name != "tool_choice" || stands("tools") {
            edits.set_text(name, text);
        }
    }
}

/// A parameter of OpenAI's as Anthropic says it; none where it does not.
fn in_claudes_words<'a>(name: &'a str, value: &Json) -> Option<(&'a str, String)> {
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

/// The deployment's wish to think, and its output limit.
fn wish_of(deployment: &Deployment) -> Option<(Reasoning, Option<u64>)> {
    let mut asked = br#"{"messages":[{"role":"user","content":""}]"#.to_vec();
    let mut limit = None;
    let mut wished = false;
    for (name, value) in all(deployment) {
        if WISHES.contains(&name) {
            wished = true;
            asked.extend_from_slice(format!(",\"{name}\":{}", value.text()).as_bytes());
        } else if LIMITS.contains(&name) {
            limit = value.text().parse().ok();
        }
    }
    asked.push(b'}');
    let request = wished.then(|| Dialect::OpenAiChat.decode_request(&asked).ok())??;
    Some((request.reasoning?, limit))
}
