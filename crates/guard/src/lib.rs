//! Supply-chain defence: what is installed or locked, what is known against
//! it, and what to do first.
//!
//! Files go in, findings come out. Nothing is fetched, nothing is executed, no
//! package manager is asked; what cannot be judged that way is a gap, and a
//! gap is never "clean". Knows nothing of the gateway.

pub mod advisories;
pub mod archive;
pub mod audit;
mod copies;
pub mod files;
pub mod finding;
pub mod fix;
pub mod graph;
pub mod host;
mod installed;
pub mod inventory;
pub mod judge;
mod machine;
pub mod manifest;
mod packed;
pub mod pin;
pub mod policy;
pub mod private;
mod project;
pub mod recorded;
pub mod release;
pub mod render;
mod report;
pub mod rule;
pub mod secrets;
mod tree;

pub use ::advisory;
pub use advisory::time::unix_ms;
pub use advisory::{Advisories, name, python, time, version};
pub use audit::{Ask, Report, audit, audit_telling, audit_with};
pub use finding::Outcome;
pub use installed::Cache;
