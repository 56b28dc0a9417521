//! One configuration, ready to serve: what a request sees from beginning to
//! end. A reload makes another one and swaps it in whole; requests under way
//! keep theirs.

use crate::body::{BodyLimits, Budgets};
use crate::deployment::{Deployment, Facts, Timeouts, full_name};
use crate::error::Compat;
use crate::health::{CooldownRules, Health};
use crate::proxy_budget::{self, Plan, Tally};
use crate::routing::{Alias, Routes};
use crate::rules::KeyLimits;
use base::{KeyHash, NanoUsd, Redactor};
use catalog::{Auth, Prices};
use config::{Config, MetricsKey, ResponseModel, UnknownPrice};
use dialect::Endpoint;
use egress::{Egress, Policy, Reach};
use http::{HeaderName, HeaderValue};
use ledger::{Allowance, Book, Cell, Opening, Subject};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vault::{AuthScheme, Credential};

/// See the module.
pub struct Runtime {
    /// Where models are served.
    pub routes: Routes,
    /// The way out to the origins of these deployments. A running call keeps
    /// it, so that its retries may go where the call was allowed to go.
    pub egress: Egress,
    /// Whose spelling of errors.
    pub compat: Compat,
    /// The administrator's key as it is stored.
    pub master: KeyHash,
    /// The only header that carries keys, where one is configured.
    pub key_header_name: Option<String>,
    /// Retries of a group that says nothing itself.
    pub num_retries: u32,
    /// The shortest pause before a retry.
    pub retry_after_ms: u64,
    /// Groups to try after a group failed.
    pub fallbacks: Fallbacks,
    /// After any group without its own.
    pub default_fallbacks: Vec<String>,
    /// After a prompt was too long.
    pub context_window_fallbacks: Fallbacks,
    /// After a prompt was refused by a policy.
    pub content_policy_fallbacks: Fallbacks,
    /// Fallback groups in one call.
    pub max_fallbacks: u32,
    /// When deployments are left alone.
    pub cooldown: CooldownRules,
    /// Leave out what an upstream cannot honour.
    pub drop_params: bool,
    /// Show the model group in answers, not the upstream's name.
    pub shows_group: bool,
    /// What a call without a known price is reserved and charged at; none
    /// refuses it under a cap.
    pub unknown_price: Option<NanoUsd>,
    /// How long the first event is awaited before a 200 goes out.
    pub peek: Duration,
    /// For a whole call.
    pub total_ms: u64,
    /// To the first byte.
    pub first_byte_ms: u64,
    /// Between two pieces of a stream.
    pub idle_ms: u64,
    /// For a whole stream.
    pub stream_max: Duration,
    /// A client's own output limit is not lowered below this.
    pub output_floor_tokens: u64,
    /// Share of a shared budget that one key's estimated charges may reach.
    pub estimated_share_max_percent: u32,
    /// Whether each retry counts against the limits on requests.
    pub retries_count_as_requests: bool,
    /// The largest unary answer.
    pub answer_max_bytes: usize,
    /// How much a request body may hold.
    pub body: BodyLimits,
    /// How long, and for how much, an answer is read whose client has gone.
    pub drain: config::Drain,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<config::Cidr>,
    /// What binds every request: the proxy's own caps.
    pub proxy_admission: Vec<Arc<Cell>>,
    /// What binds every attempt: the proxy's own budget.
    pub proxy_permit: Vec<Arc<Cell>>,
    /// Where the proxy's spending is counted, limited or not: the cell of
    /// `proxy_permit` where there is a budget.
    pub proxy_tally: Tally,
    /// How long a key that was read from the store is believed.
    pub key_cache_ttl: Option<Duration>,
    /// Whether `/metrics` wants a key.
    pub metrics_need_key: bool,
    /// Whether the one that it wants may be any.
    pub metrics_take_any_key: bool,
    /// Who may send requests, and what each must say.
    pub rules: config::Rules,
    /// Limits of new keys where the caller says none.
    pub key_defaults: KeyLimits,
    /// Highest limits that a key may be given.
    pub key_ceilings: KeyLimits,
}

impl Runtime {
    /// Returns true if a fallback is configured for a name that nobody
    /// configured.
    pub fn has_fallback_for_any(&self, model: &str) -> bool {
        !self.default_fallbacks.is_empty() || self.fallbacks.of(model).is_some()
    }
}

/// What outlives a reload.
#[derive(Default)]
pub struct Lasting {
    health: Mutex<HashMap<Arc<str>, Arc<Health>>>,
    budgets: Budgets,
}

impl Lasting {
    fn health(&self, id: &Arc<str>) -> Arc<Health> {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(health.entry(Arc::clone(id)).or_default())
    }
}

