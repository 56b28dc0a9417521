//! Addresses, clock, money, ids, origins, secrets and the set of values to redact.
//!
//! The words that every other crate shares. Nothing here does I/O but
//! [`SystemClock`] and [`id::random`], which ask the kernel for time and
//! randomness.

pub mod address;
pub mod clock;
pub mod decimal;
pub mod id;
pub mod money;
pub mod origin;
pub mod redact;
pub mod secret;

pub use clock::{Clock, SystemClock};
pub use decimal::Decimal;
pub use id::{CallId, KeyHash};
pub use money::NanoUsd;
pub use origin::{Origin, Scheme};
pub use redact::Redactor;
pub use secret::Secret;
