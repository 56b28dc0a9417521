//! Records that a disk did not take: they come back, or are told of.

use crate::harness::{Bench, config, deployment};
use std::sync::Arc;
use std::time::Duration;
use testkit::{Upstream, canned};

const CHAT: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;

async fn with_one_waiting() -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello").always());
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    assert_eq!(bench.gateway.cannot_record(), None);
    bench.break_settling(true);
    assert_eq!(bench.chat(CHAT).answer().await.status, 200);
    assert_eq!((bench.gateway.cannot_record(), bench.settled()), (Some("unwritable"), 0));
    (upstream, bench)
}

#[tokio::test]
async fn a_record_is_written_as_soon_as_the_disk_takes_it_without_another_call() {
    let (_upstream, bench) = with_one_waiting().await;
    assert_eq!(bench.chat(CHAT).answer().await.status, 503);
    let keeping = tokio::spawn(Arc::clone(&bench.gateway).keep_settling());
    bench.break_settling(false);
    assert_eq!(bench.record().await.status, 200);
    bench.drained(1).await;
    keeping.abort();
    assert!(keeping.await.unwrap_err().is_cancelled());
    assert_eq!((bench.gateway.cannot_record(), bench.settled()), (None, 1));
}

#[tokio::test]
async fn the_end_waits_for_the_disk() {
    let (_upstream, bench) = with_one_waiting().await;
    let settling = tokio::spawn(Arc::clone(&bench.gateway).settle_all(Duration::from_secs(40)));
    tokio::task::yield_now().await;
    bench.break_settling(false);
    assert_eq!(settling.await.unwrap(), 0);
    assert_eq!(bench.settled(), 1);
}

#[tokio::test]
async fn what_no_disk_takes_in_the_end_is_counted_as_lost() {
    let (_upstream, bench) = with_one_waiting().await;
    assert_eq!(Arc::clone(&bench.gateway).settle_all(Duration::ZERO).await, 1);
    assert_eq!(Arc::clone(&bench.gateway).settle_all(Duration::ZERO).await, 0);
}

#[tokio::test]
async fn names_of_a_mebibyte_are_cut_and_stop_nobody() {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("Hello").always());
    let list = [deployment("m", "openai/gpt-up", &upstream.url())];
    let bench = Bench::new(&config(&list, "")).await;
    let name = "n".repeat(1 << 20);
    let key = bench
        .key(|key| {
            key.tags = vec![name.clone(), name.clone()];
            key.user_id = Some(name.clone());
            key.max_budget = Some(base::NanoUsd(1_000_000_000_000));
        })
        .await;
    for _ in 0..2 {
        let answer = bench.post("/v1/chat/completions", &key, CHAT).answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    bench.drained(2).await;
    assert_eq!(bench.gateway.cannot_record(), None);
}
