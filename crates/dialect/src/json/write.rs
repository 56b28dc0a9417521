//! Writing JSON objects straight into bytes, members in the order given.
//!
//! No tree in between. Values that came as JSON text go out as they came.

use super::{Json, read::Raw, text};
use serde_json::Number;
use std::borrow::Cow;

/// A value that has a JSON form. Writing it cannot fail.
pub(crate) trait ToJson {
    /// Adds the JSON form to `out`.
    fn write(&self, out: &mut Vec<u8>);
}

impl ToJson for str {
    fn write(&self, out: &mut Vec<u8>) {
        put_text(out, self);
    }
}

impl ToJson for String {
    fn write(&self, out: &mut Vec<u8>) {
        put_text(out, self);
    }
}

impl ToJson for Cow<'_, str> {
    fn write(&self, out: &mut Vec<u8>) {
        put_text(out, self);
    }
}

impl ToJson for Json {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }
}

impl ToJson for Raw<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text().as_bytes());
    }
}

impl ToJson for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl ToJson for $number {
            fn write(&self, out: &mut Vec<u8>) {
                // A number into memory: it has no way to fail.
                let _written = serde_json::to_writer(out, self);
            }
        }
    )*};
}

numbers!(u32, u64, usize, i64, Number);

impl<T: ToJson + ?Sized> ToJson for &T {
    fn write(&self, out: &mut Vec<u8>) {
        (*self).write(out);
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: ToJson> ToJson for [T] {
    fn write(&self, out: &mut Vec<u8>) {
        array(out, self, |out, item| item.write(out));
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_slice().write(out);
    }
}

/// Writes any value.
pub(crate) fn put<T: ToJson + ?Sized>(out: &mut Vec<u8>, value: &T) {
    value.write(out);
}

/// Text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    put_text(&mut out, text);
    // Escapes are ASCII in place of ASCII: what was text is text.
    String::from_utf8(out).unwrap_or_default()
}

/// Writes text as a JSON string, in the spelling of `serde_json`.
fn put_text(out: &mut Vec<u8>, words: &str) {
    let bytes = words.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut done = 0;
    while let Some(special) = text::next_special(bytes, done) {
        out.extend_from_slice(bytes.get(done..special).unwrap_or_default());
        put_escape(out, bytes.get(special).copied().unwrap_or_default());
        done = special + 1;
    }
    out.extend_from_slice(bytes.get(done..).unwrap_or_default());
    out.push(b'"');
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            let (high, low) = (digit(byte >> 4), digit(byte & 15));
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
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
        put_text(self.out, name);
        self.out.push(b':');
        self.out
    }

    /// Writes a member.
    pub(crate) fn member<T: ToJson + ?Sized>(&mut self, name: &str, value: &T) {
        value.write(self.key(name));
    }

    /// Writes a member if there is a value.
    pub(crate) fn maybe<T: ToJson>(&mut self, name: &str, value: Option<&T>) {
        if let Some(value) = value {
            self.member(name, value);
        }
    }

    /// Writes a member whose value is JSON text.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.key(name).extend_from_slice(json.as_bytes());
    }

    /// Writes a member whose value is `null`.
    pub(crate) fn null(&mut self, name: &str) {
        self.raw(name, "null");
    }

    /// Writes a member that is an object.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        object(self.key(name), fill);
    }

    /// Writes a member that is a list, one item per element.
    pub(crate) fn array<I: IntoIterator>(
        &mut self,
        name: &str,
        items: I,
        write: impl FnMut(&mut Vec<u8>, I::Item),
    ) {
        array(self.key(name), items, write);
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

/// Writes a list.
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

/// The JSON value of one object.
pub(crate) fn json(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Option<Json> {
    let mut out = Vec::new();
    object(&mut out, fill);
    Json::parse(String::from_utf8(out).ok()?).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strings_are_spelled_as_serde_json_spells_them(text in "([\\x00-\\x2f\"\\\\a-zé\u{7f}]|[a-z]{60}){0,9}") {
            prop_assert_eq!(quoted(&text), serde_json::to_string(&text).unwrap());
        }
    }

    #[test]
    fn members_follow_each_other_in_the_order_given() {
        let mut out = Vec::new();
        object(&mut out, |object| {
            object.member("a", &[Some(1_u64), None][..]);
            object.maybe("b", None::<&String>);
            object.null("c");
            object.object("d\"", |inner| inner.member("e", &true));
        });
        assert_eq!(out, br#"{"a":[1,null],"c":null,"d\"":{"e":true}}"#);
    }
}
