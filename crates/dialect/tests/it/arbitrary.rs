//! Strategies for the neutral model: what OpenAI chat can say of it. The
//! smaller ones are building blocks for other dialects' subsets.

use dialect::{
    Dialect, Json, Usage,
    model::{
        CacheHint, Choice, Citation, Content, Delta, Event, Extension, Finish, Media, Opening,
        OutputFormat, Part, Places, Reasoning, Request, Response, Role, Sampling, Sealed, Thought,
        Tool, ToolChoice, ToolKind, Turn,
    },
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Number;

/// Words, never empty, with what breaks careless encoders.
pub(crate) fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,12}",
        "\\PC{1,8}",
        Just("\u{1F600}\"\\\n\u{2028}".to_owned()),
        Just("data: [DONE]\n\n".to_owned()),
    ]
}

/// A name that every dialect allows for a tool.
pub(crate) fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_-]{0,10}"
}

/// An id that every dialect allows for a tool call.
pub(crate) fn call_id() -> impl Strategy<Value = String> {
    "call_[a-zA-Z0-9]{4,10}"
}

/// A JSON object whose spelling must survive.
pub(crate) fn json_object() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(r#"{"z":1,"a":2.50}"#.to_owned()),
        Just(r#"{"type":"object","properties":{"n":{"maximum":18446744073709551616}}}"#.to_owned()),
        words().prop_map(|text| serde_json::json!({ "q": text }).to_string()),
    ]
}

/// A JSON object, as the model carries it.
pub(crate) fn json() -> impl Strategy<Value = Json> {
    json_object().prop_map(|text| Json::parse(text).unwrap())
}

/// Words as a part.
pub(crate) fn text_part() -> impl Strategy<Value = Part> {
    words().prop_map(|text| Content::Text { text, citations: Vec::new() }.into())
}

/// A cache hint.
pub(crate) fn cache() -> impl Strategy<Value = Option<CacheHint>> {
    let ttl = prop_oneof![Just(None), Just(Some("5m".to_owned())), Just(Some("1h".to_owned()))];
    of(ttl.prop_map(|ttl| CacheHint { ttl }))
}

/// A picture, in place or linked.
pub(crate) fn image() -> impl Strategy<Value = Part> {
    let source = prop_oneof![
        "[A-Z]{4,16}".prop_map(|data| Media::Base64 { media_type: "image/png".to_owned(), data }),
        "[a-z]{1,8}".prop_map(|path| Media::Url(format!("https://example.com/{path}.png"))),
    ];
    source.prop_map(|source| Content::Image { source, detail: None }.into())
}

fn document() -> impl Strategy<Value = Part> {
    let source = prop_oneof![
        "[A-Z]{4,16}"
            .prop_map(|data| Media::Base64 { media_type: "application/pdf".to_owned(), data }),
        "file-[a-z]{4}".prop_map(Media::FileId),
    ];
    (source, name()).prop_map(|(source, title)| {
        let title = Some(title);
        Content::Document { source, title, context: None, citations: None }.into()
    })
}

fn audio() -> impl Strategy<Value = Part> {
    "[A-Z]{4,8}".prop_map(|data| Content::Audio { data, format: "mp3".to_owned() }.into())
}

/// A function call.
pub(crate) fn tool_call() -> impl Strategy<Value = Part> {
    (call_id(), name(), json_object()).prop_map(|(id, name, arguments)| {
        Content::ToolCall { id, name, arguments, kind: ToolKind::Function }.into()
    })
}

/// A call of Gemini's, with its signature beside it.
fn signed_call() -> impl Strategy<Value = Part> {
    (tool_call(), words())
        .prop_map(|(part, signature)| Part { signature: Some(Sealed::googles(signature)), ..part })
}

fn custom_call() -> impl Strategy<Value = Part> {
    (call_id(), name(), words()).prop_map(|(id, name, arguments)| {
        Content::ToolCall { id, name, arguments, kind: ToolKind::Custom }.into()
    })
}

/// An extension of OpenAI chat.
pub(crate) fn extension(name: &str, value: &str) -> Extension {
    let value = Json::parse(value.to_owned()).unwrap();
    Extension::new(Dialect::OpenAiChat, name, value)
}

