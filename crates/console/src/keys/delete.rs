//! `POST /key/delete`: all that are named, or none.

use super::find::{find, missing};
use super::urgent;
use crate::App;
use crate::caller::{admin, not_found, store_failed};
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::{self, Answer};
use axum::extract::Request;
use base::KeyHash;
use gateway::Failure;
use gateway::key_cache::Stopped;
use ledger::{KeyFate, Subject};
use serde::Serialize;

/// Keys in one request.
const KEYS_MAX: usize = 1000;

#[derive(Serialize)]
struct Deleted {
    /// As the caller named them; by alias, their hashes.
    deleted_keys: Vec<String>,
}

pub(crate) async fn delete(app: App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let keys = fields.texts("keys")?.unwrap_or_default();
    let aliases = fields.texts("key_aliases")?.unwrap_or_default();
    if let Some((name, _)) = fields.rest().next() {
        let name: String = name.chars().take(80).collect();
        let why = "is not a field of this request; `keys` and `key_aliases` are";
        return Err(invalid(&name, why));
    }
    if keys.is_empty() && aliases.is_empty() {
        return Err(invalid("keys", "or `key_aliases` must name at least one key"));
    }
    if keys.len() + aliases.len() > KEYS_MAX {
        return Err(invalid("keys", format!("may name at most {KEYS_MAX} keys in one request")));
    }

    let (hashes, deleted_keys) = resolve(&app, keys, aliases).await?;
    for hash in &hashes {
        app.gateway.stop_key(hash, Some(Stopped::Deleted));
    }
    let store = async {
        let changing = app.changes.lock().await;
        let deleted = app.gateway.store().delete_keys(hashes.clone()).await;
        drop(changing);
        deleted
    };
    let gone = urgent::change(&app, &hashes, KeyFate::Deleted, store).await?;
    for hash in &hashes {
        // Calls in flight settle in the cells that they hold.
        app.gateway.book().forget(&Subject::Key(*hash));
        tracing::info!(key = %hash, "a virtual key was deleted");
    }
    if gone.is_none() {
        return urgent::pending(Deleted { deleted_keys });
    }
    for hash in &hashes {
        app.gateway.stop_key(hash, None);
    }
    reply::json(&Deleted { deleted_keys })
}

async fn resolve(
    app: &App,
    keys: Vec<String>,
    aliases: Vec<String>,
) -> Result<(Vec<KeyHash>, Vec<String>), Failure> {
    let (mut hashes, mut named) = (Vec::new(), Vec::new());
    for given in keys {
        let Some(key) = find(app, &given).await? else { return Err(missing(app, &given)) };
        hashes.push(key.hash);
        named.push(given);
    }
    for alias in aliases {
        let found = app.gateway.store().key_by_alias(&alias).await.map_err(store_failed)?;
        let Some(key) = found else {
            let message = format!("No key has the alias '{alias}'; nothing was deleted.");
            return Err(not_found(message).param("key_aliases"));
        };
        named.push(key.hash.to_string());
        hashes.push(key.hash);
    }
    Ok((hashes, named))
}
