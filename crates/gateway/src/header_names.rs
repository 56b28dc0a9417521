//! Names of headers that more than one stage reads or writes.

use http::HeaderName;

/// Milliseconds, where `retry-after` has seconds.
pub(crate) const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// `true` or `false`; the official clients read it before the status.
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// LiteLLM's id of a call; a client may choose it.
pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-litellm-call-id");
