//! An answer comes back: whole, or as a stream that has begun.
//!
//! A unary answer is read whole, so that its cost stands in the headers and
//! its record is written before the client sees it. A stream is read up to
//! its first semantic event: until then the attempt is not committed, and a
//! failure may still be mended elsewhere.

use crate::admission::Admission;
use crate::body::{self, ReadError};
use crate::coding::{self, Coding, UnknownCoding};
use crate::dispatch::{Dispatched, Exchange};
use crate::error::{Failure, Fault, class_word, is_about_credential};
use crate::mode::error_inside;
use crate::off_worker::{off_thread, off_worker};
use crate::permit::{Permit, Settled};
use crate::route::Failed;
use crate::stream::{First, Stream};
use crate::wire;
use bytes::Bytes;
use dialect::answer::is_empty;
use dialect::model::Response;
use dialect::surfaces::Kind;
use dialect::tap::Tap;
use dialect::{ApiError, Dialect, Dropped, ErrorClass, Shown, embeddings, retouch};
use http::{HeaderMap, StatusCode, header};
use ledger::Ending;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::time::Duration;

/// An answer that is committed to.
pub struct Relayed {
    /// The upstream's headers.
    pub upstream_headers: HeaderMap,
    /// The answer.
    pub answer: Answer,
    /// The upstream's status, one of the 200s.
    pub status: StatusCode,
    /// Who gave it.
    pub candidate: crate::deployment::Candidate,
    /// The output limit that was sent in place of the client's.
    pub output_limit: Option<u64>,
    /// Time from the request's last byte to the answer, or to a stream's first
    /// semantic event.
    pub upstream_time: Duration,
    /// Names of what was left out of the request.
    pub dropped: Dropped,
}

/// A whole answer, or the rest of one.
pub enum Answer {
    /// All of it; its permit is settled.
    Whole(Bytes, Settled),
    /// All of it, told as the stream that the client asked for.
    Events(Bytes, Settled),
    /// A stream whose first semantic event has come.
    Stream(Box<Stream>),
}

/// Reads an answer until it is committed.
///
/// # Errors
/// A [`Failed`] whose permit is settled: nothing semantic came.
pub async fn relay(dispatched: Dispatched, admission: &mut Admission) -> Result<Relayed, Failed> {
    let Dispatched { permit, response, mut exchange } = dispatched;
    let dropped = std::mem::take(&mut exchange.dropped);
    let candidate = permit.candidate().clone();
    let output_limit = permit.bound().clamp;
    let sent_at = permit.sent_at;
    let (parts, upstream) = response.into_parts();
    let coding = match coding::declared(&parts.headers) {
        Ok(coding) => coding,
        Err(unknown) => return Err(encoded(permit, &unknown)),
    };
    let streams = parts
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let answer = if admission.call.stream && streams {
        stream(permit, upstream, coding, exchange, admission).await?
    } else {
        unary(permit, upstream, coding, exchange, admission).await?
    };
    Ok(Relayed {
        upstream_headers: parts.headers,
        status: parts.status,
        answer,
        candidate,
        output_limit,
        upstream_time: admission.gateway.clock.monotonic().saturating_sub(sent_at),
        dropped,
    })
}

