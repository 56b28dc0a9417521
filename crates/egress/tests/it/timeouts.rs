use crate::server::{Server, post, read, read_request};
use bytes::Bytes;
use egress::{Certainty, Egress, Error, Limits, Reach, Settings, Wait};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const SOON_MS: u64 = 50;

/// The wait that `limits` ended, where the upstream sends `bytes` and stalls.
async fn stalled_after(bytes: &'static [u8], limits: Limits) -> (Wait, u64, Certainty) {
    let (closed, mut seen) = mpsc::channel(1);
    let server = Server::start(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(bytes).await.unwrap();
            let _end = stream.read(&mut [0]).await;
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let sent =
        server.egress().send(post(&server.origin()), Bytes::from_static(b"ping"), limits).await;
    let error = match sent {
        Ok(response) => read(response.into_body()).await.unwrap_err(),
        Err(error) => error,
    };
    // The upstream is let go, too.
    assert_eq!(seen.recv().await, Some(()));
    match error {
        Error::Timeout { wait, after_ms, certainty, .. } => (wait, after_ms, certainty),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_limit_ends_its_own_wait() {
    let long = Limits::default();
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n";
    for (bytes, limits, wait) in [
        (b"HTTP/1.1 200".as_slice(), Limits { head_ms: SOON_MS, ..long }, Wait::Head),
        (chunk, Limits { idle_ms: SOON_MS, ..long }, Wait::Body),
        (chunk, Limits { total_ms: SOON_MS, ..long }, Wait::Total),
        (b"", Limits { total_ms: SOON_MS, ..long }, Wait::Total),
    ] {
        let ended = stalled_after(bytes, limits).await;
        assert_eq!(ended, (wait, SOON_MS, Certainty::MaybeSent));
    }
}

#[tokio::test]
async fn a_slow_stream_that_keeps_moving_outlives_its_idle_limit() {
    let (pull, mut pulled) = mpsc::channel::<()>(1);
    let (hand_over, mut taken) = mpsc::channel(1);
    let server = Server::start(move |_, stream| {
        let hand_over = hand_over.clone();
        async move { hand_over.send(stream).await.unwrap() }
    })
    .await;
    let pieces = 6;
    tokio::spawn(async move {
        let mut stream = taken.recv().await.unwrap();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        for _ in 0..pieces {
            pulled.recv().await.unwrap();
            stream.write_all(b"1\r\n.\r\n").await.unwrap();
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let limits = Limits { idle_ms: 200, ..Limits::default() };
    let sent = server.egress().send(post(&server.origin()), Bytes::new(), limits).await;
    let mut body = sent.unwrap().into_body();
    let started = tokio::time::Instant::now();
    for piece in 1..=pieces {
        // Each piece comes well within the limit, all of them well after it.
        tokio::time::sleep_until(started + std::time::Duration::from_millis(60 * piece)).await;
        pull.send(()).await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), ".");
    }
    assert!(body.frame().await.is_none());
}

/// Egress that waits for a connection for [`SOON_MS`].
fn impatient(server: &Server, scheme: &str) -> (Egress, base::Origin) {
    let origin = crate::server::origin(&format!("{scheme}://127.0.0.1:{}", server.port));
    let settings = Settings { connect_timeout_ms: SOON_MS, ..Settings::default() };
    (crate::server::egress(settings, &[(origin.clone(), Reach::Named)]), origin)
}

fn assert_no_connection(error: &Error) {
    assert!(matches!(error, Error::Timeout { wait: Wait::Connect, after_ms: SOON_MS, .. }));
    assert_eq!(error.certainty(), Certainty::NothingSent);
    assert!(error.to_string().ends_with("took no connection within 50 ms"), "{error}");
}

#[tokio::test]
async fn a_silent_tls_handshake_is_a_connect_timeout() {
    let server = Server::start(|_, mut stream| async move {
        let _all = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let (egress, origin) = impatient(&server, "https");
    assert_no_connection(&crate::server::ask(&egress, &origin).await.unwrap_err());
}

#[tokio::test]
async fn a_full_accept_queue_is_a_connect_timeout() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // Fill the queue: nobody accepts.
    let mut filling = Vec::new();
    for _ in 0..4 {
        #[expect(clippy::disallowed_methods, reason = "the test's own socket")]
        let connect = tokio::net::TcpStream::connect(address);
        filling.push(tokio::spawn(connect));
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let origin = crate::server::origin(&format!("http://{address}"));
    let settings = Settings { connect_timeout_ms: SOON_MS, ..Settings::default() };
    let egress = crate::server::egress(settings, &[(origin.clone(), Reach::Named)]);
    assert_no_connection(&crate::server::ask(&egress, &origin).await.unwrap_err());
}
