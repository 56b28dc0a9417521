//! Attempts: retries, fallbacks, cooldowns, and what each leaves in the books.

use crate::harness::{
    Bench, CANNED_COST_NANOUSD, PROVIDER_KEY, config, deployment, deployment_with, next, read_until,
};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use std::time::Duration;
use testkit::canned;
use testkit::{Gate, Outcome, Script, Upstream};
use tokio::time::Instant;

pub(crate) const CHAT: &str =
    r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
pub(crate) const STREAM: &str =
    r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;

/// Two deployments of one group; the first is asked first.
pub(crate) async fn two(sections: &str) -> (Upstream, Upstream, Bench) {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "openai/gpt-up", &first.url(), "order: 1"),
        deployment_with("m", "openai/gpt-up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, sections)).await;
    (first, second, bench)
}

/// Three groups `m`, `b` and `c` with a deployment each, no retries.
pub(crate) async fn groups(sections: &str) -> ([Upstream; 3], Bench) {
    let all = [Upstream::start().await, Upstream::start().await, Upstream::start().await];
    let list: Vec<String> = ["m", "b", "c"]
        .iter()
        .zip(&all)
        .map(|(name, up)| deployment(name, &format!("openai/up-{name}"), &up.url()))
        .collect();
    let bench = Bench::new(&config(&list, sections)).await;
    (all, bench)
}

/// With `retry-after-ms: 1`, so that a retry in the same place need not wait.
pub(crate) fn soon(status: u16) -> Script {
    let headers = [("content-type", "application/json"), ("retry-after-ms", "1")];
    Script::on("").answer(status, &headers, canned::openai_error_body("x", None, "not now"))
}

fn context_too_long() -> Script {
    let body = canned::openai_error_body(
        "invalid_request_error",
        Some("context_length_exceeded"),
        "This model's maximum context length is 8192 tokens.",
    );
    Script::on("").json(400, body)
}

#[tokio::test]
async fn a_rate_limit_with_retry_after_goes_to_another_deployment_at_once() {
    let (first, second, bench) = two("").await;
    first.script(canned::rate_limited(30));
    second.script(canned::openai_chat("Hello").always());
    let begun = Instant::now();
    let answer = bench.chat(CHAT).answer().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "nobody waited for thirty seconds");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"));

    let records = bench.records(2).await;
    assert_eq!(records[0].id.call, records[1].id.call);
    assert_eq!((records[0].id.attempt, records[1].id.attempt), (0, 1));
    assert_eq!((records[0].status, records[1].status), (429, 200));
    assert_eq!(records[0].ending, Ending::UpstreamErrorBefore);
    assert_eq!(records[0].error_class.as_deref(), Some("rate_limit"));
    assert_eq!((records[0].cost, records[0].cost_source), (NanoUsd::ZERO, CostSource::None));
    assert_eq!(records[1].ending, Ending::Complete);
    assert_ne!(records[0].deployment_id, records[1].deployment_id);
}

#[tokio::test]
async fn a_rate_limited_deployment_is_left_alone_for_as_long_as_it_said() {
    let (first, second, bench) = two("").await;
    first.script(canned::rate_limited(30)).script(canned::openai_chat("again").always());
    second.script(canned::openai_chat("Hello").always());
    bench.chat(CHAT).answer().await;
    bench.clock.advance_ms(29_999);
    bench.chat(CHAT).answer().await;
    assert_eq!((first.received().len(), second.received().len()), (1, 2), "cooling down");
    bench.clock.advance_ms(1);
    bench.chat(CHAT).answer().await;
    assert_eq!((first.received().len(), second.received().len()), (2, 2), "back again");
}

#[tokio::test]
async fn where_all_cool_down_the_client_is_told_when_to_come_back() {
    let (first, second, bench) = two("router_settings: {num_retries: 1}\n").await;
    first.script(canned::rate_limited(30));
    second.script(canned::rate_limited(20));
    assert_eq!(bench.chat(CHAT).answer().await.status, 429);
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.header("retry-after"), Some("20"));
    let expected = "No deployments available for selected model, Try again in 20 seconds.";
    assert!(answer.message().starts_with(expected), "{}", answer.message());
    assert_eq!(bench.records(2).await.len(), 2, "no attempt, no record");
}

