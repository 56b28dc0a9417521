//! A spend record as LiteLLM's `SpendLogs` row, without content.

use crate::money::{Money, Time};
use crate::shown::Empty;
use base::KeyHash;
use ledger::{CostSource, Ending, RecordId, SpendRecord, UsageCounts};
use serde::Serialize;
use std::sync::Arc;

/// What LiteLLM calls the master key where rows name a key.
pub(crate) const MASTER_KEY_ALIAS: &str = "litellm_proxy_master_key";

#[derive(Serialize)]
#[serde(untagged)]
enum ApiKey {
    Hash(KeyHash),
    Master(&'static str),
}

/// LiteLLM's columns.
#[derive(Serialize)]
pub(crate) struct SpendRow<'a> {
    request_id: &'a str,
    call_type: &'a str,
    api_key: ApiKey,
    spend: Money,
    total_tokens: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    #[serde(rename = "startTime")]
    start_time: Time,
    #[serde(rename = "endTime")]
    end_time: Time,
    request_duration_ms: i64,
    #[serde(rename = "completionStartTime")]
    completion_start_time: Option<Time>,
    model: &'a str,
    model_id: &'a str,
    model_group: &'a str,
    custom_llm_provider: &'a str,
    api_base: &'a str,
    user: &'a str,
    metadata: Metadata<'a>,
    cache_hit: &'static str,
    cache_key: &'static str,
    request_tags: &'a [Arc<str>],
    team_id: Option<&'a str>,
    organization_id: Option<&'a str>,
    end_user: &'a str,
    requester_ip_address: Option<&'a str>,
    messages: Empty,
    response: Empty,
    session_id: Option<&'a str>,
    status: &'static str,
}

/// What LiteLLM's columns have no room for.
#[derive(Serialize)]
struct Metadata<'a> {
    record_id: RecordId,
    attempt: u16,
    ending: Ending,
    status_code: u16,
    error_class: Option<&'a str>,
    cost_source: CostSource,
    price_version: Option<&'a str>,
    credential_id: Option<&'a str>,
    usage: UsageCounts,
    user_api_key: Option<KeyHash>,
    user_api_key_alias: Option<&'a str>,
    user_api_key_user_id: Option<&'a str>,
    user_api_key_team_id: Option<&'a str>,
    user_api_key_org_id: Option<&'a str>,
}

impl<'a> From<&'a SpendRecord> for SpendRow<'a> {
    fn from(record: &'a SpendRecord) -> Self {
        Self {
            request_id: &record.request_id,
            call_type: &record.call_type,
            api_key: record.key_hash.map_or(ApiKey::Master(MASTER_KEY_ALIAS), ApiKey::Hash),
            spend: Money(record.cost),
            total_tokens: record.usage.total(),
            prompt_tokens: record.usage.input,
            completion_tokens: record.usage.output,
            start_time: Time(record.start_ms),
            end_time: Time(record.end_ms),
            request_duration_ms: record.end_ms.saturating_sub(record.start_ms),
            completion_start_time: record.first_byte_ms.map(Time),
            model: &record.upstream_model,
            model_id: &record.deployment_id,
            model_group: &record.model_group,
            custom_llm_provider: &record.provider,
            api_base: &record.api_base,
            user: record.user_id.as_deref().unwrap_or_default(),
            metadata: Metadata {
                record_id: record.id,
                attempt: record.id.attempt,
                ending: record.ending,
                status_code: record.status,
                error_class: record.error_class.as_deref(),
                cost_source: record.cost_source,
                price_version: record.price_version.as_deref(),
                credential_id: record.credential_id.as_deref(),
                usage: record.usage,
                user_api_key: record.key_hash,
                user_api_key_alias: record.key_alias.as_deref(),
                user_api_key_user_id: record.user_id.as_deref(),
                user_api_key_team_id: record.team_id.as_deref(),
                user_api_key_org_id: record.organization_id.as_deref(),
            },
            cache_hit: if record.cache_hit { "True" } else { "False" },
            cache_key: "",
            request_tags: &record.tags,
            team_id: record.team_id.as_deref(),
            organization_id: record.organization_id.as_deref(),
            end_user: record.end_user.as_deref().unwrap_or_default(),
            requester_ip_address: record.requester_ip.as_deref(),
            messages: Empty {},
            response: Empty {},
            session_id: record.session_id.as_deref(),
            status: if record.ending.is_success() { "success" } else { "failure" },
        }
    }
}
