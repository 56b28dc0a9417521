//! The front door: accept, TLS, HTTP/1 and HTTP/2, limits, and a graceful end.
//!
//! Ours and not a framework's, because here stand the limits that keep one
//! client from taking the others' places: connections, in all and from one
//! address; time for the first bytes, for a request's head, for what is not
//! taken; a head's size; streams of an HTTP/2 connection.

use crate::bell::Bell;
use crate::discard::Given;
use crate::door::{Answer, Door, Peer};
use crate::intake::{Budget, Counted, Intake};
use crate::patience::Patient;
use crate::peers::{PeerPlace, Peers};
use crate::streams::{LOOK, Open, Seen, Streams, Watched};
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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
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

/// Requests at a time on one HTTP/2 connection.
const H2_STREAMS_MAX: u32 = 256;

/// For the TLS handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How every HTTP/2 connection begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";

/// For connections to be dropped, once they are told to.
const CUT_MAX: Duration = Duration::from_secs(5);

/// What a connection holds as long as anything of it runs.
struct Place {
    _all: OwnedSemaphorePermit,
    _peer: Option<PeerPlace>,
}

/// What all connections share.
#[derive(Clone)]
struct House {
    door: Arc<Door>,
    limits: Limits,
    /// For what is not a complete request yet.
    budget: Arc<Budget>,
    /// Finish what runs and begin nothing.
    stop: Bell,
    /// End now.
    cut: Bell,
}

