//! The crate's tests from outside, in one binary.

mod bytes_cost;
mod bytes_head;
mod bytes_recordings;
mod bytes_splice;
mod bytes_sse;
mod bytes_tap;
