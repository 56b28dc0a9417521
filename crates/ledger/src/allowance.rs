//! What may be spent: subject, unit, window, limit.

use crate::window::Window;
use base::KeyHash;
use std::fmt;
use std::sync::Arc;

/// Whom an allowance binds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A virtual key, by its hash.
    Key(KeyHash),
    /// An internal user's id.
    User(Arc<str>),
    /// A team's id.
    Team(Arc<str>),
    /// An organisation's id.
    Organization(Arc<str>),
    /// The customer that a client names in its request.
    EndUser(Arc<str>),
    /// A tag on a request.
    Tag(Arc<str>),
    /// A model group.
    Model(Arc<str>),
    /// A provider's name.
    Provider(Arc<str>),
    /// A deployment's id.
    Deployment(Arc<str>),
    /// A provider credential's id.
    Credential(Arc<str>),
    /// Everything that passes through this gateway.
    Proxy,
}

impl Subject {
    /// Name of its kind, as it is written down.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::User(_) => "user",
            Self::Team(_) => "team",
            Self::Organization(_) => "organization",
            Self::EndUser(_) => "end_user",
            Self::Tag(_) => "tag",
            Self::Model(_) => "model",
            Self::Provider(_) => "provider",
            Self::Deployment(_) => "deployment",
            Self::Credential(_) => "credential",
            Self::Proxy => "proxy",
        }
    }

    /// Its id within its kind, as it is written down.
    pub fn id(&self) -> &[u8] {
        match self {
            Self::Key(hash) => &hash.0,
            Self::User(id)
            | Self::Team(id)
            | Self::Organization(id)
            | Self::EndUser(id)
            | Self::Tag(id)
            | Self::Model(id)
            | Self::Provider(id)
            | Self::Deployment(id)
            | Self::Credential(id) => id.as_bytes(),
            Self::Proxy => &[],
        }
    }

    /// Reads the output of [`Subject::kind`] and [`Subject::id`]; `None` if it is
    /// something else.
    pub fn from_parts(kind: &str, id: &[u8]) -> Option<Self> {
        let text = || std::str::from_utf8(id).ok().map(Arc::from);
        match kind {
            "key" => Some(Self::Key(KeyHash(id.try_into().ok()?))),
            "user" => text().map(Self::User),
            "team" => text().map(Self::Team),
            "organization" => text().map(Self::Organization),
            "end_user" => text().map(Self::EndUser),
            "tag" => text().map(Self::Tag),
            "model" => text().map(Self::Model),
            "provider" => text().map(Self::Provider),
            "deployment" => text().map(Self::Deployment),
            "credential" => text().map(Self::Credential),
            "proxy" => id.is_empty().then_some(Self::Proxy),
            _ => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(hash) => write!(f, "key {hash}"),
            Self::User(id) => write!(f, "user {id}"),
            Self::Team(id) => write!(f, "team {id}"),
            Self::Organization(id) => write!(f, "organization {id}"),
            Self::EndUser(id) => write!(f, "end user {id}"),
            Self::Tag(name) => write!(f, "tag {name}"),
            Self::Model(name) => write!(f, "model {name}"),
            Self::Provider(name) => write!(f, "provider {name}"),
            Self::Deployment(id) => write!(f, "deployment {id}"),
            Self::Credential(id) => write!(f, "credential {id}"),
            Self::Proxy => f.write_str("this gateway"),
        }
    }
}

/// What an allowance counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Nano-dollars.
    Money,
    /// Requests begun.
    Requests,
    /// Tokens, input and output.
    Tokens,
    /// Requests that have not ended.
    InFlight,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Money => "money",
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InFlight => "requests in flight",
        })
    }
}

/// How an allowance renews itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// Never.
    Ever,
    /// At the calendar's boundaries.
    Calendar(Window),
    /// Continuously: the limit holds in every interval of `length_ms`. Runs on
    /// the monotonic clock: a wall clock that is set does not stretch it.
    Sliding {
        /// Milliseconds.
        length_ms: i64,
    },
}

impl Period {
    /// The window of requests and tokens per minute.
    pub const MINUTE: Self = Self::Sliding { length_ms: 60_000 };
}

impl From<Option<Window>> for Period {
    fn from(window: Option<Window>) -> Self {
        window.map_or(Self::Ever, Self::Calendar)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ever => f.write_str("in total"),
            Self::Calendar(window) => write!(f, "per {window}"),
            Self::Sliding { length_ms: 60_000 } => f.write_str("per minute"),
            Self::Sliding { length_ms } => write!(f, "per {length_ms} ms"),
        }
    }
}

/// A limit on one subject and unit in each window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Whom it binds.
    pub subject: Subject,
    /// What it counts.
    pub unit: Unit,
    /// How it renews itself. Without effect for [`Unit::InFlight`].
    pub window: Period,
    /// The most in one window: nano-dollars for money, else a count.
    pub limit: i64,
}

impl Allowance {
    /// A budget; without a window it lasts for ever.
    pub fn money(subject: Subject, limit: base::NanoUsd, window: Option<Window>) -> Self {
        Self { subject, unit: Unit::Money, window: window.into(), limit: limit.0 }
    }

    /// Requests in any 60 seconds.
    pub fn requests_per_minute(subject: Subject, limit: u64) -> Self {
        Self { subject, unit: Unit::Requests, window: Period::MINUTE, limit: count(limit) }
    }

    /// Tokens in any 60 seconds.
    pub fn tokens_per_minute(subject: Subject, limit: u64) -> Self {
        Self { subject, unit: Unit::Tokens, window: Period::MINUTE, limit: count(limit) }
    }

    /// Requests at the same time.
    pub fn in_flight(subject: Subject, limit: u64) -> Self {
        Self { subject, unit: Unit::InFlight, window: Period::Ever, limit: count(limit) }
    }
}

/// A count as the signed number that cells reckon with.
pub(crate) fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What an allowance had used when it was last written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// In the unit of the allowance.
    pub spent: i64,
    /// When the window of `spent` ends, milliseconds since 1970; `None` begins
    /// a window now.
    pub window_ends_ms: Option<i64>,
    /// Of money, [`crate::Account::ahead`].
    pub ahead: i64,
}
