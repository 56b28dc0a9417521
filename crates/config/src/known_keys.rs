//! Every key that LiteLLM documents, section by section: those that a reader
//! in this crate takes, and those that are named to people as unsupported with
//! what to do instead. Data only; names are parted by spaces.
//!
//! `supported` serves suggestions for misspelt keys and the test that each of
//! them has its reader; the readers themselves match on the names.

/// The keys of one mapping.
pub(crate) struct Section {
    /// Keys that have a reader.
    pub(crate) supported: &'static str,
    /// Keys that protect (they refuse, check or limit calls) and are not
    /// honoured, grouped under one reason. What they cover is not served until
    /// `keymoat.accept_missing` names them.
    pub(crate) protective: &'static [(&'static str, &'static str)],
    /// Keys that are known and not honoured, grouped under one reason.
    pub(crate) unsupported: &'static [(&'static str, &'static str)],
    /// Among the unsupported, those that are on unless switched off: to write
    /// `false` changes something.
    pub(crate) on_by_default: &'static str,
}

impl Section {
    /// Whether a reader takes the key.
    pub(crate) fn supports(&self, name: &str) -> bool {
        has(self.supported, name)
    }

    /// Whether to write `false` changes something.
    pub(crate) fn is_on_by_default(&self, name: &str) -> bool {
        has(self.on_by_default, name)
    }

    /// Returns the reason for which a known key is not honoured.
    pub(crate) fn why_unsupported(&self, name: &str) -> Option<&'static str> {
        let all = self.unsupported.iter().chain(self.protective);
        all.into_iter().find(|(names, _)| has(names, name)).map(|(_, why)| *why)
    }

    /// Returns the name of a protective key as `keymoat.accept_missing` takes
    /// it, and the reason for which it is not honoured.
    pub(crate) fn protective(&self, name: &str) -> Option<(&'static str, &'static str)> {
        self.protective.iter().find_map(|(names, why)| {
            names.split_whitespace().find(|known| *known == name).map(|known| (known, *why))
        })
    }

    /// Names of all protective keys.
    pub(crate) fn protective_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.protective.iter().flat_map(|(names, _)| names.split_whitespace())
    }

    /// Every name in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let others = self.unsupported.iter().chain(self.protective);
        let others = others.flat_map(|(names, _)| names.split(' '));
        self.supported.split(' ').chain(others)
    }
}

