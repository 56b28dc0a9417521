//! The request pipeline from outside, with real sockets behind it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod bounds;
mod bytes_first;
mod canary;
mod chaos;
mod empty;
mod encodings;
mod endings;
mod gone;
mod harness;
mod hostile;
mod limits;
mod money;
mod proxy_budget;
mod retries;
mod secrets;
mod surfaces;
mod timeouts;
mod unfit;
mod unsettled;
mod witness;
mod words;
