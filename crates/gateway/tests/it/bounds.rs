//! Under a cap on money, what is not known is charged at its bound, and what
//! cannot be bounded is refused.

use crate::harness::{Bench, config, deployment, deployment_with, read_until};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use testkit::canned::{self, Reply};
use testkit::{Gate, Script, Upstream};

const PATH: &str = "/v1/chat/completions";
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":900,"messages":[{"role":"user","content":"Hi"}]}"#;

async fn capped(list: String, upstream: &Upstream) -> (Bench, String) {
    let bench = Bench::new(&config(&[list], "")).await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000_000))).await;
    upstream.forget();
    (bench, key)
}

/// A client that hung up at the first event paid for three bytes, whatever
/// the model had thought by then.
#[tokio::test]
async fn a_hang_up_without_usage_is_charged_what_was_held() {
    let upstream = Upstream::start().await;
    let (bench, key) = capped(deployment("m", "openai/gpt-up", &upstream.url()), &upstream).await;
    let gate = Gate::new();
    let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    let head = Script::on("").sse_head().sse_events(&events[..2]);
    upstream.script(head.stall(&gate).sse_end());
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    drop(body);
    gate.open();
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::ClientGoneAfter);
    assert_eq!(record.cost_source, CostSource::Estimated);
    assert_eq!(record.cost, bench.opened()[0].reserved);
    assert!(record.cost >= NanoUsd(900 * 2000));
}

/// Providers that state a price state it in every chunk, as it grows.
#[tokio::test]
async fn a_price_that_still_grows_is_not_the_last_word() {
    let upstream = Upstream::start().await;
    let (bench, key) = capped(deployment("m", "openai/gpt-up", &upstream.url()), &upstream).await;
    let gate = Gate::new();
    let events = canned::openai_chat_events(&Reply::text("gpt", &["Hel", "lo"]));
    let stated = br#"data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"content":"!"},"finish_reason":null}],"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"cost":{"total_cost":0.000001}}}

"#;
    let head = Script::on("").sse_head().sse_events(&events[..2]).sse_events([stated]);
    upstream.script(head.stall(&gate).sse_end());
    let mut body = bench.post(PATH, &key, STREAM).send().await.into_body();
    read_until(&mut body, "!").await;
    drop(body);
    gate.open();
    let record = bench.record().await;
    assert_eq!(record.cost_source, CostSource::Estimated);
    assert!(record.cost >= NanoUsd(900 * 2000), "{:?}", record.cost);
}

/// A provider that does not know a tier charges as ever.
#[tokio::test]
async fn a_tier_that_nobody_confirms_makes_no_call_cheaper() {
    let upstream = Upstream::start().await;
    let list = "- model_name: m\n  litellm_params: {model: openai/gpt-4o, api_key: sk-x, api_base: \"URL\"}\n"
        .replace("URL", &upstream.url());
    let bench = Bench::new(&format!("model_list:\n{list}")).await;
    upstream.script(canned::openai_chat("Hello").always());
    let mut costs = Vec::new();
    for tier in ["auto", "batch", "flex", "priority"] {
        let body =
            format!(r#"{{"model":"m","service_tier":"{tier}","max_tokens":9,"messages":[]}}"#);
        assert_eq!(bench.chat(body).answer().await.status, 200);
    }
    for record in bench.records(4).await {
        costs.push(record.cost);
    }
    assert_eq!(costs[1..3], [costs[0]; 2]);
    assert!(costs[3] >= costs[0] && costs[0] > NanoUsd::ZERO);
}

#[tokio::test]
async fn what_nobody_can_bound_is_refused_by_name_under_a_cap_only() {
    let upstream = Upstream::start().await;
    let (bench, key) = capped(deployment("m", "openai/gpt-up", &upstream.url()), &upstream).await;
    upstream.script(canned::openai_chat("Hello").always());
    for (field, name) in [
        (r#""plugins":[{"id":"web"}]"#, "plugins"),
        (r#""models":["dear"]"#, "models"),
        (r#""web_search_options":{}"#, "web_search_options"),
        (r#""tools":[{"google_search":{}}]"#, "tools"),
        (r#""tools":[{"\u0074ype":"web_search"}]"#, "tools"),
    ] {
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[],{field}}}"#);
        let refused = bench.post(PATH, &key, body.clone()).answer().await;
        assert_eq!(refused.status, 400, "{name}");
        assert!(refused.message().contains(name), "{}", refused.message());
        assert_eq!(bench.chat(body).answer().await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn other_models_must_be_allowed_like_the_one_that_is_named() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[deployment("m", "openai/gpt-up", &upstream.url())], "")).await;
    upstream.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.models = vec!["m".to_owned()]).await;
    let body = |models: &str| format!(r#"{{"model":"m","models":{models},"messages":[]}}"#);
    assert_eq!(bench.post(PATH, &key, body(r#"["m"]"#)).answer().await.status, 200);
    let refused = bench.post(PATH, &key, body(r#"["m","dear"]"#)).answer().await;
    assert!(refused.status.is_client_error());
    assert_eq!(upstream.received().len(), 1);
}

/// Translation left out what the deployment says of the body.
#[tokio::test]
async fn a_translated_body_has_the_deployments_fields_and_is_bounded_by_them() {
    let upstream = Upstream::start().await;
    let more = "max_tokens: 77\nextra_body: {service_tier: standard_only}";
    let list = deployment_with("m", "anthropic/claude-up", &upstream.url(), more);
    let (bench, key) = capped(list, &upstream).await;
    upstream.script(canned::anthropic_message("Hello"));
    let body = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
    let answer = bench.post(PATH, &key, body).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = upstream.received()[0].json();
    assert_eq!((&sent["max_tokens"], &sent["service_tier"]), (&77.into(), &"standard_only".into()));
    let bytes = upstream.received()[0].body.len() as i64;
    assert_eq!(bench.opened()[0].reserved, NanoUsd(bytes * 1000 + 77 * 2000));
}