/// Accepts until `stopped` says so, then waits for running requests. When this
/// returns, none runs any more. What `tls` holds counts for new connections.
pub(crate) async fn run(
    listener: TcpListener,
    tls: watch::Receiver<Option<TlsAcceptor>>,
    door: Arc<Door>,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let peers = Peers::new((limits.connections_max / 4 * 3).max(1));
    let budget = Budget::new();
    let house = House { door, limits, budget, stop: Bell::default(), cut: Bell::default() };
    loop {
        let next = async {
            let all = Arc::clone(&places).acquire_owned().await;
            (all, listener.accept().await)
        };
        let (all, accepted) = tokio::select! {
            next = next => next,
            () = told(&mut stopped) => break,
        };
        let Ok(all) = all else { break };
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
        let counted = !house.door.speaks_for_many(peer.ip());
        let of_peer = peers.enter(peer.ip());
        if counted && of_peer.is_none() {
            tracing::debug!(%peer, "one address holds too many connections");
            continue;
        }
        let place = Place { _all: all, _peer: of_peer };
        let tls = tls.borrow().clone();
        tokio::spawn(connection(stream, peer, tls, house.clone(), Arc::new(place)));
    }
    drop(listener);
    house.stop.ring();
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain_timeout, places.acquire_many(all)).await.is_ok() {
        return;
    }
    let running = limits.connections_max - places.available_permits();
    tracing::warn!(running, "the time to drain is over; running requests are cut");
    house.cut.ring();
    if tokio::time::timeout(CUT_MAX, places.acquire_many(all)).await.is_err() {
        tracing::error!("some requests still run");
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    house: House,
    place: Arc<Place>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    let intake = Intake::new(&house.budget);
    let stream = Counted::new(stream, Arc::clone(&intake));
    let Some(tls) = tls else { return serve(stream, peer, intake, house, place).await };
    // Boxed, so that a connection without TLS does not carry its state.
    match Box::pin(tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream))).await {
        Ok(Ok(stream)) => {
            intake.forget();
            Box::pin(serve(stream, peer, intake, house, place)).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS handshake"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn serve<S>(
    mut stream: S,
    peer: SocketAddr,
    intake: Arc<Intake>,
    house: House,
    place: Arc<Place>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stop = house.stop.ear();
    let start = tokio::select! {
        start = tokio::time::timeout(house.limits.header_timeout, first_bytes(&mut stream)) => start,
        () = stop.heard() => return,
    };
    drop(stop);
    let Ok(Ok(start)) = start else { return };
    let is_h2 = start.len() == PREFACE.len();
    let io = TokioIo::new(Patient::new(stream, start, Arc::clone(&intake)));
    let caller = Arc::new(Caller { peer: Peer::new(peer.ip()), intake });
    let ended = match is_h2 {
        // Boxed, for its state is large and mostly not there.
        true => Box::pin(serve_h2(io, caller, house, place)).await,
        false => serve_h1(io, caller, house).await,
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

type Io<S> = TokioIo<Patient<S>>;

/// What the requests of one connection share.
struct Caller {
    peer: Peer,
    intake: Arc<Intake>,
}

async fn serve_h1<S>(io: Io<S>, caller: Arc<Caller>, house: House) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = house.limits;
    let door = Arc::clone(&house.door);
    let service = hyper::service::service_fn(move |request| {
        answer(Arc::clone(&door), Arc::clone(&caller), request, None)
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
    let (mut stop, mut cut, mut stopping) = (house.stop.ear(), house.cut.ear(), false);
    poll_fn(|context| {
        if cut.hears(context) {
            return Poll::Ready(Ok(()));
        }
        if !stopping && stop.hears(context) {
            stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context)
    })
    .await
}

async fn serve_h2<S>(
    io: Io<S>,
    caller: Arc<Caller>,
    house: House,
    place: Arc<Place>,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = house.limits;
    let streams = Arc::new(Streams::default());
    let door = Arc::clone(&house.door);
    let intake = Arc::clone(&caller.intake);
    let begun = Arc::clone(&streams);
    let service = hyper::service::service_fn(move |request| {
        answer(Arc::clone(&door), Arc::clone(&caller), request, Some(begun.begin()))
    });
    let connection = http2::Builder::new(InPlace {
        place,
        cut: house.cut.clone(),
        streams: Arc::clone(&streams),
    })
    .timer(TokioTimer::new())
    .max_concurrent_streams(H2_STREAMS_MAX)
    .max_header_list_size(u32::try_from(limits.header_max_bytes).unwrap_or(u32::MAX))
    .keep_alive_interval(Duration::from_secs(30))
    .serve_connection(io, service);
    tokio::pin!(connection);
    let mut looks = tokio::time::interval(LOOK);
    looks.reset();
    let (mut stop, mut cut, mut goodbye) = (house.stop.ear(), house.cut.ear(), false);
    poll_fn(|context| {
        if cut.hears(context) {
            return Poll::Ready(Ok(()));
        }
        let mut finish = stop.hears(context);
        while looks.poll_tick(context).is_ready() {
            // Frames of a quiet connection, which are not kept.
            intake.forget();
            match streams.look() {
                Seen::Busy => {}
                // It was told to go a while ago, and has nothing to finish.
                Seen::Idle if goodbye => return Poll::Ready(Ok(())),
                Seen::Idle => finish = true,
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

async fn answer(
    door: Arc<Door>,
    caller: Arc<Caller>,
    request: Request<Incoming>,
    open: Option<Open>,
) -> Result<Response<Watched<Answer>>, Infallible> {
    let under_way = caller.intake.begin();
    let waits = open.is_none() && request.headers().contains_key(header::EXPECT);
    let awaited = waits.then(Arc::<AtomicBool>::default);
    let of_body = under_way.clone();
    let request = request.map(|body| Given::new(body, awaited.clone(), of_body));
    let mut response = door.answer(request, &caller.peer).await;
    if awaited.is_some_and(|awaited| !awaited.load(Ordering::Relaxed)) {
        // The client may send the body all the same, or not: only the end of
        // the connection tells what follows from it.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        caller.intake.is_sending.store(true, Ordering::Relaxed);
    }
    Ok(response.map(|body| Watched::new(body, open, under_way)))
}

/// Runs an HTTP/2 connection's requests: as part of the connection's place,
/// and no longer than it may. A request that is dropped is reset.
#[derive(Clone)]
struct InPlace {
    place: Arc<Place>,
    cut: Bell,
    streams: Arc<Streams>,
}

impl<F> hyper::rt::Executor<F> for InPlace
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, work: F) {
        let (place, mut cut) = (Arc::clone(&self.place), self.cut.ear());
        let mut given_up = self.streams.latest();
        tokio::spawn(async move {
            {
                let mut work = std::pin::pin!(work);
                poll_fn(|context| {
                    let gone = given_up.as_mut().is_some_and(|ear| ear.hears(context));
                    match gone || cut.hears(context) {
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

/// Returns when the signal to stop has come.
async fn told(stopped: &mut watch::Receiver<bool>) {
    // An error means that nobody can say it any more: also an end.
    drop(stopped.wait_for(|stopped| *stopped).await);
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
