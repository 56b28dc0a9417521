//! One decision of the proxy, as the log keeps it.

use serde::Serialize;

/// Way in which an application tried to reach a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A tunnel through the proxy.
    Connect,
    /// Plain HTTP through the proxy.
    Http,
    /// Past the proxy, which a sandbox does not allow.
    Direct,
}

/// Outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Connected.
    Allowed,
    /// Not allowed.
    Refused,
    /// Allowed, but the host could not be reached.
    Failed,
    /// The end of what was allowed, with its bytes.
    Closed,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Application; `None` where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Way of the attempt.
    pub kind: Kind,
    /// Outcome.
    pub verdict: Verdict,
    /// Host name, or address, as it was asked for.
    pub host: String,
    /// Port; 0 if the protocol has none.
    pub port: u16,
    /// Reason of a refusal or failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Rule that allowed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Protocol of an attempt past the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Name in the TLS ClientHello or in a DNS query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// True if the ClientHello had an encrypted one inside, or pretended to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ech: bool,
    /// Address that was connected to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Bytes from the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_up: Option<u64>,
    /// Bytes to the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_down: Option<u64>,
    /// Duration in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

impl Decision {
    /// Builds a decision without details.
    pub fn new(kind: Kind, verdict: Verdict, host: impl Into<String>, port: u16) -> Self {
        Self {
            app: None,
            kind,
            verdict,
            host: host.into(),
            port,
            reason: None,
            rule: None,
            protocol: None,
            name: None,
            ech: false,
            address: None,
            bytes_up: None,
            bytes_down: None,
            duration_ms: None,
        }
    }

    /// Adds a reason.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}
