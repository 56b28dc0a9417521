//! A stream on its way to the client.
//!
//! Whole events only: the bytes of an event go on when its end has come, so
//! that an error can always follow cleanly. In the same dialect they go on
//! unchanged, with what we observe on the side; what observes may fail, the
//! bytes flow on. The record is written before the terminal event leaves.
//! Dropped in the middle, the stream is read to its end in the background, to
//! learn what it cost, unless cancelling the upstream stops the bill.

use crate::admission::Admission;
use crate::body_budgets::EventShare;
use crate::bound;
use crate::bytes_queue::BytesQueue;
use crate::coding::{Coding, Inflate};
use crate::deployment::Candidate;
use crate::detach::Presence;
use crate::dispatch::Exchange;
use crate::error::{Compat, class_word};
use crate::gateway::Gateway;
use crate::mode::{Frames, Mode, Translator, error_in};
use crate::pace::{Due, Pace};
use crate::permit::Permit;
use crate::wire;
use bytes::Bytes;
use dialect::Surface;
use dialect::head::Head;
use dialect::retouch::ModelName;
use dialect::sse::{self, Framer};
use dialect::tap::{Class, Tap};
use dialect::{ApiError, Dialect, ErrorClass, Shown};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use ledger::{Ending, Hold, Written};
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// See the module.
pub struct Stream {
    upstream: Option<egress::Body>,
    /// Decodes what the upstream compresses unasked.
    inflate: Option<Inflate>,
    framer: Framer,
    mode: Mode,
    tap: Tap,
    permit: Option<Box<Permit>>,
    /// The record on its way to the disk: the rest of `out` waits for it.
    written: Option<Written>,
    hold: Option<Hold>,
    gateway: Arc<Gateway>,
    /// Bytes for the client that have not been taken yet.
    out: BytesQueue,
    surface: Surface,
    theirs: Dialect,
    compat: Compat,
    /// Room for an event that has not ended.
    event_share: EventShare,
    /// An event was too long to be observed: its bytes flowed on unread.
    has_unread_event: bool,
    /// Choices that must end for the stream to be over without its terminal
    /// event, where [`ends_silently`] allows that.
    choices_to_end: u32,
    /// The terminal event ended in a carriage return: its line feed is due.
    owed_lf: bool,
    /// The provider reported its failure; what it still says follows.
    failed: bool,
    begun_without_client: bool,
    pace: Pace,
    ended: bool,
}

/// How long, and for how much, a finished upstream is waited for.
const LINGER_MAX: Duration = Duration::from_secs(1);
const LINGER_MAX_BYTES: usize = 64 << 10;

/// What may come before the first semantic event; after that the client has
/// it, and the attempt is committed.
const PREAMBLE_MAX_BYTES: usize = 256 << 10;

/// How a stream began.
pub enum First {
    /// With something that a client would see.
    Semantic,
    /// With its end, and nothing before that.
    Empty,
    /// With the provider's error.
    Error(ApiError),
    /// Not at all.
    Broken(String),
    /// Not within so many milliseconds.
    Late(u64),
}

/// What one piece of the upstream's bytes brought.
#[derive(Default)]
struct Brought {
    semantic: bool,
    /// Part of the answer, or of its end: more than comments and pings.
    progress: bool,
    terminal: bool,
    error: Option<ApiError>,
    /// An event is longer than can be translated.
    too_long: bool,
}

const OVER_BUDGET: &str = "The answer is longer than its output limit, and no budget is left for \
                           the rest.";

const TOO_LONG: &str = "an event of the provider's stream is too long to translate, or there is \
                        no room for it now";

