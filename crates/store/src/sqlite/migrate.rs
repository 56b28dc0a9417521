//! Brings the schema up to date: numbered files, each applied once, none ever
//! edited afterwards (a checksum notices).

use crate::error::OpenError;
use rusqlite::{Connection, TransactionBehavior, params};
use std::path::Path;

/// In order; the number is the place in this list, counted from 1.
const MIGRATIONS: &[(&str, &str)] =
    &[("0001_keys_and_spend", include_str!("../../migrations/0001_keys_and_spend.sql"))];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL,
    checksum INTEGER NOT NULL, applied_at_ms INTEGER NOT NULL) STRICT";
const APPLIED: &str = "SELECT number, name, checksum FROM migrations ORDER BY number";
const RECORD: &str =
    "INSERT INTO migrations (number, name, checksum, applied_at_ms) VALUES (?1, ?2, ?3, ?4)";

pub(super) fn run(db: &mut Connection, path: &Path, now_ms: i64) -> Result<(), OpenError> {
    let refused = |cause: rusqlite::Error| OpenError::Database {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let applied = applied(db).map_err(refused)?;
    check(&applied, path)?;
    if applied.len() == MIGRATIONS.len() {
        return Ok(());
    }
    // All in one transaction: a crash leaves the old schema.
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(refused)?;
    tx.execute_batch(CREATE).map_err(refused)?;
    for (number, (name, sql)) in (1_i64..).zip(MIGRATIONS).skip(applied.len()) {
        tx.execute_batch(sql).map_err(refused)?;
        tx.execute(RECORD, params![number, name, checksum(sql), now_ms]).map_err(refused)?;
    }
    tx.commit().map_err(refused)
}

fn applied(db: &Connection) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    if !db.table_exists(None, "migrations")? {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare(APPLIED)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn check(applied: &[(i64, String, i64)], path: &Path) -> Result<(), OpenError> {
    let misfit = |problem| Err(OpenError::Schema { path: path.to_owned(), problem });
    if let Some((_, name, _)) = applied.get(MIGRATIONS.len()) {
        return misfit(format!("a newer version has changed it ({name}); use that version"));
    }
    for ((number, (name, sql)), (n, their_name, sum)) in (1_i64..).zip(MIGRATIONS).zip(applied) {
        if number != *n || name != their_name || checksum(sql) != *sum {
            return misfit(format!("its step {n} ({their_name}) is not our {name}"));
        }
    }
    Ok(())
}

fn checksum(sql: &str) -> i64 {
    i64::from(crc32fast::hash(sql.as_bytes()))
}
