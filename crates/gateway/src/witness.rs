//! Who is told of what spend records cannot say: they tell of attempts, not of
//! how a request ended, where it went instead, or what became of a deployment.
//! Told only where something went wrong, so that nothing here costs an
//! ordinary request anything.

use crate::call::Call;
use crate::deployment::Deployment;
use crate::error::Failure;
use dialect::ErrorClass;
use http::StatusCode;

/// Hears of it, on the request's own task: it must not wait.
pub trait Witness: Send + Sync {
    /// A request ended without an answer.
    fn ended(&self, ended: &Ended<'_>);
    /// A deployment was sent into cooldown, for this status of its own.
    fn cooled(&self, deployment: &Deployment, status: Option<StatusCode>);
    /// A group that was fallen back to answered, or failed too.
    fn fell_back(&self, fell_back: &FellBack<'_>);
}

/// A request that ended without an answer.
pub struct Ended<'a> {
    /// The path template.
    pub route: &'static str,
    /// What the client is told.
    pub failure: &'a Failure,
    /// The call, where it got as far as an attempt.
    pub call: Option<&'a Call>,
}

/// What came of a fallback.
pub struct FellBack<'a> {
    /// Whose call it is.
    pub call: &'a Call,
    /// The group that was fallen back to.
    pub group: &'a str,
    /// Who answered, where somebody did.
    pub answered_by: Option<&'a Deployment>,
    /// Why the group before it failed.
    pub from: From,
}

/// Why a group was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct From {
    /// The kind of failure.
    pub class: ErrorClass,
    /// The status that belongs to it.
    pub status: StatusCode,
}
