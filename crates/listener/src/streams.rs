//! The streams of one HTTP/2 connection: gives up answers that are not taken, each
//! by itself, and notices when there has been no request for a while. HTTP/1 needs
//! none of this, since there the connection itself stalls; here one stream's window
//! can stay closed for ever while the connection answers pings.

use crate::intake;
use crate::signal::{Receiver, Signal};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// Interval of [`Streams::check`].
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// Checks after which an answer that is not taken, or a connection without
/// requests, is given up.
const CHECKS_MAX: u32 = 3;

/// See the module.
#[derive(Default)]
pub(crate) struct Streams {
    open: Mutex<Vec<Weak<Taken>>>,
    /// Given when the request that began last is given up.
    latest: Mutex<Option<Signal>>,
    /// Checks since the last request ended.
    idle_checks: AtomicU32,
}

/// Progress of the client in taking an answer.
#[derive(Default)]
struct Taken {
    /// Checks since a piece was handed over after which the next was not asked
    /// for; 0 while one is asked for.
    waits: AtomicU32,
    given_up: Signal,
}

/// Result of [`Streams::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Requests are under way, or were a moment ago.
    Busy,
    /// There has been no request for a while.
    Idle,
}

/// A request under way: until its answer's body is dropped.
pub(crate) struct Open(Arc<Taken>);

impl Streams {
    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Taken>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request begins.
    pub(crate) fn begin(&self) -> Open {
        self.idle_checks.store(0, Ordering::Relaxed);
        let taken = Arc::new(Taken::default());
        let mut open = self.lock();
        open.retain(|taken| taken.strong_count() > 0);
        open.push(Arc::downgrade(&taken));
        let latest = Some(taken.given_up.clone());
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
        Open(taken)
    }

    /// Receiver of the signal that the request that began last is given up. hyper
    /// hands a request's work over right after the request began.
    pub(crate) fn latest(&self) -> Option<Receiver> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).take().map(|it| it.receiver())
    }

    /// Gives up answers that are not taken. To be called every [`CHECK_INTERVAL`].
    pub(crate) fn check(&self) -> Activity {
        let mut open = self.lock();
        open.retain(|taken| taken.strong_count() > 0);
        if open.is_empty() {
            let checks = self.idle_checks.fetch_add(1, Ordering::Relaxed) + 1;
            return if checks >= CHECKS_MAX { Activity::Idle } else { Activity::Busy };
        }
        for taken in open.iter().filter_map(Weak::upgrade) {
            let waits = taken.waits.load(Ordering::Relaxed);
            if waits > 0 {
                // Lost if the next piece is asked for at this moment: one check too
                // few, and no more.
                let more = taken.waits.compare_exchange(
                    waits,
                    waits + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                if more.is_ok() && waits >= CHECKS_MAX {
                    taken.given_up.give();
                }
            }
        }
        Activity::Busy
    }
}

/// An answer's body, watched where it goes out on HTTP/2.
pub(crate) struct Watched<B> {
    body: B,
    open: Option<Open>,
    _request: intake::Request,
}

impl<B> Watched<B> {
    /// An answer to the request that `open` and `request` belong to.
    pub(crate) fn new(body: B, open: Option<Open>, request: intake::Request) -> Self {
        Self { body, open, _request: request }
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Some(Open(taken)) = &self.open {
            let handed_over = matches!(frame, Poll::Ready(Some(Ok(_))));
            taken.waits.store(u32::from(handed_over), Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, CHECKS_MAX, Streams, Watched};
    use crate::intake::{Budget, Intake};
    use bytes::Bytes;
    use http_body::Body as _;
    use http_body_util::Full;
    use std::pin::Pin;
    use std::task::{Context, Waker};

    #[test]
    fn a_connection_without_requests_is_idle_after_a_while() {
        let streams = Streams::default();
        let open = streams.begin();
        for _ in 0..10 {
            assert_eq!(streams.check(), Activity::Busy, "a slow answer is no idleness");
        }
        drop(open);
        let checks: Vec<Activity> = (0..CHECKS_MAX).map(|_| streams.check()).collect();
        assert_eq!(checks, [Activity::Busy, Activity::Busy, Activity::Idle]);
    }

    #[test]
    fn an_answer_that_is_not_taken_is_given_up_and_no_other() {
        let streams = Streams::default();
        let answer = |text: &'static str| {
            let request = Intake::new(&Budget::new()).begin();
            Watched::new(Full::new(Bytes::from(text)), Some(streams.begin()), request)
        };
        let mut body = answer("x");
        let mut context = Context::from_waker(Waker::noop());
        let mut given_up = streams.latest().unwrap();
        assert!(streams.latest().is_none(), "it belongs to one request");
        let mut taken = answer("y");
        let mut other = streams.latest().unwrap();
        for body in [&mut body, &mut taken] {
            assert!(Pin::new(body).poll_frame(&mut context).is_ready());
        }
        assert!(Pin::new(&mut taken).poll_frame(&mut context).is_ready(), "the end was asked for");
        for _ in 0..CHECKS_MAX {
            assert!(!given_up.poll_given(&context));
            assert_eq!(streams.check(), Activity::Busy);
        }
        assert!(given_up.poll_given(&context));
        for _ in 0..10 {
            assert_eq!(streams.check(), Activity::Busy);
        }
        assert!(!other.poll_given(&context), "one answer is given up, not its neighbours");
    }
}
