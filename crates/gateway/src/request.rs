//! The life of a request, top to bottom.
//!
//! Every endpoint that may cost something is data given to this one path, and
//! none can skip a stage, because each stage consumes what the one before it
//! made:
//!
//! received → authenticated → admitted → resolved → for each attempt: effective
//! → permit → dispatched → relayed → settled.
//!
//! Two commitments are kept apart. The *client* is committed when a 200 has
//! gone out; the *attempt*, when its first semantic byte has. Retries and
//! fallbacks are legal until the second, so a slow first event lets the 200
//! and keep-alives go out while attempts go on behind them ([`Late`]).

use crate::Body;
use crate::admission::{Admission, Received};
use crate::call;
use crate::detach::Detach;
use crate::dispatch::dispatch;
use crate::effective::Effective;
use crate::error::Failure;
use crate::gateway::Gateway;
use crate::header_names;
use crate::headers;
use crate::late::Late;
use crate::local;
use crate::off_worker::{self, off_worker};
use crate::permit::{Permit, Refused};
use crate::relay::{Answer, Relayed, relay};
use crate::respond::framed;
use crate::route::Route;
use bytes::Bytes;
use dialect::Framing;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use ledger::Hold;
use std::sync::Arc;
use std::time::Duration;

/// Answers one request, whatever comes of it.
pub async fn handle<B>(received: Received, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let (dialect, compat, route) =
        (received.surface.dialect(), received.runtime.compat, received.route);
    let (gateway, framing) = (Arc::clone(&received.gateway), received.framing);
    let asked_id = received.headers.get(header_names::CALL_ID).cloned();
    let response = match answer(received, body).await {
        Ok(response) => response,
        Err(mut failure) => {
            gateway.ended(route, &mut failure, None);
            if !failure.headers.contains_key(header_names::CALL_ID) {
                // Refused before it became a call.
                let asked = asked_id.as_ref().and_then(|id| id.to_str().ok());
                let id = call::shown_id(asked, gateway.new_call_id());
                headers::of_id(&id, dialect, &mut failure.headers);
            }
            failure.log(route);
            failure.into_response(dialect, compat)
        }
    };
    framed(response, framing)
}

async fn answer<B>(received: Received, body: B) -> Result<Response<Body>, Failure>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let authenticated = received.authenticate().await?;
    let admitted = authenticated.admit()?;
    let admission = admitted.resolve(body).await?;

    let peek = admission.call.stream.then_some(admission.runtime.peek);
    let (face, call) = (admission.face(), Arc::clone(&admission.call));
    let limit_ms = admission.client_limit_ms();
    let (client, body_bytes) = (admission.client(), admission.body.bytes.len());
    let attempts = off_worker::apart(body_bytes, counted(admission));
    let mut attempts = Detach::new(client, attempts, limit_ms);
    let Some(peek) = peek else { return attempts.await };
    if let Ok(answered) = tokio::time::timeout(peek, &mut attempts).await {
        return answered;
    }
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers::of_call(&call, &mut headers);
    let late = Late::new(attempts, call.surface, face);
    Ok(event_stream(headers, Body::Late(Box::new(late))))
}

/// The attempts; that none gave an answer is told while it is known whose call
/// it was.
async fn counted(admission: Box<Admission>) -> Result<Response<Body>, Failure> {
    let (gateway, call) = (Arc::clone(&admission.gateway), Arc::clone(&admission.call));
    let mut answered = attempts(admission).await;
    if let Err(failure) = &mut answered
        && !call.client.is_gone()
    {
        gateway.ended(call.route, failure, Some(&call));
    }
    answered
}

