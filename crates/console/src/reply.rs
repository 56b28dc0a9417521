//! The one place that builds responses, failures among them.

use crate::Shared;
use axum::body::Body;
use axum::response::Response;
use dialect::Dialect;
use gateway::Failure;
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;

/// What a handler gives.
pub(crate) type Answer = Result<Response, Failure>;

/// 200 with a JSON body that nobody keeps.
///
/// # Errors
/// What cannot be written as JSON; the log says why.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Answer {
    let body = serde_json::to_vec(value).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(with_type(body, HeaderValue::from_static("application/json")))
}

/// 200 with a body of this media type.
pub(crate) fn with_type(body: impl Into<Body>, media_type: HeaderValue) -> Response {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, media_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The dialect whose errors and lists a client reads: the one whose own headers it
/// sends (Anthropic's SDKs always name their version), else the first.
pub(crate) fn dialect_of(headers: &HeaderMap) -> Dialect {
    let [first, ..] = Dialect::ALL;
    let is_spoken = |dialect: &Dialect| {
        let own = dialect.contract().default_headers;
        own.iter().any(|(name, _)| headers.contains_key(*name))
    };
    Dialect::ALL.into_iter().find(is_spoken).unwrap_or(first)
}

/// The failure as a response; its cause goes to the log.
pub(crate) fn refuse(app: &Shared, failure: Failure, dialect: Dialect) -> Response {
    if let Some(cause) = &failure.cause {
        let cause = app.gateway.clean(cause);
        tracing::error!(cause, status = failure.status.as_u16(), "a management request failed");
    }
    let compat = app.gateway.runtime().compat;
    failure.into_response(dialect, compat).map(Body::new)
}
