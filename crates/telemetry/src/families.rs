//! Which families there are, as data: LiteLLM's names and labels (version
//! 1.83), those that make sense here. The help texts are our own.

use crate::exposition::Kind;

/// LiteLLM's latency buckets, in µs.
const LATENCY_US: &[u64] = &[
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    120_000_000,
    300_000_000,
    420_000_000,
    600_000_000,
];

pub(crate) const COUNT: Kind = Kind::Counter { per_unit: 1 };
const DOLLARS: Kind = Kind::Counter { per_unit: 1_000_000_000 };
pub(crate) const LEVEL: Kind = Kind::Gauge { per_unit: 1 };
const BUDGET: Kind = Kind::Gauge { per_unit: 1_000_000_000 };
const HOURS: Kind = Kind::Gauge { per_unit: 3_600_000 };
const LATENCY: Kind = Kind::Histogram { bounds_us: LATENCY_US };

/// Every label there is, in alphabetical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    ApiBase,
    ApiKeyAlias,
    ApiProvider,
    ClientIp,
    EndUser,
    ExceptionClass,
    ExceptionStatus,
    FallbackModel,
    HashedApiKey,
    LitellmModelName,
    Model,
    ModelGroup,
    ModelId,
    RequestedModel,
    Route,
    ServiceTier,
    StatusCode,
    Team,
    TeamAlias,
    User,
    UserAgent,
    UserEmail,
}

use Label as L;

impl Label {
    pub(crate) fn name(self) -> &'static str {
        match self {
            L::ApiBase => "api_base",
            L::ApiKeyAlias => "api_key_alias",
            L::ApiProvider => "api_provider",
            L::ClientIp => "client_ip",
            L::EndUser => "end_user",
            L::ExceptionClass => "exception_class",
            L::ExceptionStatus => "exception_status",
            L::FallbackModel => "fallback_model",
            L::HashedApiKey => "hashed_api_key",
            L::LitellmModelName => "litellm_model_name",
            L::Model => "model",
            L::ModelGroup => "model_group",
            L::ModelId => "model_id",
            L::RequestedModel => "requested_model",
            L::Route => "route",
            L::ServiceTier => "service_tier",
            L::StatusCode => "status_code",
            L::Team => "team",
            L::TeamAlias => "team_alias",
            L::User => "user",
            L::UserAgent => "user_agent",
            L::UserEmail => "user_email",
        }
    }
}

/// Which family is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    ProxyTotal,
    ProxyFailed,
    Requests,
    Spend,
    InputTokens,
    OutputTokens,
    TotalTokens,
    UpstreamLatency,
    FirstToken,
    TotalLatency,
    Overhead,
    PerOutputToken,
    DeploymentTotal,
    DeploymentSuccess,
    DeploymentFailure,
    DeploymentState,
    CooledDown,
    FallbackSuccess,
    FallbackFailure,
    KeyBudgetLeft,
    KeyBudgetMax,
    KeyBudgetHours,
}

/// A family as data.
pub(crate) struct Spec {
    pub(crate) id: Name,
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
    /// In alphabetical order.
    pub(crate) labels: &'static [Label],
}

const fn spec(
    id: Name,
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: &'static [Label],
) -> Spec {
    Spec { id, name, help, kind, labels }
}