/// Tries until something semantic comes back, or nothing is left to try.
async fn attempts(mut admission: Box<Admission>) -> Result<Response<Body>, Failure> {
    let mut route = Route::new(admission.found.clone(), &admission.wanted());
    let mut upstream_time = Duration::ZERO;
    loop {
        let candidate = match route.next(&admission.wanted()).await {
            Ok(candidate) => candidate,
            Err(failure) => return Err(named(failure, &admission)),
        };
        admission.fell_back = route.fallbacks > 0;
        if let Some(answer) = local::answer(&admission, &candidate) {
            return answer.map_err(|failure| named(failure, &admission));
        }
        let body_bytes = admission.body.bytes.len();
        let effective = || Effective::new(&admission, &candidate);
        let effective = match off_worker(body_bytes, effective).await {
            Ok(effective) => effective,
            Err(failure) => {
                route.unfit(*failure);
                continue;
            }
        };
        let take = || Permit::take(&admission, candidate, &effective, route.attempts);
        let permit = match permit(&admission.gateway, off_worker(body_bytes, take)).await {
            Ok(permit) => permit,
            Err(refused) => {
                route.refused(refused, &admission.wanted()).map_err(|f| named(f, &admission))?;
                continue;
            }
        };
        let candidate = permit.candidate().clone();
        let began_at = admission.gateway.clock.monotonic();
        let relayed = match dispatch(permit, effective, &admission).await {
            Ok(dispatched) => relay(dispatched, &mut admission).await,
            Err(failed) => Err(failed),
        };
        match relayed {
            Ok(relayed) => {
                upstream_time += relayed.upstream_time;
                admission.gateway.succeeded(&candidate, &admission.runtime);
                route.succeeded(&candidate, &admission.wanted());
                return Ok(respond(relayed, &route, upstream_time, &mut admission));
            }
            Err(failed) => {
                upstream_time += admission.gateway.clock.monotonic().saturating_sub(began_at);
                admission.gateway.failed(&candidate, &failed, &admission.runtime);
                if admission.call.client.is_gone() {
                    return Err(failed.failure);
                }
                // Nothing is under way until the next permit: a client that
                // hangs up in between ends the call.
                admission.call.client.set_outlives(false);
                route.failed(failed, &admission.wanted()).map_err(|f| named(f, &admission))?;
            }
        }
    }
}

/// A permit that is as durable as the spool is set to make it.
async fn permit(
    gateway: &Gateway,
    take: impl Future<Output = Result<Box<Permit>, Refused>>,
) -> Result<Box<Permit>, Refused> {
    gateway.journal.ready().await.map_err(Refused::Journal)?;
    let mut permit = take.await?;
    permit.written_down().await?;
    Ok(permit)
}

/// A failure that says which call it was.
fn named(mut failure: Failure, admission: &Admission) -> Failure {
    headers::of_call(&admission.call, &mut failure.headers);
    failure
}

/// The output limit that was sent, where a budget lowered it.
const MAX_TOKENS: HeaderName = HeaderName::from_static("x-keymoat-max-tokens");

/// Room for an answer's headers; rarely more.
const HEADERS: usize = 32;

fn respond(
    relayed: Relayed,
    route: &Route,
    upstream_time: Duration,
    admission: &mut Admission,
) -> Response<Body> {
    let mut response_headers = HeaderMap::with_capacity(HEADERS);
    let redactor = admission.gateway.redactor.load();
    headers::provider(&relayed.upstream_headers, &redactor, &mut response_headers);
    let settled = match &relayed.answer {
        Answer::Whole(_, settled) | Answer::Events(_, settled) => Some(settled),
        Answer::Stream(_) => None,
    };
    let answered =
        headers::Answered { candidate: &relayed.candidate, route, upstream_time, settled };
    headers::of_answer(admission, &answered, &mut response_headers);
    headers::of_dropped(&relayed.dropped, &mut response_headers);
    if let Some(limit) = relayed.output_limit {
        response_headers.insert(MAX_TOKENS, HeaderValue::from(limit));
    }
    match relayed.answer {
        Answer::Whole(bytes, _) => {
            response_headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let bytes = in_flight(bytes, admission.take_hold());
            let mut response = Response::new(Body::full(bytes));
            *response.status_mut() = relayed.status;
            *response.headers_mut() = response_headers;
            response
        }
        Answer::Events(bytes, _) => {
            let bytes = in_flight(bytes, admission.take_hold());
            event_stream(response_headers, Body::full(bytes))
        }
        Answer::Stream(stream) => event_stream(response_headers, Body::Stream(stream)),
    }
}

/// The bytes of a whole answer, which keep the call's place in flight until the
/// last of them is sent.
fn in_flight(bytes: Bytes, hold: Option<Hold>) -> Bytes {
    struct InFlight(Bytes, #[expect(dead_code, reason = "held until dropped")] Hold);
    impl AsRef<[u8]> for InFlight {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    match hold {
        Some(hold) => Bytes::from_owner(InFlight(bytes, hold)),
        None => bytes,
    }
}

fn event_stream(mut headers: HeaderMap, body: Body) -> Response<Body> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Framing::Sse.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and its kin hold a stream back unless told not to.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response
}
