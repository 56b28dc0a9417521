//! The checked configuration: what the rest of Keymoat is wired from.
//!
//! Nothing here can be half right: what did not check is not in it, and the
//! report says why. Types that hold secrets have no `Debug`.

use crate::cidr::Cidr;
use crate::report::LeftOut;
use crate::settings::Settings;
use base::{Decimal, NanoUsd, Origin, Secret};
use catalog::Provider;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Everything that the files and the environment say.
pub struct Config {
    /// In the order of the file; never two with one id.
    pub deployments: Vec<Deployment>,
    /// Those that are not served, each with the reason, in the order of the
    /// file.
    pub left_out: Vec<LeftOut>,
    /// How a model group's deployments are chosen, retried and replaced.
    pub routing: Routing,
    /// Who may come in, and how much of everything.
    pub access: Access,
    /// Our own settings, from `keymoat:`.
    pub settings: Settings,
}

impl Config {
    /// Every secret in it, for redaction.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let deployments = self.deployments.iter().flat_map(Deployment::secrets);
        let tls = self.settings.listen.tls.as_ref().map(|tls| &*tls.key_pem);
        self.access.master_key.as_deref().into_iter().chain(tls).chain(deployments)
    }
}

/// One way to reach a model: a provider's model at an origin with a key.
pub struct Deployment {
    /// `model_info.id`, or 32 hex digits made from the parameters that are no
    /// secrets; the header `x-litellm-model-id`.
    pub id: Arc<str>,
    /// What clients ask for; may hold one `*`.
    pub model_group: Arc<str>,
    /// Whose wire format, quirks and prices apply.
    pub provider: &'static Provider,
    /// The provider's own name, without prefix; may hold one `*`, which
    /// stands for what the `*` of `model_group` matched.
    pub upstream_model: Arc<str>,
    /// The only place that `api_key` may go.
    pub origin: Origin,
    /// What comes before the endpoint's path, as `/v1`; no slash at the end.
    pub base_path: String,
    /// `None` where the provider takes none, or the file says so.
    pub api_key: Option<Arc<Secret>>,
    /// Whether `origin` is the provider's own (from its entry or its base URL
    /// variable) and not one that this deployment names.
    pub is_default_origin: bool,
    /// Sent where the provider's API is versioned by parameter.
    pub api_version: Option<String>,
    /// The header `OpenAI-Organization`.
    pub organization: Option<String>,
    /// Share in the shuffle; wins over `rpm` and `tpm`.
    pub weight: Option<u32>,
    /// Requests a minute, as a share in the shuffle.
    pub rpm: Option<u64>,
    /// Tokens a minute, as a share in the shuffle.
    pub tpm: Option<u64>,
    /// Lower is tried first.
    pub order: Option<u32>,
    /// Requests in flight; `None`: [`Routing::max_parallel_requests`].
    pub max_parallel_requests: Option<u32>,
    /// Whole call; `None`: [`Routing::timeout_ms`].
    pub timeout_ms: Option<u64>,
    /// To the first event of a stream; `None`: [`Routing::stream_timeout_ms`].
    pub stream_timeout_ms: Option<u64>,
    /// Retries of a call that began here; `None`: [`Routing::num_retries`].
    pub num_retries: Option<u32>,
    /// `None`: [`Routing::cooldown_ms`]; 0: never cooled down.
    pub cooldown_ms: Option<u64>,
    /// `None`: [`Routing::drop_params`].
    pub drop_params: Option<bool>,
    /// Request parameters that are always left out, as
    /// `response_format` or `tools[*].function.strict`.
    pub additional_drop_params: Vec<String>,
    /// What the provider's entry says to send with each request, its
    /// variables filled in; names in lower case.
    pub provider_headers: Vec<(&'static str, String)>,
    /// Sent with each request; names in lower case, values kept as secrets.
    pub extra_headers: Vec<(String, Arc<Secret>)>,
    /// Set in each request body, whatever the client said.
    pub extra_body: Vec<(String, Box<RawValue>)>,
    /// Set in a request body where the client said nothing.
    pub body_defaults: Vec<(String, Box<RawValue>)>,
    /// Price-map fields with this deployment's own price in US dollars, exact.
    pub price_overrides: Vec<(String, Decimal)>,
    /// The name to look the price up under.
    pub base_model: Option<String>,
    /// `chat`, `embedding`, … as in the price map.
    pub mode: Option<String>,
    /// Largest output, where it differs from the price map.
    pub max_output_tokens: Option<u64>,
    /// Context window for input, where it differs from the price map.
    pub max_input_tokens: Option<u64>,
    /// `model_info` as it was written, an object; for `/model/info`.
    pub model_info: Box<RawValue>,
}

impl Deployment {
    /// Whether the model group is a pattern.
    pub fn is_wildcard(&self) -> bool {
        self.model_group.contains('*')
    }

