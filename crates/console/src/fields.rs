//! A request body as named fields, each checked as it is taken.
//!
//! Values stay text until their field is asked for, so that numbers keep their
//! digits. What nobody has taken in the end is what the caller must know about:
//! see [`Fields::rest`].

use crate::money;
use crate::params::invalid;
use base::NanoUsd;
use bytes::Bytes;
use gateway::Failure;
use gateway::body::{self, BodyError, BodyLimits, Budgets};
use http::StatusCode;
use ledger::Window;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::time::Duration;

/// The largest body of a management request.
pub(crate) const BODY_MAX_BYTES: usize = 1 << 20;

/// How long one may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Names and labels in characters.
const TEXT_MAX_CHARS: usize = 512;

/// Reads a body within its limits.
pub(crate) async fn receive(body: axum::body::Body) -> Result<Bytes, Failure> {
    let limits = BodyLimits {
        max_bytes: BODY_MAX_BYTES,
        // All of it, so that none is ever spooled.
        memory_max_bytes: BODY_MAX_BYTES,
        spool_dir: std::path::PathBuf::new(),
        budgets: Budgets::default(),
    };
    let refused = |status, message: String| {
        Failure::bad_request(message).kind("invalid_request_error").status(status)
    };
    match tokio::time::timeout(BODY_TIMEOUT, body::receive(body, &limits)).await {
        Ok(Ok(received)) => Ok(received.bytes),
        Ok(Err(error @ BodyError::TooLarge(_))) => {
            Err(refused(StatusCode::PAYLOAD_TOO_LARGE, format!("Not accepted: {error}.")))
        }
        Ok(Err(error)) => Err(refused(StatusCode::BAD_REQUEST, format!("Not read: {error}."))),
        Err(_) => {
            let message = "The body did not arrive within 30 seconds.".to_owned();
            Err(refused(StatusCode::REQUEST_TIMEOUT, message))
        }
    }
}

/// The members of a JSON object that have not been taken yet.
pub(crate) struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields: Vec<(String, &RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    if fields.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("`{}` is given twice", cut(&name))));
                    }
                    if fields.len() >= FIELDS_MAX {
                        return Err(A::Error::custom("too many fields"));
                    }
                    fields.push((name, value));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// More than any request has; keeps the search for duplicates cheap.
const FIELDS_MAX: usize = 256;

/// So much of a name as fits an error message.
fn cut(name: &str) -> String {
    name.chars().take(80).collect()
}

/// What a field says: that it is empty, or a value.
type Given<T> = Result<Option<Option<T>>, Failure>;

impl<'a> Fields<'a> {
    /// Reads an object; nothing at all counts as an empty one.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Failure> {
        if body.trim_ascii().is_empty() {
            return Ok(Self(Vec::new()));
        }
        serde_json::from_slice(body).map_err(|error| {
            Failure::bad_request(format!(
                "The body is not the JSON object that is expected: {error}."
            ))
            .kind("invalid_request_error")
        })
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(given, _)| given == name)?;
        Some(self.0.swap_remove(at).1.get())
    }

    /// `None` where the field is absent, `Some(None)` where it is null.
    fn read<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Given<T> {
        match self.take(name) {
            None => Ok(None),
            Some("null") => Ok(Some(None)),
            Some(text) => {
                parse(text).map(|value| Some(Some(value))).map_err(|why| invalid(name, why))
            }
        }
    }

    /// A name or label; an empty one counts as null.
    pub(crate) fn text(&mut self, name: &'static str) -> Given<String> {
        let text = self.read(name, string)?;
        Ok(text.map(|text| text.filter(|text| !text.is_empty())))
    }

    /// A list of names; null counts as an empty one.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Failure> {
        Ok(self.read(name, strings)?.map(Option::unwrap_or_default))
    }

    /// The elements of a list, as their JSON text.
    pub(crate) fn list(&mut self, name: &'static str) -> Result<Option<Vec<&'a str>>, Failure> {
        let Some(text) = self.raw(name) else { return Ok(None) };
        let items: Vec<&'a RawValue> =
            serde_json::from_str(text).map_err(|_| invalid(name, "must be a list"))?;
        Ok(Some(items.into_iter().map(RawValue::get).collect()))
    }

    /// A value of any kind, as its JSON text.
    pub(crate) fn raw(&mut self, name: &str) -> Option<&'a str> {
        self.take(name).filter(|text| *text != "null")
    }

    pub(crate) fn flag(&mut self, name: &'static str) -> Given<bool> {
        self.read(name, |text| text.parse().map_err(|_| "must be true or false".to_owned()))
    }

    pub(crate) fn dollars(&mut self, name: &'static str) -> Given<NanoUsd> {
        self.read(name, |text| Ok(money::parse_dollars(&number(text)?)?))
    }

    pub(crate) fn count(&mut self, name: &'static str) -> Given<u64> {
        self.read(name, |text| Ok(money::parse_count(&number(text)?)?))
    }

    pub(crate) fn window(&mut self, name: &'static str) -> Given<Window> {
        self.read(name, |text| money::parse_window(&string(text)?))
    }

    /// The text of a JSON object; null counts as an empty one.
    pub(crate) fn object(&mut self, name: &'static str) -> Result<Option<String>, Failure> {
        let text = self.read(name, |text| {
            // Only to see that it is whole and not nested without end.
            let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)
                .map_err(|error| format!("must be a JSON object: {error}"))?;
            drop(object);
            Ok(text.to_owned())
        })?;
        Ok(text.map(|text| text.unwrap_or_else(|| "{}".to_owned())))
    }

    /// What has not been taken: name and JSON text.
    pub(crate) fn rest(self) -> impl Iterator<Item = (String, &'a str)> {
        self.0.into_iter().map(|(name, value)| (name, value.get()))
    }
}

