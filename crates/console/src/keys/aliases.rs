//! `GET /key/aliases`: the aliases of all keys that have one, by page.

use crate::App;
use crate::caller::{admin, store_failed};
use crate::params::Params;
use crate::reply::{self, Answer};
use axum::extract::Request;
use ledger::{KeyFilter, KeySort};
use serde::Serialize;

#[derive(Serialize)]
struct Listed<'a> {
    aliases: Vec<&'a str>,
    total_count: u64,
    current_page: u64,
    total_pages: u64,
    size: u64,
}

pub(crate) async fn list(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    admin(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    let page = params.number("page", 1, 1, u64::from(u32::MAX))?;
    let size = params.number("size", 50, 1, 100)?;
    let filter = KeyFilter {
        team_id: params.owned("team_id"),
        search: params.owned("search"),
        has_alias: true,
        sort: KeySort::Alias,
        ascending: true,
        ..KeyFilter::default()
    };
    let listed = app.gateway.store().list_keys(
        filter,
        u32::try_from(page).unwrap_or(u32::MAX),
        u32::try_from(size).unwrap_or(100),
    );
    let (keys, total_count) = listed.await.map_err(store_failed)?;
    reply::json(&Listed {
        aliases: keys.iter().filter_map(|key| key.alias.as_deref()).collect(),
        total_count,
        current_page: page,
        total_pages: total_count.div_ceil(size),
        size,
    })
}