/// In the order in which they are rendered.
pub(crate) const SPECS: &[Spec] = &[
    spec(
        Name::ProxyTotal,
        "litellm_proxy_total_requests_metric",
        "Requests by clients.",
        COUNT,
        &[
            L::ApiKeyAlias,
            L::ApiProvider,
            L::ClientIp,
            L::EndUser,
            L::HashedApiKey,
            L::ModelId,
            L::RequestedModel,
            L::Route,
            L::StatusCode,
            L::Team,
            L::TeamAlias,
            L::User,
            L::UserAgent,
            L::UserEmail,
        ],
    ),
    spec(
        Name::ProxyFailed,
        "litellm_proxy_failed_requests_metric",
        "Requests by clients that got an error.",
        COUNT,
        &[
            L::ApiKeyAlias,
            L::ApiProvider,
            L::ClientIp,
            L::EndUser,
            L::ExceptionClass,
            L::ExceptionStatus,
            L::HashedApiKey,
            L::ModelId,
            L::RequestedModel,
            L::Route,
            L::Team,
            L::TeamAlias,
            L::User,
            L::UserAgent,
            L::UserEmail,
        ],
    ),
    spec(
        Name::Requests,
        "litellm_requests_metric",
        "Requests that a model answered.",
        COUNT,
        &[
            L::ApiKeyAlias,
            L::ApiProvider,
            L::ClientIp,
            L::EndUser,
            L::HashedApiKey,
            L::Model,
            L::ModelId,
            L::RequestedModel,
            L::Team,
            L::TeamAlias,
            L::User,
            L::UserAgent,
            L::UserEmail,
        ],
    ),
    spec(
        Name::Spend,
        "litellm_spend_metric",
        "Spend in US dollars.",
        DOLLARS,
        &[
            L::ApiKeyAlias,
            L::ApiProvider,
            L::ClientIp,
            L::EndUser,
            L::HashedApiKey,
            L::Model,
            L::ModelId,
            L::RequestedModel,
            L::ServiceTier,
            L::Team,
            L::TeamAlias,
            L::User,
            L::UserAgent,
            L::UserEmail,
        ],
    ),
    spec(Name::InputTokens, "litellm_input_tokens_metric", "Tokens in.", COUNT, TOKENS),
    spec(Name::OutputTokens, "litellm_output_tokens_metric", "Tokens out.", COUNT, TOKENS),
    spec(Name::TotalTokens, "litellm_total_tokens_metric", "Tokens in and out.", COUNT, TOKENS),
    spec(
        Name::UpstreamLatency,
        "litellm_llm_api_latency_metric",
        "Seconds from sending a request upstream to the end of its answer.",
        LATENCY,
        LATENCY_LABELS,
    ),
    spec(
        Name::FirstToken,
        "litellm_llm_api_time_to_first_token_metric",
        "Seconds from sending a request upstream to its stream's first piece.",
        LATENCY,
        LATENCY_LABELS,
    ),
    spec(
        Name::TotalLatency,
        "litellm_request_total_latency_metric",
        "Seconds from a request's first byte in to its answer's last byte out.",
        LATENCY,
        LATENCY_LABELS,
    ),
    spec(
        Name::Overhead,
        "litellm_overhead_latency_metric",
        "Seconds that the gateway adds, without the client's sending of its body.",
        LATENCY,
        &[
            L::ApiBase,
            L::ApiKeyAlias,
            L::ApiProvider,
            L::HashedApiKey,
            L::LitellmModelName,
            L::ModelGroup,
            L::ModelId,
        ],
    ),
    spec(
        Name::PerOutputToken,
        "litellm_deployment_latency_per_output_token",
        "Seconds for each token out.",
        LATENCY,
        &[
            L::ApiBase,
            L::ApiKeyAlias,
            L::ApiProvider,
            L::HashedApiKey,
            L::LitellmModelName,
            L::ModelGroup,
            L::ModelId,
            L::Team,
            L::TeamAlias,
        ],
    ),
    spec(
        Name::DeploymentTotal,
        "litellm_deployment_total_requests",
        "Attempts at a deployment.",
        COUNT,
        DEPLOYMENT,
    ),
    spec(
        Name::DeploymentSuccess,
        "litellm_deployment_success_responses",
        "Attempts at a deployment that succeeded.",
        COUNT,
        DEPLOYMENT,
    ),
    spec(
        Name::DeploymentFailure,
        "litellm_deployment_failure_responses",
        "Attempts at a deployment that failed.",
        COUNT,
        &[
            L::ApiBase,
            L::ApiKeyAlias,
            L::ApiProvider,
            L::ClientIp,
            L::ExceptionClass,
            L::ExceptionStatus,
            L::HashedApiKey,
            L::LitellmModelName,
            L::ModelGroup,
            L::ModelId,
            L::RequestedModel,
            L::Team,
            L::TeamAlias,
            L::UserAgent,
        ],
    ),
    spec(
        Name::DeploymentState,
        "litellm_deployment_state",
        "How a deployment fares: 0 healthy, 1 its last attempt failed, 2 cooling down.",
        LEVEL,
        &[L::ApiBase, L::ApiProvider, L::LitellmModelName, L::ModelId],
    ),
    spec(
        Name::CooledDown,
        "litellm_deployment_cooled_down",
        "Times that a deployment was sent into cooldown.",
        COUNT,
        &[L::ApiBase, L::ApiProvider, L::ExceptionStatus, L::LitellmModelName, L::ModelId],
    ),
    spec(
        Name::FallbackSuccess,
        "litellm_deployment_successful_fallbacks",
        "Fallbacks that succeeded.",
        COUNT,
        FALLBACK,
    ),
    spec(
        Name::FallbackFailure,
        "litellm_deployment_failed_fallbacks",
        "Fallbacks that failed, too.",
        COUNT,
        FALLBACK,
    ),
    spec(
        Name::KeyBudgetLeft,
        "litellm_remaining_api_key_budget_metric",
        "What is left of a key's budget, in US dollars.",
        BUDGET,
        KEY,
    ),
    spec(
        Name::KeyBudgetMax,
        "litellm_api_key_max_budget_metric",
        "A key's budget, in US dollars.",
        BUDGET,
        KEY,
    ),
    spec(
        Name::KeyBudgetHours,
        "litellm_api_key_budget_remaining_hours_metric",
        "Hours until a key's budget begins anew.",
        HOURS,
        KEY,
    ),
];