#[tokio::test]
async fn a_server_error_is_retried_in_the_only_place_there_is() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[deployment("m", "openai/gpt-up", &upstream.url())], "")).await;
    upstream.script(soon(500)).script(soon(503)).script(canned::openai_chat("Hello"));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("2"));
    let statuses: Vec<u16> = bench.records(3).await.iter().map(|record| record.status).collect();
    assert_eq!(statuses, [500, 503, 200]);
}

#[tokio::test]
async fn retries_end_and_the_last_error_is_the_answer() {
    let upstream = Upstream::start().await;
    let yaml = config(
        &[deployment("m", "openai/gpt-up", &upstream.url())],
        "router_settings: {num_retries: 1}\n",
    );
    let bench = Bench::new(&yaml).await;
    upstream.script(soon(500)).script(soon(502)).script(canned::openai_chat("never"));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!((answer.status.as_u16(), answer.message().as_str()), (502, "not now"));
    assert_eq!(bench.records(2).await.len(), 2);
}

#[tokio::test]
async fn the_clients_own_number_of_retries_counts() {
    let (first, second, bench) = two("").await;
    first.script(canned::openai_error(500));
    second.script(canned::openai_chat("never"));
    let none = CHAT.replace("{\"model\"", "{\"num_retries\":0,\"model\"");
    assert_eq!(bench.chat(none).answer().await.status, 500);
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn a_clients_mistake_is_tried_nowhere_else() {
    let sections = "router_settings: {num_retries: 2, default_fallbacks: [b]}\n";
    let (all, bench) = groups(sections).await;
    all[0].script(canned::openai_error(400).always());
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.message(), "canned error");
    assert_eq!(bench.records(1).await[0].status, 400);
    assert!(all[1].received().is_empty());
}

#[tokio::test]
async fn what_the_provider_says_not_to_retry_is_not_retried() {
    let (first, second, bench) = two("").await;
    let headers = [("content-type", "application/json"), ("x-should-retry", "false")];
    first.script(Script::on("").answer(500, &headers, "{}"));
    second.script(canned::openai_chat("never"));
    assert_eq!(bench.chat(CHAT).answer().await.status, 500);
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn a_refused_provider_key_sends_the_call_to_another_deployment() {
    let (first, second, bench) = two("").await;
    first.script(canned::openai_error(401));
    second.script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert_eq!(bench.records(2).await[0].error_class.as_deref(), Some("authentication"));
}

#[tokio::test]
async fn nobody_at_home_costs_nothing_and_the_call_goes_elsewhere() {
    let gone = Upstream::start().await;
    let dead = gone.url();
    drop(gone);
    let second = Upstream::start().await;
    second.script(canned::openai_chat("Hello"));
    let list = [
        deployment_with("m", "openai/gpt-up", &dead, "order: 1"),
        deployment_with("m", "openai/gpt-up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "")).await;
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    let records = bench.records(2).await;
    assert_eq!((records[0].status, records[0].cost_source), (0, CostSource::None));
    assert_eq!(records[0].error_class.as_deref(), Some("connection"));
}

#[tokio::test]
async fn an_error_inside_a_200_is_retried_while_nothing_semantic_has_come() {
    let (first, second, bench) = two("").await;
    first.script(canned::openai_error_in_stream(&[]));
    second.script(canned::openai_chat_stream(&["Hello"]));
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().contains("Hello") && answer.text().ends_with("data: [DONE]\n\n"));
    assert!(!answer.text().contains("the engine stopped"));
    let records = bench.records(2).await;
    assert_eq!(records[0].ending, Ending::UpstreamErrorBefore);
    assert_eq!(records[1].ending, Ending::Complete);

    let body = canned::openai_error_body("server_error", None, "inside");
    first.script(Script::on("").json(200, body));
    second.script(canned::openai_chat("Hello"));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!((answer.status.as_u16(), answer.text().contains("Hello")), (200, true));
    assert_eq!(bench.records(4).await[2].ending, Ending::UpstreamErrorBefore);
}

#[tokio::test]
async fn an_overloaded_first_event_of_anthropic_is_retried() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "anthropic/claude-up", &first.url(), "order: 1"),
        deployment_with("m", "anthropic/claude-up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "")).await;
    let start = canned::anthropic_events(&canned::Reply::text("claude", &[])).into_iter().take(2);
    let error = canned::anthropic_error_body("overloaded_error", "Overloaded");
    first.script(Script::on("").sse(start.chain([format!("event: error\ndata: {error}\n\n")])));
    second.script(canned::anthropic_stream(&["Hello"]));
    let body = STREAM.replace("{\"model\"", "{\"max_tokens\":9,\"model\"");
    let answer = bench.message(body).answer().await;
    assert!(answer.text().contains("Hello") && answer.text().contains("message_stop"));
    assert_eq!(answer.text().matches("message_start\ndata").count(), 1, "{}", answer.text());
    assert_eq!(bench.records(2).await[0].error_class.as_deref(), Some("overloaded"));
}

#[tokio::test]
async fn nothing_is_retried_after_the_first_semantic_byte() {
    let (first, second, bench) = two("router_settings: {default_fallbacks: [m]}\n").await;
    first.script(canned::openai_error_in_stream(&["Hel"]));
    second.script(canned::openai_chat_stream(&["never"]).always());
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().contains("Hel") && answer.text().contains("the engine stopped"));
    assert_eq!(bench.records(1).await[0].ending, Ending::UpstreamErrorAfter);
    assert!(second.received().is_empty());
}

