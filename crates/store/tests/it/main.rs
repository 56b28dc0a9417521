//! The store from outside.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod directory;
mod drains;
mod memory;
mod salvage;
mod sqlite;
mod suite;
mod torn;

use base::{CallId, Clock, KeyHash, NanoUsd};
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, VirtualKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const DAY_MS: i64 = 86_400_000;
/// 2026-03-24T10:39:00Z
const NOW_MS: i64 = 1_774_348_740_000;

/// A directory that goes away with the test.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "keymoat-store-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_dir_all(&self.0);
    }
}

/// Time that stands.
struct StoppedClock;

impl Clock for StoppedClock {
    fn unix_ms(&self) -> i64 {
        NOW_MS
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn stopped() -> Arc<dyn Clock> {
    Arc::new(StoppedClock)
}

fn hash(number: u8) -> KeyHash {
    KeyHash([number; 32])
}

fn key(number: u8) -> VirtualKey {
    VirtualKey::new(hash(number), format!("sk-...{number:04}"), NOW_MS + i64::from(number))
}

fn record_id(number: u64) -> RecordId {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    random[2] = 0;
    RecordId { call: CallId::new(NOW_MS, random), attempt: 0 }
}

fn record(number: u64, key: u8, cost: i64) -> SpendRecord {
    SpendRecord {
        request_id: format!("chatcmpl-{number}").into(),
        ending: Ending::Complete,
        status: 200,
        cost: NanoUsd(cost),
        cost_source: CostSource::Computed,
        model_group: "gpt".into(),
        upstream_model: "gpt-upstream".into(),
        provider: "openai".into(),
        key_hash: Some(hash(key)),
        user_id: Some("ann".into()),
        end_ms: NOW_MS + 7,
        ..SpendRecord::new(record_id(number), NOW_MS)
    }
}

fn opened(number: u64, key: u8, reserved: i64) -> Opened {
    Opened {
        id: record_id(number),
        key_hash: Some(hash(key)),
        user_id: Some("ann".into()),
        team_id: None,
        organization_id: None,
        end_user: None,
        reserved: NanoUsd(reserved),
        reserved_ms: NOW_MS,
        start_ms: NOW_MS,
        call_type: "acompletion".into(),
        model_group: "gpt".into(),
        upstream_model: "gpt-upstream".into(),
        deployment_id: "d".into(),
        provider: "openai".into(),
        request_id: format!("my-call-{number}").into(),
    }
}
