//! Virtual keys in rows.

use super::accounts;
use super::connection::error;
use base::{KeyHash, NanoUsd};
use ledger::{
    KeyChange, KeyFate, KeyFilter, KeyPatch, KeySort, StoreError, Subject, VirtualKey, Window,
};
use rusqlite::types::Type;
use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params,
};

macro_rules! columns {
    () => {
        "hash, name, alias, models, max_budget, budget_duration, rpm_limit, tpm_limit, \
         max_parallel_requests, expires_at_ms, blocked, user_id, team_id, organization_id, tags, \
         metadata, settings, created_at_ms, updated_at_ms, created_by, updated_by, last_active_ms"
    };
}

/// Columns of a key and of its balance: the account of its window, and the one
/// that never ends.
macro_rules! selected {
    () => {
        concat!(
            columns!(),
            ", CASE WHEN budget_duration IS NULL THEN lifetime.spent ELSE open.spent END AS spend,
             lifetime.total AS total_spend, open.resets_at_ms AS budget_reset_at_ms,
             open.began_ms AS budget_began_ms, open.ahead AS budget_ahead"
        )
    };
}

macro_rules! balances {
    () => {
        " LEFT JOIN accounts AS lifetime ON lifetime.subject_kind = 'key'
           AND lifetime.subject_id = hash AND lifetime.unit = 'money' AND lifetime.window = ''
         LEFT JOIN accounts AS open ON open.subject_kind = 'key'
           AND open.subject_id = hash AND open.unit = 'money' AND open.window = budget_duration"
    };
}

macro_rules! ordered {
    () => {
        " ORDER BY CASE WHEN :ascending THEN sort_key END ASC NULLS LAST,
            CASE WHEN NOT :ascending THEN sort_key END DESC NULLS LAST, hash"
    };
}

macro_rules! filtered {
    () => {
        " WHERE (:user_id IS NULL OR user_id = :user_id)
           AND (:team_id IS NULL OR team_id = :team_id)
           AND (:organization_id IS NULL OR organization_id = :organization_id)
           AND (:created_by IS NULL OR created_by = :created_by)
           AND (:hash IS NULL OR hash = :hash)
           AND (:alias IS NULL OR alias = :alias)
           AND (NOT :has_alias OR alias IS NOT NULL)
           AND (:search IS NULL OR instr(lower(coalesce(alias, '') || ' ' || name), lower(:search)))"
    };
}

const BY_HASH: &str =
    concat!("SELECT ", selected!(), " FROM virtual_keys", balances!(), " WHERE hash = ?1");
const BY_ALIAS: &str =
    concat!("SELECT ", selected!(), " FROM virtual_keys", balances!(), " WHERE alias = ?1");
const INSERT: &str = concat!(
    "INSERT INTO virtual_keys (",
    columns!(),
    ") VALUES (:hash, :name, :alias, :models, :max_budget, :budget_duration, :rpm_limit, \
     :tpm_limit, :max_parallel_requests, :expires_at_ms, :blocked, :user_id, \
     :team_id, :organization_id, :tags, :metadata, :settings, :created_at_ms, \
     :updated_at_ms, :created_by, :updated_by, :last_active_ms)"
);
const UPDATE: &str = "UPDATE virtual_keys SET alias = :alias, models = :models, max_budget = :max_budget, budget_duration = \
     :budget_duration, rpm_limit = :rpm_limit, tpm_limit = \
     :tpm_limit, max_parallel_requests = :max_parallel_requests, expires_at_ms = \
     :expires_at_ms, blocked = :blocked, user_id = :user_id, team_id = :team_id, \
     organization_id = :organization_id, tags = :tags, metadata = :metadata, settings \
     = :settings, updated_at_ms = :updated_at_ms, updated_by = :updated_by \
     WHERE hash = :hash";
const DELETE: &str = "DELETE FROM virtual_keys WHERE hash = ?1";
const SET_BLOCKED: &str = "UPDATE virtual_keys SET blocked = ?2, \
    updated_at_ms = max(updated_at_ms + 1, ?3) WHERE hash = ?1";
