//! The only crate that opens outbound sockets: vetted DNS and connect, pinned origins, TLS, pool.