const TOKENS: &[Label] = &[
    L::ApiKeyAlias,
    L::ApiProvider,
    L::EndUser,
    L::HashedApiKey,
    L::Model,
    L::ModelId,
    L::RequestedModel,
    L::Team,
    L::TeamAlias,
    L::User,
    L::UserEmail,
];

const LATENCY_LABELS: &[Label] = &[
    L::ApiKeyAlias,
    L::ApiProvider,
    L::EndUser,
    L::HashedApiKey,
    L::Model,
    L::ModelGroup,
    L::ModelId,
    L::RequestedModel,
    L::ServiceTier,
    L::Team,
    L::TeamAlias,
    L::User,
];

const DEPLOYMENT: &[Label] = &[
    L::ApiBase,
    L::ApiKeyAlias,
    L::ApiProvider,
    L::ClientIp,
    L::HashedApiKey,
    L::LitellmModelName,
    L::ModelGroup,
    L::ModelId,
    L::RequestedModel,
    L::Team,
    L::TeamAlias,
    L::UserAgent,
];

const FALLBACK: &[Label] = &[
    L::ApiKeyAlias,
    L::ExceptionClass,
    L::ExceptionStatus,
    L::FallbackModel,
    L::HashedApiKey,
    L::ModelId,
    L::RequestedModel,
    L::Team,
    L::TeamAlias,
];

const KEY: &[Label] = &[L::ApiKeyAlias, L::HashedApiKey];

#[cfg(test)]
mod tests {
    use super::SPECS;

    #[test]
    fn labels_stand_in_order_and_no_family_twice() {
        for (index, spec) in SPECS.iter().enumerate() {
            let names: Vec<_> = spec.labels.iter().map(|label| label.name()).collect();
            assert!(names.is_sorted(), "{}", spec.name);
            let twice = SPECS.iter().skip(index + 1).any(|other| other.id == spec.id);
            assert!(!twice, "{}", spec.name);
        }
    }
}
