//! A virtual key as LiteLLM's clients read it. Holds its hash, never the key.

use crate::live::Balance;
use crate::money::{Money, Stored, Time};
use base::KeyHash;
use ledger::VirtualKey;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// The further settings of a key: JSON by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, Box<RawValue>>);

impl Settings {
    /// From their stored text; what cannot be read counts as none.
    pub(crate) fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `text` is checked JSON.
    pub(crate) fn set(&mut self, name: String, text: &str) {
        if let Ok(value) = RawValue::from_string(text.to_owned()) {
            self.0.insert(name, value);
        }
    }

    /// With `others` over these.
    pub(crate) fn with(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_else(|_| "{}".to_owned())
    }

    fn get<'a>(&'a self, name: &str, absent: &'a str) -> Stored<'a> {
        let value = self.0.get(name).map(|value| value.get()).filter(|text| *text != "null");
        Stored(value.unwrap_or(absent))
    }
}

/// An object without members.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Empty {}

/// LiteLLM's row of a key. What does not exist here yet has LiteLLM's own
/// empty value, so that typed clients read it.
#[derive(Debug, Serialize)]
pub(crate) struct KeyRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<KeyHash>,
    key_name: &'a str,
    key_alias: Option<&'a str>,
    spend: Money,
    total_spend: Money,
    max_budget: Option<Money>,
    expires: Option<Time>,
    models: &'a [String],
    aliases: Stored<'a>,
    config: Stored<'a>,
    user_id: Option<&'a str>,
    team_id: Option<&'a str>,
    agent_id: (),
    project_id: (),
    max_parallel_requests: Option<u64>,
    metadata: Stored<'a>,
    tags: &'a [String],
    tpm_limit: Option<u64>,
    rpm_limit: Option<u64>,
    tpd_limit: (),
    budget_duration: Option<String>,
    budget_reset_at: Option<Time>,
    allowed_cache_controls: Stored<'a>,
    allowed_routes: [(); 0],
    key_type: Stored<'a>,
    permissions: Stored<'a>,
    model_spend: Empty,
    model_max_budget: Empty,
    budget_fallbacks: Empty,
    soft_budget_cooldown: bool,
    blocked: bool,
    litellm_budget_table: (),
    budget_id: (),
    budget_limits: (),
    org_id: Option<&'a str>,
    organization_id: Option<&'a str>,
    created_at: Time,
    created_by: Option<&'a str>,
    updated_at: Time,
    updated_by: Option<&'a str>,
    last_active: Option<Time>,
    object_permission_id: (),
    object_permission: (),
    access_group_ids: [(); 0],
    rotation_count: u32,
    auto_rotate: bool,
    rotation_interval: (),
    last_rotation_at: (),
    key_rotation_at: (),
    router_settings: (),
}

impl<'a> KeyRow<'a> {
    /// `settings` are the key's own, read.
    pub(crate) fn new(key: &'a VirtualKey, settings: &'a Settings, balance: Balance) -> Self {
        Self {
            token: Some(key.hash),
            key_name: &key.name,
            key_alias: key.alias.as_deref(),
            spend: Money(balance.spend),
            total_spend: Money(key.total_spend.max(balance.spend)),
            max_budget: key.max_budget.map(Money),
            expires: key.expires_at_ms.map(Time),
            models: &key.models,
            aliases: settings.get("aliases", "{}"),
            config: settings.get("config", "{}"),
            user_id: key.user_id.as_deref(),
            team_id: key.team_id.as_deref(),
            agent_id: (),
            project_id: (),
            max_parallel_requests: key.max_parallel_requests,
            metadata: Stored(&key.metadata),
            tags: &key.tags,
            tpm_limit: key.tpm_limit,
            rpm_limit: key.rpm_limit,
            tpd_limit: (),
            budget_duration: key.budget_duration.map(|window| window.to_string()),
            budget_reset_at: balance.resets_at_ms.map(Time),
            allowed_cache_controls: settings.get("allowed_cache_controls", "[]"),
            allowed_routes: [],
            key_type: settings.get("key_type", "\"default\""),
            permissions: settings.get("permissions", "{}"),
            model_spend: Empty {},
            model_max_budget: Empty {},
            budget_fallbacks: Empty {},
            soft_budget_cooldown: false,
            blocked: key.blocked,
            litellm_budget_table: (),
            budget_id: (),
            budget_limits: (),
            org_id: key.organization_id.as_deref(),
            organization_id: key.organization_id.as_deref(),
            created_at: Time(key.created_at_ms),
            created_by: key.created_by.as_deref(),
            updated_at: Time(key.updated_at_ms),
            updated_by: key.updated_by.as_deref(),
            last_active: key.last_active_ms.map(Time),
            object_permission_id: (),
            object_permission: (),
            access_group_ids: [],
            rotation_count: 0,
            auto_rotate: false,
            rotation_interval: (),
            last_rotation_at: (),
            key_rotation_at: (),
            router_settings: (),
        }
    }

    /// Without its hash, as `/key/info` shows it.
    pub(crate) fn without_token(mut self) -> Self {
        self.token = None;
        self
    }
}