#[tokio::test]
async fn a_failed_attempts_permit_is_settled_before_the_next_is_taken() {
    let (first, second, bench) = two("").await;
    let limit = NanoUsd(1_000_000);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let gate = Gate::new();
    first.script(canned::openai_error(429));
    second.script(
        Script::on("")
            .stall(&gate)
            .json(200, canned::openai_chat_body(&canned::Reply::text("gpt", &["Hello"]))),
    );
    let call = bench.post("/v1/chat/completions", &key, CHAT).answer();
    let look = async {
        gate.reached().await;
        assert_eq!(bench.settled(), 1);
        let opened = bench.opened();
        assert_eq!(opened.len(), 2, "both attempts were written down beforehand");
        assert_eq!(bench.money(&key, limit).held, opened[1].reserved.0, "one of them is held");
        gate.open();
    };
    let (answer, ()) = tokio::join!(call, look);
    assert_eq!(answer.status, 200);
    let usage = bench.money(&key, limit);
    assert_eq!((usage.spent, usage.held), (CANNED_COST_NANOUSD, 0));
}

#[tokio::test]
async fn fallbacks_lead_from_group_to_group_in_order() {
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [b, c]}]}\n";
    let (all, bench) = groups(sections).await;
    all[0].script(canned::openai_error(500));
    all[1].script(canned::openai_error(503));
    all[2].script(canned::openai_chat("Hello"));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-litellm-attempted-fallbacks"), Some("2"));
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("0"));
    let models: Vec<String> =
        bench.records(3).await.iter().map(|record| record.upstream_model.to_string()).collect();
    assert_eq!(models, ["up-m", "up-b", "up-c"]);
    assert_eq!(all[2].received()[0].json()["model"], "up-c");
}

