//! What must hold for whatever the neutral model says in OpenAI chat.

use crate::{arbitrary, wire};
use dialect::{
    Shown, Target,
    fold::Fold,
    model::Event,
    openai_chat::{error, request, response, stream},
    openai_completions, sse,
};
use proptest::prelude::*;

const SHOWN: Shown<'static> =
    Shown { model: None, fallback_id: "chatcmpl-x", created_unix_s: 1, include_usage: true };

/// Every reader of bytes, on bytes of any kind; for fuzzing too.
pub(crate) fn feed(data: &[u8]) {
    if let Ok(request) = request::decode(data) {
        request::encode(&request, &Target::default()).ok();
        let text_only = Target { content_as_text: true, drop_params: true, ..Target::default() };
        request::encode(&request, &text_only).ok();
    }
    if let Ok(answer) = response::decode(data) {
        response::encode(&answer, &SHOWN);
        openai_completions::response::encode(&answer, &SHOWN);
    }
    for status in [200, 400, 429, 500] {
        error::encode(&error::decode(status, data));
    }
    error::inside(data);
    openai_completions::request::decode(data).ok();
    if let Ok(data) = std::str::from_utf8(data) {
        let mut decoder = stream::Decoder::new();
        let mut events = Vec::new();
        for name in [None, Some("error")] {
            decoder.push(sse::Event { name, data }, &mut events).ok();
        }
        decoder.finish(&mut events);
        crate::openai_stream::assert_grammar(data, &events);
        let mut encoder = stream::Encoder::new(&SHOWN);
        let mut legacy = openai_completions::stream::Encoder::new(&SHOWN);
        let mut out = Vec::new();
        for event in &events {
            encoder.push(event, &mut out);
            legacy.push(event, &mut out);
        }
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
        let bytes = request::encode(&asked, &target).unwrap();
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
