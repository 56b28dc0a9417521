//! Whole answers, both ways.

use super::{assistant, finish, usage};
use crate::json::read::{Object, Raw, items, string, whole};
use crate::json::write::{self, ObjectWriter};
use crate::openai_chat::extension::{self, extension, own, rest};
use crate::{
    DecodeError, Shown,
    model::{Choice, Content, Extension, Finish, Origin, Part, Response, Thought},
};

/// What an answer repeats of itself, or pads itself with.
pub(super) const NOISE: [&str; 5] = ["object", "obfuscation", "p", "stream_options", "model"];

/// Reads a chat completion. Use [`error::inside`](super::error::inside) first:
/// some providers report failures with status 200.
///
/// # Errors
/// Where the body is no JSON object or has no `choices`.
pub fn decode(body: &[u8]) -> Result<Response, DecodeError> {
    let broken = |message: String| DecodeError { message, param: None };
    let mut fields = Raw::check(body)
        .map_err(|error| error.to_string())
        .and_then(|raw| Object::of(raw).map_err(|wrong| wrong.what))
        .map_err(|error| broken(format!("the provider's answer is not a JSON object: {error}")))?;
    let id = fields.take("id").and_then(string).unwrap_or_default();
    let model = fields.take("model").and_then(string).unwrap_or_default();
    let created = fields.take("created").and_then(whole).filter(|s| *s > 0);
    let listed = fields.take("choices").and_then(items);
    let listed =
        listed.ok_or_else(|| broken("the provider's answer has no `choices`".to_owned()))?;
    let mut choices = Vec::with_capacity(listed.len());
    for (at, raw) in listed.into_iter().enumerate() {
        let path = format!("choices[{at}]");
        let Ok(mut fields) = Object::of(raw) else {
            return Err(broken(format!("`{path}` of the provider's answer is not an object")));
        };
        let index = fields.take("index").and_then(whole).unwrap_or(at as u64);
        choices.push((index, choice(fields, &path, &id)?));
    }
    choices.sort_by_key(|(index, _)| *index);
    let used = fields.take("usage").and_then(usage::decode);
    let service_tier = fields.take("service_tier").and_then(string).filter(|t| !t.is_empty());
    let mut extensions = rest("", &fields);
    extensions.retain(|e| !NOISE.contains(&e.name.as_str()) && says_something(&e.value));
    Ok(Response {
        id,
        model,
        created_unix_s: created.and_then(|s| i64::try_from(s).ok()),
        choices: choices.into_iter().map(|(_, choice)| choice).collect(),
        usage: used,
        service_tier,
        extensions,
    })
}

/// Whether a value is more than an empty string or list.
pub(super) fn says_something(value: &crate::Json) -> bool {
    !matches!(value.text(), "\"\"" | "[]" | "{}")
}

fn choice(mut fields: Object<'_>, path: &str, id: &str) -> Result<Choice, DecodeError> {
    let message = fields.take("message");
    let delta = fields.take("delta"); // Perplexity sends both.
    let text = fields.take("text");
    let mut parts = Vec::new();
    let mut extensions = Vec::new();
    if let Some(raw) = message.or(delta) {
        let path = format!("{path}.message");
        let mut message = Object::of(raw).map_err(|_| DecodeError {
            message: format!("`{path}` of the provider's answer is not an object"),
            param: None,
        })?;
        message.take("role");
        parts = assistant::decode(&mut message, &path, id)?;
        for part in &mut parts {
            if matches!(part.content, Content::Reasoning(_)) {
                part.extensions.clear();
            }
        }
        extensions = rest("message.", &message);
        extensions.retain(|e| says_something(&e.value) && !is_empty_audio(e));
    } else if let Some(text) = text.and_then(string) {
        parts.push(super::part::plain(text));
    }
    // A whole answer ended, whatever it says of how (Snowflake: an empty word);
    // an agent waits for `tool_use`.
    let finish = finish::decode(fields.take("finish_reason"), fields.take("native_finish_reason"))
        .unwrap_or(Finish::Stop);
    let finish = Some(finish::corrected(finish, finish::calls_tool(&parts)));
    // vLLM's and SGLang's names; a number there is a token id.
    let stop_sequence = [fields.take("stop_reason"), fields.take("matched_stop")]
        .into_iter()
        .flatten()
        .find_map(string);
    if let Some(raw) = fields.take("logprobs").filter(|raw| has_logprobs(*raw)) {
        extensions.push(extension("logprobs", raw));
    }
    Ok(Choice { parts, finish, stop_sequence, extensions })
}

/// Whether log probabilities are there: some send an object of nulls.
pub(super) fn has_logprobs(raw: Raw<'_>) -> bool {
    Object::of(raw).is_ok_and(|logprobs| !rest("", &logprobs).is_empty())
}

/// Snowflake's empty structs.
fn is_empty_audio(extension: &Extension) -> bool {
    extension.name == "message.audio"
        && Object::of((&extension.value).into()).is_ok_and(|audio| audio.filled("id").is_none())
}

