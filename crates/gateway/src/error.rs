//! What goes wrong, and the one place that turns it into a response.
//!
//! A [`Failure`] keeps apart what the client may read, what the log may hold,
//! and whose fault it was. It is rendered in the client's own dialect, with
//! LiteLLM's statuses and types in the version that `compat` names
//! (reference: LiteLLM's error table for 1.83 and 1.109).

use crate::Body;
use crate::header_names::{RETRY_AFTER_MS, SHOULD_RETRY};
use bytes::Bytes;
use dialect::{ApiError, DecodeError, Dialect, ErrorClass};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use std::borrow::Cow;

/// Which line of LiteLLM's wire contract errors follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// 1.83: what most deployed clients know.
    #[default]
    V1_83,
    /// 1.109.
    V1_109,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request, the key or the limit of the caller.
    Client,
    /// The provider.
    Upstream,
    /// Ourselves.
    Gateway,
}

/// A request that did not get an answer.
#[derive(Debug)]
pub struct Failure {
    /// What kind of failure.
    pub class: ErrorClass,
    /// The status to answer with.
    pub status: StatusCode,
    /// Whose fault.
    pub fault: Fault,
    /// What the client reads.
    pub message: Cow<'static, str>,
    /// LiteLLM's `type`, where it has a word of its own.
    pub kind: Option<&'static str>,
    /// The parameter at fault.
    pub param: Option<String>,
    /// A machine-readable word.
    pub code: Option<String>,
    /// What the log may hold besides.
    pub cause: Option<String>,
    /// When to come back.
    pub retry_after_ms: Option<u64>,
    /// More headers for the client (limits, call id).
    pub headers: HeaderMap,
    /// The provider's own body, to be given back as it is: same dialect, no
    /// secret in it, within the size cap.
    pub relayed: Option<Bytes>,
    /// Whoever counts requests has been told.
    pub counted: bool,
}

