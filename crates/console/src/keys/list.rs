//! `GET /key/list`: keys by page, as hashes or as whole rows.

use super::find::{find, hash_of};
use crate::caller::{admin, store_failed};
use crate::params::{Params, invalid};
use crate::reply::{self, Answer};
use crate::shown::{KeyRow, Settings};
use crate::{App, live};
use axum::extract::Request;
use base::KeyHash;
use gateway::Failure;
use ledger::{KeyFilter, KeySort};
use serde::Serialize;

#[derive(Serialize)]
struct KeyList<'a> {
    keys: Keys<'a>,
    total_count: u64,
    current_page: u64,
    total_pages: u64,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Keys<'a> {
    Hashes(Vec<KeyHash>),
    Rows(Vec<KeyRow<'a>>),
}

const SORTS: [(&str, KeySort); 6] = [
    ("created_at", KeySort::CreatedAt),
    ("updated_at", KeySort::UpdatedAt),
    ("last_active", KeySort::LastActive),
    ("spend", KeySort::Spend),
    ("max_budget", KeySort::MaxBudget),
    ("key_alias", KeySort::Alias),
];

/// Parameters that would change which keys are shown.
const REFUSED: [&str; 7] = [
    "status",
    "project_id",
    "access_group_id",
    "agent_id",
    "expires",
    "substring_matching",
    "expand",
];

pub(crate) async fn list(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    admin(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    params.refuse(&REFUSED)?;
    let page = params.number("page", 1, 1, u64::from(u32::MAX))?;
    let size = params.number("size", 10, 1, 100)?;
    let whole = params.flag("return_full_object", false)?;
    let filter = filter(&app, &params).await?;
    let listed = app.gateway.store().list_keys(
        filter,
        u32::try_from(page).unwrap_or(u32::MAX),
        u32::try_from(size).unwrap_or(100),
    );
    let (keys, total_count) = listed.await.map_err(store_failed)?;
    let settings: Vec<Settings> = keys.iter().map(|key| Settings::parse(&key.settings)).collect();
    let shown = if whole {
        let row = |(key, settings)| KeyRow::new(key, settings, live::balance(&app, key));
        Keys::Rows(keys.iter().zip(&settings).map(row).collect())
    } else {
        Keys::Hashes(keys.iter().map(|key| key.hash).collect())
    };
    reply::json(&KeyList {
        keys: shown,
        total_count,
        current_page: page,
        total_pages: total_count.div_ceil(size),
    })
}

async fn filter(app: &App, params: &Params) -> Result<KeyFilter, Failure> {
    let user_id = params.owned("user_id");
    for wider in ["include_team_keys", "include_created_by_keys"] {
        // For all keys it changes nothing.
        if user_id.is_some() && params.flag(wider, false)? {
            return Err(invalid(wider, "is not supported together with `user_id` yet"));
        }
    }
    let hash = match params.text("key_hash") {
        None => None,
        Some(given) => match find(app, given).await? {
            Some(key) => Some(key.hash),
            None => Some(hash_of(app, given)),
        },
    };
    let order = params.one_of("sort_order", &[("asc", true), ("desc", false)])?;
    Ok(KeyFilter {
        user_id,
        team_id: params.owned("team_id"),
        organization_id: params.owned("organization_id"),
        created_by: None,
        hash,
        alias: params.owned("key_alias"),
        search: params.owned("search"),
        has_alias: false,
        sort: params.one_of("sort_by", &SORTS)?.unwrap_or_default(),
        ascending: order.unwrap_or(false),
    })
}
