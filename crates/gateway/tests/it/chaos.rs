//! Whatever befalls upstreams and clients, the books agree.

use crate::harness::{Bench, config, deployment_with, next};
use base::NanoUsd;
use ledger::RecordId;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use testkit::random::Random;
use testkit::{Step, Upstream, chaos, provider};

const CALLS: usize = 200;
const LIMIT: NanoUsd = NanoUsd(i64::MAX / 4);

/// A provider that spoils about half of its answers.
async fn unreliable(seed: u64) -> Upstream {
    let random = Mutex::new(Random::new(seed));
    Upstream::start_with(move |request| {
        let good = provider::answer(request)?;
        let (_, mut steps) = chaos::spoil(good, &mut random.lock().unwrap());
        steps.retain(|step| !matches!(step, Step::PauseMs(_)));
        Some(steps)
    })
    .await
}

#[tokio::test]
async fn every_attempt_has_one_record_and_the_budget_is_their_sum() {
    let (first, second) = (unreliable(1).await, unreliable(2).await);
    let list = [
        deployment_with("m", "openai/gpt-up", &first.url(), "order: 1"),
        deployment_with("m", "anthropic/claude-up", &second.url(), "order: 2"),
    ];
    let sections = "router_settings: {num_retries: 1, disable_cooldowns: true}\n\
                    keymoat: {drain: {max_ms: 2000}, idle_timeout_ms: 2000}\n";
    let bench = Arc::new(Bench::new(&config(&list, sections)).await);
    let key = bench
        .key(|key| {
            key.max_budget = Some(LIMIT);
            key.max_parallel_requests = Some(1000);
        })
        .await;
    let mut random = Random::new(3);
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let stream = random.below(2) == 0;
        let path = if random.below(2) == 0 { "/v1/chat/completions" } else { "/v1/messages" };
        let body = format!(
            r#"{{"model":"m","max_tokens":50,"stream":{stream},"messages":[{{"role":"user","content":"call {number}"}}]}}"#
        );
        // Some clients read to the end, some leave after a few pieces, some
        // before the answer.
        let pieces = if random.below(4) == 0 { random.below(4) } else { usize::MAX };
        let call = bench.post(path, &key, body);
        let task = tokio::spawn(async move {
            let mut body = call.send().await.into_body();
            for _ in 0..pieces {
                if next(&mut body).await.is_none() {
                    break;
                }
            }
        });
        if random.below(8) == 0 {
            for _ in 0..random.below(50) {
                tokio::task::yield_now().await;
            }
            task.abort();
        } else if random.below(3) == 0 {
            task.await.unwrap();
        } else {
            calls.push(task);
        }
    }
    for call in calls {
        call.await.unwrap();
    }
    // What drains has a limit of two seconds.
    let opened = bench.opened().len();
    let records = bench.records(opened).await;
    let ids = |all: &[RecordId]| all.iter().copied().collect::<HashSet<_>>();
    let settled: Vec<RecordId> = records.iter().map(|record| record.id).collect();
    let begun: Vec<RecordId> = bench.opened().iter().map(|opened| opened.id).collect();
    assert_eq!(ids(&settled).len(), settled.len(), "no attempt twice");
    assert_eq!(ids(&settled), ids(&begun), "every attempt");
    assert!(settled.len() > CALLS, "there were retries");
    let spent: i64 = records.iter().map(|record| record.cost.0).sum();
    while bench.in_flight(&key, 1000) > 0 {
        tokio::task::yield_now().await;
    }
    let usage = bench.money(&key, LIMIT);
    assert_eq!((usage.spent, usage.held), (spent, 0));
    let endings: HashSet<&str> = records.iter().map(|record| record.ending.as_str()).collect();
    assert!(endings.len() >= 4, "all kinds of ends came up: {endings:?}");
}