/// Chains of groups by the group that failed; `*` stands for any.
#[derive(Default)]
pub struct Fallbacks(HashMap<String, Vec<String>>);

impl Fallbacks {
    /// The chain of `group`: its own, that of its name without a provider
    /// prefix, or that of `*`.
    pub fn of(&self, group: &str) -> Option<&[String]> {
        let bare = group.split_once('/').map_or(group, |(_, bare)| bare);
        [group, bare, "*"].iter().find_map(|name| self.0.get(*name)).map(Vec::as_slice)
    }

    /// Whether no group has one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn new(fallbacks: &[config::Fallback]) -> Self {
        let chain = |f: &config::Fallback| {
            (f.model_group.to_string(), f.to.iter().map(ToString::to_string).collect())
        };
        Self(fallbacks.iter().map(chain).collect())
    }
}

/// Unary answers are read whole, up to this: embeddings of large batches are
/// tens of megabytes.
const ANSWER_MAX_BYTES: usize = 256 << 20;

/// Bodies above this wait on disk while they arrive.
const BODY_MEMORY_MAX_BYTES: usize = 1 << 20;

/// A configuration made ready.
pub struct Prepared {
    /// What requests see.
    pub runtime: Runtime,
    /// What must never be shown.
    pub redactor: Redactor,
}

/// A configuration whose deployments are built. Building one changes nothing
/// that is being served.
pub struct Built<'c> {
    config: &'c Config,
    deployments: Vec<Deployment>,
    policy: Policy,
    redactor: Redactor,
    key_defaults: KeyLimits,
    key_ceilings: KeyLimits,
}

/// A configuration that cannot be served: one line for each reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Unservable(pub Vec<String>);

/// Builds the deployments of a checked configuration, without any effect on
/// what is being served. `check-config` reports the same errors.
///
/// # Errors
/// Every reason why the configuration cannot be served; all other checks
/// belong to `config`.
pub fn build(config: &Config) -> Result<Built<'_>, Unservable> {
    let mut policy = Policy::default();
    let mut deployments = Vec::with_capacity(config.deployments.len());
    let mut problems = Vec::new();
    for configured in &config.deployments {
        match deployment(configured, config) {
            Ok(deployment) => {
                let named = !configured.is_default_origin || configured.provider.local;
                let reach = if named { Reach::Named } else { Reach::Public };
                policy.allow(deployment.origin.clone(), reach);
                deployments.push(deployment);
            }
            Err(problem) => {
                problems.push(format!("deployment `{}`: {problem}", configured.model_group));
            }
        }
    }
    problems.extend(proxy_budget::check(config).err());
    let mut limits = |limits| {
        let read = KeyLimits::new(limits);
        read.map_err(|problem| problems.push(problem)).unwrap_or_default()
    };
    let key_defaults = limits(&config.access.key_defaults);
    let key_ceilings = limits(&config.access.key_ceilings);
    if problems.is_empty() {
        let redactor = Redactor::new(config.secrets());
        Ok(Built { config, deployments, policy, redactor, key_defaults, key_ceilings })
    } else {
        Err(Unservable(problems))
    }
}

