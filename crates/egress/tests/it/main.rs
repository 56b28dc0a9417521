//! Egress against real sockets on loopback that send literal bytes.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its servers should fail where it stands"
)]

mod broken;
mod http2;
mod policy;
mod pool;
mod server;
mod timeouts;
mod tls;
