//! Every recorded exchange of Google's says the same after a trip through the
//! neutral model, and in the other dialects.

use crate::facts_gemini::{self, Answer, get};
use crate::recordings::{Recording, pick};
use crate::{facts, wire};
use bytes::Bytes;
use dialect::fold::Fold;
use dialect::gemini::{error, request, response, stream};
use dialect::model::Event;
use dialect::tap::Tap;
use dialect::{Dialect, Dropped, ErrorClass, Shown, Surface, Target, sse};
use serde_json::Value;

const SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "r-0", created_unix_s: 1, include_usage: true };

fn recordings() -> Vec<Recording> {
    pick(|provider, api| {
        matches!(provider, "gemini" | "vertex")
            && matches!(api, "generate-content" | "stream-generate-content")
    })
}

fn answers() -> Vec<(String, Value)> {
    let whole = recordings().into_iter().filter(|recording| recording.status == 200);
    whole
        .filter_map(|recording| Some((recording.file, recording.body?)))
        // One is of another kind of call.
        .filter(|(_, body)| body.is_object() && body["predictions"].is_null())
        .collect()
}

/// Streams of events; those without `alt=sse` are lists, which are framed here.
fn streams() -> Vec<(String, String)> {
    let all = recordings().into_iter().filter(|recording| recording.status == 200);
    all.filter_map(|recording| {
        let listed: Option<String> =
            recording.body.as_ref().and_then(Value::as_array).map(|chunks| {
                chunks
                    .iter()
                    .map(|chunk| ["data: ", &chunk.to_string(), "\r\n\r\n"].concat())
                    .collect()
            });
        Some((recording.file, recording.raw.or(listed)?.replace("data: [DONE]\n\n", "")))
    })
    .collect()
}

fn decoded(raw: &str) -> Vec<Event> {
    let mut decoder = stream::Decoder::default();
    let mut events = Vec::new();
    wire::events(raw, |event| decoder.push(event, &mut events).unwrap());
    decoder.finish(&mut events);
    events
}

