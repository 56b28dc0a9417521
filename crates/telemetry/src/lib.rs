//! Logs and metrics.
//!
//! [`logs`] writes to standard error from a thread of its own, with secrets
//! replaced by value before a byte leaves. [`metrics`] counts finished requests under LiteLLM's names and
//! renders them for Prometheus. Neither does anything on the request path:
//! metrics are fed with [`Observation`]s by whoever drains finished requests.

pub mod exposition;
mod families;
mod lines;
pub mod logs;
pub mod metrics;
pub mod observation;
mod repeats;

pub use logs::{Format, Log};
pub use metrics::{Gauges, Metrics};
pub use observation::{Attempt, DeploymentState, Failure, KeyBudget, Observation, Text};
