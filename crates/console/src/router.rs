//! Paths and methods.

use crate::reply::{self, Answer};
use crate::routes::{self, Listed};
use crate::{
    App, cost, event_log, health, keys, model_group, model_info, models, spend, token_counter,
};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{self as axum_routing, MethodFilter, MethodRouter};
use dialect::ErrorClass;
use gateway::{Failure, Fault, paths};
use http::{HeaderValue, Method, StatusCode, header};
use std::future::Future;
use std::sync::Arc;

/// The router that is being built, and the list of what it has.
struct Routes {
    router: Router<App>,
    listed: Vec<Listed>,
}

impl Routes {
    fn add(
        mut self,
        path: &'static str,
        what: &'static str,
        method: &'static str,
        to: MethodRouter<App>,
    ) -> Self {
        self.listed.push(Listed { path: path.into(), method, what });
        self.router = self.router.route(path, to);
        self
    }

    fn get<H, F>(self, path: &'static str, what: &'static str, handler: H) -> Self
    where
        H: Fn(App, Request) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        self.add(path, what, "GET", on(MethodFilter::GET, handler))
    }

    fn post<H, F>(self, path: &'static str, what: &'static str, handler: H) -> Self
    where
        H: Fn(App, Request) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        self.add(path, what, "POST", on(MethodFilter::POST, handler))
    }

    /// With the two routes that list all, themselves among them.
    fn with_lists(mut self) -> Router<App> {
        const LISTS: [(&str, &str); 2] = [
            ("/routes", "Lists all routes."),
            ("/openapi.json", "Describes all routes as an OpenAPI document."),
        ];
        let listed =
            |(path, what): (&'static str, _)| Listed { path: path.into(), method: "GET", what };
        self.listed.extend(LISTS.into_iter().map(listed));
        let surfaces = paths::all().map(|path| Listed {
            path: path.into(),
            method: "POST",
            what: "Calls a model, in the dialect of the path.",
        });
        self.listed.extend(surfaces);
        let all: Arc<[Listed]> = self.listed.into();
        let described = Arc::clone(&all);
        self.router
            .route(
                "/routes",
                on(MethodFilter::GET, move |_, _| {
                    let answer = routes::list(&all);
                    async move { answer }
                }),
            )
            .route(
                "/openapi.json",
                on(MethodFilter::GET, move |_, _| {
                    let answer = routes::document(&described);
                    async move { answer }
                }),
            )
    }
}

pub(crate) fn router(app: App) -> Router {
    let routes = Routes { router: Router::new(), listed: Vec::new() };
    routes
        .get("/", "Says what this is.", |_, _| async { health::this_is() })
        .post("/key/generate", "Makes a virtual key.", keys::generate::generate)
        .post("/key/update", "Changes a virtual key.", keys::update::update)
        .post("/key/bulk_update", "Changes several virtual keys.", keys::bulk::update)
        .post("/key/delete", "Deletes virtual keys.", keys::delete::delete)
        .post("/key/block", "Blocks a virtual key.", |app, request| {
            keys::block::set(app, request, true)
        })
        .post("/key/unblock", "Unblocks a virtual key.", |app, request| {
            keys::block::set(app, request, false)
        })
        .post("/key/regenerate", "Replaces a virtual key.", keys::regenerate::of_body)
        .post("/key/{key}/regenerate", "Replaces a virtual key.", keys::regenerate::of_path)
        .post("/key/{key}/reset_spend", "Lowers what a key has spent.", keys::reset::reset)
        .get("/key/info", "Shows a virtual key.", keys::info::info)
        .get("/key/list", "Lists virtual keys.", keys::list::list)
        .get("/key/aliases", "Lists the aliases of virtual keys.", keys::aliases::list)
        .post("/key/health", "Says that the key of the request may call.", keys::health::health)
        .get("/spend/logs", "Lists spend records.", spend::logs)
        .post("/spend/calculate", "Calculates what a call costs.", cost::calculate)
        .post("/utils/token_counter", "Estimates a prompt's tokens.", token_counter::count)
        .post("/api/event_logging/batch", "Throws telemetry away.", event_log::discard)
        .get("/v1/models", "Lists the models that the key may use.", models::list)
        .get("/models", "Lists the models that the key may use.", models::list)
        // As the Azure clients of OpenAI's SDKs ask for them.
        .get("/openai/models", "Lists the models that the key may use.", models::list)
        .get("/openai/v1/models", "Lists the models that the key may use.", models::list)
        .get("/openai/models/{*id}", "Shows a model.", models::one)
        .get("/openai/v1/models/{*id}", "Shows a model.", models::one)
        .get("/v1/models/{*id}", "Shows a model.", models::one)
        .get("/models/{*id}", "Shows a model.", models::one)
        .get("/v1/model/info", "Lists deployments with prices and limits.", model_info::info)
        .get("/model/info", "Lists deployments with prices and limits.", model_info::info)
        .get("/v2/model/info", "Lists deployments by page.", model_info::page)
        .get("/model_group/info", "Lists model groups.", model_group::info)
        .get("/health", "Shows what traffic has shown of each deployment.", health::deployments)
        .get("/health/liveliness", "Says that the process lives.", health::liveness)
        .get("/health/liveness", "Says that the process lives.", health::liveness)
        .get("/health/readiness", "Says whether calls can be served.", health::readiness)
        .get("/metrics", "Shows metrics in Prometheus' format.", health::metrics)
        .with_lists()
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(app)
}

/// A handler whose failures are put into the words of the client's dialect.
fn on<H, F>(methods: MethodFilter, handler: H) -> MethodRouter<App>
where
    H: Fn(App, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    axum_routing::on(methods, move |State(app): State<App>, request: Request| {
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