    /// The key and the values of extra headers.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let headers = self.extra_headers.iter().map(|(_, value)| &**value);
        self.api_key.as_deref().into_iter().chain(headers)
    }
}

/// Another name for a model group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// What clients ask for.
    pub name: Arc<str>,
    /// What they get.
    pub model_group: Arc<str>,
    /// Not listed by `/v1/models`.
    pub hidden: bool,
}

/// Where a model group's calls go when it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// The group that failed; `*` for any.
    pub model_group: Arc<str>,
    /// In the order to try.
    pub to: Vec<Arc<str>>,
}

/// How deployments are chosen, retried and replaced. The strategy is always
/// the weighted shuffle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// Names beside the model groups.
    pub aliases: Vec<Alias>,
    /// Retries after the first attempt; 2.
    pub num_retries: u32,
    /// Whole call with all its attempts; 6,000,000.
    pub timeout_ms: u64,
    /// To the first event of a stream; `None`: `timeout_ms`.
    pub stream_timeout_ms: Option<u64>,
    /// The least wait before a retry; 0.
    pub retry_after_ms: u64,
    /// Failures in a minute before a cooldown; `None`: LiteLLM's default rules
    /// (a 429, or more than half of at least 5 failing).
    pub allowed_fails: Option<u32>,
    /// 5,000; 0 never cools down.
    pub cooldown_ms: u64,
    /// Whether nothing ever cools down.
    pub disable_cooldowns: bool,
    /// In flight for a deployment that says nothing itself.
    pub max_parallel_requests: Option<u32>,
    /// After the retries, for any error.
    pub fallbacks: Vec<Fallback>,
    /// For groups without an entry in `fallbacks`.
    pub default_fallbacks: Vec<Arc<str>>,
    /// For requests that do not fit the context window.
    pub context_window_fallbacks: Vec<Fallback>,
    /// For requests refused by a content policy.
    pub content_policy_fallbacks: Vec<Fallback>,
    /// How many fallbacks deep; 5.
    pub max_fallbacks: u32,
    /// Leave out what the provider does not take, instead of refusing; false.
    pub drop_params: bool,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            aliases: Vec::new(),
            num_retries: 2,
            timeout_ms: 6_000_000,
            stream_timeout_ms: None,
            retry_after_ms: 0,
            allowed_fails: None,
            cooldown_ms: 5_000,
            disable_cooldowns: false,
            max_parallel_requests: None,
            fallbacks: Vec::new(),
            default_fallbacks: Vec::new(),
            context_window_fallbacks: Vec::new(),
            content_policy_fallbacks: Vec::new(),
            max_fallbacks: 5,
            drop_params: false,
        }
    }
}

