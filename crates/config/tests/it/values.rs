//! What the configuration holds, value by value.

use crate::{env, load_good, problems, testdata};
use base::NanoUsd;
use config::{
    Compat, LogFormat, LogLevel, MetricsKey, ResponseModel, Roots, SpoolSync, UnknownPrice, Verdict,
};
use std::path::PathBuf;

fn case(name: &str) -> config::Config {
    let variables = std::fs::read_to_string(testdata().join(name).join("env")).unwrap();
    let pairs: Vec<_> = variables.lines().map(|line| line.split_once('=').unwrap()).collect();
    let loaded = config::load(&testdata().join(name).join("config.yaml"), &env(&pairs));
    let problems = loaded.report.render_problems(false);
    loaded.config.unwrap_or_else(|| panic!("{problems}"))
}

#[test]
fn deployments_mean_what_an_everyday_file_says() {
    let config = case("everyday");
    let [first, second, claude, long, groq, local] = &config.deployments[..] else {
        panic!("{}", config.deployments.len())
    };
    assert_eq!((&*first.model_group, &*first.upstream_model), ("gpt-4o", "gpt-4o"));
    assert_eq!(first.provider.id, "openai");
    assert_eq!(first.origin.to_string(), "https://api.openai.com");
    assert_eq!(first.base_path, "/v1");
    assert!(first.is_default_origin && first.id.len() == 32 && first.id != second.id);
    assert_eq!(first.api_key.as_ref().unwrap().expose(), "sk-openai-marked-secret-one");
    assert_eq!((first.rpm, first.tpm, first.weight), (Some(500), Some(300_000), None));

    assert_eq!(&*second.id, "second");
    assert_eq!(second.api_key.as_ref().unwrap().expose(), "sk-openai-marked-secret-two");
    assert_eq!(second.organization.as_deref(), Some("org-abc123"));
    assert_eq!((second.weight, second.order), (Some(2), Some(2)));
    assert_eq!((second.timeout_ms, second.stream_timeout_ms), (Some(30_500), Some(5_000)));
    assert_eq!((second.num_retries, second.max_parallel_requests), (Some(1), Some(50)));
    assert_eq!(second.base_model.as_deref(), Some("gpt-4o"));
    assert_eq!(second.max_input_tokens, Some(128_000));
    assert_eq!(
        second.model_info.get(),
        r#"{"id":"second","mode":"chat","base_model":"gpt-4o","max_input_tokens":128000,"team":"research"}"#
    );
    let defaults: Vec<_> =
        second.body_defaults.iter().map(|(name, json)| (name.as_str(), json.get())).collect();
    assert_eq!(defaults, [("temperature", "0.20")]);

    assert_eq!(claude.provider.id, "anthropic");
    assert_eq!(claude.api_key.as_ref().unwrap().expose(), "sk-ant-marked-secret");
    assert_eq!(claude.drop_params, Some(true));
    assert_eq!(claude.additional_drop_params, ["logit_bias", "top_k"]);
    assert!(claude.provider_headers.contains(&("anthropic-version", "2023-06-01".into())));

    assert_eq!(long.upstream_model, claude.upstream_model);
    assert_eq!(long.body_defaults[0].1.get(), "8192");
    assert_eq!(long.extra_headers[0].0, "anthropic-beta");
    assert_eq!(long.extra_body[0].1.get(), r#"{"user_id":"gateway"}"#);

    assert!(groq.is_wildcard());
    assert_eq!((&*groq.model_group, &*groq.upstream_model), ("groq/*", "*"));

    assert_eq!(local.origin.to_string(), "http://10.0.0.5:8000");
    assert!(!local.is_default_origin && local.api_key.is_none());
    let prices: Vec<_> = local.price_overrides.iter().map(|(_, price)| price.to_string()).collect();
    assert_eq!(prices, ["0.00000025", "0.000001"]);
    assert_eq!(local.body_defaults[0].0, "min_tokens");
}

#[test]
fn the_proxy_means_what_an_everyday_file_says() {
    let config = case("everyday");
    let routing = &config.routing;
    assert_eq!((routing.num_retries, routing.timeout_ms), (1, 600_000), "the router's word wins");
    assert_eq!((routing.cooldown_ms, routing.allowed_fails), (30_000, Some(3)));
    assert!(routing.drop_params);
    assert_eq!(&*routing.fallbacks[0].model_group, "gpt-4o");
    assert_eq!(routing.fallbacks[0].to.len(), 2);
    assert_eq!(&*routing.default_fallbacks[0], "claude");
    assert_eq!(&*routing.context_window_fallbacks[0].to[0], "claude-long");
    assert!(routing.aliases.iter().any(|alias| &*alias.name == "secret-name" && alias.hidden));
    let access = &config.access;
    assert_eq!(access.key_header.as_deref(), Some("x-my-key"));
    assert_eq!(access.max_budget, Some(NanoUsd(100_500_000_000)));
    assert_eq!(access.budget_duration.unwrap().to_string(), "30d");
    assert_eq!(access.global_max_parallel_requests, Some(1000));
    assert!(access.metrics_need_key);
    assert_eq!(config.settings.log.format, LogFormat::Json);

    let secrets: Vec<_> = config.secrets().map(|secret| secret.expose().to_owned()).collect();
    for part in ["one", "two", "sk-ant", "gsk", "sk-6fa1", "context-1m"] {
        assert!(secrets.iter().any(|secret| secret.contains(part)), "{part}");
    }
}

#[test]
fn every_setting_of_our_own_arrives() {
    let config = case("keymoat_section");
    let settings = &config.settings;
    assert_eq!(settings.data_dir, testdata().join("keymoat_section").join("state"));
    assert_eq!(settings.compat, Compat::V1_109);
    assert_eq!(settings.response_model, ResponseModel::Upstream);
    assert_eq!(settings.unknown_price, UnknownPrice::CeilingPerCall("0.25".parse().unwrap()));
    assert_eq!(settings.metrics_key, MetricsKey::Any);
    assert_eq!(settings.peek_timeout_ms, 2000);
    assert_eq!(settings.first_byte_timeout_ms, 60_000);
    assert_eq!(settings.idle_timeout_ms, 90_000);
    assert_eq!(settings.workers.unwrap().get(), 2);
    let listen = &settings.listen;
    assert_eq!(listen.host.to_string(), "0.0.0.0");
    assert_eq!(listen.port, 9090, "the environment wins");
    assert!(listen.trusted_proxies[0].contains("10.9.9.9".parse().unwrap()));
    assert_eq!(listen.cors_origins, ["https://chat.example.com", "app://obsidian.md"]);
    assert_eq!((listen.connections_max, listen.header_timeout_ms), (20_000, 5_000));
    assert_eq!((listen.header_max_bytes, listen.drain_timeout_ms), (32_768, 10_000));
    assert_eq!(listen.body_max_bytes, 32 << 20, "the smaller of the two limits");
    let tls = listen.tls.as_ref().unwrap();
    assert!(tls.cert_pem.starts_with(b"-----BEGIN CERTIFICATE"));
    assert!(tls.key_pem.expose().starts_with("-----BEGIN PRIVATE KEY"));
    let Roots::Pem(roots) = &settings.roots else { panic!() };
    assert_eq!(roots.len(), 1);
    assert_eq!((settings.drain.max_ms, settings.drain.max_bytes), (1000, 4096));
    assert_eq!((settings.spool.sync, settings.spool.max_bytes), (SpoolSync::Full, 10_485_760));
    assert_eq!((settings.log.format, settings.log.level), (LogFormat::Json, LogLevel::Debug));
    assert_eq!(config.access.key_cache_ttl_ms, Some(10_000));
    let path = testdata().join("keymoat_section").join("config.yaml");
    let files = config::load(&path, &env(&[])).files;
    assert_eq!(files.len(), 4, "the file, the certificate twice, the key");
}

#[test]
fn without_a_file_there_are_defaults() {
    let loaded = config::defaults(&env(&[
        ("LITELLM_MASTER_KEY", "sk-0f9b2c3d4e5f60718293a4b5c6d7e8f9"),
        ("HOST", "x86_64-conda-linux-gnu"),
        ("LITELLM_LOG", "ERROR"),
        ("NUM_WORKERS", "3"),
        ("XDG_DATA_HOME", "/data"),
    ]));
    assert!(loaded.files.is_empty());
    let config = loaded.config.unwrap();
    assert!(config.deployments.is_empty());
    assert!(config.access.master_key.is_some());
    assert_eq!(config.settings.listen.host.to_string(), "127.0.0.1");
    assert_eq!(config.settings.listen.port, 4000);
    assert_eq!(config.settings.data_dir, PathBuf::from("/data/keymoat"));
    assert_eq!(config.settings.log.level, LogLevel::Error);
    assert_eq!(config.settings.workers.unwrap().get(), 3);
    assert_eq!(loaded.report.count(Verdict::Warning), 1, "HOST is no address");

    let homeless = config::defaults(&std::collections::BTreeMap::new());
    assert!(homeless.report.has_errors() && homeless.config.is_none());
    let given = config::defaults(&env(&[("KEYMOAT_DATA_DIR", "/srv/keymoat")])).config.unwrap();
    assert_eq!(given.settings.data_dir, PathBuf::from("/srv/keymoat"));
}

#[test]
fn a_postgresql_database_is_never_quietly_replaced() {
    let url = ("DATABASE_URL", "postgresql://user:password@db/litellm");
    assert!(config::defaults(&env(&[url])).config.is_none());
    let yaml = "model_list: []\ngeneral_settings: {database_url: os.environ/DATABASE_URL}\n";
    assert!(problems(yaml, &[url]).iter().any(|problem| problem.contains("PostgreSQL")));
    let meant = format!("{yaml}keymoat: {{store: sqlite}}\n");
    load_good(&meant, &[url]);
    let other = config::defaults(&env(&[("DATABASE_URL", "mysql://elsewhere")]));
    assert!(other.config.is_some() && other.report.count(Verdict::Unsupported) == 1);
}

#[test]
fn a_providers_own_key_goes_to_its_own_origin_only() {
    let deployment = |base: &str, extra: &str, pairs: &[(&str, &str)]| {
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: openai/x, api_base: \"{base}\"{extra}}}}}]\n"
        );
        let loaded = crate::load_bytes(yaml.as_bytes(), &env(pairs));
        let key = loaded.config.map(|config| {
            config.deployments[0].api_key.as_ref().map(|key| key.expose().to_owned())
        });
        (key, loaded.report.render_problems(false))
    };
    let key = ("OPENAI_API_KEY", "sk-the-real-one");
    let own = Some(Some("sk-the-real-one".to_owned()));
    for base in
        ["https://api.openai.com/v1", "https://API.OPENAI.COM:443/v2", "https://api.openai.com."]
    {
        assert_eq!(deployment(base, "", &[key]).0, own, "{base}");
    }
    for base in [
        "http://api.openai.com/v1",
        "https://api.openai.com:8443/v1",
        "https://api.openai.com.evil.example/v1",
        "https://evil.example/api.openai.com",
        "http://127.0.0.1:9/v1",
    ] {
        let (config, report) = deployment(base, "", &[key]);
        assert!(config.is_none() && report.contains("not OpenAI's own"), "{base}: {report}");
        let (config, _) = deployment(base, ", api_key: mine", &[key]);
        assert_eq!(config, Some(Some("mine".into())), "{base}");
        assert_eq!(deployment(base, ", api_key: \"\"", &[key]).0, Some(None), "{base}");
    }
    for base in ["https://good.com@evil.com/", "https://a/v1?x=1", "ftp://a", "api.openai.com"] {
        assert!(deployment(base, "", &[key]).0.is_none(), "{base}");
    }
    let moved = [key, ("OPENAI_BASE_URL", "https://proxy.example/v1")];
    assert_eq!(deployment("https://proxy.example/v1", "", &moved).0, own, "as the variable says");
}

