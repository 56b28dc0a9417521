//! What stays the same through all attempts of one call.

use crate::detach::Client;
use crate::principal::Principal;
use base::CallId;
use dialect::Surface;
use std::sync::Arc;
use std::time::Duration;

/// One call by one client.
pub struct Call {
    /// Its id, the client's own where it gave one.
    pub id: Arc<str>,
    /// Its id in records: always ours, since a record that repeats is charged
    /// once.
    pub record_call: CallId,
    /// Whether the client is still there.
    pub client: Arc<Client>,
    /// What the client speaks.
    pub surface: Surface,
    /// The path template, for records and metrics.
    pub route: &'static str,
    /// Whom it is made for.
    pub principal: Arc<Principal>,
    /// The model that the client named.
    pub requested_model: Arc<str>,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// When it came, in milliseconds since 1970.
    pub received_at_ms: i64,
    /// When it came, on the monotonic clock.
    pub received_at: Duration,
    /// How long the client took to send its body.
    pub body_wait: Duration,
    /// Who the caller says its end user is.
    pub end_user: Option<Arc<str>>,
    /// How the caller wants it labelled.
    pub tags: Vec<String>,
    /// The caller's session.
    pub session_id: Option<Arc<str>>,
    /// LiteLLM's name of the kind of call.
    pub call_type: Arc<str>,
    /// Where it came from.
    pub client_ip: Option<Arc<str>>,
}

/// The client's `x-litellm-call-id` where it is a modest token, else `ours`.
pub fn shown_id(given: Option<&str>, ours: CallId) -> Arc<str> {
    let fits = |text: &&str| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    match given.filter(fits) {
        Some(given) => given.into(),
        None => ours.to_string().into(),
    }
}