/// Returns true if `name` is one of `names`, which spaces separate.
pub(crate) fn has(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

const NO_PYTHON: &str = "Python code cannot run here";
const NO_CACHE: &str = "responses are not cached yet: each call goes to the provider";
const NO_REDIS: &str = "Redis is not used yet: state is this instance's own";
const NO_SINK: &str =
    "logs and metrics are not sent to services yet: scrape /metrics and ship the log";
const NO_ALERT: &str = "alerts are not sent yet: alert on /metrics";
const NO_CLOUD_AUTH: &str = "this provider's own sign-in is not supported yet: use api_key";
const NO_TAGS: &str = "requests are not routed by tag yet: give tagged traffic its own model group";
const NO_SSO: &str = "only virtual keys and the master key prove who calls";
const NO_UI: &str = "there are no web pages yet";
const NO_DEFAULTS: &str = "there are no users, teams or soft budgets here that this would apply to";
const NO_CHECK: &str = "this check before a call does not exist yet";
const NO_HEALTH: &str =
    "deployments are not probed in the background: failures of real calls cool them down";
const NO_LIMIT: &str = "this limit is not enforced: limit virtual keys instead";
const NO_STORE: &str =
    "configuration is read from files only, not from a database or another service";
const NO_FEATURE: &str = "this does not exist here yet";
const LOGS_NOTHING: &str = "prompts and answers are never stored or logged here";
const NO_GUARDRAILS: &str = "guardrails do not run here, and requests would pass unchecked";
const NO_LIST: &str = "requests are not checked against this list here";
const NO_USER_BUDGET: &str = "users have no budget of their own here";
const FIXED: &str = "there is no such switch here: it cannot be turned off or tuned";

/// Parameters for which a deployment is left out: without them a call would
/// reach the provider.
pub(crate) const MOCKS: &str = "mock_response mock_timeout mock_tool_calls mock_testing_fallbacks \
    mock_testing_context_fallbacks mock_testing_content_policy_fallbacks \
    mock_testing_rate_limit_error";
pub(crate) const NO_MOCKS: &str = "answers and failures are not made up here, and a call would \
    go to the provider and be billed";

/// The top of a file.
pub(crate) const TOP: Section = Section {
    supported: "model_list litellm_settings router_settings general_settings environment_variables \
        include credential_list keymoat",
    protective: &[("guardrails policies", NO_GUARDRAILS)],
    unsupported: &[
        ("mcp_servers mcp_tools mcp_aliases", "the MCP gateway does not exist here yet"),
        ("callback_settings", NO_SINK),
        (
            "prompts vector_store_registry search_tools agents files_settings finetune_settings \
        assistant_settings worker_registry",
            NO_FEATURE,
        ),
    ],
    on_by_default: "",
};

/// An item of `model_list`.
pub(crate) const MODEL: Section = Section {
    supported: "model_name litellm_params model_info",
    protective: &[],
    unsupported: &[],
    on_by_default: "",
};

/// `litellm_params`. What is in neither list is a default for request bodies.
pub(crate) const LITELLM_PARAMS: Section = Section {
    supported: "model api_key api_base base_url api_version organization custom_llm_provider \
        litellm_credential_name rpm tpm weight order max_parallel_requests timeout \
        request_timeout stream_timeout max_retries num_retries cooldown_time drop_params \
        additional_drop_params extra_headers headers extra_body search_context_cost_per_query \
        base_model",
    protective: &[
        ("guardrails", NO_GUARDRAILS),
        ("max_budget", "a deployment has no budget of its own here"),
    ],
    unsupported: &[
        (MOCKS, NO_MOCKS),
        ("mock_delay", "calls are not delayed here"),
        (
            "cache_control_injection_points",
            "cache hints are not added to requests: let the client set cache_control",
        ),
        (
            "supports_system_message ensure_alternating_roles user_continue_message \
        assistant_continue_message roles initial_prompt_value final_prompt_value bos_token \
        eos_token",
            "messages go to the provider as they are: no prompt template is applied",
        ),
        (
            "metadata litellm_metadata litellm_session_id litellm_call_id no-log secret_fields",
            "a deployment has no labels for logs and spend: they come with keys and requests",
        ),
        (
            "retry_policy retry_strategy",
            "one number for all errors: use num_retries and allowed_fails",
        ),
        ("force_timeout", "use timeout"),
        ("priority", "requests are not queued by priority"),
        ("default_headers provider_specific_header", "use extra_headers"),
        ("extra_query", "nothing is added to a URL but api_version"),
        (
            "user_config model_list deployment_id hf_model_name model_file_id_mapping \
        litellm_params proxy_server_request logger_fn verbose complete_response \
        allowed_model_region model_config fastest_response enable_json_schema_validation \
        litellm_request_debug search_tool_name include_cost_in_streaming_usage",
            NO_FEATURE,
        ),
        ("enable_tag_filtering", NO_TAGS),
        ("tags tag_regex", NO_TAGS),
        ("budget_duration itpm otpm rpd tpd daily_reset_time", NO_LIMIT),
        ("modify_params", "requests are translated as they are: nothing is added to make them fit"),
        (
            "allowed_openai_params",
            "parameters that the provider's dialect knows are passed on anyway",
        ),
        ("merge_reasoning_content_in_choices", "reasoning stays in reasoning_content"),
        (
            "configurable_clientside_auth_params",
            "a client never chooses where a call goes or with which key",
        ),
        ("use_in_pass_through", "there are no pass-through endpoints yet"),
        (
            "aws_access_key_id aws_secret_access_key aws_session_token aws_region_name \
        aws_role_name aws_session_name aws_web_identity_token aws_sts_endpoint \
        aws_external_id aws_profile_name aws_bedrock_runtime_endpoint vertex_project \
        vertex_location vertex_credentials vertex_ai_project vertex_ai_location \
        vertex_ai_credentials azure_ad_token azure_ad_token_provider tenant_id client_id \
        client_secret azure_scope azure_username azure_password watsonx_apikey watsonx_token \
        watsonx_project_id watsonx_space_id region_name s3_bucket_name s3_region_name \
        s3_encryption_key_id s3_access_key_id s3_secret_access_key gcs_bucket_name",
            NO_CLOUD_AUTH,
        ),
        (
            "auto_router_config auto_router_config_path auto_router_default_model \
        auto_router_embedding_model complexity_router_config complexity_router_default_model \
        quality_router_config adaptive_router_config",
            "routers that pick a model by content do not exist here",
        ),
        ("tiered_pricing", "prices in steps cannot be overridden yet"),
        ("guardrail_config", "guardrails do not run here"),
        ("caching cache cache_key caching_groups preset_cache_key ttl s_max_age", NO_CACHE),
        (
            "fallbacks context_window_fallbacks content_policy_fallbacks \
        context_window_fallback_dict disable_fallbacks max_fallbacks",
            "give fallbacks under router_settings",
        ),
        (
            "ssl_verify",
            "certificates are always checked: name your own roots in keymoat.egress.roots",
        ),
        (
            "litellm_trace_id max_file_size_mb model_info prompt_id prompt_variables prompt_label \
        prompt_version rag_config \
        region silent_model use_litellm_proxy vector_store_ids",
            NO_FEATURE,
        ),
        (
            "stream stream_options messages prompt input previous_response_id background",
            "only a client can say this, for one call: it is not sent",
        ),
        ("litellm_provider", "the provider follows from `model` or custom_llm_provider"),
        (
            "acompletion aembedding aimg_generation atext_completion text_completion client id \
        shared_session litellm_logging_obj use_client azure custom_prompt_dict fallback_depth",
            "LiteLLM keeps this for itself, and it has no meaning here",
        ),
    ],
    on_by_default: "ssl_verify supports_system_message",
};

/// `model_info`. Other keys are kept and returned by `/model/info`.
pub(crate) const MODEL_INFO: Section = Section {
    supported: "id mode base_model max_tokens max_input_tokens max_output_tokens blocked \
        supported_environments",
    protective: &[(
        "team_id",
        "a deployment of one team does not exist here, and all keys could call it",
    )],
    unsupported: &[
        ("access_groups", "keys name their models one by one yet: groups of them give no access"),
        (
            "disable_background_health_check health_check_model health_check_timeout \
        health_check_max_tokens health_check_voice",
            NO_HEALTH,
        ),
        ("team_public_model_name", "there are no teams here"),
        ("allowed_fails allowed_fails_policy", "set allowed_fails under router_settings"),
    ],
    on_by_default: "",
};

/// An item of `credential_list`.
pub(crate) const CREDENTIAL: Section = Section {
    supported: "credential_name credential_values credential_info",
    protective: &[],
    unsupported: &[],
    on_by_default: "",
};

/// `router_settings`.
pub(crate) const ROUTER: Section = Section {
    supported: "model_group_alias routing_strategy num_retries max_fallbacks timeout stream_timeout \
        retry_after allowed_fails cooldown_time disable_cooldowns fallbacks \
        default_fallbacks context_window_fallbacks content_policy_fallbacks \
        default_max_parallel_requests ignore_invalid_deployments",
    protective: &[
        ("provider_budget_config", "providers have no budget of their own here"),
        (
            "enable_tag_filtering",
            "requests are not routed by tag here, and a deployment would serve what its tags \
        exclude",
        ),
        ("guardrail_list", NO_GUARDRAILS),
    ],
    unsupported: &[
        ("routing_strategy_args routing_groups", "only the weighted shuffle exists yet"),
        (
            "retry_policy model_group_retry_policy allowed_fails_policy",
            "one number for all errors: use num_retries and allowed_fails",
        ),
        (
            "enable_pre_call_checks optional_pre_call_checks deployment_affinity_ttl_seconds \
        model_group_affinity_config",
            NO_CHECK,
        ),
        ("tag_filtering_match_any tag_routing_prefix", NO_TAGS),
        ("default_priority polling_interval", "requests are not queued by priority"),
        ("redis_url redis_host redis_port redis_password redis_db redis_ssl", NO_REDIS),
        ("cache_responses cache_kwargs caching_groups", NO_CACHE),
        ("client_ttl", "connections are pooled by origin: they need no such time"),
        (
            "default_litellm_params",
            "write the parameters into each deployment, or share them with a YAML anchor",
        ),
        ("alerting_config", NO_ALERT),
        (
            "enable_health_check_routing health_check_staleness_threshold \
        health_check_ignore_transient_errors",
            NO_HEALTH,
        ),
        (
            "enable_weighted_failover",
            "a retry draws again among the deployments that have not failed",
        ),
        (
            "enable_mid_stream_fallback_continuation",
            "an answer that has begun is never continued by another model",
        ),
        ("fallback_on_unsupported_params", FIXED),
        ("set_verbose debug_level", "set keymoat.log.level"),
        ("assistants_config search_tools router_general_settings", NO_FEATURE),
    ],
    on_by_default: "tag_filtering_match_any fallback_on_unsupported_params",
};

/// `litellm_settings`.
pub(crate) const LITELLM: Section = Section {
    supported: "num_retries request_timeout drop_params fallbacks default_fallbacks \
        context_window_fallbacks content_policy_fallbacks max_fallbacks allowed_fails \
        cooldown_time max_budget budget_duration json_logs require_auth_for_metrics_endpoint \
        model_alias_map callbacks success_callback failure_callback service_callback \
        service_callbacks audit_log_callbacks turn_off_message_logging \
        redact_user_api_key_info redact_messages_in_exceptions default_key_generate_params \
        upperbound_key_generate_params",
    protective: &[
        ("guardrails", NO_GUARDRAILS),
        (
            "pre_call_rules post_call_rules",
            "Python code cannot run here, and these rules refuse requests and answers",
        ),
        ("banned_keywords banned_keywords_list blocked_user_list", NO_LIST),
        (
            "max_user_budget max_internal_user_budget default_max_internal_user_budget",
            NO_USER_BUDGET,
        ),
        (
            "max_end_user_budget max_end_user_budget_id",
            "end users have no budget of their own here",
        ),
        ("tag_budget_config", "tags have no budget here"),
        ("network_mock", "answers are not made up here, and calls would be real and billed"),
    ],
    unsupported: &[
        (
            "cache cache_params enable_redis_auth_cache \
        enable_caching_on_provider_specific_optional_params",
            NO_CACHE,
        ),
        ("modify_params", "requests are translated as they are: nothing is added to make them fit"),
        (
            "standard_logging_payload_excluded_fields log_raw_request_response \
        global_disable_no_log_param",
            LOGS_NOTHING,
        ),
        ("store_audit_logs", NO_FEATURE),
        ("set_verbose", "set keymoat.log.level"),
        ("budget_exceeded_status_code", "the status follows keymoat.compat"),
        (
            "internal_user_budget_duration max_ui_session_budget default_soft_budget \
        budget_rollover budget_exceeded_throttle_percentage default_internal_user_params \
        default_team_params default_team_settings enable_key_alias_format_validation",
            NO_DEFAULTS,
        ),
        ("key_generation_settings", "only the master key makes keys here"),
        (
            "llamaguard_model_name llamaguard_unsafe_content_categories prompt_injection_params \
        openai_moderations_model_name google_moderation_confidence_threshold \
        presidio_ad_hoc_recognizers",
            "it belongs to a check that does not run here",
        ),
        ("default_params", "write the parameters into each deployment"),
        (
            "disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only \
        extra_spend_tag_headers disable_add_user_agent_to_request_tags \
        overwrite_user_with_key_hash add_user_information_to_llm_headers",
            "spend is attributed to keys, users, teams and organisations as it comes",
        ),
        (
            "cost_discount_config cost_margin_config",
            "spend is recorded at list price: override a deployment's price instead",
        ),
        (
            "prometheus_metrics_config prometheus_initialize_budget_metrics \
        custom_prometheus_metadata_labels custom_prometheus_tags prometheus_latency_buckets \
        prometheus_exclude_metrics prometheus_exclude_labels \
        enable_end_user_cost_tracking_prometheus_only",
            "/metrics has a fixed shape",
        ),
        (
            "langfuse_default_tags s3_callback_params datadog_params \
        datadog_llm_observability_params aws_sqs_callback_params gcs_bucket_name \
        generic_api_use_v1",
            NO_SINK,
        ),
        (
            "ssl_verify ssl_certificate ssl_security_level",
            "certificates are always checked: name your own roots in keymoat.egress.roots",
        ),
        (
            "force_ipv4 http2 aiohttp_trust_env disable_aiohttp_transport",
            "outgoing connections have no such setting here",
        ),
        (
            "user_url_validation user_url_allowed_hosts provider_url_destination_allowed_hosts",
            "only the origins of configured deployments are ever reached; there is nothing to open",
        ),
        ("custom_provider_map", NO_PYTHON),
        (
            "model_group_settings forward_traceparent_to_llm_provider",
            "headers of the client are not forwarded to providers",
        ),
        ("max_tokens", "write max_tokens into each deployment that needs it"),
        (
            "public_model_groups public_model_groups_links priority_reservation \
        enable_preview_features enable_json_schema_validation \
        include_cost_in_streaming_usage always_include_stream_usage return_response_headers \
        route_all_chat_openai_to_responses use_chat_completions_url_for_anthropic_messages \
        mcp_aliases telemetry timezone check_provider_endpoint \
        enable_loadbalancing_on_batch_endpoints default_in_memory_ttl default_redis_ttl \
        default_redis_batch_cache_expiry",
            NO_FEATURE,
        ),
        (
            "openai_key api_key anthropic_key azure_key api_base",
            "give keys and addresses with each deployment",
        ),
    ],
    on_by_default: "ssl_verify user_url_validation aiohttp_trust_env",
};

/// `general_settings`.
pub(crate) const GENERAL: Section = Section {
    supported: "master_key database_url litellm_key_header_name max_parallel_requests \
        global_max_parallel_requests max_request_size_mb user_api_key_cache_ttl \
        dangerously_permit_weak_or_unset_master_key allowed_ips allowed_routes admin_only_routes \
        enforce_user_param enforced_params reject_clientside_metadata_tags \
        enforce_fallback_model_access user_header_name user_header_mappings \
        forward_client_headers_to_llm_api",
    protective: &[
        (
            "enable_jwt_auth enable_oauth2_auth enable_oauth2_proxy_auth",
            "only virtual keys and the master key prove who calls here, and not tokens",
        ),
        ("enforce_rbac role_permissions", "roles and their permissions are not checked here"),
        (
            "custom_auth custom_key_generate",
            "Python code cannot run here, and it decides who may call",
        ),
    ],
    unsupported: &[
        (
            "database_type database_args database_connection_pool_limit \
        database_connection_timeout database_connection_pool_timeout database_host \
        database_username database_password database_name use_redis_transaction_buffer",
            "SQLite in keymoat.data_dir is the only store yet",
        ),
        ("store_prompts_in_spend_logs", LOGS_NOTHING),
        ("store_model_in_db supported_db_objects proxy_config_reload_interval_seconds", NO_STORE),
        (
            "disable_spend_logs disable_error_logs disable_spend_updates disable_reset_budget \
        disable_adding_master_key_hash_to_db disable_budget_reservation",
            "spend is always recorded and budgets always hold: this cannot be switched off",
        ),
        (
            "proxy_batch_write_at proxy_budget_rescheduler_min_time \
        proxy_budget_rescheduler_max_time",
            "spend is written at once and budgets reset on time: there is no such period",
        ),
        (
            "maximum_spend_logs_retention_period maximum_spend_logs_retention_interval \
        maximum_spend_logs_cleanup_cron",
            "spend records are kept: nothing deletes them yet",
        ),
        (
            "allow_requests_on_db_unavailable fail_closed_rate_limit_enforcement",
            "the database is in the data directory: a cap is never lifted because it is away",
        ),
        (
            "alerting alerting_threshold alert_types alert_to_webhook_url alerting_args \
        spend_report_frequency",
            NO_ALERT,
        ),
        (
            "background_health_checks health_check_interval health_check_details \
        use_shared_health_check health_check_concurrency enable_health_check_routing",
            NO_HEALTH,
        ),
        (
            "litellm_jwtauth oauth2_config_mappings password_policy \
        max_failed_login_attempts_per_source",
            NO_SSO,
        ),
        ("custom_auth_run_common_checks custom_sso custom_ui_sso_sign_in_handler", NO_PYTHON),
        ("public_routes", "no route but the probes is open without a key"),
        (
            "service_account_settings default_team_disabled",
            "there are no service accounts and teams here that this would apply to",
        ),
        (
            "use_x_forwarded_for",
            "name the proxies that are believed in keymoat.listen.trusted_proxies",
        ),
        (
            "forward_openai_org_id forward_llm_provider_auth_headers \
        use_client_credentials_pass_through_routes allow_client_side_credentials",
            "credentials and the organisation of the client are not forwarded to providers",
        ),
        (
            "completion_model embedding_model image_generation_model moderation_model \
        infer_model_from_keys",
            "the model is what the client asks for: use router_settings.model_group_alias",
        ),
        ("pass_through_endpoints", "there are no pass-through endpoints yet"),
        (
            "key_management_system key_management_settings",
            "secrets come from the environment, not from a key service yet",
        ),
        ("token_rate_limit_type", "TPM counts all tokens"),
        (
            "ui_access_mode auto_redirect_ui_login_to_sso disable_password_login_when_sso_enabled \
        control_plane_url",
            NO_UI,
        ),
        ("max_response_size_mb", "answers are streamed through: they have no size limit"),
        (
            "max_in_flight_requests_per_worker max_queued_requests_per_worker \
        admission_queue_timeout_seconds",
            "set global_max_parallel_requests or keymoat.listen.connections_max",
        ),
        ("coordination_redis", NO_REDIS),
        ("cancel_on_disconnect", "whether a lost client cancels or drains is the provider's fact"),
        ("include_call_id_in_error_body", "the call id is in the header x-litellm-call-id"),
        ("self_serve_budget_policy", NO_FEATURE),
    ],
    on_by_default: "health_check_details",
};

/// Variables that LiteLLM honours and we do not, with what to do instead.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (
        "LITELLM_SALT_KEY",
        "it is only needed to take over a LiteLLM database, which is not possible yet",
    ),
    ("REDIS_URL REDIS_HOST REDIS_CLUSTER_NODES", NO_REDIS),
    ("STORE_MODEL_IN_DB LITELLM_CONFIG_BUCKET_NAME", NO_STORE),
    ("UI_USERNAME UI_PASSWORD", NO_UI),
    ("SERVER_ROOT_PATH", NO_FEATURE),
    ("DATABASE_HOST", "SQLite in keymoat.data_dir is the only store yet"),
    ("DEFAULT_COOLDOWN_TIME_SECONDS", "set router_settings.cooldown_time"),
    ("SSL_VERIFY SSL_CERT_FILE", "name your own roots in keymoat.egress.roots"),
    ("SSL_KEYFILE_PATH SSL_CERTFILE_PATH", "set keymoat.listen.tls"),
    (
        "HTTPS_PROXY https_proxy HTTP_PROXY http_proxy ALL_PROXY all_proxy",
        "providers are reached directly, not through a proxy",
    ),
    ("SLACK_WEBHOOK_URL", NO_ALERT),
];

