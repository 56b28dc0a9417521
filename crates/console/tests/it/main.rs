//! The console on a real SQLite store, without a socket: requests go in by
//! [`console::Console::answer`], answers are compared with golden files.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod health;
mod house;
mod input;
mod keys;
mod models;
mod replaced;
mod routes;
mod spend;
