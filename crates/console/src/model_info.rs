//! `GET /model/info`: every deployment with what is known of its model, those
//! that cannot be served with the reason. Never a key, a header or any other
//! secret: only what is listed here is shown.

use crate::App;
use crate::caller::anyone;
use crate::money::Exact;
use crate::params::{Params, invalid};
use crate::reply::{self, Answer};
use axum::extract::Request;
use base::Decimal;
use catalog::{Model, Prices, Tier, Unit};
use gateway::Runtime;
use gateway::deployment::Deployment;
use gateway::principal::{Principal, check_model};
use gateway::routing::LeftOut;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct List<'a> {
    data: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(skip)]
    id: &'a str,
    model_name: &'a str,
    litellm_params: ParamsRow<'a>,
    model_info: Object,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ParamsRow<'a> {
    Served(ShownParams<'a>),
    LeftOut { model: &'a str },
}

/// The deployment's parameters, keys stripped.
#[derive(Serialize)]
struct ShownParams<'a> {
    model: String,
    api_base: String,
    custom_llm_provider: &'a str,
    order: u32,
    weight: u32,
}

/// Deployments that `principal` may use.
fn usable<'a>(
    runtime: &'a Runtime,
    principal: &'a Principal,
) -> impl Iterator<Item = &'a Arc<Deployment>> {
    let may = |name: &str| check_model(principal, name, runtime.compat).is_ok();
    let groups = runtime.routes.groups().filter(move |group| may(&group.name));
    groups.flat_map(|group| &group.deployments)
}

pub(crate) async fn info(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    let asked = params.text("litellm_model_id");
    let runtime = app.gateway.runtime();
    let may = |name: &str| check_model(&principal, name, runtime.compat).is_ok();
    let left_out = runtime.routes.groups().filter(|group| may(&group.name));
    let left_out = left_out.flat_map(|group| group.left_out.iter().map(row_left_out));
    let data: Vec<Row<'_>> = usable(&runtime, &principal)
        .map(|deployment| row(deployment))
        .chain(left_out)
        .filter(|row| asked.is_none_or(|id| row.id == id))
        .collect();
    if data.is_empty() && asked.is_some() {
        let why = "names no deployment that this key may use; GET /model/info lists all";
        return Err(invalid("litellm_model_id", why));
    }
    reply::json(&List { data })
}

#[derive(Serialize)]
struct Paged<'a> {
    data: Vec<Row<'a>>,
    total_count: usize,
    current_page: u64,
    total_pages: usize,
    size: usize,
}

/// Parameters of LiteLLM's that would change which deployments are shown, or
/// in which order.
const REFUSED: [&str; 6] =
    ["teamId", "include_team_models", "user_models_only", "sortBy", "sortOrder", "access_group"];

/// `GET /v2/model/info`: the same by page; `model` is a group's name, `search` a
/// part of it.
pub(crate) async fn page(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    params.refuse(&REFUSED)?;
    let (model, id) = (params.text("model"), params.text("modelId"));
    let search = params.text("search").map(str::to_lowercase);
    let current_page = params.number("page", 1, 1, u64::from(u32::MAX))?;
    let size = params.number("size", 50, 1, 1000)? as usize;
    let runtime = app.gateway.runtime();
    let wanted: Vec<&Arc<Deployment>> = usable(&runtime, &principal)
        .filter(|deployment| model.is_none_or(|model| *deployment.model_group == *model))
        .filter(|deployment| id.is_none_or(|id| *deployment.id == *id))
        .filter(|deployment| {
            let group = deployment.model_group.to_lowercase();
            search.as_ref().is_none_or(|part| group.contains(part))
        })
        .collect();
    let start = (current_page as usize - 1).saturating_mul(size);
    let shown = wanted.iter().skip(start).take(size);
    reply::json(&Paged {
        data: shown.map(|deployment| row(deployment)).collect(),
        total_count: wanted.len(),
        current_page,
        total_pages: wanted.len().div_ceil(size),
        size,
    })
}

fn row(deployment: &Deployment) -> Row<'_> {
    let known = known(deployment, None);
    Row {
        id: &deployment.id,
        model_name: &deployment.model_group,
        litellm_params: ParamsRow::Served(ShownParams {
            model: format!("{}/{}", deployment.provider.id, deployment.upstream_model),
            api_base: format!("{}{}", deployment.api_base, deployment.base_path),
            custom_llm_provider: deployment.provider.id,
            order: deployment.order,
            weight: deployment.weight,
        }),
        model_info: model_info(deployment, &known),
    }
}

/// A deployment that is configured and cannot be served: `model_info.left_out`
/// is the reason.
fn row_left_out(left_out: &LeftOut) -> Row<'_> {
    let mut info = Object::default();
    info.put("id", &*left_out.id);
    info.put("db_model", false);
    info.put("left_out", &*left_out.reason);
    Row {
        id: &left_out.id,
        model_name: &left_out.model_group,
        litellm_params: ParamsRow::LeftOut { model: &left_out.model },
        model_info: info,
    }
}

