//! Fields that LiteLLM has and that nothing here honours yet.
//!
//! A limit that is accepted and not kept is worse than one that is refused, so
//! these are a 400 that names them, unless they ask for nothing.

/// Why fields are refused; also as members of `metadata`, where LiteLLM reads
/// many of them from.
const REFUSED: [(&str, &[&str]); 11] = [
    (
        "budgets other than the key's own `max_budget` do not exist yet",
        &[
            "budget_id",
            "end_user_budget_id",
            "budget_limits",
            "budget_fallbacks",
            "model_max_budget",
            "soft_budget",
            "temp_budget_increase",
            "temp_budget_expiry",
            "throttle_on_budget_exceeded",
        ],
    ),
    (
        "rates other than the key's own `rpm_limit`, `tpm_limit` and `max_parallel_requests` do not exist yet",
        &[
            "tpd_limit",
            "model_rpm_limit",
            "model_tpm_limit",
            "mcp_rpm_limit",
            "tag_rpm_limit",
            "rpm_limit_type",
            "tpm_limit_type",
            "default_estimated_output_tokens",
            "default_estimated_output_tokens_per_model",
        ],
    ),
    (
        "guardrails, policies and prompts do not exist yet",
        &["guardrails", "policies", "prompts", "disable_global_guardrails"],
    ),
    (
        "a key cannot be bound to routes or parameters yet",
        &[
            "allowed_routes",
            "allowed_passthrough_routes",
            "denied_passthrough_routes",
            "enforced_params",
            "allowed_vector_store_indexes",
        ],
    ),
    (
        "object permissions and access groups do not exist yet; name the models in `models`",
        &["object_permission", "access_group_ids"],
    ),
    ("what a key may do beside calling models cannot be given yet", &["permissions"]),
    ("a key cannot bring models and keys of its own", &["config"]),
    ("keys are not rotated by themselves yet", &["auto_rotate", "rotation_interval"]),
    ("agents and projects do not exist yet", &["agent_id", "project_id"]),
    ("no e-mails are sent", &["send_invite_email"]),
    (
        "a key cannot have settings of its own for routing, caching and logging yet",
        &["router_settings", "enable_prompt_caching", "logging"],
    ),
];

/// Why a field is refused, if it is.
pub(crate) fn reason(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|(_, names)| names.contains(&name)).map(|(reason, _)| *reason)
}
