//! Framing of a stream's events in the bytes of an answer.
//!
//! Encoders write server-sent events, and upstreams are asked for them; a client
//! that wants another form gets its bytes from a writer of this module, which
//! holds none back.

/// Form of a stream's events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events ([`sse`](crate::sse)).
    #[default]
    Sse,
    /// One JSON array whose elements are the events' data.
    JsonArray,
}

impl Framing {
    /// Media type of an answer in this form.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream; charset=utf-8",
            Self::JsonArray => "application/json; charset=UTF-8",
        }
    }
}

/// Writes server-sent events as the elements of one JSON array, as they arrive.
///
/// An element is an event whose data is an object. Anything else, such as a
/// keep-alive, becomes white space between elements, which JSON's readers skip.
#[derive(Debug, Default)]
pub struct ArrayWriter {
    line: Line,
    /// The event that is being read has begun its element.
    is_in_element: bool,
    /// The array has an element.
    has_elements: bool,
    /// The last byte was a carriage return: a line feed belongs to it.
    after_cr: bool,
}

/// Place in the current line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// In the field's name, of which so many bytes are `data:`.
    Name(usize),
    /// After the colon: one space is not part of the value.
    Value,
    /// In the value of an element.
    Element,
    /// In a line that holds nothing of an element.
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Name(0)
    }
}

/// The field that holds an event's data.
const NAME: &[u8] = b"data:";

impl ArrayWriter {
    /// Writes what the next bytes of the stream add to the array.
    pub fn push(&mut self, events: &[u8], out: &mut Vec<u8>) {
        let mut rest = events;
        while let Some((&byte, after)) = rest.split_first() {
            let is_end_of_cr = std::mem::take(&mut self.after_cr) && byte == b'\n';
            if is_end_of_cr {
                rest = after;
                continue;
            }
            if byte == b'\n' || byte == b'\r' {
                self.after_cr = byte == b'\r';
                self.end_line(out);
                rest = after;
                continue;
            }
            rest = match self.line {
                Line::Name(matched) => {
                    self.line = match NAME.get(matched) {
                        // A byte order mark is not part of the name.
                        _ if matched == 0 && b"\xef\xbb\xbf".contains(&byte) => Line::Name(0),
                        Some(&wanted) if wanted == byte && matched + 1 == NAME.len() => Line::Value,
                        Some(&wanted) if wanted == byte => Line::Name(matched + 1),
                        _ => Line::Other,
                    };
                    after
                }
                Line::Value => {
                    match byte {
                        b' ' => {}
                        b'{' if !self.is_in_element => self.begin(out),
                        _ if self.is_in_element => self.line = Line::Element,
                        _ => self.line = Line::Other,
                    }
                    if byte == b' ' { after } else { rest }
                }
                Line::Element | Line::Other => {
                    let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                    let (line, after) = rest.split_at(end);
                    if self.line == Line::Element {
                        out.extend_from_slice(line);
                    }
                    after
                }
            };
        }
    }

    /// Ends the array, after the stream has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.has_elements {
            out.push(b'[');
        }
        out.extend_from_slice(b"]\n");
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(if self.has_elements { b',' } else { b'[' });
        self.has_elements = true;
        self.is_in_element = true;
        self.line = Line::Element;
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        // A blank line ends the event. Within one, data goes on over lines, which
        // JSON takes as white space too.
        if self.line == Line::Name(0) {
            self.is_in_element = false;
            out.push(b'\n');
        } else if self.is_in_element {
            out.push(b' ');
        }
        self.line = Line::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(pieces: &[&[u8]]) -> String {
        let (mut writer, mut out) = (ArrayWriter::default(), Vec::new());
        for piece in pieces {
            writer.push(piece, &mut out);
        }
        writer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn elements(text: &str) -> Vec<serde_json::Value> {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    const STREAM: &str = "\u{feff}data: {\"z\":0}\n\n: hello\n\n\ndata: {\"a\":\"x\\n, ]\"}\r\n\r\nevent: e\r\
                          data:{\"b\":\rdata:  2}\r\r\n\ndata: [DONE]\n\ndata: {\"c\":3}\n\n";

    #[test]
    fn the_elements_are_the_events_however_the_bytes_are_split() {
        let whole = array(&[STREAM.as_bytes()]);
        let expected = serde_json::json!([{"z": 0}, {"a": "x\n, ]"}, {"b": 2}, {"c": 3}]);
        assert_eq!(serde_json::Value::from(elements(&whole)), expected);
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(array(&bytes), whole);
        for at in 0..STREAM.len() {
            let (before, after) = STREAM.as_bytes().split_at(at);
            assert_eq!(array(&[before, after]), whole, "at {at}");
        }
    }

    #[test]
    fn a_keep_alive_is_white_space_wherever_it_comes() {
        for stream in ["\n", "\n\ndata: {}\n\n\n", "data: {}\n\n\ndata: {}\n\n"] {
            let text = array(&[stream.as_bytes()]);
            assert_eq!(elements(&text).len(), stream.matches("data").count(), "{text}");
        }
        let (mut writer, mut out) = (ArrayWriter::default(), Vec::new());
        writer.push(b"\n", &mut out);
        assert_eq!(out, b"\n");
    }

    #[test]
    fn a_stream_that_breaks_off_within_an_event_is_no_array() {
        let text = array(&[b"data: {\"a\":", b"\n\ndata: {\"error\":{}}\n\n"]);
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err(), "{text}");
    }
}
