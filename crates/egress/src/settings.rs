//! What the operator may set, and what one request may take.

use std::path::PathBuf;
use std::time::Duration;

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Mozilla's list, built in: the same on every machine.
    #[default]
    Webpki,
    /// The operating system's store.
    Native,
    /// Only these certificates, such as a corporate authority's: PEM, each with
    /// the file that it was read from.
    Pem(Vec<(PathBuf, Vec<u8>)>),
}

/// How connections are made and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whose certificates are believed.
    pub roots: Roots,
    /// For resolving, connecting and the TLS handshake together.
    pub connect_timeout_ms: u64,
    /// After this long unused a connection is closed. Should be below the
    /// providers' own, or they close first.
    pub pool_idle_timeout_ms: u64,
    /// Unused HTTP/1 connections kept for each origin.
    pub pool_max_idle_per_origin: usize,
    /// Whether HTTP/2 is offered (ALPN) to https origins.
    pub http2: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            roots: Roots::Webpki,
            connect_timeout_ms: 5_000,
            pool_idle_timeout_ms: 75_000,
            pool_max_idle_per_origin: 256,
            http2: true,
        }
    }
}

/// How long one request may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From having a connection to the head of the response.
    pub head_ms: u64,
    /// Between two pieces of the response's body.
    pub idle_ms: u64,
    /// From the call to the last byte of the body.
    pub total_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head_ms: 600_000, idle_ms: 600_000, total_ms: 6_000_000 }
    }
}

/// Beyond this the runtime's timer gives up; no request lives for a year.
const YEAR_MS: u64 = 365 * 86_400_000;

/// `ms` as a duration that can be added to now.
pub(crate) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms.min(YEAR_MS))
}