#[test]
fn ids_are_stable_and_follow_what_matters() {
    let ids = |yaml: &str| -> Vec<String> {
        let key = [("OPENAI_API_KEY", "sk-some-key-or-other")];
        load_good(yaml, &key).deployments.iter().map(|each| each.id.to_string()).collect()
    };
    let one = "  - {model_name: a, litellm_params: {model: openai/x, rpm: 1}}\n";
    let other = "  - {model_name: a, litellm_params: {model: openai/x, rpm: 2}}\n";
    let alone = ids(&format!("model_list:\n{one}"));
    let both = ids(&format!("model_list:\n{other}{one}"));
    assert_eq!(alone[0], both[1], "another line does not change it");
    assert_ne!(both[0], both[1]);
    let keyed = |key: &str| {
        ids(&format!(
            "model_list: [{{model_name: a, litellm_params: {{model: openai/x, api_key: {key}}}}}]"
        ))
    };
    assert_eq!(keyed("first-secret"), keyed("second-secret"), "a secret is no part of it");
    let twins = ids(&format!("model_list:\n{one}{one}"));
    assert_ne!(twins[0], twins[1]);
}

#[test]
fn credentials_fill_in_what_the_deployment_does_not_say() {
    let yaml = "\
model_list:
  - model_name: a
    litellm_params: {model: openai/x, litellm_credential_name: shared, organization: own}
credential_list:
  - credential_name: shared
    credential_values: {api_key: os.environ/SHARED, organization: shared, api_base: https://x.example/v1}
    credential_info: {description: text}
";
    let config = load_good(yaml, &[("SHARED", "shared-secret-value")]);
    let deployment = &config.deployments[0];
    assert_eq!(deployment.api_key.as_ref().unwrap().expose(), "shared-secret-value");
    assert_eq!(deployment.organization.as_deref(), Some("own"));
    assert_eq!(deployment.origin.to_string(), "https://x.example");
}

#[test]
fn the_file_gives_defaults_for_the_environment_and_no_more() {
    let yaml = "\
environment_variables: {OPENAI_API_KEY: from-the-file, GROQ_API_KEY: from-the-file}
model_list:
  - {model_name: a, litellm_params: {model: openai/x}}
  - {model_name: b, litellm_params: {model: groq/x, api_key: os.environ/GROQ_API_KEY}}
";
    let config = load_good(yaml, &[("OPENAI_API_KEY", "from-the-process")]);
    let keys: Vec<_> =
        config.deployments.iter().map(|each| each.api_key.as_ref().unwrap().expose()).collect();
    assert_eq!(keys, ["from-the-process", "from-the-file"]);
}

#[test]
fn everything_serves_each_provider_whose_key_is_set() {
    let config = case("everything_wildcard");
    let groups: Vec<_> = config.deployments.iter().map(|each| &*each.model_group).collect();
    assert!(groups.contains(&"openai/*") && groups.contains(&"anthropic/*"), "{groups:?}");
    assert_eq!(groups.last(), Some(&"team-*"));
}

#[test]
fn a_whole_endpoint_as_base_is_cut_to_the_base() {
    for (model, base, path) in [
        ("openai/x", "https://a.example/v1/chat/completions", "/v1"),
        ("openai/x", "https://a.example/v1/", "/v1"),
        ("anthropic/x", "https://a.example/v1/messages", ""),
        ("anthropic/x", "https://a.example", ""),
    ] {
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: {model}, api_key: k, api_base: \"{base}\"}}}}]"
        );
        assert_eq!(load_good(&yaml, &[]).deployments[0].base_path, path, "{model} {base}");
    }
}