/// Writes a chat completion as OpenAI's and LiteLLM's clients read it.
pub fn encode(response: &Response, shown: &Shown<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write::object(&mut out, |object| {
        let id = if response.id.is_empty() { shown.fallback_id } else { &response.id };
        object.member("id", id);
        object.member("object", "chat.completion");
        object.member("created", &response.created_unix_s.unwrap_or(shown.created_unix_s));
        object.member("model", shown.model.unwrap_or(&response.model));
        object.array("choices", response.choices.iter().enumerate(), |out, (at, choice)| {
            write::object(out, |object| encode_choice(at, choice, object));
        });
        if let Some(used) = &response.usage {
            object.object("usage", |object| usage::encode(used, object));
        }
        // Anthropic's word for what OpenAI calls default.
        let tier = response.service_tier.as_deref();
        let tier = tier.map(|tier| if tier == "standard" { "default" } else { tier });
        object.maybe("service_tier", tier.as_ref());
        extension::write(object, own(&response.extensions));
    });
    out
}

fn encode_choice(at: usize, choice: &Choice, object: &mut ObjectWriter<'_>) {
    object.member("index", &at);
    object.object("message", |message| encode_message(choice, message));
    match own(&choice.extensions).find(|e| e.name == "logprobs") {
        Some(logprobs) => object.member("logprobs", &logprobs.value),
        None => object.null("logprobs"),
    }
    match &choice.finish {
        None => object.null("finish_reason"),
        Some(reason) => {
            let (word, native) = finish::encode(reason);
            object.member("finish_reason", word);
            object.maybe("native_finish_reason", native.as_ref());
        }
    }
    object.maybe("stop_reason", choice.stop_sequence.as_ref());
}

fn encode_message(choice: &Choice, message: &mut ObjectWriter<'_>) {
    let parts = &choice.parts;
    message.member("role", "assistant");
    let texts: Vec<&str> = parts.iter().filter_map(text).collect();
    let refusal: String = parts.iter().filter_map(refusal).collect();
    if texts.is_empty() && (finish::calls_tool(parts) || !refusal.is_empty()) {
        message.null("content");
    } else {
        message.member("content", &texts.concat());
    }
    if refusal.is_empty() {
        message.null("refusal");
    } else {
        message.member("refusal", &refusal);
    }
    let citations = parts.iter().filter_map(|part| match &part.content {
        Content::Text { citations, .. } => Some(citations),
        _ => None,
    });
    let annotations: Vec<_> = citations.flatten().filter_map(assistant::encode_citation).collect();
    if !annotations.is_empty() {
        message.member("annotations", &annotations);
    }
    encode_thoughts(parts, message);
    assistant::encode_calls(&parts.iter().collect::<Vec<_>>(), true, message);
    let images: Vec<&Part> = parts.iter().filter(|part| is_image(part)).collect();
    if !images.is_empty() {
        message.array("images", images.into_iter().enumerate(), |out, (at, part)| {
            write::object(out, |image| encode_image(at, part, image));
        });
    }
    for extension in own(&choice.extensions) {
        if let Some(name) = extension.name.strip_prefix("message.") {
            message.member(name, &extension.value);
        }
    }
}

fn text(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Text { text, .. } => Some(text),
        _ => None,
    }
}

fn refusal(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Refusal(text) => Some(text),
        _ => None,
    }
}

fn is_image(part: &Part) -> bool {
    matches!(part.content, Content::Image { .. })
}

/// Writes a generated picture in OpenRouter's form.
pub(super) fn encode_image(at: usize, part: &Part, image: &mut ObjectWriter<'_>) {
    if let Content::Image { source, .. } = &part.content {
        image.member("type", "image_url");
        image.object("image_url", |inner| inner.member("url", &super::part::url_of(source)));
        image.member("index", &at);
    }
}

/// `reasoning_content` with all the words, and `thinking_blocks` where
/// something must be replayed exactly.
fn encode_thoughts(parts: &[Part], message: &mut ObjectWriter<'_>) {
    let thoughts: Vec<_> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Reasoning(thought) => Some(thought),
            _ => None,
        })
        .collect();
    let words: String = thoughts.iter().filter_map(|t| t.text.as_deref()).collect();
    if !words.is_empty() {
        message.member("reasoning_content", &words);
    }
    // These blocks are Anthropic's, and so is what is sealed in them.
    let blocks: Vec<Thought> = thoughts.iter().map(|t| t.of(Origin::Anthropic)).collect();
    if blocks.iter().any(|t| t.signature.is_some() || t.redacted.is_some()) {
        message.array("thinking_blocks", &blocks, |out, thought| {
            write::object(out, |block| encode_thinking_block(thought, block));
        });
    }
}

/// Writes one of LiteLLM's `thinking_blocks`.
pub(super) fn encode_thinking_block(thought: &Thought, block: &mut ObjectWriter<'_>) {
    if let Some(data) = &thought.redacted {
        block.member("type", "redacted_thinking");
        block.member("data", &data.text);
        return;
    }
    block.member("type", "thinking");
    block.member("thinking", thought.text.as_deref().unwrap_or_default());
    block.maybe("signature", thought.signature.as_ref().map(|signature| &signature.text));
}
