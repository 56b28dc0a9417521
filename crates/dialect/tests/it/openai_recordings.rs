//! Recorded OpenAI-compatible exchanges say the same after a passage through
//! the neutral model.

use crate::{facts, recordings, wire};
use dialect::{Dialect, Dropped, Shown, Target, fold::Fold, model::Event, openai_chat};
use serde_json::Value;

const OTHERS: [&str; 2] = ["cohere", "ollama"];

fn chat(provider: &str, api: &str) -> bool {
    api == "openai-chat" || api == "chat" && !OTHERS.contains(&provider)
}

fn shown() -> Shown<'static> {
    Shown { model: None, fallback_id: "chatcmpl-x", created_unix_s: 1, include_usage: true }
}

/// Bodies under these paths that are no chat completions (transcriptions).
fn is_chat(body: &Value) -> bool {
    body["choices"].is_array() && body["object"] != "text_completion"
}

fn decoded(raw: &str) -> Vec<Event> {
    let mut decoder = openai_chat::stream::Decoder::new();
    let mut events = Vec::new();
    wire::events(raw, |event| decoder.push(event, &mut events).unwrap());
    decoder.finish(&mut events);
    events
}

fn assert_same(file: &str, found: &facts::Answer, expected: &facts::Answer) {
    assert_eq!(found.usage, expected.usage, "{file}: usage");
    assert_eq!(found.choices.len(), expected.choices.len(), "{file}: choices");
    for (index, expected) in &expected.choices {
        let found = found.choices[index].clone().without_made_ids(expected);
        assert_eq!(&found, expected, "{file}: choice {index}");
    }
}

#[test]
fn recorded_requests_say_the_same_after_a_round_trip() {
    for recording in recordings::pick(chat) {
        let Some(body) = recording.request else { continue };
        let file = &recording.file;
        if body["messages"].is_null()
            || body.get("max_tokens").is_some_and(|v| !v.is_null())
                && body.get("max_completion_tokens").is_some_and(|v| !v.is_null())
        {
            assert!(openai_chat::request::decode(body.to_string().as_bytes()).is_err(), "{file}");
            continue;
        }
        let request = match openai_chat::request::decode(body.to_string().as_bytes()) {
            Ok(request) => request,
            Err(error) => panic!("{file}: {error}"),
        };
        let target = Target { model: &request.model, cache_control: true, ..Target::default() };
        let out = openai_chat::request::encode(&request, &target, &mut Dropped::default());
        let out = out.unwrap_or_else(|error| panic!("{file}: {error}"));
        let out: Value = serde_json::from_slice(&out).unwrap();
        let (found, mut expected) = (facts::request(&out), facts::request(&body));
        if !expected.parameters.contains_key("tools") {
            expected.parameters.remove("parallel_tool_calls");
        }
        assert_eq!(found, expected, "{file}");
        assert_eq!(
            openai_chat::request::decode(out.to_string().as_bytes()).map(|r| r.turns),
            Ok(request.turns),
            "{file}"
        );
    }
}

#[test]
fn recorded_answers_say_the_same_after_a_round_trip() {
    let mut errors = 0;
    for recording in recordings::pick(chat) {
        let (file, Some(body)) = (&recording.file, &recording.body) else { continue };
        let text = body.to_string();
        let expected = facts::answer(body);
        if recording.status >= 400 || expected.error {
            let error = openai_chat::error::decode(recording.status as u16, text.as_bytes());
            assert!(error.status >= 400 && error.message.len() > 5, "{file}: {error:?}");
            assert!(
                recording.status >= 400 || openai_chat::error::inside(text.as_bytes()).is_some()
            );
            errors += 1;
            continue;
        }
        assert!(openai_chat::error::inside(text.as_bytes()).is_none(), "{file}");
        if !is_chat(body) {
            continue;
        }
        let response = openai_chat::response::decode(text.as_bytes()).unwrap();
        let out = openai_chat::response::encode(&response, &shown());
        let out: Value = serde_json::from_slice(&out).unwrap();
        assert_same(file, &facts::answer(&out), &expected);
        let again = openai_chat::response::decode(out.to_string().as_bytes()).unwrap();
        assert_eq!(again.choices, response.choices, "{file}");
        assert_eq!(again.usage, response.usage, "{file}");
    }
    println!("{errors} recorded errors");
}

#[test]
fn recorded_streams_say_the_same_folded_and_re_encoded() {
    for recording in recordings::pick(chat) {
        let (file, Some(raw)) = (&recording.file, &recording.raw) else { continue };
        let expected = facts::stream(raw);
        let events = decoded(raw);
        crate::openai_stream::assert_grammar(file, &events);
        let mut fold = Fold::new();
        for event in &events {
            fold.push(event);
        }
        if expected.error {
            assert!(fold.error().is_some() && !fold.is_complete(), "{file}");
            assert!(matches!(events.last(), Some(Event::Error(_))), "{file}");
            continue;
        }
        assert!(fold.is_complete(), "{file}");
        let mut encoder = openai_chat::stream::Encoder::new(&shown());
        let mut out = Vec::new();
        for event in &events {
            encoder.push(event, &mut out);
        }
        let out = String::from_utf8(out).unwrap();
        assert_same(file, &facts::stream(&out), &expected);
        let whole = openai_chat::response::encode(&fold.finish(), &shown());
        let whole = facts::answer(&serde_json::from_slice(&whole).unwrap());
        assert_same(file, &whole, &expected);
    }
}

#[test]
fn recorded_bodies_cut_or_changed_never_panic() {
    for recording in recordings::pick(chat) {
        for body in [&recording.request, &recording.body].into_iter().flatten() {
            let bytes = body.to_string().into_bytes();
            for cut in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
                crate::openai_properties::feed(&bytes[..cut]);
            }
            for from in [&b"\""[..], b"{", b"[", b":", b"1"] {
                let mut changed = bytes.clone();
                if let Some(at) = changed.windows(1).rposition(|window| window == from) {
                    changed[at] = b'0';
                    crate::openai_properties::feed(&changed);
                }
            }
        }
    }
}

#[test]
fn recorded_streams_cut_anywhere_give_the_same_events() {
    let mut seed = 7_usize;
    for recording in recordings::pick(chat) {
        let (file, Some(raw)) = (&recording.file, &recording.raw) else { continue };
        let whole = crate::translate::decoded(Dialect::OpenAiChat, &[raw.as_bytes()]);
        let single: Vec<&[u8]> = raw.as_bytes().chunks(1).collect();
        seed = seed * 31 % 97 + 1;
        let some: Vec<&[u8]> = raw.as_bytes().chunks(seed).collect();
        for pieces in [single, some] {
            assert_eq!(crate::translate::decoded(Dialect::OpenAiChat, &pieces), whole, "{file}");
        }
        assert_eq!(whole, decoded(raw), "{file}");
    }
}
