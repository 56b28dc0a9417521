//! `kill -9` at any byte.

use crate::memory::Memory;
use crate::{TempDir, opened, record, stopped};
use ledger::{Ending, SpendRecord};
use std::fs;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use store::{DataDir, Recovered, Settings, attach};

const SEGMENT: &str = "spool/0000000000000001.spool";

/// A spool file that nobody has drained, and where its entries end: an attempt
/// that ended, one that did not, one that ended.
fn written() -> (Vec<u8>, Vec<usize>) {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    store.down.store(true, Ordering::SeqCst);
    let dir = DataDir::open(temp.path()).unwrap();
    let state =
        attach(dir, Settings::default(), &stopped(), store.clone(), Box::new(|_| ())).unwrap();
    let mut ends = Vec::new();
    let mut end = || ends.push(fs::metadata(temp.path().join(SEGMENT)).unwrap().len() as usize);
    drop(state.journal.open(&opened(1, 1, 100)).unwrap());
    end();
    drop(state.journal.open(&opened(2, 1, 200)).unwrap());
    end();
    drop(state.journal.settle(&record(1, 1, 10)).unwrap());
    end();
    drop(state.journal.open(&opened(3, 1, 400)).unwrap());
    end();
    drop(state.journal.settle(&record(3, 1, 30)).unwrap());
    end();
    let bytes = fs::read(temp.path().join(SEGMENT)).unwrap();
    store.down.store(false, Ordering::SeqCst);
    state.close();
    (bytes, ends)
}

/// Starts on a spool that holds `bytes`; what was found, what is in the store.
fn restart(bytes: &[u8]) -> (Recovered, Vec<SpendRecord>, TempDir) {
    let temp = TempDir::new();
    fs::create_dir(temp.path().join("spool")).unwrap();
    fs::write(temp.path().join(SEGMENT), bytes).unwrap();
    let store = Arc::new(Memory::default());
    let (sender, seen) = mpsc::channel();
    let observer = Box::new(move |records: &[SpendRecord]| {
        for record in records {
            sender.send(record.clone()).unwrap();
        }
    });
    let dir = DataDir::open(temp.path()).unwrap();
    let state = attach(dir, Settings::default(), &stopped(), store.clone(), observer).unwrap();
    let recovered = state.recovered;
    state.close();
    let held = store.held.lock().unwrap();
    assert!(held.parked.is_empty());
    let records: Vec<_> = held.records.values().cloned().collect();
    let mut observed: Vec<_> = seen.try_iter().collect();
    observed.sort_by_key(|record| record.id);
    assert_eq!(observed, records, "each record is observed once");
    (recovered, records, temp)
}

fn expected(whole: usize) -> (Vec<(u64, i64, Ending)>, u64) {
    let mut attempts: Vec<(u64, i64, Ending)> = Vec::new();
    for (number, cost, ended) in ENTRIES.into_iter().take(whole) {
        attempts.retain(|(other, ..)| *other != number);
        attempts.push((number, cost, if ended { Ending::Complete } else { Ending::Crashed }));
    }
    attempts.sort_by_key(|(number, ..)| *number);
    let crashed = attempts.iter().filter(|(.., ending)| *ending == Ending::Crashed).count();
    (attempts, crashed as u64)
}

#[test]
fn a_spool_cut_at_any_byte_keeps_every_whole_entry_and_charges_what_never_ended() {
    let (bytes, ends) = written();
    // Every byte of the last two entries, every seventeenth before.
    for cut in (0..ends[2]).step_by(17).chain(ends[2]..=bytes.len()) {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (recovered, records, temp) = restart(&bytes[..cut]);
        let (attempts, crashed) = expected(whole);
        let found: Vec<_> = records.iter().map(|r| (r.id, r.cost.0, r.ending)).collect();
        let attempts: Vec<_> = attempts
            .into_iter()
            .map(|(number, cost, ending)| (crate::record_id(number), cost, ending))
            .collect();
        assert_eq!(found, attempts, "cut at {cut} of {}", bytes.len());
        assert_eq!(recovered.crashed, crashed, "cut at {cut}");
        let left = fs::read_dir(temp.path().join("spool")).unwrap().count();
        assert_eq!(left, 1, "only the spool's id is left, cut at {cut}");
    }
}

#[test]
fn noughts_after_a_power_cut_are_cut_off_and_damage_is_kept() {
    let (bytes, ends) = written();
    let mut noughts = bytes.clone();
    noughts.resize(bytes.len() + 100_000, 0);
    let (recovered, ..) = restart(&noughts);
    assert_eq!(recovered, Recovered { records: 2, crashed: 1 });

    let mut damaged = bytes.clone();
    damaged[ends[2] + 20] ^= 0xff;
    let (recovered, records, temp) = restart(&damaged);
    assert_eq!((recovered, records.len()), (Recovered { records: 2, crashed: 1 }, 3));
    let kept = fs::read(temp.path().join("spool/0000000000000001.damaged")).unwrap();
    assert_eq!(kept, damaged);
}

/// Opens and ends of the attempts in [`written`]: number, what is charged.
const ENTRIES: [(u64, i64, bool); 5] =
    [(1, 100, false), (2, 200, false), (1, 10, true), (3, 400, false), (3, 30, true)];

#[test]
fn a_damaged_byte_costs_the_entry_that_it_is_in_and_no_other() {
    let (bytes, ends) = written();
    // Each bit is flipped in the tests of `segment`; here, with all that follows.
    for at in (0..bytes.len()).step_by(7) {
        let hit = ends.iter().filter(|end| **end <= at).count();
        let mut damaged = bytes.clone();
        damaged[at] ^= if at % 2 == 0 { 0xff } else { 0x04 };
        let (_, records, temp) = restart(&damaged);
        let found: Vec<_> = records.iter().map(|r| (r.id, r.cost.0, r.ending)).collect();
        let mut expected = Vec::new();
        for number in 1..=3 {
            // The last word that is left of it.
            let mut left = ENTRIES.iter().enumerate();
            let last = left.rfind(|(n, (of, ..))| *n != hit && *of == number);
            expected.extend(last.map(|(_, (_, cost, ended))| {
                let ending = if *ended { Ending::Complete } else { Ending::Crashed };
                (crate::record_id(number), *cost, ending)
            }));
        }
        assert_eq!(found, expected, "byte {at} of {}, in entry {hit}", bytes.len());
        let torn = hit == 4 && !temp.path().join("spool/0000000000000001.damaged").exists();
        assert!(torn || fs::read_dir(temp.path().join("spool")).unwrap().count() == 2);
    }
}

#[test]
fn several_damaged_parts_cost_their_entries_alone() {
    let (bytes, ends) = written();
    let mut damaged = bytes.clone();
    // A header and a payload; then bytes that are missing, and bytes too many.
    damaged[2] ^= 1;
    damaged[ends[2] + 40] ^= 1;
    let (recovered, records, _temp) = restart(&damaged);
    assert_eq!((recovered, records.len()), (Recovered { records: 2, crashed: 1 }, 3));
    let missing = [&bytes[..ends[0] + 30], &bytes[ends[0] + 47..]].concat();
    let (recovered, records, _temp) = restart(&missing);
    assert_eq!((recovered, records.len()), (Recovered { records: 2, crashed: 0 }, 2));
    let extra = [&bytes[..ends[1]], &[0x5a; 7000][..], &bytes[ends[1]..]].concat();
    let (recovered, records, _temp) = restart(&extra);
    assert_eq!((recovered, records.len()), (Recovered { records: 2, crashed: 1 }, 3));
}