/// Who may come in, and the caps of the whole proxy.
pub struct Access {
    /// The administrator's key; `None`: the binary makes one and shows it once.
    pub master_key: Option<Arc<Secret>>,
    /// A header that replaces all others as the place of the key; lower case.
    pub key_header: Option<String>,
    /// How long a key's lookup may be remembered; `None`: as long as the
    /// store can be trusted to say what changed.
    pub key_cache_ttl_ms: Option<u64>,
    /// Requests in flight in the whole proxy.
    pub global_max_parallel_requests: Option<u32>,
    /// What the whole proxy may spend.
    pub max_budget: Option<NanoUsd>,
    /// After which `max_budget` starts anew; LiteLLM's spelling, checked.
    pub budget_duration: Option<Period>,
    /// Whether `/metrics` wants a key; true.
    pub metrics_need_key: bool,
    /// Who may send requests, and what each must say.
    pub rules: Rules,
    /// Limits of keys that `/key/generate` gives where the caller says none.
    pub key_defaults: KeyLimits,
    /// Highest limits that a key may be given.
    pub key_ceilings: KeyLimits,
}

/// LiteLLM's rules of access for all requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Addresses that requests with a key may come from; `None`: all.
    pub allowed_ips: Option<Vec<Cidr>>,
    /// Paths that may be called, without `/v1`; one `*` at the end stands for
    /// any rest. `None`: all.
    pub allowed_routes: Option<Vec<String>>,
    /// Paths, as above, that only the master key may call.
    pub admin_only_routes: Vec<String>,
    /// Headers that name the end user of a call, in lower case; the first that
    /// is there counts.
    pub end_user_headers: Vec<String>,
    /// Each call for a model must name its end user.
    pub enforce_user_param: bool,
    /// Parameters that each call for a model must have, as `user` or
    /// `metadata.generation_name`.
    pub enforced_params: Vec<String>,
    /// A client's own tags are refused.
    pub reject_client_tags: bool,
    /// Headers of clients that begin with `x-` go to providers.
    pub forward_client_headers: bool,
}

/// Limits of virtual keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    /// Model groups; none for all. Only as a default.
    pub models: Vec<String>,
    /// US dollars.
    pub max_budget: Option<NanoUsd>,
    /// After which the budget begins again.
    pub budget_duration: Option<Period>,
    /// For which the key is valid.
    pub duration: Option<Period>,
    /// Requests in flight.
    pub max_parallel_requests: Option<u64>,
    /// Tokens a minute.
    pub tpm_limit: Option<u64>,
    /// Requests a minute.
    pub rpm_limit: Option<u64>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            master_key: None,
            key_header: None,
            key_cache_ttl_ms: None,
            global_max_parallel_requests: None,
            max_budget: None,
            budget_duration: None,
            metrics_need_key: true,
            rules: Rules::default(),
            key_defaults: KeyLimits::default(),
            key_ceilings: KeyLimits::default(),
        }
    }
}

/// A budget's duration: `30s`, `15m`, `1h`, `7d`, `1w`, `1mo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// At least 1.
    pub count: u32,
    /// Of what.
    pub unit: PeriodUnit,
}

/// The unit of a [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeriodUnit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `w`
    Week,
    /// `mo`
    Month,
}

impl PeriodUnit {
    const ALL: [(&'static str, Self); 6] = [
        ("mo", Self::Month),
        ("s", Self::Second),
        ("m", Self::Minute),
        ("h", Self::Hour),
        ("d", Self::Day),
        ("w", Self::Week),
    ];
}

impl Period {
    /// LiteLLM's spelling; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        PeriodUnit::ALL.into_iter().find_map(|(suffix, unit)| {
            let digits = text.strip_suffix(suffix)?;
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let count = digits.parse().ok().filter(|count| plain && *count > 0)?;
            Some(Self { count, unit })
        })
    }
}

impl std::fmt::Display for Period {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let suffix = PeriodUnit::ALL.iter().find(|(_, unit)| *unit == self.unit);
        write!(f, "{}{}", self.count, suffix.map_or("", |(suffix, _)| suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::Period;

    #[test]
    fn periods_are_spelled_as_litellm_spells_them() {
        for text in ["30s", "15m", "1h", "7d", "1w", "1mo"] {
            assert_eq!(Period::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "mo", "0d", "-1d", "+1d", "1y", "1 d", "99999999999d", "d1"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }
}
