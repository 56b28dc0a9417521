//! What must hold for whatever the neutral model says in Google's format.

use crate::arbitrary::{call_id, image, json, json_object, name, number, streamed, tool, usage};
use crate::wire;
use dialect::fold::Fold;
use dialect::gemini::{self, request, response, stream};
use dialect::model::{
    Choice, Content, Event, Finish, Media, OutputFormat, Part, Reasoning, ReasoningMode, Request,
    Response, Role, Sampling, Sealed, Thought, Tool, ToolChoice, ToolKind, Turn,
};
use dialect::tap::Tap;
use dialect::{Dialect, Dropped, Shown, Surface, Target, sse};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

const SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "r-0", created_unix_s: 1, include_usage: true };

/// Words that are not blank: those stay behind.
fn words() -> impl Strategy<Value = String> {
    crate::arbitrary::words().prop_filter("says something", |text| !text.trim().is_empty())
}

fn text_part() -> impl Strategy<Value = Part> {
    words().prop_map(|text| Content::Text { text, citations: Vec::new() }.into())
}

fn seal() -> impl Strategy<Value = Option<Sealed>> {
    of("[A-Za-z0-9+/]{4,12}".prop_map(Sealed::googles))
}

fn call() -> impl Strategy<Value = Part> {
    (call_id(), name(), json_object(), seal()).prop_map(|(id, name, arguments, signature)| {
        let content = Content::ToolCall { id, name, arguments, kind: ToolKind::Function };
        Part { signature, ..content.into() }
    })
}

fn thought() -> impl Strategy<Value = Part> {
    (words(), "[A-Za-z0-9+/]{4,12}").prop_map(|(text, by)| {
        let signature = Some(Sealed::googles(by));
        Content::Reasoning(Thought { text: Some(text), signature, redacted: None }).into()
    })
}

fn user_turn() -> impl Strategy<Value = Turn> {
    let sound =
        "[A-Z]{4}".prop_map(|data| Part::from(Content::Audio { data, format: "mp3".to_owned() }));
    let paper = "[A-Z]{4,16}".prop_map(|data| {
        let source = Media::Base64 { media_type: "application/pdf".to_owned(), data };
        Part::from(Content::Document { source, title: None, context: None, citations: None })
    });
    let picture = image().prop_filter("a link has a type", |part| {
        matches!(&part.content, Content::Image { source: Media::Base64 { .. }, .. })
    });
    let part = prop_oneof![4 => text_part(), 1 => picture, 1 => sound, 1 => paper];
    vec(part, 1..4).prop_map(|parts| Turn { role: Role::User, name: None, parts })
}

/// A model's turn, and the results of what it called with more words after them.
fn exchange() -> impl Strategy<Value = Vec<Turn>> {
    (of(thought()), of(text_part()), vec(call(), 0..3), words(), any::<bool>()).prop_map(
        |(thought, text, calls, words, is_error)| {
            let results: Vec<Part> = calls
                .iter()
                .map(|call| {
                    let Content::ToolCall { id, .. } = &call.content else { panic!() };
                    let parts =
                        vec![Content::Text { text: words.clone(), citations: Vec::new() }.into()];
                    Content::ToolResult { id: id.clone(), parts, is_error }.into()
                })
                .collect();
            let mut parts: Vec<Part> = thought.into_iter().chain(text).chain(calls).collect();
            let next = Content::Text { text: words, citations: Vec::new() };
            if parts.is_empty() {
                parts.push(next.clone().into());
            }
            let after = results.into_iter().chain([next.into()]).collect();
            vec![
                Turn { role: Role::Assistant, name: None, parts },
                Turn { role: Role::User, name: None, parts: after },
            ]
        },
    )
}

fn unique_ids(turns: &[Turn]) -> bool {
    let calls = turns.iter().flat_map(|turn| &turn.parts).filter_map(|part| match &part.content {
        Content::ToolCall { id, .. } => Some(id),
        _ => None,
    });
    let all: Vec<_> = calls.collect();
    all.iter().collect::<std::collections::HashSet<_>>().len() == all.len()
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
        (any::<bool>(), vec(name(), 2..4))
            .prop_map(|(required, names)| ToolChoice::Allowed { required, names }),
    ]
}

fn format() -> impl Strategy<Value = OutputFormat> {
    let (name, description, strict) = (None, None, None);
    prop_oneof![
        Just(OutputFormat::JsonObject),
        json().prop_map(move |schema| OutputFormat::JsonSchema {
            name: name.clone(),
            description: description.clone(),
            schema,
            strict
        }),
    ]
}

