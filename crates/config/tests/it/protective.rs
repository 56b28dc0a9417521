//! Settings that protect and are not honoured withhold what they cover.

use crate::{env, load_bytes, load_good, problems};
use config::Config;

const MODELS: &str = "\
model_list:
  - {model_name: a, litellm_params: {model: openai/gpt-4o, api_key: k}}
  - {model_name: b, litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: k, guardrails: [named]}}
";

fn served(yaml: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let config = load_good(yaml, pairs);
    for left_out in config.left_out.iter().filter(|left_out| left_out.is_withheld) {
        assert!(!left_out.reason.is_empty() && !left_out.id.is_empty());
    }
    config.deployments.iter().map(|each| each.model_group.to_string()).collect()
}

/// Each setting, the name that accepts it, and what is served without it.
const SETTINGS: [(&str, &str, &[&str]); 24] = [
    ("guardrails: [{guardrail_name: g, litellm_params: {default_on: true}}]", "guardrails", &[]),
    (
        "guardrails: [{guardrail_name: unnamed, litellm_params: {mode: pre_call}}]",
        "guardrails",
        &[],
    ),
    ("guardrails: on", "guardrails", &[]),
    ("policies: {p: {guardrails: [g]}}", "policies", &[]),
    ("litellm_settings: {guardrails: [{g: {default_on: true}}]}", "guardrails", &[]),
    ("router_settings: {guardrail_list: [g]}", "guardrail_list", &[]),
    ("litellm_settings: {callbacks: [detect_prompt_injection]}", "detect_prompt_injection", &[]),
    ("litellm_settings: {callbacks: hide_secrets}", "hide_secrets", &[]),
    ("litellm_settings: {post_call_rules: rules.check}", "post_call_rules", &[]),
    ("litellm_settings: {banned_keywords_list: [x]}", "banned_keywords_list", &[]),
    ("litellm_settings: {blocked_user_list: [x]}", "blocked_user_list", &[]),
    ("litellm_settings: {max_end_user_budget: 1}", "max_end_user_budget", &[]),
    ("litellm_settings: {max_internal_user_budget: 1}", "max_internal_user_budget", &[]),
    ("litellm_settings: {tag_budget_config: {t: {max_budget: 1}}}", "tag_budget_config", &[]),
    ("litellm_settings: {network_mock: true}", "network_mock", &[]),
    ("general_settings: {custom_auth: my.auth}", "custom_auth", &[]),
    ("general_settings: {custom_key_generate: my.keys}", "custom_key_generate", &[]),
    ("general_settings: {enable_jwt_auth: true}", "enable_jwt_auth", &[]),
    ("general_settings: {enable_oauth2_auth: true}", "enable_oauth2_auth", &[]),
    ("general_settings: {role_permissions: [{role: team}]}", "role_permissions", &[]),
    (
        "router_settings: {provider_budget_config: {openai: {budget_limit: 1, time_period: 1d}}}",
        "provider_budget_config",
        &["b"],
    ),
    (
        "router_settings: {provider_budget_config: {anthropic: {budget_limit: 1}}}",
        "provider_budget_config",
        &["a"],
    ),
    ("router_settings: {enable_tag_filtering: true}", "enable_tag_filtering", &["a", "b"]),
    ("general_settings: {enforce_rbac: true}", "enforce_rbac", &[]),
];

#[test]
fn what_a_protective_setting_covers_is_withheld_until_it_is_accepted() {
    let unguarded = MODELS.replace(", guardrails: [named]", "");
    for (setting, name, left) in SETTINGS {
        let yaml = format!("{unguarded}{setting}\n");
        assert_eq!(served(&yaml, &[]), left, "{setting}");
        let hint = format!("accept_missing: [{name}]");
        let text = load_bytes(yaml.as_bytes(), &env(&[])).report.render_text(false);
        assert!(text.contains(&hint), "{setting}: {text}");
        let accepted = format!("{yaml}keymoat: {{accept_missing: [{name}]}}\n");
        assert_eq!(served(&accepted, &[]), ["a", "b"], "{setting}");
        let text = load_bytes(accepted.as_bytes(), &env(&[])).report.render_text(false);
        assert!(text.contains("accepted by keymoat.accept_missing"), "{setting}: {text}");
    }
}

#[test]
fn a_guardrail_that_deployments_name_covers_those() {
    assert_eq!(served(MODELS, &[]), ["a"]);
    let named = format!("{MODELS}guardrails: [{{guardrail_name: named}}]\n");
    assert_eq!(served(&named, &[]), ["a"]);
    let default_on = "{guardrail_name: named, litellm_params: {default_on: true}}";
    let all = format!("{MODELS}guardrails: [{default_on}]\n");
    assert_eq!(served(&all, &[]), [""; 0]);
    let accepted = format!("{named}keymoat: {{accept_missing: [guardrails]}}\n");
    assert_eq!(served(&accepted, &[]), ["a", "b"]);
    let logging = "{guardrail_name: l, litellm_params: {mode: logging_only}}";
    let logging =
        format!("{}guardrails: [{logging}]\n", MODELS.replace(", guardrails: [named]", ""));
    assert_eq!(served(&logging, &[]), ["a", "b"]);
}

