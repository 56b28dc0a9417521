//! An answer that holds nothing is a failure before the first byte, at every
//! surface, whole or streamed, in either dialect.

use crate::harness::{Bench, MASTER, config, deployment};
use ledger::Ending;
use testkit::{Script, Upstream, canned};

const SURFACES: [(&str, &str); 3] = [
    ("/v1/chat/completions", r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#),
    ("/v1/completions", r#"{"model":"m","prompt":"Hi"}"#),
    ("/v1/messages", r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#),
];

const EMPTY: [&str; 5] = [
    "{}",
    r#"{"id":"x"}"#,
    r#"{"id":"x","choices":[]}"#,
    r#"{"id":"x","choices":null}"#,
    r#"{"id":"x","choices":[{"index":0}],"usage":{"prompt_tokens":3,"completion_tokens":0,"total_tokens":3}}"#,
];

const USAGE: &str = "data: {\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":0,\"total_tokens\":3}}\n\n";

fn streams() -> Vec<Vec<&'static str>> {
    vec![vec!["data: [DONE]\n\n"], vec![USAGE, "data: [DONE]\n\n"], vec!["data: [DONE]"]]
}

/// `m` is an upstream of this kind, `b` a sound one that it falls back to.
async fn two(model: &str, sections: &str) -> (Upstream, Upstream, Bench) {
    let (bad, good) = (Upstream::start().await, Upstream::start().await);
    let list = [deployment("m", model, &bad.url()), deployment("b", "openai/gpt-4o", &good.url())];
    let bench = Bench::new(&config(&list, sections)).await;
    (bad, good, bench)
}

fn streaming(body: &str) -> String {
    body.replacen('{', "{\"stream\":true,", 1)
}

#[tokio::test]
async fn an_empty_answer_is_a_502_and_not_a_success() {
    let (bad, _, bench) = two("openai/gpt-4o", "router_settings: {num_retries: 0}\n").await;
    let mut calls = 0;
    for (path, body) in SURFACES {
        for answer in EMPTY {
            bad.script(Script::on("").json(200, answer).times(2));
            for body in [body.to_owned(), streaming(body)] {
                let found = bench.post(path, MASTER, body).answer().await;
                assert_eq!(found.status, 502, "{path} {answer}: {}", found.text());
                assert!(found.message().contains("empty"), "{}", found.text());
                calls += 1;
            }
        }
        for events in streams() {
            bad.script(Script::on("").sse(&events));
            let found = bench.post(path, MASTER, streaming(body)).answer().await;
            assert_eq!(found.status, 502, "{path} {events:?}: {}", found.text());
            calls += 1;
        }
    }
    let records = bench.records(calls).await;
    assert!(records.iter().all(|record| record.ending == Ending::UpstreamErrorBefore));
}

#[tokio::test]
async fn an_empty_answer_is_tried_again_and_falls_back() {
    let sections = "router_settings: {num_retries: 1, retry_after: 0, fallbacks: [{m: [b]}]}\n";
    for (path, body) in SURFACES {
        let (bad, good, bench) = two("openai/gpt-4o", sections).await;
        bad.script(Script::on("").json(200, "{\"choices\":[]}").times(2));
        good.script(canned::openai_chat("fine"));
        let found = bench.post(path, MASTER, body).answer().await;
        assert_eq!(found.status, 200, "{path}: {}", found.text());
        assert!(found.text().contains("fine"), "{}", found.text());
        assert_eq!((bad.received().len(), good.received().len()), (2, 1));
    }
}

#[tokio::test]
async fn claudes_silence_is_an_answer_where_it_says_why_it_ended() {
    let (claude, _, bench) =
        two("anthropic/claude-sonnet-4-5", "router_settings: {num_retries: 0}\n").await;
    let usage = r#""usage":{"input_tokens":3,"output_tokens":1}"#;
    let answer = |reason: &str| {
        format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[],"stop_reason":{reason},{usage}}}"#
        )
    };
    for (path, body) in SURFACES {
        claude.script(Script::on("").json(200, answer("\"end_turn\"")));
        let found = bench.post(path, MASTER, body).answer().await;
        assert_eq!(found.status, 200, "{path}: {}", found.text());
        claude.script(Script::on("").json(200, answer("null")));
        let found = bench.post(path, MASTER, body).answer().await;
        assert_eq!(found.status, 502, "{path}: {}", found.text());
    }
    let start = format!(
        "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"msg_1\",\"model\":\"c\",\"role\":\"assistant\",\"content\":[],{usage}}}}}\n\n"
    );
    let delta = format!(
        "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},{usage}}}\n\n"
    );
    let stop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n".to_owned();
    for (path, body) in SURFACES {
        claude.script(Script::on("").sse([&start, &delta, &stop]));
        let found = bench.post(path, MASTER, streaming(body)).answer().await;
        assert_eq!(found.status, 200, "{path}: {}", found.text());
        claude.script(Script::on("").sse([&start, &stop]));
        let found = bench.post(path, MASTER, streaming(body)).answer().await;
        assert_eq!(found.status, 502, "{path}: {}", found.text());
    }
}

#[tokio::test]
async fn embeddings_without_a_vector_are_a_502_too() {
    let (bad, _, bench) =
        two("openai/text-embedding-3-small", "router_settings: {num_retries: 0}\n").await;
    for answer in [
        "{}",
        r#"{"object":"list","data":[]}"#,
        r#"{"object":"list","data":null,"usage":{"prompt_tokens":3,"total_tokens":3}}"#,
    ] {
        bad.script(Script::on("").json(200, answer));
        let body = r#"{"model":"m","input":"Hi"}"#;
        let found = bench.post("/v1/embeddings", MASTER, body).answer().await;
        assert_eq!(found.status, 502, "{answer}: {}", found.text());
    }
}
