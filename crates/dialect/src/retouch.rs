//! The closed list of changes to an upstream's answer that is relayed as bytes:
//! usage that nobody asked for, and the model's name where the client is to
//! see its own. Every other byte stays.
//!
//! Events whose JSON is spread over several `data:` lines stay as they are: no
//! provider sends them.

use crate::{
    Dialect,
    json::skim::Skim,
    json::write::quoted,
    sse::{self, Data},
};
use memchr::memmem::Finder;
use std::{borrow::Cow, ops::Range, sync::LazyLock};

/// Takes `usage: null` out of an OpenAI chunk: what the others carry when usage
/// was asked for.
pub fn strip_null_usage(frame: &[u8]) -> Cow<'_, [u8]> {
    strip(frame, |value| value == b"null")
}

/// Takes `usage` out of an OpenAI chunk, whatever it says.
pub fn strip_usage(frame: &[u8]) -> Cow<'_, [u8]> {
    strip(frame, |_| true)
}

fn strip(frame: &[u8], goes: impl Fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
    static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""usage""#));
    if USAGE.find(frame).is_none() {
        return Cow::Borrowed(frame);
    }
    let Some((start, data)) = data(frame) else { return Cow::Borrowed(frame) };
    match usage_member(data, goes) {
        Some(cut) => splice(frame, start + cut.start..start + cut.end, b""),
        None => Cow::Borrowed(frame),
    }
}

/// The member `usage` and the comma that it needs.
fn usage_member(data: &[u8], goes: impl Fn(&[u8]) -> bool) -> Option<Range<usize>> {
    let mut skim = Skim::new(data);
    let mut previous_end = None;
    let mut more = skim.enter(b'{')?;
    while more {
        skim.peek()?;
        let start = skim.at();
        let is_usage = skim.key()? == b"usage";
        let value = skim.value()?;
        if is_usage && goes(data.get(value.clone())?) {
            if let Some(previous_end) = previous_end {
                return Some(previous_end..value.end);
            }
            if !skim.more(b'}')? {
                return Some(start..value.end);
            }
            skim.peek()?;
            return Some(start..skim.at());
        }
        previous_end = Some(value.end);
        more = skim.more(b'}')?;
    }
    None
}

/// Puts `name` where an event or a whole answer names its model: at the top
/// level, and in the `message` of Anthropic's first event.
pub fn set_model<'a>(bytes: &'a [u8], name: &str) -> Cow<'a, [u8]> {
    match model_span(bytes) {
        Some(span) => splice(bytes, span, quoted(name).as_bytes()),
        None => Cow::Borrowed(bytes),
    }
}

/// A name for the model of all events of a stream.
///
/// The events of a stream mostly begin alike, up to and with the model's name:
/// that beginning is remembered, with the other name in it, and an event that
/// begins so again is not read.
pub struct ModelName {
    quoted: Box<[u8]>,
    /// Only one event names the model, and it has been.
    is_over: bool,
    is_named_once: bool,
    theirs: Vec<u8>,
    ours: Vec<u8>,
}

impl ModelName {
    /// Shows `name` in the events of a stream in `dialect`.
    pub fn new(name: &str, dialect: Dialect) -> Self {
        Self {
            quoted: quoted(name).into_bytes().into(),
            // Google names it in a member of another name, with its version.
            is_over: dialect == Dialect::Gemini,
            is_named_once: dialect == Dialect::AnthropicMessages,
            theirs: Vec::new(),
            ours: Vec::new(),
        }
    }

    /// Puts the name into an event; borrowed if the event names no model.
    pub fn put<'a>(&mut self, frame: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_over {
            return Cow::Borrowed(frame);
        }
        if !self.theirs.is_empty()
            && let Some(rest) = frame.strip_prefix(&*self.theirs)
        {
            return match self.ours == self.theirs {
                true => Cow::Borrowed(frame),
                false => Cow::Owned([&*self.ours, rest].concat()),
            };
        }
        let Some(span) = model_span(frame) else { return Cow::Borrowed(frame) };
        self.is_over = self.is_named_once;
        let (Some(before), Some(named)) = (frame.get(..span.start), frame.get(..span.end)) else {
            return Cow::Borrowed(frame);
        };
        self.theirs.clear();
        self.theirs.extend_from_slice(named);
        self.ours.clear();
        self.ours.extend_from_slice(before);
        self.ours.extend_from_slice(&self.quoted);
        splice(frame, span, &self.quoted)
    }
}

