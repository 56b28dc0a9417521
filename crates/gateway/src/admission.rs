//! A request that may be attempted: who, what, where to, and what it holds.
//!
//! The stages before the attempts. Each consumes what the one before it made,
//! so that none can be left out.

use crate::authenticate;
use crate::body::{self, BodyError, ReceivedBody};
use crate::call::{self, Call};
use crate::coding::{self, UnknownCoding};
use crate::controls;
use crate::deployment::Candidate;
use crate::detach::Client;
use crate::error::{Failure, Fault};
use crate::expansion;
use crate::gateway::Gateway;
use crate::header_names;
use crate::late::Face;
use crate::off_worker::off_thread;
use crate::price_keys;
use crate::principal::{self, Asker, Principal};
use crate::record;
use crate::refusal;
use crate::route::Wanted;
use crate::routing::Found;
use crate::rules;
use crate::runtime::Runtime;
use crate::wire;
use crate::wishes::Wishes;
use base::CallId;
use bytes::Bytes;
use dialect::Surface;
use dialect::head::{Head, HeadError, MODEL_MAX_BYTES};
use dialect::model::Request;
use dialect::splice::{self, Edits};
use dialect::{DecodeError, ErrorClass, Framing};
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use ledger::{Cell, Hold};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// A request whose head has come.
pub struct Received {
    /// The gateway that received it.
    pub gateway: Arc<Gateway>,
    /// Its configuration at that time; a reload does not touch it.
    pub runtime: Arc<Runtime>,
    /// What the client speaks.
    pub surface: Surface,
    /// The path template, for records and metrics.
    pub route: &'static str,
    /// The model that the path names, where it does.
    pub path_model: Option<String>,
    /// Form in which the client reads a stream.
    pub framing: Framing,
    /// The client's headers.
    pub headers: HeaderMap,
    /// Where it came from.
    pub client_ip: Option<Arc<str>>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// When, on the monotonic clock.
    pub at: Duration,
}

/// A request whose caller is known.
pub struct Authenticated {
    received: Received,
    principal: Arc<Principal>,
}

/// A request that has taken what is taken once: its body may be read.
pub struct Admitted {
    received: Received,
    principal: Arc<Principal>,
    hold: Option<Hold>,
}

/// A request that may be attempted; holds its place until the body ends.
pub struct Admission {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Its configuration when the request came.
    pub runtime: Arc<Runtime>,
    /// What stays the same through all attempts.
    pub call: Arc<Call>,
    /// The client's headers.
    pub client_headers: HeaderMap,
    /// The client's bytes.
    pub body: ReceivedBody,
    /// What was scanned of them.
    pub head: Head,
    /// What the client asks of the gateway itself.
    pub wishes: Wishes,
    /// Where it goes first.
    pub found: Found,
    /// The model's name as the client wrote it, before any alias.
    asked_model: Arc<str>,
    /// Another group answers than the one that was asked for.
    pub fell_back: bool,
    hold: Option<Hold>,
}

impl Received {
    /// Finds out who is calling, before a byte of the body is read.
    ///
    /// # Errors
    /// LiteLLM's 401s.
    pub async fn authenticate(self) -> Result<Authenticated, Failure> {
        let asker = Asker {
            headers: &self.headers,
            client_ip: self.client_ip.as_deref(),
            path: self.route,
        };
        let principal = authenticate::authenticate(&self.gateway, &self.runtime, &asker).await?;
        Ok(Authenticated { received: self, principal })
    }
}

impl Authenticated {
    /// Takes what is taken once a request: a request and a place in flight.
    /// Before the body, so that nobody's bodies fill the house.
    ///
    /// # Errors
    /// LiteLLM's 429s.
    pub fn admit(self) -> Result<Admitted, Failure> {
        let Self { received, principal } = self;
        principal.check_role()?;
        let cells = joined(&principal.admission, &received.runtime.proxy_admission);
        let hold = if cells.is_empty() {
            None
        } else {
            let refused = |refusal| refusal::of_allowance(&refusal, received.runtime.compat);
            Some(ledger::admit(&cells).map_err(refused)?)
        };
        Ok(Admitted { received, principal, hold })
    }
}

