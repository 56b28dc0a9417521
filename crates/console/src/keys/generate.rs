//! `POST /key/generate`: a new virtual key.

use super::ceilings;
use super::find::{check_alias, hash_of};
use super::request::KeyFields;
use crate::App;
use crate::caller::{admin, author, store_failed};
use crate::fields::{self, Fields};
use crate::live::Balance;
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use axum::extract::Request;
use base::{KeyHash, Secret};
use gateway::Failure;
use gateway::authenticate::presented_key;
use http::request::Parts;
use ledger::{VirtualKey, public_name};
use serde::Serialize;

/// LiteLLM's answer: the row, the key, and what was asked.
#[derive(Serialize)]
struct Generated<'a> {
    key: &'a str,
    token_id: KeyHash,
    duration: Option<&'a str>,
    #[serde(flatten)]
    row: KeyRow<'a>,
    model_rpm_limit: (),
    model_tpm_limit: (),
    soft_budget: (),
    guardrails: (),
    policies: (),
    prompts: (),
    enforced_params: (),
}

pub(crate) async fn generate(app: App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    admin(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let duration = duration_of(&body);
    let chosen = fields.text("key")?.flatten();
    let mut asked = KeyFields::take(fields, "/key/generate")?;
    let now_ms = app.gateway.clock().unix_ms();
    let runtime = app.gateway.runtime();
    ceilings::fill(&mut asked, &runtime.key_defaults, &runtime.key_ceilings);
    ceilings::check(&asked, &runtime.key_ceilings, now_ms)?;

    let (secret, hash) = new_secret(&app, &parts, "key", chosen)?;
    let author = author(&parts.headers);
    let mut key = VirtualKey::new(hash, public_name(secret.expose()), now_ms);
    key.created_by = Some(author.clone());
    asked.into_patch(&key, author, now_ms).apply(&mut key);
    key.updated_at_ms = now_ms;

    let changing = app.changes.lock().await;
    check_alias(&app, key.alias.as_deref(), None).await?;
    let store = app.gateway.store();
    if store.key_by_hash(hash).await.map_err(store_failed)?.is_some() {
        return Err(taken("key"));
    }
    store.insert_key(key.clone()).await.map_err(store_failed)?;
    // What the book knew of an earlier key of this text went when it was
    // deleted; here only to be sure that nobody remembers it.
    app.gateway.stop_key(&hash, None);
    drop(changing);
    tracing::info!(key = %hash, alias = key.alias, "a virtual key was made");

    let account = key.account();
    let balance = Balance { spend: account.spend, resets_at_ms: account.resets_at_ms };
    shown(&secret, &key, balance, duration.as_deref())
}

/// The one answer that holds a key.
pub(super) fn shown(
    secret: &Secret,
    key: &VirtualKey,
    balance: Balance,
    duration: Option<&str>,
) -> Answer {
    let settings = Settings::parse(&key.settings);
    reply::json(&Generated {
        key: secret.expose(),
        token_id: key.hash,
        duration,
        row: KeyRow::new(key, &settings, balance),
        model_rpm_limit: (),
        model_tpm_limit: (),
        soft_budget: (),
        guardrails: (),
        policies: (),
        prompts: (),
        enforced_params: (),
    })
}

/// A key that is made, or the one that the field `name` chooses.
pub(super) fn new_secret(
    app: &App,
    parts: &Parts,
    name: &'static str,
    chosen: Option<String>,
) -> Result<(Secret, KeyHash), Failure> {
    match chosen {
        Some(key) => {
            let hash = check_chosen(app, parts, name, &key)?;
            Ok((Secret::new(key), hash))
        }
        None => app
            .gateway
            .hasher()
            .generate_key()
            .map_err(|error| Failure::internal(format!("no randomness for a key: {error}"))),
    }
}

/// The duration as it was asked for, to be given back.
pub(super) fn duration_of(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Asked {
        duration: Option<String>,
    }
    serde_json::from_slice::<Asked>(body).ok()?.duration
}

/// The shortest and longest key of a caller's own choice, in characters.
const CHOSEN_CHARS: std::ops::RangeInclusive<usize> = 8..=256;

fn check_chosen(
    app: &App,
    parts: &Parts,
    name: &'static str,
    key: &str,
) -> Result<KeyHash, Failure> {
    if !key.starts_with("sk-") {
        let why = "cannot be used: LiteLLM Virtual Key must start with 'sk-'";
        return Err(invalid(name, why));
    }
    // `/` and `,` end a key in some forms of the header.
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ',' | '"' | '\\');
    if !key.chars().all(fits) || !CHOSEN_CHARS.contains(&key.chars().count()) {
        let why = "must have 8 to 256 characters: letters, digits, and signs but / , \" \\";
        return Err(invalid(name, why));
    }
    let hash = app.gateway.hasher().hash(key);
    let runtime = app.gateway.runtime();
    let presented = presented_key(&parts.headers, runtime.key_header_name.as_deref());
    if presented.is_some_and(|presented| hash_of(app, presented) == hash) {
        return Err(invalid(name, "is the master key; choose another"));
    }
    Ok(hash)
}

pub(super) fn taken(name: &'static str) -> Failure {
    Failure::bad_request(format!("This key exists already; leave `{name}` out to have one made."))
        .kind("bad_request_error")
        .param(name)
        .status(http::StatusCode::CONFLICT)
}
