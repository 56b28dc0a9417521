//! Our own settings, as types with their defaults: what `keymoat:` may say.

use crate::cidr::Cidr;
use base::{Decimal, Secret};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything under `keymoat:`. No `Debug`: `listen.tls` holds a key.
pub struct Settings {
    /// Where and how clients are listened to.
    pub listen: Listen,
    /// Where the database and the spool live; made if missing.
    pub data_dir: PathBuf,
    /// Which LiteLLM is imitated where its versions differ.
    pub compat: Compat,
    /// Whom outgoing TLS trusts.
    pub roots: Roots,
    /// Which model name an answer carries.
    pub response_model: ResponseModel,
    /// What happens to a call whose price is not known.
    pub unknown_price: UnknownPrice,
    /// Whose key opens `/metrics`, where it wants one.
    pub metrics_key: MetricsKey,
    /// How long the upstream's first event is waited for before the client
    /// gets its 200; 5,000.
    pub peek_timeout_ms: u64,
    /// How long an attempt may take to its first byte; 600,000.
    pub first_byte_timeout_ms: u64,
    /// How long a started answer may stand still; 300,000.
    pub idle_timeout_ms: u64,
    /// How long a stream may last in all; 7,200,000.
    pub stream_max_ms: u64,
    /// A client's own output limit is not lowered below this to fit a budget; 4,096.
    pub output_floor_tokens: u64,
    /// Share of a budget that keys share which the estimated charges of one key
    /// may reach, in percent; 5.
    pub estimated_share_max_percent: u32,
    /// Whether each retry counts against limits on requests; false.
    pub retries_count_as_requests: bool,
    /// What is read of an answer whose client has gone.
    pub drain: Drain,
    /// Spend records on their way to the database.
    pub spool: Spool,
    /// What the log looks like.
    pub log: Log,
    /// Confinement of the gateway's own process; off.
    pub sandbox: Sandbox,
    /// Threads that serve; `None`: as many as the machine has cores.
    pub workers: Option<NonZeroUsize>,
}

/// Confinement of the gateway's own process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    /// None.
    Off,
    /// Protections that the kernel offers.
    BestEffort,
    /// Everything that Keymoat knows, or no start.
    Full,
}

/// Where and how clients are listened to.
pub struct Listen {
    /// 127.0.0.1; also from `HOST`.
    pub host: IpAddr,
    /// 4000; also from `PORT`.
    pub port: u16,
    /// `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// Origins whose pages may call from a browser, `*` for all; none.
    pub cors_origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed; nobody's.
    pub trusted_proxies: Vec<Cidr>,
    /// Connections at a time; 16,384.
    pub connections_max: u32,
    /// For a request's head to arrive; 10,000.
    pub header_timeout_ms: u64,
    /// Of a request's head; 65,536.
    pub header_max_bytes: usize,
    /// Of a request's body; 64 MiB.
    pub body_max_bytes: u64,
    /// After SIGTERM, how long new requests are still taken while probes are
    /// told to go elsewhere; 0.
    pub drain_delay_ms: u64,
    /// For running requests after that; 30,000.
    pub drain_timeout_ms: u64,
}

/// A certificate chain and its key, read from their files.
pub struct Tls {
    /// PEM, leaf first.
    pub cert_pem: Vec<u8>,
    /// PEM.
    pub key_pem: Arc<Secret>,
}

/// Which LiteLLM is imitated where its versions differ (statuses, bodies).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// `"1.83"`, what most people run.
    #[default]
    V1_83,
    /// `"1.109"`.
    V1_109,
}

/// Whom outgoing TLS trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Mozilla's list, in the binary.
    #[default]
    Webpki,
    /// What the machine trusts.
    Native,
    /// Only these certificates, PEM, as read from the files named.
    Pem(Vec<(PathBuf, Vec<u8>)>),
}

/// Which model name an answer carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseModel {
    /// The one that the provider gave.
    Upstream,
    /// The one that the client asked for, as in LiteLLM.
    #[default]
    Group,
}

/// What happens to a call whose price is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownPrice {
    /// It is refused.
    #[default]
    Refuse,
    /// It is charged this many US dollars, more than nought.
    CeilingPerCall(Decimal),
}

/// Whose key opens `/metrics`: it shows what every key is called and spends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsKey {
    /// The master key alone.
    #[default]
    Master,
    /// Any key that is in order, as LiteLLM has it.
    Any,
}

/// What is read of an answer whose client has gone, to learn what it cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// 120,000.
    pub max_ms: u64,
    /// 16 MiB.
    pub max_bytes: u64,
}

/// When a spend record is safe on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpoolSync {
    /// Written before the answer ends, synced in groups.
    #[default]
    Batch,
    /// Synced before the answer ends.
    Full,
}

/// Spend records on their way to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spool {
    /// When a record counts as kept.
    pub sync: SpoolSync,
    /// The spool's size on disk; 1 GiB.
    pub max_bytes: u64,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Text or JSON.
    pub format: LogFormat,
    /// What is worth a line.
    pub level: LogLevel,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One object a line.
    Json,
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what should be looked at.
    Warn,
    /// And what happened.
    #[default]
    Info,
    /// And why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// From the quietest to the loudest.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// As written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            data_dir: PathBuf::new(),
            compat: Compat::default(),
            roots: Roots::default(),
            response_model: ResponseModel::default(),
            unknown_price: UnknownPrice::default(),
            metrics_key: MetricsKey::default(),
            peek_timeout_ms: 5_000,
            first_byte_timeout_ms: 600_000,
            idle_timeout_ms: 300_000,
            stream_max_ms: 7_200_000,
            sandbox: Sandbox::Off,
            output_floor_tokens: 4_096,
            estimated_share_max_percent: 5,
            retries_count_as_requests: false,
            drain: Drain { max_ms: 120_000, max_bytes: 16 << 20 },
            spool: Spool { sync: SpoolSync::default(), max_bytes: 1 << 30 },
            log: Log::default(),
            workers: None,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 4000,
            tls: None,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            connections_max: 16_384,
            header_timeout_ms: 10_000,
            header_max_bytes: 64 << 10,
            body_max_bytes: 64 << 20,
            drain_delay_ms: 0,
            drain_timeout_ms: 30_000,
        }
    }
}