#[test]
fn prices_are_the_text_that_was_written() {
    for (text, exact) in [
        ("0.1", "0.1"),
        ("1e-07", "0.0000001"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("\"0.000002\"", "0.000002"),
        ("0", "0"),
        ("os.environ/PRICE", "0.000123456789012345"),
    ] {
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: openai/x, api_key: k}}, model_info: {{input_cost_per_token: {text}}}}}]"
        );
        let config = load_good(&yaml, &[("PRICE", "0.000123456789012345")]);
        let (name, price) = &config.deployments[0].price_overrides[0];
        assert_eq!((name.as_str(), price.to_string().as_str()), ("input_cost_per_token", exact));
    }
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    let page = include_str!("../../../../docs/configuration.md");
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let numbers = |yaml: &str| {
        let said = load_good(yaml, &[]).settings;
        let listen = &said.listen;
        assert!(said.compat == Compat::default() && said.roots == Roots::default());
        assert!(
            said.unknown_price == UnknownPrice::default() && said.log == config::Log::default()
        );
        assert!(
            said.response_model == ResponseModel::default() && listen.trusted_proxies.is_empty()
        );
        assert_eq!(listen.host.to_string(), "127.0.0.1");
        assert_eq!(said.metrics_key, MetricsKey::Master);
        (
            [u64::from(listen.port), u64::from(listen.connections_max), listen.header_timeout_ms],
            [listen.header_max_bytes as u64, listen.body_max_bytes, listen.drain_delay_ms],
            [listen.drain_timeout_ms, said.peek_timeout_ms, said.first_byte_timeout_ms],
            (said.idle_timeout_ms, said.drain, said.spool),
        )
    };
    assert_eq!(numbers(example), numbers("{}"));
}