impl Stream {
    /// A stream that has not been read yet.
    pub fn new(
        permit: Box<Permit>,
        upstream: egress::Body,
        exchange: Exchange,
        admission: &Admission,
    ) -> Self {
        let surface = admission.call.surface;
        let theirs = exchange.translated.unwrap_or(surface.dialect());
        let mode = match exchange.translated {
            None => Mode::Same {
                strip_usage: exchange.usage_is_ours,
                model: admission.shown_model().map(|name| ModelName::new(name, theirs)),
            },
            Some(theirs) => {
                let shown = Shown {
                    model: admission.shown_model(),
                    fallback_id: &admission.call.id,
                    created_unix_s: admission.call.received_at_ms / 1000,
                    include_usage: admission.head.include_usage(),
                };
                Mode::Translated(Box::new(Translator {
                    decoder: theirs.stream_decoder(),
                    encoder: wire::stream_encoder(surface, &shown),
                    events: Vec::new(),
                    names: exchange.names,
                    input_guess: bound::estimated_tokens(admission.body.bytes.len() as u64),
                }))
            }
        };
        Self {
            upstream: Some(upstream),
            inflate: None,
            framer: Framer::new(),
            mode,
            tap: Tap::new(exchange.surface),
            surface,
            theirs,
            event_share: EventShare::new(&admission.runtime.body.budgets),
            has_unread_event: false,
            choices_to_end: choices(&admission.head),
            owed_lf: false,
            failed: false,
            begun_without_client: false,
            pace: Pace::new(
                Duration::from_millis(admission.runtime.idle_ms),
                admission.runtime.stream_max,
            ),
            permit: Some(permit),
            written: None,
            hold: None,
            gateway: Arc::clone(&admission.gateway),
            out: BytesQueue::default(),
            compat: admission.runtime.compat,
            ended: false,
        }
    }

    /// Decodes the upstream's bytes, where it compresses them.
    pub fn decode(&mut self, coding: Option<Coding>) {
        self.inflate = coding.map(Inflate::new);
    }

    /// Keeps the request's admission until the stream ends.
    pub fn hold(&mut self, hold: Option<Hold>) {
        self.hold = hold;
    }

    /// Reads up to the first semantic event.
    pub async fn first(&mut self) -> First {
        loop {
            match poll_fn(|context| self.poll_upstream(context)).await {
                Some(Ok(bytes)) => {
                    let brought = self.take_in(&bytes);
                    if let Some(error) = brought.error {
                        // What lies before the error is relayed, however the
                        // bytes were cut on their way.
                        if !brought.semantic {
                            return First::Error(error);
                        }
                        self.failed_inside(&error);
                        if brought.terminal {
                            self.finish();
                        }
                        return First::Semantic;
                    }
                    if brought.too_long {
                        return First::Broken(TOO_LONG.into());
                    }
                    if brought.terminal {
                        if self.is_empty() {
                            return First::Empty;
                        }
                        self.finish();
                    }
                    let long = self.out.len() > PREAMBLE_MAX_BYTES;
                    if brought.semantic || brought.terminal || long {
                        return First::Semantic;
                    }
                }
                Some(Err(egress::Error::Timeout { after_ms, .. })) => return First::Late(after_ms),
                Some(Err(error)) => return First::Broken(error.to_string()),
                None => {
                    self.upstream = None;
                    if let Some(error) = self.take_tail().error {
                        return First::Error(error);
                    }
                    if !self.may_end() {
                        return First::Broken("the stream ended before it began".into());
                    }
                    if self.is_empty() {
                        return First::Empty;
                    }
                    self.finish();
                    return First::Semantic;
                }
            }
        }
    }

    /// Returns true if no choice, no content and no reason for an end has come.
    fn is_empty(&self) -> bool {
        let tap = &self.tap;
        let holds = tap.has_choice() || tap.has_semantic() || tap.observed().finished;
        !self.has_unread_event && !holds
    }

    /// Settles a stream that will not be relayed.
    pub fn settle(mut self, ending: Ending, class: &'static str) {
        self.blame(class);
        self.settle_as(ending);
    }

    /// Notes an error that came before anything else.
    pub fn fail(&mut self, error: &ApiError) {
        if let Some(permit) = &mut self.permit {
            permit.seen.fail(error.class, Some(error.status));
        }
    }