#[tokio::test]
async fn default_fallbacks_serve_groups_without_their_own() {
    let (all, bench) = groups("router_settings: {num_retries: 0, default_fallbacks: [c]}\n").await;
    all[0].script(canned::openai_error(500));
    all[2].script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert!(all[1].received().is_empty());
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_to_the_context_window_fallback_only() {
    let sections = "router_settings: {num_retries: 2, fallbacks: [{m: [b]}], \
                    context_window_fallbacks: [{m: [c]}]}\n";
    let (all, bench) = groups(sections).await;
    all[0].script(context_too_long());
    all[2].script(canned::openai_chat("Hello"));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert_eq!((all[0].received().len(), all[1].received().len()), (1, 0));
    assert_eq!(bench.records(2).await[0].error_class.as_deref(), Some("context_length"));
}

/// LiteLLM's router: the special lists go before the general one where there
/// are any, and only there.
#[tokio::test]
async fn a_prompt_that_is_too_long_takes_the_general_fallback_where_there_is_no_special_list() {
    for (sections, status) in [
        ("router_settings: {num_retries: 0, fallbacks: [{m: [b]}]}\n", 200),
        ("router_settings: {num_retries: 0, default_fallbacks: [b]}\n", 200),
        (
            "router_settings: {num_retries: 0, fallbacks: [{m: [b]}], \
             context_window_fallbacks: [{x: [c]}]}\n",
            400,
        ),
    ] {
        let (all, bench) = groups(sections).await;
        all[0].script(context_too_long());
        all[1].script(canned::openai_chat("Hello"));
        assert_eq!(bench.chat(CHAT).answer().await.status, status, "{sections}");
    }
}

#[tokio::test]
async fn a_deployments_own_cooldown_goes_before_the_providers_word() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "openai/gpt-up", &first.url(), "order: 1\ncooldown_time: 2"),
        deployment_with("m", "openai/gpt-up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "")).await;
    first.script(canned::rate_limited(30)).script(canned::openai_chat("again").always());
    second.script(canned::openai_chat("Hello").always());
    bench.chat(CHAT).answer().await;
    bench.clock.advance_ms(2000);
    assert!(bench.chat(CHAT).answer().await.text().contains("again"));
}

/// It was Anthropic's 529 or OpenAI's 503, by where in the answer it stood.
#[tokio::test]
async fn an_overload_has_the_clients_status_wherever_the_provider_says_it() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "anthropic/claude-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "router_settings: {num_retries: 0}\n")).await;
    let error = canned::anthropic_error_body("overloaded_error", "Overloaded");
    let event = format!("event: error\ndata: {error}\n\n");
    let answers = [
        (CHAT, Script::on("").json(529, error.clone())),
        (CHAT, Script::on("").json(200, error)),
        (STREAM, Script::on("").sse([event])),
    ];
    for (body, script) in answers {
        upstream.script(script);
        assert_eq!(bench.chat(body).answer().await.status, 503);
    }
}

#[tokio::test]
async fn a_fallback_that_the_key_may_not_use_is_skipped() {
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [b, c]}]}\n";
    let (all, bench) = groups(sections).await;
    all[0].script(canned::openai_error(500).always());
    all[1].script(canned::openai_chat("forbidden").always());
    all[2].script(canned::openai_chat("allowed").always());
    let key = bench.key(|key| key.models = vec!["m".into(), "c".into()]).await;
    let answer = bench.post("/v1/chat/completions", &key, CHAT).answer().await;
    assert!(answer.text().contains("allowed"), "{}", answer.text());
    assert!(all[1].received().is_empty());

    let key = bench.key(|key| key.models = vec!["m".into()]).await;
    let answer = bench.post("/v1/chat/completions", &key, CHAT).answer().await;
    assert_eq!(answer.status, 500, "the first failure is told, not the refusal");
    assert_eq!(all[2].received().len(), 1);
}

#[tokio::test]
async fn the_clients_own_fallbacks_bind_to_the_key_too_and_can_be_switched_off() {
    let (all, bench) = groups("router_settings: {num_retries: 0, default_fallbacks: [b]}\n").await;
    all[0].script(canned::openai_error(500).always());
    all[1].script(canned::openai_chat("b").always());
    all[2].script(canned::openai_chat("c").always());
    let own = CHAT.replace("{\"model\"", "{\"fallbacks\":[\"b\",\"c\"],\"model\"");
    let key = bench.key(|key| key.models = vec!["m".into(), "c".into()]).await;
    let answer = bench.post("/v1/chat/completions", &key, own).answer().await;
    assert_eq!(answer.status, 200);
    assert!(all[1].received().is_empty());
    let sent = &all[2].received()[0];
    assert!(sent.json().get("fallbacks").is_none(), "said to the gateway alone");

    let off = CHAT.replace("{\"model\"", "{\"disable_fallbacks\":true,\"model\"");
    assert_eq!(bench.chat(off).answer().await.status, 500);
}

