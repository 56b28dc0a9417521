//! Blocking and deleting keys, which does not wait for the database.
//!
//! The key is refused at once. If the database does not take the change within
//! a second (it is locked, or gone), the change is written to the spool, from
//! where it reaches the database as soon as that answers, and at the latest
//! before the next process serves its first request. The answer is then 202
//! and says so.

use crate::Shared;
use crate::caller::store_failed;
use crate::reply::{self, Answer};
use base::KeyHash;
use dialect::ErrorClass;
use gateway::{Failure, Fault};
use http::StatusCode;
use ledger::{KeyChange, KeyFate, StoreError};
use serde::Serialize;
use std::future::Future;
use std::time::Duration;

/// Time that the database is given to take a change.
const STORE_WAIT: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Pending<T> {
    #[serde(flatten)]
    answer: T,
    keymoat_pending: &'static str,
}

const PENDING: &str = "In force on this gateway. The database does not answer; the change is in \
    the spool and is stored as soon as the database does.";

/// Makes the changes by `work`, or else by the spool; `None` where it was the
/// spool. The keys must be stopped already.
///
/// # Errors
/// If neither takes them; the keys stay stopped until the process ends.
pub(crate) async fn change<T>(
    app: &Shared,
    hashes: &[KeyHash],
    fate: KeyFate,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<Option<T>, Failure> {
    match tokio::time::timeout(STORE_WAIT, work).await {
        Ok(Ok(done)) => return Ok(Some(done)),
        Ok(Err(StoreError::Unavailable(_))) | Err(_) => {}
        Ok(Err(error)) => return Err(store_failed(error)),
    }
    for hash in hashes {
        write(app, *hash, fate).await?;
        app.gateway.set_stop_written(hash);
        tracing::warn!(key = %hash, ?fate, "the database does not answer: a key's change waits in the spool");
    }
    Ok(None)
}

/// Undoes a block that may still wait in the spool, so that it does not come
/// later than what undoes it.
///
/// # Errors
/// If the spool does not take it; the key stays blocked.
pub(crate) async fn unblock(app: &Shared, hash: KeyHash) -> Result<bool, Failure> {
    if app.gateway.stopped(&hash).is_none() {
        return Ok(false);
    }
    write(app, hash, KeyFate::Unblocked).await?;
    app.gateway.stop_key(&hash, None);
    Ok(true)
}

/// 202 with what the change gives.
pub(crate) fn pending<T: Serialize>(answer: T) -> Answer {
    let mut response = reply::json(&Pending { answer, keymoat_pending: PENDING })?;
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

async fn write(app: &Shared, hash: KeyHash, fate: KeyFate) -> Result<(), Failure> {
    let change = KeyChange { hash, fate, at_ms: app.gateway.clock().unix_ms() };
    let written = match app.gateway.journal().change_key(&change) {
        Ok(written) => written.await,
        Err(error) => Err(error),
    };
    written.map_err(|error| {
        let message = "Neither the database nor the spool takes the change. A key that was \
            blocked or deleted is refused until this process ends. Try again.";
        Failure::new(ErrorClass::Overloaded, Fault::Gateway, message)
            .kind("no_db_connection")
            .cause(&error)
    })
}
