//! The one toolkit for JSON text: checked in one pass ([`check`]), read without
//! a tree ([`read`]), written in order ([`write`]). [`Json`] is text that is
//! carried, not understood.

pub(crate) mod check;
pub(crate) mod escape;
pub(crate) mod index;
pub(crate) mod read;
pub(crate) mod rewrite;
pub(crate) mod skim;
mod text;
pub(crate) mod write;

use read::Raw;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value as its source wrote it: key order, number spelling and white
/// space survive. Equal when the text is equal.
#[derive(Clone, Debug)]
pub struct Json(Box<str>);

impl Json {
    /// Checks that `text` is one JSON value.
    ///
    /// # Errors
    /// Where it is not, with `serde_json`'s position.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        match Raw::check_text(&text) {
            Ok(raw) if raw.text().len() == text.len() => Ok(Self(text.into())),
            Ok(raw) => Ok(raw.into()),
            Err(_) => RawValue::from_string(text).map(Self::from),
        }
    }

    /// The JSON form of any serialisable value.
    ///
    /// # Errors
    /// Where `serde_json` cannot write it (map keys that are not strings).
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(|text| Self(text.into()))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Reads it as a `T`.
    ///
    /// # Errors
    /// Where the text is not a `T`.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw.get().into())
    }
}

impl From<Raw<'_>> for Json {
    fn from(raw: Raw<'_>) -> Self {
        Self(raw.text().into())
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Its own text, so that it is written as it is.
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}