fn told(dialect: Dialect, events: &[Event]) -> String {
    let mut encoder = dialect.stream_encoder(&SHOWN);
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn assert_same(file: &str, found: &Answer, expected: &Answer) {
    assert_eq!(found.usage, expected.usage, "{file}: usage");
    assert_eq!(found.model, expected.model, "{file}");
    assert_eq!(found.candidates.len(), expected.candidates.len(), "{file}");
    for (index, expected) in &expected.candidates {
        let mut found = found.candidates[index].clone().without_made_ids(expected);
        let mut expected = expected.clone();
        for said in [&mut found, &mut expected] {
            said.finish = said.finish.take().map(|word| family(&word).to_owned());
        }
        assert_eq!(found, expected, "{file}: candidate {index}");
    }
}

/// The end of an answer in OpenAI's words.
fn family(word: &str) -> &str {
    match word {
        "MAX_TOKENS" => "length",
        "STOP" | "UNEXPECTED_TOOL_CALL" | "MALFORMED_FUNCTION_CALL" | "OTHER" => "stop",
        _ => "content_filter",
    }
}

/// The facts of an answer of Google's in OpenAI's words hold for it.
fn assert_in_openai(file: &str, found: &facts::Answer, expected: &Answer) {
    let [prompt, output, cached, thoughts] = expected.usage;
    assert_eq!(found.usage.unwrap(), [prompt, output, cached, thoughts], "{file}");
    for (index, expected) in &expected.candidates {
        let found = &found.choices[index];
        assert_eq!(found.text, expected.text, "{file}");
        assert_eq!(found.reasoning, expected.thoughts, "{file}");
        let calls = |call: &(String, String, String)| {
            assert!(!call.0.is_empty(), "{file}: a call has an id");
            (call.1.clone(), serde_json::from_str::<Value>(&call.2).unwrap())
        };
        let found_calls: Vec<_> = found.calls.iter().map(calls).collect();
        let wanted: Vec<_> =
            expected.calls.iter().map(|call| (call.1.clone(), call.2.clone())).collect();
        assert_eq!(found_calls, wanted, "{file}");
        let word = expected.finish.as_deref().map(family);
        let word =
            word.map(|word| if word == "stop" && !wanted.is_empty() { "tool_calls" } else { word });
        assert_eq!(found.finish.as_deref(), word, "{file}");
    }
}

#[test]
fn recorded_answers_say_the_same_here_and_in_openais_words() {
    let mut tried = 0;
    for (file, body) in answers() {
        let expected = facts_gemini::answer(&body);
        let bytes = body.to_string();
        let read = response::decode(bytes.as_bytes()).unwrap_or_else(|e| panic!("{file}: {e}"));
        let out: Value = serde_json::from_slice(&response::encode(&read, &SHOWN)).unwrap();
        assert_same(&file, &facts_gemini::answer(&out), &expected);
        let again = response::decode(out.to_string().as_bytes()).unwrap();
        assert_eq!(again.choices.len(), read.choices.len(), "{file}");
        let openai = Dialect::OpenAiChat.encode_response(&read, &SHOWN);
        let openai = facts::answer(&serde_json::from_slice(&openai).unwrap());
        assert_in_openai(&file, &openai, &expected);
        let observed = Tap::unary(Surface::GeminiGenerate, bytes.as_bytes());
        assert_eq!(observed.usage, read.usage, "{file}: the bill and the translation");
        assert_eq!(observed.usage_is_final, expected.usage[0] > 0, "{file}");
        assert_eq!(observed.finished, bytes.contains("finishReason"), "{file}");
        tried += 1;
    }
    println!("{tried} recorded answers");
    assert!(tried == 0 || tried >= 40, "only {tried}");
}

#[test]
fn recorded_streams_say_the_same_here_and_in_other_words() {
    let mut tried = 0;
    for (file, raw) in streams() {
        let expected = facts_gemini::stream(&raw);
        let events = decoded(&raw);
        crate::openai_stream::assert_grammar(&file, &events);
        let mut fold = Fold::new();
        for event in &events {
            fold.push(event);
        }
        assert!(fold.is_complete(), "{file}");
        assert_same(&file, &facts_gemini::stream(&told(Dialect::Gemini, &events)), &expected);
        let openai = facts::stream(&told(Dialect::OpenAiChat, &events));
        assert_in_openai(&file, &openai, &expected);
        let claude = told(Dialect::AnthropicMessages, &events);
        let claude = crate::facts_anthropic::events_of(&claude);
        let claude = crate::facts_anthropic::of_events(claude.iter().map(|(_, data)| data));
        let texts: String =
            claude.blocks.iter().filter_map(|block| block["text"].as_str()).collect();
        let calls = claude.blocks.iter().filter(|block| block["type"] == "tool_use").count();
        if let Some(said) = expected.candidates.get(&0) {
            assert_eq!((texts, calls), (said.text.clone(), said.calls.len()), "{file}");
        }
        let folded = fold.finish();
        let whole = response::encode(&folded, &SHOWN);
        assert_same(
            &file,
            &facts_gemini::answer(&serde_json::from_slice(&whole).unwrap()),
            &expected,
        );
        let mut tap = Tap::new(Surface::GeminiStream);
        let mut framer = sse::Framer::new();
        for frame in framer.push(&Bytes::copy_from_slice(raw.as_bytes())) {
            tap.observe(&frame.bytes);
        }
        tap.observe(&framer.take_remainder());
        assert!(tap.complete() && !tap.is_terminal(), "{file}");
        assert_eq!(tap.observed().usage, folded.usage, "{file}: the bill and the translation");
        // One says nothing of the prompt.
        assert_eq!(tap.observed().usage_is_final, expected.usage[0] > 0, "{file}");
        tried += 1;
    }
    println!("{tried} recorded streams");
    assert!(tried == 0 || tried >= 40, "only {tried}");
}

/// The model's events of a stream that arrives in pieces of these lengths.
fn in_pieces(raw: &str, mut length: impl FnMut() -> usize) -> Vec<Event> {
    let mut framer = sse::Framer::new();
    let mut decoder = stream::Decoder::default();
    let mut scratch = String::new();
    let mut out = Vec::new();
    let mut rest = Bytes::copy_from_slice(raw.as_bytes());
    while !rest.is_empty() {
        let piece = rest.split_to(length().clamp(1, rest.len()));
        for frame in framer.push(&piece) {
            decoder.push(sse::parse(&frame.bytes, &mut scratch).unwrap(), &mut out).unwrap();
        }
    }
    let remainder = framer.take_remainder();
    decoder.push(sse::parse(&remainder, &mut scratch).unwrap(), &mut out).unwrap();
    decoder.finish(&mut out);
    out
}

#[test]
fn recorded_streams_are_the_same_however_they_are_cut() {
    let mut tried = 0;
    for (file, raw) in streams() {
        let whole = in_pieces(&raw, || raw.len());
        assert_eq!(whole.last(), Some(&Event::End), "{file}");
        assert_eq!(in_pieces(&raw, || 1), whole, "{file}");
        let mut seed = raw.len();
        let scattered = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % 97
        };
        assert_eq!(in_pieces(&raw, scattered), whole, "{file}");
        tried += 1;
    }
    println!("{tried} recorded streams in pieces");
}

