//! Decoy keys.

use crate::harness::{Bench, config, deployment};
use base::NanoUsd;
use ledger::{CANARY_TAG, Ending};
use testkit::{Upstream, canned};

const WHOLE: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;

#[tokio::test]
async fn a_canary_buys_nothing_and_its_use_is_written_down_once_for_each_thief() {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("ok").always());
    let bench = Bench::new(&config(&[deployment("m", "openai/gpt-up", &upstream.url())], "")).await;
    let canary = bench
        .key(|key| {
            key.alias = Some("decoy".into());
            key.tags = vec![CANARY_TAG.to_owned()];
            key.max_budget = Some(NanoUsd(5_000_000_000));
        })
        .await;
    let post = || bench.post("/v1/chat/completions", &canary, WHOLE).header("user-agent", "curl/8");
    let refused = post().answer().await;
    assert_eq!(refused.status, 401);
    let unknown = bench.post("/v1/chat/completions", "sk-unknown-to-everybody-0123456789", WHOLE);
    let unknown = unknown.answer().await;
    let plain = |text: String| text.split("key=").next().unwrap().to_owned();
    assert_eq!(plain(refused.message()), plain(unknown.message()), "a thief must not learn more");
    assert_eq!(refused.status, unknown.status);

    let again = post().answer().await;
    assert_eq!(again.status, 401);
    let record = bench.record().await;
    assert_eq!(bench.settled(), 1, "a flood is told once a second");
    assert_eq!(record.ending, Ending::Refused);
    assert_eq!(record.error_class.as_deref(), Some("canary"));
    assert_eq!(record.key_alias.as_deref(), Some("decoy"));
    assert_eq!(record.cost, NanoUsd::ZERO);
    assert!(record.tags.iter().any(|tag| &**tag == "user-agent: curl/8"));
    assert!(upstream.received().is_empty(), "nothing was sent");

    bench.clock.advance_ms(1500);
    assert_eq!(post().answer().await.status, 401);
    assert_eq!(bench.records(2).await.len(), 2);
}
