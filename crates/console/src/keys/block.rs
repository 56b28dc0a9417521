//! `POST /key/block` and `/key/unblock`.

use super::find::must_find;
use super::urgent;
use crate::caller::{admin, store_failed};
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, live};
use axum::extract::Request;
use gateway::key_cache::Stopped;
use ledger::{KeyFate, VirtualKey};

pub(crate) async fn set(app: App, request: Request, blocked: bool) -> Answer {
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let given = fields.text("key")?.flatten();
    let given = given.ok_or_else(|| invalid("key", "is required: the key, or its hash"))?;
    if let Some((name, _)) = fields.rest().next() {
        let name: String = name.chars().take(80).collect();
        return Err(invalid(&name, "is not a field of this request; `key` is the only one"));
    }

    let found = must_find(&app, &given).await?;
    let now_ms = app.gateway.clock().unix_ms();
    let store = async {
        let changing = app.changes.lock().await;
        let changed = app.gateway.store().set_blocked(found.hash, blocked, now_ms).await;
        drop(changing);
        changed
    };
    let stored = if blocked {
        app.gateway.stop_key(&found.hash, Some(Stopped::Blocked));
        urgent::change(&app, &[found.hash], KeyFate::Blocked, store).await?
    } else if urgent::unblock(&app, found.hash).await? {
        live::drained(&app).await;
        None
    } else {
        Some(store.await.map_err(store_failed)?)
    };
    tracing::info!(key = %found.hash, blocked, "a virtual key was blocked or unblocked");

    let is_stored = stored.is_some();
    let key = stored.unwrap_or(VirtualKey { blocked, ..found });
    let settings = Settings::parse(&key.settings);
    let row = KeyRow::new(&key, &settings, live::balance(&app, &key));
    if !is_stored {
        app.gateway.forget_key(&key.hash);
        return urgent::pending(row);
    }
    // Only now: the store says the same.
    app.gateway.stop_key(&key.hash, None);
    reply::json(&row)
}
