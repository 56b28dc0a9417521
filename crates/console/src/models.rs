//! `GET /v1/models`: the names that a key may ask for.
//!
//! Groups, aliases that are not hidden, and what the catalogue knows under a
//! wildcard group, as LiteLLM lists them, in the order of the configuration; with `return_wildcard_routes` the
//! patterns too. Clients of Anthropic get Anthropic's shape.

use crate::App;
use crate::caller::{anyone, not_found};
use crate::params::{Params, invalid};
use crate::reply::{self, Answer};
use axum::RequestPartsExt as _;
use axum::extract::{Path, Request};
use catalog::Model;
use dialect::contract::ModelList;
use gateway::principal::{Principal, check_model};
use gateway::routing::{Alias, Group, wildcard};
use gateway::{Compat, Failure, Runtime};
use http::HeaderMap;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// LiteLLM's date of birth of every model.
const CREATED: u32 = 1_677_610_602;
const CREATED_AT: &str = "2023-02-28T18:56:42Z";

/// What is served here: other kinds of models have no endpoint yet.
const SERVED_MODES: [&str; 3] = ["chat", "completion", "embedding"];

#[derive(Serialize)]
struct OpenAiModel<'a> {
    id: &'a str,
    object: &'static str,
    created: u32,
    owned_by: &'static str,
    #[serde(flatten)]
    facts: Option<FactsOf109>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

/// What 1.109 adds where it is known.
#[derive(Serialize)]
struct FactsOf109 {
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
}

#[derive(Serialize)]
struct Metadata {
    fallbacks: Vec<String>,
}

#[derive(Serialize)]
struct OpenAiList<'a> {
    data: Vec<OpenAiModel<'a>>,
    object: &'static str,
}

#[derive(Serialize)]
struct AnthropicModel<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicModel<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

/// Parameters that would change which models are shown.
const REFUSED: [&str; 3] = ["team_id", "only_model_access_groups", "scope"];

pub(crate) async fn list(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    params.refuse(&REFUSED)?;
    let runtime = app.gateway.runtime();
    let patterns = params.flag("return_wildcard_routes", false)?;
    let mut names = visible(&runtime, &principal, patterns);
    if params.flag("healthy_only", false)? {
        let now_ms = app.gateway.ticks_ms();
        names.retain(|name| is_healthy(&runtime, name, now_ms));
    }
    if is_paged(&parts.headers) {
        return anthropic_page(&names, &params);
    }
    let fallbacks = fallbacks(&params)?;
    let shown = |name: &'_ str| fallbacks.map(|of| Metadata { fallbacks: of(&runtime, name) });
    let data = names.iter().map(|name| openai_model(&runtime, name, shown(name))).collect();
    reply::json(&OpenAiList { data, object: "list" })
}

pub(crate) async fn one(app: App, request: Request) -> Answer {
    let (mut parts, _) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let Ok(Path(id)) = parts.extract::<Path<String>>().await else {
        return Err(invalid("model", "is not readable: its path is not UTF-8"));
    };
    let runtime = app.gateway.runtime();
    let known = runtime.routes.served(&id).is_some();
    if !known || check_model(&principal, &id, runtime.compat).is_err() {
        let shown: String = id.chars().take(120).collect();
        let message = format!(
            "The model '{shown}' does not exist or this key may not use it. Call `/v1/models` to \
             view available models for your key."
        );
        return Err(not_found(message).param("model"));
    }
    if is_paged(&parts.headers) {
        return reply::json(&anthropic_model(&id));
    }
    reply::json(&openai_model(&runtime, &id, None))
}

/// Returns true if the client lists models in pages.
fn is_paged(headers: &HeaderMap) -> bool {
    reply::dialect_of(headers).contract().model_list == ModelList::Paged
}

/// All names that the caller may ask for and that can be served, each once, in
/// the order of the configuration.
pub(crate) fn visible(runtime: &Runtime, principal: &Principal, patterns: bool) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut names = Vec::new();
    let mut show = |name: String| {
        let allowed = check_model(principal, &name, runtime.compat).is_ok();
        if allowed && seen.insert(name.clone()) {
            names.push(name);
        }
    };
    let routes = &runtime.routes;
    let groups = || routes.groups().filter(|group| group.is_served());
    let is_pattern = |group: &&Arc<Group>| group.name.contains('*');
    for group in groups().filter(|group| !is_pattern(group)) {
        show(group.name.to_string());
    }
    let shown = |(name, alias): &(&String, &Alias)| !alias.hidden && routes.served(name).is_some();
    for (name, _) in routes.aliases().filter(shown) {
        show(name.clone());
    }
    // A key may name what only a pattern serves and no catalogue knows.
    let own = principal.key.iter().flat_map(|key| &key.models);
    for name in own.filter(|name| !name.contains('*') && routes.served(name).is_some()) {
        show(name.clone());
    }
    for group in groups().filter(is_pattern) {
        if patterns {
            show(group.name.to_string());
        }
        expand(group, &mut show);
    }
    names
}

