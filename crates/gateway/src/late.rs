//! A 200 that went out before the answer began.
//!
//! The provider takes longer than the peek time. The client gets its 200 and a
//! keep-alive now and then; behind it the attempts go on, retries and
//! fallbacks included. What they come to is the rest of the stream, or the
//! client dialect's typed error.

use crate::Body;
use crate::detach::Detach;
use crate::error::Compat;
use crate::pace::KEEP_ALIVE;
use crate::wire;
use bytes::Bytes;
use dialect::Surface;
use dialect::{Dialect, ErrorClass};
use http::StatusCode;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep};

/// The client's side of a call, for what is said to it late.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    /// What the client speaks.
    pub dialect: Dialect,
    /// Whose spelling of errors.
    pub compat: Compat,
}

impl Face {
    /// The status of a class of errors in the client's dialect.
    pub fn status_of(self, class: ErrorClass) -> StatusCode {
        let status = StatusCode::from_u16(self.dialect.status_of(class));
        status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The status for a client of an error that came with `theirs`, or that
    /// its dialect gives this status. Other dialects give other classes other
    /// statuses, but 500 and its kin mean the same everywhere.
    pub fn status_for(self, class: ErrorClass, theirs: StatusCode, translated: bool) -> StatusCode {
        let same = !translated || (class == ErrorClass::Server && theirs.is_server_error());
        let is_error = theirs.is_client_error() || theirs.is_server_error();
        if same && is_error { theirs } else { self.status_of(class) }
    }
}

/// See the module.
pub struct Late {
    attempts: Option<Detach>,
    rest: Option<Body>,
    timer: Pin<Box<Sleep>>,
    greeted: bool,
    surface: Surface,
    face: Face,
}

impl Late {
    /// Goes on with `attempts` behind a 200.
    pub fn new(attempts: Detach, surface: Surface, face: Face) -> Self {
        Self {
            attempts: Some(attempts),
            rest: None,
            timer: Box::pin(tokio::time::sleep(KEEP_ALIVE)),
            greeted: false,
            surface,
            face,
        }
    }

    fn keep_alive(&self) -> Bytes {
        wire::keep_alive(self.surface)
    }

    /// What the client gets next.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.greeted {
            self.greeted = true;
            return Poll::Ready(Some(self.keep_alive()));
        }
        if let Some(attempts) = &mut self.attempts {
            match Pin::new(attempts).poll(context) {
                Poll::Ready(Ok(response)) => {
                    self.attempts = None;
                    self.rest = Some(response.into_body());
                }
                Poll::Ready(Err(failure)) => {
                    self.attempts = None;
                    failure.log("a stream that had begun");
                    let mut text = Vec::new();
                    let error = failure.to_api_error(self.face.compat);
                    self.face.dialect.encode_error_event(&error, &mut text);
                    return Poll::Ready(Some(text.into()));
                }
                Poll::Pending => {
                    std::task::ready!(self.timer.as_mut().poll(context));
                    self.timer.as_mut().reset(Instant::now() + KEEP_ALIVE);
                    context.waker().wake_by_ref();
                    return Poll::Ready(Some(self.keep_alive()));
                }
            }
        }
        match &mut self.rest {
            Some(rest) => rest.poll_next(context),
            None => Poll::Ready(None),
        }
    }
}
