//! What one open and one settle cost in the spool, in nanoseconds, while the
//! records drain into SQLite beside.
#![expect(clippy::print_stdout, reason = "a measurement that people run")]

use base::{CallId, KeyHash, NanoUsd, SystemClock};
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, UsageCounts};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;
use store::{DataDir, Settings, open};

const ROUNDS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("keymoat-spool-{}", std::process::id()));
    let began = Instant::now();
    let dir = DataDir::open(&path)?;
    let state = open(dir, Settings::default(), &SystemClock::new(), Box::new(|_| ()))?;
    println!("open with an empty directory: {} us", began.elapsed().as_micros());
    let (name, key): (Arc<str>, _) = ("gpt-4o-mini".into(), Some(KeyHash([7; 32])));
    let id = |number: u64| {
        // The call id keeps six of a byte's bits here and there: spread the number.
        let [b0, b1, b2, ..] = number.to_le_bytes();
        let call = CallId::new(1_774_348_740_123, [0, b0, 0, b1, b2, 0, 0, 0, 0, 0]);
        RecordId { call, attempt: 0 }
    };
    let began = Instant::now();
    for number in 0..ROUNDS {
        state.journal.open(&Opened {
            id: id(number),
            key_hash: key,
            user_id: None,
            team_id: None,
            organization_id: None,
            end_user: None,
            reserved: NanoUsd(1_000_000),
            reserved_ms: 1_774_348_740_123,
            start_ms: 1_774_348_740_123,
            call_type: Arc::clone(&name),
            model_group: Arc::clone(&name),
            upstream_model: Arc::clone(&name),
            deployment_id: Arc::clone(&name),
            provider: Arc::clone(&name),
        })?;
    }
    let opens = began.elapsed();
    let began = Instant::now();
    for number in 0..ROUNDS {
        state.journal.settle(&SpendRecord {
            request_id: Arc::clone(&name),
            call_type: Arc::clone(&name),
            ending: Ending::Complete,
            status: 200,
            cost: NanoUsd(12_345),
            cost_source: CostSource::Computed,
            usage: UsageCounts { input: 100, output: 20, ..UsageCounts::default() },
            model_group: Arc::clone(&name),
            upstream_model: Arc::clone(&name),
            deployment_id: Arc::clone(&name),
            provider: Arc::clone(&name),
            api_base: Arc::clone(&name),
            key_hash: key,
            ..SpendRecord::new(id(number), 1_774_348_740_123)
        })?;
    }
    let settles = began.elapsed();
    let each = |time: std::time::Duration| time.as_nanos() / u128::from(ROUNDS);
    println!("open {} ns, settle {} ns", each(opens), each(settles));
    let waiting = state.journal.depth();
    let began = Instant::now();
    state.close();
    println!("{waiting} records left at the end, drained in {} ms", began.elapsed().as_millis());
    let began = Instant::now();
    let state =
        open(DataDir::open(&path)?, Settings::default(), &SystemClock::new(), Box::new(|_| ()))?;
    println!("open with {ROUNDS} records: {} us", began.elapsed().as_micros());
    state.close();
    std::fs::remove_dir_all(&path)?;
    Ok(())
}
