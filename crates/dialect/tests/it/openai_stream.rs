//! Streams of our own, each with one deviation that a provider was seen with.

use crate::wire;
use dialect::{
    ErrorClass, Shown, Usage,
    fold::Fold,
    model::{Content, Delta, Event, Finish, Opening, Part, Response, Sealed, Thought, ToolKind},
    openai_chat::stream::{Decoder, Encoder},
};
use std::collections::BTreeSet;

fn shown(include_usage: bool) -> Shown<'static> {
    Shown { model: Some("group"), fallback_id: "chatcmpl-x", created_unix_s: 7, include_usage }
}

/// Parts are dense, opened once before and closed after their deltas; a finish
/// comes when its parts are closed; nothing follows an end or an error.
pub(crate) fn assert_grammar(file: &str, events: &[Event]) {
    let mut open = BTreeSet::new();
    let mut opened = BTreeSet::new();
    let mut finished = BTreeSet::new();
    for (at, event) in events.iter().enumerate() {
        match event {
            Event::Start { .. } => assert!(
                events[..at].iter().all(|e| matches!(e, Event::Ping)),
                "{file}: start at {at}"
            ),
            Event::Open { choice, part, .. } => {
                let before = opened.iter().filter(|(c, _)| c == choice).count();
                assert_eq!(before, *part as usize, "{file}: parts are dense");
                assert!(opened.insert((*choice, *part)) && open.insert((*choice, *part)));
                assert!(!finished.contains(choice), "{file}");
            }
            Event::Delta { choice, part, .. } => {
                assert!(open.contains(&(*choice, *part)), "{file}: delta of a closed part");
            }
            Event::Close { choice, part } => assert!(open.remove(&(*choice, *part)), "{file}"),
            Event::Finish { choice, .. } => {
                assert!(open.iter().all(|(c, _)| c != choice), "{file}: finish of open parts");
                assert!(finished.insert(*choice), "{file}: two finishes");
            }
            Event::End | Event::Error(_) => assert_eq!(at + 1, events.len(), "{file}"),
            Event::Usage(_) | Event::Ping | Event::Extension(_) => {}
        }
    }
    assert!(open.is_empty(), "{file}: parts stay open");
}

fn decode(raw: &str) -> Vec<Event> {
    let mut decoder = Decoder::new();
    let mut events = Vec::new();
    wire::events(raw, |event| decoder.push(event, &mut events).unwrap());
    decoder.finish(&mut events);
    assert_grammar(raw, &events);
    events
}

fn fold(events: &[Event]) -> Response {
    let mut fold = Fold::new();
    for event in events {
        fold.push(event);
    }
    fold.finish()
}

/// Frames of chunks, each given as the inside of its only choice.
fn chunks(choices: &[&str]) -> String {
    let frame = |choice: &&str| {
        format!(
            "data: {{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{{\"index\":0,{choice}}}]}}\n\n"
        )
    };
    choices.iter().map(frame).collect()
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::from(Content::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind: ToolKind::Function,
    })
}