/// Puts a built configuration into effect on the accounts that are shared with
/// the configuration before it. Cannot fail, so a reload is all or nothing.
pub fn apply(
    built: Built<'_>,
    egress: &Egress,
    lasting: &Lasting,
    book: &Book,
    proxy_budget: Plan,
    spool_dir: &Path,
    master: KeyHash,
) -> Prepared {
    let Built { config, mut deployments, policy, redactor, key_defaults, key_ceilings } = built;
    for (deployment, configured) in deployments.iter_mut().zip(&config.deployments) {
        let limit = configured.max_parallel_requests.or(config.routing.max_parallel_requests);
        deployment.in_flight = limit.map(|limit| {
            let subject = Subject::Deployment(Arc::clone(&configured.id));
            book.open(Allowance::in_flight(subject, u64::from(limit)), Opening::default())
        });
        deployment.health = lasting.health(&configured.id);
    }
    let routing = &config.routing;
    let settings = &config.settings;
    let alias = |a: &config::Alias| {
        (a.name.to_string(), Alias { group: a.model_group.to_string(), hidden: a.hidden })
    };
    let access = &config.access;
    let proxy_in_flight = access.global_max_parallel_requests.map(|limit| {
        book.open(Allowance::in_flight(Subject::Proxy, u64::from(limit)), Opening::default())
    });
    let (proxy_tally, proxy_permit) = proxy_budget.apply(book);
    let runtime = Runtime {
        egress: egress.allowing(&policy),
        routes: Routes::new(deployments, &config.left_out, routing.aliases.iter().map(alias)),
        compat: match settings.compat {
            config::Compat::V1_83 => Compat::V1_83,
            config::Compat::V1_109 => Compat::V1_109,
        },
        master,
        key_header_name: access.key_header.clone(),
        num_retries: routing.num_retries,
        retry_after_ms: routing.retry_after_ms,
        fallbacks: Fallbacks::new(&routing.fallbacks),
        default_fallbacks: routing.default_fallbacks.iter().map(ToString::to_string).collect(),
        context_window_fallbacks: Fallbacks::new(&routing.context_window_fallbacks),
        content_policy_fallbacks: Fallbacks::new(&routing.content_policy_fallbacks),
        max_fallbacks: routing.max_fallbacks,
        cooldown: CooldownRules {
            disabled: routing.disable_cooldowns || routing.cooldown_ms == 0,
            cooldown_ms: i64::try_from(routing.cooldown_ms).unwrap_or(i64::MAX),
            allowed_fails: routing.allowed_fails,
        },
        drop_params: routing.drop_params,
        shows_group: settings.response_model == ResponseModel::Group,
        unknown_price: match settings.unknown_price {
            UnknownPrice::Refuse => None,
            UnknownPrice::CeilingPerCall(dollars) => Some(dollars.into()),
        },
        peek: Duration::from_millis(settings.peek_timeout_ms),
        total_ms: routing.timeout_ms,
        first_byte_ms: routing.stream_timeout_ms.unwrap_or(settings.first_byte_timeout_ms),
        idle_ms: settings.idle_timeout_ms,
        stream_max: Duration::from_millis(settings.stream_max_ms),
        output_floor_tokens: settings.output_floor_tokens,
        estimated_share_max_percent: settings.estimated_share_max_percent,
        retries_count_as_requests: settings.retries_count_as_requests,
        answer_max_bytes: ANSWER_MAX_BYTES,
        body: BodyLimits {
            max_bytes: usize::try_from(settings.listen.body_max_bytes).unwrap_or(usize::MAX),
            memory_max_bytes: BODY_MEMORY_MAX_BYTES,
            spool_dir: spool_dir.to_owned(),
            budgets: lasting.budgets.clone(),
        },
        drain: settings.drain,
        trusted_proxies: settings.listen.trusted_proxies.clone(),
        proxy_admission: proxy_in_flight.into_iter().collect(),
        proxy_permit: proxy_permit.into_iter().collect(),
        proxy_tally,
        key_cache_ttl: access.key_cache_ttl_ms.map(Duration::from_millis),
        metrics_need_key: access.metrics_need_key,
        metrics_take_any_key: settings.metrics_key == MetricsKey::Any,
        rules: access.rules.clone(),
        key_defaults,
        key_ceilings,
    };
    Prepared { runtime, redactor }
}

/// Builds a deployment whose limit in flight and health [`apply`] sets.
fn deployment(configured: &config::Deployment, config: &Config) -> Result<Deployment, String> {
    let own_prices = own_prices(configured)?;
    let name = configured.base_model.as_deref().unwrap_or(&configured.upstream_model);
    let mut facts = Facts::of(configured.provider, name, own_prices.as_ref());
    facts.max_input_tokens = configured.max_input_tokens.or(facts.max_input_tokens);
    facts.max_output_tokens = configured.max_output_tokens.or(facts.max_output_tokens);
    let shown_base = format!("{}{}", configured.origin, configured.base_path);
    Ok(Deployment {
        id: Arc::clone(&configured.id),
        model_group: Arc::clone(&configured.model_group),
        provider: configured.provider,
        provider_id: configured.provider.id.into(),
        upstream_model: full_name(configured.provider, &configured.upstream_model),
        api_version: configured.api_version.clone(),
        origin: configured.origin.clone(),
        is_own_origin: configured.is_default_origin,
        api_base: configured.origin.to_string().into(),
        base_path: configured.base_path.as_str().into(),
        credential: credential(configured, configured.provider.auth)?,
        endpoint_credentials: endpoint_credentials(configured)?,
        weight: weight(configured, &config.deployments),
        order: configured.order.unwrap_or(1),
        in_flight: None,
        num_retries: configured.num_retries,
        timeouts: Timeouts {
            total_ms: configured.timeout_ms,
            first_byte_ms: configured.stream_timeout_ms,
        },
        cooldown_ms: configured.cooldown_ms.and_then(|ms| i64::try_from(ms).ok()),
        drop_params: configured.drop_params.unwrap_or(false),
        additional_drop_params: configured.additional_drop_params.clone(),
        body_defaults: json_fields(&configured.body_defaults),
        extra_body: json_fields(&configured.extra_body),
        extra_headers: extra_headers(configured)?,
        own_prices,
        base_model: configured.base_model.clone(),
        mode: configured.mode.clone(),
        facts,
        health: Arc::default(),
        id_header: header_value(&configured.id)?,
        api_base_header: header_value(&shown_base)?,
        model_info: configured.model_info.clone(),
    })
}

