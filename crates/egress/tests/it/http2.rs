use crate::server::{Server, ask, egress, origin, post, send};
use crate::tls::{acceptor, trusting};
use base::Origin;
use bytes::Bytes;
use egress::{Certainty, Egress, Error, Limits, Reach, Wait};
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Barrier, mpsc};

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// An HTTP/2 server that takes `max_streams` at once on a connection.
async fn h2_server<F>(
    max_streams: u32,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> Server
where
    F: Future<Output = Answer> + Send + 'static,
{
    let acceptor = acceptor("localhost", &["h2"]);
    Server::start(move |_, stream| {
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let _closed = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(max_streams)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        }
    })
    .await
}

fn pong() -> Answer {
    Response::new(Full::new(Bytes::from_static(b"pong")).boxed())
}

fn reaching(server: &Server) -> (Egress, Origin) {
    let url = origin(&format!("https://localhost:{}", server.port));
    (egress(trusting(), &[(url.clone(), Reach::Named)]), url)
}

#[tokio::test]
async fn a_burst_shares_one_http2_connection() {
    let server = h2_server(250, |request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        assert_eq!(request.uri().path(), "/v1/chat");
        assert_eq!(request.uri().host(), Some("localhost"));
        assert!(!request.headers().contains_key("host"));
        assert_eq!(request.headers()["content-length"], "4");
        pong()
    })
    .await;
    let (egress, url) = reaching(&server);
    for _ in 0..3 {
        let asking: Vec<_> = (0..50)
            .map(|_| {
                let (egress, url) = (egress.clone(), url.clone());
                tokio::spawn(async move { ask(&egress, &url).await })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap().unwrap(), (200, Bytes::from_static(b"pong")));
        }
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn more_streams_than_one_connection_takes_open_another() {
    let (all, asked) = (Arc::new(Barrier::new(12)), Arc::new(AtomicUsize::new(0)));
    let server = h2_server(4, move |_| {
        let (all, number) = (Arc::clone(&all), asked.fetch_add(1, Ordering::SeqCst));
        async move {
            if number >= 2 {
                all.wait().await;
            }
            pong()
        }
    })
    .await;
    let (egress, url) = reaching(&server);
    // The server's limit is learnt from the first, and seen with the second.
    for _ in 0..2 {
        ask(&egress, &url).await.unwrap();
    }
    // None of these is answered before all are there at the same time.
    let asking: Vec<_> = (0..12)
        .map(|_| {
            let (egress, url) = (egress.clone(), url.clone());
            tokio::spawn(async move { ask(&egress, &url).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().1, "pong");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_dropped_body_resets_its_stream_and_leaves_the_others() {
    let (ended, mut seen) = mpsc::channel::<()>(1);
    let streams = Arc::new(AtomicUsize::new(0));
    let server = h2_server(100, move |_| {
        let (ended, number) = (ended.clone(), streams.fetch_add(1, Ordering::SeqCst));
        async move {
            if number > 0 {
                return pong();
            }
            // Sends one piece and then nothing; dropping it tells the test.
            let (sender, body) = mpsc::channel(1);
            sender.send(Bytes::from_static(b"piece")).await.unwrap();
            tokio::spawn(async move {
                sender.closed().await;
                ended.send(()).await.unwrap();
            });
            Response::new(Trickle(body).boxed())
        }
    })
    .await;
    let (egress, url) = reaching(&server);
    let mut body = send(&egress, &url).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "piece");
    drop(body);
    assert_eq!(seen.recv().await, Some(()));
    assert_eq!(ask(&egress, &url).await.unwrap().1, "pong");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stalled_stream_times_out_alone() {
    let server = h2_server(100, |_| std::future::pending::<Answer>()).await;
    let (egress, url) = reaching(&server);
    let limits = Limits { head_ms: 50, ..Limits::default() };
    for _ in 0..2 {
        let sent = egress.send(post(&url), Bytes::new(), limits).await;
        let error = sent.map(drop).unwrap_err();
        assert!(matches!(error, Error::Timeout { wait: Wait::Head, .. }), "{error:?}");
        assert_eq!(error.certainty(), Certainty::MaybeSent);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_goes_away_is_connected_to_again() {
    let acceptor = acceptor("localhost", &["h2"]);
    let server = Server::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let (asked, once) = mpsc::channel(1);
            let service = service_fn(move |_| {
                let asked = asked.clone();
                async move {
                    let _first = asked.try_send(());
                    Ok::<_, Infallible>(pong())
                }
            });
            let mut once = once;
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = &mut connection => return,
                _ = once.recv() => connection.as_mut().graceful_shutdown(),
            }
            let _closed = connection.await;
        }
    })
    .await;
    let (egress, url) = reaching(&server);
    for _ in 0..4 {
        match ask(&egress, &url).await {
            Ok((_, body)) => assert_eq!(body, "pong"),
            // The request crossed with the farewell, and the error says that
            // another try is safe.
            Err(error) => assert_eq!(error.certainty(), Certainty::NothingSent, "{error}"),
        }
    }
    assert!(server.connections() > 1);
}

/// A body of what comes through a channel.
struct Trickle(mpsc::Receiver<Bytes>);

impl http_body::Body for Trickle {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| Ok(http_body::Frame::data(piece))))
    }
}
