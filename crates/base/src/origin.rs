//! Where a credential may go: scheme, host and port.
//!
//! Deliberately narrow. Only `http` and `https`; no userinfo, no path, no
//! fragment; the host in lower case without a trailing dot. Two texts that
//! mean the same host are the same [`Origin`], so that comparing is safe.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Plain text; for loopback and private networks.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As written before `://`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Scheme, host and port (RFC 6454), canonical.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: Arc<str>,
    port: u16,
}

/// Why a text is not a base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Neither `http://` nor `https://`.
    #[error("a base URL begins with http:// or https://")]
    Scheme,
    /// `user:password@` before the host.
    #[error("a base URL must not hold a user name or password")]
    UserInfo,
    /// Empty, or with characters that no host name has.
    #[error("not a host name")]
    Host,
    /// Not 1 to 65535.
    #[error("not a port")]
    Port,
    /// `?…` or `#…` after the path.
    #[error("a base URL must not hold a query or fragment")]
    Query,
}

impl Origin {
    /// Splits a base URL into its origin and its path without trailing slash.
    pub fn parse_base(url: &str) -> Result<(Self, String), OriginError> {
        let lower = url.get(..8).map(str::to_ascii_lowercase).unwrap_or_default();
        let (scheme, rest) = if lower == "https://" {
            (Scheme::Https, url.get(8..))
        } else if url.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("http://")) {
            (Scheme::Http, url.get(7..))
        } else {
            return Err(OriginError::Scheme);
        };
        let rest = rest.ok_or(OriginError::Host)?;
        if rest.contains(['?', '#']) {
            return Err(OriginError::Query);
        }
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(OriginError::UserInfo);
        }
        if path.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'\\') {
            return Err(OriginError::Host);
        }
        let (host, port) = split_port(authority)?;
        let port = match port {
            Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or(OriginError::Port)?,
            None => scheme.default_port(),
        };
        Ok((Self { scheme, host: canonical_host(host)?, port }, path.trim_end_matches('/').into()))
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Lower case; IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host`, or `host:port` where the port is not the scheme's own; IPv6 in
    /// brackets: what a `Host` header says.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.to_string()
        };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), OriginError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or(OriginError::Host)?;
        host.parse::<Ipv6Addr>().map_err(|_| OriginError::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(OriginError::Host),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(OriginError::Host),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn canonical_host(host: &str) -> Result<Arc<str>, OriginError> {
    if let Ok(v6) = host.parse::<Ipv6Addr>() {
        return Ok(v6.to_string().into());
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let fits = !host.is_empty()
        && host.len() <= 253
        && host.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !fits {
        return Err(OriginError::Host);
    }
    // A last label of digits is an IPv4 address or a trick (`0x7f.1`, `2130706433`).
    let last = host.rsplit('.').next().unwrap_or(host);
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err(OriginError::Host);
    }
    Ok(host.to_ascii_lowercase().into())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Origin, OriginError};

    fn parse(url: &str) -> (String, String) {
        let (origin, path) = Origin::parse_base(url).unwrap();
        (origin.to_string(), path)
    }

    #[test]
    fn one_host_has_one_spelling() {
        for url in ["https://API.openai.com/v1/", "HTTPS://api.openai.com.:443/v1"] {
            assert_eq!(parse(url), ("https://api.openai.com".into(), "/v1".into()), "{url}");
        }
        assert_eq!(parse("http://[::1]:8080"), ("http://[::1]:8080".into(), String::new()));
        assert_eq!(parse("http://[0:0::1]").0, "http://[::1]");
    }

    #[test]
    fn tricks_are_refused() {
        for (url, error) in [
            ("ftp://a", OriginError::Scheme),
            ("//a", OriginError::Scheme),
            ("https://good.com@evil.com/", OriginError::UserInfo),
            ("https://evil.com\\@good.com/", OriginError::UserInfo),
            ("https://evil.com\\.good.com/", OriginError::Host),
            ("https://2130706433/", OriginError::Host),
            ("https://0x7f.1/", OriginError::Host),
            ("https://127.1/", OriginError::Host),
            ("https:///v1", OriginError::Host),
            ("https://a..b", OriginError::Host),
            ("https://a:0", OriginError::Port),
            ("https://a:99999", OriginError::Port),
            ("https://a/v1?x=1", OriginError::Query),
            ("https://a/v1\r\nHost: b", OriginError::Host),
        ] {
            assert_eq!(Origin::parse_base(url), Err(error), "{url}");
        }
    }
}
