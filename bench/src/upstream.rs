//! The scripted upstream: fixed answers, as fast as a loop can write them.
//!
//! A path with `/messages` gets Anthropic's answer, every other OpenAI's; a
//! body with `"stream":true` gets the stream, one write a chunk. It reads no
//! more of a request than it needs to find its end.

use std::io;
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::answers::{Answers, anthropic, openai};
use crate::response::{find, header};

/// How the upstream behaves.
#[derive(clap::Args)]
pub(crate) struct Settings {
    /// Where to listen on loopback; 0 takes a free port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Milliseconds between the chunks of a stream.
    #[arg(long, default_value_t = 5)]
    gap_ms: u64,
}

struct Served {
    openai: Answers,
    anthropic: Answers,
    gap: Duration,
}

/// Serves until killed.
pub(crate) async fn serve(settings: Settings) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", settings.port)).await?;
    let mut out = io::stdout();
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    out.flush()?;
    let gap = Duration::from_millis(settings.gap_ms);
    let served = Rc::new(Served { openai: openai(), anthropic: anthropic(), gap });
    LocalSet::new()
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                let served = Rc::clone(&served);
                tokio::task::spawn_local(async move {
                    // A connection that breaks is the other side's affair.
                    converse(stream, &served).await.ok();
                });
            }
        })
        .await
}

async fn converse(mut stream: TcpStream, served: &Served) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        let head_len = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = buffer.get(..head_len).unwrap_or_default();
        let body_len: usize =
            header(head, "content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        let chunked = header(head, "transfer-encoding").is_some();
        let line_end = find(head, b"\r\n").unwrap_or(head_len);
        let is_messages = head.get(..line_end).is_some_and(|l| find(l, b"/messages").is_some());
        let complete = |buffer: &[u8]| {
            let body = buffer.get(head_len..).unwrap_or_default();
            if chunked { body.ends_with(b"0\r\n\r\n") } else { body.len() >= body_len }
        };
        while !complete(&buffer) {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body = buffer.get(head_len..).unwrap_or_default();
        let streams =
            [&b"\"stream\":true"[..], b"\"stream\": true"].iter().any(|t| find(body, t).is_some());
        let answers = if is_messages { &served.anthropic } else { &served.openai };
        buffer.clear();
        if !streams {
            stream.write_all(&answers.unary).await?;
            continue;
        }
        for chunk in &answers.stream {
            stream.write_all(chunk).await?;
            tokio::time::sleep(served.gap).await;
        }
    }
}
