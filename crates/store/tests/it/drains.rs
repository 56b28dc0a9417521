//! From the spool into the store: nothing lost, nothing twice.

use crate::memory::Memory;
use crate::{NOW_MS, TempDir, hash, key, opened, record, stopped};
use base::NanoUsd;
use ledger::{Batch, Keys, Position, Spend, SpendFilter, SpendRecord, SpoolId};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use store::{DataDir, Observer, Settings, Sqlite, State, Sync, attach, open};

const PATIENCE: Duration = Duration::from_mins(1);

fn nobody() -> Observer {
    Box::new(|_| ())
}

/// Settles further attempts until one is in the spool's second file, which a
/// thread of the spool begins. Returns how many.
fn reach_second_file(temp: &TempDir, state: &State) -> usize {
    let path = temp.path().join("spool/0000000000000002.spool");
    let mut count = 0;
    while fs::metadata(&path).map_or(0, |file| file.len()) == 0 {
        drop(state.journal.settle(&record(1000 + count, 1, 1)).unwrap());
        count += 1;
    }
    count as usize
}

fn on_memory(temp: &TempDir, settings: Settings, store: &Arc<Memory>) -> State {
    let dir = DataDir::open(temp.path()).unwrap();
    attach(dir, settings, &stopped(), store.clone(), nobody()).unwrap()
}

#[tokio::test]
async fn fifty_thousand_records_of_four_threads_arrive_once_each() {
    let temp = TempDir::new();
    let observed = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&observed);
    let observer = Box::new(move |records: &[SpendRecord]| {
        count.fetch_add(records.len() as u64, Ordering::SeqCst);
    });
    let settings = Settings { segment_bytes: 1 << 20, ..Settings::default() };
    let dir = DataDir::open(temp.path()).unwrap();
    let state = open(dir, settings, &stopped(), observer).unwrap();
    state.store.insert_key(key(1)).await.unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let journal = &state.journal;
            scope.spawn(move || {
                for number in 0..12_500 {
                    let number = thread * 100_000 + number;
                    drop(journal.open(&opened(number, 1, 1000)).unwrap());
                    drop(journal.settle(&record(number, 1, 3)).unwrap());
                }
            });
        }
    });
    state.close();
    assert_eq!(observed.load(Ordering::SeqCst), 50_000);
    assert_eq!(fs::read_dir(temp.path().join("spool")).unwrap().count(), 1);
    let dir = DataDir::open(temp.path()).unwrap();
    let state = open(dir, settings, &stopped(), nobody()).unwrap();
    assert_eq!(state.recovered, store::Recovered::default());
    // The pepper was made before the database that needs it.
    let pepper = state.dir().pepper().unwrap();
    assert_eq!(state.hasher.hash("sk-1"), ledger::KeyHasher::new(&pepper).hash("sk-1"));
    let key = state.store.key_by_hash(hash(1)).await.unwrap().unwrap();
    assert_eq!(key.total_spend, NanoUsd(150_000));
    let logs = state.store.spend_logs(SpendFilter::default(), 100_000, 0).await.unwrap();
    assert_eq!(logs.len(), 50_000);
}

#[test]
fn a_full_spool_says_so_and_is_empty_again_once_drained() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    store.down.store(true, Ordering::SeqCst);
    let settings = Settings { spool_max_bytes: 64 * 1024, ..Settings::default() };
    let (sender, seen) = mpsc::channel();
    let observer = Box::new(move |records: &[SpendRecord]| sender.send(records.len()).unwrap());
    let dir = DataDir::open(temp.path()).unwrap();
    let state = attach(dir, settings, &stopped(), store.clone(), observer).unwrap();
    let mut written = 0;
    while !state.journal.is_full() {
        drop(state.journal.settle(&record(written, 1, 1)).unwrap());
        written += 1;
    }
    assert_eq!(state.journal.depth(), written);
    // What has been let through is still taken.
    drop(state.journal.settle(&record(written, 1, 1)).unwrap());
    store.down.store(false, Ordering::SeqCst);
    let mut drained = 0;
    while drained < written as usize + 1 {
        drained += seen.recv_timeout(PATIENCE).unwrap();
    }
    assert!(!state.journal.is_full());
    state.close();
    assert_eq!(store.held.lock().unwrap().records.len(), written as usize + 1);
}

