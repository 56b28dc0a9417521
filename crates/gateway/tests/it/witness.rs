//! What is told to metrics: how requests ended, what was fallen back to, what
//! cools down, and how long each attempt took.

use crate::harness::{Bench, config, deployment, read, read_until};
use crate::retries::{CHAT, STREAM, groups, soon, two};
use base::NanoUsd;
use gateway::deployment::Deployment;
use gateway::error::class_word;
use gateway::health::State;
use gateway::witness::{Ended, FellBack, Witness};
use http::StatusCode;
use std::sync::{Arc, Mutex};
use testkit::{Gate, Script, Upstream, canned};

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn of(bench: &Bench) -> Self {
        let notes = Self::default();
        bench.gateway.tell(Box::new(notes.clone()));
        notes
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }
}

impl Witness for Notes {
    fn ended(&self, ended: &Ended<'_>) {
        let model = ended.call.map_or("nothing", |call| &call.requested_model);
        self.note(format!("{} ended with {}", model, ended.failure.status.as_u16()));
    }

    fn cooled(&self, deployment: &Deployment, status: Option<StatusCode>) {
        let status = status.map(|status| status.as_u16()).unwrap_or_default();
        self.note(format!("{} cools after {status}", deployment.model_group));
    }

    fn fell_back(&self, fell_back: &FellBack<'_>) {
        let FellBack { call, group, answered_by, from } = fell_back;
        let (model, class, status) =
            (&call.requested_model, class_word(from.class), from.status.as_u16());
        let did = if answered_by.is_some() { "answered" } else { "failed" };
        self.note(format!("{group} {did} for {model} after {class} {status}"));
    }
}

#[tokio::test]
async fn a_request_that_ends_without_an_answer_is_told_of_once_however_many_attempts_it_took() {
    let (first, second, bench) = two("router_settings: {num_retries: 1}\n").await;
    let notes = Notes::of(&bench);
    first.script(soon(503)).script(canned::openai_error(500));
    second.script(canned::openai_chat("Hello")).script(canned::openai_error(500));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert!(notes.take().is_empty(), "the second attempt answered");

    bench.clock.advance_ms(60_000);
    assert_eq!(bench.chat(CHAT).answer().await.status, 500);
    assert_eq!(bench.chat("{").answer().await.status, 400);
    assert_eq!(notes.take(), ["m ended with 500", "nothing ended with 400"]);
}

#[tokio::test]
async fn each_fallback_group_is_told_of_with_why_the_one_before_it_failed() {
    let sections = "router_settings: {num_retries: 0, fallbacks: [{m: [b, c]}]}\n";
    let ([m, b, c], bench) = groups(sections).await;
    let notes = Notes::of(&bench);
    m.script(canned::rate_limited(1)).script(canned::openai_error(500));
    b.script(canned::openai_error(503)).script(canned::openai_error(500));
    c.script(canned::openai_chat("Hello")).script(canned::openai_error(502));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert_eq!(
        notes.take(),
        ["b failed for m after rate_limit 429", "c answered for m after overloaded 503"]
    );
    assert_eq!(bench.chat(CHAT).answer().await.status, 502);
    assert_eq!(
        notes.take(),
        ["b failed for m after server 500", "c failed for m after server 500", "m ended with 502"]
    );
}

#[tokio::test]
async fn a_deployment_that_cools_down_is_told_of_and_its_state_shows_it() {
    let (first, second, bench) = two("router_settings: {num_retries: 1}\n").await;
    let notes = Notes::of(&bench);
    first.script(canned::rate_limited(7));
    second.script(canned::openai_chat("Hello").always());
    let state = |place: usize| {
        let runtime = bench.gateway.runtime();
        let group = &runtime.routes.find("m").unwrap().group;
        group.deployments[place].health.state(bench.gateway.ticks_ms())
    };
    assert_eq!((state(0), state(1)), (State::Healthy, State::Healthy));
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert_eq!(notes.take(), ["m cools after 429"]);
    assert_eq!((state(0), state(1)), (State::Cooling, State::Healthy));
    bench.clock.advance_ms(7000);
    assert_eq!(state(0), State::Failing);
}

#[tokio::test]
async fn a_unary_answer_is_timed_from_its_sending_to_its_last_byte() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    let gate = Gate::new();
    upstream.script(Script::on("").stall(&gate).steps(canned::openai_chat("Hi").into_steps()));
    let wait = async {
        gate.reached().await;
        bench.clock.advance_ms(120);
        gate.open();
    };
    let (answer, ()) = tokio::join!(bench.chat(CHAT).answer(), wait);
    assert_eq!(answer.status, 200);
    let record = bench.record().await;
    let timing = record.timing;
    assert!(!timing.streamed);
    assert_eq!((timing.total_us, timing.upstream_us), (120_000, 120_000));
    assert_eq!((timing.overhead_us, timing.first_byte_us), (0, None));
    assert_eq!(record.end_ms - record.start_ms, 120);
}

#[tokio::test]
async fn a_stream_is_timed_to_its_first_byte_and_to_its_last() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    let (before, within) = (Gate::new(), Gate::new());
    let events: Vec<_> = canned::openai_chat_stream(&["Hel", "lo"]).into_steps();
    let (start, rest) = events.split_at(3);
    let script = Script::on("").stall(&before).steps(start.to_vec()).stall(&within);
    upstream.script(script.steps(rest.to_vec()));
    let ask = async {
        let response = bench.chat(STREAM).send().await;
        let mut body = response.into_body();
        read_until(&mut body, "Hel").await;
        within.reached().await;
        bench.clock.advance_ms(400);
        within.open();
        read(body).await
    };
    let wait = async {
        before.reached().await;
        bench.clock.advance_ms(30);
        before.open();
    };
    let (text, ()) = tokio::join!(ask, wait);
    assert!(text.ends_with(b"data: [DONE]\n\n"));
    let record = bench.record().await;
    let timing = record.timing;
    assert!(timing.streamed);
    assert_eq!((timing.total_us, timing.upstream_us), (430_000, 430_000));
    assert_eq!((timing.first_byte_us, timing.overhead_us), (Some(30_000), 0));
    assert_eq!(record.first_byte_ms, Some(record.start_ms + 30));
}

#[tokio::test]
async fn keys_in_use_are_listed_with_what_their_budget_has_left() {
    let upstream = Upstream::start().await;
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    upstream.script(canned::openai_chat("Hi").always());
    let capped = bench.key(|key| key.max_budget = Some(NanoUsd(1_000_000_000))).await;
    let free = bench.key(|_| {}).await;
    assert!(bench.gateway.budgets(9).is_empty());
    for key in [&capped, &free] {
        let answer = bench.post("/v1/chat/completions", key, CHAT).answer().await;
        assert_eq!(answer.status, 200);
    }
    let budgets = bench.gateway.budgets(9);
    let [(hash, None, usage)] = budgets.as_slice() else { panic!("{budgets:?}") };
    assert_eq!(*hash, bench.hash(&capped));
    assert_eq!((usage.limit, usage.spent, usage.held), (1_000_000_000, 25_000, 0));
    assert!(bench.gateway.budgets(0).is_empty());
}
