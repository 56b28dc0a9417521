//! Reading JSON objects member by member, and writing them in order.
//!
//! Values stay raw until someone asks for them; what nobody asked for is
//! carried on as extensions. No tree is built.

use super::HERE;
use crate::model::Extension;
use crate::{DecodeError, Json};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What is wrong, and the path to it from where the reader stands.
#[derive(Debug)]
pub(super) struct Wrong {
    path: String,
    what: String,
}

impl Wrong {
    pub(super) fn new(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), what: what.into() }
    }

    /// The same, seen from one level up.
    pub(super) fn within(mut self, outer: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{outer}{dot}{}", self.path);
        self
    }

    /// The same, seen from the list that holds the reader's value.
    pub(super) fn at(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

impl From<Wrong> for DecodeError {
    fn from(wrong: Wrong) -> Self {
        if wrong.path.is_empty() {
            return Self { message: wrong.what, param: None };
        }
        Self { message: format!("{}: {}", wrong.path, wrong.what), param: Some(wrong.path) }
    }
}

/// An object's members, in order. `null` counts as absent.
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut members = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &RawValue>()? {
                    members.push((name, value));
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl<'a> Fields<'a> {
    /// Reads a whole body.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Wrong> {
        serde_json::from_slice(body)
            .map_err(|e| Wrong::new("", format!("the body is not a JSON object: {e}")))
    }

    pub(super) fn of(raw: &'a RawValue) -> Result<Self, Wrong> {
        serde_json::from_str(raw.get()).map_err(|_| Wrong::new("", "must be an object"))
    }

    /// Takes a member out; of several with one name, the last.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let mut found = None;
        self.0.retain(|(member, value)| {
            let hit = member == name;
            if hit {
                found = Some(*value);
            }
            !hit
        });
        found.filter(|value| value.get() != "null")
    }

    /// Takes a member out as a `T`, which `expected` describes.
    pub(super) fn read<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Wrong> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| Wrong::new(name, format!("must be {expected}")))
    }

    pub(super) fn string(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        let Some(raw) = self.take(name) else { return Ok(None) };
        text(raw).map(Some).ok_or_else(|| Wrong::new(name, "must be a string"))
    }

    pub(super) fn required_string(&mut self, name: &str) -> Result<String, Wrong> {
        self.string(name)?.ok_or_else(|| Wrong::new(name, "is required"))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, value)| value.get() == "null")
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// What nobody took, under `prefix`.
    pub(super) fn rest(self, prefix: &str) -> Vec<Extension> {
        self.0
            .into_iter()
            .filter(|(_, value)| value.get() != "null")
            .map(|(name, value)| extension(format!("{prefix}{name}"), value.into()))
            .collect()
    }
}

pub(super) fn extension(name: impl Into<String>, value: Json) -> Extension {
    Extension { source: HERE, name: name.into(), value }
}

/// A string, whatever its escapes say; half a surrogate pair becomes U+FFFD.
pub(super) use crate::openai_chat::object::string as text;

/// A list's elements, raw.
pub(super) fn list(raw: &RawValue) -> Result<Vec<&RawValue>, Wrong> {
    serde_json::from_str(raw.get()).map_err(|_| Wrong::new("", "must be a list"))
}

/// Whether a raw value is a string.
pub(super) fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// Writes any value that JSON can say.
pub(super) fn write<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// An object being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    /// Writes a name; the value goes to what this returns.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        write(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(super) fn put<T: serde::Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        write(self.key(name), value);
    }

    pub(super) fn put_some<T: serde::Serialize>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Writes JSON text as it is.
    pub(super) fn raw(&mut self, name: &str, json: &str) {
        self.key(name).extend_from_slice(json.as_bytes());
    }

    /// Writes this dialect's extensions that stand directly in this object.
    pub(super) fn extensions(&mut self, extensions: &[Extension]) {
        self.extensions_under("", extensions);
    }

    /// Writes this dialect's extensions under `prefix` (`thinking.`), their
    /// names without it.
    pub(super) fn extensions_under(&mut self, prefix: &str, extensions: &[Extension]) {
        for e in extensions {
            let Some(name) = e.name.strip_prefix(prefix) else { continue };
            if e.source == HERE && !name.is_empty() && !name.contains('.') {
                self.raw(name, e.value.text());
            }
        }
    }

    pub(super) fn close(self) {
        self.out.push(b'}');
    }
}

/// Writes a list, separating what `each` writes.
pub(super) fn write_list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        each(out, item);
    }
    out.push(b']');
}

/// Whether an extension of this dialect has that name.
pub(super) fn find<'e>(extensions: &'e [Extension], name: &str) -> Option<&'e Json> {
    extensions.iter().find(|e| e.source == HERE && e.name == name).map(|e| &e.value)
}
