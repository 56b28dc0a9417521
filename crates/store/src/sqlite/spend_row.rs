//! A spend record as a row.

use super::connection::error;
use base::{CallId, KeyHash, NanoUsd};
use ledger::{CostSource, Ending, RecordId, SpendRecord, StoreError, UsageCounts};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use std::sync::Arc;

macro_rules! columns {
    () => {
        "id, request_id, call_type, ending, status, error_class, cost, cost_source, price_version, \
         input, output, cache_read, cache_write_5m, cache_write_1h, reasoning, input_audio, \
         output_audio, searches, model_group, upstream_model, deployment_id, provider, api_base, \
         credential_id, key_hash, key_alias, user_id, end_user, team_id, organization_id, tags, \
         reserved_ms, start_ms, first_byte_ms, end_ms, requester_ip, session_id, cache_hit"
    };
}
pub(super) use columns;

const INSERT: &str = concat!(
    "INSERT INTO spend_records (",
    columns!(),
    ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
     ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
);

/// Takes out an attempt that was charged as cut off; see [`put`].
const TAKE_CRASHED: &str =
    "DELETE FROM spend_records WHERE id = ?1 AND ending = 'crashed' RETURNING cost";

/// Effect of putting a record in.
pub(super) enum Put {
    /// It was missing.
    New,
    /// It took the place of the charge, of this much, for an attempt that seemed
    /// to have been cut off.
    Corrected(NanoUsd),
    /// It was there.
    Known,
}

/// Puts a record in, once.
pub(super) fn put(db: &Connection, record: &SpendRecord) -> Result<Put, StoreError> {
    let mut statement = db.prepare_cached(INSERT).map_err(error)?;
    if insert(&mut statement, record)? {
        return Ok(Put::New);
    }
    if record.ending == Ending::Crashed {
        return Ok(Put::Known);
    }
    let taken = db
        .prepare_cached(TAKE_CRASHED)
        .map_err(error)?
        .query_row([record.id.to_bytes()], |row| row.get(0))
        .optional()
        .map_err(error)?;
    let Some(cost) = taken else { return Ok(Put::Known) };
    insert(&mut statement, record)?;
    Ok(Put::Corrected(NanoUsd(cost)))
}

/// Returns true if it was missing.
fn insert(statement: &mut Statement<'_>, record: &SpendRecord) -> Result<bool, StoreError> {
    let tags = if record.tags.is_empty() {
        None
    } else {
        let json = serde_json::to_string(&record.tags);
        Some(json.map_err(|error| StoreError::Damaged(error.to_string()))?)
    };
    let usage = &record.usage;
    let inserted = statement
        .execute(params![
            record.id.to_bytes(),
            (!is_call(&record.request_id, record.id.call)).then_some(&*record.request_id),
            &*record.call_type,
            record.ending.as_str(),
            record.status,
            record.error_class.as_deref(),
            record.cost.0,
            record.cost_source.as_str(),
            record.price_version.as_deref(),
            usage.input.cast_signed(),
            usage.output.cast_signed(),
            usage.cache_read.cast_signed(),
            usage.cache_write_5m.cast_signed(),
            usage.cache_write_1h.cast_signed(),
            usage.reasoning.cast_signed(),
            usage.input_audio.cast_signed(),
            usage.output_audio.cast_signed(),
            usage.searches.cast_signed(),
            &*record.model_group,
            &*record.upstream_model,
            &*record.deployment_id,
            &*record.provider,
            &*record.api_base,
            record.credential_id.as_deref(),
            record.key_hash.map(|hash| hash.0),
            record.key_alias.as_deref(),
            record.user_id.as_deref(),
            record.end_user.as_deref(),
            record.team_id.as_deref(),
            record.organization_id.as_deref(),
            tags,
            record.reserved_ms,
            record.start_ms,
            record.first_byte_ms,
            record.end_ms,
            record.requester_ip.as_deref(),
            record.session_id.as_deref(),
            record.cache_hit,
        ])
        .map_err(error)?;
    Ok(inserted > 0)
}

/// Whether this is the call's id, which then need not be kept twice.
fn is_call(request_id: &str, call: CallId) -> bool {
    // The length first: most are the provider's ids.
    request_id.len() == 36 && *request_id == *call.to_string()
}

/// Reads a row of [`columns`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<SpendRecord> {
    let id = RecordId::from_bytes(row.get("id")?);
    let text = |column: &str| row.get::<_, Arc<str>>(column);
    let maybe = |column: &str| row.get::<_, Option<Arc<str>>>(column);
    let count = |column: &str| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let tags = maybe("tags")?.map(|json| serde_json::from_str::<Vec<String>>(&json)).transpose();
    let tags = tags.map_err(|cause| unreadable(row, "tags", cause))?.unwrap_or_default();
    let (ending, source) = (text("ending")?, text("cost_source")?);
    let ending = Ending::ALL.into_iter().find(|known| known.as_str() == &*ending);
    let source = CostSource::ALL.into_iter().find(|known| known.as_str() == &*source);
    let unknown = |column| unreadable(row, column, "a word of another version".to_owned());
    Ok(SpendRecord {
        request_id: match maybe("request_id")? {
            Some(given) => given,
            None => id.call.to_string().into(),
        },
        call_type: text("call_type")?,
        ending: ending.ok_or_else(|| unknown("ending"))?,
        status: row.get("status")?,
        error_class: maybe("error_class")?,
        cost: NanoUsd(row.get("cost")?),
        cost_source: source.ok_or_else(|| unknown("cost_source"))?,
        price_version: maybe("price_version")?,
        usage: UsageCounts {
            input: count("input")?,
            cache_read: count("cache_read")?,
            cache_write_5m: count("cache_write_5m")?,
            cache_write_1h: count("cache_write_1h")?,
            input_audio: count("input_audio")?,
            output: count("output")?,
            reasoning: count("reasoning")?,
            output_audio: count("output_audio")?,
            searches: count("searches")?,
        },
        model_group: text("model_group")?,
        upstream_model: text("upstream_model")?,
        deployment_id: text("deployment_id")?,
        provider: text("provider")?,
        api_base: text("api_base")?,
        credential_id: maybe("credential_id")?,
        key_hash: row.get::<_, Option<[u8; 32]>>("key_hash")?.map(KeyHash),
        key_alias: maybe("key_alias")?,
        user_id: maybe("user_id")?,
        end_user: maybe("end_user")?,
        team_id: maybe("team_id")?,
        organization_id: maybe("organization_id")?,
        tags: tags.into_iter().map(Into::into).collect(),
        reserved_ms: row.get("reserved_ms")?,
        first_byte_ms: row.get("first_byte_ms")?,
        end_ms: row.get("end_ms")?,
        requester_ip: maybe("requester_ip")?,
        session_id: maybe("session_id")?,
        cache_hit: row.get("cache_hit")?,
        ..SpendRecord::new(id, row.get("start_ms")?)
    })
}

fn unreadable(
    row: &Row<'_>,
    column: &'static str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    let index = row.as_ref().column_index(column).unwrap_or_default();
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, cause.into())
}
