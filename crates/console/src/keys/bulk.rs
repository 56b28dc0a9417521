//! `POST /key/bulk_update`: several `/key/update` in one request, each for
//! itself: one that fails stops no other.

use super::request::KeyFields;
use super::update::change;
use crate::caller::{admin, author};
use crate::fields::{self, Fields};
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, live};
use axum::extract::Request;
use gateway::Failure;
use ledger::VirtualKey;
use serde::Serialize;

/// Keys in one request.
const KEYS_MAX: usize = 500;

#[derive(Serialize)]
struct Outcome<'a> {
    total_requested: usize,
    successful_updates: Vec<Successful<'a>>,
    failed_updates: Vec<Unchanged>,
}

#[derive(Serialize)]
struct Successful<'a> {
    /// As the caller named it.
    key: &'a str,
    key_info: KeyRow<'a>,
}

#[derive(Serialize)]
struct Unchanged {
    key: String,
    key_info: (),
    failed_reason: String,
}

pub(crate) async fn update(app: App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let items = fields.list("keys")?.unwrap_or_default();
    if items.is_empty() || items.len() > KEYS_MAX {
        let why = format!("must be a list of 1 to {KEYS_MAX} changes, each with its `key`");
        return Err(invalid("keys", why));
    }
    if let Some((name, _)) = fields.rest().next() {
        let name: String = name.chars().take(80).collect();
        return Err(invalid(&name, "is not a field of this request; `keys` is the only one"));
    }
    let (mut changed, mut failed_updates) = (Vec::new(), Vec::new());
    for item in &items {
        match one(&app, author(&parts.headers), item).await {
            Ok((given, key)) => {
                let balance = live::balance(&app, &key);
                let settings = Settings::parse(&key.settings);
                changed.push((given, key, settings, balance));
            }
            Err((key, failure)) => {
                let failed_reason = failure.message.into_owned();
                failed_updates.push(Unchanged { key, key_info: (), failed_reason });
            }
        }
    }
    reply::json(&Outcome {
        total_requested: items.len(),
        successful_updates: changed
            .iter()
            .map(|(given, key, settings, balance)| Successful {
                key: given,
                key_info: KeyRow::new(key, settings, *balance),
            })
            .collect(),
        failed_updates,
    })
}

/// The key as it was named, and as it is after its change.
async fn one(
    app: &App,
    author: String,
    item: &str,
) -> Result<(String, VirtualKey), (String, Failure)> {
    let nameless = |failure| (String::new(), failure);
    let mut fields = Fields::parse(item.as_bytes()).map_err(nameless)?;
    let given = fields.text("key").map_err(nameless)?.flatten();
    let given = given.ok_or_else(|| invalid("key", "is required: the key, or its hash"));
    let given = given.map_err(nameless)?;
    let changed = async {
        let asked = KeyFields::take(fields, "/key/bulk_update")?;
        change(app, author, &given, asked).await
    };
    match changed.await {
        Ok((_, after)) => Ok((given, after)),
        Err(failure) => Err((given, failure)),
    }
}