#[tokio::test]
async fn max_fallbacks_ends_the_chain() {
    let sections =
        "router_settings: {num_retries: 0, max_fallbacks: 1, fallbacks: [{m: [b, c]}]}\n";
    let (all, bench) = groups(sections).await;
    all[0].script(canned::openai_error(500));
    all[1].script(canned::openai_error(502));
    all[2].script(canned::openai_chat("never"));
    assert_eq!(bench.chat(CHAT).answer().await.status, 502);
    assert!(all[2].received().is_empty());
}

#[tokio::test]
async fn a_fallback_in_another_dialect_is_translated() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment("m", "openai/gpt-up", &first.url()),
        deployment("b", "anthropic/claude-up", &second.url()),
    ];
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [b]}]}\n";
    let bench = Bench::new(&config(&list, sections)).await;
    first.script(canned::openai_error(500).always());
    second.script(canned::anthropic_message("Bonjour"));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.json()["choices"][0]["message"]["content"], "Bonjour");
    let sent = &second.received()[0];
    assert_eq!(
        (sent.header("x-api-key"), sent.header("authorization")),
        (Some(PROVIDER_KEY), None)
    );
    second.script(canned::anthropic_stream(&["Bon", "jour"]));
    let answer = bench.chat(STREAM).answer().await;
    assert!(answer.text().ends_with("data: [DONE]\n\n"), "{}", answer.text());
}

#[tokio::test]
async fn a_full_deployment_is_passed_over_without_spending_a_retry() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "openai/gpt-up", &first.url(), "order: 1\nmax_parallel_requests: 1"),
        deployment_with("m", "openai/gpt-up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "router_settings: {num_retries: 0}\n")).await;
    let gate = Gate::new();
    first.script(Script::on("").stall(&gate).json(200, "{}"));
    first.script(canned::openai_chat("free again"));
    second.script(canned::openai_chat("Hello"));
    let busy = bench.chat(CHAT).answer();
    let meanwhile = async {
        gate.reached().await;
        let answer = bench.chat(CHAT).answer().await;
        assert!(answer.text().contains("Hello"), "{}", answer.text());
        assert_eq!(answer.header("x-litellm-attempted-retries"), Some("0"));
        assert_eq!(bench.record().await.id.attempt, 0, "what was full was not attempted");
        gate.open();
    };
    tokio::join!(busy, meanwhile);
    let answer = bench.chat(CHAT).answer().await;
    assert!(answer.text().contains("free again"), "the place was given back: {}", answer.text());
}

#[tokio::test]
async fn a_client_that_hangs_up_while_a_retry_waits_causes_no_other_attempt() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[deployment("m", "openai/gpt-up", &upstream.url())], "")).await;
    let headers = [("content-type", "application/json"), ("retry-after-ms", "50000")];
    upstream.script(Script::on("").answer(500, &headers, "{}").always());
    let failed = async {
        upstream.ended_at_least(1, Outcome::Answered).await;
        while bench.settled() == 0 {
            tokio::task::yield_now().await;
        }
    };
    bench.chat(CHAT).hang_up_after(failed).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(2)).await;
    assert_eq!(bench.records(1).await.len(), 1);
    assert_eq!(upstream.received().len(), 1);
}

#[tokio::test]
async fn a_slow_first_event_sends_a_200_and_keep_alives_and_then_the_stream() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench =
        Bench::new(&config(&list, "keymoat: {peek_timeout_ms: 1, response_model: upstream}\n"))
            .await;
    let gate = Gate::new();
    let events = canned::openai_chat_events(&canned::Reply::text("gpt", &["Hello"]));
    upstream.script(Script::on("").stall(&gate).sse(&events));
    let response = bench.chat(STREAM).send().await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert!(response.headers().contains_key("x-litellm-call-id"));
    assert_eq!(response.headers()["x-litellm-model-group"], "m");
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
    gate.reached().await;
    tokio::time::pause();
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
        assert!(begun.elapsed() >= Duration::from_secs(9), "ten seconds apart");
    }
    tokio::time::resume();
    gate.open();
    let rest = read_until(&mut body, "[DONE]\n\n").await;
    let usage = &events[events.len() - 2];
    assert_eq!(rest, events.concat().replace(usage, ""), "only our usage is gone");
    assert_eq!(bench.record().await.ending, Ending::Complete);
}