    fn blame(&mut self, class: &'static str) {
        if let Some(permit) = &mut self.permit {
            permit.blame(class);
        }
    }

    fn poll_upstream(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, egress::Error>>> {
        let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
        loop {
            if let Some(inflate) = &mut self.inflate {
                match inflate.decode_next() {
                    Ok(Some(text)) => return Poll::Ready(Some(Ok(text))),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a provider's compressed stream is broken");
                        return Poll::Ready(None);
                    }
                }
            }
            match std::task::ready!(Pin::new(&mut *upstream).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else { continue };
                    match &mut self.inflate {
                        Some(inflate) => inflate.feed(data),
                        None => return Poll::Ready(Some(Ok(data))),
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Takes in a piece of the upstream's bytes; what the client is to get
    /// stands in `out` afterwards.
    fn take_in(&mut self, bytes: &Bytes) -> Brought {
        if let Some(permit) = &mut self.permit {
            permit.first_byte();
        }
        let mut brought = Brought::default();
        let Self { framer, mode, tap, out, theirs, surface, owed_lf, gateway, failed, .. } = self;
        let mut held = framer.held_bytes() > 0;
        let mut frames = Frames::default();
        // What follows an error that has ended a translation is read for its usage.
        let mut is_over = false;
        for frame in framer.push(bytes) {
            if is_over {
                if !frame.is_piece {
                    tap.observe(&frame.bytes);
                }
                continue;
            }
            if frame.is_piece {
                brought.semantic = true;
                self.has_unread_event = true;
                match mode {
                    // The observer does not see it; the bytes go on.
                    Mode::Same { .. } => frames.push(frame.bytes),
                    Mode::Translated(_) => brought.too_long = true,
                }
                continue;
            }
            let class = tap.observe(&frame.bytes);
            brought.progress |= class != Class::Neutral;
            brought.semantic |= brought.error.is_none() && class.commits();
            brought.terminal |= *owed_lf;
            if class == Class::Terminal {
                *owed_lf = frame.bytes.ends_with(b"\r");
                brought.terminal |= !*owed_lf;
            }
            if class == Class::Error {
                let error = error_in(*theirs, &frame.bytes, gateway);
                let event = mode.error_event(&frame.bytes, &error, *surface, gateway);
                held |= event.is_some();
                frames.push(event.unwrap_or(frame.bytes));
                brought.error = Some(error);
                is_over = matches!(mode, Mode::Translated(_));
                continue;
            }
            if *failed && gateway.redactor.load().finds(&frame.bytes) {
                held = true;
                continue;
            }
            held |= !mode.pass(frame.bytes, class, &mut frames);
        }
        if held || framer.held_bytes() > 0 {
            frames.0.into_iter().for_each(|frame| out.push(frame));
        } else {
            out.push(bytes.clone());
        }
        if !self.event_share.cover(framer.memory_bytes() + out.memory_bytes()) {
            brought.semantic = true;
            self.has_unread_event = true;
            match mode {
                Mode::Same { .. } => out.push(framer.give_up_event()),
                Mode::Translated(_) => brought.too_long = true,
            }
        }
        brought.progress |= brought.semantic;
        if brought.progress {
            self.pace.progress();
        }
        self.note();
        brought
    }

    /// The last event of a stream may lack its blank line. Half of one stays
    /// behind: an error must follow cleanly.
    fn take_tail(&mut self) -> Brought {
        let tail = self.framer.take_remainder();
        let mut brought = Brought::default();
        if tail.is_empty() || !is_whole(&tail) {
            return brought;
        }
        let class = self.tap.observe(&tail);
        if class == Class::Error {
            let error = error_in(self.theirs, &tail, &self.gateway);
            let event = self.mode.error_event(&tail, &error, self.surface, &self.gateway);
            self.out.push(event.unwrap_or(tail));
            brought.error = Some(error);
        } else if self.may_end() {
            let mut frames = Frames::default();
            self.mode.pass(tail, class, &mut frames);
            frames.0.into_iter().for_each(|frame| self.out.push(frame));
        }
        self.note();
        brought
    }

    /// Whether the upstream may close the connection here.
    fn may_end(&self) -> bool {
        let silently = || {
            self.tap.choices_ended() >= self.choices_to_end
                && self.permit.as_ref().is_none_or(|permit| ends_silently(permit.candidate()))
        };
        self.tap.complete() && (self.tap.is_terminal() || silently())
    }

    /// Returns true if what has been generated is within what is reserved, which
    /// grows with an answer that does not keep its output limit.
    fn is_paid(&mut self) -> bool {
        match &mut self.permit {
            Some(permit) if permit.is_beyond_bound() => permit.extend().is_ok(),
            _ => true,
        }
    }

    fn note(&mut self) {
        if let Some(permit) = &mut self.permit {
            note(permit, &self.tap, self.choices_to_end, self.has_unread_event);
        }
    }

    /// The upstream's own end has come: the record first, then the last bytes.
    fn finish(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        self.settle_as(if self.failed {
            Ending::UpstreamErrorAfter
        } else if self.permit.as_ref().is_some_and(|permit| permit.seen.is_final) {
            Ending::Complete
        } else {
            Ending::CompleteWithoutUsage
        });
        self.out.push(self.mode.finish());
    }

    /// The provider said so itself, in the middle. Its own bytes still follow,
    /// as they would without us, and what they say of usage counts. A
    /// translation ends here; the rest is read in the background.
    fn failed_inside(&mut self, error: &ApiError) {
        tracing::debug!(class = ?error.class, "the provider ended a stream with an error");
        self.blame(class_word(error.class));
        self.fail(error);
        self.failed = true;
        // What is left of a translation is read in the background, with the
        // call's place in flight, which is not here yet.
        self.ended |= matches!(self.mode, Mode::Translated(_));
    }

    /// The upstream broke: a typed error that no client takes for an end.
    fn break_off(&mut self, class: ErrorClass, ending: Ending, message: &str) {
        self.ended = true;
        self.blame(class_word(class));
        self.settle_as(ending);
        let error = ApiError {
            class,
            status: crate::error::status_of(class).as_u16(),
            message: message.to_owned(),
            kind: None,
            code: None,
            param: None,
        };
        let mut text = Vec::new();
        if self.framer.is_in_pieces() {
            // Half an event is out: it ends here.
            text.extend_from_slice(b"\n\n");
        }
        self.surface.dialect().encode_error_event(&error, &mut text);
        self.out.push(text.into());
        tracing::debug!(compat = ?self.compat, message, "a stream broke");
    }

    fn settle_as(&mut self, ending: Ending) {
        self.upstream = match ending {
            // Read to its end, the connection can be used again.
            Ending::Complete | Ending::CompleteWithoutUsage => self.upstream.take(),
            _ => None,
        };
        if let Some(permit) = self.permit.take() {
            self.written = Some(permit.settle_durably(ending).1);
        }
    }

    /// Waits for the record before anything that may be the answer's end.
    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(written) = &mut self.written {
            if let Err(error) = std::task::ready!(Pin::new(written).poll(context)) {
                tracing::error!(%error, "a spend record is not synced to disk");
            }
            self.written = None;
        }
        Poll::Ready(())
    }

    /// The terminal event is out; the upstream's own end may be a moment
    /// away, and with it a connection that can be used again.
    fn linger(&mut self) {
        let Some(mut upstream) = self.upstream.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        let rest = async move {
            let mut left = LINGER_MAX_BYTES;
            while let Some(Ok(frame)) = upstream.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        tokio::spawn(tokio::time::timeout(LINGER_MAX, rest));
    }

    /// What the client gets next.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            std::task::ready!(self.poll_written(context));
            if let Some(bytes) = self.out.pop() {
                if self.out.is_empty() {
                    self.event_share.shrink(self.framer.memory_bytes());
                }
                self.pace.sent();
                return Poll::Ready(Some(bytes));
            }
            if self.ended {
                // A translation that an error has ended is not settled yet.
                self.detach();
                // Whoever keeps the body keeps no place.
                self.hold = None;
                self.linger();
                return Poll::Ready(None);
            }
            match self.poll_upstream(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    let brought = self.take_in(&bytes);
                    if let Some(error) = &brought.error {
                        self.failed_inside(error);
                    }
                    if brought.too_long {
                        self.break_off(ErrorClass::Server, Ending::UpstreamErrorAfter, TOO_LONG);
                    } else if brought.terminal {
                        self.finish();
                    } else if !self.is_paid() {
                        self.break_off(
                            ErrorClass::RateLimit,
                            Ending::UpstreamErrorAfter,
                            OVER_BUDGET,
                        );
                    }
                }
                Poll::Ready(Some(Err(_)) | None) if self.failed => {
                    self.upstream = None;
                    self.finish();
                }
                Poll::Ready(Some(Err(egress::Error::Timeout { after_ms, .. }))) => {
                    self.stood_still(after_ms);
                }
                Poll::Ready(Some(Err(cause))) => {
                    tracing::warn!(%cause, "a provider's stream broke off");
                    let message = "The provider's stream broke off.";
                    self.break_off(ErrorClass::Server, Ending::UpstreamErrorAfter, message);
                }
                Poll::Ready(None) => {
                    self.upstream = None;
                    if let Some(error) = self.take_tail().error {
                        self.failed_inside(&error);
                    } else if self.may_end() {
                        self.finish();
                    } else {
                        self.break_off(
                            ErrorClass::Server,
                            Ending::UpstreamErrorAfter,
                            "The provider's stream ended before the answer was complete.",
                        );
                    }
                }
                Poll::Pending if self.pace.look() => {
                    if let Some(permit) = &mut self.permit {
                        permit.charge_streamed();
                    }
                }
                Poll::Pending => match std::task::ready!(self.pace.poll(context)) {
                    Due::KeepAlive if self.framer.is_in_pieces() => {}
                    Due::KeepAlive => self.out.push(wire::keep_alive(self.surface)),
                    Due::Idle(limit) => self.stood_still(limit.as_millis() as u64),
                    Due::Over(limit) => self.break_off(
                        ErrorClass::Timeout,
                        Ending::Timeout,
                        &format!(
                            "The stream was ended after {} s (keymoat.stream_max_ms).",
                            limit.as_secs()
                        ),
                    ),
                },
            }
        }
    }

    fn stood_still(&mut self, after_ms: u64) {
        self.break_off(
            ErrorClass::Timeout,
            Ending::Timeout,
            &format!("The provider's stream did not go on within {after_ms} ms."),
        );
    }

    /// Reads the rest in the background, to learn what the provider bills. Past
    /// the limits of `keymoat.drain` the permit is dropped, which settles it.
    fn detach(&mut self) {
        if self.upstream.is_none() {
            return;
        }
        let Some(permit) = self.permit.take() else { return };
        let caller = permit.call.principal.identity;
        let rest = Rest {
            upstream: self.upstream.take(),
            inflate: self.inflate.take(),
            framer: std::mem::take(&mut self.framer),
            tap: std::mem::replace(&mut self.tap, Tap::new(self.surface)),
            permit: Some(permit),
            // The provider goes on working for this key.
            _hold: self.hold.take(),
            choices_to_end: self.choices_to_end,
            has_unread_event: self.has_unread_event,
            ending: match (self.failed, self.begun_without_client) {
                (true, _) => Ending::UpstreamErrorAfter,
                (false, true) => Ending::ClientGoneBefore,
                (false, false) => Ending::ClientGoneAfter,
            },
        };
        let gateway = &self.gateway;
        let max_bytes = gateway.drain_max_bytes();
        gateway.drains.spawn(caller, gateway.drain_max(), rest.read(max_bytes));
    }
}

/// The rest of a stream that nobody receives: only its usage matters.
struct Rest {
    upstream: Option<egress::Body>,
    inflate: Option<Inflate>,
    framer: Framer,
    tap: Tap,
    permit: Option<Box<Permit>>,
    _hold: Option<Hold>,
    choices_to_end: u32,
    has_unread_event: bool,
    ending: Ending,
}

impl Rest {
    async fn read(mut self, max_bytes: usize) {
        let Some(mut upstream) = self.upstream.take() else { return };
        let mut left = max_bytes;
        'read: while let Some(Ok(frame)) = upstream.frame().await {
            let Ok(bytes) = frame.into_data() else { continue };
            left = left.saturating_sub(bytes.len());
            let Some(inflate) = &mut self.inflate else {
                if self.take_in(&bytes) || left == 0 {
                    break;
                }
                continue;
            };
            inflate.feed(bytes);
            while let Some(Ok(Some(text))) = self.inflate.as_mut().map(Inflate::decode_next) {
                if self.take_in(&text) {
                    break 'read;
                }
            }
            if left == 0 {
                break;
            }
        }
        let tail = self.framer.take_remainder();
        if is_whole(&tail) {
            self.tap.observe(&tail);
        }
        self.note();
        if let Some(permit) = self.permit.take() {
            permit.settle(self.ending);
        }
    }

