//! Heads of requests to the proxy: `CONNECT host:port`, or an absolute `http://` URL.
//!
//! Two readers of one head could be made to disagree, so anything that is not in
//! the plainest form is refused: bare line feeds, folded lines, white space before
//! a colon, an authority in another notation, two `Host` headers, a `Host` that is
//! not the target. Only the request line and the names of headers are kept.

use crate::host::{HostError, HostName};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Bytes of a head.
pub(crate) const HEAD_MAX: usize = 16 << 10;

/// Headers that are between the client and a proxy, and go no further.
const HOP: [&str; 6] =
    ["proxy-authorization", "proxy-connection", "connection", "keep-alive", "te", "upgrade"];

/// A client's request to the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A tunnel.
    Tunnel,
    /// One request in plain HTTP, with the head to send.
    Http(Vec<u8>),
}

/// A request's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) asked: Asked,
    pub(crate) host: HostName,
    pub(crate) port: u16,
    /// Name and token in `Proxy-Authorization` (RFC 7617).
    pub(crate) credentials: Option<(String, String)>,
}

/// A head that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadHead {
    /// Reason for the decision log.
    pub(crate) reason: &'static str,
    /// The target as it was written, shortened, if one can be made out.
    pub(crate) target: String,
}

/// Length of the head at the start of `bytes`, its blank line included.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Reads a whole head.
pub(crate) fn parse(head: &[u8]) -> Result<Head, BadHead> {
    let bad = |reason| BadHead { reason, target: String::new() };
    let text = std::str::from_utf8(head).map_err(|_| bad("malformed head"))?;
    let text = text.strip_suffix("\r\n\r\n").ok_or_else(|| bad("malformed head"))?;
    let is_odd = |byte: u8| byte < b' ' && byte != b'\t' || byte == 0x7f;
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("malformed request line"));
    };
    let bad = |reason| BadHead { reason, target: target.chars().take(300).collect() };
    if !line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(bad("malformed request line"));
    }
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(bad("unknown version"));
    }
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("malformed header"))?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_name) || value.bytes().any(is_odd) {
            return Err(bad("malformed header"));
        }
        headers.push((name, value.trim_matches([' ', '\t'])));
    }
    let is_tunnel = method == "CONNECT";
    let (authority, path) = if is_tunnel {
        (target, "")
    } else {
        let rest = target.strip_prefix("http://").ok_or_else(|| bad("not a request to a proxy"))?;
        rest.find(['/', '?']).map_or((rest, "/"), |at| rest.split_at(at))
    };
    let (host, port) = split(authority, (!is_tunnel).then_some(80)).map_err(bad)?;
    let mut named = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host"));
    if let Some((_, first)) = named.next() {
        let same = split(first, Some(if is_tunnel { port } else { 80 }));
        if named.next().is_some() || same != Ok((host.clone(), port)) {
            return Err(bad("host header differs from the target"));
        }
    }
    let asked = if is_tunnel {
        Asked::Tunnel
    } else {
        Asked::Http(onward(method, path, &host, port, &headers))
    };
    let mut given = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HOP[0]));
    let credentials = given.next().and_then(|(_, value)| basic(value));
    if given.next().is_some() {
        return Err(bad("two Proxy-Authorization headers"));
    }
    Ok(Head { asked, host, port, credentials })
}

fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(encoded.trim_start()).ok()?;
    let text = String::from_utf8(decoded).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    text.split_once(':').map(|(name, token)| (name.to_owned(), token.to_owned()))
}

fn split(authority: &str, default_port: Option<u16>) -> Result<(HostName, u16), &'static str> {
    if authority.contains('@') {
        return Err("user name in the target");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host = HostName::parse(host).map_err(|error| match error {
        HostError::Address => "IP address",
        HostError::Syntax => "malformed host",
    })?;
    let port = match port {
        Some(digits) => {
            let plain =
                digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse().ok().filter(|_| plain)
        }
        None => default_port,
    };
    Ok((host, port.ok_or("malformed port")?))
}

