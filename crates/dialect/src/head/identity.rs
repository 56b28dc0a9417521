//! Who a call is for: the end user and the tags, and what of `metadata` is the
//! upstream's business.
//!
//! Clients put two things under `metadata`: what the provider defines (OpenAI:
//! strings to find stored answers by; Anthropic: `user_id`), and what LiteLLM
//! reads (tags, trace names, lists and objects of all kinds).

use super::read::{Value, text as text_of};
use super::{Facts, Head, HeadError, TAG_MAX_BYTES, USER_MAX_BYTES};
use crate::Dialect;
use crate::Surface;
use crate::json::read::{Members, Raw};
use std::borrow::Cow;

/// What should become of `metadata` when the body goes upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Metadata {
    /// There is none.
    #[default]
    Absent,
    /// It has the provider's own form.
    Keep,
    /// It is meant for the gateway.
    Remove,
    /// Only this JSON text of it is meant for the provider.
    Replace(Box<str>),
}

/// Names under `metadata` that LiteLLM's clients mean for the gateway.
const GATEWAY_NAMES: &[&str] = &[
    "existing_trace_id",
    "generation_id",
    "generation_name",
    "parent_observation_id",
    "requester_metadata",
    "session_id",
    "spend_logs_metadata",
    "tags",
    "trace_id",
    "trace_metadata",
    "trace_name",
    "trace_user_id",
    "trace_version",
];

/// Reads `user`, `safety_identifier`, `metadata` and `litellm_metadata`, in
/// LiteLLM's order of precedence.
pub(super) fn read(head: &Head, body: &[u8], facts: &mut Facts) -> Result<(), HeadError> {
    let value = |key: &'static str| {
        let (_, member) = head.find(key)?;
        let text = text_of(body, member);
        (text != "null").then_some(Value { key, text })
    };
    let litellm = value("litellm_metadata").and_then(Value::members);
    let own = value("metadata").and_then(Value::members);

    if let Some(tags) = litellm.as_ref().and_then(|members| members.last("tags")) {
        let tags = Value { key: "litellm_metadata.tags", text: tags.text() };
        facts.tags.extend(tags.strings(TAG_MAX_BYTES)?);
    }
    if let Some(tags) = own.as_ref().and_then(|members| members.last("tags"))
        && tags.text().starts_with('[')
    {
        let tags = Value { key: "metadata.tags", text: tags.text() };
        facts.tags.extend(tags.strings(TAG_MAX_BYTES)?);
    }

    let nested = |members: &Option<Members<'_>>, name: &str, key: &'static str| {
        let raw = members.as_ref()?.last(name)?;
        raw.is_string().then(|| Value { key, text: raw.text() }.string(USER_MAX_BYTES))
    };
    facts.user = value("user")
        .map(|user| user.string(USER_MAX_BYTES))
        .or_else(|| nested(&litellm, "user", "litellm_metadata.user"))
        .or_else(|| nested(&own, "user_id", "metadata.user_id"))
        .or_else(|| value("safety_identifier").map(|user| user.string(USER_MAX_BYTES)))
        .transpose()?;

    facts.metadata = match (head.find("metadata"), own) {
        (None, _) => Metadata::Absent,
        (Some(_), None) => Metadata::Keep,
        (Some(_), Some(members)) => judge(head.surface, &members),
    };
    Ok(())
}

fn judge(surface: Surface, members: &Members<'_>) -> Metadata {
    match surface.dialect() {
        Dialect::AnthropicMessages => match members.last("user_id") {
            Some(_) if members.0.len() == 1 => Metadata::Keep,
            Some(user_id) => {
                Metadata::Replace(format!(r#"{{"user_id":{}}}"#, user_id.text()).into())
            }
            None if members.0.is_empty() => Metadata::Keep,
            None => Metadata::Remove,
        },
        Dialect::OpenAiChat if members.0.iter().all(is_openai) && members.0.len() <= 16 => {
            Metadata::Keep
        }
        Dialect::OpenAiChat | Dialect::Gemini => Metadata::Remove,
    }
}

/// OpenAI's metadata: short strings under short names.
fn is_openai((name, value): &(Cow<'_, str>, Raw<'_>)) -> bool {
    let is_text = |value: &Raw<'_>| value.string().is_some_and(|text| text.chars().count() <= 512);
    !GATEWAY_NAMES.contains(&name.as_ref()) && name.chars().count() <= 64 && is_text(value)
}
