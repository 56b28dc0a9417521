//! Providers that do not keep the output limit: the budget does not pay for it.

use crate::harness::{Bench, config, deployment_with};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use serde_json::json;
use testkit::canned::{self, Reply};
use testkit::{Script, Upstream};

const PATH: &str = "/v1/chat/completions";
/// $1 and $2 a million tokens: 9 tokens of output are held.
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;

async fn capped(limit_nanousd: i64) -> (Upstream, Bench, String) {
    let upstream = Upstream::start().await;
    let one = deployment_with("m", "openai/gpt-up", &upstream.url(), "num_retries: 0");
    let bench = Bench::new(&config(&[one], "")).await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(limit_nanousd))).await;
    (upstream, bench, key)
}

/// A stream of `pieces` times 400 bytes, in as many chunks.
fn long_stream(pieces: usize) -> Script {
    let piece = "word ".repeat(80);
    let events: Vec<String> = (0..pieces)
        .map(|_| {
            let chunk = json!({"id": "x", "object": "chat.completion.chunk", "created": 1,
                "model": "gpt", "choices": [{"index": 0, "delta": {"content": piece},
                "finish_reason": null}]});
            format!("data: {chunk}\n\n")
        })
        .collect();
    let end = canned::openai_chat_events(&Reply::text("gpt", &["end"]));
    Script::on("").sse([&events[..], &end[1..]].concat())
}

#[tokio::test]
async fn a_stream_that_does_not_keep_its_limit_ends_when_the_budget_does_not_pay_for_more() {
    let (upstream, bench, key) = capped(1_000_000).await;
    upstream.script(long_stream(2_000));
    let answer = bench.post(PATH, &key, STREAM).answer().await;
    assert!(answer.text().contains("longer than its output limit"), "{}", answer.text());
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::UpstreamErrorAfter);
    assert_eq!(record.cost_source, CostSource::Estimated);
    // Far less than the 200,000 tokens, $0.4, that the upstream was ready to make.
    assert!(record.cost < NanoUsd(5_000_000), "{}", record.cost);
}

#[tokio::test]
async fn a_stream_that_does_not_keep_its_limit_goes_on_while_the_budget_pays() {
    let (upstream, bench, key) = capped(1_000_000_000).await;
    upstream.script(long_stream(100));
    let answer = bench.post(PATH, &key, STREAM).answer().await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
    assert_eq!(bench.record().await.ending, Ending::Complete);
}

#[tokio::test]
async fn after_an_answer_that_was_too_long_a_budget_holds_the_models_own_limit() {
    let (upstream, bench, key) = capped(10_000_000).await;
    let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "gpt",
        "choices": [{"index": 0, "finish_reason": "length",
            "message": {"role": "assistant", "content": "word ".repeat(1_000)}}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 1_000, "total_tokens": 1_005}});
    upstream.script(Script::on("").json(200, answer.to_string()));
    let body = STREAM.replace("true", "false");
    assert_eq!(bench.post(PATH, &key, body.clone()).answer().await.status, 200);
    assert_eq!(bench.record().await.usage.output, 1_000);
    let refused = bench.post(PATH, &key, body.clone()).answer().await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("This call may cost up to"), "{}", refused.text());
}
