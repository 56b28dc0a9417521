//! `GET /key/info`: one key's row; a key may read its own.

use super::find::{find, hash_of, must_find};
use crate::caller::{anyone, not_found};
use crate::params::Params;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, live};
use axum::extract::Request;
use dialect::ErrorClass;
use gateway::principal::Role;
use gateway::{Failure, Fault};
use ledger::VirtualKey;
use serde::Serialize;

#[derive(Serialize)]
struct Info<'a> {
    /// As the caller named it, or the hash of its own.
    key: &'a str,
    info: KeyRow<'a>,
}

pub(crate) async fn info(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    let asked = params.owned("key");
    let key = match (&asked, principal.role, &principal.key) {
        (Some(asked), Role::Admin, _) => must_find(&app, asked).await?,
        (None, _, None) => {
            let message = "The master key has no row of its own; name a key: /key/info?key=sk-….";
            return Err(not_found(message).param("key"));
        }
        (asked, Role::Caller, Some(own)) => its_own(&app, asked.as_deref(), own).await?,
        (None, Role::Admin, Some(own)) => its_own(&app, None, own).await?,
        (Some(_), Role::Caller, None) | (_, Role::None, _) => return Err(not_its_own()),
    };
    let shown = asked.unwrap_or_else(|| key.hash.to_string());
    if key.max_budget.is_none() {
        // Without a budget nothing but the store counts what it spends.
        live::drained(&app).await;
    }
    let key = must_find(&app, &key.hash.to_string()).await?;
    let settings = Settings::parse(&key.settings);
    let balance = live::balance(&app, &key);
    let row = KeyRow::new(&key, &settings, balance).without_token();
    reply::json(&Info { key: &shown, info: row })
}

/// The caller's own row; the same refusal for a key that is another's and for
/// one that nobody has.
async fn its_own(app: &App, asked: Option<&str>, own: &VirtualKey) -> Result<VirtualKey, Failure> {
    let is_own = match asked {
        None => true,
        Some(asked) => {
            hash_of(app, asked) == own.hash
                || find(app, asked).await?.is_some_and(|key| key.hash == own.hash)
        }
    };
    if is_own {
        return must_find(app, &own.hash.to_string()).await;
    }
    Err(not_its_own())
}

fn not_its_own() -> Failure {
    let message = "You are not allowed to access this key's info. Your role=unknown";
    Failure::new(ErrorClass::Permission, Fault::Client, message).kind("permission_error")
}