#[test]
fn a_setting_of_one_deployment_withholds_that_one() {
    let of = |params: &str, info: &str| {
        format!(
            "model_list:\n  - {{model_name: a, litellm_params: {{model: openai/x, api_key: k{params}}}, \
             model_info: {{{info}}}}}\n  - {{model_name: b, litellm_params: {{model: openai/x, api_key: k}}}}\n"
        )
    };
    for (yaml, name) in [
        (of(", guardrails: [x]", ""), "guardrails"),
        (of(", max_budget: 5", ""), "max_budget"),
        (of("", "team_id: t"), "team_id"),
    ] {
        assert_eq!(served(&yaml, &[]), ["b"], "{yaml}");
        let accepted = format!("{yaml}keymoat: {{accept_missing: [{name}]}}\n");
        assert_eq!(served(&accepted, &[]), ["a", "b"], "{accepted}");
    }
    let tagged = of(", tags: [paid]", "");
    assert_eq!(served(&tagged, &[]), ["a", "b"]);
    let filtered = format!("{tagged}router_settings: {{enable_tag_filtering: true}}\n");
    assert_eq!(served(&filtered, &[]), ["b"]);
    let default = filtered.replace("[paid]", "[default]");
    assert_eq!(served(&default, &[]), ["a", "b"]);
}

#[test]
fn what_is_switched_off_withholds_nothing() {
    for setting in [
        "guardrails: []",
        "general_settings: {enable_jwt_auth: false, custom_auth: ~}",
        "litellm_settings: {guardrails: [], banned_keywords_list: ~, network_mock: false}",
        "router_settings: {enable_tag_filtering: false, provider_budget_config: {}}",
    ] {
        let yaml = format!("{}{setting}\n", MODELS.replace(", guardrails: [named]", ""));
        assert_eq!(served(&yaml, &[]), ["a", "b"], "{setting}");
    }
}

#[test]
fn a_variable_that_switches_endpoints_off_withholds_everything() {
    let yaml = MODELS.replace(", guardrails: [named]", "");
    for name in ["DISABLE_LLM_API_ENDPOINTS", "DISABLE_ADMIN_ENDPOINTS"] {
        assert_eq!(served(&yaml, &[(name, "true")]), [""; 0]);
        assert_eq!(served(&yaml, &[(name, "false")]), ["a", "b"]);
        let accepted = format!("{yaml}keymoat: {{accept_missing: [{name}]}}\n");
        assert_eq!(served(&accepted, &[(name, "True")]), ["a", "b"]);
    }
}

#[test]
fn names_that_accept_nothing_are_named() {
    let yaml = format!("{MODELS}keymoat: {{accept_missing: [guardrail, policies]}}\n");
    let problems = problems(&yaml, &[]);
    assert!(problems.iter().any(|p| p.contains("error keymoat.accept_missing[0]")), "{problems:?}");
    assert!(
        problems.iter().any(|p| p.contains("warning keymoat.accept_missing[1]")),
        "{problems:?}"
    );
}

#[test]
fn rules_of_access_arrive_in_the_configuration() {
    let yaml = "\
model_list: []
general_settings:
  allowed_ips: [10.0.0.0/8, 192.168.1.7]
  allowed_routes: [/v1/chat/completions, anthropic_routes, /key/*]
  admin_only_routes: [/key/info]
  enforce_user_param: true
  user_header_name: X-OpenWebUI-User-Id
  user_header_mappings:
    - {header_name: X-Customer, litellm_user_role: customer}
  enforced_params: [user, metadata.team]
  reject_clientside_metadata_tags: true
litellm_settings:
  default_key_generate_params: {max_budget: 1.5, models: [a], budget_duration: 1d}
  upperbound_key_generate_params: {max_budget: 100, duration: 30d, rpm_limit: 10}
";
    let Config { access, .. } = load_good(yaml, &[]);
    let rules = access.rules;
    let ips = rules.allowed_ips.unwrap();
    assert!(ips[0].contains("10.1.1.1".parse().unwrap()) && ips.len() == 2);
    let routes = ["/chat/completions", "/messages", "/messages/*", "/key/*"];
    assert_eq!(rules.allowed_routes.unwrap(), routes);
    assert_eq!(rules.admin_only_routes, ["/key/info"]);
    assert!(rules.enforce_user_param && rules.reject_client_tags);
    assert_eq!(rules.end_user_headers, ["x-openwebui-user-id", "x-customer"]);
    assert_eq!(rules.enforced_params, ["user", "metadata.team"]);
    assert_eq!(access.key_defaults.models, ["a"]);
    assert_eq!(access.key_defaults.max_budget.unwrap().to_string(), "1.5");
    assert_eq!(access.key_ceilings.rpm_limit, Some(10));
    assert_eq!(access.key_ceilings.duration.unwrap().to_string(), "30d");
    assert!(problems(yaml, &[]).is_empty(), "{:?}", problems(yaml, &[]));
    let wrong =
        "model_list: []\ngeneral_settings: {allowed_ips: [localhost], allowed_routes: [chat]}\n";
    assert_eq!(problems(wrong, &[]).iter().filter(|p| p.contains("error")).count(), 2);
}
