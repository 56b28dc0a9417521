//! JSON with places: members in the order in which they stand, values as the
//! slices of the text that they are, so that a slice's address gives its line.

use super::Malformed;
use super::text::Lines;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an object, in order; a name may stand twice.
pub(crate) struct Members<'t>(pub(crate) Vec<(String, &'t RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

/// A JSON text and where its lines begin.
pub(crate) struct Json<'t> {
    text: &'t str,
    lines: Lines,
}

impl<'t> Json<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        // serde_json takes no byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { text, lines: Lines::of(text) }
    }

    /// The members of the whole text.
    pub(crate) fn members(&self) -> Result<Vec<(String, &'t RawValue)>, Malformed> {
        let error = |e: serde_json::Error| Malformed {
            line: u32::try_from(e.line()).unwrap_or(u32::MAX),
            what: category(&e).to_owned(),
        };
        serde_json::from_str::<Members<'t>>(self.text).map(|m| m.0).map_err(error)
    }

    /// The members of `value`, which must be an object.
    pub(crate) fn inside(
        &self,
        value: &'t RawValue,
    ) -> Result<Vec<(String, &'t RawValue)>, Malformed> {
        let error = |e| self.misplaced(value, &e);
        serde_json::from_str::<Members<'t>>(value.get()).map(|m| m.0).map_err(error)
    }

    /// `value` as a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self, value: &RawValue) -> Result<T, Malformed> {
        serde_json::from_str(value.get()).map_err(|e| self.misplaced(value, &e))
    }

    /// The line that `value` begins on.
    pub(crate) fn line(&self, value: &RawValue) -> u32 {
        let (start, at) = (self.text.as_ptr() as usize, value.get().as_ptr() as usize);
        self.lines.at(at.saturating_sub(start))
    }

    fn misplaced(&self, value: &RawValue, error: &serde_json::Error) -> Malformed {
        let line = self.line(value) + u32::try_from(error.line()).unwrap_or(1).saturating_sub(1);
        Malformed { line, what: category(error).to_owned() }
    }
}

/// What is wrong, without the text that is wrong.
fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "the file ends in the middle of a value",
        serde_json::error::Category::Data => "a value has another shape than this format gives it",
        _ => "not valid JSON",
    }
}
