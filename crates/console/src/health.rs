//! Probes, the deployments' health, metrics, and the page at `/`.
//!
//! `/health` differs from LiteLLM's on purpose: it calls no upstream. A probe
//! that costs money and needs a Permit of its own is not something to hang on
//! a balancer; what traffic has shown of each deployment is.

use crate::caller::{admin, anyone};
use crate::params::Params;
use crate::reply::{self, Answer};
use crate::{App, Shared};
use axum::extract::Request;
use axum::response::Response;
use gateway::Compat;
use gateway::deployment::Deployment;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// How long a probe waits for the store.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Serialize)]
struct ThisIs {
    name: &'static str,
    version: &'static str,
    what: &'static str,
    try_next: [&'static str; 3],
}

/// `GET /`: for who meets the address in a browser.
pub(crate) fn this_is() -> Answer {
    reply::json(&ThisIs {
        name: "Keymoat",
        version: VERSION,
        what: "An LLM gateway, running. Point an OpenAI or Anthropic client at this address, \
               with a virtual key.",
        try_next: [
            "GET /v1/models with your key: what you may call",
            "POST /v1/chat/completions with your key: call it",
            "GET /health/readiness: whether it works",
        ],
    })
}

fn shutting_down(app: &Shared) -> Option<Answer> {
    #[derive(Serialize)]
    struct ShuttingDown {
        status: &'static str,
    }
    app.is_draining.load(Ordering::Relaxed).then(|| {
        let said = reply::json(&ShuttingDown { status: "shutting_down" });
        said.map(unavailable)
    })
}

fn unavailable(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

/// `GET /health/liveliness`, needs no key.
pub(crate) async fn liveness(app: App, _: Request) -> Answer {
    shutting_down(&app).unwrap_or_else(|| reply::json("I'm alive!"))
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    db: &'static str,
    /// What is wrong with the spool, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    spool: Option<&'static str>,
    #[serde(flatten)]
    more: Option<ReadinessOf83>,
}

/// What 1.83 said besides.
#[derive(Serialize)]
struct ReadinessOf83 {
    cache: (),
    litellm_version: &'static str,
    success_callbacks: [(); 0],
    use_aiohttp_transport: bool,
    log_level: String,
    is_detailed_debug: bool,
}

/// `GET /health/readiness`, needs no key: 503 while the store does not answer,
/// for keys that are not known yet could not come in, and while no call can be
/// recorded, for none is made then.
pub(crate) async fn readiness(app: App, _: Request) -> Answer {
    if let Some(answer) = shutting_down(&app) {
        return answer;
    }
    let pinged = tokio::time::timeout(PING_TIMEOUT, app.gateway.store().ping()).await;
    let connected = matches!(pinged, Ok(Ok(())));
    let level = LevelFilter::current();
    let more = (app.gateway.runtime().compat == Compat::V1_83).then(|| ReadinessOf83 {
        cache: (),
        litellm_version: VERSION,
        success_callbacks: [],
        use_aiohttp_transport: false,
        log_level: level.to_string().to_uppercase(),
        is_detailed_debug: level >= LevelFilter::DEBUG,
    });
    let spool = app.gateway.cannot_record();
    let healthy = connected && spool.is_none();
    let status = if healthy { "healthy" } else { "unhealthy" };
    let db = if connected { "connected" } else { "disconnected" };
    let response = reply::json(&Readiness { status, db, spool, more })?;
    Ok(if healthy { response } else { unavailable(response) })
}

#[derive(Serialize)]
struct Deployments<'a> {
    healthy_endpoints: Vec<Endpoint<'a>>,
    unhealthy_endpoints: Vec<Endpoint<'a>>,
    healthy_count: usize,
    unhealthy_count: usize,
}

#[derive(Serialize)]
struct Endpoint<'a> {
    model: String,
    model_group: &'a str,
    model_id: &'a str,
    custom_llm_provider: &'a str,
    api_base: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl<'a> Endpoint<'a> {
    fn new(deployment: &'a Deployment, cooling_ms: i64) -> Self {
        let seconds = cooling_ms.saturating_add(999) / 1000;
        Self {
            model: format!("{}/{}", deployment.provider.id, deployment.upstream_model),
            model_group: &deployment.model_group,
            model_id: &deployment.id,
            custom_llm_provider: deployment.provider.id,
            api_base: &deployment.api_base,
            error: (cooling_ms > 0)
                .then(|| format!("cools down after failures; used again in {seconds} s")),
        }
    }
}

fn endpoints<'a>(found: &[(&'a Deployment, i64)]) -> Vec<Endpoint<'a>> {
    found.iter().map(|(deployment, cooling_ms)| Endpoint::new(deployment, *cooling_ms)).collect()
}

/// `GET /health`, for the administrator: what traffic has shown.
pub(crate) async fn deployments(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    admin(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    let (model, model_id) = (params.text("model"), params.text("model_id"));
    let runtime = app.gateway.runtime();
    let now_ms = app.gateway.ticks_ms();
    let asked = |deployment: &&Deployment| {
        let name = format!("{}/{}", deployment.provider.id, deployment.upstream_model);
        model.is_none_or(|model| *deployment.model_group == *model || name == model)
            && model_id.is_none_or(|id| *deployment.id == *id)
    };
    let all = runtime.routes.groups().flat_map(|group| &group.deployments).map(AsRef::as_ref);
    let (healthy, unhealthy): (Vec<_>, Vec<_>) = all
        .filter(asked)
        .map(|deployment| (deployment, deployment.health.cooling_ms(now_ms)))
        .partition(|(_, cooling_ms)| *cooling_ms == 0);
    reply::json(&Deployments {
        healthy_count: healthy.len(),
        unhealthy_count: unhealthy.len(),
        healthy_endpoints: endpoints(&healthy),
        unhealthy_endpoints: endpoints(&unhealthy),
    })
}

/// `GET /metrics`, for the administrator unless the configuration opens it: it
/// shows every key's name and spending.
pub(crate) async fn metrics(app: App, request: Request) -> Answer {
    let runtime = app.gateway.runtime();
    let (parts, _) = request.into_parts();
    if runtime.metrics_need_key && runtime.metrics_take_any_key {
        anyone(&app, &parts).await?;
    } else if runtime.metrics_need_key {
        admin(&app, &parts).await?;
    }
    Ok(reply::with_type((app.render_metrics)(), HeaderValue::from_static(PROMETHEUS)))
}
