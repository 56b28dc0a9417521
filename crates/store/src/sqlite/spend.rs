//! Spend records and the positions of spools.

use super::accounts::Charges;
use super::connection::error;
use super::spend_row::{self, Put, columns};
use crate::salvage::Imported;
use base::{CallId, KeyHash, NanoUsd};
use ledger::{
    Batch, DaySpend, Opened, Position, RecordId, SpendFilter, SpendRecord, SpoolId, StoreError,
};
use rusqlite::{
    Connection, OptionalExtension, Transaction, TransactionBehavior, named_params, params,
};
use std::collections::HashMap;
use std::hash::Hash;

const SET_POSITION: &str = "INSERT INTO spools (id, segment, at) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET segment = excluded.segment, at = excluded.at";
const POSITION: &str = "SELECT segment, at FROM spools WHERE id = ?1";
const PARK: &str = "INSERT INTO parked_attempts (spool, id, opened) VALUES (?1, ?2, ?3)
    ON CONFLICT (spool, id) DO NOTHING";
const UNPARK: &str = "DELETE FROM parked_attempts WHERE spool = ?1 AND id = ?2";
const PARKED: &str = "SELECT opened FROM parked_attempts WHERE spool = ?1 ORDER BY id";

macro_rules! filtered {
    () => {
        " FROM spend_records
         WHERE id >= :id_from AND id < :id_to
           AND (:user_id IS NULL OR user_id = :user_id)
           AND (:team_id IS NULL OR team_id = :team_id)
           AND (:end_user IS NULL OR end_user = :end_user)
           AND (:start_ms IS NULL OR start_ms >= :start_ms)
           AND (:end_ms IS NULL OR start_ms < :end_ms)"
    };
}
macro_rules! of_request {
    () => {
        " AND (:request_id IS NULL OR request_id = :request_id
               OR (id >= :own_from AND id <= :own_to))"
    };
}
macro_rules! page {
    () => {
        " ORDER BY id DESC LIMIT :limit OFFSET :offset"
    };
}
const LOGS: &str = concat!(
    "SELECT ",
    columns!(),
    filtered!(),
    " AND (:key_hash IS NULL OR key_hash = :key_hash)",
    of_request!(),
    page!()
);
// The same for one key and for one request, so that their indexes serve.
const LOGS_OF_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    filtered!(),
    " AND key_hash = :key_hash",
    of_request!(),
    page!()
);
const LOGS_OF_REQUEST: &str = concat!(
    "SELECT ",
    columns!(),
    filtered!(),
    " AND (:key_hash IS NULL OR key_hash = :key_hash)
     AND (request_id = :request_id OR (id >= :own_from AND id <= :own_to))",
    page!()
);
// Dollars and the rest apart: SQLite refuses a sum that does not fit.
macro_rules! cost {
    () => {
        "coalesce(sum(cost / 1000000000), 0), coalesce(sum(cost % 1000000000), 0)"
    };
}
/// Sum of a key's records that were reserved at ?3 or later; none of them has an
/// id before ?2.
const KEY_SPENT_FROM: &str = concat!(
    "SELECT ",
    cost!(),
    " FROM spend_records WHERE key_hash = ?1 AND id >= ?2
      AND CASE reserved_ms WHEN 0 THEN start_ms ELSE reserved_ms END >= ?3"
);
/// The same of all records.
const ALL_SPENT_FROM: &str = concat!(
    "SELECT ",
    cost!(),
    " FROM spend_records WHERE id >= ?1
      AND CASE reserved_ms WHEN 0 THEN start_ms ELSE reserved_ms END >= ?2"
);
const BY_DAY: &str = concat!(
    "SELECT date(start_ms / 1000, 'unixepoch'), coalesce(user_id, ''), model_group, key_hash, ",
    cost!(),
    filtered!(),
    " AND (:key_hash IS NULL OR key_hash = :key_hash)",
    of_request!(),
    " GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"
);

/// An attempt begins no later than this after its call.
const CALL_MAX_MS: i64 = 86_400_000;

/// When the call of an attempt that began at `start_ms` came, at the earliest.
fn earliest(start_ms: i64) -> i64 {
    start_ms.saturating_sub(CALL_MAX_MS)
}

/// The first id of a time, milliseconds since 1970.
fn at(ms: i64) -> [u8; RecordId::LEN] {
    let call = CallId::new(ms.clamp(0, (1 << 48) - 1), [0; 10]);
    RecordId { call, attempt: 0 }.to_bytes()
}

