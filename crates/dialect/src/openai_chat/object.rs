//! Reading JSON objects whose keys are not all known.
//!
//! An [`Object`] is its members in order, values as their source wrote them;
//! decoders take what they know by name and keep the rest as extensions. An
//! explicit `null` counts as absent everywhere, and of a key written twice the
//! last counts, as in the Python and JavaScript servers that we stand in for.
//! It does not build a tree: each level is read only when asked for.

use crate::{Dialect, Json, error::DecodeError, model::Extension};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Number, value::RawValue};
use std::borrow::Cow;
use std::fmt;

/// The members of a JSON object, in order, nulls left out.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        deserializer.deserialize_str(KeyVisitor).map(Key)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key, value));
                }
                Ok(Object { members: keep_last(members) })
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Drops nulls, and all but the last of members with the same key.
fn keep_last<'a>(
    mut members: Vec<(Cow<'a, str>, &'a RawValue)>,
) -> Vec<(Cow<'a, str>, &'a RawValue)> {
    let mut order: Vec<(&str, usize)> =
        members.iter().enumerate().map(|(at, (key, _))| (key.as_ref(), at)).collect();
    order.sort_unstable();
    let mut drop: Vec<usize> = order
        .windows(2)
        .filter_map(|pair| match pair {
            [(a, at), (b, _)] if a == b => Some(*at),
            _ => None,
        })
        .collect();
    drop.sort_unstable();
    let mut at = 0;
    members.retain(|(_, value)| {
        let keep = drop.binary_search(&at).is_err() && value.get() != "null";
        at += 1;
        keep
    });
    members
}

impl<'a> Object<'a> {
    /// Reads `text` as an object.
    pub(crate) fn parse(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Reads bytes as an object.
    pub(crate) fn of_bytes(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// Takes the value of `key` out, so that it is not among [`Object::rest`].
    pub(crate) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let at = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(at).1)
    }

    /// The value of `key` as an object, if it is one.
    pub(crate) fn object(&self, key: &str) -> Option<Object<'a>> {
        Object::parse(self.get(key)?.get()).ok()
    }

    /// The value of `key` as text, if it is a string.
    pub(crate) fn text(&self, key: &str) -> Option<String> {
        string(self.get(key)?)
    }

    /// The value of `key` as text, if it is a string that is not empty.
    pub(crate) fn filled(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// The value of `key` as a whole number, if it is one.
    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        whole(self.get(key)?)
    }

    /// All members that are there, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// What was not taken, as extensions named `prefix` + key.
    pub(crate) fn rest(self, prefix: &str) -> Vec<Extension> {
        self.members
            .into_iter()
            .map(|(name, value)| extension(format!("{prefix}{name}"), value))
            .collect()
    }
}

/// An extension of this dialect.
pub(crate) fn extension(name: impl Into<String>, value: &RawValue) -> Extension {
    Extension { source: Dialect::OpenAiChat, name: name.into(), value: Json::from(value) }
}

/// The items of an array, if it is one; nulls stay.
pub(crate) fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// A string, whatever its escapes say; half a surrogate pair becomes U+FFFD.
pub(crate) fn string(raw: &RawValue) -> Option<String> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str(raw.get()).ok().or_else(|| super::surrogate::whole(raw.get()))
}

/// A whole number, also when written as `100.0`.
pub(crate) fn whole(raw: &RawValue) -> Option<u64> {
    let number: Number = serde_json::from_str(raw.get()).ok()?;
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (float >= 0.0 && float.fract() == 0.0 && float < 9.0e15).then_some(float as u64)
    })
}

/// A decoding error about the parameter `param`.
pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> DecodeError {
    DecodeError { message: message.into(), param: Some(param.into()) }
}

/// A decoding error: `param` is not a `wanted`.
pub(crate) fn wrong_type(param: impl Into<String>, wanted: &str) -> DecodeError {
    let param = param.into();
    DecodeError { message: format!("`{param}` must be {wanted}"), param: Some(param) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_same_keys_counts_and_null_is_absent() {
        let object = Object::parse(r#"{"a":1,"b":null,"a":2,"c":3}"#).unwrap();
        assert_eq!(object.whole("a"), Some(2));
        assert!(object.get("b").is_none());
        assert_eq!(object.rest("").len(), 2);
    }

    #[test]
    fn keys_may_be_escaped_and_whole_floats_are_whole() {
        let object = Object::parse(r#"{"\u0061":100.0,"b":1.5,"c":-1}"#).unwrap();
        assert_eq!(object.whole("a"), Some(100));
        assert_eq!(object.whole("b"), None);
        assert_eq!(object.whole("c"), None);
    }
}
