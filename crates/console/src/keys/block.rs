//! `POST /key/block` and `/key/unblock`.

use super::find::must_find;
use crate::caller::{admin, store_failed};
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, live};
use axum::extract::Request;

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

    let changing = app.changes.lock().await;
    let found = must_find(&app, &given).await?;
    let now_ms = app.gateway.clock().unix_ms();
    let changed = app.gateway.store().set_blocked(found.hash, blocked, now_ms);
    let key = changed.await.map_err(store_failed)?;
    app.gateway.forget_key(&key.hash);
    drop(changing);
    tracing::info!(key = %key.hash, blocked, "a virtual key was blocked or unblocked");

    let settings = Settings::parse(&key.settings);
    let balance = live::balance(&app, &key);
    reply::json(&KeyRow::new(&key, &settings, balance))
}