impl Admitted {
    /// Reads the body, scans its head, and finds the model group.
    ///
    /// # Errors
    /// 400, 408, 413, or LiteLLM's refusals of a model.
    pub async fn resolve<B>(self, body: B) -> Result<Box<Admission>, Failure>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let Self { received, principal, hold } = self;
        let clock = &received.gateway.clock;
        let asked_at = clock.monotonic();
        let coding = coding::declared(&received.headers).map_err(|error| unknown_coding(&error))?;
        let limits = &received.runtime.body;
        let mut body = body::receive(body, limits).await.map_err(unread)?;
        if let Some(coding) = coding {
            let decoded =
                coding::decode(coding, body.bytes, limits.max_bytes, &limits.budgets.large_kib);
            body.bytes = decoded.await.map_err(undecoded)?;
        }
        let body_wait = clock.monotonic().saturating_sub(asked_at);
        let (bytes, surface) = (body.bytes.clone(), received.surface);
        let scan = move || Head::scan(&bytes, surface);
        let head = off_thread(body.bytes.len(), scan).await.map_err(|error| unscanned(&error))?;
        let wishes = Wishes::read(&received.headers, &head).map_err(|failure| *failure)?;
        controls::check(&head, &body.bytes)?;
        if principal.is_restricted() {
            controls::check_model_choice(&head, &body.bytes)?;
        }
        rules::check_body(&received.runtime.rules, &received.headers, &head, &body.bytes)?;
        let named = received.path_model.as_deref().or(head.model()).unwrap_or_default();
        if named.is_empty() {
            return Err(Failure::bad_request("`model` is required: the name of a model group.")
                .param("model"));
        }
        // The scan bounds a name in the body; one in the path is bounded here.
        if named.len() > MODEL_MAX_BYTES {
            let text = format!("`model` is longer than {MODEL_MAX_BYTES} bytes.");
            return Err(Failure::bad_request(text).param("model"));
        }
        let asked = named;
        let named = principal::resolve_model(&principal, asked, received.runtime.compat)?;
        let Some(others) = price_keys::other_models(&head, &body.bytes) else {
            return Err(Failure::bad_request("`models` must be a list of names.").param("models"));
        };
        for other in &others {
            principal::check_model(&principal, other, received.runtime.compat)?;
        }
        let found = match received.runtime.routes.find(named) {
            Some(found) => found,
            // The route asks the fallbacks that are for any group.
            None if received.runtime.has_fallback_for_any(named) => Found::unknown(named),
            None => {
                let dialect = received.surface.dialect();
                return Err(refusal::of_unknown_model(received.route, dialect, named));
            }
        };
        let requested_model: Arc<str> = named.into();
        let asked_model = if asked == named { Arc::clone(&requested_model) } else { asked.into() };
        let call =
            Arc::new(call(&received, Arc::clone(&principal), &head, requested_model, body_wait));
        Ok(Box::new(Admission {
            gateway: received.gateway,
            runtime: received.runtime,
            call,
            client_headers: received.headers,
            body,
            head,
            wishes,
            found,
            asked_model,
            fell_back: false,
            hold,
        }))
    }
}

const SESSION_ID: HeaderName = HeaderName::from_static("x-litellm-session-id");
const TAGS: HeaderName = HeaderName::from_static("x-litellm-tags");

fn call(
    received: &Received,
    principal: Arc<Principal>,
    head: &Head,
    requested_model: Arc<str>,
    body_wait: Duration,
) -> Call {
    let text = |name: HeaderName| received.headers.get(name).and_then(|value| value.to_str().ok());
    let record_call = CallId::new(received.at_ms, received.gateway.dice.ten_bytes());
    let end_user = rules::end_user(&received.runtime.rules, &received.headers, head);
    Call {
        id: call::shown_id(text(header_names::CALL_ID), record_call),
        record_call,
        client: Arc::new(Client::new(Arc::clone(&received.gateway), principal.identity)),
        surface: received.surface,
        route: received.route,
        principal,
        requested_model,
        stream: head.stream(),
        received_at_ms: received.at_ms,
        received_at: received.at,
        body_wait,
        end_user: end_user.map(Into::into),
        tags: tags(head, text(TAGS)),
        session_id: text(SESSION_ID).map(Into::into),
        call_type: record::call_type(received.surface),
        client_ip: received.client_ip.clone(),
    }
}

/// Two lists of cells; borrowed where one is empty, as it mostly is.
fn joined<'a>(own: &'a [Arc<Cell>], shared: &'a [Arc<Cell>]) -> Cow<'a, [Arc<Cell>]> {
    if shared.is_empty() {
        return Cow::Borrowed(own);
    }
    Cow::Owned(own.iter().chain(shared).cloned().collect())
}

fn tags(head: &Head, header: Option<&str>) -> Vec<String> {
    let mut tags: Vec<String> = head.tags().iter().map(ToString::to_string).collect();
    let more = header.into_iter().flat_map(|text| text.split(',')).map(str::trim);
    tags.extend(more.filter(|tag| !tag.is_empty()).map(str::to_owned));
    tags.truncate(64);
    tags
}

