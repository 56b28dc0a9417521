//! Brings the schema up to date: numbered files, each applied once, none ever
//! edited afterwards (a checksum notices).

use crate::error::OpenError;
use rusqlite::{Connection, TransactionBehavior, params};
use std::path::Path;

/// In order; the number is the place in this list, counted from 1.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_keys_and_spend", include_str!("../../migrations/0001_keys_and_spend.sql")),
    ("0002_spend_records", include_str!("../../migrations/0002_spend_records.sql")),
    ("0003_key_successors", include_str!("../../migrations/0003_key_successors.sql")),
    ("0004_clock_set_back", include_str!("../../migrations/0004_clock_set_back.sql")),
    ("0005_accounts", include_str!("../../migrations/0005_accounts.sql")),
];

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

#[cfg(test)]
mod tests {
    use super::{CREATE, MIGRATIONS, RECORD, checksum, run};
    use crate::sqlite::spend_row;
    use base::{CallId, KeyHash, NanoUsd};
    use ledger::{CostSource, Ending, RecordId, SpendRecord, UsageCounts};
    use rusqlite::{Connection, params};
    use std::path::Path;

    /// A database as the first version left it.
    fn first_version() -> Connection {
        version(1)
    }

    /// A database that so many steps have been applied to.
    fn version(steps: usize) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(CREATE).unwrap();
        for (number, (name, sql)) in (1_i64..).zip(MIGRATIONS).take(steps) {
            db.execute_batch(sql).unwrap();
            db.execute(RECORD, params![number, name, checksum(sql), 5]).unwrap();
        }
        db
    }

    #[test]
    fn records_of_the_first_version_are_kept_whole() {
        let mut db = first_version();
        let call = CallId::new(1_774_348_740_123, [9; 10]);
        let put =
            "INSERT INTO spend_records (id, request_id, key_hash, model_group, cost, start_ms,
            record) VALUES (?, NULL, ?, 'm', 7, 5, ?)";
        let full = r#"{"id":"x","request_id":"chatcmpl-1","ending":"complete","status":200,"cost":7,
            "cost_source":"computed","usage":{"input":3,"searches":1},"model_group":"m",
            "tags":["a\"b"],"reserved_ms":4,"start_ms":5,"first_byte_ms":6,"end_ms":9,
            "cache_hit":false,"key_hash":"y"}"#;
        let least = format!(r#"{{"request_id":"{call}","start_ms":5}}"#);
        db.execute(put, params![format!("{call}.12"), [3_u8; 32], full]).unwrap();
        db.execute(put, params![format!("{call}.300"), None::<[u8; 32]>, least]).unwrap();
        run(&mut db, Path::new("x"), 6).unwrap();
        run(&mut db, Path::new("x"), 7).unwrap();
        let mut statement = db.prepare("SELECT * FROM spend_records ORDER BY id").unwrap();
        let rows: Vec<SpendRecord> =
            statement.query_map([], spend_row::read).unwrap().map(Result::unwrap).collect();
        let cost = NanoUsd(7);
        let expected = [
            SpendRecord {
                request_id: "chatcmpl-1".into(),
                ending: Ending::Complete,
                status: 200,
                cost,
                cost_source: CostSource::Computed,
                usage: UsageCounts { input: 3, searches: 1, ..UsageCounts::default() },
                model_group: "m".into(),
                key_hash: Some(KeyHash([3; 32])),
                tags: vec!["a\"b".into()],
                reserved_ms: 4,
                first_byte_ms: Some(6),
                end_ms: 9,
                ..SpendRecord::new(RecordId { call, attempt: 12 }, 5)
            },
            SpendRecord {
                request_id: call.to_string().into(),
                cost,
                model_group: "m".into(),
                ending: Ending::Crashed,
                reserved_ms: 0,
                end_ms: 0,
                ..SpendRecord::new(RecordId { call, attempt: 300 }, 5)
            },
        ];
        assert_eq!(rows, expected);
    }

    type Row = (String, Vec<u8>, String, [i64; 3], Option<i64>, i64);

    #[test]
    fn balances_move_from_keys_to_accounts() {
        let mut db = version(4);
        let key = "INSERT INTO virtual_keys (hash, name, models, budget_duration,
            budget_reset_at_ms, budget_began_ms, budget_ahead, spend, total_spend, blocked, tags,
            metadata, settings, created_at_ms, updated_at_ms)
            VALUES (?, 'sk-...', '[]', ?, ?, ?, ?, ?, ?, 0, '[]', '{}', '{}', 1, 1)";
        let hash = |number: u8| [number; 32];
        let daily = params![hash(1), "1d", 86_400_000, 5, 3, 40, 900];
        db.execute(key, daily).unwrap();
        db.execute(key, params![hash(2), None::<&str>, None::<i64>, 0, 0, 0, 70]).unwrap();
        let record = |number: u8, cost: i64, user: Option<&str>, tags: &[&str]| SpendRecord {
            cost: NanoUsd(cost),
            key_hash: Some(KeyHash(hash(1))),
            user_id: user.map(Into::into),
            model_group: "m".into(),
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
            ..SpendRecord::new(RecordId { call: CallId::new(5, [number; 10]), attempt: 0 }, 5)
        };
        let records = [
            record(1, 3_000_000_007, Some("ann"), &["a", "a", "b"]),
            record(2, 2_999_999_999, Some("ann"), &["b"]),
            record(3, 5, None, &[]),
        ];
        for record in &records {
            spend_row::put(&db, record).unwrap();
        }
        run(&mut db, Path::new("x"), 6).unwrap();
        let mut statement = db
            .prepare(
                "SELECT subject_kind, subject_id, window, spent, total, began_ms, resets_at_ms, ahead
                 FROM accounts ORDER BY 1, 2, 3",
            )
            .unwrap();
        let rows: Vec<Row> = statement
            .query_map([], |row| {
                let numbers = [row.get(3)?, row.get(4)?, row.get(5)?];
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, numbers, row.get(6)?, row.get(7)?))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let row = |kind: &str, id: &[u8], window: &str, numbers, resets, ahead| -> Row {
            (kind.to_owned(), id.to_vec(), window.to_owned(), numbers, resets, ahead)
        };
        let ever = |kind, id: &str, sum| row(kind, id.as_bytes(), "", [sum, sum, 0], None, 0);
        let expected = [
            row("key", &hash(1), "", [900, 900, 0], None, 0),
            row("key", &hash(1), "1d", [40, 40, 5], Some(86_400_000), 3),
            row("key", &hash(2), "", [0, 70, 0], None, 0),
            ever("model", "m", 6_000_000_011),
            ever("proxy", "", 6_000_000_011),
            ever("tag", "a", 3_000_000_007),
            ever("tag", "b", 6_000_000_006),
            ever("user", "ann", 6_000_000_006),
        ];
        assert_eq!(rows, expected);
        let keys: i64 =
            db.query_row("SELECT count(*) FROM virtual_keys", [], |r| r.get(0)).unwrap();
        assert_eq!(keys, 2);
    }
}
