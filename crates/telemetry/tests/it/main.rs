//! Metrics as a scraper sees them.

use base::NanoUsd;
use std::path::PathBuf;
use telemetry::{Attempt, DeploymentState, Failure, KeyBudget, Metrics, Observation};

/// A plain success through the deployment `dep-1`.
fn success() -> Observation {
    Observation {
        key_hash: Some("88dc28".into()),
        key_alias: Some("ci".into()),
        team: Some("team-1".into()),
        requested_model: Some("gpt".into()),
        route: Some("/chat/completions".into()),
        status: 200,
        stream: true,
        ends_request: true,
        total_us: 1_250_000,
        attempt: Some(Attempt {
            model_group: "gpt".into(),
            model: "gpt-5".into(),
            deployment: "dep-1".into(),
            provider: "openai".into(),
            api_base: "https://api.openai.com/v1".into(),
            input_tokens: 1_000_000,
            output_tokens: 500,
            cost: NanoUsd(12_500_000),
            upstream_us: 1_200_000,
            first_byte_us: Some(250_000),
            overhead_us: 900,
            ..Attempt::default()
        }),
        ..Observation::default()
    }
}

fn rate_limited() -> Failure {
    Failure { class: "RateLimitError".into(), status: 429 }
}

#[test]
fn the_text_is_the_golden_one() {
    let metrics = Metrics::new();
    metrics.observe(&success());
    // A first attempt that is rate limited, its fallback that fails, and a
    // request that never got that far.
    let mut first = success();
    let attempt = first.attempt.as_mut().unwrap();
    (attempt.cost, attempt.input_tokens, attempt.output_tokens) = (NanoUsd::ZERO, 0, 0);
    (first.failure, first.ends_request) = (Some(rate_limited()), false);
    let mut second = first.clone();
    let attempt = second.attempt.as_mut().unwrap();
    (attempt.deployment, attempt.model_group) = ("dep-2".into(), "gpt-backup".into());
    second.failure = Some(Failure { class: "Timeout".into(), status: 408 });
    (second.status, second.ends_request) = (408, true);
    let refused = Observation {
        status: 401,
        ends_request: true,
        failure: Some(Failure { class: "ProxyException".into(), status: 401 }),
        ..Observation::default()
    };
    metrics.observe_all(&[first.clone(), second.clone(), refused]);
    let deployment = |seen: &Observation| seen.attempt.clone().unwrap();
    metrics.cooled_down(deployment(&first), rate_limited());
    metrics.fell_back(&Observation { failure: Some(rate_limited()), ..second.clone() }, false);
    let budget = |hash: &str| KeyBudget {
        hash: hash.into(),
        alias: Some("ci".into()),
        left: NanoUsd(-1_500_000_000),
        max: NanoUsd(10_000_000_000),
        resets_in_ms: Some(5_400_000),
    };
    metrics.set_levels([(deployment(&second), DeploymentState::Partial)], [budget("gone")]);
    // What is not there any more is not shown any more.
    metrics.set_levels([(deployment(&first), DeploymentState::Outage)], [budget("88dc28")]);
    metrics.gauges.spool_records.store(3, std::sync::atomic::Ordering::Relaxed);
    metrics.gauges.canary_uses.store(1, std::sync::atomic::Ordering::Relaxed);
    metrics.gauges.log_lines_dropped.store(2, std::sync::atomic::Ordering::Relaxed);

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/metrics.txt");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, metrics.render()).unwrap();
    }
    assert_eq!(metrics.render(), std::fs::read_to_string(path).unwrap());
}

#[test]
fn label_values_that_clients_choose_cannot_grow_the_text_without_end() {
    let metrics = Metrics::with_series_max(10);
    let mut batch = Vec::new();
    for number in 0..1000 {
        let mut seen = success();
        seen.end_user = Some(format!("user-{number}").into());
        batch.push(seen);
    }
    metrics.observe_all(&batch);
    let text = metrics.render();
    let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(lines("litellm_requests_metric_total{"), 11);
    assert_eq!(lines("litellm_llm_api_latency_metric_count{"), 11);
    let other = text
        .lines()
        .find(|line| line.starts_with("litellm_spend_metric_total{api_key_alias=\"other\""))
        .unwrap();
    assert!(other.ends_with("user_email=\"other\"} 12.375"), "{other}");
}

#[test]
fn names_that_clients_make_up_are_bounded_in_number_and_length() {
    let metrics = Metrics::new();
    for number in 0..3_000 {
        let mut seen = success();
        let attempt = seen.attempt.as_mut().unwrap();
        attempt.model = format!("{number}-{}", "é".repeat(5_000)).into();
        attempt.model_group = attempt.model.clone();
        seen.requested_model = Some(attempt.model.clone());
        metrics.observe(&seen);
    }
    let text = metrics.render();
    let spent: Vec<&str> =
        text.lines().filter(|line| line.starts_with("litellm_spend_metric_total{")).collect();
    assert_eq!(spent.len(), telemetry::metrics::NAMES_MAX + 1);
    assert!(spent.iter().all(|line| line.len() < 1_000), "no label is long");
    let other = spent.iter().find(|line| line.contains("model=\"other\"")).unwrap();
    assert!(other.ends_with(" 25.0"), "2,000 at 0.0125 each: {other}");
}