const SUCCEED: &str = "INSERT INTO key_successors (hash, successor) VALUES (?1, ?2)";
/// A hash that is a key's again is nobody's predecessor.
const UNSUCCEED: &str = "DELETE FROM key_successors WHERE hash = ?1";
const COUNT: &str = concat!("SELECT count(*) FROM virtual_keys", filtered!());
/// One text for every order: the sort is bound like any value. Keys are few
/// enough to be sorted without an index. Balances are looked up for the keys of
/// the page; for all only if they decide the order.
const LIST: &str = concat!(
    "SELECT ",
    selected!(),
    " FROM (SELECT ",
    columns!(),
    ", CASE :sort WHEN 0 THEN created_at_ms WHEN 1 THEN updated_at_ms WHEN 2 THEN last_active_ms
        WHEN 3 THEN (SELECT spent FROM accounts WHERE subject_kind = 'key' AND subject_id = hash
          AND unit = 'money' AND window = coalesce(budget_duration, ''))
        WHEN 4 THEN max_budget ELSE alias END AS sort_key
      FROM virtual_keys",
    filtered!(),
    ordered!(),
    " LIMIT :limit OFFSET :offset) AS virtual_keys",
    balances!(),
    ordered!()
);

pub(super) fn by_hash(db: &Connection, hash: KeyHash) -> Result<Option<VirtualKey>, StoreError> {
    let mut statement = db.prepare_cached(BY_HASH).map_err(error)?;
    statement.query_row([hash.0], read).optional().map_err(error)
}

pub(super) fn by_alias(db: &Connection, alias: &str) -> Result<Option<VirtualKey>, StoreError> {
    let mut statement = db.prepare_cached(BY_ALIAS).map_err(error)?;
    statement.query_row([alias], read).optional().map_err(error)
}

pub(super) fn insert(db: &mut Connection, key: &VirtualKey) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    put(&tx, key)?;
    tx.commit().map_err(error)
}

fn put(tx: &Transaction<'_>, key: &VirtualKey) -> Result<(), StoreError> {
    tx.prepare_cached(INSERT)
        .map_err(error)?
        .execute(named_params! {
            ":hash": key.hash.0,
            ":name": key.name,
            ":alias": key.alias,
            ":models": list_text(&key.models)?,
            ":max_budget": key.max_budget.map(|budget| budget.0),
            ":budget_duration": key.budget_duration.map(|window| window.to_string()),
            ":rpm_limit": key.rpm_limit.map(signed),
            ":tpm_limit": key.tpm_limit.map(signed),
            ":max_parallel_requests": key.max_parallel_requests.map(signed),
            ":expires_at_ms": key.expires_at_ms,
            ":blocked": key.blocked,
            ":user_id": key.user_id,
            ":team_id": key.team_id,
            ":organization_id": key.organization_id,
            ":tags": list_text(&key.tags)?,
            ":metadata": key.metadata,
            ":settings": key.settings,
            ":created_at_ms": key.created_at_ms,
            ":updated_at_ms": key.updated_at_ms,
            ":created_by": key.created_by,
            ":updated_by": key.updated_by,
            ":last_active_ms": key.last_active_ms,
        })
        .map_err(|cause| taken(cause, key))?;
    tx.prepare_cached(UNSUCCEED).map_err(error)?.execute([key.hash.0]).map_err(error)?;
    accounts::save_key(tx, key)
}

