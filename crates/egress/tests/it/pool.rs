use crate::server::{Server, ask, read, read_request, send};
use bytes::Bytes;
use egress::{Certainty, Error, Limits, Policy, Reach, Settings};
use http::{HeaderMap, HeaderValue, Method};
use http_body::Body as _;
use http_body_util::BodyExt;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, mpsc};
use vault::Outgoing;

const PONG: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong";

/// Answers every request of every connection with `answer`.
async fn echo(answer: &'static [u8]) -> Server {
    Server::start(move |_, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            stream.write_all(answer).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    for answer in [
        PONG,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\npo\r\n2\r\nng\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ] {
        let server = echo(answer).await;
        let egress = server.egress();
        for _ in 0..20 {
            ask(&egress, &server.origin()).await.unwrap();
        }
        assert_eq!(server.connections(), 1, "{}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn the_request_on_the_wire_is_what_was_authorized_and_framed_by_us() {
    let (seen, mut requests) = mpsc::channel(4);
    let server = Server::start(move |_, mut stream| {
        let seen = seen.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await {
                seen.send(request).await.unwrap();
                stream.write_all(PONG).await.unwrap();
            }
        }
    })
    .await;
    let egress = server.egress();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("host", "evil.example"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let head = |headers| {
        Outgoing::new(server.origin(), Method::POST, "/v1/chat?a=%20b".into(), headers)
            .without_credential()
    };
    for body in ["{\"n\":1.0e3}", ""] {
        let response = egress
            .send(head(headers.clone()), Bytes::from_static(body.as_bytes()), Limits::default())
            .await
            .unwrap();
        assert_eq!(read(response.into_body()).await.unwrap(), "pong");
        let request = requests.recv().await.unwrap();
        let (text, sent_body) = request.split_once("\r\n\r\n").unwrap();
        let mut lines = text.split("\r\n");
        assert_eq!(lines.next(), Some("POST /v1/chat?a=%20b HTTP/1.1"));
        let lines: HashSet<&str> = lines.collect();
        let length = format!("content-length: {}", body.len());
        let host = format!("host: 127.0.0.1:{}", server.port);
        assert_eq!(lines, HashSet::from(["content-type: application/json", &length, &host]));
        assert_eq!(sent_body, body);
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_closed_is_replaced_unseen() {
    let requests = Arc::new(AtomicUsize::new(0));
    let (counted, closed) = (Arc::clone(&requests), Arc::new(Notify::new()));
    let close_now = Arc::clone(&closed);
    let server = Server::start(move |_, mut stream| {
        let (counted, closed) = (Arc::clone(&counted), Arc::clone(&closed));
        async move {
            read_request(&mut stream).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(PONG).await.unwrap();
            closed.notified().await;
            stream.shutdown().await.unwrap();
            // The client's end: it has seen ours.
            let _rest = stream.read(&mut [0]).await;
            closed.notify_one();
        }
    })
    .await;
    let egress = server.egress();
    for round in 1..=3 {
        assert_eq!(ask(&egress, &server.origin()).await.unwrap().1, "pong");
        assert_eq!((server.connections(), requests.load(Ordering::SeqCst)), (round, round));
        close_now.notify_one();
        // Let the server's close come in before the next request goes out.
        tokio::task::yield_now().await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
}

/// The peer's second answer is in the socket, and the reactor has had no turn in
/// which to report it.
#[tokio::test]
async fn an_answer_that_nobody_asked_for_never_answers_the_next_request() {
    let evil = PONG.to_ascii_uppercase();
    let evil = [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", &evil[evil.len() - 4..]].concat();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (say, said) = (std::sync::mpsc::channel::<()>(), std::sync::mpsc::channel::<()>());
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for round in 0..20 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            assert!(length > 0, "round {round}");
            stream.write_all(PONG).unwrap();
            say.1.recv().unwrap();
            stream.write_all(&evil).unwrap();
            said.0.send(()).unwrap();
        }
    });
    let origin = crate::server::origin(&format!("http://127.0.0.1:{port}"));
    let egress = crate::server::egress(Settings::default(), &[(origin.clone(), Reach::Named)]);
    for round in 0..20 {
        assert_eq!(ask(&egress, &origin).await.unwrap().1, "pong", "round {round}");
        say.0.send(()).unwrap();
        said.1.recv().unwrap();
    }
    server.join().unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_not_retried() {
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let server = Server::start(move |_, mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            read_request(&mut stream).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            stream.write_all(PONG).await.unwrap();
            read_request(&mut stream).await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await;
    let egress = server.egress();
    ask(&egress, &server.origin()).await.unwrap();
    let error = ask(&egress, &server.origin()).await.unwrap_err();
    assert!(matches!(error, Error::Broken { .. }), "{error}");
    assert_eq!(error.certainty(), Certainty::MaybeSent);
    assert_eq!((server.connections(), requests.load(Ordering::SeqCst)), (1, 2));
}

#[tokio::test]
async fn a_dropped_body_closes_its_connection_at_once() {
    let (closed, mut seen) = mpsc::channel(1);
    let server = Server::start(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n";
            stream.write_all(head).await.unwrap();
            let end = stream.read(&mut [0]).await;
            closed.send(matches!(end, Ok(0) | Err(_))).await.unwrap();
        }
    })
    .await;
    let egress = server.egress();
    let mut body = send(&egress, &server.origin()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "pong");
    drop(body);
    assert_eq!(seen.recv().await, Some(true));
}

#[tokio::test]
async fn a_dropped_request_closes_its_connection_at_once() {
    let (read, mut seen) = mpsc::channel(2);
    let server = Server::start(move |_, mut stream| {
        let read = read.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            read.send(false).await.unwrap();
            read.send(stream.read(&mut [0]).await.is_ok_and(|read| read == 0)).await.unwrap();
        }
    })
    .await;
    let (egress, origin) = (server.egress(), server.origin());
    let sending = tokio::spawn(async move { send(&egress, &origin).await.map(drop) });
    assert_eq!(seen.recv().await, Some(false));
    sending.abort();
    assert_eq!(seen.recv().await, Some(true));
}

#[tokio::test]
async fn a_reader_that_stops_at_the_last_event_keeps_the_connection() {
    let server =
        echo(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n[DONE]\r\n0\r\n\r\n")
            .await;
    let egress = server.egress();
    for _ in 0..5 {
        let mut body = send(&egress, &server.origin()).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "[DONE]");
        assert!(!body.is_end_stream());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_error_thrown_away_unread_keeps_the_connection() {
    for answer in [
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nwait".as_slice(),
        b"HTTP/1.1 429 Too Many Requests\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwait\r\n0\r\n\r\n",
    ] {
        let server = echo(answer).await;
        let egress = server.egress();
        for _ in 0..5 {
            assert_eq!(send(&egress, &server.origin()).await.unwrap().status(), 429);
        }
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn connection_close_is_honoured() {
    let server =
        echo(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\npong").await;
    let egress = server.egress();
    for _ in 0..3 {
        assert_eq!(ask(&egress, &server.origin()).await.unwrap().1, "pong");
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_set() {
    let both = Arc::new(tokio::sync::Barrier::new(2));
    let server = Server::start(move |_, mut stream| {
        let both = Arc::clone(&both);
        async move {
            while read_request(&mut stream).await.is_some() {
                both.wait().await;
                stream.write_all(PONG).await.unwrap();
            }
        }
    })
    .await;
    let settings = Settings { pool_max_idle_per_origin: 1, ..Settings::default() };
    let egress = crate::server::egress(settings, &[(server.origin(), Reach::Named)]);
    for opened in [2, 3, 4] {
        let origin = server.origin();
        let (one, two) = tokio::join!(ask(&egress, &origin), ask(&egress, &origin));
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(server.connections(), opened);
    }
}

#[tokio::test]
async fn a_connection_idle_for_too_long_is_not_used_again() {
    let server = echo(PONG).await;
    let settings = Settings { pool_idle_timeout_ms: 0, ..Settings::default() };
    let egress = crate::server::egress(settings, &[(server.origin(), Reach::Named)]);
    for _ in 0..3 {
        ask(&egress, &server.origin()).await.unwrap();
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn an_origin_is_reachable_under_its_policy_until_the_policy_is_dropped() {
    let (closed, mut seen) = mpsc::channel(1);
    let server = Server::start(move |_, mut stream| {
        let closed = closed.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(PONG).await.unwrap();
            }
            closed.send(()).await.unwrap();
        }
    })
    .await;
    let egress = server.egress();
    ask(&egress, &server.origin()).await.unwrap();
    let narrower = egress.allowing(&Policy::default());
    let error = ask(&narrower, &server.origin()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    ask(&egress, &server.origin()).await.unwrap();
    assert_eq!(server.connections(), 1, "a running call keeps its policy and its connection");
    let mut policy = Policy::default();
    policy.allow(server.origin(), Reach::Named);
    let same = narrower.allowing(&policy);
    ask(&same, &server.origin()).await.unwrap();
    assert_eq!(server.connections(), 1, "policies that allow an origin share its connections");
    assert!(seen.try_recv().is_err());
    drop((egress, same));
    assert_eq!(seen.recv().await, Some(()), "no policy allows the origin any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_are_all_answered() {
    let server = echo(PONG).await;
    let egress = server.egress();
    for _ in 0..3 {
        let asking: Vec<_> = (0..200)
            .map(|_| {
                let (egress, origin) = (egress.clone(), server.origin());
                tokio::spawn(async move { ask(&egress, &origin).await })
            })
            .collect();
        for asked in asking {
            assert_eq!(asked.await.unwrap().unwrap().1, "pong");
        }
    }
    assert!(server.connections() <= 200, "{}", server.connections());
}

#[tokio::test]
async fn a_large_body_goes_both_ways() {
    let server = Server::start(|_, mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
    })
    .await;
    let big = Bytes::from("0123456789abcdef".repeat(500_000));
    let head = crate::server::post(&server.origin());
    let response = server.egress().send(head, big.clone(), Limits::default()).await.unwrap();
    assert_eq!(read(response.into_body()).await.unwrap(), big);
}