/// Variables that switch endpoints off in LiteLLM, with the reason for which
/// they are not honoured.
pub(crate) const PROTECTIVE_VARIABLES: &[(&str, &str)] = &[
    ("DISABLE_LLM_API_ENDPOINTS", "the endpoints for models cannot be switched off here"),
    ("DISABLE_ADMIN_ENDPOINTS", "the endpoints for administrators cannot be switched off here"),
];

/// `keymoat` and the mappings in it.
pub(crate) const KEYMOAT: Section = ours(
    "listen data_dir store compat accept_missing egress response_model unknown_price metrics_key \
        peek_timeout_ms \
        first_byte_timeout_ms idle_timeout_ms stream_max_ms output_floor_tokens \
        estimated_share_max_percent retries_count_as_requests drain spool log sandbox workers",
);
pub(crate) const LISTEN: Section = ours(
    "host port tls cors_origins trusted_proxies connections_max header_timeout_ms header_max_bytes \
        body_max_bytes drain_delay_ms drain_timeout_ms",
);
pub(crate) const TLS: Section = ours("cert key");
pub(crate) const EGRESS: Section = ours("roots");
pub(crate) const UNKNOWN_PRICE: Section = ours("ceiling_per_call_usd");
pub(crate) const DRAIN: Section = ours("max_ms max_bytes");
pub(crate) const SPOOL: Section = ours("sync max_bytes");
pub(crate) const LOG: Section = ours("format level");

