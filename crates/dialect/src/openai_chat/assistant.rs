//! The assistant's message, in a request's history and in an answer alike.
//!
//! Order of parts: reasoning, text, refusal, tool calls. A history keeps the
//! names that its reasoning came under, because a provider takes its thinking
//! back only as it gave it; answers need no such memory.

use super::made_id;
use super::part::{decode_content, plain};
use crate::json::read::{Object, Raw, items, string};
use crate::json::write::ObjectWriter;
use crate::media;
use crate::openai_chat::extension::{self, extension, own};
use crate::{
    DecodeError, Dialect, Json, Target,
    additions::{self, EXTRA_CONTENT, NO_REASONING, REASONING_CONTENT},
    model::{Citation, Content, Extension, Part, Sealed, Thought, ToolKind},
};

/// The fields that hold thinking, most telling first.
pub(super) const REASONING_FIELDS: [&str; 4] =
    ["thinking_blocks", "reasoning_details", "reasoning_content", "reasoning"];

/// Reads a message's parts, taking what it knows out of `message`.
/// `seed` makes ids for calls that have none.
pub(super) fn decode(
    message: &mut Object<'_>,
    path: &str,
    seed: &str,
) -> Result<Vec<Part>, DecodeError> {
    let mut parts = thoughts(message);
    if let Some(content) = message.take("content") {
        parts.extend(decode_content(content, &format!("{path}.content"))?);
    }
    if let Some(annotations) = message.take("annotations") {
        annotate(&mut parts, annotations);
    }
    if let Some(images) = message.take("images").and_then(items) {
        parts.extend(images.into_iter().filter_map(image));
    }
    let refusal = message.take("refusal").and_then(string).filter(|text| !text.is_empty());
    parts.extend(refusal.map(|text| Part::from(Content::Refusal(text))));
    if let Some(calls) = message.take("tool_calls") {
        let path = format!("{path}.tool_calls");
        let calls = items(calls).ok_or_else(|| DecodeError::wrong_type(&path, "a list"))?;
        for (at, call) in calls.into_iter().enumerate() {
            let call = Object::of(call)
                .map_err(|_| DecodeError::wrong_type(format!("{path}[{at}]"), "an object"))?;
            parts.push(tool_call(&call, || made_id(seed, at)));
        }
    }
    if let Some(call) = message.take("function_call")
        && let Ok(call) = Object::of(call)
        && let Some(name) = call.filled("name")
    {
        let arguments = call.get("arguments").map(arguments).unwrap_or_default();
        let id = made_id(seed, 0);
        let kind = ToolKind::Function;
        parts.push(Part::from(Content::ToolCall { id, name, arguments, kind }));
    }
    Ok(parts)
}

fn tool_call(call: &Object<'_>, id: impl FnOnce() -> String) -> Part {
    let function = call.object("function").filter(|f| f.get("name").is_some());
    let custom = call.object("custom").filter(|custom| custom.filled("name").is_some());
    let (kind, inner, input) = match (function, custom) {
        (None, Some(custom)) => (ToolKind::Custom, custom, "input"),
        (function, _) => (ToolKind::Function, function.unwrap_or_default(), "arguments"),
    };
    let content = Content::ToolCall {
        id: call.filled("id").unwrap_or_else(id),
        name: inner.text("name").unwrap_or_default(),
        arguments: inner.get(input).map(arguments).unwrap_or_default(),
        kind,
    };
    let (signature, extension) = extra_content(call);
    Part { signature, extensions: extension.into_iter().collect(), ..Part::from(content) }
}

/// The members next to a call: Gemini's compatible path hides its thought
/// signature there, and refuses the call in a later turn without it. What is
/// more than a signature stays as it is.
pub(super) fn extra_content(call: &Object<'_>) -> (Option<Sealed>, Option<Extension>) {
    let Some(raw) = call.get(EXTRA_CONTENT) else { return (None, None) };
    match additions::signature_in(raw) {
        Some(signature) => (Some(signature), None),
        None => (None, Some(extension(EXTRA_CONTENT, raw))),
    }
}

