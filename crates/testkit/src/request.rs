//! Reading one HTTP/1.1 request off a socket, as bytes.
//!
//! Lenient on purpose: it records what came, it does not judge it. Bodies by
//! `content-length` or chunked; the chunk framing is removed.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const HEAD_MAX_BYTES: usize = 1 << 20;
const BODY_MAX_BYTES: usize = 256 << 20;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method, as spelled.
    pub method: String,
    /// The request target, query included.
    pub path: String,
    /// Header names (as spelled on the wire) and values, in order.
    pub headers: Vec<(String, String)>,
    /// The whole body, without transfer framing.
    pub body: Bytes,
    /// Which connection it came on, counted from 0 at the listener.
    pub connection: u64,
}

impl Request {
    /// The first header called `name`, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The target without its query.
    pub fn route(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"))
    }
}

/// Reads one request; `Ok(None)` when the peer closed between requests.
pub(crate) async fn read(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    connection: u64,
) -> io::Result<Option<Request>> {
    let head_len = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if buffer.len() > HEAD_MAX_BYTES {
            return Err(invalid("request head over 1 MiB"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(invalid("cut inside a head")) };
        }
    };
    let head = buffer.split_to(head_len);
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let mut request = Request {
        method: first.next().unwrap_or_default().to_owned(),
        path: first.next().unwrap_or_default().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect(),
        body: Bytes::new(),
        connection,
    };
    if request.header("expect").is_some_and(|v| v.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let chunked =
        request.header("transfer-encoding").is_some_and(|v| v.to_lowercase().contains("chunked"));
    request.body = if chunked {
        read_chunked(stream, buffer).await?
    } else {
        let len = request.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        take(stream, buffer, len).await?
    };
    Ok(Some(request))
}

async fn read_chunked(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let line = take_line(stream, buffer).await?;
        let size = std::str::from_utf8(&line).ok().and_then(|l| l.split(';').next());
        let size = size.and_then(|l| usize::from_str_radix(l.trim(), 16).ok());
        let size = size.ok_or_else(|| invalid("unreadable chunk size"))?;
        if size == 0 {
            while !take_line(stream, buffer).await?.is_empty() {}
            return Ok(body.freeze());
        }
        if body.len() + size > BODY_MAX_BYTES {
            return Err(invalid("request body over 256 MiB"));
        }
        body.extend_from_slice(&take(stream, buffer, size).await?);
        take_line(stream, buffer).await?;
    }
}

async fn take_line(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    loop {
        if let Some(at) = find(buffer, b"\r\n") {
            let line = buffer.split_to(at).freeze();
            bytes::Buf::advance(buffer, 2);
            return Ok(line);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(invalid("cut inside a chunked body"));
        }
    }
}

async fn take(stream: &mut TcpStream, buffer: &mut BytesMut, len: usize) -> io::Result<Bytes> {
    if len > BODY_MAX_BYTES {
        return Err(invalid("request body over 256 MiB"));
    }
    while buffer.len() < len {
        if stream.read_buf(buffer).await? == 0 {
            return Err(invalid("cut inside a body"));
        }
    }
    Ok(buffer.split_to(len).freeze())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