#[test]
fn a_call_whole_in_one_chunk_and_a_finish_that_says_stop_are_tool_calls() {
    let raw = chunks(&[
        r#""delta":{"content":"so","tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1}"}}]}"#,
        r#""delta":{},"finish_reason":"stop""#,
    ]) + "data: [DONE]\n\n";
    let response = fold(&decode(&raw));
    assert_eq!(response.choices[0].parts[1], call("a", "f", r#"{"x":1}"#));
    assert_eq!(response.choices[0].finish, Some(Finish::ToolCalls));
}

#[test]
fn calls_without_index_and_calls_that_all_have_index_0_stay_apart() {
    let without = chunks(&[
        r#""delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{"}},{"id":"b","function":{"name":"g","arguments":"{}"}}]}"#,
        r#""delta":{"tool_calls":[{"id":"a","function":{"name":"","arguments":"}"}}]},"finish_reason":"tool_call""#,
    ]);
    let zeros = chunks(&[
        r#""delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#,
        r#""delta":{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"stop""#,
    ]);
    for raw in [without, zeros] {
        let response = fold(&decode(&raw));
        assert_eq!(response.choices[0].parts, [call("a", "f", "{}"), call("b", "g", "{}")]);
    }
}

#[test]
fn a_stream_that_ends_before_any_finish_is_not_complete() {
    let events = decode(&chunks(&[r#""delta":{"content":"half"}"#]));
    assert!(!events.contains(&Event::End));
    assert!(!events.iter().any(|event| matches!(event, Event::Finish { .. })));
}

#[test]
fn a_stream_without_done_is_complete_after_its_finish_and_only_once() {
    let raw =
        chunks(&[r#""delta":{"content":"x"}"#, r#""delta":{},"finish_reason":"model_length""#]);
    let events = decode(&raw);
    assert_eq!(events.last(), Some(&Event::End));
    assert_eq!(fold(&events).choices[0].finish, Some(Finish::Length));
}

#[test]
fn azures_first_chunk_and_choices_without_delta_are_harmless() {
    let raw = "data: {\"id\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[{}]}\n\n"
        .to_owned()
        + &chunks(&[
            r#""content_filter_results":{}"#,
            r#""delta":{"content":"x"},"finish_reason":"stop""#,
        ]);
    let events = decode(&raw);
    let Event::Start { id, model, .. } = &events[0] else { panic!("{events:?}") };
    assert_eq!((id.as_str(), model.as_str()), ("c1", "m"));
}

#[test]
fn usage_is_read_wherever_it_stands_and_the_last_counts() {
    let usage = r#"{"prompt_tokens":3,"completion_tokens":2}"#;
    let early = r#"{"prompt_tokens":3,"completion_tokens":1}"#;
    let finish = chunks(&[r#""delta":{"content":"x"},"finish_reason":"stop""#]);
    let cases = [
        format!("{finish}data: {{\"id\":\"c1\",\"choices\":[],\"usage\":{usage}}}\n\n"),
        format!(
            "{finish}data: {{\"id\":\"c1\",\"choices\":[{{\"index\":0,\"delta\":{{}}}}],\"usage\":{usage}}}\n\n"
        ),
        format!(
            "data: {{\"id\":\"c1\",\"choices\":[],\"usage\":{early}}}\n\n{finish}data: {{\"choices\":[],\"x_groq\":{{\"usage\":{usage}}}}}\n\n"
        ),
    ];
    for raw in cases {
        let used = fold(&decode(&raw)).usage.unwrap();
        assert_eq!((used.input, used.output), (3, 2), "{raw}");
    }
}

#[test]
fn a_sentence_or_an_object_as_error_ends_the_stream_as_an_error() {
    let before = chunks(&[r#""delta":{"content":"x"}"#]);
    for (after, class) in [
        (
            "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"invalid_request_error\",\"status_code\":400}}\n\n",
            ErrorClass::BadRequest,
        ),
        ("data: {\"error\":\"overworked\"}\n\n", ErrorClass::Server),
        (
            "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\",\"error\":{\"code\":429,\"message\":\"slow\"}}]}\n\n",
            ErrorClass::RateLimit,
        ),
    ] {
        let events = decode(&format!("{before}{after}data: [DONE]\n\n"));
        let Some(Event::Error(error)) = events.last() else { panic!("{events:?}") };
        assert_eq!(error.class, class);
    }
}

#[test]
fn mistrals_content_lists_and_split_surrogates_are_read() {
    let raw = chunks(&[
        r#""delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}"#,
        r#""delta":{"content":"\ud83d"}"#,
        r#""delta":{"content":"\ude00"},"finish_reason":"stop""#,
    ]);
    let parts = fold(&decode(&raw)).choices.remove(0).parts;
    let thought = Thought { text: Some("hm".to_owned()), ..Thought::default() };
    let words = Content::Text { text: "\u{1F600}".to_owned(), citations: Vec::new() };
    assert_eq!(parts, [Content::Reasoning(thought).into(), words.into()]);
}

fn encoded(events: &[Event], include_usage: bool) -> String {
    let mut encoder = Encoder::new(&shown(include_usage));
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn start() -> Event {
    Event::Start { id: "c1".to_owned(), model: "m".to_owned(), created_unix_s: None, usage: None }
}

#[test]
fn the_role_is_said_once_and_done_only_at_the_end() {
    let finish = Event::Finish { choice: 0, finish: Finish::Stop, stop_sequence: None };
    let text = encoded(&[start(), finish, Event::Usage(Usage::default()), Event::End], true);
    assert_eq!(text.matches("\"role\"").count(), 1);
    assert_eq!(text.matches("\"choices\":[]").count(), 1);
    assert!(text.ends_with("data: [DONE]\n\n"));
    assert!(text.contains("\"model\":\"group\""));
    let without = encoded(&[start(), Event::Usage(Usage::default()), Event::End], false);
    assert!(!without.contains("usage"), "{without}");
}

#[test]
fn carried_json_with_line_breaks_stays_one_frame() {
    let extension = crate::arbitrary::extension("citations", "[\n\"a\",\r\n\"b\"\n]");
    let finish = Event::Finish { choice: 0, finish: Finish::Stop, stop_sequence: None };
    let text = encoded(&[start(), Event::Extension(extension), finish, Event::End], false);
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with("data: ")), "{text}");
    assert!(fold(&decode(&text)).extensions[0].value.read::<Vec<String>>().is_ok());
}

#[test]
fn an_error_is_the_last_frame_and_no_done_follows() {
    let error = dialect::openai_chat::error::decode(529, b"");
    let text = encoded(&[start(), Event::Error(error)], true);
    assert!(text.starts_with("data: {\"error\":{") && !text.contains("[DONE]"), "{text}");
}

#[test]
fn a_call_without_arguments_gets_an_empty_object() {
    let opening = Opening::ToolCall {
        id: "a".to_owned(),
        name: "f".to_owned(),
        kind: ToolKind::Function,
        signature: None,
        extensions: Vec::new(),
    };
    let events = [
        start(),
        Event::Open { choice: 0, part: 0, opening },
        Event::Close { choice: 0, part: 0 },
        Event::Finish { choice: 0, finish: Finish::ToolCalls, stop_sequence: None },
        Event::End,
    ];
    let response = fold(&decode(&encoded(&events, false)));
    assert_eq!(response.choices[0].parts, [call("a", "f", "{}")]);
}

#[test]
fn a_signature_comes_back_with_the_whole_block_and_the_words_only_once() {
    let events = [
        start(),
        Event::Open { choice: 0, part: 0, opening: Opening::Reasoning },
        Event::Delta { choice: 0, part: 0, delta: Delta::Text("a".to_owned()) },
        Event::Delta { choice: 0, part: 0, delta: Delta::Text("b".to_owned()) },
        Event::Delta { choice: 0, part: 0, delta: Delta::Signature(Sealed::claudes("s")) },
        Event::Close { choice: 0, part: 0 },
        Event::Finish { choice: 0, finish: Finish::Stop, stop_sequence: None },
        Event::End,
    ];
    let text = encoded(&events, false);
    assert!(
        text.contains(r#"{"index":0,"type":"thinking","thinking":"ab","signature":"s"}"#),
        "{text}"
    );
    let expected = Thought {
        text: Some("ab".to_owned()),
        signature: Some(Sealed::claudes("s")),
        redacted: None,
    };
    assert_eq!(fold(&decode(&text)).choices[0].parts, [Content::Reasoning(expected).into()]);
}