#[test]
fn recorded_requests_say_the_same_after_the_trip() {
    let (mut tried, mut refused) = (0, 0);
    for Recording { file, request: body, .. } in recordings() {
        let Some(body) = body.filter(|body| body["contents"].is_array()) else { continue };
        let read = request::decode(body.to_string().as_bytes());
        let read = read.unwrap_or_else(|e| panic!("{file}: {e}"));
        let thinking = get(get(&body, "generationConfig"), "thinkingConfig");
        let thinking_levels = get(thinking, "thinkingLevel").is_string();
        let target = Target { model: "m", thinking_levels, ..Target::default() };
        let out = request::encode(&read, &target, &mut Dropped::default());
        let out = out.unwrap_or_else(|e| panic!("{file}: {e}"));
        let out: Value = serde_json::from_slice(&out).unwrap();
        let (mut found, mut expected) = (facts_gemini::request(&out), facts_gemini::request(&body));
        // Instructions without words, and a beginning that nobody made.
        expected.retain(|(who, _, words)| who != "system" || !words.is_empty());
        found.retain(|(_, _, words)| words != "(The conversation begins.)");
        assert_eq!(found, expected, "{file}");
        for name in ["maxOutputTokens", "temperature", "stopSequences", "candidateCount", "seed"] {
            let config = |body| get(get(body, "generationConfig"), name).clone();
            assert_eq!(config(&out), config(&body), "{file} {name}");
        }
        let config = |body| get(body, "generationConfig").clone();
        for name in ["responseMimeType", "logprobs"] {
            let (found, expected) = (config(&out), config(&body));
            assert_eq!(get(&found, name), get(&expected, name), "{file} {name}");
        }
        let again = request::decode(out.to_string().as_bytes()).unwrap();
        assert_eq!(again.tools.len(), read.tools.len(), "{file}");
        assert_eq!(again.tool_choice, read.tool_choice, "{file}");
        assert_eq!(again.reasoning, read.reasoning, "{file}");
        assert_eq!(again.output_format, read.output_format, "{file}");
        for dialect in [Dialect::OpenAiChat, Dialect::AnthropicMessages] {
            let target = Target { model: "m", drop_params: true, ..Target::default() };
            match dialect.encode_request(&read, &target, &mut Dropped::default()) {
                Ok(out) => assert_holds_words(&file, &out, &expected),
                // Video, and files that only Google can read.
                Err(error) => {
                    refused += 1;
                    let param = error.param().to_owned();
                    let budget = param == "thinking.budget_tokens";
                    assert!(budget || param.starts_with("messages"), "{file} {dialect:?}: {error}");
                }
            }
        }
        tried += 1;
    }
    println!("{tried} recorded requests, {refused} translations refused");
    assert!(tried == 0 || tried >= 80 && refused < tried, "{tried} requests, {refused} refused");
}

/// The words of a conversation are all in its translation.
fn assert_holds_words(file: &str, out: &[u8], said: &[(String, String, String)]) {
    let text = serde_json::from_slice::<Value>(out).unwrap().to_string();
    for (_, _, words) in said.iter().filter(|(_, kind, _)| kind == "text") {
        let quoted = serde_json::to_string(words.trim()).unwrap();
        assert!(text.contains(quoted.trim_matches('"')), "{file}: {words}");
    }
}

