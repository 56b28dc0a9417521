//! The other surfaces, and what no surface takes.

use crate::harness::{Bench, CANNED_COST_NANOUSD, MASTER, config, deployment};
use base::NanoUsd;
use base64::Engine as _;
use ledger::{CostSource, Ending};
use serde_json::json;
use testkit::canned;
use testkit::provider;
use testkit::{Script, Upstream};

async fn one(model: &str, sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start_with(provider::answer).await;
    let bench = Bench::new(&config(&[deployment("m", model, &upstream.url())], sections)).await;
    (upstream, bench)
}

const COUNT: &str = r#"{"model":"m", "messages":[{"role":"user","content":"Hi"}]}"#;

#[tokio::test]
async fn tokens_are_counted_by_anthropic_at_no_cost() {
    let (upstream, bench) = one("anthropic/claude-up", "").await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(1))).await;
    let answer = bench.post("/v1/messages/count_tokens", &key, COUNT).answer().await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, r#"{"input_tokens":11}"#));
    let sent = &upstream.received()[0];
    assert_eq!(sent.route(), "/v1/messages/count_tokens");
    assert_eq!(sent.body, COUNT.replace("\"m\"", "\"claude-up\""));
    let record = bench.record().await;
    assert_eq!((record.cost, record.cost_source), (NanoUsd::ZERO, CostSource::None));
    assert_eq!(record.call_type.as_ref(), "acount_tokens");
    assert_eq!(bench.money(&key, NanoUsd(1)).spent, 0);
}

#[tokio::test]
async fn a_clients_own_headers_reach_the_provider_where_the_operator_says_so() {
    for (general, expected) in [("", None), ("forward_client_headers_to_llm_api: true", Some("1"))]
    {
        let upstream = Upstream::start_with(provider::answer).await;
        let list = config(&[deployment("m", "openai/gpt-up", &upstream.url())], "");
        let bench = Bench::with_general(&list, general).await;
        let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let call = bench.post(path, MASTER, body).header("x-trace-id", "1");
            let answer = call.header("x-api-key", MASTER).answer().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        for sent in upstream.received() {
            assert_eq!(sent.header("x-trace-id"), expected);
            assert_eq!(sent.header("x-api-key"), None);
        }
    }
}

#[tokio::test]
async fn tokens_are_guessed_where_the_provider_counts_none() {
    let (upstream, bench) = one("openai/gpt-up", "").await;
    let answer = bench.post("/v1/messages/count_tokens", MASTER, COUNT).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!((1..100).contains(&answer.json()["input_tokens"].as_u64().unwrap()));
    assert!(upstream.received().is_empty());
    assert_eq!(bench.settled(), 0);
}

#[tokio::test]
async fn embeddings_pass_as_numbers_and_are_priced_by_their_input() {
    let (upstream, bench) = one("openai/embed-up", "").await;
    let body = r#"{"input":["a","b"],"model":"m","encoding_format":"float"}"#;
    let limit = NanoUsd(1_000_000);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let answer = bench.post("/v1/embeddings", &key, body).answer().await;
    assert_eq!(answer.json()["data"][1]["embedding"], json!([0.25, -0.5, 1.0]));
    assert_eq!(upstream.received()[0].body, body.replace("\"m\"", "\"embed-up\""));
    let record = bench.record().await;
    assert_eq!((record.ending, record.cost), (Ending::Complete, NanoUsd(11 * 1000)));
    assert_eq!(record.call_type.as_ref(), "aembedding");
    assert_eq!(bench.opened()[0].reserved, NanoUsd(body.len() as i64 * 1000));
    assert_eq!(bench.money(&key, limit).spent, 11 * 1000);
}

#[tokio::test]
async fn embeddings_asked_for_in_base64_come_in_base64_whatever_the_provider_gives() {
    let floats: Vec<u8> = [0.25_f32, -0.5, 1.0].iter().flat_map(|f| f.to_le_bytes()).collect();
    let expected = base64::engine::general_purpose::STANDARD.encode(floats);
    let body = r#"{"input":["a","b"],"model":"m","encoding_format":"base64"}"#;

    // A server that only gives numbers.
    let (upstream, bench) = one("openai/embed-up", "").await;
    upstream.script(canned::embeddings(2));
    let answer = bench.post("/v1/embeddings", MASTER, body).answer().await;
    for index in 0..2 {
        assert_eq!(answer.json()["data"][index]["embedding"], expected);
    }
    assert_eq!(answer.json()["model"], "m", "and the name that was asked for");

    // One that does as it is told.
    let answer = bench.post("/v1/embeddings", MASTER, body).answer().await;
    assert_eq!(answer.json()["data"][1]["embedding"], expected);
    assert_eq!(upstream.unmatched(), 0);
}

