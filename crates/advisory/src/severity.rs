//! How much something matters.

use serde::Serialize;

/// How much a finding matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; asks for nothing.
    Info,
    /// A habit that makes the next incident worse.
    Low,
    /// Should be fixed in the ordinary course of work.
    Medium,
    /// Should be fixed today.
    High,
    /// Stop, and act on it before anything else.
    Critical,
}