const fn ours(supported: &'static str) -> Section {
    Section { supported, protective: &[], unsupported: &[], on_by_default: "" }
}

#[cfg(test)]
mod tests {
    use super::{GENERAL, LITELLM, LITELLM_PARAMS, MODEL_INFO, ROUTER, TOP};

    /// They went to the provider in every body, and were refused there.
    #[test]
    fn what_is_said_to_the_gateway_is_no_default_for_bodies() {
        for key in dialect::head::keys::GATEWAY {
            let name = key.name;
            let known = LITELLM_PARAMS.supports(name)
                || LITELLM_PARAMS.why_unsupported(name).is_some()
                || crate::names::is_price_name(name);
            assert!(known, "{name}");
            assert!(crate::typed::kind(name).is_none(), "{name}");
        }
    }

    #[test]
    fn no_key_stands_twice_in_a_section() {
        for section in [TOP, LITELLM_PARAMS, MODEL_INFO, ROUTER, LITELLM, GENERAL] {
            let mut seen = std::collections::BTreeSet::new();
            for name in section.names() {
                assert!(seen.insert(name), "{name}");
            }
            for name in section.on_by_default.split(' ').filter(|name| !name.is_empty()) {
                assert!(section.why_unsupported(name).is_some(), "{name}");
            }
        }
    }
}