/// Where an event or a whole answer names its model.
fn model_span(bytes: &[u8]) -> Option<Range<usize>> {
    static MODEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(br#""model""#));
    MODEL.find(bytes)?;
    let is_whole = bytes.trim_ascii_start().starts_with(b"{");
    let (start, data) = if is_whole { (0, bytes) } else { data(bytes)? };
    let span = model_value(&mut Skim::new(data), true)?;
    Some(start + span.start..start + span.end)
}

fn model_value(skim: &mut Skim<'_>, is_top: bool) -> Option<Range<usize>> {
    let mut more = skim.enter(b'{')?;
    while more {
        match skim.key()? {
            b"model" if skim.peek()? == b'"' => return skim.value(),
            b"message" if is_top && skim.peek()? == b'{' => {
                let mut inner = skim.clone();
                if let Some(found) = model_value(&mut inner, false) {
                    return Some(found);
                }
                skim.skip()?;
            }
            _ => skim.skip()?,
        }
        more = skim.more(b'}')?;
    }
    None
}

/// The event's data where it stands on one line.
fn data(frame: &[u8]) -> Option<(usize, &[u8])> {
    let Data::Line(line) = sse::fields(frame, &mut Vec::new()).data else { return None };
    let start = line.as_ptr().addr().checked_sub(frame.as_ptr().addr())?;
    (start <= frame.len()).then_some((start, line))
}

fn splice<'a>(bytes: &'a [u8], cut: Range<usize>, text: &[u8]) -> Cow<'a, [u8]> {
    if bytes.get(cut.clone()) == Some(text) {
        return Cow::Borrowed(bytes);
    }
    let (Some(before), Some(after)) = (bytes.get(..cut.start), bytes.get(cut.end..)) else {
        return Cow::Borrowed(bytes);
    };
    Cow::Owned([before, text, after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strip_text(frame: &str) -> String {
        String::from_utf8(strip_null_usage(frame.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn null_usage_goes_wherever_it_stands() {
        for (frame, expected) in [
            ("data: {\"a\":1,\"usage\":null}\n\n", "data: {\"a\":1}\n\n"),
            ("data: {\"usage\": null, \"a\":1}\n\n", "data: {\"a\":1}\n\n"),
            ("data:{\"a\":1 , \"usage\":null ,\"b\":2}\r\n\r\n", "data:{\"a\":1 ,\"b\":2}\r\n\r\n"),
            ("data: {\"usage\":null}\n\n", "data: {}\n\n"),
        ] {
            assert_eq!(strip_text(frame), expected);
        }
    }

    #[test]
    fn usage_that_says_something_or_stands_deeper_stays() {
        for frame in [
            "data: {\"a\":1,\"usage\":{\"total_tokens\":1}}\n\n",
            "data: {\"x_groq\":{\"usage\":null}}\n\n",
            "data: {\"content\":\"\\\"usage\\\":null\"}\n\n",
            "data: [DONE]\n\n",
            ": \"usage\"\n\n",
        ] {
            assert!(matches!(strip_null_usage(frame.as_bytes()), Cow::Borrowed(_)), "{frame}");
        }
    }

    #[test]
    fn all_usage_goes_when_asked() {
        let frame = b"data: {\"a\":1,\"usage\":{\"total_tokens\":1}}\n\n";
        assert_eq!(strip_usage(frame).as_ref(), b"data: {\"a\":1}\n\n");
    }

    #[test]
    fn the_model_is_named_in_events_and_bodies() {
        let named = |text: &str| {
            String::from_utf8(set_model(text.as_bytes(), "my \"group\"").into_owned()).unwrap()
        };
        assert_eq!(named(r#"{"model" : "a"}"#), r#"{"model" : "my \"group\""}"#);
        assert_eq!(
            named("data: {\"id\":\"x\",\"model\":\"gpt\"}\n\n"),
            "data: {\"id\":\"x\",\"model\":\"my \\\"group\\\"\"}\n\n"
        );
        assert_eq!(
            named(
                "event: message_start\ndata: {\"message\":{\"id\":1,\"model\":\"c\"},\"type\":\"message_start\"}\n\n"
            ),
            "event: message_start\ndata: {\"message\":{\"id\":1,\"model\":\"my \\\"group\\\"\"},\"type\":\"message_start\"}\n\n"
        );
    }

    #[test]
    fn every_event_of_a_stream_gets_the_name_whatever_it_begins_with() {
        let mut name = ModelName::new("m", Dialect::OpenAiChat);
        let chunk = |id: u32, model: &str, more: &str| {
            format!("data: {{\"id\":{id},\"model\":\"{model}\",{more}}}\n\n")
        };
        for (id, model, more) in [
            (1, "gpt", r#""choices":[]"#),
            (1, "gpt", r#""choices":[{"delta":{"content":"\"model\":\"gpt\""}}]"#),
            (1, "gpt-longer", r#""choices":[]"#),
            (2, "gpt", r#""choices":[1]"#),
            (1, "gpt", r#""choices":[2]"#),
            (1, "m", r#""choices":[3]"#),
        ] {
            let shown = name.put(chunk(id, model, more).as_bytes()).into_owned();
            assert_eq!(String::from_utf8(shown).unwrap(), chunk(id, "m", more));
        }
        for _ in 0..2 {
            let named_so = chunk(3, "m", "\"choices\":[]");
            assert!(matches!(name.put(named_so.as_bytes()), Cow::Borrowed(_)));
        }
        let late = "data: {\"choices\":[{\"text\":\"a\"}],\"model\":\"gpt\"}\n\n";
        assert_eq!(name.put(late.as_bytes()).as_ref(), late.replace("gpt", "m").as_bytes());
        for other in ["data: [DONE]\n\n", ": model\n\n", "data: {\"model\":null}\n\n"] {
            assert_eq!(name.put(other.as_bytes()).as_ref(), other.as_bytes());
        }
    }

    #[test]
    fn a_stream_of_anthropics_names_its_model_once() {
        let mut name = ModelName::new("m", Dialect::AnthropicMessages);
        let start = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"c\"}}\n\n";
        assert_eq!(name.put(start.as_bytes()).as_ref(), start.replace("\"c\"", "\"m\"").as_bytes());
        let ping = "data: {\"model\":\"c\"}\n\n";
        assert!(matches!(name.put(ping.as_bytes()), Cow::Borrowed(_)));
    }

    #[test]
    fn what_names_no_model_stays() {
        for text in [
            "data: [DONE]\n\n",
            r#"{"choices":[{"message":{"model":"x"}}]}"#,
            r#"{"model":null}"#,
            r#"{"model":"#,
            "<html>",
            "",
        ] {
            assert_eq!(set_model(text.as_bytes(), "y").as_ref(), text.as_bytes());
        }
    }
}
