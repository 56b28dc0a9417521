//! The client goes away before its answer: nothing stays held, one record.

use crate::harness::{Bench, CANNED_COST_NANOUSD, config, deployment, deployment_with, local};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use std::time::Duration;
use testkit::canned::{self, Reply};
use testkit::{Gate, Outcome, Script, Upstream};

const PATH: &str = "/v1/chat/completions";
const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const LIMIT: NanoUsd = NanoUsd(1_000_000);

async fn one(model: &str, sections: &str) -> (Upstream, Bench, String) {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[deployment("m", model, &upstream.url())], sections)).await;
    let key = bench
        .key(|key| {
            key.max_budget = Some(LIMIT);
            key.max_parallel_requests = Some(1);
        })
        .await;
    (upstream, bench, key)
}

fn slow_answer(gate: &Gate) -> Script {
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]));
    Script::on("").stall(gate).json(200, body)
}

#[tokio::test]
async fn where_the_provider_bills_anyway_the_answer_is_read_and_its_true_cost_charged() {
    let (upstream, bench, key) = one("openai/gpt-up", "").await;
    let gate = Gate::new();
    upstream.script(slow_answer(&gate));
    bench.post(PATH, &key, CHAT).hang_up_after(gate.reached()).await;
    assert_eq!(bench.settled(), 0, "it goes on in the background");
    assert!(bench.money(&key, LIMIT).held > 0);
    gate.open();
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::ClientGoneBefore);
    assert_eq!(record.cost_source, CostSource::Computed);
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
    upstream.ended_at_least(1, Outcome::Answered).await;
    let usage = bench.money(&key, LIMIT);
    assert_eq!((usage.spent, usage.held), (CANNED_COST_NANOUSD, 0));
    while bench.in_flight(&key, 1) > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_that_sends_no_bill_is_cancelled_at_once() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[local("m", &upstream.url())], "")).await;
    let key = bench.key(|key| key.max_parallel_requests = Some(1)).await;
    let gate = Gate::new();
    upstream.script(slow_answer(&gate));
    bench.post(PATH, &key, CHAT).hang_up_after(gate.reached()).await;
    assert_eq!(bench.settled(), 1, "with the hang-up itself");
    upstream.ended_at_least(1, Outcome::ClientGone).await;
    let record = bench.record().await;
    assert_eq!((record.ending, record.cost), (Ending::ClientGoneBefore, NanoUsd::ZERO));
    assert_eq!(bench.in_flight(&key, 1), 0);
}

/// A price says that somebody sends a bill.
#[tokio::test]
async fn a_server_of_ones_own_with_a_price_is_read_to_its_end() {
    let (upstream, bench, key) = one("hosted_vllm/llama", "").await;
    let gate = Gate::new();
    upstream.script(slow_answer(&gate));
    bench.post(PATH, &key, CHAT).hang_up_after(gate.reached()).await;
    assert_eq!(bench.settled(), 0);
    gate.open();
    let record = bench.record().await;
    assert_eq!(
        (record.cost_source, record.cost),
        (CostSource::Computed, NanoUsd(CANNED_COST_NANOUSD))
    );
}

#[tokio::test]
async fn an_answer_that_takes_longer_than_the_drain_limit_is_given_up_and_estimated() {
    let (upstream, bench, key) = one("openai/gpt-up", "keymoat: {drain: {max_ms: 7000}}\n").await;
    let gate = Gate::new();
    upstream.script(slow_answer(&gate));
    bench.post(PATH, &key, CHAT).hang_up_after(gate.reached()).await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let record = bench.record().await;
    assert!(begun.elapsed() >= Duration::from_millis(6900), "{:?}", begun.elapsed());
    assert_eq!(record.ending, Ending::ClientGoneBefore);
    assert_eq!(record.cost_source, CostSource::Estimated);
    assert_eq!((bench.money(&key, LIMIT).held, bench.in_flight(&key, 1)), (0, 0));
    tokio::time::resume();
    upstream.ended_at_least(1, Outcome::ClientGone).await;
}

#[tokio::test]
async fn a_drained_attempt_that_fails_is_not_tried_again() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let list = [
        deployment_with("m", "openai/gpt-up", &first.url(), "order: 1"),
        deployment_with("m", "openai/gpt-up", &second.url(), "order: 2"),
    ];
    let bench = Bench::new(&config(&list, "")).await;
    let gate = Gate::new();
    first.script(Script::on("").stall(&gate).steps(canned::openai_error(429).into_steps()));
    second.script(canned::openai_chat("never"));
    bench.chat(CHAT).hang_up_after(gate.reached()).await;
    gate.open();
    let record = bench.record().await;
    assert_eq!((record.ending, record.cost), (Ending::UpstreamErrorBefore, NanoUsd::ZERO));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(second.received().is_empty());
    assert_eq!(bench.settled(), 1);
}

#[tokio::test]
async fn a_client_gone_in_the_middle_of_a_unary_answer_is_drained_too() {
    let (upstream, bench, key) = one("openai/gpt-up", "").await;
    let gate = Gate::new();
    let body = canned::openai_chat_body(&Reply::text("gpt", &["Hello"]));
    let (start, rest) = body.split_at(20);
    let json = [("content-type", "application/json")];
    upstream.script(
        Script::on("")
            .answer_claiming(200, &json, body.len(), start.to_owned())
            .stall(&gate)
            .send(rest.to_owned()),
    );
    bench.post(PATH, &key, CHAT).hang_up_after(gate.reached()).await;
    gate.open();
    let record = bench.record().await;
    assert_eq!(record.ending, Ending::ClientGoneBefore);
    assert_eq!(record.cost, NanoUsd(CANNED_COST_NANOUSD));
}

#[tokio::test]
async fn many_clients_that_leave_leave_nothing_behind() {
    let upstream = Upstream::start().await;
    let bench = Bench::new(&config(&[local("m", &upstream.url())], "")).await;
    let gate = Gate::new();
    upstream.script(slow_answer(&gate).always());
    let key = bench.key(|key| key.max_parallel_requests = Some(8)).await;
    let calls: Vec<_> =
        (0..8).map(|_| tokio::spawn(bench.post(PATH, &key, CHAT).answer())).collect();
    upstream.received_at_least(8).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    upstream.ended_at_least(8, Outcome::ClientGone).await;
    bench.records(8).await;
    assert_eq!(bench.in_flight(&key, 8), 0);
}

#[tokio::test]
async fn a_full_spool_refuses_new_calls_before_they_cost_anything() {
    let (upstream, bench, key) = one("openai/gpt-up", "").await;
    upstream.script(canned::openai_chat("Hello").always());
    bench.fill_spool(true);
    let answer = bench.post(PATH, &key, CHAT).answer().await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!((upstream.received().len(), bench.money(&key, LIMIT).held), (0, 0));
    bench.fill_spool(false);
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 200);
}

#[tokio::test]
async fn a_call_that_cannot_be_written_down_is_not_made() {
    let (upstream, bench, key) = one("openai/gpt-up", "").await;
    upstream.script(canned::openai_chat("Hello").always());
    bench.break_journal(true);
    let answer = bench.post(PATH, &key, CHAT).answer().await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(upstream.received().is_empty());
    let usage = bench.money(&key, LIMIT);
    assert_eq!((usage.spent, usage.held, bench.in_flight(&key, 1)), (0, 0, 0));
}