fn user_turn() -> impl Strategy<Value = Turn> {
    let part = prop_oneof![4 => text_part(), 1 => image(), 1 => document(), 1 => audio()];
    let part = (part, cache()).prop_map(|(part, cache)| Part { cache, ..part });
    (of(name()), vec(part, 1..4)).prop_map(|(name, parts)| Turn { role: Role::User, name, parts })
}

fn replayed_thought() -> impl Strategy<Value = Part> {
    (words(), prop_oneof![Just("reasoning_content"), Just("reasoning")]).prop_map(
        |(text, field)| {
            let raw = serde_json::to_string(&text).unwrap();
            let thought = Thought { text: Some(text), ..Thought::default() };
            let extensions = vec![extension(field, &raw)];
            Part { extensions, ..Part::from(Content::Reasoning(thought)) }
        },
    )
}

/// A model's turn, and the results of what it called.
fn exchange() -> impl Strategy<Value = Vec<Turn>> {
    let calls = vec(prop_oneof![3 => tool_call(), 1 => signed_call(), 1 => custom_call()], 0..3);
    (of(replayed_thought()), of(text_part()), calls, words()).prop_map(
        |(thought, text, calls, result)| {
            let results: Vec<Part> = calls.iter().map(|call| tool_result(call, &result)).collect();
            let mut parts: Vec<Part> = thought.into_iter().chain(text).chain(calls).collect();
            if parts.is_empty() {
                parts.push(Content::Refusal(result).into());
            }
            let mut turns = vec![Turn { role: Role::Assistant, name: None, parts }];
            if !results.is_empty() {
                turns.push(Turn { role: Role::User, name: None, parts: results });
            }
            turns
        },
    )
}

fn tool_result(call: &Part, text: &str) -> Part {
    let Content::ToolCall { id, .. } = &call.content else { panic!("not a call") };
    let text = Content::Text { text: text.to_owned(), citations: Vec::new() };
    let content = Content::ToolResult { id: id.clone(), parts: vec![text.into()], is_error: false };
    content.into()
}

fn late_system() -> impl Strategy<Value = Turn> {
    text_part().prop_map(|part| Turn { role: Role::System, name: None, parts: vec![part] })
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let one = prop_oneof![
        3 => exchange(),
        2 => user_turn().prop_map(|turn| vec![turn]),
        1 => late_system().prop_map(|turn| vec![turn]),
    ];
    // A user first, so that a system turn is not taken for instructions.
    (user_turn(), vec(one, 0..4)).prop_map(|(first, rest)| {
        std::iter::once(first).chain(rest.into_iter().flatten()).collect()
    })
}

/// A function tool.
pub(crate) fn tool() -> impl Strategy<Value = Tool> {
    (name(), of(words()), of(json()), of(any::<bool>()), cache()).prop_map(
        |(name, description, parameters, strict, cache)| Tool::Function {
            name,
            description,
            parameters,
            strict,
            cache,
            extensions: Vec::new(),
        },
    )
}