fn json_fields(
    fields: &[(String, Box<serde_json::value::RawValue>)],
) -> Vec<(String, dialect::Json)> {
    fields.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
}

fn own_prices(configured: &config::Deployment) -> Result<Option<Prices>, String> {
    if configured.price_overrides.is_empty() {
        return Ok(None);
    }
    let fields = configured.price_overrides.iter().map(|(name, price)| (name.as_str(), *price));
    Prices::from_overrides(fields).map(Some).map_err(|error| error.to_string())
}

/// Credentials for the endpoints that take the key in another way than the rest.
fn endpoint_credentials(
    configured: &config::Deployment,
) -> Result<Vec<(Endpoint, Credential)>, String> {
    let provider = configured.provider;
    let others = provider.endpoints().iter().filter(|served| served.auth != provider.auth);
    let mut credentials = Vec::new();
    for served in others {
        if let Some(credential) = credential(configured, served.auth)? {
            credentials.push((served.endpoint, credential));
        }
    }
    Ok(credentials)
}

fn credential(configured: &config::Deployment, auth: Auth) -> Result<Option<Credential>, String> {
    let own = configured.extra_headers.iter();
    let own = || own.clone().filter(|(name, _)| vault::carries_credential(name));
    if configured.api_key.is_none() && own().next().is_none() {
        return Ok(None);
    }
    let scheme = match auth {
        Auth::Bearer => AuthScheme::Bearer,
        Auth::Header(name) => AuthScheme::Header(HeaderName::from_static(name)),
    };
    // Named after what it opens, never after what it is.
    let id = format!("{}@{}", configured.provider.id, configured.origin);
    let (id, origins) = (id.into(), vec![configured.origin.clone()]);
    let credential = match &configured.api_key {
        Some(key) => Credential::new(id, scheme, key, origins),
        None => Ok(Credential::without_key(id, origins)),
    };
    own()
        .try_fold(credential.map_err(|error| error.to_string())?, |credential, (name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| e.to_string())?;
            credential.and_header(name, value).map_err(|e| e.to_string())
        })
        .map(Some)
}

/// LiteLLM's rule: if any deployment of the group has a weight, weights count;
/// else requests a minute; else tokens a minute; else all are equal.
fn weight(configured: &config::Deployment, all: &[config::Deployment]) -> u32 {
    let group = || all.iter().filter(|d| d.model_group == configured.model_group);
    let share = if group().any(|d| d.weight.is_some_and(|weight| weight > 0)) {
        configured.weight.map(u64::from).unwrap_or_default()
    } else if group().any(|d| d.rpm.is_some()) {
        configured.rpm.unwrap_or_default()
    } else if group().any(|d| d.tpm.is_some()) {
        configured.tpm.unwrap_or_default()
    } else {
        1
    };
    u32::try_from(share).unwrap_or(u32::MAX)
}

fn extra_headers(
    configured: &config::Deployment,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    // Those that carry a credential are the credential's: see `credential`.
    let own = configured.extra_headers.iter();
    let own = own.filter(|(name, _)| !vault::carries_credential(name));
    let own = own.map(|(name, value)| (name.as_str(), value.expose()));
    let provider = configured.provider_headers.iter().map(|(name, value)| (*name, value.as_str()));
    let organization =
        configured.organization.as_deref().map(|value| ("openai-organization", value));
    organization
        .into_iter()
        .chain(provider)
        .chain(own)
        .map(|(name, value)| {
            let unfit = |_| format!("the header `{name}` cannot be sent as it is written");
            let header =
                HeaderName::from_bytes(name.as_bytes()).map_err(|e| unfit(e.to_string()))?;
            let mut value = HeaderValue::from_str(value).map_err(|e| unfit(e.to_string()))?;
            value.set_sensitive(true);
            Ok((header, value))
        })
        .collect()
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|_| format!("`{text}` cannot stand in a header"))
}

#[cfg(test)]
mod tests {
    use super::Fallbacks;
    use std::collections::HashMap;

    #[test]
    fn a_fallback_chain_is_found_by_name_then_bare_name_then_star() {
        let chain = |to: &str| vec![to.to_owned()];
        let fallbacks = Fallbacks(HashMap::from([
            ("openai/gpt".to_owned(), chain("a")),
            ("gpt".to_owned(), chain("b")),
            ("*".to_owned(), chain("c")),
        ]));
        assert_eq!(fallbacks.of("openai/gpt"), Some(chain("a").as_slice()));
        assert_eq!(fallbacks.of("azure/gpt"), Some(chain("b").as_slice()));
        assert_eq!(fallbacks.of("claude"), Some(chain("c").as_slice()));
        assert_eq!(Fallbacks::default().of("claude"), None);
    }
}
