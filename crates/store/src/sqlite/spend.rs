//! Spend records and the positions of spools.

use super::connection::error;
use super::spend_row::{self, Put, columns};
use crate::salvage::Imported;
use base::{CallId, KeyHash, NanoUsd};
use ledger::{
    Account, Batch, DaySpend, Opened, Position, RecordId, SpendFilter, SpendRecord, SpoolId,
    StoreError, Window,
};
use rusqlite::{
    Connection, OptionalExtension, Transaction, TransactionBehavior, named_params, params,
};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

const ACCOUNT: &str = "SELECT spend, total_spend, budget_duration, budget_reset_at_ms, \
    budget_began_ms, last_active_ms, budget_ahead FROM virtual_keys WHERE hash = ?1";
/// Keys whose window had not begun at ?1.
const AHEAD: &str = "SELECT hash FROM virtual_keys \
    WHERE budget_reset_at_ms IS NOT NULL AND budget_began_ms > ?1";
const SUCCESSOR: &str = "SELECT successor FROM key_successors WHERE hash = ?1";
/// Regenerated so often while one batch waits: never. Ends a circle, too.
const SUCCESSORS_MAX: u32 = 64;
const SET_ACCOUNT: &str = "UPDATE virtual_keys SET spend = ?2, total_spend = ?3,
    budget_reset_at_ms = ?4, budget_began_ms = ?5, last_active_ms = ?6, budget_ahead = ?7
    WHERE hash = ?1";
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
const SINCE: &str =
    concat!("SELECT ", cost!(), " FROM spend_records WHERE id >= ?1 AND start_ms >= ?2");
const EVER: &str = concat!("SELECT ", cost!(), " FROM spend_records");
/// Sum of a key's records that were reserved at ?3 or later; none of them has an
/// id before ?2.
const SPENT_FROM: &str = concat!(
    "SELECT ",
    cost!(),
    " FROM spend_records WHERE key_hash = ?1 AND id >= ?2
      AND CASE reserved_ms WHEN 0 THEN start_ms ELSE reserved_ms END >= ?3"
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

struct Balance {
    account: Account,
    last_active_ms: Option<i64>,
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

/// Puts records in and charges their keys; `now_ms` is the time.
fn put_records(
    tx: &Transaction<'_>,
    records: &[SpendRecord],
    now_ms: i64,
) -> Result<Imported, StoreError> {
    let mut done = Imported::default();
    let mut owners: HashMap<KeyHash, KeyHash> = HashMap::new();
    let mut balances: HashMap<KeyHash, Option<Balance>> = HashMap::new();
    for record in records {
        // Before the record is in: what it costs is not counted twice.
        let mut balance = match record.key_hash {
            None => None,
            Some(hash) => {
                let hash = match owners.entry(hash) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => *unknown.insert(owner(tx, hash)?),
                };
                match balances.entry(hash) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(unknown) => unknown.insert(balance(tx, hash, now_ms)?),
                }
                .as_mut()
            }
        };
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
        // A key that has been deleted meanwhile has no balance.
        if let Some(balance) = &mut balance {
            balance.account.charge(record.charged_ms(), cost, now_ms);
            balance.last_active_ms = balance.last_active_ms.max(Some(record.end_ms));
        }
    }
    for (hash, balance) in balances {
        if let Some(balance) = balance {
            set_balance(tx, hash, &balance)?;
        }
    }
    Ok(done)
}

fn set_balance(tx: &Transaction<'_>, hash: KeyHash, balance: &Balance) -> Result<(), StoreError> {
    let Balance { account, last_active_ms } = balance;
    tx.prepare_cached(SET_ACCOUNT)
        .map_err(error)?
        .execute(params![
            hash.0,
            account.spend.0,
            account.total_spend.0,
            account.resets_at_ms,
            account.began_ms,
            last_active_ms,
            account.ahead.0,
        ])
        .map_err(error)?;
    Ok(())
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

/// Keys whose window has not begun, since the clock has been set back, return
/// to the window of now.
pub(super) fn return_to_now(db: &mut Connection, now_ms: i64) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let hashes: Vec<[u8; 32]> = {
        let mut statement = tx.prepare(AHEAD).map_err(error)?;
        let rows = statement.query_map([now_ms], |row| row.get(0)).map_err(error)?;
        rows.collect::<Result<_, _>>().map_err(error)?
    };
    for hash in hashes.into_iter().map(KeyHash) {
        if let Some(balance) = balance(&tx, hash, now_ms)? {
            set_balance(&tx, hash, &balance)?;
        }
    }
    tx.commit().map_err(error)
}

/// Who pays for a key's records: the last that was put in its place.
fn owner(tx: &Transaction<'_>, mut hash: KeyHash) -> Result<KeyHash, StoreError> {
    let mut statement = tx.prepare_cached(SUCCESSOR).map_err(error)?;
    for _ in 0..SUCCESSORS_MAX {
        let next = statement.query_row([hash.0], |row| row.get(0)).optional().map_err(error)?;
        let Some(next) = next else { break };
        hash = KeyHash(next);
    }
    Ok(hash)
}

/// A key's balance in the window of `now_ms`.
fn balance(
    tx: &Transaction<'_>,
    hash: KeyHash,
    now_ms: i64,
) -> Result<Option<Balance>, StoreError> {
    let row = tx
        .prepare_cached(ACCOUNT)
        .map_err(error)?
        .query_row([hash.0], |row| {
            let account = Account {
                spend: NanoUsd(row.get(0)?),
                total_spend: NanoUsd(row.get(1)?),
                window: None,
                resets_at_ms: row.get(3)?,
                began_ms: row.get(4)?,
                ahead: NanoUsd(row.get(6)?),
            };
            Ok((account, row.get::<_, Option<String>>(2)?, row.get(5)?))
        })
        .optional()
        .map_err(error)?;
    let Some((mut account, window, last_active_ms)) = row else { return Ok(None) };
    account.window = window
        .map(|text| text.parse::<Window>())
        .transpose()
        .map_err(|cause| StoreError::Damaged(format!("budget_duration of key {hash}: {cause}")))?;
    if account.is_ahead(now_ms) {
        account.roll(now_ms);
        account.spend = spent_from(tx, hash, account.began_ms)?;
        if let Some(ends_ms) = account.resets_at_ms {
            account.ahead = account.ahead.max(spent_from(tx, hash, ends_ms)?);
        }
    }
    Ok(Some(Balance { account, last_active_ms }))
}

/// Sum of the key's records that were reserved at `from_ms` or later.
fn spent_from(tx: &Transaction<'_>, hash: KeyHash, from_ms: i64) -> Result<NanoUsd, StoreError> {
    let mut statement = tx.prepare_cached(SPENT_FROM).map_err(error)?;
    statement
        .query_row(params![hash.0, at(earliest(from_ms)), from_ms], |row| cost_at(row, 0))
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

pub(super) fn since(
    db: &mut Connection,
    starts: &[Option<i64>],
) -> Result<Vec<NanoUsd>, StoreError> {
    let tx = db.transaction().map_err(error)?;
    let sum = |start: &Option<i64>| match start {
        Some(ms) => tx.query_row(SINCE, params![at(earliest(*ms)), ms], |row| cost_at(row, 0)),
        None => tx.query_row(EVER, [], |row| cost_at(row, 0)),
    };
    starts.iter().map(sum).collect::<Result<_, _>>().map_err(error)
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
