//! What holds for every message that Anthropic's format can say.

use crate::anthropic_recordings::{SHOWN, recordings};
use crate::anthropic_stream::{decode_all, encode_all};
use crate::facts_anthropic::{events_of, of_body, of_events};
use dialect::anthropic_messages::{self, request, response};
use dialect::fold::Fold;
use dialect::model::{
    CacheHint, Choice, Content, Delta, Event, Finish, Media, Opening, Part, Request, Response,
    Role, Sampling, Sealed, Thought, Tool, ToolChoice, ToolKind, Turn,
};
use dialect::{Dropped, Json, Target, Usage};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn words() -> impl Strategy<Value = String> {
    // The last character keeps it from being blank or ending in white space.
    "[ -~\\n\u{e4}\u{6f22}]{0,12}[a-z\"\\\\]"
}

fn object() -> impl Strategy<Value = String> {
    (words(), any::<i32>()).prop_map(|(key, number)| {
        let key = serde_json::to_string(&key).unwrap();
        format!("{{{key}: {number}.50}}")
    })
}

fn cache() -> impl Strategy<Value = Option<CacheHint>> {
    option::of(option::of(prop_oneof!["5m", "1h"]).prop_map(|ttl| CacheHint { ttl }))
}

fn media() -> impl Strategy<Value = Media> {
    prop_oneof![
        "[A-Z]{4,8}".prop_map(|data| Media::Base64 { media_type: "image/png".to_owned(), data }),
        words().prop_map(Media::Url),
        words().prop_map(Media::FileId),
    ]
}

fn leaf() -> impl Strategy<Value = Content> {
    prop_oneof![
        words().prop_map(|text| Content::Text { text, citations: Vec::new() }),
        media().prop_map(|source| Content::Image { source, detail: None }),
        (
            words().prop_map(Media::Text),
            option::of(words()),
            option::of(words()),
            any::<Option<bool>>()
        )
            .prop_map(|(source, title, context, citations)| Content::Document {
                source,
                title,
                context,
                citations
            }),
    ]
}

fn part(content: impl Strategy<Value = Content>) -> impl Strategy<Value = Part> {
    (content, cache()).prop_map(|(content, cache)| Part { cache, ..Part::from(content) })
}

fn thought() -> impl Strategy<Value = Content> {
    prop_oneof![
        (option::of(words()), words()).prop_map(|(text, signature)| Thought {
            text,
            signature: Some(Sealed::claudes(signature)),
            redacted: None
        }),
        words().prop_map(|data| Thought {
            redacted: Some(Sealed::claudes(data)),
            ..Thought::default()
        }),
    ]
    .prop_map(Content::Reasoning)
}

fn call() -> impl Strategy<Value = (String, String)> {
    (words(), object())
}

/// An assistant's turn, and the user's turn that answers its calls.
fn exchange() -> impl Strategy<Value = Vec<Turn>> {
    let result = (vec(part(leaf()), 0..3), any::<bool>());
    (
        vec(thought().prop_map(Part::from), 0..2),
        vec(part(leaf()), 0..2),
        vec((call(), result), 0..3),
        vec(part(leaf()), 1..3),
    )
        .prop_map(|(thoughts, said, calls, asked)| {
            let mut answer = thoughts;
            answer.extend(said.into_iter().filter(|p| matches!(p.content, Content::Text { .. })));
            let mut question = Vec::new();
            for (at, ((id, arguments), (parts, is_error))) in calls.into_iter().enumerate() {
                let id = format!("{id}{at}");
                let (name, kind) = ("f".to_owned(), ToolKind::Function);
                answer.push(Content::ToolCall { id: id.clone(), name, arguments, kind }.into());
                question.push(Content::ToolResult { id, parts, is_error }.into());
            }
            if answer.is_empty() {
                answer.push(Content::Text { text: "ok".to_owned(), citations: Vec::new() }.into());
            }
            question.extend(asked);
            let turn = |role, parts| Turn { role, name: None, parts };
            vec![turn(Role::Assistant, answer), turn(Role::User, question)]
        })
}

fn tool() -> impl Strategy<Value = Tool> {
    (words(), option::of(words()), any::<Option<bool>>(), cache()).prop_map(
        |(name, description, strict, cache)| {
            let parameters = Json::parse(
                r#"{"type": "object", "properties": {}, "additionalProperties": false}"#.to_owned(),
            )
            .ok();
            Tool::Function { name, description, parameters, strict, cache, extensions: Vec::new() }
        },
    )
}

