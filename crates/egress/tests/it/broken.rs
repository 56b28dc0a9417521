use crate::server::{Server, ask, read_request};
use egress::{Certainty, Error};
use tokio::io::AsyncWriteExt;

/// What comes of an upstream that answers `bytes` and closes.
async fn answered(bytes: &'static [u8]) -> Result<(u16, bytes::Bytes), Error> {
    let server = Server::start(move |_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    ask(&server.egress(), &server.origin()).await
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    for bytes in [
        b"garbage that is no status line\r\n\r\n".as_slice(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\npong",
        b"HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\npong",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\npong\r\n0\r\n\r\n",
    ] {
        let error = answered(bytes).await.unwrap_err();
        let said = String::from_utf8_lossy(bytes);
        assert!(matches!(error, Error::Protocol { .. }), "{said}: {error:?}");
        assert_eq!(error.certainty(), Certainty::MaybeSent, "{said}");
    }
}

#[tokio::test]
async fn what_ends_too_early_is_a_broken_connection() {
    for bytes in [
        b"".as_slice(),
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\npong",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n400\r\npong",
    ] {
        let error = answered(bytes).await.unwrap_err();
        let said = String::from_utf8_lossy(bytes);
        assert!(matches!(error, Error::Broken { .. }), "{said}: {error:?}");
        assert_eq!(error.certainty(), Certainty::MaybeSent, "{said}");
        assert!(error.to_string().starts_with("http://127.0.0.1:"), "{error}");
    }
}

#[tokio::test]
async fn a_body_that_only_ends_with_the_connection_is_whole() {
    assert_eq!(answered(b"HTTP/1.1 200 OK\r\n\r\npong").await.unwrap().1, "pong");
}

#[tokio::test]
async fn bytes_beyond_the_content_length_are_no_part_of_any_answer() {
    let server = Server::start(|number, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            let answer: &[u8] = if number == 0 {
                b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npongHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
            } else {
                b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood"
            };
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let egress = server.egress();
    assert_eq!(ask(&egress, &server.origin()).await.unwrap().1, "pong");
    assert_eq!(ask(&egress, &server.origin()).await.unwrap().1, "good");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let server = Server::start(|_, mut stream| async move {
        read_request(&mut stream).await;
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while sent.is_ok() {
            sent =
                stream.write_all(b"x-more: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await;
        }
    })
    .await;
    let error = ask(&server.egress(), &server.origin()).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_listening_is_a_connect_error_with_advice() {
    let server = Server::start(|_, _| async {}).await;
    let egress = server.egress();
    let free = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        crate::server::origin(&format!("http://{}", listener.local_addr().unwrap()))
    };
    let mut policy = egress::Policy::default();
    policy.allow(free.clone(), egress::Reach::Named);
    let egress = egress.allowing(&policy);
    let error = ask(&egress, &free).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
    assert_eq!(error.certainty(), Certainty::NothingSent);
    assert!(error.to_string().contains("is it up"), "{error}");
}