impl Failure {
    /// A failure of this kind, by the class's usual status.
    pub fn new(class: ErrorClass, fault: Fault, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            status: status_of(class),
            fault,
            message: message.into(),
            kind: None,
            param: None,
            code: None,
            cause: None,
            retry_after_ms: None,
            headers: HeaderMap::new(),
            relayed: None,
            counted: false,
        }
    }

    /// The client's request is wrong.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorClass::BadRequest, Fault::Client, message)
    }

    /// The client's body is not its dialect's.
    pub fn of_decode(error: DecodeError) -> Self {
        let mut failure = Self::bad_request(error.message);
        failure.param = error.param;
        failure
    }

    /// We failed; `cause` goes to the log only.
    pub fn internal(cause: impl Into<String>) -> Self {
        let mut failure = Self::new(
            ErrorClass::Server,
            Fault::Gateway,
            "The gateway failed to handle this request; its log says why.",
        );
        failure.cause = Some(cause.into());
        failure
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// With LiteLLM's `type`.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }

    /// With the parameter at fault.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// With a cause for the log.
    #[must_use]
    pub fn cause(mut self, cause: &impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// With a time to come back.
    #[must_use]
    pub fn retry_after_ms(mut self, retry_after_ms: Option<u64>) -> Self {
        self.retry_after_ms = retry_after_ms;
        self
    }

    /// In the neutral form, for a client's dialect to spell.
    pub fn to_api_error(&self, compat: Compat) -> ApiError {
        ApiError {
            class: self.class,
            status: self.status.as_u16(),
            message: self.message.clone().into_owned(),
            kind: self.kind.map(str::to_owned),
            code: Some(self.code.clone().unwrap_or_else(|| self.status.as_str().to_owned())),
            param: match (&self.param, compat) {
                (Some(param), _) => Some(param.clone()),
                // The older line printed Python's None as text, and clients
                // came to match on it.
                (None, Compat::V1_83) if self.fault != Fault::Upstream => Some("None".into()),
                (None, _) => None,
            },
        }
    }

    /// A line in the log: ours and the provider's faults as warnings, the
    /// client's as information.
    pub fn log(&self, route: &str) {
        let status = self.status.as_u16();
        let (class, cause) = (class_word(self.class), self.cause.as_deref().unwrap_or_default());
        if self.fault == Fault::Client {
            tracing::info!(route, status, class, cause, "refused");
        } else {
            tracing::warn!(route, status, class, cause, fault = ?self.fault, "failed");
        }
    }

    /// The response, in the client's dialect.
    pub fn into_response(self, dialect: Dialect, compat: Compat) -> Response<Body> {
        let body = match &self.relayed {
            Some(relayed) => relayed.clone(),
            None => encode(dialect, &self.to_api_error(compat)).into(),
        };
        let mut response = Response::new(Body::full(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if is_final(self.status) {
            // The official clients and Claude Code read this before the status.
            headers.entry(SHOULD_RETRY).or_insert(HeaderValue::from_static("false"));
            headers.remove(RETRY_AFTER_MS);
        } else if let Some(after_ms) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after_ms.div_ceil(1000)));
        }
        // A provider that refuses our credential says nothing of the client's.
        if self.status == StatusCode::UNAUTHORIZED && self.fault != Fault::Upstream {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The error in the client's dialect. If that shows kinds, LiteLLM's own word for
/// what went wrong is the `type`.
fn encode(dialect: Dialect, error: &ApiError) -> Vec<u8> {
    let Some(kind) = error.kind.as_deref().filter(|_| dialect.contract().shows_error_kinds) else {
        return dialect.encode_error(error);
    };
    let body = LiteLlm {
        error: Inner {
            message: &error.message,
            kind,
            param: error.param.as_deref(),
            code: error.code.as_deref(),
        },
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

#[derive(serde::Serialize)]
struct LiteLlm<'a> {
    error: Inner<'a>,
}

#[derive(serde::Serialize)]
struct Inner<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// Returns true for a status that the same request gets again, however often it
/// is sent.
fn is_final(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400..=406 | 410..=417 | 422 | 501)
}

/// Returns true if a provider's error is about the credential that it was sent:
/// its words may repeat that credential in any spelling.
pub(crate) fn is_about_credential(error: &ApiError) -> bool {
    matches!(error.class, ErrorClass::Authentication | ErrorClass::Permission)
        || matches!(error.status, 401 | 403 | 407)
}

/// Puts our words in the place of a provider's that are about its credential.
pub(crate) fn withhold(error: &mut ApiError) {
    let what = match error.class {
        ErrorClass::Authentication => "refused the gateway's credential",
        ErrorClass::ContentPolicy => "refused the call by its content policy",
        _ => "does not let the gateway's credential make this call",
    };
    error.message = format!(
        "The provider {what}. Its own words are left out, since they may repeat the credential."
    );
    (error.kind, error.code, error.param) = (None, None, None);
}

/// The usual status of a class.
pub fn status_of(class: ErrorClass) -> StatusCode {
    match class {
        ErrorClass::BadRequest | ErrorClass::ContextLength | ErrorClass::ContentPolicy => {
            StatusCode::BAD_REQUEST
        }
        ErrorClass::Authentication => StatusCode::UNAUTHORIZED,
        ErrorClass::Billing => StatusCode::PAYMENT_REQUIRED,
        ErrorClass::Permission => StatusCode::FORBIDDEN,
        ErrorClass::NotFound => StatusCode::NOT_FOUND,
        ErrorClass::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorClass::RateLimit => StatusCode::TOO_MANY_REQUESTS,
        ErrorClass::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorClass::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ErrorClass::Server => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The class in a word, for records and metrics.
pub fn class_word(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::BadRequest => "bad_request",
        ErrorClass::ContextLength => "context_length",
        ErrorClass::ContentPolicy => "content_policy",
        ErrorClass::Authentication => "authentication",
        ErrorClass::Billing => "billing",
        ErrorClass::Permission => "permission",
        ErrorClass::NotFound => "not_found",
        ErrorClass::TooLarge => "too_large",
        ErrorClass::RateLimit => "rate_limit",
        ErrorClass::Overloaded => "overloaded",
        ErrorClass::Timeout => "timeout",
        ErrorClass::Server => "server",
    }
}

#[cfg(test)]
mod tests {
    use super::{Body, Compat, Failure};
    use dialect::Dialect;

    fn kind_in(dialect: Dialect) -> String {
        let failure = Failure::bad_request("Max budget").kind("budget_exceeded");
        let response = failure.into_response(dialect, Compat::V1_83);
        let Body::Full(Some(body)) = response.into_body() else { panic!("no body") };
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        body["error"]["type"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_type_of_litellms_own_reaches_openai_clients_and_no_others() {
        assert_eq!(kind_in(Dialect::OpenAiChat), "budget_exceeded");
        assert_eq!(kind_in(Dialect::AnthropicMessages), "invalid_request_error");
    }
}