fn asked() -> impl Strategy<Value = Request> {
    let sampling = (of(number()), of(number()), of(1_u64..100), of(any::<u32>()), of(1_u64..4));
    let plain = tool().prop_map(|mut tool| {
        if let Tool::Function { strict, cache, parameters, .. } = &mut tool {
            (*strict, *cache) = (None, None);
            // What takes nothing is not said.
            *parameters = parameters.take().filter(|schema| schema.text().contains("maximum"));
        }
        tool
    });
    let reasoning = prop_oneof![
        (1_u64..9_999).prop_map(|tokens| Reasoning {
            budget_tokens: Some(tokens),
            mode: Some(ReasoningMode::Enabled),
            effort: None,
        }),
        Just(Reasoning { mode: Some(ReasoningMode::Disabled), ..Reasoning::default() }),
        Just(Reasoning { mode: Some(ReasoningMode::Adaptive), ..Reasoning::default() }),
    ];
    let output = (of(format()), of(reasoning), of(1_u64..100_000), vec(words(), 0..3));
    let turns = (user_turn(), vec(exchange(), 0..3));
    (turns, vec(plain, 0..3), of(choice()), sampling, output, vec(text_part(), 0..3))
        .prop_map(|((first, rest), tools, choice, sampling, output, system)| Request {
            system,
            turns: std::iter::once(first).chain(rest.into_iter().flatten()).collect(),
            tool_choice: choice.filter(|_| !tools.is_empty()),
            tools,
            output_format: output.0,
            reasoning: output.1,
            max_output_tokens: output.2,
            stop: output.3,
            sampling: Sampling {
                temperature: sampling.0,
                top_p: sampling.1,
                top_k: sampling.2,
                seed: sampling.3.map(serde_json::Number::from),
                n: sampling.4,
                logprobs: sampling.4.map(|n| n > 1),
                top_logprobs: sampling.4,
                ..Sampling::default()
            },
            include_usage: true,
            ..Request::default()
        })
        .prop_filter("calls have ids of their own", |request| unique_ids(&request.turns))
}

fn answered() -> impl Strategy<Value = Response> {
    let finish = prop_oneof![Just(Finish::Stop), Just(Finish::Length), Just(Finish::ContentFilter)];
    let signed = "[A-Za-z0-9+/]{4,12}".prop_map(|by| {
        let text = Content::Text { text: String::new(), citations: Vec::new() };
        Part { signature: Some(Sealed::googles(by)), ..text.into() }
    });
    let choice = (of(thought()), of(text_part()), vec(call(), 0..3), of(signed), finish).prop_map(
        |(thought, text, calls, signed, finish)| {
            let called = !calls.is_empty() && finish == Finish::Stop;
            let parts = thought.into_iter().chain(text).chain(calls).chain(signed).collect();
            let finish = Some(if called { Finish::ToolCalls } else { finish });
            Choice { parts, finish, stop_sequence: None, extensions: Vec::new() }
        },
    );
    (vec(choice, 1..3), usage()).prop_map(|(choices, usage)| {
        let input = usage.input + 1;
        let usage = dialect::Usage { input, cache_write_5m: 0, cache_write_1h: 0, ..usage };
        Response {
            id: "r-1".to_owned(),
            model: "gemini-x".to_owned(),
            choices,
            usage: Some(usage),
            ..Response::default()
        }
    })
}