#[tokio::test]
async fn a_failure_behind_a_200_is_still_retried_elsewhere() {
    let (first, second, bench) = two("keymoat: {peek_timeout_ms: 1}\n").await;
    let gate = Gate::new();
    let failure = canned::openai_error(500).into_steps();
    first.script(Script::on("").stall(&gate).steps(failure));
    second.script(canned::openai_chat_stream(&["Hello"]));
    let mut body = bench.chat(STREAM).send().await.into_body();
    assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
    gate.open();
    let rest = read_until(&mut body, "[DONE]").await;
    assert!(rest.contains("Hello") && !rest.contains("error"), "{rest}");
    let endings: Vec<Ending> = bench.records(2).await.iter().map(|record| record.ending).collect();
    assert_eq!(endings, [Ending::UpstreamErrorBefore, Ending::Complete]);
}

#[tokio::test]
async fn where_all_fail_behind_a_200_the_client_gets_a_typed_error_event() {
    let (first, second, bench) =
        two("keymoat: {peek_timeout_ms: 1}\nrouter_settings: {num_retries: 1}\n").await;
    let gate = Gate::new();
    first.script(Script::on("").stall(&gate).steps(canned::openai_error(500).into_steps()));
    second.script(canned::openai_error(503));
    let mut body = bench.chat(STREAM).send().await.into_body();
    assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
    gate.open();
    let error = next(&mut body).await.unwrap();
    let error: serde_json::Value =
        serde_json::from_slice(error.strip_prefix(b"data: ").unwrap().trim_ascii()).unwrap();
    assert_eq!(error["error"]["message"], "canned error");
    assert_eq!(next(&mut body).await, None, "and no [DONE]");
}

#[tokio::test]
async fn an_anthropic_client_waits_with_pings_and_gets_its_own_error() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "anthropic/claude-up", &upstream.url())];
    let sections = "keymoat: {peek_timeout_ms: 1}\nrouter_settings: {num_retries: 0}\n";
    let bench = Bench::new(&config(&list, sections)).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate).steps(canned::anthropic_error(529).into_steps()));
    let body = STREAM.replace("{\"model\"", "{\"max_tokens\":9,\"model\"");
    let mut body = bench.message(body).send().await.into_body();
    assert_eq!(next(&mut body).await.unwrap(), "event: ping\ndata: {\"type\": \"ping\"}\n\n");
    gate.open();
    let error = next(&mut body).await.unwrap();
    assert!(error.starts_with(b"event: error\ndata: {\"type\":\"error\""), "{error:?}");
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn an_attempt_goes_on_when_its_client_leaves_while_it_is_kept_alive() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "keymoat: {peek_timeout_ms: 1}\n")).await;
    let gate = Gate::new();
    let events = canned::openai_chat_events(&canned::Reply::text("gpt", &["Hel", "lo"]));
    upstream.script(Script::on("").stall(&gate).sse(events));
    let mut body = bench.chat(STREAM).send().await.into_body();
    assert_eq!(next(&mut body).await.unwrap(), ": keep-alive\n\n");
    gate.reached().await;
    drop(body);
    assert_eq!(bench.settled(), 0);
    gate.open();
    upstream.ended_at_least(1, Outcome::Answered).await;
    assert_eq!(bench.record().await.ending, Ending::ClientGoneBefore);
}

#[tokio::test]
async fn a_unary_call_is_never_answered_before_its_answer() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let sections = "keymoat: {peek_timeout_ms: 1}\nrouter_settings: {num_retries: 0}\n";
    let bench = Bench::new(&config(&list, sections)).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate).steps(canned::openai_error(500).into_steps()));
    let call = bench.chat(CHAT).answer();
    let open = async {
        gate.reached().await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(30)).await;
        tokio::time::resume();
        gate.open();
    };
    let (answer, ()) = tokio::join!(call, open);
    assert_eq!(answer.status, 500, "a status, not an event");
}
