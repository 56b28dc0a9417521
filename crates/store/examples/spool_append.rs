//! What one open and one settle cost in the spool, in nanoseconds, while the
//! records drain into SQLite beside.
#![expect(clippy::print_stdout, reason = "a measurement that people run")]

use base::{CallId, Clock, KeyHash, NanoUsd, SystemClock};
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, UsageCounts};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;
use store::{DataDir, Settings, open};

const ROUNDS: u64 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("keymoat-spool-{}", std::process::id()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let began = Instant::now();
    let dir = DataDir::open(&path)?;
    let state = open(dir, Settings::default(), &clock, Box::new(|_| ()))?;
    println!("open with an empty directory: {} us", began.elapsed().as_micros());
    let (name, key): (Arc<str>, _) = ("gpt-4o-mini".into(), Some(KeyHash([7; 32])));
    let id = |number: u64| {
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7] = scattered;
        let ms = 1_774_348_740_123 + number.cast_signed() / 5;
        let call = CallId::new(ms, [r0, r1, r2, r3, r4, r5, r6, r7, r0, r1]);
        RecordId { call, attempt: 0 }
    };
    let began = thread_cpu_ns()?;
    for number in 0..ROUNDS {
        drop(state.journal.open(&Opened {
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
            request_id: Arc::clone(&name),
        })?);
    }
    let opens = thread_cpu_ns()? - began;
    let began = thread_cpu_ns()?;
    for number in 0..ROUNDS {
        drop(state.journal.settle(&SpendRecord {
            request_id: id(number).to_string().into(),
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
        })?);
    }
    let settles = thread_cpu_ns()? - began;
    println!("CPU of one open {} ns, of one settle {} ns", opens / ROUNDS, settles / ROUNDS);
    let waiting = state.journal.depth();
    let began = Instant::now();
    state.close();
    println!("{waiting} records left at the end, drained in {} ms", began.elapsed().as_millis());
    let all_us = process_cpu_ms()? * 1000 - (opens + settles) / 1000;
    println!("CPU of draining one record {} us", all_us / ROUNDS);
    let began = Instant::now();
    let state = open(DataDir::open(&path)?, Settings::default(), &clock, Box::new(|_| ()))?;
    println!("open with {ROUNDS} records: {} us", began.elapsed().as_micros());
    state.close();
    std::fs::remove_dir_all(&path)?;
    Ok(())
}

/// What this thread has used: wall time says little on a shared machine.
fn thread_cpu_ns() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

/// What all threads have used, in ticks of 10 ms.
fn process_cpu_ms() -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = text.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_ascii_whitespace().skip(11).take(2);
    let ticks = fields.map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    Ok(ticks.iter().sum::<u64>() * 10)
}
