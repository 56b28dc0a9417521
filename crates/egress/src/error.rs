//! Why a request failed, by what the caller can do about it.

use crate::vet::BadAddr;
use base::Origin;
use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// Whether the upstream may have seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Not a byte of it left, or the upstream says that it was not processed:
    /// sending it again is safe.
    NothingSent,
    /// It may have been processed, and billed.
    MaybeSent,
}

/// What was being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Name, connection and TLS handshake.
    Connect,
    /// The head of the response.
    Head,
    /// The next piece of the body.
    Body,
    /// The whole exchange.
    Total,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "took no connection",
            Self::Head => "did not begin to answer",
            Self::Body => "sent no more of its answer",
            Self::Total => "did not finish its answer",
        })
    }
}

/// Why the policy does not let a request out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No deployment names the origin.
    NotAllowed,
    /// The host's address is one that the origin may not have.
    Address(BadAddr),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str(
                "no deployment names this origin; to allow it, write it as a deployment's `api_base`",
            ),
            Self::Address(BadAddr { ip, kind }) => write!(
                f,
                "its host resolves to {ip}, {kind}; a local model server must be named by a \
                 deployment's `api_base`, and metadata services are never reached"
            ),
        }
    }
}

/// Why a request got no answer, or not all of it. Never holds header values,
/// bodies or paths.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The policy says no. Sending again is useless until the configuration
    /// (or the name's address) changes.
    #[error("{origin} may not be reached: {reason}")]
    Refused {
        /// Where it was to go.
        origin: Origin,
        /// Why not.
        reason: Refusal,
    },
    /// The host name has no address.
    #[error(
        "cannot resolve the host of {origin}: {source}; check its spelling and this machine's DNS"
    )]
    Resolve {
        /// Where it was to go.
        origin: Origin,
        /// The resolver's words.
        source: std::io::Error,
    },
    /// Nobody answers at any of the host's addresses.
    #[error("cannot connect to {origin}: {source}; is it up, and reachable from here?")]
    Connect {
        /// Where it was to go.
        origin: Origin,
        /// The last address's error.
        source: std::io::Error,
    },
    /// No trust, or no common version.
    #[error(
        "no TLS with {origin}: {source}; if a private authority signs its certificate, add that \
         authority to the TLS roots"
    )]
    Tls {
        /// Where it was to go.
        origin: Origin,
        /// The handshake's error.
        source: std::io::Error,
    },
    /// A limit of [`Limits`](crate::Limits) or
    /// [`Settings`](crate::Settings) ran out.
    #[error("{origin} {wait} within {after_ms} ms")]
    Timeout {
        /// Who is late.
        origin: Origin,
        /// With what.
        wait: Wait,
        /// The limit, in milliseconds.
        after_ms: u64,
        /// Whether it may have seen the request.
        certainty: Certainty,
    },
    /// The connection broke: reset, closed early, stream refused.
    #[error("{origin} broke the connection: {}", Chain(source))]
    Broken {
        /// Who broke it.
        origin: Origin,
        /// Whether it may have seen the request.
        certainty: Certainty,
        /// What was seen of it.
        source: hyper::Error,
    },
    /// What came back is not HTTP.
    #[error("{origin} does not speak HTTP as it should: {}", Chain(source))]
    Protocol {
        /// Who speaks so.
        origin: Origin,
        /// Whether it may have acted on the request.
        certainty: Certainty,
        /// What was wrong.
        source: hyper::Error,
    },
    /// The request cannot be put on a wire: its path is not one.
    #[error(
        "the request for {origin} cannot be sent: its path does not begin with `/` or holds characters that no path has"
    )]
    Unsendable {
        /// Where it was to go.
        origin: Origin,
    },
    /// A file of root certificates is no such thing.
    #[error("cannot take TLS root certificates from {}: {what}; give a PEM file", file.display())]
    RootFile {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No root certificates at all: no server could be believed.
    #[error(
        "no TLS root certificates were found in {0}; set the TLS roots to `webpki` or to files"
    )]
    NoRoots(&'static str),
    /// The TLS library refuses its own settings.
    #[error("the TLS library does not start: {0}")]
    TlsLibrary(rustls::Error),
}

impl Error {
    /// Whether the upstream may have seen the request.
    pub fn certainty(&self) -> Certainty {
        match self {
            Self::Timeout { certainty, .. }
            | Self::Broken { certainty, .. }
            | Self::Protocol { certainty, .. } => *certainty,
            _ => Certainty::NothingSent,
        }
    }

    /// Sorts what hyper says.
    pub(crate) fn from_hyper(origin: &Origin, source: hyper::Error, sent: Certainty) -> Self {
        let origin = origin.clone();
        let (broken, certainty) = sort(&source, sent);
        if broken {
            Self::Broken { origin, certainty, source }
        } else {
            Self::Protocol { origin, certainty, source }
        }
    }
}

/// Whether it is the connection that failed (rather than what was said on it),
/// and what that tells about the request.
fn sort(error: &hyper::Error, sent: Certainty) -> (bool, Certainty) {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return (true, sent);
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(h2) = inner.downcast_ref::<h2::Error>() {
            // RFC 9113, 8.7: neither of these streams was processed.
            let untouched = h2.is_remote()
                && (h2.is_reset() && h2.reason() == Some(h2::Reason::REFUSED_STREAM)
                    || h2.is_go_away() && h2.reason() == Some(h2::Reason::NO_ERROR));
            let certainty = if untouched { Certainty::NothingSent } else { sent };
            return (h2.is_io() || h2.is_remote(), certainty);
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{InvalidData, InvalidInput};
            return (!matches!(io.kind(), InvalidData | InvalidInput), sent);
        }
        cause = inner.source();
    }
    (false, sent)
}

/// An error with its causes: hyper's own words leave them out.
struct Chain<'a>(&'a hyper::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        while let Some(inner) = cause {
            write!(f, ": {inner}")?;
            cause = inner.source();
        }
        Ok(())
    }
}
