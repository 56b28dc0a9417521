//! People's face: every HTTP answer that is not a model's, compatible with
//! LiteLLM's management API.
//!
//! [`Console::answer`] takes the requests that the pipeline does not: keys,
//! spend, models, health, metrics. A request goes through `router` (path and
//! method) → `caller` (whose key) → `params` or `fields` (what is asked,
//! checked) → one handler → `reply`, which also turns every
//! [`gateway::Failure`] into a response.
//!
//! Deliberately absent: calls to upstreams (`/health` reports what traffic has
//! shown), secrets of any kind but the new key that `/key/generate` gives out
//! once, SQL, and floats: money enters and leaves as decimal text.

mod caller;
mod cost;
mod event_log;
mod fields;
mod health;
mod keys;
mod live;
mod model_group;
mod model_info;
mod models;
mod money;
mod params;
mod reply;
mod router;
mod routes;
mod shown;
mod spend;
mod spend_row;
mod token_counter;

use axum::Router;
use bytes::Bytes;
use gateway::Gateway;
use http::{Request, Response};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tower_service::Service as _;

/// What an answer is sent as.
pub type Body = axum::body::Body;

/// What can break a [`Body`]; no answer of the console's does.
pub type BodyError = axum::Error;

/// Writes all metrics down, in Prometheus' text format.
pub type RenderMetrics = dyn Fn() -> String + Send + Sync;

/// What a console is made of.
pub struct Parts {
    /// Whose keys, models and records these are.
    pub gateway: Arc<Gateway>,
    /// For `GET /metrics`.
    pub render_metrics: Arc<RenderMetrics>,
}

/// See the module.
pub struct Console {
    router: Router,
    shared: App,
}

/// What all handlers share.
pub(crate) struct Shared {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) render_metrics: Arc<RenderMetrics>,
    pub(crate) is_draining: AtomicBool,
    /// Held from reading a key to putting its change into effect, so that two
    /// changes do not pass each other between store and book.
    pub(crate) changes: tokio::sync::Mutex<()>,
}

pub(crate) type App = Arc<Shared>;

impl Console {
    /// A console for this gateway.
    pub fn new(parts: Parts) -> Self {
        let shared = Arc::new(Shared {
            gateway: parts.gateway,
            render_metrics: parts.render_metrics,
            is_draining: AtomicBool::new(false),
            changes: tokio::sync::Mutex::default(),
        });
        Self { router: router::router(Arc::clone(&shared)), shared }
    }

    /// The process begins to stop: from now on probes answer 503, so that
    /// balancers turn away.
    pub fn drain(&self) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
    }

    /// Answers one request. Never fails: what goes wrong is said in OpenAI's
    /// error shape, or in Anthropic's to its clients.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<axum::BoxError>,
    {
        let dialect = reply::dialect_of(request.headers());
        let Ok(mut response) = self.router.clone().call(request).await;
        let id = self.shared.gateway.new_call_id().to_string();
        gateway::headers::of_id(&id, dialect, response.headers_mut());
        response
    }
}
