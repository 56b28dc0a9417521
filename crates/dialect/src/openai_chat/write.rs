//! Writing JSON objects straight into bytes, members in the order given.
//!
//! No tree in between. Values that came as JSON text go out as they came.

use crate::{Json, model::Extension};
use serde::Serialize;

/// Writes any value. Our values are strings, numbers, booleans and raw JSON,
/// which cannot fail to serialise into memory.
pub(crate) fn put<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "strings, numbers and raw JSON always serialise");
}

/// An object being written.
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Opens an object.
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Goes on with an object that is begun in `head`, `{` and a member at
    /// least.
    pub(crate) fn resume(out: &'o mut Vec<u8>, head: &[u8]) -> Self {
        out.extend_from_slice(head);
        Self { out, empty: false }
    }

    /// Writes a key; the caller writes its value to what it gets.
    pub(crate) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        put(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// Writes a member.
    pub(crate) fn member<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        put(self.key(name), value);
    }

    /// Writes a member if there is a value.
    pub(crate) fn maybe<T: Serialize>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    /// Writes a member whose value is `null`.
    pub(crate) fn null(&mut self, name: &str) {
        self.key(name).extend_from_slice(b"null");
    }

    /// Writes a member that is an object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        object(self.key(name), fill);
    }

    /// Writes a member that is an array, one item per element.
    pub(crate) fn array<I: IntoIterator>(
        &mut self,
        name: &str,
        items: I,
        write: impl FnMut(&mut Vec<u8>, I::Item),
    ) {
        array(self.key(name), items, write);
    }

    /// Writes extensions as members.
    pub(crate) fn extensions<'e>(&mut self, all: impl IntoIterator<Item = &'e Extension>) {
        for extension in all {
            self.member(&extension.name, &extension.value);
        }
    }

    /// Closes it.
    pub(crate) fn end(self) {
        self.out.push(b'}');
    }
}

/// Writes an object.
pub(crate) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut object = ObjectWriter::new(out);
    fill(&mut object);
    object.end();
}

/// Makes what was written since `from` one line. Carried JSON may have line
/// breaks between its tokens, and a stream's frame ends at the first; inside
/// strings JSON has none.
pub(crate) fn one_line(out: &mut [u8], from: usize) {
    for byte in out.get_mut(from..).unwrap_or_default() {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Writes an array.
pub(crate) fn array<I: IntoIterator>(
    out: &mut Vec<u8>,
    items: I,
    mut write: impl FnMut(&mut Vec<u8>, I::Item),
) {
    out.push(b'[');
    let mut first = true;
    for item in items {
        if !first {
            out.push(b',');
        }
        first = false;
        write(out, item);
    }
    out.push(b']');
}

/// The JSON value of one object, as an opaque.
pub(crate) fn json(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Option<Json> {
    let mut out = Vec::new();
    object(&mut out, fill);
    Json::parse(String::from_utf8(out).ok()?).ok()
}