fn conversation() -> impl Strategy<Value = Request> {
    let choice = option::of(prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::Required),
        words().prop_map(ToolChoice::Named)
    ]);
    (
        vec(part(words().prop_map(|text| Content::Text { text, citations: Vec::new() })), 0..3),
        vec(part(leaf()), 1..3),
        vec(exchange(), 0..3),
        (vec(tool(), 1..3), choice, any::<bool>()),
        (1..100_000_u64, vec(words(), 0..3), any::<bool>(), option::of(words()), cache()),
        (option::of((0..=100_u8).prop_map(|n| f64::from(n) / 100.0)), option::of(1..500_u64)),
    )
        .prop_map(|(system, first, exchanges, tools, rest, sampling)| {
            let mut turns = vec![Turn { role: Role::User, name: None, parts: first }];
            turns.extend(exchanges.into_iter().flatten());
            let (tools, tool_choice, serial) = tools;
            let (max, stop, stream, user, cache) = rest;
            Request {
                model: "claude".to_owned(),
                system,
                turns,
                tools,
                parallel_tool_calls: (serial && tool_choice.is_some()).then_some(false),
                tool_choice,
                max_output_tokens: Some(max),
                stop,
                stream,
                include_usage: true,
                user,
                cache,
                sampling: Sampling {
                    temperature: sampling.0.and_then(serde_json::Number::from_f64),
                    top_k: sampling.1,
                    ..Sampling::default()
                },
                ..Request::default()
            }
        })
}

fn finish() -> impl Strategy<Value = Finish> {
    prop_oneof![
        Just(Finish::Length),
        Just(Finish::ContextWindow),
        Just(Finish::ToolCalls),
        Just(Finish::Refusal),
        Just(Finish::Pause),
        "[a-z]{3}_x".prop_map(Finish::Other),
    ]
}

fn answer() -> impl Strategy<Value = Response> {
    let said = prop_oneof![
        words().prop_map(|text| Content::Text { text, citations: Vec::new() }),
        thought(),
        call().prop_map(|(id, arguments)| Content::ToolCall {
            id,
            name: "f".to_owned(),
            arguments,
            kind: ToolKind::Function
        }),
    ];
    let figures = (0..1_000_u64, 0..1_000_u64, 0..1_000_u64, 0..1_000_u64, 0..1_000_u64, 0..5_u64);
    (vec(said.prop_map(Part::from), 0..5), finish(), figures, "[a-z]{0,9}").prop_map(
        |(
            parts,
            finish,
            (fresh, cache_read, cache_write_5m, cache_write_1h, output, searches),
            id,
        )| Response {
            id: format!("msg_{id}"),
            model: "claude".to_owned(),
            choices: vec![Choice {
                parts,
                finish: Some(finish),
                stop_sequence: None,
                extensions: Vec::new(),
            }],
            usage: Some(Usage {
                input: fresh + cache_read + cache_write_5m + cache_write_1h,
                cache_read,
                cache_write_5m,
                cache_write_1h,
                output,
                searches,
                ..Usage::default()
            }),
            ..Response::default()
        },
    )
}

/// The answer as a stream that opens a part, says it in pieces and closes it.
fn streamed(answer: &Response, cut: usize) -> Vec<Event> {
    let mut events = vec![Event::Start {
        id: answer.id.clone(),
        model: answer.model.clone(),
        created_unix_s: None,
        usage: None,
    }];
    let choice = &answer.choices[0];
    for (part, said) in choice.parts.iter().enumerate() {
        let part = part as u32;
        let mut deltas = Vec::new();
        let pieces = |text: &str| -> Vec<String> {
            let letters: Vec<char> = text.chars().collect();
            letters.chunks(cut).map(|piece| piece.iter().collect()).collect()
        };
        let opening = match &said.content {
            Content::Text { text, .. } => {
                deltas.extend(pieces(text).into_iter().map(Delta::Text));
                Opening::Text
            }
            Content::ToolCall { id, name, arguments, kind } => {
                deltas.extend(pieces(arguments).into_iter().map(Delta::Arguments));
                Opening::ToolCall {
                    id: id.clone(),
                    name: name.clone(),
                    kind: *kind,
                    signature: None,
                    extensions: said.extensions.clone(),
                }
            }
            Content::Reasoning(Thought { text, signature: Some(signature), .. }) => {
                deltas.extend(
                    pieces(text.as_deref().unwrap_or_default()).into_iter().map(Delta::Text),
                );
                deltas.push(Delta::Signature(signature.clone()));
                Opening::Reasoning
            }
            _ => Opening::Whole(said.clone()),
        };
        events.push(Event::Open { choice: 0, part, opening });
        events.extend(deltas.into_iter().map(|delta| Event::Delta { choice: 0, part, delta }));
        events.push(Event::Close { choice: 0, part });
    }
    let finish = choice.finish.clone().unwrap();
    events.push(Event::Finish { choice: 0, finish, stop_sequence: None });
    events.push(Event::Usage(answer.usage.unwrap()));
    events.push(Event::End);
    events
}

/// The stream without usage, which comes once more on Anthropic's wire, and
/// with neighbouring pieces joined.
fn essence(events: &[Event]) -> Vec<Event> {
    let mut joined: Vec<Event> = Vec::new();
    for event in events {
        match (joined.last_mut(), event) {
            (
                Some(Event::Delta { delta: Delta::Text(before), part: at, .. }),
                Event::Delta { delta: Delta::Text(more), part, .. },
            )
            | (
                Some(Event::Delta { delta: Delta::Arguments(before), part: at, .. }),
                Event::Delta { delta: Delta::Arguments(more), part, .. },
            ) if at == part => before.push_str(more),
            (_, Event::Start { id, model, .. }) => joined.push(Event::Start {
                id: id.clone(),
                model: model.clone(),
                created_unix_s: None,
                usage: None,
            }),
            (_, Event::Usage(_)) => {}
            (_, event) => joined.push(event.clone()),
        }
    }
    joined
}