#[tokio::test]
async fn a_provider_without_the_endpoint_is_named_in_a_400() {
    let (upstream, bench) = one("anthropic/claude-up", "").await;
    let answer =
        bench.post("/v1/embeddings", MASTER, r#"{"input":"a","model":"m"}"#).answer().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.message(), "Anthropic has no embeddings endpoint.");
    assert_eq!((bench.settled(), bench.opened().len()), (0, 0), "no permit was taken");
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn older_completions_pass_and_are_translated() {
    let body = r#"{"model":"m","prompt":"Hi","max_tokens":9}"#;
    let (upstream, bench) = one("openai/gpt-up", "").await;
    let answer = bench.post("/v1/completions", MASTER, body).answer().await;
    assert_eq!(answer.json()["choices"][0]["text"], "Hello");
    assert_eq!(upstream.received()[0].body, body.replace("\"m\"", "\"gpt-up\""));
    assert_eq!(bench.record().await.cost, NanoUsd(CANNED_COST_NANOUSD));

    let (upstream, bench) = one("anthropic/claude-up", "").await;
    let answer = bench.post("/completions", MASTER, body).answer().await;
    assert_eq!(answer.json()["choices"][0]["text"], "You said: Hi", "{}", answer.text());
    assert_eq!(answer.json()["object"], "text_completion");
    assert_eq!(upstream.received()[0].route(), "/v1/messages");
}

#[tokio::test]
async fn a_model_in_the_path_counts_before_the_bodys() {
    let (upstream, bench) = one("openai/gpt-up", "").await;
    for body in [r#"{"messages":[]}"#, r#"{"model":"other","messages":[]}"#] {
        let answer = bench.post("/engines/m/chat/completions", MASTER, body).answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert!(upstream.received().iter().all(|sent| sent.json()["model"] == "gpt-up"));
}

#[tokio::test]
async fn a_wildcard_group_fills_in_what_the_client_named() {
    let upstream = Upstream::start_with(provider::answer).await;
    let list = [deployment("\"own/*\"", "\"openai/up-*\"", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    bench.chat(r#"{"model":"own/large","messages":[]}"#).answer().await;
    assert_eq!(upstream.received()[0].json()["model"], "up-large");
    assert_eq!(bench.record().await.upstream_model.as_ref(), "up-large");
}

#[tokio::test]
async fn what_cannot_be_a_request_is_refused_and_holds_nothing() {
    let sections = "keymoat: {listen: {body_max_bytes: 2048}}\n";
    let (upstream, bench) = one("openai/gpt-up", sections).await;
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
    let large = format!("{{\"model\":\"m\",\"messages\":[],\"user\":\"{}\"}}", "x".repeat(3000));
    for (body, status, word) in [
        ("", 400, ""),
        ("[]", 400, ""),
        ("{\"model\":\"m\"", 400, ""),
        ("{\"messages\":[]}", 400, "model"),
        (
            "{\"model\":\"nobody\",\"messages\":[]}",
            400,
            "Invalid model name passed in model=nobody",
        ),
        ("{\"model\":\"m\",\"model\":\"m2\",\"messages\":[]}", 400, "model"),
        (large.as_str(), 413, "2048 bytes"),
    ] {
        let answer = bench.post("/v1/chat/completions", &key, body.to_owned()).answer().await;
        assert_eq!(answer.status, status, "{body:.40}: {}", answer.text());
        assert!(answer.message().contains(word), "{}", answer.text());
        assert_eq!(bench.in_flight(&key, 1), 0);
    }
    assert!(upstream.received().is_empty());
    assert_eq!(bench.settled(), 0);
    let answer = bench.post("/v1/chat/completions", &key, r#"{"model":"m","messages":[]}"#);
    assert_eq!(answer.answer().await.status, 200);
}

#[tokio::test]
async fn an_unknown_parameter_of_the_other_dialect_is_refused_unless_it_may_be_dropped() {
    let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"logit_bias":{"1":2}}"#;
    let (upstream, bench) = one("anthropic/claude-up", "").await;
    let answer = bench.chat(body).answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("logit_bias"), "{}", answer.text());
    assert!(upstream.received().is_empty());
    assert_eq!((bench.settled(), bench.opened().len()), (0, 0), "no permit was taken");

    let dropping = body.replace("{\"model\"", "{\"drop_params\":true,\"model\"");
    assert_eq!(bench.chat(dropping).answer().await.status, 200);
    assert!(upstream.received()[0].json().get("logit_bias").is_none());
}

#[tokio::test]
async fn a_provider_that_answers_a_stream_with_json_is_still_understood() {
    let (upstream, bench) = one("openai/gpt-up", "").await;
    upstream.script(
        Script::on("").json(200, canned::openai_chat_body(&canned::Reply::text("gpt", &["Hello"]))),
    );
    let answer = bench.chat(r#"{"model":"m","stream":true,"messages":[]}"#).answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(bench.record().await.cost, NanoUsd(CANNED_COST_NANOUSD));
}

/// It went to `/chat/completions`, which Ollama does not have.
#[tokio::test]
async fn ollama_is_asked_where_litellms_users_say_it_is() {
    let upstream = Upstream::start_with(provider::answer).await;
    for base in ["", "/", "/v1", "/api/chat"] {
        let url = format!("{}{base}", upstream.url());
        let bench = Bench::new(&config(&[deployment("m", "ollama/llama3", &url)], "")).await;
        bench.chat(r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#).answer().await;
    }
    let received = upstream.received();
    let routes: Vec<_> = received.iter().map(testkit::Request::route).collect();
    assert_eq!(routes, ["/v1/chat/completions"; 4]);
}
