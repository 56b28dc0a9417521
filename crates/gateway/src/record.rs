//! From a permit to its spend record.

use crate::permit::Permit;
use base::NanoUsd;
use dialect::surfaces::SURFACES;
use dialect::{Surface, Usage};
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, Timing, UsageCounts};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// LiteLLM's name of the kind of call, one text for all records.
pub fn call_type(surface: Surface) -> Arc<str> {
    static NAMES: LazyLock<HashMap<Surface, Arc<str>>> = LazyLock::new(|| {
        SURFACES.iter().map(|row| (row.surface, Arc::from(row.call_type))).collect()
    });
    NAMES.get(&surface).map_or_else(|| surface.row().call_type.into(), Arc::clone)
}

/// The counts that are kept.
pub fn counts(usage: &Usage) -> UsageCounts {
    UsageCounts {
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write_5m: usage.cache_write_5m,
        cache_write_1h: usage.cache_write_1h,
        input_audio: usage.input_audio,
        output: usage.output,
        reasoning: usage.reasoning,
        output_audio: usage.output_audio,
        searches: usage.searches,
    }
}

impl Permit {
    fn record_id(&self) -> RecordId {
        RecordId { call: self.call.record_call, attempt: self.attempt }
    }

    /// What is written down before the upstream is called.
    pub(crate) fn opened(&self, reserved: NanoUsd, reserved_ms: i64) -> Opened {
        let principal = &self.call.principal;
        let owner = &principal.owner;
        let deployment = &self.candidate.deployment;
        Opened {
            id: self.record_id(),
            key_hash: principal.key_hash(),
            user_id: owner.user_id.clone(),
            team_id: owner.team_id.clone(),
            organization_id: owner.organization_id.clone(),
            end_user: self.call.end_user.clone(),
            reserved,
            reserved_ms,
            start_ms: self.started_at_ms,
            call_type: Arc::clone(&self.call.call_type),
            model_group: Arc::clone(&deployment.model_group),
            upstream_model: Arc::clone(&self.candidate.upstream_model),
            deployment_id: Arc::clone(&deployment.id),
            provider: Arc::clone(&deployment.provider_id),
            request_id: Arc::clone(&self.call.id),
        }
    }

    /// What is written down before the client sees the end.
    pub(crate) fn record(
        &self,
        ending: Ending,
        cost: NanoUsd,
        cost_source: CostSource,
        usage: Option<&Usage>,
        reserved_ms: i64,
    ) -> SpendRecord {
        let deployment = &self.candidate.deployment;
        let principal = &self.call.principal;
        let owner = &principal.owner;
        let tags = owner.tags.iter().cloned();
        let now = self.gateway.clock.monotonic();
        let unix_ms = |at: Duration| {
            let since = at.saturating_sub(self.started_at).as_millis();
            self.started_at_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
        };
        SpendRecord {
            request_id: Arc::clone(&self.call.id),
            call_type: Arc::clone(&self.call.call_type),
            ending,
            status: self.status.map_or(0, |status| status.as_u16()),
            error_class: self.error_class.map(Into::into),
            cost,
            cost_source,
            price_version: Some(Arc::clone(&self.candidate.facts.price_version)),
            usage: usage.map(counts).unwrap_or_default(),
            model_group: Arc::clone(&self.call.requested_model),
            upstream_model: Arc::clone(&self.candidate.upstream_model),
            deployment_id: Arc::clone(&deployment.id),
            provider: Arc::clone(&deployment.provider_id),
            api_base: Arc::clone(&deployment.api_base),
            credential_id: deployment.credential.as_ref().map(|c| Arc::clone(c.id())),
            key_hash: principal.key_hash(),
            key_alias: owner.alias.clone(),
            user_id: owner.user_id.clone(),
            end_user: self.call.end_user.clone(),
            team_id: owner.team_id.clone(),
            organization_id: owner.organization_id.clone(),
            tags: tags.chain(self.call.tags.iter().map(|tag| Arc::from(tag.as_str()))).collect(),
            reserved_ms,
            first_byte_ms: self.first_byte_at.map(unix_ms),
            end_ms: unix_ms(now),
            requester_ip: self.call.client_ip.clone(),
            session_id: self.call.session_id.clone(),
            timing: self.timing(now),
            ..SpendRecord::new(self.record_id(), self.started_at_ms)
        }
    }

    fn timing(&self, now: Duration) -> Timing {
        let us = |from: Duration, to: Duration| {
            u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX)
        };
        let streamed = self.call.stream;
        // A whole answer is read in one piece, and then it is over.
        let answered_at = self.first_byte_at.filter(|_| !streamed).unwrap_or(now);
        let upstream_us = us(self.sent_at, answered_at);
        let own_from = match self.attempt {
            0 => self.call.received_at.saturating_add(self.call.body_wait),
            _ => self.started_at,
        };
        Timing {
            streamed,
            total_us: us(self.call.received_at, now),
            upstream_us,
            first_byte_us: self.first_byte_at.filter(|_| streamed).map(|at| us(self.sent_at, at)),
            overhead_us: us(own_from, now).saturating_sub(upstream_us),
        }
    }
}