pub(super) fn update(
    db: &mut Connection,
    hash: KeyHash,
    patch: KeyPatch,
) -> Result<VirtualKey, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let key = changed(&tx, hash, patch)?;
    tx.prepare_cached(UPDATE)
        .map_err(error)?
        .execute(named_params! {
            ":hash": key.hash.0,
            ":alias": key.alias,
            ":models": list_text(&key.models)?,
            ":max_budget": key.max_budget.map(|budget| budget.0),
            ":budget_duration": key.budget_duration.map(|window| window.to_string()),
            ":rpm_limit": key.rpm_limit.map(signed),
            ":tpm_limit": key.tpm_limit.map(signed),
            ":max_parallel_requests": key.max_parallel_requests.map(signed),
            ":expires_at_ms": key.expires_at_ms,
            ":blocked": key.blocked,
            ":user_id": key.user_id,
            ":team_id": key.team_id,
            ":organization_id": key.organization_id,
            ":tags": list_text(&key.tags)?,
            ":metadata": key.metadata,
            ":settings": key.settings,
            ":updated_at_ms": key.updated_at_ms,
            ":updated_by": key.updated_by,
        })
        .map_err(|cause| taken(cause, &key))?;
    accounts::save_key(&tx, &key)?;
    tx.commit().map_err(error)?;
    Ok(key)
}

/// The key as it is after the change, not written yet.
fn changed(tx: &Transaction<'_>, hash: KeyHash, patch: KeyPatch) -> Result<VirtualKey, StoreError> {
    let mut key = by_hash(tx, hash)?.ok_or(StoreError::NotFound)?;
    if patch.expected_updated_at_ms.is_some_and(|expected| expected != key.updated_at_ms) {
        return Err(StoreError::Conflict(
            "the key has been changed since it was read: read it again".into(),
        ));
    }
    patch.apply(&mut key);
    Ok(key)
}

pub(super) fn replace(
    db: &mut Connection,
    hash: KeyHash,
    successor: KeyHash,
    name: String,
    patch: KeyPatch,
) -> Result<VirtualKey, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let key = VirtualKey { hash: successor, name, ..changed(&tx, hash, patch)? };
    delete_one(&tx, hash)?;
    put(&tx, &key)?;
    tx.prepare_cached(SUCCEED).map_err(error)?.execute([hash.0, successor.0]).map_err(error)?;
    tx.commit().map_err(error)?;
    Ok(key)
}

/// Makes a change that was in force before it came here.
pub(super) fn change(tx: &Transaction<'_>, change: &KeyChange) -> Result<(), StoreError> {
    let blocked = match change.fate {
        KeyFate::Blocked => true,
        KeyFate::Unblocked => false,
        KeyFate::Deleted => return delete_one(tx, change.hash).map(drop),
    };
    tx.prepare_cached(SET_BLOCKED)
        .and_then(|mut statement| {
            statement.execute(rusqlite::params![change.hash.0, blocked, change.at_ms])
        })
        .map(drop)
        .map_err(error)
}

pub(super) fn delete(db: &mut Connection, hashes: &[KeyHash]) -> Result<Vec<KeyHash>, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let mut deleted = Vec::new();
    for hash in hashes {
        if delete_one(&tx, *hash)? {
            deleted.push(*hash);
        }
    }
    tx.commit().map_err(error)?;
    Ok(deleted)
}

/// Deletes a key and its accounts; returns true if it was there.
fn delete_one(tx: &Transaction<'_>, hash: KeyHash) -> Result<bool, StoreError> {
    accounts::delete(tx, &Subject::Key(hash))?;
    let deleted = tx.prepare_cached(DELETE).map_err(error)?.execute([hash.0]).map_err(error)?;
    Ok(deleted > 0)
}

