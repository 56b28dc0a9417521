//! What the metrics are fed from, off the request path: spend records by whoever
//! drains the spool, each once; what no record tells, where it went wrong;
//! states, when somebody scrapes.

use base::NanoUsd;
use gateway::Gateway;
use gateway::call::Call;
use gateway::deployment::Deployment;
use gateway::error::class_word;
use gateway::health::State;
use gateway::witness::{Ended, FellBack, Witness};
use http::StatusCode;
use ledger::{Ending, SpendRecord};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use telemetry::metrics::SERIES_MAX;
use telemetry::{Attempt, DeploymentState, Failure, KeyBudget, Metrics, Observation};

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
    let timing = record.timing;
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
        stream: timing.streamed,
        ends_request: ends_request(record.ending),
        total_us: timing.total_us,
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
            upstream_us: timing.upstream_us,
            first_byte_us: timing.first_byte_us,
            overhead_us: timing.overhead_us,
            ..Attempt::default()
        }),
        ..Observation::default()
    }
}

/// Whether no other attempt can follow. Before the first semantic byte one may;
/// a request that ends there is told of by [`Told`].
fn ends_request(ending: Ending) -> bool {
    !matches!(ending, Ending::UpstreamErrorBefore | Ending::Timeout | Ending::Refused)
}

/// Counts what no record tells of.
pub(crate) struct Told(pub(crate) Arc<Metrics>);

impl Witness for Told {
    fn ended(&self, ended: &Ended<'_>) {
        let status = ended.failure.status.as_u16();
        self.0.observe(&Observation {
            route: Some(ended.route.into()),
            status,
            ends_request: true,
            failure: Some(failure(class_word(ended.failure.class), status)),
            ..ended.call.map(caller).unwrap_or_default()
        });
    }

    fn cooled(&self, deployment: &Deployment, status: Option<StatusCode>) {
        // Of the failure only the status is counted.
        let status = status.map_or(500, |status| status.as_u16());
        self.0.cooled_down(facts(deployment), failure("server", status));
    }

    fn fell_back(&self, fell_back: &FellBack<'_>) {
        let FellBack { call, group, answered_by, from } = fell_back;
        let attempt = Attempt { model_group: (*group).into(), ..Attempt::default() };
        let seen = Observation {
            failure: Some(failure(class_word(from.class), from.status.as_u16())),
            attempt: Some(Attempt {
                deployment: answered_by.map_or_else(|| "None".into(), |d| Arc::clone(&d.id)),
                ..attempt
            }),
            ..caller(call)
        };
        self.0.fell_back(&seen, answered_by.is_some());
    }
}

fn failure(word: &str, status: u16) -> Failure {
    Failure { class: class_of(Some(word)).into(), status }
}

/// Whose call it is.
fn caller(call: &Call) -> Observation {
    let owner = &call.principal.owner;
    Observation {
        key_hash: call.principal.key_hash().map(|hash| hash.to_string().into()),
        key_alias: owner.alias.clone(),
        team: owner.team_id.clone(),
        user: owner.user_id.clone(),
        requested_model: Some(Arc::clone(&call.requested_model)),
        ..Observation::default()
    }
}

fn facts(deployment: &Deployment) -> Attempt {
    Attempt {
        model_group: Arc::clone(&deployment.model_group),
        model: Arc::clone(&deployment.upstream_model),
        deployment: Arc::clone(&deployment.id),
        provider: Arc::clone(&deployment.provider_id),
        api_base: Arc::clone(&deployment.api_base),
        ..Attempt::default()
    }
}

/// Sets what is a state and not a count, for whoever scrapes now.
pub(crate) fn levels(gateway: &Gateway, metrics: &Metrics) {
    let (runtime, now_ms) = (gateway.runtime(), gateway.clock().unix_ms());
    let deployments = runtime.routes.groups().flat_map(|group| &group.deployments);
    let deployments = deployments.map(|deployment| {
        let state = match deployment.health.state(gateway.ticks_ms()) {
            State::Healthy => DeploymentState::Healthy,
            State::Failing => DeploymentState::Partial,
            State::Cooling => DeploymentState::Outage,
        };
        (facts(deployment), state)
    });
    let budgets = gateway.budgets(SERIES_MAX).into_iter().map(|(hash, alias, usage)| KeyBudget {
        hash: hash.to_string().into(),
        alias,
        left: NanoUsd(usage.limit.saturating_sub(usage.spent)),
        max: NanoUsd(usage.limit),
        resets_in_ms: usage.resets_at_ms.map(|at| at.saturating_sub(now_ms).max(0).unsigned_abs()),
    });
    metrics.set_levels(deployments, budgets);
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
