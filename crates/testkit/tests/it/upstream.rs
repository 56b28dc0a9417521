//! What the upstream promises, seen by a client that reads raw bytes.
#![expect(clippy::disallowed_methods, reason = "the client side of these tests is a plain socket")]

use testkit::{Gate, Outcome, Script, Upstream, canned, provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connect(upstream: &Upstream) -> TcpStream {
    TcpStream::connect(upstream.address()).await.unwrap()
}

async fn ask(stream: &mut TcpStream, path: &str, body: &str) {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
}

async fn read_exactly(stream: &mut TcpStream, expected: &str) {
    let mut got = vec![0; expected.len()];
    stream.read_exact(&mut got).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), expected);
}

#[tokio::test]
async fn sends_the_very_bytes_and_keeps_the_connection_for_the_next_request() {
    let upstream = Upstream::start().await;
    upstream
        .script(
            Script::on("/a")
                .send_split(&b"HTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\nok"[..], &[3, 30]),
        )
        .script(Script::on("/b").json(429, "{}"));
    let mut stream = connect(&upstream).await;
    ask(&mut stream, "/v1/a?x=1", "one").await;
    read_exactly(&mut stream, "HTTP/1.1 200 Fine\r\ncontent-length: 2\r\n\r\nok").await;
    ask(&mut stream, "/v1/b", "{\"n\":2}").await;
    read_exactly(&mut stream, "HTTP/1.1 429 Too Many Requests\r\n").await;
    let received = upstream.received();
    assert_eq!(received.len(), 2);
    assert_eq!((received[0].path.as_str(), &received[0].body[..]), ("/v1/a?x=1", &b"one"[..]));
    assert_eq!(received[0].header("HOST"), Some("x"));
    assert_eq!(received[1].json()["n"], 2);
    assert_eq!(upstream.connections_accepted(), 1);
}

#[tokio::test]
async fn request_bodies_in_chunks_arrive_joined() {
    let upstream = Upstream::start().await;
    upstream.script(Script::on("/c").when_body_has("hello world").json(200, "{}"));
    let mut stream = connect(&upstream).await;
    let sent = "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    stream.write_all(sent.as_bytes()).await.unwrap();
    read_exactly(&mut stream, "HTTP/1.1 200 OK\r\n").await;
    assert_eq!(&upstream.received()[0].body[..], b"hello world");
}

#[tokio::test]
async fn a_script_is_used_once_and_what_matches_nothing_is_counted() {
    let upstream = Upstream::start().await;
    upstream.script(canned::openai_chat("hi"));
    let mut stream = connect(&upstream).await;
    ask(&mut stream, "/v1/chat/completions", "{}").await;
    read_exactly(&mut stream, "HTTP/1.1 200 OK\r\n").await;
    let mut second = connect(&upstream).await;
    ask(&mut second, "/v1/chat/completions", "{}").await;
    read_exactly(&mut second, "HTTP/1.1 501 ").await;
    assert_eq!(upstream.unmatched(), 1);
}

#[tokio::test]
async fn a_stall_waits_for_its_gate_and_notices_a_client_that_leaves() {
    let upstream = Upstream::start().await;
    let (first, second) = (Gate::new(), Gate::new());
    upstream.script(
        Script::on("/s").sse_head().stall(&first).sse_events(["x"]).stall(&second).sse_end(),
    );
    let mut stream = connect(&upstream).await;
    ask(&mut stream, "/s", "").await;
    first.reached().await;
    assert_eq!(upstream.outcomes(), [Outcome::Open]);
    first.open();
    second.reached().await;
    drop(stream);
    upstream.ended_at_least(1, Outcome::ClientGone).await;
    upstream.idle().await;
    assert_eq!(upstream.connections_open(), 0);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_truncation_is_an_end() {
    let upstream = Upstream::start().await;
    upstream
        .script(Script::on("/reset").reset())
        .script(Script::on("/cut").answer_claiming(200, &[], 100, "short").close());
    let mut stream = connect(&upstream).await;
    ask(&mut stream, "/reset", "").await;
    let reset = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    let mut stream = connect(&upstream).await;
    ask(&mut stream, "/cut", "").await;
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert!(all.contains("content-length: 100") && all.ends_with("\r\n\r\nshort"), "{all}");
    upstream.ended_at_least(2, Outcome::CutByScript).await;
}

#[tokio::test]
async fn the_pretend_provider_streams_when_asked_and_reports_usage_only_when_asked() {
    let upstream = Upstream::start_with(provider::answer).await;
    for (options, usage) in [("", false), (",\"stream_options\":{\"include_usage\":true}", true)] {
        let mut stream = connect(&upstream).await;
        let body = format!(
            "{{\"model\":\"m\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"hey\"}}]{options}}}"
        );
        ask(&mut stream, "/v1/chat/completions", &body).await;
        let mut all = Vec::new();
        while !all.ends_with(b"0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut all).await.unwrap(), 0, "ended early");
        }
        let all = String::from_utf8(all).unwrap();
        assert!(all.contains("You said: ") && all.contains("[DONE]"));
        assert_eq!(all.contains("\"prompt_tokens\":11"), usage, "{options}");
    }
}
