//! The front door: accept, TLS, HTTP/1 and HTTP/2, limits, and a graceful end.
//!
//! Ours and not a framework's, because here stand the limits that keep one
//! client from taking the others' places: connections, time for a request's
//! head, its size, streams of an HTTP/2 connection.

use crate::door::{Door, Peer};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// The limits of the front door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time.
    pub(crate) connections_max: usize,
    /// For a request's head to arrive.
    pub(crate) header_timeout: Duration,
    /// A request's head.
    pub(crate) header_max_bytes: usize,
    /// For running requests after the signal to stop.
    pub(crate) drain_timeout: Duration,
}

/// Header fields of one request.
const HEADERS_MAX: usize = 128;

/// Requests at a time on one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 256;

/// For the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Accepts until `stopped` says so, then waits for running requests.
pub(crate) async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stopped) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: the next moment may
                // have some again.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let (tls, door, stopped) = (tls.clone(), Arc::clone(&door), stopped.clone());
        tokio::spawn(async move {
            connection(stream, peer, tls, door, limits, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain_timeout, places.acquire_many(all)).await.is_err() {
        let running = limits.connections_max - places.available_permits();
        tracing::warn!(running, "the time to drain is over; running requests are cut");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    door: Arc<Door>,
    limits: Limits,
    stopped: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let Some(tls) = tls else { return serve(stream, peer, door, limits, stopped).await };
    match tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, peer, door, limits, stopped).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn serve<S>(
    stream: S,
    peer: SocketAddr,
    door: Arc<Door>,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(HEADERS_MAX)
        .max_buf_size(limits.header_max_bytes.max(16 << 10))
        .pipeline_flush(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(limits.header_max_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30));
    let caller = Arc::new(Peer::new(peer.ip()));
    let service = hyper::service::service_fn(move |request| {
        let (door, caller) = (Arc::clone(&door), Arc::clone(&caller));
        async move { Ok::<_, std::convert::Infallible>(door.answer(request, &caller).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Returns when the signal to stop has come.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can say it any more: also an end.
    drop(stopped.wait_for(|stopped| *stopped).await);
}
