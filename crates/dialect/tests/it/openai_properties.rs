//! What must hold for whatever the neutral model says in OpenAI chat.

use crate::{arbitrary, wire};
use dialect::{
    Dropped, Shown, Target,
    fold::Fold,
    model::Event,
    openai_chat::{self, request, response, stream},
    openai_completions, sse,
};
use proptest::prelude::*;

const SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "chatcmpl-x", created_unix_s: 1, include_usage: true };

/// Every reader of bytes, on bytes of any kind.
pub(crate) fn feed(data: &[u8]) {
    openai_chat::fuzz(data);
    openai_completions::fuzz(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let mut decoder = stream::Decoder::new();
        let mut events = Vec::new();
        decoder.push(sse::Event { name: None, data: text }, &mut events).ok();
        decoder.finish(&mut events);
        crate::openai_stream::assert_grammar(text, &events);
    }
}

fn through_bytes(events: &[Event]) -> Vec<Event> {
    let mut encoder = stream::Encoder::new(&SHOWN);
    let mut out = Vec::new();
    for event in events {
        encoder.push(event, &mut out);
    }
    let mut decoder = stream::Decoder::new();
    let mut read = Vec::new();
    wire::events(std::str::from_utf8(&out).unwrap(), |event| {
        decoder.push(event, &mut read).unwrap();
    });
    decoder.finish(&mut read);
    read
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_request_survives_the_wire(asked in arbitrary::openai_request()) {
        let target = Target { model: "m", cache_control: true, ..Target::default() };
        let bytes = request::encode(&asked, &target, &mut Dropped::default()).unwrap();
        let mut read = request::decode(&bytes).unwrap();
        // Usage is always asked for.
        read.include_usage = asked.include_usage;
        prop_assert_eq!(read, asked);
    }

    #[test]
    fn an_answer_survives_the_wire(answer in arbitrary::openai_response()) {
        let bytes = response::encode(&answer, &SHOWN);
        prop_assert_eq!(response::decode(&bytes).unwrap(), answer);
    }

    #[test]
    fn a_stream_folded_is_the_answer(answer in arbitrary::openai_response(), piece in 1_usize..9) {
        let events = arbitrary::streamed(&answer, piece);
        let mut direct = Fold::new();
        for event in &events { direct.push(event); }
        prop_assert_eq!(&direct.finish(), &answer);
        let read = through_bytes(&events);
        crate::openai_stream::assert_grammar("property", &read);
        let mut fold = Fold::new();
        for event in &read { fold.push(event); }
        prop_assert!(fold.is_complete());
        prop_assert_eq!(fold.finish(), answer);
    }

    #[test]
    fn every_item_of_a_list_in_a_delta_has_its_number(
        answer in arbitrary::openai_response(),
        piece in 1_usize..9,
    ) {
        let mut encoder = stream::Encoder::new(&SHOWN);
        let mut out = Vec::new();
        for event in arbitrary::streamed(&answer, piece) {
            encoder.push(&event, &mut out);
        }
        // How many items of each list of each choice there are so far.
        let mut known = std::collections::BTreeMap::<(u64, String), u64>::new();
        wire::events(std::str::from_utf8(&out).unwrap(), |event| {
            let Ok(chunk) = serde_json::from_str::<serde_json::Value>(event.data) else { return };
            for choice in chunk["choices"].as_array().unwrap() {
                let delta = choice["delta"].as_object().unwrap();
                for (name, list) in delta.iter().filter(|(_, value)| value.is_array()) {
                    let key = (choice["index"].as_u64().unwrap(), name.clone());
                    let count = known.entry(key).or_default();
                    for item in list.as_array().unwrap() {
                        let index = item["index"].as_u64().expect(name);
                        assert!(index <= *count, "{name} leaves a gap before {index}");
                        *count = (*count).max(index + 1);
                    }
                }
            }
        });
        for (number, choice) in answer.choices.iter().enumerate() {
            let sources: usize = choice.parts.iter().map(|part| match &part.content {
                dialect::model::Content::Text { citations, .. } => citations.len(),
                _ => 0,
            }).sum();
            let found = known.get(&(number as u64, "annotations".to_owned()));
            prop_assert_eq!(found.copied().unwrap_or(0), sources as u64);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..64)) {
        feed(&data);
    }

    #[test]
    fn wrong_types_in_known_places_never_panic(
        field in prop_oneof![
            Just("messages"), Just("tools"), Just("tool_choice"), Just("stop"), Just("choices"),
            Just("response_format"), Just("thinking"), Just("error"), Just("usage"), Just("detail"),
        ],
        value in prop_oneof![
            Just("[]"), Just("{}"), Just("[null]"), Just("[{}]"), Just("\"x\""), Just("-1"),
            Just("1e400"), Just("[[]]"), Just("{\"type\":1}"), Just("[{\"delta\":{\"tool_calls\":[{}]}}]"),
            Just("[{\"index\":99999999999}]"), Just("[{\"role\":\"tool\",\"content\":{}}]"),
            Just("[{\"message\":[],\"delta\":{\"content\":{}}}]"), Just("\"\\ud83d\""),
        ],
    ) {
        feed(format!("{{\"model\":\"m\",\"{field}\":{value}}}").as_bytes());
        feed(format!("{{\"messages\":[{{\"role\":\"user\"}}],\"{field}\":{value}}}").as_bytes());
    }
}