/// Whether a value asks for nothing: null, false, or empty.
pub(crate) fn says_nothing(text: &str) -> bool {
    let mut bare = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let bare: Vec<u8> = bare.by_ref().take(6).collect();
    matches!(bare.as_slice(), b"null" | b"false" | b"[]" | b"{}" | b"\"\"")
}

fn string(text: &str) -> Result<String, String> {
    let text: String =
        serde_json::from_str(text).map_err(|_| "must be a string or null".to_owned())?;
    if text.chars().count() > TEXT_MAX_CHARS {
        return Err(format!("must have at most {TEXT_MAX_CHARS} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not hold control characters".to_owned());
    }
    Ok(text)
}

/// A list of strings, none of them empty.
pub(crate) fn strings(text: &str) -> Result<Vec<String>, String> {
    let items: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| "must be a list of strings".to_owned())?;
    let item = |item: &RawValue| string(item.get()).map_err(|why| format!("holds what {why}"));
    let items = items.into_iter().map(item).collect::<Result<Vec<_>, _>>()?;
    if items.iter().any(String::is_empty) {
        return Err("must not hold an empty string".to_owned());
    }
    Ok(items)
}

/// The text of a number, or what a string holds: forms send those.
fn number(text: &str) -> Result<String, String> {
    match text.as_bytes().first() {
        Some(b'"') => string(text),
        Some(b'-' | b'0'..=b'9') => Ok(text.to_owned()),
        _ => Err("must be a number or null".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, says_nothing};
    use base::NanoUsd;

    fn fields(body: &str) -> Fields<'_> {
        Fields::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn absent_null_and_given_are_three_things() {
        let mut fields = fields(r#"{"a": null, "b": "x", "c": "", "n": null}"#);
        assert_eq!(fields.text("missing").unwrap(), None);
        assert_eq!(fields.text("a").unwrap(), Some(None));
        assert_eq!(fields.text("b").unwrap(), Some(Some("x".into())));
        assert_eq!(fields.text("c").unwrap(), Some(None));
        assert_eq!(fields.dollars("n").unwrap(), Some(None));
        assert_eq!(fields.rest().count(), 0);
    }

    #[test]
    fn a_number_may_be_a_string_as_forms_send_it() {
        let mut fields = fields(r#"{"a": "1.5", "b": 7.0, "c": true}"#);
        assert_eq!(fields.dollars("a").unwrap(), Some(Some(NanoUsd(1_500_000_000))));
        assert_eq!(fields.count("b").unwrap(), Some(Some(7)));
        assert_eq!(fields.count("c").unwrap_err().param.as_deref(), Some("c"));
    }

    #[test]
    fn what_is_no_object_is_refused_with_a_reason() {
        for body in ["[]", "1", "{", r#"{"a":1}{"#, r#"{"a":1,"a":2}"#, "\u{feff}{}", "NaN"] {
            let failure = Fields::parse(body.as_bytes()).err().expect(body);
            assert_eq!(failure.status.as_u16(), 400, "{body}");
        }
        assert!(Fields::parse(b"{\"\xff\":1}").is_err());
        assert!(Fields::parse(b" \n").is_ok());
        let twice = Fields::parse(br#"{"a":1,"\u0061":2}"#).err().unwrap();
        assert!(twice.message.contains("`a` is given twice"), "{}", twice.message);
    }

    #[test]
    fn nesting_without_end_is_refused_and_does_not_overflow() {
        let deep =
            format!(r#"{{"metadata": {}1{}}}"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
        assert!(fields(&deep).object("metadata").is_err());
    }

    #[test]
    fn texts_are_checked() {
        for body in [r#"{"t": 1}"#, r#"{"t": "a\u0000"}"#, r#"{"t": ["a"]}"#, r#"{"t": "\ud800"}"#]
        {
            assert!(fields(body).text("t").is_err(), "{body}");
        }
        let long = format!(r#"{{"t": "{}"}}"#, "ä".repeat(513));
        assert!(fields(&long).text("t").is_err());
        for body in [r#"{"t": "a"}"#, r#"{"t": [1]}"#, r#"{"t": [""]}"#, r#"{"t": {}}"#] {
            assert!(fields(body).texts("t").is_err(), "{body}");
        }
    }

    #[test]
    fn empty_values_say_nothing() {
        for text in ["null", "false", "[ ]", "{\n}", "\"\""] {
            assert!(says_nothing(text), "{text}");
        }
        for text in ["0", "true", "[0]", "{\"a\":null}", "\" \"x"] {
            assert!(!says_nothing(text), "{text}");
        }
    }
}
