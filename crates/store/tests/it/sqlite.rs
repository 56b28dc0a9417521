//! The suite on SQLite, and what only SQLite can get wrong.

use crate::{NOW_MS, TempDir, suite};
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
    sums_by_day_of_many_keys_take_no_longer_than_they_must,
    a_balance_follows_its_window,
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

#[test]
fn a_file_that_is_no_database_is_refused_by_name() {
    let dir = TempDir::new();
    let path = dir.path().join("keymoat.db");
    std::fs::write(&path, "this is not a database, it is a text of some length").unwrap();
    let message = Sqlite::open(&path, NOW_MS).err().unwrap().to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
}
