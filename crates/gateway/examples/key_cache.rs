//! Memory of the key cache and time of a look-up after as many keys were used as
//! the argument says.
#![expect(clippy::print_stdout, reason = "a measurement that people run")]

use base::{KeyHash, NanoUsd, SystemClock};
use gateway::key_cache::KeyCache;
use gateway::principal::Principal;
use ledger::{Book, VirtualKey};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const LOOKUPS: u32 = 2_000_000;

fn main() -> std::io::Result<()> {
    // One number in a process: what one run has freed would be used by the next.
    let keys = std::env::args().nth(1).and_then(|keys| keys.parse().ok());
    measure(keys.unwrap_or(1_000_000))
}

fn measure(keys: u32) -> std::io::Result<()> {
    let (cache, book) = (KeyCache::default(), Book::new(Arc::new(SystemClock::new())));
    let before = resident_kib()?;
    for number in 0..keys {
        cache.begin_read(hash(number)).keep(|| open(&book, number));
        if number % 20_000 == 0 {
            // As the gateway does once the store knows what was spent.
            book.drop_marked();
            book.mark_unused();
        }
    }
    for _ in 0..2 {
        book.mark_unused();
        book.drop_marked();
    }
    let kib = resident_kib()?.saturating_sub(before);
    let began = Instant::now();
    let mut found = 0_u32;
    for at in 0..LOOKUPS {
        // The latest keys, in no order.
        let number = keys - 1 - at.wrapping_mul(2_654_435_761) % keys.min(32_768);
        found += u32::from(black_box(cache.get(&hash(number))).is_some());
    }
    let each = began.elapsed().as_nanos() / u128::from(LOOKUPS);
    println!(
        "{keys} keys used: {} in the cache, {kib} KiB, {each} ns per look-up, {}% found",
        cache.len(),
        u64::from(found) * 100 / u64::from(LOOKUPS)
    );
    Ok(())
}

fn open(book: &Book, number: u32) -> Principal {
    let mut key = VirtualKey::new(hash(number), "sk-...wxyz".to_owned(), 0);
    key.alias = Some(format!("key-{number}"));
    key.user_id = Some(format!("user-{}", number / 10));
    key.max_budget = Some(NanoUsd(1_000_000_000));
    key.rpm_limit = Some(100);
    let cells: Vec<_> = key
        .allowances()
        .into_iter()
        .map(|(allowance, opening)| book.open(allowance, opening))
        .collect();
    let mut principal = Principal::of_key(key);
    principal.money = cells.first().map(Arc::clone);
    principal.tally = cells.first().map(Arc::clone);
    principal.permit = cells;
    principal
}

fn hash(number: u32) -> KeyHash {
    let mut hash = KeyHash([0; 32]);
    // Spread as a real hash is.
    let mut word = u64::from(number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for part in hash.0.chunks_exact_mut(8) {
        word ^= word >> 29;
        word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        part.copy_from_slice(&word.to_le_bytes());
    }
    hash
}

fn resident_kib() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse().unwrap_or_default())
}
