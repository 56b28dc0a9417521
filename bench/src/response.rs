//! Reading one HTTP/1.1 response to its end, cheaply.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What is remembered of a response.
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Ends of server-sent events (blank lines) in the body.
    pub(crate) events: usize,
}

/// Where `needle` begins in `haystack`.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The value of a header in a head, whatever the case of its name.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(head).ok()?;
    let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads a whole response; calls `first` when the first byte of the body is here.
pub(crate) async fn read(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    first: impl FnOnce(),
) -> io::Result<Response> {
    buffer.clear();
    let head_len = loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(broken("closed before a head"));
        }
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = buffer.get(..head_len).unwrap_or_default();
    let status = head.get(9..12).and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
    let status = status.ok_or_else(|| broken("no status line"))?;
    let length: Option<usize> = header(head, "content-length").and_then(|v| v.parse().ok());
    let chunked = header(head, "transfer-encoding").is_some();
    if length.is_none() && !chunked {
        return Err(broken("a body without a length"));
    }
    let mut first = Some(first);
    loop {
        let body = buffer.get(head_len..).unwrap_or_default();
        if let Some(first) = first.take_if(|_| !body.is_empty()) {
            first();
        }
        let done = match length {
            Some(length) => body.len() >= length,
            None => body.ends_with(b"\r\n0\r\n\r\n") || body == b"0\r\n\r\n",
        };
        if done {
            let ends = body.windows(2).filter(|w| w == b"\n\n").count();
            return Ok(Response { status, events: ends });
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(broken("cut inside a body"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_whatever_its_case() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\n\r\n";
        assert_eq!(header(head, "content-length"), Some("12"));
        assert_eq!(header(head, "absent"), None);
    }
}
