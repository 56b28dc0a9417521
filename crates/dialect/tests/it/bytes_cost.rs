//! What the hot path costs, in nanoseconds: `cargo test -p dialect --profile
//! bench-fast -- --ignored --nocapture cost`. Prints; judges only what was
//! promised, and that only in an optimised build.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that panics has failed"
)]

use bytes::Bytes;
use dialect::{
    Surface,
    head::Head,
    retouch,
    splice::{Edits, apply},
    sse::Framer,
    tap::Tap,
};
use std::{fmt::Write as _, hint::black_box, time::Instant};

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "parsed for the time it takes")]
struct Peek<'a> {
    #[serde(borrow)]
    usage: Option<&'a serde_json::value::RawValue>,
}

/// The best mean of several rounds.
fn cost_ns<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..30 {
        let start = Instant::now();
        for _ in 0..2_000 {
            black_box(work());
        }
        best = best.min(start.elapsed().as_nanos() as f64 / 2_000.0);
    }
    best
}

#[test]
#[ignore = "measures; run it alone and optimised"]
fn cost_of_the_hot_path() {
    let chunk = br#"data: {"id":"chatcmpl-CYPS1lijGoK8gd9lYzY3abcdefghi","object":"chat.completion.chunk","created":1762317021,"model":"gpt-4.1-2025-04-14","service_tier":"default","system_fingerprint":"fp_b1442291a8","choices":[{"index":0,"delta":{"content":" helpful"},"finish_reason":null}]}"#;
    let mut frame = chunk.to_vec();
    frame.extend_from_slice(b"\n\n");
    let with_null = String::from_utf8(frame.clone()).unwrap().replace("}]}", "}],\"usage\":null}");
    let anthropic = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" helpful\"}}\n\n";

    // This machine's yardstick: the narrowest parse there is of the same chunk.
    let json = &chunk[b"data: ".len()..];
    let yardstick_ns = cost_ns(|| serde_json::from_slice::<Peek<'_>>(black_box(json)).is_ok());
    println!("serde_json peek of the same: {yardstick_ns:.0} ns");
    let mut tap = Tap::new(Surface::OpenAiChat);
    let tap_ns = cost_ns(|| tap.observe(black_box(&frame)));
    println!("tap, OpenAI delta of {} B: {tap_ns:.0} ns", frame.len());
    let mut tap = Tap::new(Surface::AnthropicMessages);
    println!(
        "tap, Anthropic delta of {} B: {:.0} ns",
        anthropic.len(),
        cost_ns(|| tap.observe(black_box(anthropic)))
    );
    println!(
        "strip usage:null: {:.0} ns",
        cost_ns(|| retouch::strip_null_usage(black_box(with_null.as_bytes())).len())
    );
    println!(
        "set model: {:.0} ns",
        cost_ns(|| retouch::set_model(black_box(&frame), "group").len())
    );

    let bytes = Bytes::from(frame.clone());
    let mut framer = Framer::new();
    println!("frame one event: {:.0} ns", cost_ns(|| framer.push(&bytes).count()));

    for turns in [4, 120] {
        let mut body =
            String::from(r#"{"model":"group","stream":true,"temperature":0.70,"messages":["#);
        for turn in 0..turns {
            let comma = if turn == 0 { "" } else { "," };
            let text =
                "Some words of a conversation, with a line\\nand a \\\"quote\\\". ".repeat(5);
            write!(body, r#"{comma}{{"role":"user","content":"{text}"}}"#).unwrap();
        }
        body += "]}";
        let body = Bytes::from(body);
        let scan_ns = cost_ns(|| Head::scan(black_box(&body), Surface::OpenAiChat));
        let head = Head::scan(&body, Surface::OpenAiChat).unwrap();
        let splice_ns = cost_ns(|| {
            let mut edits = Edits::new(&head, &body);
            edits.set_model("upstream").include_usage().remove_gateway_keys();
            apply(&body, &edits)
        });
        let signals_ns = cost_ns(|| head.cost_signals(black_box(&body)));
        println!(
            "body of {} B: scan {scan_ns:.0}, splice {splice_ns:.0}, signals {signals_ns:.0} ns",
            body.len()
        );
    }
    if !cfg!(debug_assertions) {
        assert!(tap_ns < yardstick_ns, "the tap must cost less than a parse for usage alone");
    }
}
