//! Anthropic's streams, in and out, with the accidents that happen to them.

use crate::anthropic_recordings::SHOWN;
use crate::facts_anthropic::{events_of, of_events};
use dialect::anthropic_messages::{JSON_TOOL, stream};
use dialect::model::{Content, Delta, Event, Finish, Opening, Part, Sealed, Thought, ToolKind};
use dialect::{ApiError, ErrorClass, Shown, Usage, sse};
use serde_json::{Value, json};

pub(crate) fn decode_all<S: AsRef<str>>(events: impl IntoIterator<Item = S>) -> Vec<Event> {
    let mut decoder = stream::Decoder::new();
    let mut out = Vec::new();
    for data in events {
        decoder.push(sse::Event { name: None, data: data.as_ref() }, &mut out).unwrap();
    }
    decoder.finish(&mut out);
    out
}

pub(crate) fn encode_all(events: &[Event], shown: &Shown<'_>) -> String {
    let mut encoder = stream::Encoder::new(shown);
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn start() -> String {
    json!({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":1}}}).to_string()
}

fn block(index: u32, block: &Value) -> String {
    json!({"type":"content_block_start","index":index,"content_block":block}).to_string()
}

fn delta(index: u32, delta: &Value) -> String {
    json!({"type":"content_block_delta","index":index,"delta":delta}).to_string()
}

fn stop(index: u32) -> String {
    json!({"type":"content_block_stop","index":index}).to_string()
}

fn ending(reason: &str) -> Vec<String> {
    vec![
        json!({"type":"message_delta","delta":{"stop_reason":reason,"stop_sequence":null},"usage":{"output_tokens":7}}).to_string(),
        json!({"type":"message_stop"}).to_string(),
    ]
}

fn finish_of(events: &[Event]) -> Vec<&Finish> {
    let mut all = Vec::new();
    for event in events {
        if let Event::Finish { finish, .. } = event {
            all.push(finish);
        }
    }
    all
}

fn text_of(events: &[Event]) -> String {
    let text = |event: &Event| match event {
        Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } => {
            Some(text.clone())
        }
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[test]
fn a_tool_call_without_deltas_has_an_empty_object_for_arguments() {
    let mut events =
        vec![start(), block(0, &json!({"type":"tool_use","id":"toolu_1","name":"f","input":{}}))];
    events.push(delta(0, &json!({"type":"input_json_delta","partial_json":""})));
    events.push(stop(0));
    events.extend(ending("tool_use"));
    let decoded = decode_all(&events);
    assert_eq!(text_of(&decoded), "{}");
    assert_eq!(finish_of(&decoded), [&Finish::ToolCalls]);
    assert_eq!(decoded.last(), Some(&Event::End));
}

#[test]
fn a_call_that_comes_whole_keeps_its_arguments() {
    let events = [
        start(),
        block(0, &json!({"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}})),
        stop(0),
    ];
    assert_eq!(text_of(&decode_all(events)), r#"{"a":1}"#);
}

#[test]
fn a_second_start_resets_nothing() {
    let mut events = vec![start(), block(0, &json!({"type":"text","text":""}))];
    events.push(delta(0, &json!({"type":"text_delta","text":"a"})));
    events.push(start().replace("msg_1", "msg_2"));
    events.push(delta(0, &json!({"type":"text_delta","text":"b"})));
    events.push(stop(0));
    events.extend(ending("end_turn"));
    let decoded = decode_all(&events);
    let starts: Vec<_> = decoded.iter().filter(|e| matches!(e, Event::Start { .. })).collect();
    assert!(matches!(starts.as_slice(), [Event::Start { id, .. }] if id == "msg_1"));
    assert_eq!(text_of(&decoded), "ab");
}

#[test]
fn usage_is_overwritten_where_said_and_kept_where_not() {
    let mut events = vec![start()];
    events.push(json!({"type":"message_delta","delta":{},"usage":{"input_tokens":12,"cache_read_input_tokens":3}}).to_string());
    events.extend(ending("end_turn"));
    let usages: Vec<Usage> = decode_all(&events)
        .into_iter()
        .filter_map(|event| if let Event::Usage(usage) = event { Some(usage) } else { None })
        .collect();
    let last = usages.last().unwrap();
    assert_eq!((last.input, last.cache_read, last.output), (15, 3, 7));
}

#[test]
fn bytes_that_end_early_are_no_end() {
    let events = [start(), block(0, &json!({"type":"text","text":"a"}))];
    let decoded = decode_all(events);
    assert_eq!(decoded.last(), Some(&Event::Close { choice: 0, part: 0 }));
    let finished = [start(), ending("end_turn")[0].clone()];
    assert!(!decode_all(finished).contains(&Event::End), "only message_stop is an end");
}

#[test]
fn an_error_in_a_stream_ends_it() {
    let error = json!({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}});
    let events =
        [start(), block(0, &json!({"type":"text","text":"a"})), error.to_string(), start()];
    let decoded = decode_all(events);
    let [.., Event::Close { .. }, Event::Error(error)] = decoded.as_slice() else {
        panic!("{decoded:?}")
    };
    assert_eq!((error.class, error.status), (ErrorClass::Overloaded, 529));
    let written = encode_all(&decoded, &SHOWN);
    assert!(written.ends_with("\"message\":\"Overloaded\"}}\n\n"), "{written}");
    assert!(written.contains("event: error\n") && !written.contains("message_stop"));
}

#[test]
fn blocks_of_unknown_kinds_come_whole_with_their_deltas() {
    let mut events = vec![start()];
    events.push(block(
        0,
        &json!({"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}),
    ));
    events.push(delta(0, &json!({"type":"input_json_delta","partial_json":"{\"query\":"})));
    events.push(delta(0, &json!({"type":"input_json_delta","partial_json":"\"x\"}"})));
    events.push(stop(0));
    events.push(block(1, &json!({"type":"compaction","content":null})));
    events.push(delta(1, &json!({"type":"compaction_delta","content":"sum"})));
    events.push(delta(1, &json!({"type":"compaction_delta","content":"mary"})));
    events.push(stop(1));
    events.extend(ending("end_turn"));
    let decoded = decode_all(&events);
    let blocks: Vec<Value> = decoded
        .iter()
        .filter_map(|event| match event {
            Event::Open {
                opening: Opening::Whole(Part { content: Content::Opaque { block, .. }, .. }),
                ..
            } => Some(serde_json::from_str(block.text()).unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(blocks[0]["input"], json!({"query": "x"}));
    assert_eq!(blocks[1]["content"], "summary");
    let facts = of_events(events_of(&encode_all(&decoded, &SHOWN)).iter().map(|(_, data)| data));
    assert_eq!(facts.blocks, blocks);
}

#[test]
fn a_stand_in_for_a_schema_streams_as_text() {
    let mut events = vec![start()];
    events.push(block(0, &json!({"type":"tool_use","id":"toolu_1","name":JSON_TOOL,"input":{}})));
    events.push(delta(0, &json!({"type":"input_json_delta","partial_json":"{\"a\":"})));
    events.push(delta(0, &json!({"type":"input_json_delta","partial_json":"1}"})));
    events.push(stop(0));
    events.extend(ending("tool_use"));
    let decoded = decode_all(&events);
    assert!(decoded.contains(&Event::Open { choice: 0, part: 0, opening: Opening::Text }));
    assert!(
        decoded
            .iter()
            .all(|event| !matches!(event, Event::Delta { delta: Delta::Arguments(_), .. }))
    );
    assert_eq!(text_of(&decoded), r#"{"a":1}"#);
    assert_eq!(finish_of(&decoded), [&Finish::Stop]);
}

#[test]
fn unknown_events_are_carried_on() {
    let mut events = vec![start(), json!({"type":"weather","sun":1}).to_string()];
    events.extend(ending("end_turn"));
    let written = encode_all(&decode_all(&events), &SHOWN);
    assert!(
        written.contains("event: weather\ndata: {\"sun\":1,\"type\":\"weather\"}\n\n"),
        "{written}"
    );
}

fn open(part: u32, opening: Opening) -> Event {
    Event::Open { choice: 0, part, opening }
}

fn call(part: u32, id: &str, kind: ToolKind) -> Event {
    open(
        part,
        Opening::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            kind,
            signature: None,
            extensions: Vec::new(),
        },
    )
}

fn arguments(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Arguments(text.to_owned()) }
}

fn words(part: u32, text: &str) -> Event {
    Event::Delta { choice: 0, part, delta: Delta::Text(text.to_owned()) }
}

fn close(part: u32) -> Event {
    Event::Close { choice: 0, part }
}

fn begun() -> Event {
    Event::Start {
        id: "chatcmpl-1".to_owned(),
        model: "gpt".to_owned(),
        created_unix_s: None,
        usage: None,
    }
}

fn done(finish: Finish) -> Vec<Event> {
    let usage = Usage { input: 30, cache_read: 10, output: 5, ..Usage::default() };
    vec![Event::Finish { choice: 0, finish, stop_sequence: None }, Event::Usage(usage), Event::End]
}

/// The frames' facts, after checking the grammar.
fn shown(events: &[Event]) -> crate::facts_anthropic::AnswerFacts {
    let frames = events_of(&encode_all(events, &SHOWN));
    of_events(frames.iter().map(|(_, data)| data))
}

#[test]
fn calls_that_are_open_together_are_written_one_after_the_other() {
    let mut events =
        vec![begun(), call(0, "a", ToolKind::Function), call(1, "b", ToolKind::Function)];
    events.extend([arguments(1, "{\"b\":"), arguments(0, "{\"a\":"), arguments(1, "2}")]);
    events.extend([close(1), arguments(0, "1}"), close(0)]);
    events.extend(done(Finish::ToolCalls));
    let facts = shown(&events);
    assert_eq!(facts.blocks[0]["input"], json!({"a": 1}));
    assert_eq!(facts.blocks[1]["input"], json!({"b": 2}));
    assert_eq!((facts.id.as_str(), facts.stop_reason), ("msg_chatcmpl-1", json!("tool_use")));
    assert_eq!(facts.usage, [20, 10, 0, 5, 0]);
}

#[test]
fn text_that_stays_open_gives_way_and_goes_on_in_a_new_block() {
    let mut events = vec![begun(), open(0, Opening::Text), words(0, "before ")];
    events.extend([call(1, "a", ToolKind::Function), arguments(1, "{}"), words(0, "after")]);
    events.extend([close(1), close(0)]);
    events.extend(done(Finish::ToolCalls));
    let blocks = shown(&events).blocks;
    assert_eq!(blocks[0]["text"], "before ");
    assert_eq!(blocks[1]["type"], "tool_use");
    assert_eq!(blocks[2]["text"], "after");
}

#[test]
fn empty_text_opens_no_block() {
    let mut events =
        vec![begun(), open(0, Opening::Text), words(0, ""), open(1, Opening::Reasoning)];
    events.extend([words(1, "hm"), close(1), close(0)]);
    events.extend(done(Finish::Stop));
    let facts = shown(&events);
    assert_eq!(facts.blocks, [json!({"type":"thinking","thinking":"hm","signature":""})]);
}

#[test]
fn arguments_that_come_with_the_opening_are_still_deltas() {
    let whole = Content::ToolCall {
        id: "call_9".to_owned(),
        name: "f".to_owned(),
        arguments: "{\"x\": 1}".to_owned(),
        kind: ToolKind::Function,
    };
    let mut events = vec![begun(), open(0, Opening::Whole(whole.into())), close(0)];
    events.extend(done(Finish::Stop));
    let frames = encode_all(&events, &SHOWN);
    assert!(frames.contains(r#""id":"toolu_km_call_5f9","name":"f","input":{}"#), "{frames}");
    assert!(frames.contains(r#""partial_json":"{\"x\": 1}""#), "{frames}");
    assert!(frames.contains(r#""stop_reason":"tool_use""#), "{frames}");
}

#[test]
fn free_text_arguments_are_wrapped_while_they_stream() {
    let mut events = vec![begun(), call(0, "a", ToolKind::Custom)];
    events.extend([arguments(0, "say \"hi\"\n"), arguments(0, "twice"), close(0)]);
    events.extend(done(Finish::ToolCalls));
    assert_eq!(shown(&events).blocks[0]["input"], json!({"input": "say \"hi\"\ntwice"}));
}

#[test]
fn the_end_is_written_only_for_the_end() {
    let mut events = vec![begun(), open(0, Opening::Text), words(0, "a"), close(0)];
    events.push(Event::Finish { choice: 0, finish: Finish::Stop, stop_sequence: None });
    let frames = encode_all(&events, &SHOWN);
    assert!(!frames.contains("message_delta") && !frames.contains("message_stop"), "{frames}");
    events.push(Event::Error(ApiError {
        class: ErrorClass::Server,
        status: 502,
        message: "broken".to_owned(),
        kind: None,
        code: None,
        param: None,
    }));
    events.push(Event::End);
    let frames = encode_all(&events, &SHOWN);
    assert!(frames.contains("event: error") && !frames.contains("message_stop"), "{frames}");
}

#[test]
fn a_refusal_in_words_is_shown_and_named() {
    let mut events = vec![begun(), open(0, Opening::Refusal), words(0, "No."), close(0)];
    events.extend(done(Finish::Stop));
    let facts = shown(&events);
    assert_eq!(
        (facts.blocks[0]["text"].as_str(), facts.stop_reason),
        (Some("No."), json!("refusal"))
    );
}

#[test]
fn sealed_thinking_comes_whole_in_its_start() {
    let thought = Thought { redacted: Some(Sealed::claudes("xyz")), ..Thought::default() };
    let mut events =
        vec![begun(), open(0, Opening::Whole(Content::Reasoning(thought).into())), close(0)];
    events.extend(done(Finish::Stop));
    assert_eq!(shown(&events).blocks, [json!({"type":"redacted_thinking","data":"xyz"})]);
}

#[test]
fn too_much_that_waits_is_an_error_not_memory() {
    let mut events =
        vec![begun(), call(0, "a", ToolKind::Function), call(1, "b", ToolKind::Function)];
    events.extend((0..40).map(|_| arguments(1, &"x".repeat(1 << 20))));
    events.extend(done(Finish::ToolCalls));
    let frames = encode_all(&events, &SHOWN);
    assert!(frames.len() < 4_000 && frames.contains("event: error"), "{}", frames.len());
}
