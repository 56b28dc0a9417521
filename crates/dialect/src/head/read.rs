//! The few values that are read at the time of the scan.

use super::{
    Facts, Head, HeadError, LIST_MAX, MODEL_MAX_BYTES, Member, StreamOptions, TAG_MAX_BYTES,
    identity, keys, span,
};
use crate::json::read::{Members, Raw};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};

/// Reads the values that route, limit, price or name.
pub(super) fn facts(head: &Head, text: &str) -> Result<Facts, HeadError> {
    let mut facts = Facts::default();
    for member in &head.members {
        let Some(key) = member.key else { continue };
        let value =
            Value { key: key.name, text: text.get(member.value_span()).unwrap_or_default() };
        if value.text == "null" {
            continue;
        }
        match key.name {
            "model" => facts.model = Some(value.string(MODEL_MAX_BYTES)?),
            "stream" => facts.stream = value.boolean()?,
            "stream_options" => facts.stream_options = Some(stream_options(value, member)?),
            "max_tokens" => facts.max_tokens = Some(value.whole()?),
            "max_completion_tokens" => facts.max_completion_tokens = Some(value.whole()?),
            "n" => facts.n = Some(value.whole()?),
            "best_of" => facts.best_of = Some(value.whole()?),
            "service_tier" => facts.service_tier = Some(value.string(64)?),
            "thinking" => facts.thinking_budget = thinking_budget(value)?,
            "num_retries" => {
                facts.num_retries = Some(u32::try_from(value.whole()?).unwrap_or(u32::MAX));
            }
            "timeout" => facts.timeout_ms = Some(value.seconds_as_ms()?),
            "stream_timeout" => facts.stream_timeout_ms = Some(value.seconds_as_ms()?),
            "drop_params" => facts.drop_params = Some(value.boolean()?),
            "disable_fallbacks" => facts.disable_fallbacks = value.boolean()?,
            "tags" => facts.tags.extend(value.strings(TAG_MAX_BYTES)?),
            _ => {}
        }
    }
    identity::read(head, text, &mut facts)?;
    if let Some((_, member)) = head.find("fallbacks") {
        let text = text.get(member.value_span()).unwrap_or_default();
        facts.fallbacks = fallbacks(text, facts.model.as_deref())?;
    }
    Ok(facts)
}

/// A value that matters and the key it stands under.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) key: &'static str,
    pub(super) text: &'a str,
}

impl<'a> Value<'a> {
    fn read<T: Deserialize<'a>>(self, expected: &'static str) -> Result<T, HeadError> {
        serde_json::from_str(self.text)
            .map_err(|_| HeadError::WrongType { key: self.key, expected })
    }

    /// The members of an object.
    pub(super) fn members(self) -> Option<Members<'a>> {
        Members::of(Raw::checked(self.text))
    }

    fn boolean(self) -> Result<bool, HeadError> {
        self.read("true or false")
    }

    fn whole(self) -> Result<u64, HeadError> {
        self.read("a whole number, 0 or more")
    }

    pub(super) fn string(self, max_bytes: usize) -> Result<Box<str>, HeadError> {
        let string: Cow<'a, str> = self.read::<Text<'a>>("a string")?.0;
        if string.len() > max_bytes {
            return Err(HeadError::TooLong { key: self.key, max: max_bytes });
        }
        Ok(string.into())
    }

    pub(super) fn strings(self, max_bytes: usize) -> Result<Vec<Box<str>>, HeadError> {
        let strings: Vec<Text<'a>> = self.read("a list of strings")?;
        if strings.len() > LIST_MAX {
            return Err(HeadError::TooLong { key: self.key, max: LIST_MAX });
        }
        if strings.iter().any(|text| text.0.len() > max_bytes) {
            return Err(HeadError::TooLong { key: self.key, max: max_bytes });
        }
        Ok(strings.into_iter().map(|text| text.0.into()).collect())
    }

    /// LiteLLM's seconds, whole or not, as a number or a string.
    fn seconds_as_ms(self) -> Result<u64, HeadError> {
        let expected = "a number of seconds, more than 0";
        let text = self.text.trim_matches('"');
        let seconds: f64 =
            text.parse().map_err(|_| HeadError::WrongType { key: self.key, expected })?;
        if !seconds.is_finite() || seconds <= 0.0 {
            return Err(HeadError::WrongType { key: self.key, expected });
        }
        Ok((seconds * 1000.0).ceil() as u64)
    }
}

/// A string that borrows where it has no escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

fn stream_options(value: Value<'_>, member: &Member) -> Result<StreamOptions, HeadError> {
    let expected = "an object";
    let wrong = HeadError::WrongType { key: value.key, expected };
    let members = value.members().ok_or(wrong)?;
    let start = member.value_span().start;
    let mut options = StreamOptions {
        include_usage: false,
        span: None,
        inside: start + 1,
        is_empty: members.0.is_empty(),
    };
    for (name, raw) in members.0 {
        if name == "include_usage" {
            if options.span.is_some() {
                return Err(HeadError::Duplicate { key: "stream_options.include_usage" });
            }
            let found = span(value.text, raw.text());
            options.span = Some(start + found.start..start + found.end);
            let text = if raw.is_null() { "false" } else { raw.text() };
            options.include_usage =
                Value { key: "stream_options.include_usage", text }.boolean()?;
        } else if keys::folds_to(&name, "include_usage") {
            return Err(HeadError::Lookalike {
                found: format!("stream_options.{name}"),
                key: "stream_options.include_usage",
            });
        }
    }
    Ok(options)
}

fn thinking_budget(value: Value<'_>) -> Result<Option<u64>, HeadError> {
    #[derive(Deserialize)]
    struct Thinking {
        budget_tokens: Option<u64>,
    }
    // Some servers take a boolean here: no budget then, and not for us to refuse.
    if !value.text.starts_with('{') {
        return Ok(None);
    }
    let thinking: Thinking = value.read("an object whose `budget_tokens` is a whole number")?;
    Ok(thinking.budget_tokens)
}

/// LiteLLM's forms: names, objects with a `model`, or objects from a model
/// (this one counts) to names.
fn fallbacks(text: &str, model: Option<&str>) -> Result<Vec<Box<str>>, HeadError> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Entry {
        Name(String),
        Call { model: String },
        Table(BTreeMap<String, Vec<String>>),
    }
    if text == "null" {
        return Ok(Vec::new());
    }
    let value = Value { key: "fallbacks", text };
    let entries: Vec<Entry> = value.read("a list of model names")?;
    let mut names: Vec<Box<str>> = Vec::new();
    for entry in entries {
        match entry {
            Entry::Name(name) | Entry::Call { model: name } => names.push(name.into()),
            Entry::Table(mut table) => {
                let ours = model.and_then(|model| table.remove(model)).unwrap_or_default();
                names.extend(ours.into_iter().map(Box::from));
            }
        }
        if names.len() > LIST_MAX {
            return Err(HeadError::TooLong { key: "fallbacks", max: LIST_MAX });
        }
    }
    if names.iter().any(|name| name.len() > MODEL_MAX_BYTES) {
        return Err(HeadError::TooLong { key: "fallbacks", max: MODEL_MAX_BYTES });
    }
    Ok(names)
}