#[test]
fn an_attempt_outlives_the_file_that_it_began_in() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    let settings = Settings { segment_bytes: 4096, ..Settings::default() };
    let state = on_memory(&temp, settings, &store);
    drop(state.journal.open(&opened(1, 1, 100)).unwrap());
    drop(state.journal.open(&opened(2, 1, 200)).unwrap());
    for number in 10..60 {
        drop(state.journal.settle(&record(number, 1, 1)).unwrap());
    }
    reach_second_file(&temp, &state);
    state.close();
    assert!(!temp.path().join("spool/0000000000000001.spool").exists());
    assert_eq!(store.held.lock().unwrap().parked.len(), 2);
    // The process has ended; both were let through and are charged in full.
    let state = on_memory(&temp, settings, &store);
    assert_eq!((state.recovered.records, state.recovered.crashed), (0, 2));
    state.close();
    let held = store.held.lock().unwrap();
    assert!(held.parked.is_empty());
    assert_eq!(held.records[&crate::record_id(2).to_string()].cost, NanoUsd(200));
}

#[test]
fn an_attempt_that_began_before_the_stored_position_is_not_forgotten() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    let state = on_memory(&temp, Settings::default(), &store);
    drop(state.journal.open(&opened(1, 1, 100)).unwrap());
    drop(state.journal.settle(&record(2, 1, 1)).unwrap());
    state.close();
    assert!(store.held.lock().unwrap().position.offset > 0);
    assert_eq!(store.held.lock().unwrap().parked.len(), 0);
    let state = on_memory(&temp, Settings::default(), &store);
    assert_eq!((state.recovered.records, state.recovered.crashed), (0, 1));
    state.close();
    let held = store.held.lock().unwrap();
    assert_eq!(held.records[&crate::record_id(1).to_string()].cost, NanoUsd(100));
}

#[test]
fn a_refused_batch_still_ends_what_was_parked() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    let settings = Settings { segment_bytes: 4096, ..Settings::default() };
    let (sender, seen) = mpsc::channel();
    let observer = Box::new(move |records: &[SpendRecord]| sender.send(records.len()).unwrap());
    let dir = DataDir::open(temp.path()).unwrap();
    let state = attach(dir, settings, &stopped(), store.clone(), observer).unwrap();
    drop(state.journal.open(&opened(1, 1, 100)).unwrap());
    for number in 10..60 {
        drop(state.journal.settle(&record(number, 1, 1)).unwrap());
    }
    let written = 50 + reach_second_file(&temp, &state);
    let mut drained = 0;
    while drained < written {
        drained += seen.recv_timeout(PATIENCE).unwrap();
    }
    assert_eq!(store.held.lock().unwrap().parked.len(), 1);
    store.refused.store(2, Ordering::SeqCst);
    drop(state.journal.settle(&record(1, 1, 42)).unwrap());
    state.close();
    assert_eq!(store.refused.load(Ordering::SeqCst), 0);
    assert!(store.held.lock().unwrap().parked.is_empty());
}

#[test]
fn an_attempt_that_ends_in_a_later_file_is_charged_what_it_cost() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    let settings = Settings { segment_bytes: 4096, ..Settings::default() };
    let state = on_memory(&temp, settings, &store);
    drop(state.journal.open(&opened(1, 1, 100)).unwrap());
    for number in 10..60 {
        drop(state.journal.settle(&record(number, 1, 1)).unwrap());
    }
    reach_second_file(&temp, &state);
    drop(state.journal.settle(&record(1, 1, 42)).unwrap());
    state.close();
    let state = on_memory(&temp, settings, &store);
    assert_eq!(state.recovered.crashed, 0);
    state.close();
    let held = store.held.lock().unwrap();
    assert_eq!(held.records[&crate::record_id(1).to_string()].cost, NanoUsd(42));
    assert!(held.parked.is_empty());
}

#[test]
fn a_commit_whose_answer_was_lost_is_not_put_in_twice() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    store.unheard.store(2, Ordering::SeqCst);
    let (sender, seen) = mpsc::channel();
    let observer = Box::new(move |records: &[SpendRecord]| {
        for record in records {
            sender.send(record.id).unwrap();
        }
    });
    let dir = DataDir::open(temp.path()).unwrap();
    let state = attach(dir, Settings::default(), &stopped(), store.clone(), observer).unwrap();
    for number in 0..100 {
        drop(state.journal.open(&opened(number, 1, 9)).unwrap());
        drop(state.journal.settle(&record(number, 1, 1)).unwrap());
    }
    state.close();
    assert_eq!(store.unheard.load(Ordering::SeqCst), 0);
    assert_eq!(store.held.lock().unwrap().records.len(), 100);
    let mut observed: Vec<_> = seen.try_iter().collect();
    observed.sort_unstable();
    observed.dedup();
    assert_eq!(observed.len(), 100);
}