pub(super) fn list(
    db: &Connection,
    filter: &KeyFilter,
    page: u32,
    size: u32,
) -> Result<(Vec<VirtualKey>, u64), StoreError> {
    let hash = filter.hash.map(|hash| hash.0);
    let sort = match filter.sort {
        KeySort::CreatedAt => 0,
        KeySort::UpdatedAt => 1,
        KeySort::LastActive => 2,
        KeySort::Spend => 3,
        KeySort::MaxBudget => 4,
        KeySort::Alias => 5,
    };
    let total: i64 = db
        .prepare_cached(COUNT)
        .map_err(error)?
        .query_row(
            named_params! {
                ":user_id": filter.user_id, ":team_id": filter.team_id,
                ":organization_id": filter.organization_id, ":created_by": filter.created_by,
                ":hash": hash, ":alias": filter.alias, ":search": filter.search,
                ":has_alias": filter.has_alias,
            },
            |row| row.get(0),
        )
        .map_err(error)?;
    let offset = i64::from(page.max(1) - 1) * i64::from(size);
    let mut statement = db.prepare_cached(LIST).map_err(error)?;
    let rows = statement
        .query_map(
            named_params! {
                ":user_id": filter.user_id, ":team_id": filter.team_id,
                ":organization_id": filter.organization_id, ":created_by": filter.created_by,
                ":hash": hash, ":alias": filter.alias, ":search": filter.search,
                ":has_alias": filter.has_alias,
                ":sort": sort, ":ascending": filter.ascending, ":limit": size, ":offset": offset,
            },
            read,
        )
        .map_err(error)?;
    let keys = rows.collect::<Result<_, _>>().map_err(error)?;
    Ok((keys, u64::try_from(total).unwrap_or_default()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<VirtualKey> {
    let window: Option<String> = row.get("budget_duration")?;
    let window = window.map(|text| text.parse::<Window>()).transpose();
    Ok(VirtualKey {
        hash: KeyHash(row.get("hash")?),
        name: row.get("name")?,
        alias: row.get("alias")?,
        models: read_list(row, "models")?,
        max_budget: row.get::<_, Option<i64>>("max_budget")?.map(NanoUsd),
        budget_duration: window.map_err(|cause| unreadable(row, "budget_duration", cause))?,
        budget_reset_at_ms: row.get("budget_reset_at_ms")?,
        budget_began_ms: row.get::<_, Option<i64>>("budget_began_ms")?.unwrap_or_default(),
        budget_ahead: NanoUsd(row.get::<_, Option<i64>>("budget_ahead")?.unwrap_or_default()),
        spend: NanoUsd(row.get("spend")?),
        total_spend: NanoUsd(row.get("total_spend")?),
        rpm_limit: read_count(row, "rpm_limit")?,
        tpm_limit: read_count(row, "tpm_limit")?,
        max_parallel_requests: read_count(row, "max_parallel_requests")?,
        expires_at_ms: row.get("expires_at_ms")?,
        blocked: row.get("blocked")?,
        user_id: row.get("user_id")?,
        team_id: row.get("team_id")?,
        organization_id: row.get("organization_id")?,
        tags: read_list(row, "tags")?,
        metadata: row.get("metadata")?,
        settings: row.get("settings")?,
        created_at_ms: row.get("created_at_ms")?,
        updated_at_ms: row.get("updated_at_ms")?,
        created_by: row.get("created_by")?,
        updated_by: row.get("updated_by")?,
        last_active_ms: row.get("last_active_ms")?,
    })
}

fn read_list(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Vec<String>> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|cause| unreadable(row, column, cause))
}

fn read_count(row: &Row<'_>, column: &'static str) -> rusqlite::Result<Option<u64>> {
    let count: Option<i64> = row.get(column)?;
    Ok(count.map(|count| u64::try_from(count).unwrap_or_default()))
}

fn unreadable(
    row: &Row<'_>,
    column: &'static str,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(cause))
}

fn list_text(list: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(list).map_err(|cause| StoreError::Conflict(cause.to_string()))
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Says which of the two is taken; other constraints as they are.
fn taken(cause: rusqlite::Error, key: &VirtualKey) -> StoreError {
    match error(cause) {
        StoreError::Conflict(text) if text.contains("virtual_keys.alias") => StoreError::Conflict(
            format!("a key with the alias `{}` exists", key.alias.as_deref().unwrap_or_default()),
        ),
        StoreError::Conflict(text) if text.contains("virtual_keys.hash") => {
            StoreError::Conflict(format!("the key {} exists", key.hash))
        }
        other => other,
    }
}