    /// Observes a piece; returns true at the stream's own end.
    fn take_in(&mut self, bytes: &Bytes) -> bool {
        let mut is_terminal = false;
        for frame in self.framer.push(bytes) {
            if frame.is_piece {
                self.has_unread_event = true;
            } else {
                is_terminal |= self.tap.observe(&frame.bytes) == Class::Terminal;
            }
        }
        if self.framer.memory_bytes() > EVENT_HELD_MAX_BYTES {
            self.framer.give_up_event();
            self.has_unread_event = true;
        }
        self.note();
        is_terminal
    }

    fn note(&mut self) {
        if let Some(permit) = &mut self.permit {
            note(permit, &self.tap, self.choices_to_end, self.has_unread_event);
        }
    }
}

/// An event that nobody receives is held up to this, for the sake of usage.
const EVENT_HELD_MAX_BYTES: usize = 64 << 10;

/// Keeps with the permit what was seen, for the sake of its `Drop`.
fn note(permit: &mut Permit, tap: &Tap, choices_to_end: u32, has_unread_event: bool) {
    let all_ended =
        choices_to_end <= 1 || tap.is_terminal() || tap.choices_ended() >= choices_to_end;
    permit.seen.update(tap.observed(), all_ended);
    permit.seen.has_unmeasured_output |= has_unread_event;
}