/// Ids between which all records of a filter lie: both a stretch of time, and
/// the call that a request id may name.
struct Ids {
    from: [u8; RecordId::LEN],
    to: [u8; RecordId::LEN],
    own: Option<CallId>,
}

impl Ids {
    fn of(filter: &SpendFilter) -> Self {
        let own = filter.request_id.as_ref().and_then(|id| format!("{id}.0").parse().ok());
        Self {
            from: filter.start_ms.map_or([0; _], |ms| at(earliest(ms))),
            to: filter.end_ms.map_or([0xff; _], at),
            own: own.map(|id: RecordId| id.call),
        }
    }

    /// The own call's first or last attempt; null where there is none.
    fn own(&self, attempt: u16) -> Option<[u8; RecordId::LEN]> {
        self.own.map(|call| RecordId { call, attempt }.to_bytes())
    }
}

/// In one transaction. Where the position begins a file, the files before it
/// go away next, so that commit is synced to disk and with it all before it.
pub(super) fn drain(db: &mut Connection, batch: &Batch) -> Result<u64, StoreError> {
    let last_of_file = batch.to.offset == 0;
    if last_of_file {
        db.execute_batch("PRAGMA synchronous = FULL").map_err(error)?;
    }
    let done = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(error)
        .and_then(|tx| {
            let new = put(&tx, batch)?;
            tx.commit().map_err(error)?;
            Ok(new)
        });
    if last_of_file {
        db.execute_batch("PRAGMA synchronous = NORMAL").map_err(error)?;
    }
    done
}

fn put(tx: &Transaction<'_>, batch: &Batch) -> Result<u64, StoreError> {
    // First: what is parked refers to it.
    tx.prepare_cached(SET_POSITION)
        .map_err(error)?
        .execute(params![
            batch.spool.0,
            batch.to.segment.cast_signed(),
            batch.to.offset.cast_signed()
        ])
        .map_err(error)?;
    let put = put_records(tx, &batch.records, batch.now_ms)?;
    for change in &batch.key_changes {
        super::keys::change(tx, change)?;
    }
    for opened in &batch.parked {
        let json = serde_json::to_string(opened).map_err(|e| StoreError::Damaged(e.to_string()))?;
        tx.prepare_cached(PARK)
            .map_err(error)?
            .execute(params![batch.spool.0, opened.id.to_string(), json])
            .map_err(error)?;
    }
    for id in &batch.unparked {
        tx.prepare_cached(UNPARK)
            .map_err(error)?
            .execute(params![batch.spool.0, id.to_string()])
            .map_err(error)?;
    }
    Ok(put.new)
}

/// Puts records in and charges their subjects; `now_ms` is the time.
fn put_records(
    tx: &Transaction<'_>,
    records: &[SpendRecord],
    now_ms: i64,
) -> Result<Imported, StoreError> {
    let mut done = Imported::default();
    let mut charges = Charges::new(tx, now_ms);
    for record in records {
        let subjects = charges.open(record)?;
        let cost = match spend_row::put(tx, record)? {
            Put::New => {
                done.new += 1;
                record.cost
            }
            Put::Corrected(charged) => {
                done.corrected += 1;
                record.cost.saturating_sub(charged)
            }
            Put::Known => {
                done.known += 1;
                continue;
            }
        };
        charges.charge(&subjects, record, cost);
    }
    charges.save()?;
    Ok(done)
}

/// Puts in records that were set aside.
pub(super) fn import(
    db: &mut Connection,
    records: &[SpendRecord],
    now_ms: i64,
) -> Result<Imported, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let done = put_records(&tx, records, now_ms)?;
    tx.commit().map_err(error)?;
    Ok(done)
}

/// Sum of the records of `key`, or of all, that were reserved at `from_ms` or
/// later.
pub(super) fn spent_from(
    tx: &Transaction<'_>,
    key: Option<KeyHash>,
    from_ms: i64,
) -> Result<NanoUsd, StoreError> {
    let first = at(earliest(from_ms));
    match key {
        Some(hash) => tx.prepare_cached(KEY_SPENT_FROM).and_then(|mut statement| {
            statement.query_row(params![hash.0, first, from_ms], |row| cost_at(row, 0))
        }),
        None => tx.prepare_cached(ALL_SPENT_FROM).and_then(|mut statement| {
            statement.query_row(params![first, from_ms], |row| cost_at(row, 0))
        }),
    }
    .map_err(error)
}

