//! Connections and what goes wrong with them.

use crate::error::OpenError;
use ledger::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// `synchronous=NORMAL`: a power cut may lose the last commits, and the spool
/// still has what was in them (see `spend::drain` for when it no longer has).
const WRITER: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;";

const READER: &str = "PRAGMA query_only = ON;
    PRAGMA trusted_schema = OFF;";

/// The one that writes; makes the file with mode 0600 where it is missing.
pub(super) fn writer(path: &Path) -> Result<Connection, OpenError> {
    make_private(path)?;
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER)
}

/// One that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    // Not SQLITE_OPEN_READ_ONLY: a reader of a WAL database maps its index.
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, READER)
}

fn open(path: &Path, flags: OpenFlags, pragmas: &'static str) -> Result<Connection, OpenError> {
    let refused = |cause: rusqlite::Error| OpenError::Database {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(refused)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(refused)?;
    connection.execute_batch(pragmas).map_err(refused)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// SQLite gives its side files the mode of the database.
fn make_private(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(OpenError::io("create", path))
}

/// By what the caller can do about it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn error(error: rusqlite::Error) -> StoreError {
    match &error {
        rusqlite::Error::QueryReturnedNoRows => StoreError::NotFound,
        rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
            ErrorCode::ConstraintViolation => {
                StoreError::Conflict(message.clone().unwrap_or_else(|| error.to_string()))
            }
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                StoreError::Damaged(error.to_string())
            }
            _ => StoreError::Unavailable(error.to_string()),
        },
        rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => {
            StoreError::Damaged(error.to_string())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}
