//! Forward proxy for applications, and the launcher that leaves them no other way.
//!
//! The proxy ([`proxy`]) takes `CONNECT` and plain HTTP for hosts that a
//! [`Rule`] names, and refuses everything else before a name is resolved. Each
//! decision goes to a [`DecisionLog`]. The launcher ([`launch`]) runs a command in
//! a sandbox of crate `sandbox` with a proxy of its own.
//!
//! Nothing is decrypted: what is inside a tunnel to an allowed host is not seen.

mod alert;
mod decision;
mod head;
mod hello;
mod host;
pub mod launch;
mod log;
mod policy;
mod proxy;
mod read;
mod relay;
mod rule;

pub use alert::Sink;
pub use decision::{Decision, Kind, Verdict};
pub use host::{HostError, HostName};
pub use log::DecisionLog;
pub use policy::{Mode, Policy, PolicyError, Settings, token_hash};
pub use proxy::Proxy;
pub use read::{Entry, LogError, entries, hunt, learn};
pub use rule::{Rule, RuleError, Rules};