pub(super) fn drained(
    db: &mut Connection,
    spool: SpoolId,
) -> Result<(Position, Vec<Opened>), StoreError> {
    let tx = db.transaction().map_err(error)?;
    let position = tx
        .query_row(POSITION, [spool.0], |row| {
            let (segment, offset): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Position { segment: segment.cast_unsigned(), offset: offset.cast_unsigned() })
        })
        .optional()
        .map_err(error)?;
    let mut statement = tx.prepare(PARKED).map_err(error)?;
    let rows = statement.query_map([spool.0], |row| row.get::<_, String>(0)).map_err(error)?;
    let mut parked = Vec::new();
    for json in rows {
        let opened = serde_json::from_str(&json.map_err(error)?);
        parked.push(opened.map_err(|cause| StoreError::Damaged(cause.to_string()))?);
    }
    Ok((position.unwrap_or_default(), parked))
}

pub(super) fn logs(
    db: &Connection,
    filter: &SpendFilter,
    limit: u32,
    offset: u64,
) -> Result<Vec<SpendRecord>, StoreError> {
    let sql = match (&filter.request_id, &filter.key_hash) {
        (Some(_), _) => LOGS_OF_REQUEST,
        (None, Some(_)) => LOGS_OF_KEY,
        (None, None) => LOGS,
    };
    let mut statement = db.prepare_cached(sql).map_err(error)?;
    let ids = Ids::of(filter);
    let rows = statement
        .query_map(
            named_params! {
                ":user_id": filter.user_id, ":team_id": filter.team_id,
                ":end_user": filter.end_user, ":start_ms": filter.start_ms,
                ":end_ms": filter.end_ms, ":key_hash": filter.key_hash.map(|hash| hash.0),
                ":request_id": filter.request_id, ":limit": limit,
                ":id_from": ids.from, ":id_to": ids.to,
                ":own_from": ids.own(0), ":own_to": ids.own(u16::MAX),
                ":offset": i64::try_from(offset).unwrap_or(i64::MAX),
            },
            spend_row::read,
        )
        .map_err(error)?;
    rows.map(|record| record.map_err(error)).collect()
}

/// What [`cost!`] gives, from this column on.
fn cost_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<NanoUsd> {
    let (dollars, rest): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
    Ok(NanoUsd(dollars.saturating_mul(1_000_000_000).saturating_add(rest)))
}

type DayRow = (String, String, String, Option<[u8; 32]>, NanoUsd);

pub(super) fn by_day(db: &Connection, filter: &SpendFilter) -> Result<Vec<DaySpend>, StoreError> {
    let mut statement = db.prepare_cached(BY_DAY).map_err(error)?;
    let ids = Ids::of(filter);
    let rows = statement
        .query_map(
            named_params! {
                ":user_id": filter.user_id, ":team_id": filter.team_id,
                ":end_user": filter.end_user, ":start_ms": filter.start_ms,
                ":end_ms": filter.end_ms, ":key_hash": filter.key_hash.map(|hash| hash.0),
                ":request_id": filter.request_id,
                ":id_from": ids.from, ":id_to": ids.to,
                ":own_from": ids.own(0), ":own_to": ids.own(u16::MAX),
            },
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, cost_at(row, 4)?)),
        )
        .map_err(error)?;
    let mut days: Vec<DaySpend> = Vec::new();
    let (mut users, mut models, mut keys) = <(Places<_>, Places<_>, Places<_>)>::default();
    for row in rows {
        let (day, user, model, key, cost): DayRow = row.map_err(error)?;
        if days.last().is_none_or(|last| last.day != day) {
            days.push(DaySpend { day, ..DaySpend::default() });
            users.clear();
            models.clear();
            keys.clear();
        }
        if let Some(last) = days.last_mut() {
            last.spend = last.spend.saturating_add(cost);
            add(&mut last.users, &mut users, user, cost);
            add(&mut last.models, &mut models, model, cost);
            add(&mut last.keys, &mut keys, key.map(KeyHash), cost);
        }
    }
    Ok(days)
}

/// Where a sum stands in its list.
type Places<K> = HashMap<K, usize>;

fn add<K: Clone + Eq + Hash>(
    sums: &mut Vec<(K, NanoUsd)>,
    places: &mut Places<K>,
    key: K,
    cost: NanoUsd,
) {
    let place = *places.entry(key).or_insert_with_key(|key| {
        sums.push((key.clone(), NanoUsd::ZERO));
        sums.len() - 1
    });
    if let Some((_, sum)) = sums.get_mut(place) {
        *sum = sum.saturating_add(cost);
    }
}
