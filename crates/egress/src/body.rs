//! The body of a response, and what becomes of its connection.
//!
//! Read to its end, an HTTP/1 connection goes back to its pool. Dropped
//! before, it is closed at once (HTTP/2: the stream is reset), so that the
//! upstream stops working, and billing, for nobody.

use crate::deadline::Deadline;
use crate::error::{Certainty, Error, Wait};
use crate::h1::H1;
use crate::h2::Slot;
use crate::settings::{Limits, millis};
use crate::site::Site;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// A response's body, as it comes in.
pub struct Body {
    incoming: Incoming,
    /// `None` once the body is over.
    carrier: Option<Carrier>,
    site: Arc<Site>,
    limits: Limits,
    total_at: Instant,
    /// Since when the next piece is waited for.
    waiting: Option<Instant>,
    max_idle_connections: usize,
}

/// What the body comes in on.
pub(crate) enum Carrier {
    /// The whole connection.
    H1(Box<H1>),
    /// One stream of it.
    H2 {
        /// Held until the body is over or dropped.
        _stream: Slot,
        deadline: Deadline,
    },
}

impl Body {
    pub(crate) fn new(
        incoming: Incoming,
        carrier: Carrier,
        site: Arc<Site>,
        limits: Limits,
        total_at: Instant,
        max_idle_connections: usize,
    ) -> Self {
        let carrier = Some(carrier);
        let mut body =
            Self { incoming, carrier, site, limits, total_at, waiting: None, max_idle_connections };
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    /// The body is over: its connection may serve another request.
    fn finish(&mut self) {
        if let Some(Carrier::H1(mut connection)) = self.carrier.take()
            && connection.is_reusable()
        {
            self.site.put_idle(connection, self.max_idle_connections);
        }
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.carrier {
            Some(Carrier::H1(connection)) => connection.poll_frame(cx, &mut self.incoming),
            Some(Carrier::H2 { .. }) => Pin::new(&mut self.incoming).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    /// Ready with the limit that ran out.
    fn poll_limits(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let waiting = *self.waiting.get_or_insert_with(Instant::now);
        let idle_at = waiting + millis(self.limits.idle_ms);
        let at = idle_at.min(self.total_at);
        let passed = match &mut self.carrier {
            Some(Carrier::H1(connection)) => connection.poll_deadline(cx, at),
            Some(Carrier::H2 { deadline, .. }) => deadline.poll(cx, at),
            None => Poll::Pending,
        };
        passed.map(|()| {
            let (wait, after_ms) = if idle_at <= self.total_at {
                (Wait::Body, self.limits.idle_ms)
            } else {
                (Wait::Total, self.limits.total_ms)
            };
            let origin = self.site.origin.clone();
            Error::Timeout { origin, wait, after_ms, certainty: Certainty::MaybeSent }
        })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.poll_incoming(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.waiting = None;
                // Who knows the length does not ask for the end.
                if this.incoming.is_end_stream() {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.carrier = None;
                let sent = Certainty::MaybeSent;
                Poll::Ready(Some(Err(Error::from_hyper(&this.site.origin, error, sent))))
            }
            Poll::Pending => this.poll_limits(cx).map(|error| {
                this.carrier = None;
                Some(Err(error))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.carrier.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Pieces that a dropped body reads to find its end.
const LAST_PIECES: usize = 4;

impl Drop for Body {
    fn drop(&mut self) {
        // Readers of event streams stop at the last event, and errors are
        // thrown away unread: mostly the end has come in already, and then the
        // connection is as good as if it had been read.
        for _ in 0..LAST_PIECES {
            if !matches!(self.carrier, Some(Carrier::H1(_))) {
                return;
            }
            match self.poll_incoming(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(None) => self.finish(),
                Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.finish(),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_))) | Poll::Pending => return,
            }
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("origin", &self.site.origin).finish_non_exhaustive()
    }
}
