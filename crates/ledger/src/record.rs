//! One attempt, accounted for.
//!
//! A [`SpendRecord`] holds what LiteLLM's `SpendLogs` row holds (litellm
//! section 9) without content, and what that row cannot say: which attempt, how
//! it ended, where its cost came from and which prices it was computed with.
//! How it is written down says `compact`.

use crate::allowance::Subject;
use crate::record_id::RecordId;
use base::{KeyHash, NanoUsd};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The upstream's own ending was seen, with its usage.
    Complete,
    /// The upstream's own ending was seen; it reported no usage.
    CompleteWithoutUsage,
    /// The client went away before the first byte of the answer.
    ClientGoneBefore,
    /// The client went away in the middle of the answer.
    ClientGoneAfter,
    /// The upstream failed before the first byte of the answer.
    UpstreamErrorBefore,
    /// The upstream failed in the middle of the answer.
    UpstreamErrorAfter,
    /// A time limit of ours ran out.
    Timeout,
    /// We refused: no upstream was called.
    Refused = 10,
    /// The process ended before the attempt did: charged in full.
    #[default]
    Crashed = 11,
}

impl Ending {
    /// By rising number. The numbers are written down: 7 to 9 are free.
    pub const ALL: [Self; 9] = [
        Self::Complete,
        Self::CompleteWithoutUsage,
        Self::ClientGoneBefore,
        Self::ClientGoneAfter,
        Self::UpstreamErrorBefore,
        Self::UpstreamErrorAfter,
        Self::Timeout,
        Self::Refused,
        Self::Crashed,
    ];

    /// Whether the client has its whole answer: LiteLLM's `success`.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Complete | Self::CompleteWithoutUsage)
    }

    /// As it stands in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::CompleteWithoutUsage => "complete_without_usage",
            Self::ClientGoneBefore => "client_gone_before",
            Self::ClientGoneAfter => "client_gone_after",
            Self::UpstreamErrorBefore => "upstream_error_before",
            Self::UpstreamErrorAfter => "upstream_error_after",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Crashed => "crashed",
        }
    }
}

/// Where a cost came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// The provider stated it.
    Provider,
    /// From the provider's usage and our prices.
    Computed,
    /// From our own count, or the whole reservation.
    Estimated,
    /// Nothing was spent.
    #[default]
    None,
    /// The provider reported more than the model can do: charged at most what
    /// the model's own limits allow.
    OutOfBounds,
}

impl CostSource {
    /// In the order of their numbers, which are written down: add at the end.
    pub const ALL: [Self; 5] =
        [Self::Provider, Self::Computed, Self::Estimated, Self::None, Self::OutOfBounds];

    /// As it stands in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Computed => "computed",
            Self::Estimated => "estimated",
            Self::None => "none",
            Self::OutOfBounds => "out_of_bounds",
        }
    }
}

/// Counts, normalised: `input` and `output` are totals, the others say what
/// part of them was special.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageCounts {
    /// All input tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub input: u64,
    /// Input tokens read from the provider's cache.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_read: u64,
    /// Input tokens written to the provider's cache for five minutes.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_5m: u64,
    /// Input tokens written to the provider's cache for an hour.
    #[serde(skip_serializing_if = "is_zero")]
    pub cache_write_1h: u64,
    /// Input tokens that were audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_audio: u64,
    /// All output tokens.
    #[serde(skip_serializing_if = "is_zero")]
    pub output: u64,
    /// Output tokens that were reasoning.
    #[serde(skip_serializing_if = "is_zero")]
    pub reasoning: u64,
    /// Output tokens that were audio.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_audio: u64,
    /// Web searches that the provider ran.
    #[serde(skip_serializing_if = "is_zero")]
    pub searches: u64,
}

impl UsageCounts {
    /// Input and output together.
    pub fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How long an attempt took, in microseconds. For metrics: the spool carries
/// it, the database does not keep it. All nought where nobody measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Whether the client asked for a stream.
    pub streamed: bool,
    /// From the request's head to this attempt's end.
    pub total_us: u64,
    /// From sending upstream to the last byte that came back.
    pub upstream_us: u64,
    /// From sending upstream to a stream's first byte.
    pub first_byte_us: Option<u64>,
    /// What we added: `total_us` without the upstream, earlier attempts and the
    /// time that the client took to send its body.
    pub overhead_us: u64,
}

/// One attempt. Texts are shared so that a record costs few allocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRecord {
    /// Call and attempt; what makes the record one and the same.
    pub id: RecordId,
    /// What the client may look it up by: the answer's id, or the call's.
    pub request_id: Arc<str>,
    /// `acompletion`, `anthropic_messages`, `aembedding`, …: LiteLLM's names.
    pub call_type: Arc<str>,
    /// Its end.
    pub ending: Ending,
    /// The status that the client saw; 0 where it saw none.
    pub status: u16,
    /// The class of error, without content: `rate_limit`, `timeout`, …
    pub error_class: Option<Arc<str>>,
    /// Exact.
    pub cost: NanoUsd,
    /// Where it came from.
    pub cost_source: CostSource,
    /// The version of the prices that it was computed with.
    pub price_version: Option<Arc<str>>,
    /// What was consumed.
    pub usage: UsageCounts,
    /// What the client asked for.
    pub model_group: Arc<str>,
    /// What the upstream was asked for.
    pub upstream_model: Arc<str>,
    /// Empty where none was chosen.
    pub deployment_id: Arc<str>,
    /// The provider's name.
    pub provider: Arc<str>,
    /// Scheme, host and port.
    pub api_base: Arc<str>,
    /// The provider credential's id.
    pub credential_id: Option<Arc<str>>,
    /// `None` for the master key.
    pub key_hash: Option<KeyHash>,
    /// The key's alias then.
    pub key_alias: Option<Arc<str>>,
    /// The key's user.
    pub user_id: Option<Arc<str>>,
    /// The customer whom the request names.
    pub end_user: Option<Arc<str>>,
    /// The key's team.
    pub team_id: Option<Arc<str>>,
    /// The key's organisation.
    pub organization_id: Option<Arc<str>>,
    /// The key's tags and the request's.
    pub tags: Vec<Arc<str>>,
    /// [`crate::Reservation::reserved_ms`]: says whose window pays. Nought
    /// counts as `start_ms`.
    pub reserved_ms: i64,
    /// When the attempt began, milliseconds since 1970.
    pub start_ms: i64,
    /// When the first byte of the answer came.
    pub first_byte_ms: Option<i64>,
    /// When it ended.
    pub end_ms: i64,
    /// The client's address.
    pub requester_ip: Option<Arc<str>>,
    /// The client's session.
    pub session_id: Option<Arc<str>>,
    /// Whether our own response cache answered.
    pub cache_hit: bool,
    /// For metrics only.
    pub timing: Timing,
}