/// Writes the members next to a call.
pub(super) fn encode_beside(
    call: &mut ObjectWriter<'_>,
    signature: Option<&Sealed>,
    extensions: &[Extension],
) {
    call.maybe(EXTRA_CONTENT, signature.and_then(additions::extra_content).as_ref());
    extension::write(call, own(extensions));
}

/// Arguments are text; some providers send the object itself.
pub(super) fn arguments(raw: Raw<'_>) -> String {
    string(raw).unwrap_or_else(|| raw.text().to_owned())
}

/// Reads thinking under whichever name it comes.
fn thoughts(message: &mut Object<'_>) -> Vec<Part> {
    let fields: Vec<(&str, Raw<'_>)> =
        REASONING_FIELDS.into_iter().filter_map(|name| Some((name, message.take(name)?))).collect();
    let mut parts: Vec<Part> = Vec::new();
    for (name, raw) in &fields {
        let found: Vec<Thought> = match *name {
            "thinking_blocks" => objects(*raw).filter_map(|block| thinking_block(&block)).collect(),
            "reasoning_details" => objects(*raw).filter_map(|item| detail(&item)).collect(),
            // OpenRouter's `reasoning` may be an object in requests.
            _ => string(*raw)
                .filter(|text| !text.is_empty())
                .map(|text| Thought { text: Some(text), ..Thought::default() })
                .into_iter()
                .collect(),
        };
        if !found.is_empty() {
            parts = found.into_iter().map(|thought| Content::Reasoning(thought).into()).collect();
            break;
        }
    }
    if let Some(first) = parts.first_mut() {
        first.extensions = fields.iter().map(|(name, raw)| extension(*name, *raw)).collect();
    }
    parts
}

fn objects(raw: Raw<'_>) -> impl Iterator<Item = Object<'_>> {
    let all = items(raw).unwrap_or_default();
    all.into_iter().filter_map(|item| Object::of(item).ok())
}

/// One of LiteLLM's `thinking_blocks`, which are Anthropic's.
pub(super) fn thinking_block(block: &Object<'_>) -> Option<Thought> {
    let data = block.filled("data").map(Sealed::claudes);
    let text = block.text("thinking");
    let signature = block.filled("signature").map(Sealed::claudes);
    (data.is_some() || text.is_some() || signature.is_some()).then_some(Thought {
        text,
        signature,
        redacted: data,
    })
}

/// One of OpenRouter's `reasoning_details`. What is sealed is kept only where it
/// is Claude's, which every way to Claude understands; others have no other
/// place than these details, which a history keeps whole.
pub(super) fn detail(item: &Object<'_>) -> Option<Thought> {
    let is_claudes = item.filled("format").is_some_and(|format| format.starts_with("anthropic"));
    let sealed = |name: &str| item.filled(name).filter(|_| is_claudes).map(Sealed::claudes);
    let text = item.text("text").or_else(|| item.text("summary"));
    let (signature, redacted) = (sealed("signature"), sealed("data"));
    (text.is_some() || signature.is_some() || redacted.is_some()).then_some(Thought {
        text,
        signature,
        redacted,
    })
}

/// Puts `annotations` on the last text.
fn annotate(parts: &mut [Part], raw: Raw<'_>) {
    let texts = parts.iter_mut().rev().filter_map(|part| match &mut part.content {
        Content::Text { citations, .. } => Some(citations),
        _ => None,
    });
    if let (Some(citations), Some(all)) = ({ texts }.next(), items(raw)) {
        citations.extend(all.into_iter().filter_map(citation));
    }
}

/// One annotation.
pub(super) fn citation(raw: Raw<'_>) -> Option<Citation> {
    let outer = Object::of(raw).ok()?;
    let inner = outer.object("url_citation").unwrap_or_default();
    Some(Citation {
        url: inner.filled("url").or_else(|| outer.filled("url")),
        title: inner.filled("title").or_else(|| outer.filled("title")),
        start: inner.whole("start_index"),
        end: inner.whole("end_index"),
        source: (Dialect::OpenAiChat, Json::from(raw)),
    })
}

/// One of OpenRouter's generated `images`.
pub(super) fn image(raw: Raw<'_>) -> Option<Part> {
    let url = Object::of(raw).ok()?.object("image_url")?.filled("url")?;
    Some(Part::from(Content::Image { source: media::of_url(&url), detail: None }))
}

/// Writes one annotation; `false` if it has no form here.
pub(super) fn encode_citation(citation: &Citation) -> Option<Json> {
    if citation.source.0 == Dialect::OpenAiChat {
        return Some(citation.source.1.clone());
    }
    let url = citation.url.as_ref()?;
    crate::json::write::json(|annotation| {
        annotation.member("type", "url_citation");
        annotation.object("url_citation", |inner| {
            inner.member("url", url);
            inner.member("title", citation.title.as_deref().unwrap_or_default());
            inner.member("start_index", &citation.start.unwrap_or(0));
            inner.member("end_index", &citation.end.unwrap_or(0));
        });
    })
}

/// Writes one call as an item of `tool_calls`, with `index` in streams.
pub(super) fn encode_call(
    call: &mut ObjectWriter<'_>,
    index: Option<usize>,
    id: &str,
    name: &str,
    arguments: &str,
    kind: ToolKind,
) {
    call.maybe("index", index.as_ref());
    call.member("id", id);
    match kind {
        ToolKind::Function => {
            call.member("type", "function");
            call.object("function", |function| {
                function.member("name", name);
                function.member("arguments", arguments);
            });
        }
        ToolKind::Custom => {
            call.member("type", "custom");
            call.object("custom", |custom| {
                custom.member("name", name);
                custom.member("input", arguments);
            });
        }
    }
}

/// Arguments as OpenAI's clients expect them: an object, even if empty.
pub(super) fn arguments_or_empty(arguments: &str, kind: ToolKind) -> &str {
    if kind == ToolKind::Function && arguments.trim().is_empty() { "{}" } else { arguments }
}

/// Writes the `tool_calls` member, if there are calls; what stands beside a
/// call, where the reader knows it.
pub(super) fn encode_calls(parts: &[&Part], knows_extra: bool, message: &mut ObjectWriter<'_>) {
    let is_call = |part: &&&Part| matches!(part.content, Content::ToolCall { .. });
    let calls: Vec<&&Part> = parts.iter().filter(is_call).collect();
    if calls.is_empty() {
        return;
    }
    message.array("tool_calls", calls, |out, part| {
        let Content::ToolCall { id, name, arguments, kind } = &part.content else { return };
        crate::json::write::object(out, |call| {
            encode_call(call, None, id, name, arguments_or_empty(arguments, *kind), *kind);
            if knows_extra {
                encode_beside(call, part.signature.as_ref(), &part.extensions);
                return;
            }
            let known = own(&part.extensions).filter(|e| e.name != EXTRA_CONTENT);
            extension::write(call, known);
        });
    });
}

/// Writes the thinking of a request's history: under the names it came under
/// where the target takes those back, and thinking that came from elsewhere
/// under `reasoning_content` where that is taken. LiteLLM's blocks prove
/// something to Anthropic only.
pub(super) fn encode_history_thoughts(
    parts: &[&Part],
    target: &Target<'_>,
    message: &mut ObjectWriter<'_>,
) {
    let mut has_words = false;
    let mut words = String::new();
    for part in parts {
        let Content::Reasoning(thought) = &part.content else { continue };
        words.extend(thought.text.as_deref());
        let replayed = own(&part.extensions).filter(|e| {
            REASONING_FIELDS.contains(&e.name.as_str())
                && e.name != "thinking_blocks"
                && target.takes_back(&e.name)
        });
        for extension in replayed {
            has_words |= extension.name == REASONING_CONTENT;
            message.member(&extension.name, &extension.value);
        }
    }
    // Who says nothing of it takes back only what it gave.
    if has_words || target.takes_back.is_none() || !target.takes_back(REASONING_CONTENT) {
        return;
    }
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }));
    if words.is_empty() && calls && target.needs_reasoning {
        words.push_str(NO_REASONING);
    }
    if !words.is_empty() {
        message.member(REASONING_CONTENT, &words);
    }
}

/// An empty text that carries a message's own fields.
pub(super) fn carrier() -> Part {
    plain(String::new())
}
