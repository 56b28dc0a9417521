//! HTTP/2 connections, shared. Each has a task of its own, since many requests
//! hang on it. An origin has as many as its streams need.

use crate::h1::WireRequest;
use crate::transport::Transport;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Connections to one origin; beyond them, requests wait for a stream.
pub(crate) const MAX_CONNECTIONS: usize = 16;

/// Streams that a server is taken to allow before it has said so (RFC 9113,
/// 6.5.2 asks for no fewer).
pub(crate) const ASSUMED_STREAMS: usize = 100;

/// A load balancer that drops a connection silently is noticed after the sum.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// One shared connection.
pub(crate) struct H2 {
    sender: SendRequest<Full<Bytes>>,
    streams: Arc<Streams>,
    since: Instant,
}

/// How many streams a connection carries, and how many its server takes.
struct Streams {
    open: AtomicUsize,
    /// The site's: see [`H2::handshake`].
    max: Arc<AtomicUsize>,
    /// Milliseconds after the connection's start at which the last one closed.
    closed_ms: AtomicUsize,
}

/// The right to one stream, from before the request until the body's end.
pub(crate) struct Slot {
    sender: SendRequest<Full<Bytes>>,
    streams: Arc<Streams>,
    since: Instant,
}

impl H2 {
    /// Speaks HTTP/2 over `transport`, in a task that ends with the connection.
    /// `max` is how many streams the origin took last time: a new connection
    /// believes it until the server says otherwise, and notes it there.
    pub(crate) async fn handshake(
        transport: Transport,
        max: &Arc<AtomicUsize>,
    ) -> Result<Self, hyper::Error> {
        let (sender, mut connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .max_header_list_size(MAX_HEADER_BYTES)
            .initial_max_send_streams(max.load(Ordering::Relaxed).max(1))
            .handshake(TokioIo::new(transport))
            .await?;
        let streams = Arc::new(Streams {
            open: AtomicUsize::new(0),
            max: Arc::clone(max),
            closed_ms: AtomicUsize::new(0),
        });
        let seen = Arc::clone(&streams);
        tokio::spawn(poll_fn(move |cx| {
            let done = Pin::new(&mut connection).poll(cx).map(drop);
            seen.max.store(connection.current_max_send_streams(), Ordering::Relaxed);
            done
        }));
        Ok(Self { sender, streams, since: Instant::now() })
    }

    /// Whether requests can still go out on it.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Whether it has carried nothing for `idle`.
    pub(crate) fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        let closed = self.since
            + Duration::from_millis(self.streams.closed_ms.load(Ordering::Relaxed) as u64);
        self.streams.open.load(Ordering::Relaxed) == 0 && now.duration_since(closed) >= idle
    }

    /// Streams that it can take more.
    pub(crate) fn room(&self) -> usize {
        let max = self.streams.max.load(Ordering::Relaxed);
        max.saturating_sub(self.streams.open.load(Ordering::Relaxed))
    }

    /// Takes a stream, if need be one that waits for others to end.
    pub(crate) fn slot(&self) -> Slot {
        self.streams.open.fetch_add(1, Ordering::Relaxed);
        let (sender, streams) = (self.sender.clone(), Arc::clone(&self.streams));
        Slot { sender, streams, since: self.since }
    }
}

impl Slot {
    /// hyper's own future of a response.
    pub(crate) fn send(
        &mut self,
        request: WireRequest,
    ) -> impl Future<
        Output = Result<
            http::Response<hyper::body::Incoming>,
            hyper::client::conn::TrySendError<WireRequest>,
        >,
    > + use<> {
        self.sender.try_send_request(request)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let ms = self.since.elapsed().as_millis();
        self.streams.closed_ms.store(usize::try_from(ms).unwrap_or(usize::MAX), Ordering::Relaxed);
        self.streams.open.fetch_sub(1, Ordering::Relaxed);
    }
}
