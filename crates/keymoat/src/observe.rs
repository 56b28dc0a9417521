//! From spend records to metrics, off the request path: whoever drains the
//! spool calls this with every batch, each record once.

use ledger::{Ending, SpendRecord};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use telemetry::{Attempt, Failure, Metrics, Observation};

/// Counts every record that is drained.
pub(crate) fn observer(metrics: Arc<Metrics>) -> store::Observer {
    Box::new(move |records| {
        // A decoy is no deployment's; the request was told of by `on_failure`.
        let (decoys, attempts): (Vec<_>, Vec<_>) = records.iter().partition(|record| {
            record.error_class.as_deref() == Some(gateway::canary::ERROR_CLASS)
        });
        let uses = i64::try_from(decoys.len()).unwrap_or(i64::MAX);
        metrics.gauges.canary_uses.fetch_add(uses, Ordering::Relaxed);
        let seen: Vec<Observation> = attempts.into_iter().map(observation).collect();
        metrics.observe_all(&seen);
    })
}

fn observation(record: &SpendRecord) -> Observation {
    let us = |ms: i64| u64::try_from(ms).unwrap_or_default().saturating_mul(1000);
    let total_us = us(record.end_ms - record.start_ms);
    let failure = (!record.ending.is_success()).then(|| Failure {
        class: class(record).into(),
        status: if record.status < 400 { 500 } else { record.status },
    });
    Observation {
        key_hash: record.key_hash.map(|hash| hash.to_string().into()),
        key_alias: record.key_alias.clone(),
        team: record.team_id.clone(),
        user: record.user_id.clone(),
        requested_model: Some(Arc::clone(&record.model_group)),
        route: Some(route(&record.call_type).into()),
        status: record.status,
        stream: false,
        ends_request: ends_request(record.ending),
        total_us,
        failure,
        attempt: Some(Attempt {
            model_group: Arc::clone(&record.model_group),
            model: Arc::clone(&record.upstream_model),
            deployment: Arc::clone(&record.deployment_id),
            provider: Arc::clone(&record.provider),
            api_base: Arc::clone(&record.api_base),
            input_tokens: record.usage.input,
            output_tokens: record.usage.output,
            cost: record.cost,
            upstream_us: total_us,
            first_byte_us: record.first_byte_ms.map(|at| us(at - record.start_ms)),
            ..Attempt::default()
        }),
        ..Observation::default()
    }
}

/// Whether no other attempt can follow. Before the first semantic byte one may;
/// a request that ends there is told of by [`on_failure`].
fn ends_request(ending: Ending) -> bool {
    !matches!(
        ending,
        Ending::UpstreamErrorBefore | Ending::Timeout | Ending::Refused | Ending::HedgeLoser
    )
}

/// Counts every request that ended without an answer.
pub(crate) fn on_failure(metrics: Arc<Metrics>) -> gateway::OnFailure {
    Box::new(move |ended| {
        let key = ended.call.and_then(|call| call.principal.key.as_ref());
        let text = |field: &Option<String>| field.as_deref().map(Arc::from);
        let status = ended.failure.status.as_u16();
        let word = gateway::error::class_word(ended.failure.class);
        metrics.observe_all(&[Observation {
            key_hash: key.map(|key| key.hash.to_string().into()),
            key_alias: key.and_then(|key| text(&key.alias)),
            team: key.and_then(|key| text(&key.team_id)),
            user: key.and_then(|key| text(&key.user_id)),
            requested_model: ended.call.map(|call| Arc::clone(&call.requested_model)),
            route: Some(ended.route.into()),
            status,
            ends_request: true,
            failure: Some(Failure { class: class_of(Some(word)).into(), status }),
            ..Observation::default()
        }]);
    })
}

/// LiteLLM's exception classes.
fn class(record: &SpendRecord) -> &'static str {
    if record.error_class.is_none() && record.ending == Ending::Timeout {
        return "Timeout";
    }
    class_of(record.error_class.as_deref())
}

fn class_of(word: Option<&str>) -> &'static str {
    match word {
        Some("bad_request") => "BadRequestError",
        Some("context_length") => "ContextWindowExceededError",
        Some("content_policy") => "ContentPolicyViolationError",
        Some("authentication") => "AuthenticationError",
        Some("permission") => "PermissionDeniedError",
        Some("not_found") => "NotFoundError",
        Some("rate_limit" | "billing") => "RateLimitError",
        Some("overloaded") => "ServiceUnavailableError",
        Some("timeout") => "Timeout",
        Some("connection") => "APIConnectionError",
        _ => "InternalServerError",
    }
}

fn route(call_type: &str) -> &'static str {
    match call_type {
        "atext_completion" => "/completions",
        "aembedding" => "/embeddings",
        "anthropic_messages" => "/v1/messages",
        "acount_tokens" => "/v1/messages/count_tokens",
        _ => "/chat/completions",
    }
}