#[test]
fn recorded_errors_have_their_class() {
    let mut tried = 0;
    for recording in recordings().into_iter().filter(|recording| recording.status != 200) {
        let text = match (&recording.body, &recording.raw) {
            (Some(body), _) => body.to_string(),
            (None, Some(raw)) => raw.clone(),
            (None, None) => continue,
        };
        let error = error::decode(recording.status as u16, text.as_bytes());
        let expected = match recording.status {
            400 if text.contains("API key not valid") => ErrorClass::Authentication,
            400 if text.contains("input token count") => ErrorClass::ContextLength,
            400 => ErrorClass::BadRequest,
            404 => ErrorClass::NotFound,
            other => panic!("{}: status {other} is new", recording.file),
        };
        assert_eq!(error.class, expected, "{}", recording.file);
        assert!(!error.message.contains("no readable error"), "{}", recording.file);
        tried += 1;
    }
    println!("{tried} recorded errors");
    assert!(tried == 0 || tried >= 8, "only {tried}");
}

#[test]
fn recorded_counts_are_read() {
    let counts =
        pick(|provider, api| matches!(provider, "gemini" | "vertex") && api == "count-tokens");
    for Recording { file, request: body, .. } in counts {
        let Some(body) = body else { continue };
        let read = request::decode(body.to_string().as_bytes());
        assert!(read.is_ok_and(|read| !read.turns.is_empty()), "{file}");
    }
}

#[test]
fn recorded_exchanges_of_openais_reach_a_client_of_googles() {
    let mut tried = 0;
    let chats =
        pick(|provider, api| provider == "openai" && (api == "chat" || api == "openai-chat"));
    for Recording { file, status, request: body, body: whole, raw } in chats {
        if let Some(body) = body.filter(|body| body["messages"].is_array()) {
            let Ok(read) = Dialect::OpenAiChat.decode_request(body.to_string().as_bytes()) else {
                continue;
            };
            let target = Target { model: "m", drop_params: true, ..Target::default() };
            let out = request::encode(&read, &target, &mut Dropped::default());
            let out: Value = match out {
                Ok(out) => serde_json::from_slice(&out).unwrap(),
                Err(error) => panic!("{file}: {error}"),
            };
            let asked = facts::request(&body);
            let texts = asked
                .said
                .iter()
                .filter(|(who, kind, _)| kind == "text" && !who.starts_with("tool"));
            let text = out.to_string();
            for (_, _, words) in texts.filter(|(_, _, words)| !words.contains('\n')) {
                let quoted = serde_json::to_string(words).unwrap();
                // Adjacent parts are one in the facts.
                let start: String = quoted.trim_matches('"').chars().take(10).collect();
                assert!(text.contains(&start), "{file}: {words} in {text}");
            }
        }
        let expected = match (status, &whole, &raw) {
            (200, Some(body), _)
                if body["choices"].is_array() && body["object"] == "chat.completion" =>
            {
                let read =
                    Dialect::OpenAiChat.decode_response(body.to_string().as_bytes()).unwrap();
                let out = response::encode(&read, &SHOWN);
                let out = facts_gemini::answer(&serde_json::from_slice(&out).unwrap());
                (facts::answer(body), out)
            }
            (200, _, Some(raw)) => {
                let expected = facts::stream(raw);
                if expected.error || expected.usage.is_none() {
                    continue;
                }
                let events = crate::translate::decoded(Dialect::OpenAiChat, &[raw.as_bytes()]);
                (expected, facts_gemini::stream(&told(Dialect::Gemini, &events)))
            }
            _ => continue,
        };
        let (expected, found) = expected;
        assert_eq!(Some(found.usage), expected.usage, "{file}");
        for (index, expected) in &expected.choices {
            let found = &found.candidates[index];
            let text = [expected.text.clone(), expected.refusal.clone()].concat();
            assert_eq!(found.text, text, "{file}");
            assert_eq!(found.thoughts, expected.reasoning, "{file}");
            let names: Vec<_> = found.calls.iter().map(|call| call.1.clone()).collect();
            let wanted: Vec<_> = expected.calls.iter().map(|call| call.1.clone()).collect();
            assert_eq!(names, wanted, "{file}");
        }
        tried += 1;
    }
    println!("{tried} recorded answers of OpenAI's");
}