impl Admission {
    /// What the route must know.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted {
            gateway: &self.gateway,
            runtime: &self.runtime,
            principal: &self.call.principal,
            call: &self.call,
            num_retries: self.wishes.num_retries,
            fallbacks: self.head.fallbacks(),
            disable_fallbacks: self.head.disable_fallbacks(),
        }
    }

    /// Every allowance of money and tokens that binds an attempt.
    pub fn permit_cells(&self) -> Cow<'_, [Arc<Cell>]> {
        joined(&self.call.principal.permit, &self.runtime.proxy_permit)
    }

    /// The client, for what goes on without it.
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.call.client)
    }

    /// The client's side of the call.
    pub fn face(&self) -> Face {
        Face { dialect: self.call.surface.dialect(), compat: self.runtime.compat }
    }

    /// The place in flight, for the body that outlives this.
    pub fn take_hold(&mut self) -> Option<Hold> {
        self.hold.take()
    }

    /// Leave out what an upstream cannot honour.
    pub fn drop_params(&self) -> bool {
        self.head.drop_params().unwrap_or(self.runtime.drop_params)
    }

    /// The model name to show, where not the upstream's own. After a fallback,
    /// as in LiteLLM, it is the name of the model that answered.
    pub fn shown_model(&self) -> Option<&str> {
        (self.runtime.shows_group && !self.fell_back).then_some(&*self.asked_model)
    }

    /// The client's request in the neutral model, without what it says to us.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(&self) -> Result<Request, DecodeError> {
        expansion::check(&self.head)?;
        let mut edits = Edits::new(&self.head, &self.body.bytes);
        edits.remove_gateway_keys();
        wire::decode_request(self.call.surface, &splice::apply(&self.body.bytes, &edits))
    }

    /// The client's own limit in milliseconds: for a whole answer, or to the
    /// first event of a stream. It covers all attempts together.
    pub fn client_limit_ms(&self) -> Option<u64> {
        let Wishes { timeout_ms, stream_timeout_ms, .. } = self.wishes;
        let to_first = stream_timeout_ms.filter(|_| self.call.stream);
        timeout_ms.into_iter().chain(to_first).min()
    }

    /// Milliseconds for the whole unary answer of one attempt.
    pub fn total_ms(&self, candidate: &Candidate) -> u64 {
        candidate.deployment.timeouts.total_ms.unwrap_or(self.runtime.total_ms)
    }

    /// Milliseconds to the first byte of one attempt.
    pub fn first_byte_ms(&self, candidate: &Candidate) -> u64 {
        let total = self.total_ms(candidate);
        if !self.call.stream {
            return total;
        }
        let own = candidate.deployment.timeouts.first_byte_ms;
        own.unwrap_or(self.runtime.first_byte_ms).min(total)
    }

    /// The times of one attempt, for the way out. A stream may go on for as
    /// long as something comes: no total cuts it.
    pub fn limits(&self, candidate: &Candidate) -> egress::Limits {
        egress::Limits {
            head_ms: self.first_byte_ms(candidate),
            idle_ms: self.runtime.idle_ms,
            total_ms: if self.call.stream { u64::MAX } else { self.total_ms(candidate) },
        }
    }
}

fn unread(error: BodyError) -> Failure {
    match error {
        BodyError::TooLarge(limit) => Failure::new(
            ErrorClass::TooLarge,
            Fault::Client,
            format!(
                "The request body is larger than {limit} bytes (keymoat.listen.body_max_bytes)."
            ),
        ),
        BodyError::Incomplete(cause) => {
            Failure::bad_request("The request body ended before it was complete.").cause(&cause)
        }
        BodyError::TooSlow => Failure::new(
            ErrorClass::Timeout,
            Fault::Client,
            "The request body came too slowly: it stood still for 30 s, or on the whole less than \
             4 KiB came in a second.",
        )
        .status(StatusCode::REQUEST_TIMEOUT),
        BodyError::Busy => Failure::new(
            ErrorClass::Overloaded,
            Fault::Gateway,
            "Too many large requests are under way; try again.",
        )
        .retry_after_ms(Some(1000)),
        BodyError::Spool { .. } => Failure::internal(error.to_string()),
    }
}

/// RFC 9110, section 15.5.16: the answer says which codings are understood.
fn unknown_coding(error: &UnknownCoding) -> Failure {
    let text = format!(
        "The request's `content-encoding` is `{}`; send it in gzip or deflate, or uncompressed.",
        error.0
    );
    let mut failure = Failure::bad_request(text).status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    failure.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(coding::ACCEPTED));
    failure
}

fn undecoded(error: coding::DecodeError) -> Failure {
    match error {
        coding::DecodeError::TooLarge(limit) => unread(BodyError::TooLarge(limit)),
        coding::DecodeError::Busy => unread(BodyError::Busy),
        coding::DecodeError::Broken(cause) => Failure::bad_request(
            "The request body is not in the encoding that its `content-encoding` header names.",
        )
        .cause(&cause),
    }
}

fn unscanned(error: &HeadError) -> Failure {
    let mut failure = Failure::bad_request(error.to_string());
    failure.param = error.param().map(str::to_owned);
    failure.kind("invalid_request_error")
}
