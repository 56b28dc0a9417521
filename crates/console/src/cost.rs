//! `POST /spend/calculate`: what an answer cost by its usage, or what a prompt
//! costs before there is an answer.

use crate::App;
use crate::caller::{anyone, not_found};
use crate::fields::{self, Fields};
use crate::money::Money;
use crate::params::invalid;
use crate::reply::{self, Answer};
use crate::token_counter::input_tokens;
use axum::extract::Request;
use catalog::{Prices, Tier};
use dialect::tap::Tap;
use dialect::{Dialect, Usage};
use gateway::deployment::Candidate;
use gateway::principal::{Principal, resolve_model};
use gateway::{Failure, Runtime};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Serialize)]
struct Calculated {
    cost: Money,
}

/// What of an answer says which dialect it is in, and whose it is.
#[derive(Deserialize)]
struct Envelope {
    model: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

pub(crate) async fn calculate(app: App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let principal = anyone(&app, &parts).await?;
    let body = fields::receive(body).await?;
    let mut fields = Fields::parse(&body)?;
    let asked = fields.text("model")?.flatten();
    let (model, usage) = if let Some(answer) = fields.raw("completion_response") {
        let (theirs, usage) = used(answer)?;
        (asked.or(theirs), usage)
    } else {
        let input = input_tokens(&mut fields)?;
        (asked, Usage { input, ..Usage::default() })
    };
    let model = model.ok_or_else(|| {
        invalid("model", "is required: the name of a model group, or of a catalogue's model")
    })?;
    let prices = prices(&app.gateway.runtime(), &principal, &model)?;
    let cost = catalog::cost(&prices, &usage, Tier::Standard);
    if cost.unpriced {
        return Err(invalid("model", "has no price for all that was used"));
    }
    reply::json(&Calculated { cost: Money(cost.total) })
}

/// The model and the usage of an answer.
fn used(answer: &str) -> Result<(Option<String>, Usage), Failure> {
    let wrong = |why: &str| invalid("completion_response", why);
    let envelope: Envelope =
        serde_json::from_str(answer).map_err(|_| wrong("must be a whole answer, as it came"))?;
    let [first, ..] = Dialect::ALL;
    let dialect = envelope.kind.as_deref().and_then(|kind| {
        Dialect::ALL.into_iter().find(|dialect| dialect.contract().answer_type == Some(kind))
    });
    let dialect = dialect.unwrap_or(first);
    let observed = Tap::unary(dialect.conversation(false), answer.as_bytes());
    let usage = observed.usage.ok_or_else(|| wrong("has no `usage`"))?;
    Ok((envelope.model, usage))
}

/// The prices of a group's first deployment, or the catalogue's for a model
/// that no group serves: `provider/model`, or the name alone if only one
/// provider has it under that name.
fn prices(runtime: &Runtime, principal: &Principal, model: &str) -> Result<Arc<Prices>, Failure> {
    let meant = principal.aliases.get(model).map_or(model, String::as_str);
    if let Some(found) = runtime.routes.find(meant) {
        let meant = resolve_model(principal, model, runtime.compat)?;
        let first = found.group.deployments.first();
        let candidate = first.map(|first| Candidate::new(first, found.captured.as_deref(), true));
        let prices = candidate.and_then(|candidate| candidate.facts.prices);
        return prices.ok_or_else(|| unpriced(meant));
    }
    let listed = model.split_once('/').and_then(|(provider, name)| catalog::model(provider, name));
    let listed = listed.or_else(|| {
        ["openai", "anthropic"].into_iter().find_map(|provider| catalog::model(provider, model))
    });
    listed.map(|listed| Arc::new(listed.prices())).ok_or_else(|| unpriced(model))
}

fn unpriced(model: &str) -> Failure {
    let shown: String = model.chars().take(120).collect();
    not_found(format!("No price is known for the model `{shown}`.")).param("model")
}
