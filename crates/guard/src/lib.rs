//! Supply-chain defence: what is installed or locked, what is known against
//! it, and what to do first.
//!
//! Files go in, findings come out. Nothing is fetched, nothing is executed, no
//! package manager is asked; what cannot be judged that way is a gap, and a
//! gap is never "clean". Knows nothing of the gateway.

pub mod advisory;
pub mod finding;
pub mod inventory;
pub mod manifest;
pub mod name;
pub mod python;
mod time;
pub mod version;
