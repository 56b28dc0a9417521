//! Server-sent events (WHATWG HTML, section 9.2), pushed in as bytes.
//!
//! [`Framer`] finds where events end and hands the wire's bytes on untouched;
//! [`parse`] reads one event. Reconnection (`id:`, `retry:`) is not for a
//! proxy: those fields are relayed, not understood.

mod framer;

use memchr::memchr2;

pub use framer::{EVENT_MAX_BYTES, Frame, Framer, Frames};

/// One complete event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `event:` field, where there is one.
    pub name: Option<&'a str>,
    /// The `data:` lines, joined by line feeds.
    pub data: &'a str,
}

/// An event's text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event is not valid UTF-8")]
pub struct NotUtf8;

/// Reads one frame of a [`Framer`], or its remainder. A frame of comments or
/// blank lines is an event with neither name nor data. `scratch` is written
/// only for events of several `data:` lines.
///
/// # Errors
/// [`NotUtf8`] where the name or the data is not text.
pub fn parse<'a>(frame: &'a [u8], scratch: &'a mut String) -> Result<Event<'a>, NotUtf8> {
    let mut joined = std::mem::take(scratch).into_bytes();
    let fields = fields(frame, &mut joined);
    let name = fields.name.map(text).transpose()?;
    let data = match fields.data {
        Data::None => "",
        Data::Line(line) => text(line)?,
        Data::Joined => {
            *scratch = String::from_utf8(joined).map_err(|_| NotUtf8)?;
            scratch
        }
    };
    Ok(Event { name, data })
}

fn text(bytes: &[u8]) -> Result<&str, NotUtf8> {
    std::str::from_utf8(bytes).map_err(|_| NotUtf8)
}

/// What of an event matters, as bytes.
pub(crate) struct Fields<'a> {
    pub(crate) name: Option<&'a [u8]>,
    pub(crate) data: Data<'a>,
}

/// An event's `data:` lines.
pub(crate) enum Data<'a> {
    None,
    /// One line, in place.
    Line(&'a [u8]),
    /// Several, joined by line feeds in the caller's scratch.
    Joined,
}

/// Splits an event into its fields without looking at the encoding.
pub(crate) fn fields<'a>(frame: &'a [u8], joined: &mut Vec<u8>) -> Fields<'a> {
    let mut found = Fields { name: None, data: Data::None };
    let mut rest = frame;
    while !rest.is_empty() {
        let line;
        (line, rest) = split_line(rest);
        if let Some(value) = field(line, b"data") {
            match found.data {
                Data::None => found.data = Data::Line(value),
                Data::Line(first) => {
                    joined.clear();
                    joined.extend_from_slice(first);
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                    found.data = Data::Joined;
                }
                Data::Joined => {
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            }
        } else if let Some(value) = field(line, b"event") {
            found.name = Some(value);
        }
    }
    found
}

/// The first line without its end, and what follows the end.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = memchr2(b'\n', b'\r', bytes) else {
        return (bytes, &[]);
    };
    let (line, rest) = bytes.split_at(end);
    let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.get(1..)).unwrap_or_default();
    (line, rest)
}

/// The line's value if its field is `name`: one space after the colon is
/// dropped, and a line without a colon is a field with an empty value.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(frame: &str) -> (Option<String>, String) {
        let mut scratch = String::new();
        let event = parse(frame.as_bytes(), &mut scratch).unwrap();
        (event.name.map(str::to_owned), event.data.to_owned())
    }

    #[test]
    fn data_lines_are_joined_and_comments_are_left_out() {
        assert_eq!(
            read(": hello\nevent: a\ndata: 1\ndata:2\ndata\ndata:  3\nid: 7\n\n"),
            (Some("a".into()), "1\n2\n\n 3".into())
        );
    }

    #[test]
    fn every_line_end_is_a_line_end() {
        for end in ["\n", "\r", "\r\n"] {
            let frame = format!("event:x{end}data: 1{end}data: 2{end}{end}");
            assert_eq!(read(&frame), (Some("x".into()), "1\n2".into()), "{end:?}");
        }
    }

    #[test]
    fn a_longer_field_name_is_another_field() {
        assert_eq!(read("database: 1\nevents: 2\n\n"), (None, String::new()));
    }

    #[test]
    fn the_last_name_counts() {
        assert_eq!(read("event: a\nevent: b\n\n"), (Some("b".into()), String::new()));
    }

    #[test]
    fn bytes_that_are_not_text_are_an_error() {
        let mut scratch = String::new();
        assert_eq!(parse(b"data: \xff\n\n", &mut scratch), Err(NotUtf8));
        assert_eq!(parse(b"data: a\ndata: \xff\n\n", &mut scratch), Err(NotUtf8));
        assert_eq!(parse(b"event: \xff\ndata: a\n\n", &mut scratch), Err(NotUtf8));
    }
}