/// The catalogue's models that a wildcard group serves, by the names that
/// clients use for them.
fn expand(group: &Group, show: &mut impl FnMut(String)) {
    for deployment in &group.deployments {
        let served = |model: &Model| SERVED_MODES.contains(&model.mode());
        for model in catalog::models_of(deployment.provider.id).filter(served) {
            if let Some(captured) = wildcard(&deployment.upstream_model, model.upstream_model()) {
                show(group.name.replacen('*', captured, 1));
            }
        }
    }
}

fn is_healthy(runtime: &Runtime, name: &str, now_ms: i64) -> bool {
    let found = runtime.routes.find(name);
    found.is_some_and(|found| {
        found.group.deployments.iter().any(|deployment| deployment.health.cooling_ms(now_ms) == 0)
    })
}

type FallbacksOf = fn(&Runtime, &str) -> Vec<String>;

/// Which fallbacks the caller wants to see, if any.
fn fallbacks(params: &Params) -> Result<Option<FallbacksOf>, Failure> {
    let kinds: [(&str, FallbacksOf); 3] = [
        ("general", |runtime, name| chain(runtime.fallbacks.of(name))),
        ("context_window", |runtime, name| chain(runtime.context_window_fallbacks.of(name))),
        ("content_policy", |runtime, name| chain(runtime.content_policy_fallbacks.of(name))),
    ];
    let kind = params.one_of("fallback_type", &kinds)?;
    let [(_, general), ..] = kinds;
    Ok(params.flag("include_metadata", false)?.then(|| kind.unwrap_or(general)))
}

fn chain(groups: Option<&[String]>) -> Vec<String> {
    groups.map(<[String]>::to_vec).unwrap_or_default()
}

fn openai_model<'a>(runtime: &Runtime, id: &'a str, metadata: Option<Metadata>) -> OpenAiModel<'a> {
    let facts = (runtime.compat == Compat::V1_109).then(|| facts(runtime, id));
    OpenAiModel { id, object: "model", created: CREATED, owned_by: "openai", facts, metadata }
}

fn facts(runtime: &Runtime, id: &str) -> FactsOf109 {
    let found = runtime.routes.find(id);
    let first = found.as_ref().and_then(|found| {
        let deployment = found.group.deployments.first()?;
        Some(crate::model_info::known(deployment, found.captured.as_deref()))
    });
    match first {
        Some(known) => FactsOf109 {
            mode: known.mode,
            max_input_tokens: known.max_input_tokens,
            max_output_tokens: known.max_output_tokens,
        },
        None => FactsOf109 { mode: None, max_input_tokens: None, max_output_tokens: None },
    }
}

fn anthropic_model(id: &str) -> AnthropicModel<'_> {
    AnthropicModel { kind: "model", id, display_name: id, created_at: CREATED_AT }
}

/// One page: after or before an id, at most `limit`; all by default, for who
/// does not page.
fn anthropic_page(names: &[String], params: &Params) -> Answer {
    let limit = params.number("limit", 1000, 1, 1000)? as usize;
    let place = |name: &'static str| -> Result<Option<usize>, Failure> {
        let Some(id) = params.text(name) else { return Ok(None) };
        let at = names.iter().position(|known| known == id);
        at.map(Some).ok_or_else(|| invalid(name, "is not one of the listed models"))
    };
    let start = place("after_id")?.map_or(0, |at| at + 1);
    let end = place("before_id")?.unwrap_or(names.len());
    let within = names.get(start..end).unwrap_or_default();
    let backwards = params.text("before_id").is_some();
    let skipped = if backwards { within.len().saturating_sub(limit) } else { 0 };
    let page: Vec<_> =
        within.iter().skip(skipped).take(limit).map(|name| anthropic_model(name)).collect();
    let has_more = page.len() < within.len();
    let first_id = page.first().map(|model| model.id);
    let last_id = page.last().map(|model| model.id);
    reply::json(&AnthropicList { has_more, first_id, last_id, data: page })
}