/// What is known of a deployment's model.
pub(crate) struct Known {
    /// The catalogue's name of it.
    pub(crate) key: Option<&'static str>,
    pub(crate) mode: Option<String>,
    pub(crate) max_input_tokens: Option<u64>,
    pub(crate) max_output_tokens: Option<u64>,
    /// By LiteLLM's names; the deployment's own replace the catalogue's.
    pub(crate) prices: Vec<(String, Price)>,
    /// `supports_*`.
    pub(crate) flags: Vec<(&'static str, bool)>,
    pub(crate) deprecation_date: Option<&'static str>,
}

/// A price as it is listed: a number as its source spells it, or a text (the
/// hours of an off-peak price).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Price {
    Number(Exact),
    Text(&'static str),
}

/// `captured` is what the wildcard of its group stands for.
pub(crate) fn known(deployment: &Deployment, captured: Option<&str>) -> Known {
    let upstream = match captured {
        Some(captured) => deployment.upstream_model.replacen('*', captured, 1),
        None => deployment.upstream_model.to_string(),
    };
    let name = deployment.base_model.as_deref().unwrap_or(&upstream);
    let model = catalog::model(deployment.provider.id, name);
    let mode = model.map(Model::mode).filter(|mode| !mode.is_empty()).map(str::to_owned);
    let prices = match &deployment.own_prices {
        Some(own) => own_prices(own),
        None => model.map(listed_prices).unwrap_or_default(),
    };
    Known {
        key: model.map(Model::key),
        mode: deployment.mode.clone().or(mode),
        max_input_tokens: deployment
            .facts
            .max_input_tokens
            .or_else(|| model.and_then(Model::max_input_tokens)),
        max_output_tokens: deployment
            .facts
            .max_output_tokens
            .or_else(|| model.and_then(Model::max_output_tokens)),
        prices,
        flags: model.map(|model| model.flags().collect()).unwrap_or_default(),
        deprecation_date: model.and_then(Model::deprecation_date),
    }
}

fn listed_prices(model: Model) -> Vec<(String, Price)> {
    let price = |(name, text): (&str, &'static str)| {
        let number = text.parse::<Decimal>().is_ok();
        (
            name.to_owned(),
            if number { Price::Number(Exact(text.into())) } else { Price::Text(text) },
        )
    };
    model.price_fields().map(price).collect()
}

/// The names under which own prices are shown. They can be asked for by unit
/// only, so sizes and tiers are not listed apart.
const OWN: [(&str, Unit); 11] = [
    ("input_cost_per_token", Unit::Input),
    ("output_cost_per_token", Unit::Output),
    ("cache_read_input_token_cost", Unit::CacheRead),
    ("cache_creation_input_token_cost", Unit::CacheWrite5m),
    ("cache_creation_input_token_cost_above_1hr", Unit::CacheWrite1h),
    ("cache_creation_input_token_cost_above_12hr", Unit::CacheWrite12h),
    ("input_cost_per_audio_token", Unit::InputAudio),
    ("output_cost_per_audio_token", Unit::OutputAudio),
    ("output_cost_per_reasoning_token", Unit::Reasoning),
    ("input_cost_per_request", Unit::Request),
    ("input_cost_per_query", Unit::Query),
];

fn own_prices(own: &Prices) -> Vec<(String, Price)> {
    OWN.into_iter()
        .filter_map(|(name, unit)| {
            let price = own.price(unit, Tier::Standard, 0)?;
            Some((name.to_owned(), Price::Number(Exact(price.to_string()))))
        })
        .collect()
}

/// A JSON object by name.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Object(BTreeMap<String, Box<RawValue>>);

impl Object {
    /// What is put last counts.
    fn put(&mut self, name: &str, value: impl Serialize) {
        // Nothing that is put here fails to be JSON.
        if let Ok(value) = to_raw_value(&value) {
            self.0.insert(name.to_owned(), value);
        }
    }
}

/// LiteLLM's `model_info`: what the configuration says, over what is known.
fn model_info(deployment: &Deployment, known: &Known) -> Object {
    let mut info = Object::default();
    info.put("key", known.key);
    info.put("litellm_provider", deployment.provider.id);
    info.put("mode", &known.mode);
    info.put("max_tokens", known.max_output_tokens);
    info.put("max_input_tokens", known.max_input_tokens);
    info.put("max_output_tokens", known.max_output_tokens);
    info.put("deprecation_date", known.deprecation_date);
    // Always there, for dashboards that reckon with them.
    info.put("input_cost_per_token", ());
    info.put("output_cost_per_token", ());
    let mut searches = Object::default();
    for (name, price) in &known.prices {
        match name.strip_prefix("search_context_") {
            Some(size) => searches.put(&format!("search_context_size_{size}"), price),
            None => info.put(name, price),
        }
    }
    if !searches.0.is_empty() {
        info.put("search_context_cost_per_query", searches);
    }
    for (name, holds) in &known.flags {
        info.put(name, holds);
    }
    let written: Object = serde_json::from_str(deployment.model_info.get()).unwrap_or_default();
    info.0.extend(written.0);
    info.put("id", &*deployment.id);
    info.put("db_model", false);
    info
}
