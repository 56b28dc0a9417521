//! Keys as people address them: the key itself, its hash, or the hash that a
//! LiteLLM database knew it by.

use crate::Shared;
use crate::caller::{not_found, store_failed};
use base::KeyHash;
use gateway::Failure;
use ledger::VirtualKey;

/// The key that `given` means, if there is one; as it is in force.
pub(crate) async fn find(app: &Shared, given: &str) -> Result<Option<VirtualKey>, Failure> {
    let stored = stored(app, given).await?;
    Ok(stored.and_then(|key| match app.gateway.stopped(&key.hash) {
        Some(stopped) => stopped.apply(key),
        None => Some(key),
    }))
}

async fn stored(app: &Shared, given: &str) -> Result<Option<VirtualKey>, Failure> {
    let given = given.trim();
    let store = app.gateway.store();
    let Some(hash) = KeyHash::from_hex(given) else {
        return store.key_by_hash(app.gateway.hasher().hash(given)).await.map_err(store_failed);
    };
    if let Some(key) = store.key_by_hash(hash).await.map_err(store_failed)? {
        return Ok(Some(key));
    }
    let imported = app.gateway.hasher().hash_imported(hash.0);
    store.key_by_hash(imported).await.map_err(store_failed)
}

/// The key that `given` means.
pub(crate) async fn must_find(app: &Shared, given: &str) -> Result<VirtualKey, Failure> {
    match find(app, given).await? {
        Some(key) => Ok(key),
        None => Err(missing(app, given)),
    }
}

/// A 404 that names a key by its hash, so that no key ends up in a log.
pub(crate) fn missing(app: &Shared, given: &str) -> Failure {
    let hash = hash_of(app, given);
    not_found(format!("Key not found in database: {hash}. GET /key/list shows those that are."))
        .param("key")
}

/// The hash that `given` is, or hashes to.
pub(crate) fn hash_of(app: &Shared, given: &str) -> KeyHash {
    let given = given.trim();
    KeyHash::from_hex(given).unwrap_or_else(|| app.gateway.hasher().hash(given))
}

/// Refuses an alias that another key has.
pub(crate) async fn check_alias(
    app: &Shared,
    alias: Option<&str>,
    own: Option<KeyHash>,
) -> Result<(), Failure> {
    let Some(alias) = alias else { return Ok(()) };
    let holder = app.gateway.store().key_by_alias(alias).await.map_err(store_failed)?;
    match holder {
        Some(key) if Some(key.hash) != own => Err(Failure::bad_request(format!(
            "Key with alias '{alias}' already exists. Unique key aliases across all keys are \
             required."
        ))
        .kind("bad_request_error")
        .param("key_alias")),
        _ => Ok(()),
    }
}
