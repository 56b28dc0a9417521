//! `POST /key/update`: changes what is named and nothing else.

use super::ceilings;
use super::find::{check_alias, must_find};
use super::request::KeyFields;
use super::urgent;
use crate::caller::{admin, author, store_failed};
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, Shared, live};
use axum::extract::Request;
use gateway::Failure;
use ledger::VirtualKey;
use serde::Serialize;

#[derive(Serialize)]
struct Updated<'a> {
    /// As the caller named it.
    key: &'a str,
    #[serde(flatten)]
    row: KeyRow<'a>,
}

pub(crate) async fn update(app: App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let given = fields.text("key")?.flatten();
    let given = given.ok_or_else(|| invalid("key", "is required: the key, or its hash"))?;
    let asked = KeyFields::take(fields, "/key/update")?;
    let (_, after) = change(&app, author(&parts.headers), &given, asked).await?;

    let settings = Settings::parse(&after.settings);
    let balance = live::balance(&app, &after);
    reply::json(&Updated { key: &given, row: KeyRow::new(&after, &settings, balance) })
}

/// Makes a change of the key that `given` means; returns the key as it was and
/// as it is.
pub(super) async fn change(
    app: &Shared,
    author: String,
    given: &str,
    asked: KeyFields,
) -> Result<(VirtualKey, VirtualKey), Failure> {
    let ceilings = &app.gateway.runtime().key_ceilings;
    ceilings::check(&asked, ceilings, app.gateway.clock().unix_ms())?;
    if asked.max_budget.is_some() || asked.budget_duration.is_some() || asked.spend.is_some() {
        // A budget begins with what the row says: let it catch up.
        live::drained(app).await;
    }
    let changing = app.changes.lock().await;
    let before = must_find(app, given).await?;
    if let Some(alias) = &asked.alias {
        check_alias(app, alias.as_deref(), Some(before.hash)).await?;
    }
    let spend_was_set = asked.spend.is_some();
    let now_ms = app.gateway.clock().unix_ms();
    if asked.blocked == Some(false) {
        urgent::unblock(app, before.hash).await?;
    }
    let patch = asked.into_patch(&before, author, now_ms);
    let after = app.gateway.store().update_key(before.hash, patch).await.map_err(store_failed)?;
    live::follow(app, &before, &after, spend_was_set, now_ms);
    drop(changing);
    tracing::info!(key = %after.hash, alias = after.alias, "a virtual key was changed");
    Ok((before, after))
}