/// Whether what remained of a stream is an event, but for its blank line.
fn is_whole(tail: &[u8]) -> bool {
    let mut scratch = String::new();
    let Ok(event) = sse::parse(tail, &mut scratch) else { return false };
    let data = event.data.trim_ascii();
    data == "[DONE]" || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok()
}

/// Whether an upstream may end its streams without a terminal event: one of
/// which that is known, or one that is not known at all. The others have been
/// cut off then, be it after every choice has ended: their usage is missing.
fn ends_silently(candidate: &Candidate) -> bool {
    let deployment = &candidate.deployment;
    deployment.provider.quirks.no_done || !deployment.provider.owns(&deployment.api_base)
}

/// How many choices a stream must bring; the tap tells 128 of them apart.
fn choices(head: &Head) -> u32 {
    u32::try_from(head.n()).unwrap_or(u32::MAX).clamp(1, 128)
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Some(permit) = &self.permit else { return };
        let client = &permit.call.client;
        // An answer that nobody was there to receive any more.
        self.begun_without_client = client.is_gone();
        client.leave(Presence::HungUp);
        // Otherwise the permit's own drop settles it.
        if !permit.candidate().sends_no_bill() {
            self.detach();
        }
    }
}

/// A stream as an HTTP body.
impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = std::task::ready!(self.get_mut().poll_next(context));
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}
