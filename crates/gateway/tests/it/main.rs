//! The request pipeline from outside, with real sockets behind it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod bounds;
mod bytes_first;
mod canary;
mod chaos;
mod empty;
mod encodings;
mod endings;
mod evidence;
mod evidence_anthropic;
mod gemini;
mod gone;
mod harness;
mod hostile;
mod left_out;
mod limits;
mod long_answers;
mod money;
mod proxy_budget;
mod refusals;
mod reload;
mod retries;
mod secrets;
mod spellings;
mod surfaces;
mod timeouts;
mod unfit;
mod unsettled;
mod witness;
mod words;
