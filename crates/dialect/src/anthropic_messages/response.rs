//! Anthropic's whole answer.

use super::block::{self, Reader};
use super::usage::{self, Figures};
use super::{HERE, JSON_TOOL};
use crate::anthropic_messages::extension::{self, extension, rest};
use crate::json::read::{Object, Raw, Wrong};
use crate::json::write::{ObjectWriter, array};
use crate::model::{Choice, Content, Extension, Finish, Media, Part, Response};
use crate::{DecodeError, Shown, Usage};

/// Reads the body of a 200.
///
/// # Errors
/// Where it is no message; usage that makes no sense is no error.
pub fn decode(body: &[u8]) -> Result<Response, DecodeError> {
    read(body).map_err(DecodeError::from)
}

fn read(body: &[u8]) -> Result<Response, Wrong> {
    let mut message = Object::of_body(body)?;
    let _kind = message.take("type");
    let _role = message.take("role");
    let id = message.string("id")?.unwrap_or_default();
    let model = message.string("model")?.unwrap_or_default();
    let content = message.take("content").ok_or_else(|| Wrong::new("content", "is required"))?;
    let mut parts = crate::blocks::decode_content(content).map_err(|e| e.within("content"))?;
    let stood_in = unwrap_stand_ins(&mut parts);
    let stop_reason = message.string("stop_reason")?;
    let finish = stop_reason.map(|word| finish(&word, stood_in && !calls(&parts)));
    let stop_sequence = message.string("stop_sequence")?;
    let mut extensions = Vec::new();
    if let Some(details) = message.take("stop_details") {
        if let Some(words) = explanation(details).filter(|_| finish == Some(Finish::Refusal)) {
            parts.push(Content::Refusal(words).into());
        }
        extensions.push(extension("stop_details", details));
    }
    let mut figures = None;
    let mut service_tier = None;
    if let Some(raw) = message.take("usage") {
        let mut read = Figures::default();
        let remarks = read.merge(raw).map_err(|e| e.within("usage"))?;
        figures = Some(read.usage());
        service_tier = remarks.service_tier;
        extensions.extend(remarks.extensions);
    }
    extensions.extend(rest("", &message));
    Ok(Response {
        id,
        model,
        created_unix_s: None,
        choices: vec![Choice { parts, finish, stop_sequence, extensions: Vec::new() }],
        usage: figures,
        service_tier,
        extensions,
    })
}

/// A call of the tool that stands in for a schema is the answer's text.
fn unwrap_stand_ins(parts: &mut [Part]) -> bool {
    let mut any = false;
    for part in parts {
        if let Content::ToolCall { name, arguments, .. } = &mut part.content
            && name == JSON_TOOL
        {
            let text = std::mem::take(arguments);
            part.content = Content::Text { text, citations: Vec::new() };
            any = true;
        }
    }
    any
}

fn calls(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part.content, Content::ToolCall { .. }))
}

/// The model's word for Anthropic's; `only_stood_in` says that the only tools
/// called stand in for text.
pub(super) fn finish(word: &str, only_stood_in: bool) -> Finish {
    match word {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "tool_use" if only_stood_in => Finish::Stop,
        "tool_use" => Finish::ToolCalls,
        "max_tokens" => Finish::Length,
        "model_context_window_exceeded" => Finish::ContextWindow,
        "refusal" => Finish::Refusal,
        "pause_turn" => Finish::Pause,
        other => Finish::Other(other.to_owned()),
    }
}

/// Anthropic's word for the model's.
pub(super) fn stop_reason<'f>(
    finish: &'f Finish,
    stop_sequence: Option<&str>,
    calls: bool,
    refused: bool,
) -> &'f str {
    match finish {
        Finish::Stop if stop_sequence.is_some() => "stop_sequence",
        // Some providers say `stop` after a call that they were told to make.
        Finish::Stop if calls => "tool_use",
        Finish::Stop if refused => "refusal",
        Finish::Stop => "end_turn",
        Finish::ToolCalls => "tool_use",
        Finish::Length => "max_tokens",
        Finish::ContextWindow => "model_context_window_exceeded",
        Finish::ContentFilter | Finish::Refusal => "refusal",
        Finish::Pause => "pause_turn",
        Finish::Error => "error",
        Finish::Other(word) => word,
    }
}

/// The words of a refusal, where `stop_details` has them.
pub(super) fn explanation(details: Raw<'_>) -> Option<String> {
    Object::of(details).ok()?.string("explanation").ok().flatten().filter(|words| !words.is_empty())
}

/// Writes an answer's body for an Anthropic client. Only the first choice is
/// shown; sound and pictures have no block and are left out, but for linked
/// pictures, which become links in text.
pub fn encode(response: &Response, shown: &Shown<'_>) -> Vec<u8> {
    let nothing = Choice::default();
    let choice = response.choices.first().unwrap_or(&nothing);
    let mut body = Vec::with_capacity(1_024);
    let mut message = ObjectWriter::new(&mut body);
    message.member("id", &message_id(&response.id, shown.fallback_id));
    message.member("type", "message");
    message.member("role", "assistant");
    message.member("model", shown.model.unwrap_or(&response.model));
    let own_details = extension::find(&response.extensions, "stop_details").is_some();
    let parts = choice.parts.iter().filter(|part| {
        // Anthropic says a refusal's words in `stop_details` only.
        let said_there = own_details && matches!(part.content, Content::Refusal(_));
        !said_there && shows(part)
    });
    array(message.key("content"), parts, write_part);
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let stop_sequence = choice.stop_sequence.as_deref();
    let reason = choice
        .finish
        .as_ref()
        .map(|finish| stop_reason(finish, stop_sequence, calls(&choice.parts), refused));
    message.member("stop_reason", &reason);
    message.member("stop_sequence", &stop_sequence);
    let usage = response.usage.unwrap_or_default();
    usage::write(
        message.key("usage"),
        &usage,
        response.service_tier.as_ref(),
        &response.extensions,
    );
    extension::write(&mut message, &response.extensions);
    message.end();
    body
}

/// `msg_…`, as clients expect.
pub(super) fn message_id(id: &str, fallback: &str) -> String {
    let id = if id.is_empty() { fallback } else { id };
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{id}") }
}

/// Whether the client gets to see anything of the part.
pub(super) fn shows(part: &Part) -> bool {
    match &part.content {
        Content::Image { source, .. } => matches!(source, Media::Url(_)),
        Content::Document { .. } | Content::ToolResult { .. } => false,
        _ => block::can_say(part),
    }
}

/// A link to a picture, as text.
pub(super) fn picture_link(url: &str) -> String {
    format!("![image]({url})")
}

fn write_part(out: &mut Vec<u8>, part: &Part) {
    if let Content::Image { source: Media::Url(url), .. } = &part.content {
        let text = Content::Text { text: picture_link(url), citations: Vec::new() };
        block::encode(out, &text.into(), Reader::Client);
    } else {
        block::encode(out, part, Reader::Client);
    }
}

/// A usage object as it stands in `message_start` and `message_delta`.
pub(super) fn write_usage(out: &mut Vec<u8>, usage: Option<&Usage>) {
    usage::write(out, &usage.copied().unwrap_or_default(), None, &[]);
}

/// Whether an extension belongs into `message_delta`'s `delta`.
pub(super) fn is_of_the_end(e: &Extension) -> bool {
    e.source == HERE && matches!(e.name.as_str(), "stop_details" | "container")
}
