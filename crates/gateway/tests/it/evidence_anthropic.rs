//! As `evidence`, with an upstream that speaks Anthropic's dialect: same rules, other
//! events.

use crate::harness::{Bench, CANNED_COST_NANOUSD, config, deployment_with, next, read, read_until};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use std::time::Duration;
use testkit::canned::{self, Reply};
use testkit::{Gate, Script, Upstream};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const ERROR: &str = "event: error\ndata: {\"type\":\"error\",\"error\":\
                     {\"type\":\"api_error\",\"message\":\"oops\"}}\n\n";

/// A key with a budget before one deployment of Claude, no retries.
async fn claude(sections: &str) -> (Upstream, Bench, String) {
    let upstream = Upstream::start().await;
    let one = deployment_with("m", "anthropic/claude-x", &upstream.url(), "num_retries: 0");
    let bench = Bench::new(&config(&[one], sections)).await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000_000))).await;
    (upstream, bench, key)
}

fn events() -> Vec<String> {
    canned::anthropic_events(&Reply::text("claude-x", &["Hel", "lo"]))
}

/// The events up to and with the first text, and the rest.
fn halves() -> (Vec<String>, Vec<String>) {
    let mut first = events();
    let rest = first.split_off(4);
    (first, rest)
}

/// Moves paused time on once `gate` is reached.
async fn pause_at(gate: &Gate) {
    gate.reached().await;
    tokio::time::pause();
    tokio::time::advance(Duration::ZERO).await;
}

#[tokio::test]
async fn what_comes_after_an_error_event_counts() {
    for path in [MESSAGES, CHAT] {
        let (upstream, bench, key) = claude("").await;
        let (first, rest) = halves();
        upstream.script(Script::on("").sse([&first[..], &[ERROR.into()], &rest[..]].concat()));
        let answer = bench.post(path, &key, STREAM).answer().await;
        assert!(answer.text().contains("oops"), "{path}: {}", answer.text());
        let record = bench.record().await;
        assert_eq!(record.ending, Ending::UpstreamErrorAfter);
        assert_eq!(record.cost_source, CostSource::Computed, "{path}");
        assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
    }
}

#[tokio::test]
async fn usage_after_an_event_that_is_too_long_is_read() {
    let (upstream, bench, key) = claude("").await;
    let long =
        format!("event: ping\ndata: {{\"type\":\"ping\",\"x\":\"{}\"}}\n\n", "y".repeat(17 << 20));
    let (first, rest) = halves();
    upstream.script(Script::on("").sse([&first[..], &[long], &rest[..]].concat()));
    let answer = bench.post(MESSAGES, &key, STREAM).answer().await;
    assert!(answer.body.len() > 17 << 20 && answer.text().contains("message_stop"));
    let record = bench.record().await;
    assert_eq!(record.cost_source, CostSource::Computed);
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
}

#[tokio::test]
async fn pings_without_an_answer_do_not_keep_a_stream_open() {
    for path in [MESSAGES, CHAT] {
        let (upstream, bench, key) = claude("keymoat: {idle_timeout_ms: 25000}\n").await;
        let gate = Gate::new();
        let (first, _) = halves();
        let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
        let head = Script::on("").sse_head().sse_events(&first).sse_events([ping]);
        upstream.script(head.stall(&gate));
        let mut body = bench.post(path, &key, STREAM).send().await.into_body();
        read_until(&mut body, "Hel").await;
        pause_at(&gate).await;
        let begun = tokio::time::Instant::now();
        let rest = read(body).await;
        let rest = String::from_utf8_lossy(&rest);
        assert_eq!(begun.elapsed().as_secs(), 25, "{path}: {rest}");
        assert!(rest.contains("did not go on within 25000 ms"), "{rest}");
        tokio::time::resume();
        assert_eq!(bench.record().await.ending, Ending::Timeout);
    }
}

#[tokio::test]
async fn a_stream_is_kept_alive_after_its_first_token_in_the_form_of_its_surface() {
    for (path, ping) in [(CHAT, ": keep-alive\n\n"), (MESSAGES, "event: ping\n")] {
        let (upstream, bench, key) = claude("").await;
        let gate = Gate::new();
        let (first, rest) = halves();
        let head = Script::on("").sse_head().sse_events(&first);
        upstream.script(head.stall(&gate).sse_events(&rest).sse_end());
        let mut body = bench.post(path, &key, STREAM).send().await.into_body();
        read_until(&mut body, "Hel").await;
        pause_at(&gate).await;
        for _ in 0..3 {
            let silence = tokio::time::Instant::now();
            read_until(&mut body, ping).await;
            assert_eq!(silence.elapsed().as_secs(), 10, "{path}");
        }
        tokio::time::resume();
        gate.open();
        let rest = read(body).await;
        assert!(rest.windows(2).any(|window| window == b"lo"));
        assert_eq!(bench.record().await.ending, Ending::Complete);
    }
}

#[tokio::test]
async fn a_whole_answer_keeps_its_place_in_flight_until_it_is_sent() {
    for path in [MESSAGES, CHAT] {
        let (upstream, bench, _) = claude("").await;
        upstream.script(canned::anthropic_message("Hello").always());
        let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
        let whole = STREAM.replace("\"stream\":true,", "");
        let mut body = bench.post(path, &key, whole.clone()).send().await.into_body();
        assert_eq!(bench.in_flight(&key, 1), 1, "not read yet");
        let bytes = next(&mut body).await.unwrap();
        assert_eq!(bench.in_flight(&key, 1), 1, "not sent yet");
        assert_eq!(bench.post(path, &key, whole).answer().await.status, 429);
        drop(bytes);
        assert_eq!(bench.in_flight(&key, 1), 0, "{path}");
    }
}
