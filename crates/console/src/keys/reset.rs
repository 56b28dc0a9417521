//! `POST /key/{key}/reset_spend`: sets what a key has spent to less than it is.

use super::regenerate::key_in_path;
use super::request::KeyFields;
use super::update::change;
use crate::caller::{admin, author};
use crate::fields::{self, Fields};
use crate::money::Money;
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, live};
use axum::extract::Request;
use base::KeyHash;
use serde::Serialize;

/// The row, and what LiteLLM says of the reset.
#[derive(Serialize)]
struct Reset<'a> {
    key_hash: KeyHash,
    previous_spend: Money,
    #[serde(flatten)]
    row: KeyRow<'a>,
}

pub(crate) async fn reset(app: App, mut request: Request) -> Answer {
    let given = key_in_path(&mut request).await?;
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let reset_to = fields.dollars("reset_to")?.flatten();
    let reset_to =
        reset_to.ok_or_else(|| invalid("reset_to", "is required: an amount in dollars"))?;
    if let Some((name, _)) = fields.rest().next() {
        let name: String = name.chars().take(80).collect();
        return Err(invalid(&name, "is not a field of this request; `reset_to` is the only one"));
    }
    live::drained(&app).await;
    let spent = live::balance(&app, &super::find::must_find(&app, &given).await?).spend;
    if reset_to > spent {
        let why = format!("must be at most what the key has spent, {spent}");
        return Err(invalid("reset_to", why));
    }
    let asked = KeyFields { spend: Some(reset_to), ..KeyFields::default() };
    let (_, after) = change(&app, author(&parts.headers), &given, asked).await?;

    let settings = Settings::parse(&after.settings);
    let row = KeyRow::new(&after, &settings, live::balance(&app, &after));
    reply::json(&Reset { key_hash: after.hash, previous_spend: Money(spent), row })
}