/// Head for the server: its own path, its own host, one request on the connection.
fn onward(
    method: &str,
    path: &str,
    host: &HostName,
    port: u16,
    headers: &[(&str, &str)],
) -> Vec<u8> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let authority = if port == 80 { host.to_string() } else { format!("{host}:{port}") };
    let mut head = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\n");
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if lower != "host" && !HOP.contains(&lower.as_str()) {
            for part in [name, ": ", value, "\r\n"] {
                head.push_str(part);
            }
        }
    }
    head.push_str("Connection: close\r\n\r\n");
    head.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::{Asked, length, parse};
    use proptest::prelude::*;

    fn reason(head: &str) -> &'static str {
        parse(head.as_bytes()).map_or_else(|bad| bad.reason, |_| "taken")
    }

    #[test]
    fn plain_heads_are_taken() {
        let head = parse(b"CONNECT Index.example:443 HTTP/1.1\r\nHost: index.example:443\r\nUser-Agent: x\r\n\r\n");
        let head = head.unwrap();
        assert_eq!(
            (head.asked, head.host.as_str(), head.port),
            (Asked::Tunnel, "index.example", 443)
        );
        let head = parse(b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: s\r\nAccept: *\r\n\r\n");
        let onward =
            b"GET /x?y HTTP/1.1\r\nHost: a.example\r\nAccept: *\r\nConnection: close\r\n\r\n";
        assert_eq!(head.unwrap().asked, Asked::Http(onward.to_vec()));
        assert_eq!(parse(b"GET http://a.example:8080 HTTP/1.1\r\n\r\n").unwrap().port, 8080);
        assert_eq!(length(b"a\r\n\r\nrest"), Some(5));
    }

    #[test]
    fn credentials_are_read_once() {
        let head = |more: &str| format!("CONNECT a.example:443 HTTP/1.1\r\n{more}\r\n");
        let one = "Proxy-Authorization: Basic c2hvcDp0OnU=\r\n";
        let credentials = parse(head(one).as_bytes()).unwrap().credentials;
        assert_eq!(credentials, Some(("shop".to_owned(), "t:u".to_owned())));
        assert_eq!(reason(&head(&one.repeat(2))), "two Proxy-Authorization headers");
        for odd in ["Bearer x", "Basic", "Basic !!", "Basic c2hvcA=="] {
            let head = head(&format!("Proxy-Authorization: {odd}\r\n"));
            assert_eq!(parse(head.as_bytes()).unwrap().credentials, None, "{odd}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for (head, wanted) in [
            ("CONNECT 1.2.3.4:443 HTTP/1.1\r\n\r\n", "IP address"),
            ("CONNECT [::1]:443 HTTP/1.1\r\n\r\n", "IP address"),
            ("CONNECT 0x7f.1:443 HTTP/1.1\r\n\r\n", "IP address"),
            ("CONNECT 2130706433:443 HTTP/1.1\r\n\r\n", "IP address"),
            ("CONNECT a.example HTTP/1.1\r\n\r\n", "malformed port"),
            ("CONNECT a.example: HTTP/1.1\r\n\r\n", "malformed port"),
            ("CONNECT a.example:0443 HTTP/1.1\r\n\r\n", "malformed port"),
            ("CONNECT a.example:+443 HTTP/1.1\r\n\r\n", "malformed port"),
            ("CONNECT a.example:65979 HTTP/1.1\r\n\r\n", "malformed port"),
            ("CONNECT a.example.:443 HTTP/1.1\r\n\r\n", "malformed host"),
            ("CONNECT a.example%2f:443 HTTP/1.1\r\n\r\n", "malformed host"),
            ("CONNECT a.example:443:443 HTTP/1.1\r\n\r\n", "IP address"),
            ("CONNECT u@a.example:443 HTTP/1.1\r\n\r\n", "user name in the target"),
            (
                "CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n",
                "host header differs from the target",
            ),
            (
                "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nHost: a.example:443\r\n\r\n",
                "host header differs from the target",
            ),
            (
                "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:444\r\n\r\n",
                "host header differs from the target",
            ),
            ("CONNECT  a.example:443 HTTP/1.1\r\n\r\n", "malformed request line"),
            ("CONNECT a.example:443\tHTTP/1.1\r\n\r\n", "malformed request line"),
            ("CONNECT a.example:443 HTTP/1.1 \r\n\r\n", "malformed request line"),
            ("CONNECT a.example:443 HTTP/2.0\r\n\r\n", "unknown version"),
            ("CONNECT a.example:443 http/1.1\r\n\r\n", "unknown version"),
            ("CONNECT a.example:443 HTTP/1.1\nHost: b\r\n\r\n", "malformed request line"),
            ("CONNECT a.example:443 HTTP/1.1\r\nX: a\nHost: b\r\n\r\n", "malformed header"),
            ("CONNECT a.example:443 HTTP/1.1\r\nX : a\r\n\r\n", "malformed header"),
            ("CONNECT a.example:443 HTTP/1.1\r\n folded: a\r\n\r\n", "malformed header"),
            ("CONNECT a.example:443 HTTP/1.1\r\nX\r\n\r\n", "malformed header"),
            ("CONNECT a.example:443 HTTP/1.1\r\nX: \0\r\n\r\n", "malformed header"),
            ("connect a.example:443 HTTP/1.1\r\n\r\n", "not a request to a proxy"),
            ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "not a request to a proxy"),
            ("GET https://a.example/ HTTP/1.1\r\n\r\n", "not a request to a proxy"),
            ("GET ftp://a.example/ HTTP/1.1\r\n\r\n", "not a request to a proxy"),
            ("GET HTTP://a.example/ HTTP/1.1\r\n\r\n", "not a request to a proxy"),
            ("GET http://a.example\\@b.example/ HTTP/1.1\r\n\r\n", "user name in the target"),
            ("GET http://a.example#@b.example/ HTTP/1.1\r\n\r\n", "user name in the target"),
            ("GET http://a.example#b/ HTTP/1.1\r\n\r\n", "malformed host"),
            ("GET http:///x HTTP/1.1\r\n\r\n", "malformed host"),
            (
                "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
                "host header differs from the target",
            ),
            ("GET http://169.254.169.254/latest HTTP/1.1\r\n\r\n", "IP address"),
            ("\r\n\r\n", "malformed request line"),
        ] {
            assert_eq!(reason(head), wanted, "{head:?}");
        }
    }

    proptest! {
        #[test]
        fn no_head_panics(bytes: Vec<u8>) {
            let head = [b"CONNECT ".as_slice(), &bytes, b"\r\n\r\n"].concat();
            drop(parse(&bytes));
            drop(parse(&head));
        }
    }
}
