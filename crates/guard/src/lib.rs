//! Supply-chain defence: what is installed or locked, what is known against
//! it, and what to do first.
//!
//! Files go in, findings come out. Nothing is fetched, nothing is executed, no
//! package manager is asked; what cannot be judged that way is a gap, and a
//! gap is never "clean". Knows nothing of the gateway.

pub mod advisory;
pub mod archive;
pub mod audit;
pub mod code;
mod copies;
pub mod finding;
pub mod fix;
pub mod graph;
pub mod host;
pub mod incident;
mod installed;
pub mod inventory;
pub mod judge;
pub mod manifest;
pub mod name;
mod packed;
pub mod pin;
pub mod policy;
mod private;
pub mod python;
pub mod recorded;
pub mod release;
pub mod render;
mod report;
pub mod secrets;
mod time;
mod tree;
pub mod version;

pub use advisory::Advisories;
pub use audit::{Ask, Report, audit, audit_telling, audit_with};
pub use finding::Outcome;
pub use installed::Cache;
pub use time::unix_ms;