impl SpendRecord {
    /// An attempt that begins now, with everything else empty.
    pub fn new(id: RecordId, start_ms: i64) -> Self {
        Self {
            id,
            request_id: Arc::default(),
            call_type: Arc::default(),
            ending: Ending::default(),
            status: 0,
            error_class: None,
            cost: NanoUsd::ZERO,
            cost_source: CostSource::None,
            price_version: None,
            usage: UsageCounts::default(),
            model_group: Arc::default(),
            upstream_model: Arc::default(),
            deployment_id: Arc::default(),
            provider: Arc::default(),
            api_base: Arc::default(),
            credential_id: None,
            key_hash: None,
            key_alias: None,
            user_id: None,
            end_user: None,
            team_id: None,
            organization_id: None,
            tags: Vec::new(),
            reserved_ms: start_ms,
            start_ms,
            first_byte_ms: None,
            end_ms: start_ms,
            requester_ip: None,
            session_id: None,
            cache_hit: false,
            timing: Timing::default(),
        }
    }

    /// Subjects that it is charged to, each once.
    pub fn subjects(&self) -> Vec<Subject> {
        let some = |text: &Option<Arc<str>>, of: fn(Arc<str>) -> Subject| {
            text.as_ref().filter(|text| !text.is_empty()).map(|text| of(Arc::clone(text)))
        };
        let named = |text: &Arc<str>, of: fn(Arc<str>) -> Subject| {
            (!text.is_empty()).then(|| of(Arc::clone(text)))
        };
        let mut subjects = vec![Subject::Proxy];
        subjects.extend(self.key_hash.map(Subject::Key));
        subjects.extend(some(&self.user_id, Subject::User));
        subjects.extend(some(&self.team_id, Subject::Team));
        subjects.extend(some(&self.organization_id, Subject::Organization));
        subjects.extend(some(&self.end_user, Subject::EndUser));
        subjects.extend(named(&self.model_group, Subject::Model));
        subjects.extend(named(&self.provider, Subject::Provider));
        subjects.extend(named(&self.deployment_id, Subject::Deployment));
        subjects.extend(some(&self.credential_id, Subject::Credential));
        for tag in &self.tags {
            let tag = named(tag, Subject::Tag).filter(|tag| !subjects.contains(tag));
            subjects.extend(tag);
        }
        subjects
    }

    /// The time whose window pays.
    pub fn charged_ms(&self) -> i64 {
        if self.reserved_ms == 0 { self.start_ms } else { self.reserved_ms }
    }
}

/// An attempt that has been let through: enough to charge it in full if the
/// process ends before it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Call and attempt.
    pub id: RecordId,
    /// `None` for the master key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_hash: Option<KeyHash>,
    /// The key's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Arc<str>>,
    /// The key's team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_id: Option<Arc<str>>,
    /// The key's organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Arc<str>>,
    /// The customer whom the request names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_user: Option<Arc<str>>,
    /// The worst case, in nano-dollars.
    pub reserved: NanoUsd,
    /// [`crate::Reservation::reserved_ms`].
    pub reserved_ms: i64,
    /// When the attempt began, milliseconds since 1970.
    pub start_ms: i64,
    /// LiteLLM's name of the kind of call.
    #[serde(default)]
    pub call_type: Arc<str>,
    /// What the client asked for.
    #[serde(default)]
    pub model_group: Arc<str>,
    /// What the upstream is asked for.
    #[serde(default)]
    pub upstream_model: Arc<str>,
    /// The deployment.
    #[serde(default)]
    pub deployment_id: Arc<str>,
    /// The provider's name.
    #[serde(default)]
    pub provider: Arc<str>,
    /// [`SpendRecord::request_id`]; empty: the call's id.
    #[serde(default)]
    pub request_id: Arc<str>,
}

impl Opened {
    /// The record of an attempt whose process ended: charged in full.
    pub fn crashed(self, now_ms: i64) -> SpendRecord {
        let request_id = match &*self.request_id {
            "" => self.id.call.to_string().into(),
            _ => self.request_id,
        };
        SpendRecord {
            request_id,
            call_type: self.call_type,
            ending: Ending::Crashed,
            error_class: Some("process_ended".into()),
            cost: self.reserved,
            cost_source: CostSource::Estimated,
            model_group: self.model_group,
            upstream_model: self.upstream_model,
            deployment_id: self.deployment_id,
            provider: self.provider,
            key_hash: self.key_hash,
            user_id: self.user_id,
            team_id: self.team_id,
            organization_id: self.organization_id,
            end_user: self.end_user,
            reserved_ms: self.reserved_ms,
            end_ms: now_ms.max(self.start_ms),
            ..SpendRecord::new(self.id, self.start_ms)
        }
    }
}
