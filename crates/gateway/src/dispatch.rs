//! An attempt leaves: seal its body, authenticate outward, egress.

use crate::admission::Admission;
use crate::effective::Effective;
use crate::error::{Failure, Fault, class_word, is_about_credential};
use crate::off_worker::off_worker;
use crate::permit::Permit;
use crate::route::Failed;
use crate::{coding, header_names, headers, wire};
use bytes::Bytes;
use dialect::Surface;
use dialect::{Dialect, Dropped, ErrorClass, ToolNames};
use http::{Method, Response, StatusCode};
use ledger::Ending;
use std::sync::Arc;
use std::time::Duration;
use vault::Outgoing;

/// An attempt that reached its upstream and was not refused at once.
pub struct Dispatched {
    /// The permit, to be settled by the relay.
    pub permit: Box<Permit>,
    /// The upstream's answer; its body is still to come.
    pub response: Response<egress::Body>,
    /// How the answer must be changed on its way back.
    pub exchange: Exchange,
}

/// How the two sides of an attempt differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// The upstream's dialect, where the answer must be translated.
    pub translated: Option<Dialect>,
    /// What was sent, and what the upstream's answer looks like.
    pub surface: Surface,
    /// We asked for usage that the client did not ask for: take it out.
    pub usage_is_ours: bool,
    /// Names of tools that went up as others, to be put back.
    pub names: Option<Arc<ToolNames>>,
    /// Names of what was left out on the way up.
    pub dropped: Dropped,
}

impl Exchange {
    /// Whether the upstream speaks another dialect than the client of `surface`.
    pub fn crosses(&self, surface: Surface) -> bool {
        self.translated.is_some_and(|theirs| theirs != surface.dialect())
    }
}

/// Sends one attempt upstream. Takes the permit: without one, no call.
///
/// # Errors
/// A [`Failed`] whose permit is settled.
pub async fn dispatch(
    mut permit: Box<Permit>,
    effective: Effective<'_>,
    admission: &Admission,
) -> Result<Dispatched, Failed> {
    let clamp = permit.bound().clamp;
    let betas = effective.betas();
    let seal = || effective.seal(admission.call.stream, permit.candidate(), clamp);
    let (body, exchange) = off_worker(admission.body.bytes.len(), seal).await;
    let candidate = permit.candidate();
    let deployment = &candidate.deployment;
    let endpoint = exchange.surface.row().endpoint;
    let Some(path) = candidate.path(endpoint) else {
        let failure = wire::cannot_serve(admission.call.surface, deployment.provider.name);
        permit.settle(Ending::Refused);
        return Err(Failed { failure, status: None, again: false });
    };
    let headers = headers::upstream(admission, candidate, &betas);
    let outgoing = Outgoing::new(deployment.origin.clone(), Method::POST, path, headers);
    let attached = match deployment.credential_for(endpoint) {
        Some(credential) => credential.attach(outgoing),
        None => Ok(outgoing.without_credential()),
    };
    let authorized = match attached {
        Ok(authorized) => authorized,
        Err(error) => {
            permit.settle(Ending::Refused);
            let failure = Failure::internal(error.to_string());
            return Err(Failed { failure, status: None, again: false });
        }
    };
    let limits = admission.limits(candidate);
    admission.call.client.set_outlives(!candidate.sends_no_bill());
    permit.sent();
    match admission.runtime.egress.send(authorized, body, limits).await {
        Ok(response) => {
            permit.answering(response.status());
            let dispatched = Dispatched { permit, response, exchange };
            if dispatched.response.status().is_success() {
                Ok(dispatched)
            } else {
                // Boxed, for its state is large and mostly not there.
                Err(Box::pin(refused_upstream(dispatched, admission)).await)
            }
        }
        Err(error) => Err(unreachable_upstream(permit, &error)),
    }
}

