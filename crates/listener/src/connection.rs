//! One connection: TLS handshake, protocol, requests, end.

use crate::accept::{Place, Shared};
use crate::discard::RequestBody;
use crate::intake::{Counted, Intake};
use crate::service::{Peer, Service};
use crate::signal::Signal;
use crate::streams::{Activity, CHECK_INTERVAL, Open, Streams, Watched};
use crate::timeouts::Limited;
use crate::tls::TlsAcceptor;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;

/// Requests at a time on one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 256;

/// Time for the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// Start of every HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// Serves a connection to its end.
pub(crate) async fn run<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    shared: Shared<S>,
    place: Arc<Place>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let intake = Intake::new(&shared.budget);
    let stream = Counted::new(stream, Arc::clone(&intake));
    let Some(tls) = tls else { return serve(stream, peer, intake, shared, place).await };
    // Boxed, so that a connection without TLS does not carry its state.
    match Box::pin(tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream))).await {
        Ok(Ok(stream)) => {
            intake.forget();
            Box::pin(serve(stream, peer, intake, shared, place)).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn serve<T, S: Service>(
    mut stream: T,
    peer: SocketAddr,
    intake: Arc<Intake>,
    shared: Shared<S>,
    place: Arc<Place>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stop = shared.stop.receiver();
    let start = tokio::select! {
        start = tokio::time::timeout(shared.limits.header_timeout, first_bytes(&mut stream)) => start,
        () = stop.given() => return,
    };
    drop(stop);
    let Ok(Ok(start)) = start else { return };
    let is_h2 = start.len() == PREFACE.len();
    let io = TokioIo::new(Limited::new(stream, start, Arc::clone(&intake)));
    let caller = Arc::new(Caller { peer: Peer::new(peer.ip()), intake });
    let ended = match is_h2 {
        // Boxed, for its state is large and mostly not there.
        true => Box::pin(serve_h2(io, caller, shared, place)).await,
        false => serve_h1(io, caller, shared).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Reads until it is clear whether the client speaks HTTP/2: all of the
/// preface, or the first bytes that are none of it.
async fn first_bytes(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Bytes> {
    let mut start = BytesMut::with_capacity(PREFACE.len());
    while start.len() < PREFACE.len() && PREFACE.starts_with(&start) {
        let left = PREFACE.len() - start.len();
        if (&mut *stream).take(left as u64).read_buf(&mut start).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    if !PREFACE.starts_with(&start) && start.len() == PREFACE.len() {
        // As long as a preface and none: told apart by its length elsewhere.
        stream.read_buf(&mut start).await?;
    }
    Ok(start.freeze())
}

type Io<T> = TokioIo<Limited<T>>;

/// Shared by the requests of one connection.
struct Caller {
    peer: Peer,
    intake: Arc<Intake>,
}

async fn serve_h1<T, S: Service>(
    io: Io<T>,
    caller: Arc<Caller>,
    shared: Shared<S>,
) -> hyper::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = shared.limits;
    let answering = Arc::clone(&shared.service);
    let service = hyper::service::service_fn(move |request| {
        answer(Arc::clone(&answering), Arc::clone(&caller), request, None)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_max_bytes.max(16 << 10))
        // One buffer, not a list of them; and not `pipeline_flush`, which writes
        // nothing, without limit, as long as a client has another request to send.
        .writev(false)
        .serve_connection(io, service);
    tokio::pin!(connection);
    let (mut stop, mut cut, mut stopping) = (shared.stop.receiver(), shared.cut.receiver(), false);
    poll_fn(|context| {
        if cut.poll_given(context) {
            return Poll::Ready(Ok(()));
        }
        if !stopping && stop.poll_given(context) {
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await
}

async fn serve_h2<T, S: Service>(
    io: Io<T>,
    caller: Arc<Caller>,
    shared: Shared<S>,
    place: Arc<Place>,
) -> hyper::Result<()>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = shared.limits;
    let streams = Arc::new(Streams::default());
    let answering = Arc::clone(&shared.service);
    let intake = Arc::clone(&caller.intake);
    let begun = Arc::clone(&streams);
    let service = hyper::service::service_fn(move |request| {
        answer(Arc::clone(&answering), Arc::clone(&caller), request, Some(begun.begin()))
    });
    let connection = http2::Builder::new(InPlace {
        place,
        cut: shared.cut.clone(),
        streams: Arc::clone(&streams),
    })
    .timer(TokioTimer::new())
    .max_concurrent_streams(H2_STREAMS_MAX)
    .max_header_list_size(u32::try_from(limits.header_max_bytes).unwrap_or(u32::MAX))
    .keep_alive_interval(Duration::from_secs(30))
    .serve_connection(io, service);
    tokio::pin!(connection);
    let mut checks = tokio::time::interval(CHECK_INTERVAL);
    checks.reset();
    let (mut stop, mut cut, mut goodbye) = (shared.stop.receiver(), shared.cut.receiver(), false);
    poll_fn(|context| {
        if cut.poll_given(context) {
            return Poll::Ready(Ok(()));
        }
        let mut finish = stop.poll_given(context);
        while checks.poll_tick(context).is_ready() {
            // Frames of a quiet connection, which are not kept.
            intake.forget();
            match streams.check() {
                Activity::Busy => {}
                // The client was told to go a while ago, and has nothing to finish.
                Activity::Idle if goodbye => return Poll::Ready(Ok(())),
                Activity::Idle => finish = true,
            }
        }
        if finish && !goodbye {
            goodbye = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await
}

async fn answer<S: Service>(
    service: Arc<S>,
    caller: Arc<Caller>,
    request: Request<Incoming>,
    open: Option<Open>,
) -> Result<Response<Watched<S::Body>>, Infallible> {
    let under_way = caller.intake.begin();
    let waits = open.is_none() && request.headers().contains_key(header::EXPECT);
    let awaited = waits.then(Arc::<AtomicBool>::default);
    let of_body = under_way.clone();
    let request = request.map(|body| RequestBody::new(body, awaited.clone(), of_body));
    let mut response = service.answer(request, &caller.peer).await;
    if awaited.is_some_and(|awaited| !awaited.load(Ordering::Relaxed)) {
        // The client may send the body all the same, or not: only the end of
        // the connection tells what follows from it.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        caller.intake.is_sending.store(true, Ordering::Relaxed);
    }
    Ok(response.map(|body| Watched::new(body, open, under_way)))
}

/// Runs the requests of an HTTP/2 connection as part of its place, until they end
/// or are told to. A request that is dropped is reset.
#[derive(Clone)]
struct InPlace {
    place: Arc<Place>,
    cut: Signal,
    streams: Arc<Streams>,
}

impl<F> hyper::rt::Executor<F> for InPlace
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        let (place, mut cut) = (Arc::clone(&self.place), self.cut.receiver());
        let mut given_up = self.streams.latest();
        tokio::spawn(async move {
            {
                let mut work = std::pin::pin!(work);
                poll_fn(|context| {
                    let gone = given_up.as_mut().is_some_and(|it| it.poll_given(context));
                    match gone || cut.poll_given(context) {
                        true => Poll::Ready(()),
                        false => work.as_mut().poll(context).map(drop),
                    }
                })
                .await;
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{PREFACE, first_bytes};
    use tokio::io::{AsyncWriteExt as _, duplex};

    async fn read(sent: &[u8]) -> std::io::Result<bytes::Bytes> {
        let (mut ours, mut theirs) = duplex(4096);
        theirs.write_all(sent).await.unwrap();
        drop(theirs);
        first_bytes(&mut ours).await
    }

    #[tokio::test]
    async fn http_2_is_told_from_http_1_by_its_first_bytes() {
        let more = [PREFACE, b"settings"].concat();
        assert_eq!(read(&more).await.unwrap(), PREFACE, "no byte of what follows");
        for request in ["POST /v1/chat/completions HTTP/1.1\r\n", "PRI * HTTP/1.1\r\n\r\nab"] {
            let start = read(request.as_bytes()).await.unwrap();
            assert!(request.as_bytes().starts_with(&start));
            assert_ne!(start.len(), PREFACE.len(), "{request}");
        }
        assert!(read(b"PRI * HT").await.is_err());
        assert!(read(b"").await.is_err());
    }
}