fn target() -> Target<'static> {
    Target { model: "claude", native_json_schema: true, ..Target::default() }
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was(request in conversation()) {
        let written = request::encode(&request, &target(), &mut Dropped::default()).unwrap();
        prop_assert_eq!(request::decode(&written).unwrap(), request);
    }

    #[test]
    fn an_answer_comes_back_as_it_was(answer in answer()) {
        let written = response::encode(&answer, &SHOWN);
        prop_assert_eq!(response::decode(&written).unwrap(), answer);
    }

    #[test]
    fn a_stream_comes_back_as_it_was_and_says_what_the_answer_says(answer in answer(), cut in 1..9_usize) {
        let events = streamed(&answer, cut);
        let frames = encode_all(&events, &SHOWN);
        let data: Vec<_> = events_of(&frames).into_iter().map(|(_, data)| data).collect();
        let mut unary = of_body(&serde_json::from_slice(&response::encode(&answer, &SHOWN)).unwrap());
        unary.last = "message_stop".to_owned();
        prop_assert_eq!(of_events(&data), unary);

        let decoded = decode_all(frames.lines().filter_map(|line| line.strip_prefix("data: ")));
        prop_assert_eq!(essence(&decoded), essence(&events));
        let usage = decoded.iter().rev().find_map(|e| if let Event::Usage(u) = e { Some(*u) } else { None });
        prop_assert_eq!(usage, answer.usage);

        let mut fold = Fold::new();
        for event in &decoded {
            fold.push(event);
        }
        prop_assert!(fold.is_complete());
        prop_assert_eq!(fold.finish(), answer);
    }

    #[test]
    fn no_bytes_panic(data in vec(any::<u8>(), 0..200)) {
        anthropic_messages::fuzz(&data);
    }

    #[test]
    fn no_json_panics(text in "[\\[{\":,}\\]0-9a-z]{0,80}") {
        anthropic_messages::fuzz(text.as_bytes());
    }

    #[test]
    fn no_sequence_of_events_breaks_the_clients_grammar(
        events in vec((0..4_u32, 0..7_u8, words()), 0..40), ended in any::<bool>()
    ) {
        let mut events: Vec<Event> = events.into_iter().map(|(part, kind, text)| match kind {
            0 => Event::Open { choice: 0, part, opening: Opening::Text },
            1 => Event::Open { choice: 0, part, opening: Opening::Reasoning },
            2 | 3 => Event::Open { choice: 0, part, opening: Opening::ToolCall {
                id: text, name: "f".to_owned(), kind: ToolKind::Custom, signature: None,
                extensions: Vec::new() } },
            4 => Event::Close { choice: 0, part },
            _ => Event::Delta { choice: 0, part, delta: Delta::Arguments(text) },
        }).collect();
        if ended {
            events.push(Event::End);
        }
        let frames: Vec<_> = events_of(&encode_all(&events, &SHOWN)).into_iter().map(|(_, data)| data).collect();
        // Text blocks are sent arguments here, which the gathering accepts as
        // input; only the order of events is at stake.
        if let Some(last) = frames.last() {
            let facts = of_events(frames.iter().filter(|f| f["delta"]["type"] != "input_json_delta"));
            prop_assert_eq!(facts.last == "message_stop", ended);
            prop_assert_eq!(last["type"] == "message_stop", ended);
        }
    }
}

#[test]
fn no_mutated_recording_panics() {
    for (_, recording) in recordings() {
        for side in ["request", "response"] {
            let text = match &recording[side] {
                side if side["raw"].is_string() => side["raw"].as_str().unwrap().to_owned(),
                side => side["body"].to_string(),
            };
            let step = (text.len() / 60).max(1);
            for at in (0..text.len()).step_by(step) {
                let mut bytes = text.clone().into_bytes();
                bytes.truncate(at);
                anthropic_messages::fuzz(&bytes);
                let mut bytes = text.clone().into_bytes();
                for (offset, byte) in b"\"}[0".iter().enumerate() {
                    bytes[at] = *byte;
                    let far = (at + offset * 7) % bytes.len();
                    bytes.swap(at, far);
                    anthropic_messages::fuzz(&bytes);
                }
            }
        }
    }
}

#[test]
fn deep_nesting_overflows_no_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
    for deep in [deep, objects] {
        let tool = format!(r#"{{"name":"f","input_schema":{deep}}}"#);
        let results = r#"{"type":"tool_result","tool_use_id":"a","content":["#.repeat(50_000);
        let results = format!("{results}{}", "]}".repeat(50_000));
        anthropic_messages::fuzz(deep.as_bytes());
        anthropic_messages::fuzz(
            format!(r#"{{"model":"m","messages":[{{"role":"user","content":[{results}]}}],"tools":[{tool}],"x":{deep}}}"#)
                .as_bytes(),
        );
    }
}
