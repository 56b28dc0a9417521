//! The budget of the whole proxy under a configuration that changes.

use crate::harness::{Bench, CANNED_COST_NANOUSD as COST, config, deployment, read, read_until};
use base::NanoUsd;
use testkit::{Upstream, canned};

const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const STREAM: &str =
    r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
const DAY_MS: i64 = 86_400_000;

struct Case {
    upstream: Upstream,
    bench: Bench,
}

impl Case {
    async fn new(settings: &str) -> Self {
        let upstream = Upstream::start().await;
        let stream = canned::openai_chat_stream(&["Hel", "lo"]);
        upstream.script(stream.when_body_has("\"stream\":true").always());
        upstream.script(canned::openai_chat("Hello").always());
        let bench = Bench::new(&yaml(&upstream, settings)).await;
        Self { upstream, bench }
    }

    async fn reload(&self, settings: &str) {
        self.bench.reload(&yaml(&self.upstream, settings)).await.unwrap();
    }

    /// Answered calls cost what they cost; none is answered past the budget.
    async fn chat(&self) -> u16 {
        self.bench.chat(CHAT).answer().await.status.as_u16()
    }

    fn spent(&self) -> i64 {
        self.bench.gateway.runtime().proxy_tally.cell().usage().spent
    }
}

fn yaml(upstream: &Upstream, settings: &str) -> String {
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    config(&list, &format!("litellm_settings: {{{settings}}}\n"))
}

fn budget(costs: i64) -> String {
    format!("max_budget: {}", NanoUsd(costs * COST))
}

#[tokio::test]
async fn a_budget_that_a_reload_brings_counts_what_was_spent_without_one() {
    let case = Case::new("").await;
    for _ in 0..5 {
        assert_eq!(case.chat().await, 200);
    }
    case.reload(&budget(5)).await;
    let refused = case.bench.chat(CHAT).answer().await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.message().contains(&format!("Current cost: {}", NanoUsd(5 * COST))));
    // Whether it is in the database by then or not.
    case.bench.drained(5).await;
    assert_eq!(case.chat().await, 400);
}

#[tokio::test]
async fn a_call_that_was_under_way_when_the_budget_came_is_counted() {
    let case = Case::new("").await;
    let mut body = case.bench.chat(STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    case.reload(&budget(1)).await;
    read(body).await;
    assert_eq!((case.chat().await, case.spent()), (400, COST));
}

#[tokio::test]
async fn a_budget_that_is_taken_away_and_put_back_knows_what_was_spent_meanwhile() {
    let case = Case::new(&budget(50)).await;
    for settings in [budget(50), String::new(), String::new(), budget(50)] {
        case.reload(&settings).await;
        assert_eq!(case.chat().await, 200);
    }
    assert_eq!(case.spent(), 4 * COST);
    case.reload(&budget(4)).await;
    assert_eq!(case.chat().await, 400);
}

#[tokio::test]
async fn a_changed_window_begins_with_what_was_spent_in_it_and_every_call_under_way() {
    let case = Case::new("budget_duration: 1d").await;
    assert_eq!(case.chat().await, 200);
    case.bench.drained(1).await;
    case.bench.clock.advance_ms(DAY_MS);
    assert_eq!(case.chat().await, 200);
    assert_eq!(case.spent(), COST, "another day");
    case.bench.drained(2).await;
    let mut body = case.bench.chat(STREAM).send().await.into_body();
    read_until(&mut body, "Hel").await;
    case.reload(&format!("budget_duration: 30d, {}", budget(50))).await;
    assert_eq!(case.spent(), 2 * COST, "the month has both days");
    read(body).await;
    assert_eq!(case.spent(), 3 * COST);
    assert_eq!(case.chat().await, 200);
    case.reload(&format!("budget_duration: 1d, {}", budget(50))).await;
    assert_eq!(case.spent(), 3 * COST, "back again: of this day only");
    assert_eq!(case.chat().await, 200);
    case.reload(&budget(5)).await;
    assert_eq!((case.chat().await, case.spent()), (400, 5 * COST));
}
