//! `POST /key/regenerate` and `/key/{key}/regenerate`: another key in the place
//! of one that may be known to others. It keeps the limits, what was spent of
//! them, and its alias; the old one opens nothing from then on.
//!
//! Calls of the old one that are still running end in peace and are charged to
//! the new one. Counts of the open minute (`rpm_limit`, `tpm_limit`) and places
//! in flight begin anew.

use super::ceilings;
use super::find::{check_alias, must_find};
use super::generate::{duration_of, new_secret, shown, taken};
use super::request::KeyFields;
use crate::caller::{admin, author, store_failed};
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::Answer;
use crate::{App, live};
use axum::RequestExt as _;
use axum::extract::{Path, Request};
use gateway::Failure;
use ledger::public_name;

/// With the key in the path.
pub(crate) async fn of_path(app: App, mut request: Request) -> Answer {
    let key = key_in_path(&mut request).await?;
    regenerate(app, request, Some(key)).await
}

/// The key that the path names.
pub(super) async fn key_in_path(request: &mut Request) -> Result<String, Failure> {
    let path = request.extract_parts::<Path<String>>().await;
    path.map(|Path(key)| key).map_err(|_| invalid("key", "in the path cannot be read"))
}

/// With the key in the body.
pub(crate) async fn of_body(app: App, request: Request) -> Answer {
    regenerate(app, request, None).await
}

async fn regenerate(app: App, request: Request, named: Option<String>) -> Answer {
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let given = named.or(fields.text("key")?.flatten());
    let given = given.ok_or_else(|| invalid("key", "is required: the key, or its hash"))?;
    let chosen = fields.text("new_key")?.flatten();
    refuse(&mut fields)?;
    let duration = duration_of(&body);
    let asked = KeyFields::take(fields, "/key/regenerate")?;
    let ceilings = &app.gateway.runtime().key_ceilings;
    ceilings::check(&asked, ceilings, app.gateway.clock().unix_ms())?;
    let (secret, hash) = new_secret(&app, &parts, "new_key", chosen)?;

    if asked.max_budget.is_some() || asked.budget_duration.is_some() || asked.spend.is_some() {
        live::drained(&app).await;
    }
    let changing = app.changes.lock().await;
    let before = must_find(&app, &given).await?;
    if let Some(alias) = &asked.alias {
        check_alias(&app, alias.as_deref(), Some(before.hash)).await?;
    }
    let store = app.gateway.store();
    if store.key_by_hash(hash).await.map_err(store_failed)?.is_some() {
        return Err(taken("new_key"));
    }
    let spend_was_set = asked.spend.is_some();
    let now_ms = app.gateway.clock().unix_ms();
    let patch = asked.into_patch(&before, author(&parts.headers), now_ms);
    let name = public_name(secret.expose());
    let after = store.replace_key(before.hash, hash, name, patch).await.map_err(store_failed)?;
    live::follow(&app, &before, &after, spend_was_set, now_ms);
    app.gateway.book().forget(&ledger::Subject::Key(before.hash));
    drop(changing);
    tracing::info!(key = %after.hash, was = %before.hash, alias = after.alias, "a virtual key was replaced");

    let balance = live::balance(&app, &after);
    shown(&secret, &after, balance, duration.as_deref())
}

/// What LiteLLM can do here and we cannot.
fn refuse(fields: &mut Fields<'_>) -> Result<(), Failure> {
    let grace = fields.text("grace_period")?.flatten();
    if grace.is_some_and(|grace| !grace.starts_with('0')) {
        let why = "is not supported: the old key is refused at once. Leave it out";
        return Err(invalid("grace_period", why));
    }
    if fields.text("new_master_key")?.flatten().is_some() {
        let why = "is not supported: the master key stands in the configuration, which is read \
            again when it changes";
        return Err(invalid("new_master_key", why));
    }
    Ok(())
}
