//! From a permit to its spend record.

use crate::permit::Permit;
use base::NanoUsd;
use dialect::Usage;
use dialect::head::Surface;
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, UsageCounts};
use std::sync::Arc;

/// LiteLLM's name of the kind of call.
pub fn call_type(surface: Surface) -> &'static str {
    match surface {
        Surface::OpenAiChat => "acompletion",
        Surface::OpenAiCompletions => "atext_completion",
        Surface::OpenAiEmbeddings => "aembedding",
        Surface::AnthropicMessages => "anthropic_messages",
        Surface::AnthropicCountTokens => "acount_tokens",
    }
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
        let key = self.call.principal.key.as_ref();
        let text = |field: &Option<String>| field.as_deref().map(Arc::from);
        Opened {
            id: self.record_id(),
            key_hash: key.map(|key| key.hash),
            user_id: key.and_then(|key| text(&key.user_id)),
            team_id: key.and_then(|key| text(&key.team_id)),
            organization_id: key.and_then(|key| text(&key.organization_id)),
            end_user: self.call.end_user.clone(),
            reserved,
            reserved_ms,
            start_ms: self.started_at_ms,
            call_type: call_type(self.call.surface).into(),
            model_group: Arc::clone(&self.candidate.deployment.model_group),
            upstream_model: Arc::clone(&self.candidate.upstream_model),
            deployment_id: Arc::clone(&self.candidate.deployment.id),
            provider: self.candidate.deployment.provider.id.into(),
        }
    }

    /// What is written down before the client sees the end.
    pub(crate) fn record(
        &self,
        ending: Ending,
        cost: NanoUsd,
        cost_source: CostSource,
        reserved_ms: i64,
    ) -> SpendRecord {
        let deployment = &self.candidate.deployment;
        let key = self.call.principal.key.as_ref();
        let text = |field: &Option<String>| field.as_deref().map(Arc::from);
        let own_tags = key.map(|key| key.tags.as_slice()).unwrap_or_default();
        let tags = own_tags.iter().chain(&self.call.tags);
        SpendRecord {
            request_id: Arc::clone(&self.call.id),
            call_type: call_type(self.call.surface).into(),
            ending,
            status: self.status.map_or(0, |status| status.as_u16()),
            error_class: self.error_class.map(Into::into),
            cost,
            cost_source,
            price_version: Some(Arc::clone(&self.candidate.facts.price_version)),
            usage: self.seen.usage.as_ref().map(counts).unwrap_or_default(),
            model_group: Arc::clone(&self.call.requested_model),
            upstream_model: Arc::clone(&self.candidate.upstream_model),
            deployment_id: Arc::clone(&deployment.id),
            provider: deployment.provider.id.into(),
            api_base: Arc::clone(&deployment.api_base),
            credential_id: deployment.credential.as_ref().map(|c| Arc::clone(c.id())),
            key_hash: key.map(|key| key.hash),
            key_alias: key.and_then(|key| text(&key.alias)),
            user_id: key.and_then(|key| text(&key.user_id)),
            end_user: self.call.end_user.clone(),
            team_id: key.and_then(|key| text(&key.team_id)),
            organization_id: key.and_then(|key| text(&key.organization_id)),
            tags: tags.map(|tag| Arc::from(tag.as_str())).collect(),
            reserved_ms,
            first_byte_ms: self.first_byte_at_ms,
            end_ms: self.gateway.clock.unix_ms(),
            requester_ip: self.call.client_ip.map(|ip| ip.to_string().into()),
            session_id: self.call.session_id.clone(),
            ..SpendRecord::new(self.record_id(), self.started_at_ms)
        }
    }
}