#[test]
fn what_the_store_does_not_take_waits_for_the_next_start() {
    let temp = TempDir::new();
    let store = Arc::new(Memory::default());
    store.down.store(true, Ordering::SeqCst);
    let state = on_memory(&temp, Settings { sync: Sync::Full, ..Settings::default() }, &store);
    for number in 0..10 {
        drop(state.journal.settle(&record(number, 1, 1)).unwrap());
    }
    state.close();
    assert_eq!(store.held.lock().unwrap().records.len(), 0);
    store.down.store(false, Ordering::SeqCst);
    let state = on_memory(&temp, Settings::default(), &store);
    assert_eq!(state.recovered.records, 10);
    state.close();
    assert_eq!(store.held.lock().unwrap().records.len(), 10);
}

#[tokio::test]
async fn a_fully_synced_record_is_waited_for_and_on_disk_then() {
    let temp = TempDir::new();
    let settings = Settings { sync: Sync::Full, segment_bytes: 2048, ..Settings::default() };
    let state = on_memory(&temp, settings, &Arc::new(Memory::default()));
    state.journal.ready().await.unwrap();
    for number in 0..50 {
        state.journal.open(&opened(number, 1, 9)).unwrap().await.unwrap();
        state.journal.settle(&record(number, 1, 1)).unwrap().await.unwrap();
    }
    state.close();
}

#[test]
fn a_closed_journal_refuses_by_name() {
    let temp = TempDir::new();
    let state = on_memory(&temp, Settings::default(), &Arc::new(Memory::default()));
    let journal = Arc::clone(&state.journal);
    state.close();
    let message = journal.settle(&record(1, 1, 1)).err().unwrap().to_string();
    assert!(message.contains(temp.path().to_str().unwrap()), "{message}");
    assert_eq!(journal.depth(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_spools_drain_into_one_store_at_the_same_time() {
    let temp = TempDir::new();
    let store = Arc::new(Sqlite::open(&temp.path().join("keymoat.db"), NOW_MS).unwrap());
    store.insert_key(key(1)).await.unwrap();
    let drains: Vec<_> = (0..4_u8)
        .map(|spool| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for step in 0..20_u64 {
                    // Two spools hold the same records, as after a copied directory.
                    let first = u64::from(spool / 2) * 10_000 + step * 50;
                    let to = Position { segment: 1, offset: step };
                    let batch = Batch {
                        records: (first..first + 50).map(|n| record(n, 1, 1)).collect(),
                        ..Batch::new(SpoolId([spool; 16]), NOW_MS, to)
                    };
                    store.drain(Arc::new(batch)).await.unwrap();
                }
            })
        })
        .collect();
    for drain in drains {
        drain.await.unwrap();
    }
    let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
    assert_eq!(key.total_spend, NanoUsd(2000));
}

#[tokio::test]
async fn a_change_to_a_key_waits_in_the_spool_until_the_store_answers() {
    use ledger::{KeyChange, KeyFate};
    let temp = TempDir::new();
    let dir = DataDir::open(temp.path()).unwrap();
    let state = open(dir, Settings::default(), &stopped(), nobody()).unwrap();
    for number in 1..=3 {
        state.store.insert_key(key(number)).await.unwrap();
    }
    let database = temp.path().join("keymoat.db");
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for (number, fate) in [
        (1, KeyFate::Blocked),
        (2, KeyFate::Blocked),
        (2, KeyFate::Unblocked),
        (3, KeyFate::Deleted),
        (9, KeyFate::Blocked),
    ] {
        let change = KeyChange { hash: hash(number), fate, at_ms: NOW_MS + 9 };
        state.journal.change_key(&change).unwrap().await.unwrap();
    }
    assert_eq!(state.journal.depth(), 5);
    // The process dies here, and the lock with the one who had it.
    let copy = TempDir::new();
    std::fs::create_dir(copy.path().join("spool")).unwrap();
    for name in
        ["keymoat.db", "keymoat.db-wal", "pepper", "spool/id", "spool/0000000000000001.spool"]
    {
        fs::copy(temp.path().join(name), copy.path().join(name)).unwrap();
    }
    let dir = DataDir::open(copy.path()).unwrap();
    let again = open(dir, Settings::default(), &stopped(), nobody()).unwrap();
    for (state, is_first) in [(&again, false), (&state, true)] {
        if is_first {
            other.execute_batch("ROLLBACK").unwrap();
            while state.journal.depth() > 0 {
                tokio::task::yield_now().await;
            }
        }
        let key = async |number| state.store.key_by_hash(hash(number)).await.unwrap();
        assert!(key(1).await.unwrap().blocked && !key(2).await.unwrap().blocked);
        assert_eq!(key(3).await, None);
    }
}