/// The upstream answered with an error status.
///
/// Its status is the client's too, in the same dialect, as LiteLLM has it. A
/// 401 or 403 is about our credential, not about the client's key: it says so,
/// in our words alone and without a challenge.
async fn refused_upstream(dispatched: Dispatched, admission: &Admission) -> Failed {
    let Dispatched { mut permit, response, exchange } = dispatched;
    let (parts, body) = response.into_parts();
    let read = error_body(&parts.headers, body, admission).await;
    let (is_read, body) = (read.is_some(), read.unwrap_or_default());
    let status = parts.status;
    let theirs = exchange.translated.unwrap_or(admission.call.surface.dialect());
    let mut error = theirs.decode_error(status.as_u16(), &body);
    admission.gateway.clean_error(&mut error);
    permit.blame(class_word(error.class));
    permit.seen.fail(error.class, None);
    // It may be a refusal that is charged.
    permit.seen.is_refusal |= !is_read;
    permit.settle(Ending::UpstreamErrorBefore);
    let redactor = admission.gateway.redactor.load();
    let withheld = is_about_credential(&error);
    let mut failure = Failure::new(error.class, Fault::Upstream, error.message)
        .retry_after_ms(headers::retry_after_ms(&parts.headers));
    let crosses = exchange.crosses(admission.call.surface);
    failure.status = admission.face().status_for(error.class, status, crosses);
    failure.code = error.code;
    failure.param = error.param;
    if withheld {
        headers::provider_request_id(&parts.headers, &redactor, &mut failure.headers);
        failure.cause = Some(format!("the provider answered {status}; its words are not kept"));
    } else {
        headers::provider(&parts.headers, &redactor, &mut failure.headers);
    }
    let whole = !body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    if !crosses && whole && !withheld && !redactor.finds(&body) {
        failure.relayed = Some(body);
    }
    let again = matches!(status.as_u16(), 408 | 409 | 429) || status.is_server_error();
    let asked = parts.headers.get(header_names::SHOULD_RETRY).map(http::HeaderValue::as_bytes);
    Failed { failure, status: Some(status), again: again && asked != Some(b"false") }
}

/// An error's body; `None` if it does not come soon or cannot be read.
async fn error_body(
    headers: &http::HeaderMap,
    body: egress::Body,
    admission: &Admission,
) -> Option<Bytes> {
    let coding = coding::declared(headers).ok()?;
    let budget = &admission.runtime.body.budgets.answers_kib;
    let read = async {
        let body = crate::body::read_budgeted(body, ERROR_BODY_MAX_BYTES, budget).await.ok()?;
        match coding {
            None => Some(body),
            Some(coding) => coding::decode(coding, body, ERROR_BODY_MAX_BYTES, budget).await.ok(),
        }
    };
    tokio::time::timeout(ERROR_BODY_WAIT_MAX, read).await.ok().flatten()
}

/// An error body is cut here.
const ERROR_BODY_MAX_BYTES: usize = 1 << 20;

/// The status says most of it.
const ERROR_BODY_WAIT_MAX: Duration = Duration::from_secs(2);

/// No HTTP answer came.
fn unreachable_upstream(mut permit: Box<Permit>, error: &egress::Error) -> Failed {
    let nothing_sent = error.certainty() == egress::Certainty::NothingSent;
    let (class, status, message, ending) = match error {
        egress::Error::Timeout { after_ms, .. } => (
            ErrorClass::Timeout,
            StatusCode::REQUEST_TIMEOUT,
            format!("The provider did not answer within {after_ms} ms."),
            Ending::Timeout,
        ),
        egress::Error::Refused { .. } | egress::Error::Unsendable { .. } => (
            ErrorClass::Server,
            StatusCode::BAD_GATEWAY,
            "The gateway may not connect to this model's provider; its log says why.".to_owned(),
            Ending::Refused,
        ),
        _ => (
            ErrorClass::Server,
            StatusCode::BAD_GATEWAY,
            "The connection to the provider failed before an answer came.".to_owned(),
            Ending::UpstreamErrorBefore,
        ),
    };
    permit.blame(if class == ErrorClass::Timeout { "timeout" } else { "connection" });
    if nothing_sent {
        permit.not_sent();
    }
    permit.settle(ending);
    // What cannot be said in HTTP never concerned the provider.
    let fault = match error {
        egress::Error::Unsendable { .. } => Fault::Gateway,
        _ => Fault::Upstream,
    };
    let failure = Failure::new(class, fault, message).status(status).cause(error);
    let again = !matches!(error, egress::Error::Unsendable { .. });
    Failed { failure, status: (class == ErrorClass::Timeout).then_some(status), again }
}
