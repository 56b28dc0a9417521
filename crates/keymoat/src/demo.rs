//! The model group that is served when nothing is configured.

use base::{Decimal, Origin, Secret};
use config::{Config, Deployment};
use std::net::SocketAddr;
use std::sync::Arc;

/// What clients ask for.
pub(crate) const MODEL: &str = "demo";

/// Adds the demo to a configuration: a deployment like any other, at the
/// simulator's address, with prices, so that budgets can be tried.
///
/// # Errors
/// Where the catalogue lacks what a demo needs; a defect of ours.
pub(crate) fn add(config: &mut Config, simulator: SocketAddr) -> Result<(), String> {
    let provider =
        catalog::provider("custom_openai").ok_or("the catalogue has no custom_openai")?;
    let base = format!("http://{simulator}/v1");
    let (origin, base_path) = Origin::parse_base(&base).map_err(|error| error.to_string())?;
    let price =
        |name: &str, per_million_usd: i64| (name.to_owned(), Decimal::new(per_million_usd, 6));
    let info = r#"{"id":"demo","mode":"chat"}"#.to_owned();
    config.deployments.push(Deployment {
        id: MODEL.into(),
        model_group: MODEL.into(),
        provider,
        upstream_model: MODEL.into(),
        origin,
        base_path,
        api_key: Some(Arc::new(Secret::new("no-key-is-needed-here".to_owned()))),
        is_default_origin: false,
        api_version: None,
        organization: None,
        weight: None,
        rpm: None,
        tpm: None,
        order: None,
        max_parallel_requests: None,
        timeout_ms: None,
        stream_timeout_ms: None,
        num_retries: None,
        cooldown_ms: None,
        drop_params: None,
        additional_drop_params: Vec::new(),
        provider_headers: Vec::new(),
        extra_headers: Vec::new(),
        extra_body: Vec::new(),
        body_defaults: Vec::new(),
        price_overrides: vec![price("input_cost_per_token", 1), price("output_cost_per_token", 2)],
        base_model: None,
        mode: Some("chat".to_owned()),
        max_output_tokens: Some(4096),
        max_input_tokens: Some(128_000),
        model_info: serde_json::value::RawValue::from_string(info).map_err(|e| e.to_string())?,
    });
    Ok(())
}