async fn unary(
    mut permit: Box<Permit>,
    upstream: egress::Body,
    coding: Option<Coding>,
    exchange: Exchange,
    admission: &Admission,
) -> Result<Answer, Failed> {
    let runtime = &admission.runtime;
    let budget = &runtime.body.budgets.answers_kib;
    let read = body::read_budgeted(upstream, runtime.answer_max_bytes, budget);
    // The limits of a stream know no end; this answer is none.
    let limit_ms = match admission.call.stream {
        true => admission.first_byte_ms(permit.candidate()),
        false => admission.total_ms(permit.candidate()),
    };
    let left = Duration::from_millis(limit_ms).saturating_sub(permit.elapsed());
    let bytes = match tokio::time::timeout(left, read).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(broken(permit, &error)),
        Err(_) => {
            permit.blame("timeout");
            permit.settle(Ending::Timeout);
            return Err(timed_out(limit_ms));
        }
    };
    let bytes = match coding {
        None => bytes,
        Some(coding) => {
            match coding::decode(coding, bytes, runtime.answer_max_bytes, budget).await {
                Ok(bytes) => bytes,
                Err(error) => return Err(undecoded(permit, &error)),
            }
        }
    };
    permit.first_byte();
    let surface = admission.call.surface;
    let theirs = exchange.translated.unwrap_or(surface.dialect());
    let (answered, sent) = (bytes.clone(), exchange.surface);
    let observed = off_thread(bytes.len(), move || Tap::unary(sent, &answered)).await;
    permit.seen.update(&observed, true);
    if observed.problem.is_some() {
        let mut error = error_inside(theirs, &bytes);
        admission.gateway.clean_error(&mut error);
        permit.blame(class_word(error.class));
        permit.seen.fail(error.class, Some(error.status));
        permit.settle(Ending::UpstreamErrorBefore);
        let crosses = exchange.crosses(surface);
        let mut failed = in_band(&error, crosses, admission);
        let withheld = is_about_credential(&error);
        if !crosses && !withheld && !admission.gateway.redactor.load().finds(&bytes) {
            failed.failure.relayed = Some(bytes);
        }
        return Err(failed);
    }
    let holds_output = observed.finished || observed.output_text_bytes > 0;
    if !holds_output && is_empty(exchange.surface, &bytes) {
        permit.blame("unreadable");
        permit.settle(Ending::UpstreamErrorBefore);
        return Err(empty());
    }
    // Only an answer that says what it used is known to be one; any other is
    // looked at once more, so that garbage is mended elsewhere, not relayed.
    let readable = match observed.usage {
        Some(_) => Ok(IgnoredAny),
        None => serde_json::from_slice(&bytes).map_err(|error| error.to_string()),
    };
    let events = admission.call.stream && surface.row().streams;
    let write = |_| {
        if events {
            told(&bytes, theirs, &exchange, admission)
        } else {
            client_body(&bytes, &exchange, admission)
        }
    };
    let client_body = off_worker(bytes.len(), || readable.and_then(write)).await;
    let client_bytes = match client_body {
        Ok(client_bytes) => client_bytes,
        Err(cause) => {
            permit.blame("unreadable");
            permit.settle(Ending::UpstreamErrorBefore);
            return Err(unreadable(&cause));
        }
    };
    let complete =
        if observed.usage.is_some() { Ending::Complete } else { Ending::CompleteWithoutUsage };
    let (settled, written) = permit.settle_durably(complete);
    if let Err(error) = written.await {
        tracing::error!(%error, call = %admission.call.id, "a spend record is not synced to disk");
    }
    Ok(if events {
        Answer::Events(client_bytes, settled)
    } else {
        Answer::Whole(client_bytes, settled)
    })
}

/// A whole answer where a stream was asked for: told as one.
fn told(
    bytes: &Bytes,
    theirs: Dialect,
    exchange: &Exchange,
    admission: &Admission,
) -> Result<Bytes, String> {
    let response = answer(bytes, theirs, exchange)?;
    let include_usage = admission.head.include_usage();
    Ok(wire::stream_of(admission.call.surface, response, &shown(admission, include_usage)))
}

/// The upstream's answer, its tools called as the client calls them.
fn answer(bytes: &Bytes, theirs: Dialect, exchange: &Exchange) -> Result<Response, String> {
    let mut response = theirs.decode_response(bytes).map_err(|error| error.message)?;
    if let Some(names) = &exchange.names {
        names.restore(&mut response);
    }
    Ok(response)
}

fn shown(admission: &Admission, include_usage: bool) -> Shown<'_> {
    Shown {
        model: admission.shown_model(),
        fallback_id: &admission.call.id,
        created_unix_s: admission.call.received_at_ms / 1000,
        include_usage,
    }
}

/// The answer in the client's dialect; the upstream's own bytes where it is
/// the same.
fn client_body(bytes: &Bytes, exchange: &Exchange, admission: &Admission) -> Result<Bytes, String> {
    let surface = admission.call.surface;
    let Some(theirs) = exchange.translated else {
        let base64 = surface.row().kind == Kind::Embedding
            && admission.head.raw(&admission.body.bytes, "encoding_format") == Some(b"\"base64\"");
        let bytes = if base64 {
            embeddings::to_base64(bytes).map_err(|error| error.to_string())?.into()
        } else {
            bytes.clone()
        };
        let renamed = admission.shown_model().map(|model| retouch::set_model(&bytes, model));
        return Ok(match renamed {
            Some(Cow::Owned(renamed)) => renamed.into(),
            Some(Cow::Borrowed(_)) | None => bytes,
        });
    };
    let response = answer(bytes, theirs, exchange)?;
    Ok(wire::encode_response(surface, &response, &shown(admission, true)))
}

