//! A scripted upstream and golden-file helpers for tests.
//!
//! [`Upstream`] is a small HTTP/1.1 server on a free loopback port that writes
//! the bytes it is told to, right or wrong: it stalls, resets, truncates, lies
//! about lengths and sends garbage. It parses requests itself, because a real
//! HTTP library would refuse to misbehave. [`golden`] walks `testdata` folders.
//!
//! Only ever a dev-dependency. It never opens an outbound connection, knows no
//! crate of the product but `base`, and decides nothing about dialects beyond
//! the canned answers in [`canned`] and [`provider`].
#![expect(clippy::expect_used, reason = "a test tool fails loudly at the line that is wrong")]
#![expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null, it never panics")]

pub mod canned;
pub mod chaos;
pub mod gemini;
pub mod golden;
pub mod provider;
pub mod random;
pub mod replay;
mod request;
mod script;
mod upstream;

pub use request::Request;
pub use script::{Gate, Script, Step, split_at};
pub use upstream::{Outcome, Upstream};
