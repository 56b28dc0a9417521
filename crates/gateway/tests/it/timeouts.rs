//! What a time limit of ours costs: the provider may have worked.

use crate::harness::{Bench, MASTER, config, deployment};
use base::NanoUsd;
use ledger::{CostSource, Ending};
use testkit::{Gate, Script, Upstream, canned};

const PATH: &str = "/v1/chat/completions";
const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
/// What it may cost at most: its bytes as tokens, and its output limit.
const WORST_NANOUSD: i64 = CHAT.len() as i64 * 1000 + 9 * 2000;

async fn one(retries: u32) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let sections = format!(
        "router_settings: {{num_retries: {retries}}}\nlitellm_settings: {{request_timeout: 4}}\n"
    );
    let bench = Bench::new(&config(&list, &sections)).await;
    (upstream, bench)
}

/// Asks, and lets the time run once the upstream stands still at `gate`.
async fn run_out(bench: &Bench, key: &str, gate: &Gate) -> u16 {
    let paused = async {
        gate.reached().await;
        tokio::time::pause();
        std::future::pending::<()>().await;
    };
    let call = bench.post(PATH, key, CHAT).answer();
    let answer = tokio::select! { answer = call => answer, () = paused => unreachable!() };
    tokio::time::resume();
    answer.status.as_u16()
}

#[tokio::test]
async fn a_unary_attempt_that_runs_out_of_time_is_charged_what_it_held() {
    let json = [("content-type", "application/json")];
    let silent = |gate: &Gate| Script::on("").stall(gate);
    let halfway = |gate: &Gate| Script::on("").answer_claiming(200, &json, 999, "{").stall(gate);
    for script in [&silent as &dyn Fn(&Gate) -> Script, &halfway] {
        let (upstream, bench) = one(0).await;
        let key = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000))).await;
        let gate = Gate::new();
        upstream.script(script(&gate));
        assert_eq!(run_out(&bench, &key, &gate).await, 408);
        let record = bench.record().await;
        assert_eq!((record.ending, record.cost_source), (Ending::Timeout, CostSource::Estimated));
        assert_eq!(record.cost, NanoUsd(WORST_NANOUSD));
        let usage = bench.money(&key, NanoUsd(1_000_000));
        assert_eq!((usage.spent, usage.held), (WORST_NANOUSD, 0));
    }
}

#[tokio::test]
async fn without_a_cap_it_is_an_estimate_and_the_record_says_so() {
    let (upstream, bench) = one(0).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate));
    assert_eq!(run_out(&bench, MASTER, &gate).await, 408);
    let record = bench.record().await;
    assert_eq!((record.ending, record.cost_source), (Ending::Timeout, CostSource::Estimated));
    assert!(record.cost > NanoUsd::ZERO && record.cost < NanoUsd(WORST_NANOUSD));
}

#[tokio::test]
async fn a_retry_after_it_reserves_anew_and_both_are_paid() {
    let (upstream, bench) = one(1).await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000))).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate)).script(canned::openai_chat("Hello"));
    assert_eq!(run_out(&bench, &key, &gate).await, 200);
    let records = bench.records(2).await;
    assert_eq!(records[0].cost, NanoUsd(WORST_NANOUSD));
    assert_eq!(records[1].cost, NanoUsd(25_000));
    assert_eq!(bench.money(&key, NanoUsd(1_000_000)).spent, WORST_NANOUSD + 25_000);
}

#[tokio::test]
async fn where_both_do_not_fit_the_retry_is_refused_and_the_budget_holds() {
    let (upstream, bench) = one(1).await;
    let limit = NanoUsd(WORST_NANOUSD + 10);
    let key = bench.key(|key| key.max_budget = Some(limit)).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate)).script(canned::openai_chat("Hello"));
    assert_eq!(run_out(&bench, &key, &gate).await, 400);
    assert_eq!(bench.records(1).await[0].cost, NanoUsd(WORST_NANOUSD));
    assert!(bench.money(&key, limit).spent <= limit.0);
}

#[tokio::test]
async fn a_connection_that_nobody_takes_costs_nothing() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let list = [deployment("m", "openai/gpt-up", &url)];
    let bench = Bench::new(&config(&list, "router_settings: {num_retries: 0}\n")).await;
    let key = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000))).await;
    assert_eq!(bench.post(PATH, &key, CHAT).answer().await.status, 502);
    let record = bench.record().await;
    assert_eq!((record.cost, record.cost_source), (NanoUsd::ZERO, CostSource::None));
}

/// The only place that an Anthropic SDK has for it.
#[tokio::test]
async fn a_client_says_its_times_and_retries_in_headers() {
    let (upstream, bench) = one(2).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate).always());
    let call = bench.post(PATH, MASTER, CHAT);
    let call = call.header("x-litellm-num-retries", "0").header("x-litellm-timeout", "0.05");
    let answer = call.answer().await;
    assert_eq!(answer.status, 408);
    assert!(answer.message().contains("50 ms"), "{}", answer.message());
    assert_eq!(upstream.received().len(), 1);
    let wrong = bench.chat(CHAT).header("x-litellm-num-retries", "many").answer().await;
    assert_eq!((wrong.status.as_u16(), upstream.received().len()), (400, 1));
}
