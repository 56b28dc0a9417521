//! `GET /model_group/info`: what clients may ask for, with the most that any
//! of a group's deployments can do and the most that it costs.

use crate::App;
use crate::caller::{anyone, not_found};
use crate::model_info::{Known, Price, known};
use crate::money::Exact;
use crate::params::Params;
use crate::reply::{self, Answer};
use axum::extract::Request;
use base::Decimal;
use gateway::principal::check_model;
use gateway::routing::{Found, Group};
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Serialize)]
struct List {
    data: Vec<Row>,
}

/// LiteLLM's row of a model group.
#[derive(Serialize)]
struct Row {
    model_group: String,
    providers: Vec<&'static str>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    input_cost_per_token: Option<Exact>,
    output_cost_per_token: Option<Exact>,
    mode: Option<String>,
    tpm: (),
    rpm: (),
    supported_openai_params: (),
    configurable_clientside_auth_params: (),
    is_public_model_group: bool,
    health_status: &'static str,
    #[serde(flatten)]
    supports: BTreeMap<&'static str, bool>,
}

/// LiteLLM's pickers read these, known or not.
const ALWAYS_SHOWN: [&str; 6] = [
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_reasoning",
    "supports_url_context",
    "supports_vision",
    "supports_web_search",
];

pub(crate) async fn info(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    let runtime = app.gateway.runtime();
    let now_ms = app.gateway.ticks_ms();
    let may = |name: &str| check_model(&principal, name, runtime.compat).is_ok();
    if let Some(asked) = params.text("model_group") {
        let found = runtime.routes.served(asked).filter(|_| may(asked));
        let Some(found) = found else {
            let shown: String = asked.chars().take(120).collect();
            let message = format!("No model group '{shown}' that this key may use.");
            return Err(not_found(message).param("model_group"));
        };
        return reply::json(&List { data: vec![row(asked, &found, now_ms)] });
    }
    let served = |group: &&Arc<Group>| group.is_served() && may(&group.name);
    let groups = runtime.routes.groups().filter(served);
    let found = groups.map(|group| Found { group: group.clone(), captured: None });
    let mut data: Vec<Row> = found.map(|found| row(&found.group.name, &found, now_ms)).collect();
    let aliases = runtime.routes.aliases().filter(|(name, alias)| !alias.hidden && may(name));
    let of_alias = |name: &String| Some(row(name, &runtime.routes.served(name)?, now_ms));
    data.extend(aliases.filter_map(|(name, _)| of_alias(name)));
    reply::json(&List { data })
}

fn row(name: &str, found: &Found, now_ms: i64) -> Row {
    let deployments = &found.group.deployments;
    let all: Vec<Known> = deployments.iter().map(|d| known(d, found.captured.as_deref())).collect();
    let mut providers: Vec<&str> = deployments.iter().map(|d| d.provider.id).collect();
    providers.sort_unstable();
    providers.dedup();
    let mut supports: BTreeMap<&str, bool> =
        ALWAYS_SHOWN.into_iter().map(|name| (name, false)).collect();
    for (flag, holds) in all.iter().flat_map(|known| &known.flags) {
        *supports.entry(flag).or_default() |= holds;
    }
    let healthy = deployments.iter().any(|d| d.health.cooling_ms(now_ms) == 0);
    Row {
        model_group: name.to_owned(),
        providers,
        max_input_tokens: all.iter().filter_map(|known| known.max_input_tokens).max(),
        max_output_tokens: all.iter().filter_map(|known| known.max_output_tokens).max(),
        input_cost_per_token: dearest(&all, "input_cost_per_token"),
        output_cost_per_token: dearest(&all, "output_cost_per_token"),
        mode: all.iter().find_map(|known| known.mode.clone()),
        tpm: (),
        rpm: (),
        supported_openai_params: (),
        configurable_clientside_auth_params: (),
        is_public_model_group: false,
        health_status: if healthy { "healthy" } else { "unhealthy" },
        supports,
    }
}

/// The highest of one price, spelled as its source does.
fn dearest(all: &[Known], name: &str) -> Option<Exact> {
    let prices = all.iter().flat_map(|known| &known.prices).filter(|(known, _)| known == name);
    let numbers = prices.filter_map(|(_, price)| match price {
        Price::Number(exact) => Some((exact.0.parse::<Decimal>().ok()?, exact)),
        Price::Text(_) => None,
    });
    numbers.max_by(|(a, _), (b, _)| compare(*a, *b)).map(|(_, exact)| exact.clone())
}

fn compare(a: Decimal, b: Decimal) -> Ordering {
    let scale = a.scale().max(b.scale());
    // A price that does not fit is the larger one.
    a.at_scale(scale).unwrap_or(i128::MAX).cmp(&b.at_scale(scale).unwrap_or(i128::MAX))
}

#[cfg(test)]
mod tests {
    use super::compare;
    use std::cmp::Ordering;

    #[test]
    fn prices_of_different_scales_compare_by_value() {
        let of = |text: &str| text.parse().unwrap();
        assert_eq!(compare(of("2.5e-06"), of("0.0000025")), Ordering::Equal);
        assert_eq!(compare(of("3"), of("0.0000025")), Ordering::Greater);
        assert_eq!(compare(of("1e-07"), of("0.00000011")), Ordering::Less);
    }
}