fn tool_choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
        (any::<bool>(), prop::collection::vec(name(), 1..3))
            .prop_map(|(required, names)| ToolChoice::Allowed { required, names }),
        Just(ToolChoice::Opaque(extension("tool_choice", r#"{"type":"allowed_tools"}"#))),
    ]
}

fn output_format() -> impl Strategy<Value = OutputFormat> {
    prop_oneof![
        Just(OutputFormat::Text),
        Just(OutputFormat::JsonObject),
        (name(), json(), of(any::<bool>())).prop_map(|(name, schema, strict)| {
            OutputFormat::JsonSchema { name: Some(name), description: None, schema, strict }
        }),
    ]
}

/// A number as clients write it.
pub(crate) fn number() -> impl Strategy<Value = Number> {
    prop_oneof![
        (0_u64..3).prop_map(Number::from),
        (0_u32..20).prop_map(|tenths| Number::from_f64(f64::from(tenths) / 10.0).unwrap()),
    ]
}

fn sampling() -> impl Strategy<Value = Sampling> {
    (of(number()), of(number()), of(1_u64..100), of(any::<u64>()), of(number()), of(1_u64..4))
        .prop_map(|(temperature, top_p, top_k, seed, penalty, n)| Sampling {
            temperature,
            top_p,
            top_k,
            seed: seed.map(Number::from),
            presence_penalty: penalty.clone(),
            frequency_penalty: penalty,
            n,
            logprobs: n.map(|n| n > 1),
            top_logprobs: n,
            logit_bias: n.map(|_| Json::parse(r#"{"50256":-100}"#.to_owned()).unwrap()),
        })
}

/// What an OpenAI chat request can say.
pub(crate) fn openai_request() -> impl Strategy<Value = Request> {
    let tools = (vec(tool(), 0..3), of(tool_choice()), of(any::<bool>()));
    let effort = of(prop_oneof![Just("low".to_owned()), Just("high".to_owned())]);
    let output = (of(output_format()), effort, of(1_u64..100_000), vec(words(), 0..3));
    let system = vec((text_part(), cache()), 0..3);
    (turns(), tools, sampling(), output, system, any::<bool>(), of(name())).prop_map(
        |(turns, tools, sampling, output, system, stream, user)| {
            let system = system.into_iter().map(|(part, cache)| Part { cache, ..part }).collect();
            let some_tools = !tools.0.is_empty();
            Request {
                places: Places::default(),
                model: "m".to_owned(),
                system,
                turns,
                tools: tools.0,
                tool_choice: tools.1.filter(|_| some_tools),
                parallel_tool_calls: tools.2.filter(|_| some_tools),
                output_format: output.0,
                reasoning: output
                    .1
                    .map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }),
                sampling,
                max_output_tokens: output.2,
                stop: output.3,
                stream,
                include_usage: stream,
                service_tier: user.clone().map(|_| "flex".to_owned()),
                cache: None,
                extensions: user.iter().map(|_| extension("store", "true")).collect(),
                user,
            }
        },
    )
}

/// Consumption that adds up.
pub(crate) fn usage() -> impl Strategy<Value = Usage> {
    let part = 0_u64..1000;
    (part.clone(), part.clone(), part.clone(), part.clone(), part.clone(), part).prop_map(
        |(fresh, read, write_5m, write_1h, words, reasoning)| Usage {
            input: fresh + read + write_5m + write_1h,
            cache_read: read,
            cache_write_5m: write_5m,
            cache_write_1h: write_1h,
            output: words + reasoning,
            reasoning,
            ..Usage::default()
        },
    )
}

fn thoughts() -> impl Strategy<Value = Vec<Part>> {
    let thought = |text, signature: Option<String>, redacted: Option<String>| Thought {
        text,
        signature: signature.map(Sealed::claudes),
        redacted: redacted.map(Sealed::claudes),
    };
    let signed = prop_oneof![
        (words(), words()).prop_map(move |(text, by)| thought(Some(text), Some(by), None)),
        words().prop_map(move |data| thought(None, None, Some(data))),
    ];
    prop_oneof![
        of(words()).prop_map(move |text| text
            .into_iter()
            .map(|text| thought(Some(text), None, None))
            .collect::<Vec<_>>()),
        vec(signed, 1..3),
    ]
    .prop_map(|all| all.into_iter().map(|thought| Content::Reasoning(thought).into()).collect())
}

/// Words with up to three sources, as OpenAI chat writes them.
fn cited_part() -> impl Strategy<Value = Part> {
    (words(), vec((words(), 0_u64..9), 0..4)).prop_map(|(text, sources)| {
        let citations = sources.into_iter().map(|(title, start)| {
            let url = "https://example.com".to_owned();
            let inner = serde_json::json!({ "url": url, "title": title, "start_index": start });
            let whole = serde_json::json!({ "type": "url_citation", "url_citation": inner });
            let whole = Json::parse(whole.to_string()).unwrap();
            Citation {
                url: Some(url),
                title: Some(title).filter(|title| !title.is_empty()),
                start: Some(start),
                end: None,
                source: (Dialect::OpenAiChat, whole),
            }
        });
        Content::Text { text, citations: citations.collect() }.into()
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    let finish = prop_oneof![
        Just(Finish::Stop),
        Just(Finish::Length),
        Just(Finish::ContextWindow),
        Just(Finish::ContentFilter),
        Just(Finish::Refusal),
        Just(Finish::Pause),
    ];
    let calls = vec(prop_oneof![3 => tool_call(), 1 => signed_call(), 1 => custom_call()], 0..3);
    (thoughts(), of(cited_part()), calls, finish, of(words())).prop_map(
        |(thoughts, text, calls, finish, stop_sequence)| {
            let called = !calls.is_empty();
            let mut parts = thoughts;
            parts.extend(text);
            parts.extend(calls);
            Choice {
                parts,
                finish: Some(if called { Finish::ToolCalls } else { finish }),
                stop_sequence,
                extensions: Vec::new(),
            }
        },
    )
}

/// What an OpenAI chat answer can say.
pub(crate) fn openai_response() -> impl Strategy<Value = Response> {
    (vec(choice(), 1..3), of(usage()), 1_i64..2_000_000_000).prop_map(
        |(choices, usage, created)| Response {
            id: "chatcmpl-1".to_owned(),
            model: "m-2026".to_owned(),
            created_unix_s: Some(created),
            choices,
            usage,
            service_tier: None,
            extensions: vec![extension("system_fingerprint", "\"fp\"")],
        },
    )
}

/// The stream that spells an answer, in pieces of `piece` characters.
pub(crate) fn streamed(response: &Response, piece: usize) -> Vec<Event> {
    let mut events = vec![Event::Start {
        id: response.id.clone(),
        model: response.model.clone(),
        created_unix_s: response.created_unix_s,
        usage: None,
    }];
    events.extend(response.extensions.iter().cloned().map(Event::Extension));
    for (number, choice) in response.choices.iter().enumerate() {
        let number = number as u32;
        for (at, part) in choice.parts.iter().enumerate() {
            stream_part(number, at as u32, part, piece, &mut events);
        }
        events.push(Event::Finish {
            choice: number,
            finish: choice.finish.clone().unwrap(),
            stop_sequence: choice.stop_sequence.clone(),
        });
    }
    events.extend(response.usage.map(Event::Usage));
    events.push(Event::End);
    events
}

fn stream_part(choice: u32, part: u32, whole: &Part, piece: usize, events: &mut Vec<Event>) {
    let pieces = |text: &str| -> Vec<String> {
        let all: Vec<char> = text.chars().collect();
        all.chunks(piece.max(1)).map(|some| some.iter().collect()).collect()
    };
    let mut deltas: Vec<Delta> = Vec::new();
    let opening = match &whole.content {
        Content::Text { text, citations } => {
            deltas.extend(pieces(text).into_iter().map(Delta::Text));
            deltas.extend(citations.iter().cloned().map(Delta::Citation));
            deltas.extend(whole.signature.clone().map(Delta::Signature));
            Opening::Text
        }
        Content::Refusal(text) => {
            deltas.extend(pieces(text).into_iter().map(Delta::Text));
            Opening::Refusal
        }
        Content::Reasoning(thought) if thought.redacted.is_none() => {
            let text = thought.text.clone().unwrap_or_default();
            deltas.extend(pieces(&text).into_iter().map(Delta::Text));
            deltas.extend(thought.signature.clone().map(Delta::Signature));
            Opening::Reasoning
        }
        Content::ToolCall { id, name, arguments, kind } => {
            deltas.extend(pieces(arguments).into_iter().map(Delta::Arguments));
            Opening::ToolCall {
                id: id.clone(),
                name: name.clone(),
                kind: *kind,
                signature: whole.signature.clone(),
                extensions: whole.extensions.clone(),
            }
        }
        _ => Opening::Whole(whole.clone()),
    };
    events.push(Event::Open { choice, part, opening });
    events.extend(deltas.into_iter().map(|delta| Event::Delta { choice, part, delta }));
    events.push(Event::Close { choice, part });
}
