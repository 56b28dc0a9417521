//! The suite on SQLite, and what only SQLite can get wrong.

use crate::{DAY_MS, NOW_MS, TempDir, hash, key, record, suite};
use ledger::{Batch, Keys, Position, Spend, SpoolId, Store};
use std::sync::Arc;
use store::{OpenError, Sqlite};

macro_rules! on_sqlite {
    ($($case:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            let dir = TempDir::new();
            let store = Sqlite::open(&dir.path().join("keymoat.db"), NOW_MS).unwrap();
            suite::$case(&store).await;
        }
    )*};
}

on_sqlite!(
    keys_come_back_as_they_went_in,
    a_hash_or_alias_is_taken_once,
    a_change_is_whole_and_never_overwrites_another,
    lists_are_filtered_sorted_and_paged,
    records_are_put_in_once_with_their_keys_balance,
    a_replaced_key_keeps_its_balance_and_what_is_still_to_come,
    what_is_parked_stays_until_it_ends,
    records_are_found_by_whom_and_when,
    sums_are_exact_and_do_not_fail_where_they_do_not_fit,
    a_record_is_charged_to_each_of_its_subjects_once,
    sums_by_day_of_many_keys_take_no_longer_than_they_must,
    a_balance_follows_its_window,
    a_clock_that_was_ahead_locks_no_key_and_gives_no_budget_twice,
    the_truth_takes_the_place_of_the_charge_for_an_attempt_cut_off,
    a_window_given_later_counts_from_then_on_and_a_lifetime_everything,
    a_closed_store_says_so,
);

fn raw(dir: &TempDir, sql: &str) {
    rusqlite::Connection::open(dir.path().join("keymoat.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_database_of_another_version_is_refused_by_name() {
    let dir = TempDir::new();
    let path = dir.path().join("keymoat.db");
    drop(Sqlite::open(&path, NOW_MS).unwrap());
    drop(Sqlite::open(&path, NOW_MS).unwrap());
    raw(&dir, "INSERT INTO migrations VALUES (99, '0099_future', 1, 1)");
    let message = Sqlite::open(&path, NOW_MS).err().unwrap().to_string();
    assert!(message.contains("keymoat.db") && message.contains("0099_future"), "{message}");
    raw(&dir, "DELETE FROM migrations WHERE number = 99; UPDATE migrations SET checksum = 1");
    assert!(matches!(Sqlite::open(&path, NOW_MS), Err(OpenError::Schema { .. })));
}

#[tokio::test]
async fn a_start_after_the_clock_was_set_back_opens_the_window_of_now() {
    let dir = TempDir::new();
    let path = dir.path().join("keymoat.db");
    let ahead_ms = NOW_MS + 3650 * DAY_MS;
    let mut daily = key(1);
    daily.set_budget_duration(Some("1d".parse().unwrap()), NOW_MS);
    let resets_at_ms = daily.budget_reset_at_ms;
    let store = Sqlite::open(&path, NOW_MS).unwrap();
    store.insert_key(daily).await.unwrap();
    for (number, ms) in [(1, NOW_MS), (2, ahead_ms)] {
        let mut record = record(number, 1, 5);
        record.reserved_ms = ms;
        let to = Position { segment: 1, offset: number };
        let batch = Batch { records: vec![record], ..Batch::new(SpoolId([1; 16]), ms, to) };
        store.drain(Arc::new(batch)).await.unwrap();
    }
    store.close().await.unwrap();
    let store = Sqlite::open(&path, NOW_MS + 5).unwrap();
    let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
    assert_eq!((key.spend.0, key.budget_reset_at_ms), (10, resets_at_ms));
    assert_eq!(key.budget_ahead.0, 5);
}

#[test]
fn a_file_that_is_no_database_is_refused_by_name() {
    let dir = TempDir::new();
    let path = dir.path().join("keymoat.db");
    std::fs::write(&path, "this is not a database, it is a text of some length").unwrap();
    let message = Sqlite::open(&path, NOW_MS).err().unwrap().to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
}
