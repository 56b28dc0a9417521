//! A reload: all of the new configuration or nothing of it, and what a running
//! call keeps.

use crate::harness::{Bench, config, deployment_with};
use crate::retries::{CHAT, soon};
use testkit::{Gate, Script, Upstream, canned};

/// One deployment with a fixed id and a limit in flight.
fn limited(url: &str, limit: u32) -> String {
    let more = format!("max_parallel_requests: {limit}");
    deployment_with("m", "openai/up", url, &more) + "    model_info: {id: fixed}\n"
}

#[tokio::test]
async fn a_refused_reload_changes_no_limit() {
    let upstream = Upstream::start().await;
    let url = upstream.url();
    let bench = Bench::new(&config(&[limited(&url, 2)], "")).await;
    let broken = "litellm_settings: {max_budget: 1, budget_duration: 4000000000mo}\n";
    let problem = bench.reload(&config(&[limited(&url, 7)], broken)).await.unwrap_err();
    assert!(problem.contains("budget_duration"), "{problem}");

    let runtime = bench.gateway.runtime();
    let served: Vec<_> = runtime.routes.groups().flat_map(|group| &group.deployments).collect();
    assert_eq!(served.len(), 1);
    let cell = served[0].in_flight.as_ref().unwrap();
    assert_eq!(bench.gateway.book().usage(cell).limit, 2);
    bench.reload(&config(&[limited(&url, 7)], "")).await.unwrap();
    assert_eq!(bench.gateway.book().usage(cell).limit, 7, "the same account, with the new limit");
}

#[tokio::test]
async fn a_running_call_may_retry_at_an_origin_that_a_reload_took_away() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "openai/up", &first.url(), "order: 1"),
        deployment_with("m", "openai/up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "")).await;
    let gate = Gate::new();
    let late = Script::on("").stall(&gate);
    first.script(late.steps(soon(429).into_steps()));
    second.script(canned::openai_chat("Hello").always());
    let call = tokio::spawn(bench.chat(CHAT).answer());
    gate.reached().await;
    bench.reload(&config(&list[..1], "")).await.unwrap();
    gate.open();
    let answer = call.await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"));
}
