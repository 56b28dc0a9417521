//! The few values that are read at the time of the scan.

use super::keys::{self, Field, Key, Role};
use super::{Facts, Head, HeadError, LIST_MAX, MODEL_MAX_BYTES, Member, TAG_MAX_BYTES, identity};
use crate::json::read::{Members, Raw};
use serde::Deserialize;
use std::{borrow::Cow, collections::BTreeMap};

/// Reads the values that route, limit, price or name.
pub(super) fn facts(head: &Head, body: &[u8]) -> Result<Facts, HeadError> {
    let stream = head.surface.row().always_streams;
    let mut facts = Facts { stream, ..Facts::default() };
    for member in &head.members {
        // Most of the body is in values that are not read here.
        let is_read = |key: &&Key| key.role != Role::Ordinary || key.name == "thinking";
        let Some(key) = member.key.filter(is_read) else { continue };
        let value = Value { key: key.name, text: text(body, member) };
        if value.text == "null" {
            continue;
        }
        facts.read(key.role, Field::top(key.name), value)?;
        match key.name {
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
    for row in keys::inner(head.surface) {
        let (parent, _) = Field::inner(row.name).parts();
        if let Some((_, member)) = head.find(parent) {
            inner(row, Value { key: parent, text: text(body, member) }, &mut facts)?;
        }
    }
    identity::read(head, body, &mut facts)?;
    if let Some((_, member)) = head.find("fallbacks") {
        facts.fallbacks = fallbacks(text(body, member), facts.model.as_deref())?;
    }
    Ok(facts)
}

/// The text of a member's value.
pub(super) fn text<'b>(body: &'b [u8], member: &Member) -> &'b str {
    let value = body.get(member.value_span()).unwrap_or_default();
    std::str::from_utf8(value).unwrap_or_default()
}

/// Reads the field of `row` inside `object`.
fn inner(row: &'static Key, object: Value<'_>, facts: &mut Facts) -> Result<(), HeadError> {
    let field = Field::inner(row.name);
    let (parent, Some(name)) = field.parts() else { return Ok(()) };
    if object.text == "null" {
        return Ok(());
    }
    let expected = "an object";
    let wrong = HeadError::WrongType { key: parent, expected };
    let mut found = None;
    for (member, raw) in object.members().ok_or(wrong)?.0 {
        if member == name {
            if found.replace(raw).is_some() {
                return Err(HeadError::Duplicate { key: row.name });
            }
        } else if keys::folds_to(&member, name) {
            let found = format!("{parent}.{member}");
            return Err(HeadError::Lookalike { found, key: row.name });
        }
    }
    match found.filter(|raw| !raw.is_null()) {
        Some(raw) => facts.read(row.role, field, Value { key: row.name, text: raw.text() }),
        None => Ok(()),
    }
}

impl Facts {
    /// Reads the value of a field by what the field bears on.
    fn read(&mut self, role: Role, field: Field, value: Value<'_>) -> Result<(), HeadError> {
        match role {
            Role::Model => self.model = Some(value.string(MODEL_MAX_BYTES)?),
            Role::Stream => self.stream = value.boolean()?,
            Role::Usage => self.include_usage = value.boolean()?,
            Role::OutputLimit => self.output_limits.push((field, value.whole()?)),
            Role::Choices => self.choices = self.choices.max(Some(value.whole()?)),
            _ => {}
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_inside_objects_are_read_by_what_they_bear_on() {
        const LIMIT: &Key = &keys::key("generationConfig.maxOutputTokens", Role::OutputLimit);
        const CHOICES: &Key = &keys::key("generationConfig.candidateCount", Role::Choices);
        let read = |text: &str| {
            let mut facts = Facts::default();
            let object = Value { key: "generationConfig", text };
            inner(LIMIT, object, &mut facts)?;
            inner(CHOICES, object, &mut facts)?;
            Ok((facts.output_limits, facts.choices))
        };
        let limit = Field::inner("generationConfig.maxOutputTokens");
        let both = r#"{"temperature":1,"maxOutputTokens" : 9,"candidateCount":3}"#;
        assert_eq!(read(both), Ok((vec![(limit, 9)], Some(3))));
        for nothing in ["null", "{}", r#"{"maxOutputTokens":null}"#] {
            assert_eq!(read(nothing), Ok((Vec::new(), None)));
        }
        let key = "generationConfig.maxOutputTokens";
        let twice = r#"{"maxOutputTokens":1,"maxOutput\u0054okens":2}"#;
        assert_eq!(read(twice), Err(HeadError::Duplicate { key }));
        let found = "generationConfig.maxoutputtokens".to_owned();
        let alike = r#"{"maxoutputtokens":1}"#;
        assert_eq!(read(alike), Err(HeadError::Lookalike { found, key }));
        let expected = "an object";
        assert_eq!(read("7"), Err(HeadError::WrongType { key: "generationConfig", expected }));
        let expected = "a whole number, 0 or more";
        let odd = r#"{"maxOutputTokens":"9"}"#;
        assert_eq!(read(odd), Err(HeadError::WrongType { key, expected }));
    }
}