async fn stream(
    permit: Box<Permit>,
    upstream: egress::Body,
    coding: Option<Coding>,
    exchange: Exchange,
    admission: &mut Admission,
) -> Result<Answer, Failed> {
    let limit_ms = admission.first_byte_ms(permit.candidate());
    let left = Duration::from_millis(limit_ms).saturating_sub(permit.elapsed());
    let crosses = exchange.crosses(admission.call.surface);
    let mut stream = Box::new(Stream::new(permit, upstream, exchange, admission));
    stream.decode(coding);
    match tokio::time::timeout(left, stream.first()).await {
        Ok(First::Semantic) => {
            stream.hold(admission.take_hold());
            Ok(Answer::Stream(stream))
        }
        Ok(First::Error(error)) => {
            stream.fail(&error);
            stream.settle(Ending::UpstreamErrorBefore, class_word(error.class));
            Err(in_band(&error, crosses, admission))
        }
        Ok(First::Empty) => {
            stream.settle(Ending::UpstreamErrorBefore, "unreadable");
            Err(empty())
        }
        Ok(First::Broken(cause)) => {
            stream.settle(Ending::UpstreamErrorBefore, "connection");
            Err(unreadable(&cause))
        }
        Ok(First::Late(after_ms)) => {
            stream.settle(Ending::Timeout, "timeout");
            Err(timed_out(after_ms))
        }
        Err(_) => {
            stream.settle(Ending::Timeout, "timeout");
            Err(timed_out(limit_ms))
        }
    }
}

/// Nothing semantic, or not the whole, came within the time.
fn timed_out(limit_ms: u64) -> Failed {
    let message = format!("The provider did not answer within {limit_ms} ms.");
    let status = StatusCode::REQUEST_TIMEOUT;
    let failure = Failure::new(ErrorClass::Timeout, Fault::Upstream, message).status(status);
    Failed { failure, status: Some(status), again: true }
}

/// The provider reported an error inside a 200.
fn in_band(error: &ApiError, crosses: bool, admission: &Admission) -> Failed {
    // A 200 is no error's status: the class has one.
    let theirs = StatusCode::from_u16(error.status).unwrap_or(StatusCode::OK);
    let status = admission.face().status_for(error.class, theirs, crosses);
    let mut failure =
        Failure::new(error.class, Fault::Upstream, error.message.clone()).status(status);
    failure.code.clone_from(&error.code);
    failure.param.clone_from(&error.param);
    let again = matches!(
        error.class,
        ErrorClass::RateLimit | ErrorClass::Overloaded | ErrorClass::Server | ErrorClass::Timeout
    );
    Failed { failure, status: Some(status), again }
}

/// The answer broke off.
fn broken(mut permit: Box<Permit>, error: &ReadError<egress::Error>) -> Failed {
    if let ReadError::Broken(egress::Error::Timeout { after_ms, .. }) = error {
        permit.blame("timeout");
        permit.settle(Ending::Timeout);
        return timed_out(*after_ms);
    }
    permit.blame("connection");
    permit.settle(Ending::UpstreamErrorBefore);
    let mut failed = unreadable(&error.to_string());
    // Asked again, it would be as large.
    failed.again = matches!(error, ReadError::Broken(_));
    failed
}

/// The answer is compressed in a way that nobody asked for and that is not
/// decoded. Asked again, it would be so again.
fn encoded(mut permit: Box<Permit>, unknown: &UnknownCoding) -> Failed {
    permit.blame("unreadable");
    permit.settle(Ending::UpstreamErrorBefore);
    let message = format!(
        "The provider's answer is in the content encoding `{}`, which the gateway did not ask for \
         and does not decode; a proxy in between may compress it.",
        unknown.0
    );
    let failure =
        Failure::new(ErrorClass::Server, Fault::Upstream, message).status(StatusCode::BAD_GATEWAY);
    Failed { failure, status: Some(StatusCode::BAD_GATEWAY), again: false }
}

/// The answer is not in the coding that its headers declare, or too large in it.
fn undecoded(mut permit: Box<Permit>, error: &coding::DecodeError) -> Failed {
    permit.blame("unreadable");
    permit.settle(Ending::UpstreamErrorBefore);
    let mut failed = unreadable(&error.to_string());
    // Asked again, it would come in the same way and cost as much again.
    failed.again = false;
    failed
}

/// The answer holds nothing.
fn empty() -> Failed {
    let message = "The provider's answer is empty: it has no choice, no content and no reason for \
                   its end.";
    let failure = Failure::new(ErrorClass::Server, Fault::Upstream, message)
        .status(StatusCode::BAD_GATEWAY)
        .cause(&"an empty answer with a status of success");
    Failed { failure, status: Some(StatusCode::BAD_GATEWAY), again: true }
}

fn unreadable(cause: &str) -> Failed {
    let failure = Failure::new(
        ErrorClass::Server,
        Fault::Upstream,
        "The provider's answer broke off or could not be read.",
    )
    .status(StatusCode::BAD_GATEWAY)
    .cause(&cause);
    Failed { failure, status: Some(StatusCode::BAD_GATEWAY), again: true }
}
