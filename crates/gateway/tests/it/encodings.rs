//! Compressed bodies, of clients and of providers.

use crate::harness::{Bench, MASTER, config, deployment};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::Write as _;
use testkit::canned::{self, Reply};
use testkit::{Script, Upstream};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hi"}]}"#;
const MESSAGE: &str = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;

async fn openai(sections: &str) -> (Upstream, Bench) {
    let upstream = Upstream::start().await;
    let one = deployment("m", "openai/gpt-4o", &upstream.url());
    let bench = Bench::new(&config(&[one], sections)).await;
    (upstream, bench)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_request_goes_up_uncompressed() {
    let (upstream, bench) = openai("").await;
    for (coding, body) in [("gzip", gzip(CHAT.as_bytes())), ("deflate", deflate(CHAT.as_bytes()))] {
        upstream.script(canned::openai_chat("fine"));
        let answer = bench.chat(body).header("content-encoding", coding).answer().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let received = upstream.received();
        let last = received.last().unwrap();
        assert_eq!(last.header("content-encoding"), None);
        assert_eq!(last.json()["messages"][0]["content"], "Hi");
    }
}

#[tokio::test]
async fn an_encoding_that_is_not_decoded_is_refused_by_name() {
    let (upstream, bench) = openai("").await;
    for coding in ["zstd", "br", "gzip, gzip"] {
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let call = bench.post(path, MASTER, "anything").header("content-encoding", coding);
            let answer = call.answer().await;
            assert_eq!(answer.status, 415);
            let message = answer.message();
            assert!(message.contains("content-encoding") && message.contains(coding), "{message}");
            assert_eq!(answer.header("accept-encoding"), Some("gzip, deflate"));
        }
    }
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn a_compressed_request_is_bounded_by_what_it_holds() {
    let (_, bench) = openai("keymoat: {listen: {body_max_bytes: 65536}}\n").await;
    let bomb = gzip(&vec![b' '; 1 << 20]);
    assert!(bomb.len() < 4096);
    let answer = bench.chat(bomb).header("content-encoding", "gzip").answer().await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    let answer = bench.chat(CHAT).header("content-encoding", "gzip").answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("content-encoding"), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_that_is_compressed_unasked_is_decoded() {
    let (upstream, bench) = openai("").await;
    let whole = canned::openai_chat_body(&Reply::text("gpt-canned", &["fine"]));
    let events = canned::openai_chat_events(&Reply::text("gpt-canned", &["fi", "ne"])).concat();
    for (coding, encode) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("deflate", deflate)] {
        let head = |kind| [("content-type", kind), ("content-encoding", coding)];
        for (path, body) in [("/v1/chat/completions", CHAT), ("/v1/messages", MESSAGE)] {
            let json = head("application/json");
            upstream.script(Script::on("").answer(200, &json, encode(whole.as_bytes())));
            let answer = bench.post(path, MASTER, body).answer().await;
            assert_eq!(answer.status, 200, "{path} {coding}: {}", answer.text());
            assert!(answer.text().contains("fine"));
            assert_eq!(answer.header("content-encoding"), None);
            let sse = head("text/event-stream");
            upstream.script(Script::on("").answer(200, &sse, encode(events.as_bytes())));
            let streamed = body.replacen('{', "{\"stream\":true,", 1);
            let answer = bench.post(path, MASTER, streamed).answer().await;
            assert!(answer.text().contains("fi") && answer.text().contains("ne"));
            let end = if path.ends_with("messages") { "message_stop" } else { "[DONE]" };
            assert!(answer.text().contains(end), "{path} {coding}: {}", answer.text());
        }
    }
    // An error's words are read too.
    let error =
        gzip(canned::openai_error_body("invalid_request_error", None, "no such").as_bytes());
    let head = [("content-type", "application/json"), ("content-encoding", "gzip")];
    upstream.script(Script::on("").answer(400, &head, error));
    let answer = bench.chat(CHAT).answer().await;
    assert_eq!(answer.status, 400);
    assert!(answer.message().contains("no such"), "{}", answer.text());
}

#[tokio::test]
async fn an_answer_that_cannot_be_decoded_says_so_and_is_not_asked_for_again() {
    let (upstream, bench) = openai("router_settings: {num_retries: 2, retry_after: 0}\n").await;
    let head = [("content-type", "application/json"), ("content-encoding", "br")];
    upstream.script(Script::on("").answer(200, &head, "anything").always());
    for body in [CHAT.to_owned(), CHAT.replacen('{', "{\"stream\":true,", 1)] {
        let before = upstream.received().len();
        let answer = bench.chat(body).answer().await;
        assert_eq!(answer.status, 502);
        assert!(answer.message().contains("content encoding `br`"), "{}", answer.text());
        assert_eq!(upstream.received().len() - before, 1, "one attempt");
    }
}