fn through_bytes(events: &[Event]) -> (Vec<Event>, Vec<u8>) {
    let mut encoder = stream::Encoder::new(&SHOWN);
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    let mut decoder = stream::Decoder::default();
    let mut read = Vec::new();
    wire::events(std::str::from_utf8(&out).unwrap(), |event| {
        decoder.push(event, &mut read).unwrap();
    });
    decoder.finish(&mut read);
    (read, out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_request_survives_the_wire(asked in asked()) {
        let target = Target { model: "m", ..Target::default() };
        let bytes = request::encode(&asked, &target, &mut Dropped::default()).unwrap();
        let mut read = request::decode(&bytes).unwrap();
        // Whoever asks for thinking in the model's words sees it.
        read.extensions.retain(|e| !e.name.ends_with("includeThoughts"));
        prop_assert_eq!(read, asked);
    }

    #[test]
    fn an_answer_survives_the_wire(answer in answered()) {
        let bytes = response::encode(&answer, &SHOWN);
        prop_assert_eq!(&response::decode(&bytes).unwrap(), &answer);
        let observed = Tap::unary(Surface::GeminiGenerate, &bytes);
        prop_assert_eq!(observed.usage, answer.usage);
    }

    #[test]
    fn a_stream_folded_is_the_answer(answer in answered(), piece in 1_usize..9) {
        let events = streamed(&answer, piece);
        let (read, bytes) = through_bytes(&events);
        crate::openai_stream::assert_grammar("property", &read);
        let mut fold = Fold::new();
        for event in &read { fold.push(event); }
        prop_assert!(fold.is_complete());
        prop_assert_eq!(fold.finish(), answer.clone());
        let mut tap = Tap::new(Surface::GeminiStream);
        let mut framer = sse::Framer::new();
        for frame in framer.push(&bytes::Bytes::from(bytes)) { tap.observe(&frame.bytes); }
        prop_assert!(tap.complete());
        prop_assert_eq!(tap.observed().usage, answer.usage);
    }

    /// A signature goes with its call through an answer and a later request.
    #[test]
    fn signatures_survive_a_turn_with_clients_of_other_formats(call in call()) {
        let parts = vec![call];
        for surface in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
            let finish = Some(Finish::ToolCalls);
            let choice = Choice { parts: parts.clone(), finish, ..Choice::default() };
            let answer = Response { id: "r".into(), choices: vec![choice], ..Response::default() };
            let whole = surface.encode_response(&answer, &SHOWN);
            let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            let said = match surface {
                Dialect::OpenAiChat => whole["choices"][0]["message"].clone(),
                _ => serde_json::json!({"role": "assistant", "content": whole["content"]}),
            };
            let body = serde_json::json!({"model": "m", "max_tokens": 9, "messages": [
                {"role": "user", "content": "q"}, said]});
            let asked = surface.decode_request(body.to_string().as_bytes()).unwrap();
            let target = Target { model: "m", thinking_levels: true, drop_params: true, ..Target::default() };
            let sent = request::encode(&asked, &target, &mut Dropped::default()).unwrap();
            let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
            let part = &sent["contents"][1]["parts"][0];
            let signature = parts[0].signature.as_ref().map(|sealed| sealed.text.as_str());
            let expected = signature.unwrap_or("skip_thought_signature_validator");
            prop_assert_eq!(part["thoughtSignature"].as_str(), Some(expected));
            let Content::ToolCall { id, .. } = &parts[0].content else { panic!() };
            prop_assert_eq!(part["functionCall"]["id"].as_str(), Some(id.as_str()));
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(data in vec(any::<u8>(), 0..64)) {
        gemini::fuzz(&data);
    }

    #[test]
    fn wrong_types_in_known_places_never_panic(
        field in prop_oneof![
            Just("contents"), Just("tools"), Just("toolConfig"), Just("generationConfig"),
            Just("candidates"), Just("promptFeedback"), Just("error"), Just("usageMetadata"),
            Just("systemInstruction"), Just("generation_config"), Just("generateContentRequest"),
        ],
        value in prop_oneof![
            Just("[]"), Just("{}"), Just("[null]"), Just("[{}]"), Just("\"x\""), Just("-1"),
            Just("1e400"), Just("[[]]"), Just("{\"parts\":1}"), Just("[{\"parts\":[{\"functionCall\":{}}]}]"),
            Just("[{\"index\":99999999999}]"), Just("[{\"content\":{\"parts\":[{\"text\":1}]}}]"),
            Just("{\"thinkingConfig\":{\"thinkingBudget\":-1}}"), Just("\"\\ud83d\""),
            Just("[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":7}]}]"),
            Just("[{\"content\":{\"parts\":[{\"text\":\"é\"}]},\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{}}],\"groundingSupports\":[{\"segment\":{\"startIndex\":1,\"endIndex\":99},\"groundingChunkIndices\":[0]}]}}]"),
        ],
    ) {
        gemini::fuzz(format!("{{\"{field}\":{value}}}").as_bytes());
        gemini::fuzz(format!("{{\"contents\":[{{\"parts\":[{{\"text\":\"a\"}}]}}],\"{field}\":{value}}}").as_bytes());
    }
}

#[test]
fn claudes_thinking_survives_a_turn_with_a_client_of_googles() {
    let thoughts = [
        Thought { text: Some("hm".into()), signature: Some(Sealed::claudes("s1")), redacted: None },
        Thought { redacted: Some(Sealed::claudes("r1")), ..Thought::default() },
    ];
    let mut parts: Vec<Part> =
        thoughts.iter().cloned().map(Content::Reasoning).map(Part::from).collect();
    parts.push(Content::Text { text: "Hi".into(), citations: Vec::new() }.into());
    let choice = Choice { parts: parts.clone(), finish: Some(Finish::Stop), ..Choice::default() };
    let answer = Response { id: "r".into(), choices: vec![choice], ..Response::default() };
    let (read, streamed) = through_bytes(&streamed(&answer, 1));
    let mut fold = Fold::new();
    for event in &read {
        fold.push(event);
    }
    assert_eq!(fold.finish().choices[0].parts, parts);
    // The SDK keeps a stream's pieces apart and sends them all back.
    let mut pieces = Vec::new();
    wire::events(std::str::from_utf8(&streamed).unwrap(), |event| {
        let chunk: serde_json::Value = serde_json::from_str(event.data).unwrap();
        pieces.extend(chunk["candidates"][0]["content"]["parts"].as_array().unwrap().clone());
    });
    let body = serde_json::json!({"model": "m", "contents": [
        {"role": "user", "parts": [{"text": "q"}]}, {"role": "model", "parts": pieces},
        {"role": "user", "parts": [{"text": "and?"}]}]});
    let asked = request::decode(body.to_string().as_bytes()).unwrap();
    let target = Target { model: "c", ..Target::default() };
    let sent = Dialect::AnthropicMessages
        .encode_request(&asked, &target, &mut Dropped::default())
        .unwrap();
    let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
    let content = &sent["messages"][1]["content"];
    assert_eq!(content[0]["thinking"], "hm");
    assert_eq!(content[0]["signature"], "s1");
    assert_eq!(content[1]["data"], "r1");
    // To Google itself it does not go.
    let sent = request::encode(&asked, &target, &mut Dropped::default()).unwrap();
    let sent = String::from_utf8(sent).unwrap();
    assert!(!sent.contains("hm") && !sent.contains("s1"), "{sent}");
}
