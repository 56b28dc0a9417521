//! Paths and methods.

use crate::reply::{self, Answer};
use crate::{App, health, keys, model_group, model_info, models, spend};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{self, MethodFilter, MethodRouter};
use dialect::ErrorClass;
use gateway::{Failure, Fault, paths};
use http::{HeaderValue, Method, StatusCode, header};
use std::future::Future;

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|_, _| async { health::this_is() }))
        .route("/key/generate", post(keys::generate::generate))
        .route("/key/update", post(keys::update::update))
        .route("/key/delete", post(keys::delete::delete))
        .route("/key/block", post(|app, request| keys::block::set(app, request, true)))
        .route("/key/unblock", post(|app, request| keys::block::set(app, request, false)))
        .route("/key/regenerate", post(keys::regenerate::of_body))
        .route("/key/{key}/regenerate", post(keys::regenerate::of_path))
        .route("/key/info", get(keys::info::info))
        .route("/key/list", get(keys::list::list))
        .route("/spend/logs", get(spend::logs))
        .route("/v1/models", get(models::list))
        .route("/models", get(models::list))
        .route("/v1/models/{*id}", get(models::one))
        .route("/models/{*id}", get(models::one))
        .route("/v1/model/info", get(model_info::info))
        .route("/model/info", get(model_info::info))
        .route("/model_group/info", get(model_group::info))
        .route("/health", get(health::deployments))
        .route("/health/liveliness", get(health::liveness))
        .route("/health/liveness", get(health::liveness))
        .route("/health/readiness", get(health::readiness))
        .route("/metrics", get(health::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

fn get<H, F>(handler: H) -> MethodRouter<App>
where
    H: Fn(App, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    on(MethodFilter::GET, handler)
}

fn post<H, F>(handler: H) -> MethodRouter<App>
where
    H: Fn(App, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    on(MethodFilter::POST, handler)
}

/// A handler whose failures are put into the words of the client's dialect.
fn on<H, F>(methods: MethodFilter, handler: H) -> MethodRouter<App>
where
    H: Fn(App, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    routing::on(methods, move |State(app): State<App>, request: Request| {
        let dialect = reply::dialect_of(request.headers());
        let answer = handler(App::clone(&app), request);
        async move { answer.await.unwrap_or_else(|failure| reply::refuse(&app, failure, dialect)) }
    })
}

async fn unknown_path(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path();
    if paths::surface(path).is_some() {
        // The pipeline takes these, but only by POST.
        let mut response = wrong_method(State(app), request).await;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let failure = Failure::new(
        ErrorClass::NotFound,
        Fault::Client,
        format!("There is nothing at {}; GET / says what this is.", shown_path(path)),
    );
    reply::refuse(&app, failure.kind("not_found_error"), reply::dialect_of(request.headers()))
}

async fn wrong_method(State(app): State<App>, request: Request) -> Response {
    let method = match *request.method() {
        Method::GET
        | Method::HEAD
        | Method::POST
        | Method::PUT
        | Method::PATCH
        | Method::DELETE
        | Method::OPTIONS => request.method().as_str(),
        _ => "this method",
    };
    let path = shown_path(request.uri().path());
    let failure = Failure::bad_request(format!("{method} is not allowed for {path}."))
        .kind("invalid_request_error")
        .status(StatusCode::METHOD_NOT_ALLOWED);
    reply::refuse(&app, failure, reply::dialect_of(request.headers()))
}

/// So much of a path as fits an error message.
fn shown_path(path: &str) -> String {
    const SHOWN_MAX_CHARS: usize = 120;
    path.chars().take(SHOWN_MAX_CHARS).collect()
}
