//! The facts of a finished attempt, as the metrics want them.
//!
//! Made from the spend record off the request path. Texts are shared, so that
//! an observation costs no copy of a name.

use base::NanoUsd;
use std::sync::Arc;

/// A shared text.
pub type Text = Arc<str>;

/// One attempt that ended, or one request that ended without an attempt.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The virtual key's hash, in hexadecimal.
    pub key_hash: Option<Text>,
    /// The virtual key's alias.
    pub key_alias: Option<Text>,
    /// The team's id.
    pub team: Option<Text>,
    /// The team's alias.
    pub team_alias: Option<Text>,
    /// The user's id.
    pub user: Option<Text>,
    /// The user's e-mail address.
    pub user_email: Option<Text>,
    /// The client's own user. Give `None` unless the operator wants it: its
    /// values are the clients' to choose.
    pub end_user: Option<Text>,
    /// The model group that was asked for; only once it is known to exist.
    pub requested_model: Option<Text>,
    /// The surface's path: `/chat/completions`.
    pub route: Option<Text>,
    /// The status that the client got.
    pub status: u16,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// Whether this ended the request: no other attempt follows.
    pub ends_request: bool,
    /// From the request's first byte in to the answer's last byte out, µs.
    pub total_us: u64,
    /// Why it failed; `None` where it succeeded.
    pub failure: Option<Failure>,
    /// The upstream's part; `None` where the request did not get that far.
    pub attempt: Option<Attempt>,
}

impl Observation {
    /// Whether the other would be counted under the same labels everywhere.
    pub(crate) fn has_labels_of(&self, other: &Self) -> bool {
        let attempts = match (&self.attempt, &other.attempt) {
            (Some(a), Some(b)) => a.has_labels_of(b),
            (None, None) => true,
            _ => false,
        };
        attempts
            && self.key_hash == other.key_hash
            && self.key_alias == other.key_alias
            && self.team == other.team
            && self.team_alias == other.team_alias
            && self.user == other.user
            && self.user_email == other.user_email
            && self.end_user == other.end_user
            && self.requested_model == other.requested_model
            && self.route == other.route
            && self.status == other.status
            && self.stream == other.stream
            && self.ends_request == other.ends_request
            && self.failure == other.failure
    }
}

impl Attempt {
    fn has_labels_of(&self, other: &Self) -> bool {
        self.model_group == other.model_group
            && self.model == other.model
            && self.deployment == other.deployment
            && self.provider == other.provider
            && self.api_base == other.api_base
            && self.service_tier == other.service_tier
    }
}

/// What went wrong, in LiteLLM's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `RateLimitError`, `Timeout`, …
    pub class: Text,
    /// The status that belongs to it.
    pub status: u16,
}

/// One call to one deployment.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// The group that the deployment was chosen from.
    pub model_group: Text,
    /// The model's name upstream.
    pub model: Text,
    /// The deployment's id.
    pub deployment: Text,
    /// The provider's id.
    pub provider: Text,
    /// The base URL.
    pub api_base: Text,
    /// `priority`, `flex`, …, where the answer says.
    pub service_tier: Option<Text>,
    /// Tokens in, cached ones included.
    pub input_tokens: u64,
    /// Tokens out, reasoning included.
    pub output_tokens: u64,
    /// What the attempt is charged.
    pub cost: NanoUsd,
    /// From sending to the last byte of the upstream's answer, µs.
    pub upstream_us: u64,
    /// From sending to the first semantic byte, µs.
    pub first_byte_us: Option<u64>,
    /// What we added to it, µs.
    pub overhead_us: u64,
}

/// How a deployment fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentState {
    /// Its last attempt succeeded.
    Healthy,
    /// Its last attempt failed.
    Partial,
    /// It is cooling down.
    Outage,
}

/// What a key has left.
#[derive(Clone, Debug)]
pub struct KeyBudget {
    /// The key's hash, in hexadecimal.
    pub hash: Text,
    /// Its alias.
    pub alias: Option<Text>,
    /// What is left; less than nothing where it was overspent.
    pub left: NanoUsd,
    /// The budget.
    pub max: NanoUsd,
    /// Until it begins anew, where it does.
    pub resets_in_ms: Option<u64>,
}
