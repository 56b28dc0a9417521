//! Discards the rest of a request's body when its answer is made without it.
//!
//! A client that is refused (401, 404, 413, …) is often still sending. Closing
//! the connection then resets it, and the client sees the reset instead of the
//! answer, or sends its next request into it. So the rest is read and thrown
//! away, within limits, while the answer goes out, and the connection stays
//! usable. Beyond the limits the connection is closed, and lingers: see
//! `timeouts`.

use crate::intake;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;

/// The most that is thrown away of a body.
const BYTES_MAX: usize = 64 << 20;

/// The longest pause in it.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// For all of it.
const TIME_MAX: Duration = Duration::from_secs(30);

/// A request's body, of which nothing stays behind in the connection.
pub struct RequestBody {
    body: Option<Incoming>,
    /// Set when the body is first asked for, where the client waits for that
    /// before it sends (`Expect: 100-continue`).
    awaited: Option<Arc<AtomicBool>>,
    request: intake::Request,
}

impl RequestBody {
    /// The body of a request whose head is complete. `awaited` is set when the
    /// body is first asked for; `None` if the client sends it unasked.
    pub(crate) fn new(
        body: Incoming,
        awaited: Option<Arc<AtomicBool>>,
        request: intake::Request,
    ) -> Self {
        Self { body: Some(body), awaited, request }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(awaited) = &self.awaited {
            awaited.store(true, Ordering::Relaxed);
        }
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = &frame {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // A body that the client has not been asked for does not come.
        if self.awaited.as_ref().is_some_and(|awaited| !awaited.load(Ordering::Relaxed)) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let request = self.request.clone();
            runtime.spawn(async move {
                discard(body).await;
                drop(request);
            });
        }
    }
}

/// Reads to the end, or to a limit; the connection ends with the latter.
async fn discard<B: Body<Data = Bytes> + Unpin>(mut body: B) {
    let all = async {
        let mut left = BYTES_MAX;
        while let Ok(Some(Ok(frame))) = timeout(PAUSE_MAX, body.frame()).await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    // Either way there is nothing more to do.
    timeout(TIME_MAX, all).await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, PAUSE_MAX, TIME_MAX, discard};
    use bytes::Bytes;
    use http_body::{Body, Frame};
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;
    use tokio::time::{Instant, Sleep, sleep};

    /// So many pieces of one size, with a pause before each.
    struct Slow {
        pieces: usize,
        size: usize,
        pause: Duration,
        sleep: Pin<Box<Sleep>>,
    }

    impl Body for Slow {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let Some(left) = self.pieces.checked_sub(1) else { return Poll::Ready(None) };
            self.pieces = left;
            self.sleep = Box::pin(sleep(self.pause));
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; self.size])))))
        }
    }

    async fn taken(pieces: usize, size: usize, pause: Duration) -> (Duration, usize) {
        let mut body = Slow { pieces, size, pause, sleep: Box::pin(sleep(Duration::ZERO)) };
        let began = Instant::now();
        discard(&mut body).await;
        (began.elapsed(), pieces - body.pieces)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_thrown_away_up_to_its_limits() {
        let second = Duration::from_secs(1);
        assert_eq!(taken(20, 5, second).await.1, 20, "all of it");
        assert_eq!(taken(2, 5, PAUSE_MAX * 2).await, (PAUSE_MAX + Duration::ZERO, 1), "a pause");
        let (time, pieces) = taken(1000, 5, second).await;
        assert_eq!((time, pieces), (TIME_MAX, 31), "in all");
        let mib = 1 << 20;
        assert_eq!(taken(1000, mib, Duration::ZERO).await.1, BYTES_MAX / mib + 1, "in size");
    }
}
