//! Accepts connections and hands requests to a [`Service`]: TLS, HTTP/1.1 and
//! HTTP/2, limits on time, memory and number, and a graceful end.
//!
//! Written here and not taken from a framework, because these limits keep one
//! client from taking the others' places: connections, in all and from one address;
//! time for the first bytes, for a request's head, for bytes that are not taken; the
//! size of a head; the streams of an HTTP/2 connection. What a request means is the
//! service's business.

mod accept;
mod addresses;
mod connection;
mod discard;
mod intake;
mod service;
mod signal;
mod streams;
mod timeouts;
pub mod tls;

pub use accept::{Limits, run};
pub use discard::RequestBody;
pub use service::{Peer, Service};
