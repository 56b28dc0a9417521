//! Deployments that cannot be told what the client asks for.

use crate::harness::{Bench, config, deployment, deployment_with};
use crate::retries::CHAT;
use base::NanoUsd;
use testkit::{Upstream, canned};

/// Anthropic has no `n`.
const TWICE: &str =
    r#"{"model":"m","n":2,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;

/// One group: Anthropic's deployment is asked first, OpenAI's second.
async fn mixed(sections: &str) -> (Upstream, Upstream, Bench) {
    let (claude, gpt) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "anthropic/claude-up", &claude.url(), "order: 1"),
        deployment_with("m", "openai/gpt-up", &gpt.url(), "order: 2"),
    ];
    (claude, gpt, Bench::new(&config(&list, sections)).await)
}

#[tokio::test]
async fn it_is_passed_over_without_spending_a_retry() {
    let (claude, gpt, bench) = mixed("router_settings: {num_retries: 0}\n").await;
    gpt.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(10_000_000))).await;
    let answer = bench.post("/v1/chat/completions", &key, TWICE).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("0"));
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("0"));
    assert!(claude.received().is_empty());
    let record = bench.record().await;
    assert_eq!((record.id.attempt, &*record.upstream_model), (0, "gpt-up"));
    assert_eq!(bench.opened().len(), 1, "nothing was reserved for what was not attempted");
    let usage = bench.money(&key, NanoUsd(10_000_000));
    assert_eq!((usage.spent, usage.held), (record.cost.0, 0));
}

#[tokio::test]
async fn where_none_fits_the_client_hears_why() {
    let claude = Upstream::start().await;
    let list = [
        deployment("m", "anthropic/claude-up", &claude.url()),
        deployment("m", "anthropic/claude-too", &claude.url()),
    ];
    let bench = Bench::new(&config(&list, "")).await;
    let answer = bench.chat(TWICE).answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("`n`"), "{}", answer.message());
    assert!(answer.header("x-litellm-call-id").is_some());
    assert!(claude.received().is_empty());
}

#[tokio::test]
async fn a_fallback_that_fits_is_tried() {
    let (claude, gpt) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment("m", "anthropic/claude-up", &claude.url()),
        deployment("b", "openai/gpt-up", &gpt.url()),
    ];
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [b]}]}\n";
    let bench = Bench::new(&config(&list, sections)).await;
    gpt.script(canned::openai_chat("Hello"));
    let answer = bench.chat(TWICE).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("1"));
    let off = TWICE.replace("{\"model\"", "{\"disable_fallbacks\":true,\"model\"");
    assert_eq!(bench.chat(off).answer().await.status, 400);
}

#[tokio::test]
async fn a_retry_goes_back_to_the_one_that_fits() {
    let (claude, gpt, bench) = mixed("router_settings: {num_retries: 1}\n").await;
    gpt.script(crate::retries::soon(500)).script(canned::openai_chat("Hello"));
    let answer = bench.chat(TWICE).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"));
    assert_eq!((claude.received().len(), gpt.received().len()), (0, 2));
    // Its own failure is told, not that the other did not fit.
    gpt.script(crate::retries::soon(503)).script(crate::retries::soon(502));
    assert_eq!(bench.chat(TWICE).answer().await.status, 502);
}

#[tokio::test]
async fn where_the_one_that_fits_cools_down_the_client_is_told_when_to_come_back() {
    let (_claude, gpt, bench) = mixed("router_settings: {num_retries: 0}\n").await;
    gpt.script(canned::rate_limited(30));
    assert_eq!(bench.chat(TWICE).answer().await.status, 429);
    let answer = bench.chat(TWICE).answer().await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (429, Some("30")));
}

#[tokio::test]
async fn one_without_the_endpoint_is_passed_over_too() {
    let (voyage, gpt) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "voyage/voyage-up", &voyage.url(), "order: 1"),
        deployment_with("m", "openai/gpt-up", &gpt.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "router_settings: {num_retries: 0}\n")).await;
    gpt.script(canned::openai_chat("Hello"));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(voyage.received().is_empty());
}

#[tokio::test]
async fn one_without_a_known_price_is_passed_over_under_a_cap() {
    let (unpriced, priced) = (Upstream::start().await, Upstream::start().await);
    let bare = format!(
        "  - model_name: m\n    litellm_params: {{model: openai/unheard-of, order: 1, api_key: k, \
         api_base: \"{}\"}}\n",
        unpriced.url()
    );
    let list = [bare, deployment_with("m", "openai/gpt-up", &priced.url(), "order: 2")];
    let bench = Bench::new(&config(&list, "router_settings: {num_retries: 0}\n")).await;
    unpriced.script(canned::openai_chat("free of charge").always());
    priced.script(canned::openai_chat("Hello").always());
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(10_000_000))).await;
    let answer = bench.post("/v1/chat/completions", &key, CHAT).answer().await;
    assert!(answer.text().contains("Hello"), "{}", answer.text());
    assert!(unpriced.received().is_empty());
    assert_eq!(bench.record().await.id.attempt, 0);
    assert!(bench.chat(CHAT).answer().await.text().contains("free"), "without a cap it serves");
}
