//! The framer and the event parser against any split of any stream.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use bytes::Bytes;
use dialect::sse::{Framer, parse};
use proptest::prelude::*;

/// A stream's events, its frames' bytes and what remained, when it comes in
/// these pieces.
pub(crate) fn run(pieces: &[&[u8]]) -> (Vec<(Option<String>, String)>, Vec<u8>) {
    let mut framer = Framer::new();
    let mut scratch = String::new();
    let mut bytes = Vec::new();
    let mut events = Vec::new();
    let mut take = |frame: &[u8], events: &mut Vec<_>| {
        bytes.extend_from_slice(frame);
        match parse(frame, &mut scratch) {
            Ok(event) if event.name.is_none() && event.data.is_empty() => {}
            Ok(event) => events.push((event.name.map(str::to_owned), event.data.to_owned())),
            Err(_) => events.push((Some("!".into()), String::new())),
        }
    };
    for piece in pieces {
        for frame in framer.push(&Bytes::copy_from_slice(piece)) {
            take(&frame.bytes, &mut events);
        }
    }
    let rest = framer.take_remainder();
    take(&rest, &mut events);
    (events, bytes)
}

/// Cuts `whole` after each of these lengths, in turn, until it ends.
pub(crate) fn cut<'a>(whole: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = whole;
    let mut lengths = lengths.iter().cycle();
    while !rest.is_empty() {
        let length = lengths.next().map_or(rest.len(), |length| (*length).clamp(1, rest.len()));
        let (piece, after) = rest.split_at(length);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// Events by a slow reading of the standard: lines first, of the whole text.
fn by_the_book(stream: &str) -> Vec<(Option<String>, String)> {
    let text = stream.strip_prefix('\u{feff}').unwrap_or(stream);
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut name, mut data) = (Vec::new(), None, Vec::new());
    // The last event counts without its blank line: providers leave it out.
    for line in text.split('\n').chain([""]) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let event = (name.take(), std::mem::take(&mut data).join("\n"));
                if event.0.is_some() || !event.1.is_empty() {
                    events.push(event);
                }
            }
            "event" => name = Some(value.to_owned()),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    events
}

fn stream() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        "data: ?[a-z :é\u{feff}]{0,12}",
        "event: ?[a-z]{1,5}",
        ": ?[a-z]{0,5}",
        "data",
        "id: 1",
        "\u{feff}data: 1",
        Just(String::new()),
        Just(String::new()),
    ];
    let end = prop_oneof![Just("\n"), Just("\r"), Just("\r\n")];
    (any::<bool>(), prop::collection::vec((line, end), 0..24), "(data: x)?").prop_map(
        |(bom, lines, last)| {
            let mut text = if bom { "\u{feff}".to_owned() } else { String::new() };
            for (line, end) in lines {
                text += &line;
                text += end;
            }
            text + &last
        },
    )
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_events_of_the_standard_and_the_same_bytes(
        stream in stream(),
        lengths in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let expected = by_the_book(&stream);
        let wire = stream.as_bytes();
        for pieces in [vec![wire], cut(wire, &[1]), cut(wire, &lengths)] {
            let (events, bytes) = run(&pieces);
            prop_assert_eq!(&events, &expected);
            prop_assert_eq!(&bytes, wire);
        }
    }

    #[test]
    fn any_bytes_are_framed_without_a_loss(
        wire in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
        lengths in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let whole = run(&[&wire]);
        let split = run(&cut(&wire, &lengths));
        prop_assert_eq!(&whole.1, &wire);
        prop_assert_eq!(&split.1, &wire);
        prop_assert_eq!(whole.0, split.0);
    }
}
