//! A deployment: one configured place that serves a model, with the
//! credential that belongs to it.

use crate::health::Health;
use crate::traits::Traits;
use base::Origin;
use catalog::{Families, Prices, Provider};
use dialect::defaults::Defaults;
use dialect::surfaces::Kind;
use dialect::{AsSent, Dialect, Endpoint, Json, OutputLimitField, Surface, Target};
use http::HeaderValue;
use ledger::Cell;
use serde_json::value::RawValue;
use std::sync::Arc;
use vault::Credential;

/// One configured place that serves a model.
pub struct Deployment {
    /// `model_info.id`, or derived from the parameters.
    pub id: Arc<str>,
    /// The group it belongs to, as configured.
    pub model_group: Arc<str>,
    /// Whose API it speaks.
    pub provider: &'static Provider,
    /// The provider's id, for records.
    pub provider_id: Arc<str>,
    /// The upstream's name of the model; `*` stands for what the client's
    /// name matched.
    pub upstream_model: Arc<str>,
    /// Where it is.
    pub origin: Origin,
    /// That is the provider's own.
    pub is_own_origin: bool,
    /// The origin as text, for records.
    pub api_base: Arc<str>,
    /// The path before the endpoint's own, no trailing slash.
    pub base_path: Arc<str>,
    /// Sent as `?api-version=` where the upstream's API is versioned so.
    pub api_version: Option<String>,
    /// None where the upstream wants none.
    pub credential: Option<Credential>,
    /// Credentials of endpoints that take the key in a way of their own.
    pub endpoint_credentials: Vec<(Endpoint, Credential)>,
    /// Share of the traffic among equals.
    pub weight: u32,
    /// Lower ones are used first.
    pub order: u32,
    /// Calls at a time, where limited.
    pub in_flight: Option<Arc<Cell>>,
    /// Its own number of retries.
    pub num_retries: Option<u32>,
    /// Its own times, in milliseconds.
    pub timeouts: Timeouts,
    /// Its own cooldown.
    pub cooldown_ms: Option<i64>,
    /// Leave out what the upstream cannot honour.
    pub drop_params: bool,
    /// Leave these out whatever it can.
    pub additional_drop_params: Vec<String>,
    /// Body fields to add where the client gave none.
    pub body_defaults: Vec<(String, Json)>,
    /// Body fields to set whatever the client gave.
    pub extra_body: Vec<(String, Json)>,
    /// Headers to add.
    pub extra_headers: Vec<(http::HeaderName, HeaderValue)>,
    /// Prices that replace the catalogue's, where given.
    pub own_prices: Option<Prices>,
    /// The catalogue name to look prices up by.
    pub base_model: Option<String>,
    /// `chat`, `embedding`, …, where configured.
    pub mode: Option<String>,
    /// What is known of the model; for a wildcard, of none.
    pub facts: Facts,
    /// Its recent past.
    pub health: Arc<Health>,
    /// `x-litellm-model-id`.
    pub id_header: HeaderValue,
    /// `x-litellm-model-api-base`.
    pub api_base_header: HeaderValue,
    /// `model_info` as it was written.
    pub model_info: Box<RawValue>,
}

/// Times that end an attempt, in milliseconds; none means the router's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// From dispatch to the end of a unary answer.
    pub total_ms: Option<u64>,
    /// From dispatch to the first byte of a stream.
    pub first_byte_ms: Option<u64>,
}

/// What is known of one model.
#[derive(Clone, Default)]
pub struct Facts {
    /// None where no price is known: that is not nought.
    pub prices: Option<Arc<Prices>>,
    /// Which prices they are.
    pub price_version: Arc<str>,
    /// The context window.
    pub max_input_tokens: Option<u64>,
    /// The output limit.
    pub max_output_tokens: Option<u64>,
    /// Web searches that a call makes unasked, where they have a price.
    pub own_searches: u64,
    /// The prices, or some of them, are the operator's own.
    pub prices_are_configured: bool,
    /// The catalogue has it as a chat model.
    pub chats: bool,
    /// What it takes.
    pub traits: Traits,
}

impl Facts {
    /// From the catalogue, with `own` prices before its own, unit by unit.
    pub fn of(provider: &'static Provider, model: &str, own: Option<&Prices>) -> Self {
        let known = catalog::model(provider.id, model);
        let listed = known.map(catalog::Model::prices);
        let prices = match (own, &listed) {
            (Some(own), Some(listed)) => Some(own.over(listed)),
            (Some(own), None) => Some(own.clone()),
            (None, listed) => listed.clone(),
        };
        let prices = prices.filter(Prices::is_priced);
        let price_version = match (own, &listed) {
            (Some(_), _) => "configured",
            (None, Some(_)) => catalog::data_version().0,
            (None, None) => "",
        };
        Self {
            own_searches: prices.as_ref().map_or(0, |prices| own_searches(model, prices)),
            prices: prices.map(Arc::new),
            price_version: price_version.into(),
            max_input_tokens: known.and_then(catalog::Model::max_input_tokens),
            max_output_tokens: known.and_then(catalog::Model::max_output_tokens),
            prices_are_configured: own.is_some(),
            chats: known.is_some_and(|known| known.mode() == "chat"),
            traits: Traits::of(provider, model, known),
        }
    }
}

/// The name as the upstream wants it: some prefix bare names (Fireworks).
pub fn full_name(provider: &Provider, model: &str) -> Arc<str> {
    provider.upstream_name(model).into()
}

/// Searches that a model makes with each call, where they have a price.
fn own_searches(model: &str, prices: &Prices) -> u64 {
    let searches = Families::of(model).has("own_search");
    u64::from(searches && catalog::worst_case_searches(prices, 1) > base::NanoUsd::ZERO)
}

/// A deployment chosen for a call, with what depends on the call's model.
#[derive(Clone)]
pub struct Candidate {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The upstream's name of the model, wildcard filled in.
    pub upstream_model: Arc<str>,
    /// What is known of it.
    pub facts: Facts,
    /// Whether its group has no other.
    pub alone: bool,
}

impl Deployment {
    /// The credential for requests to an endpoint; `None` where the upstream wants
    /// none.
    pub fn credential_for(&self, endpoint: Endpoint) -> Option<&Credential> {
        let own = self.endpoint_credentials.iter().find(|(of, _)| *of == endpoint);
        own.map(|(_, credential)| credential).or(self.credential.as_ref())
    }
}

impl Candidate {
    /// Fills a wildcard with what the client's model name matched.
    pub fn new(deployment: &Arc<Deployment>, captured: Option<&str>, alone: bool) -> Self {
        let (upstream_model, facts) = match captured {
            Some(captured) if deployment.upstream_model.contains('*') => {
                let model = deployment.upstream_model.replacen('*', captured, 1);
                let model = full_name(deployment.provider, &model);
                let name = deployment.base_model.as_deref().unwrap_or(&model);
                let facts = Facts::of(deployment.provider, name, deployment.own_prices.as_ref());
                (model, facts)
            }
            _ => (Arc::clone(&deployment.upstream_model), deployment.facts.clone()),
        };
        Self { deployment: Arc::clone(deployment), upstream_model, facts, alone }
    }

    /// Returns true if nobody sends a bill for it: a server of the operator's own,
    /// without a price.
    pub fn sends_no_bill(&self) -> bool {
        self.deployment.provider.billing.sends_no_bill && self.facts.prices.is_none()
    }

    /// The dialect its upstream speaks.
    pub fn dialect(&self) -> Dialect {
        self.deployment.provider.dialect
    }

    /// What a client's call is sent as: the same surface where it is served,
    /// the dialect's conversation where it is not. Text completions of a model
    /// that is known to chat are such a conversation too.
    pub fn surface_for(&self, surface: Surface, stream: bool) -> Surface {
        let theirs = self.dialect();
        let is_completion = surface.row().kind == Kind::Completion;
        let goes_as_it_is = self.serves(surface) && !(is_completion && self.chats());
        let is_theirs = surface.dialect() == theirs && !is_completion;
        if goes_as_it_is || is_theirs { surface } else { theirs.conversation(stream) }
    }

    /// Returns true if the provider has the surface's own endpoint: one of its
    /// dialect, or one that its row names with its path.
    pub fn serves(&self, surface: Surface) -> bool {
        let (provider, endpoint) = (self.deployment.provider, surface.row().endpoint);
        let speaks = surface.dialect() == self.dialect();
        provider.served(endpoint).is_some_and(|served| speaks || served.is_named)
    }

    /// Whether it is configured to chat, or known to.
    fn chats(&self) -> bool {
        match self.deployment.mode.as_deref() {
            Some(mode) => mode == "chat",
            None => self.facts.chats,
        }
    }

    /// The facts that an encoder needs.
    pub fn target(&self, drop_params: bool) -> Target<'_> {
        let quirks = &self.deployment.provider.quirks;
        let traits = &self.facts.traits;
        Target {
            model: &self.upstream_model,
            max_output_tokens: self.facts.max_output_tokens,
            drop_params: drop_params || self.deployment.drop_params,
            additional_drop_params: &self.deployment.additional_drop_params,
            cache_control: quirks.keeps_cache_control,
            output_limit_field: self.output_limit_field(),
            content_as_text: quirks.text_content,
            no_stream_options: quirks.no_stream_options,
            no_developer_role: !quirks.developer_role,
            reasons: traits.reasons,
            only_openais_fields: traits.openais_own,
            adaptive_thinking: traits.adaptive_thinking,
            native_json_schema: traits.native_json_schema,
            always_thinks: traits.always_thinks,
            xhigh_effort: traits.xhigh_effort,
            max_effort: traits.max_effort,
            no_forced_tool: traits.no_forced_tool,
            no_prefill: traits.no_prefill,
            refused: traits.refused,
            system_first: traits.system_first,
            alternates: quirks.alternates,
            takes_back: Some(&quirks.takes_back),
            needs_reasoning: traits.needs_reasoning,
            stop_max: quirks.stop_max,
            flat_schemas: quirks.flat_schemas,
            keeps_signatures: traits.keeps_signatures,
            thinking_levels: traits.thinking_levels,
            no_budgets: traits.no_budgets,
            no_effort: traits.no_effort,
            as_sent: AsSent {
                system_first: !quirks.system_anywhere,
                cache_control: quirks.keeps_cache_control || traits.cache_control,
                output_limit: self.deployment.provider.output_limit(&self.upstream_model).only(),
                store_false: quirks.store_false,
                openai_models: quirks.openai_models,
                is_unknown: quirks.openai_models && !traits.openais_own,
                is_known_model: traits.is_known,
                one_sampler: traits.one_sampler,
            },
        }
    }

    /// The deployment's own parameters, for requests to it.
    pub fn defaults(&self) -> Defaults<'_> {
        Defaults::new(&self.deployment.body_defaults, self.target(true))
    }

    /// Which name the output limit has.
    pub fn output_limit_field(&self) -> OutputLimitField {
        self.deployment.provider.output_limit(&self.upstream_model).field()
    }

    /// The path of an endpoint here; none where it is not served.
    pub fn path(&self, endpoint: Endpoint) -> Option<String> {
        let path = self.deployment.provider.path(endpoint)?;
        let base = &*self.deployment.base_path;
        if let Some((before, after)) = path.split_once("{model}") {
            let model = in_path(&self.upstream_model);
            return Some([base, before, &model, after].concat());
        }
        Some(match &self.deployment.api_version {
            None => [base, path].concat(),
            Some(version) => [base, path, "?api-version=", version].concat(),
        })
    }
}

/// A model's name as a part of a path.
fn in_path(model: &str) -> String {
    use std::fmt::Write as _;
    let mut path = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // A string takes all that is written to it.
            let _written = write!(path, "%{byte:02X}");
        }
    }
    path
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A deployment with nothing of its own.
    pub(crate) fn deployment(provider: &str, model: &str) -> Deployment {
        let provider = catalog::provider(provider).unwrap();
        let (origin, base_path) = Origin::parse_base("https://upstream.test/v1").unwrap();
        Deployment {
            id: "id".into(),
            model_group: "group".into(),
            provider,
            provider_id: provider.id.into(),
            upstream_model: full_name(provider, model),
            origin,
            is_own_origin: false,
            api_base: "https://upstream.test".into(),
            base_path: base_path.into(),
            api_version: None,
            credential: None,
            endpoint_credentials: Vec::new(),
            weight: 1,
            order: 1,
            in_flight: None,
            num_retries: None,
            timeouts: Timeouts::default(),
            cooldown_ms: None,
            drop_params: false,
            additional_drop_params: Vec::new(),
            body_defaults: Vec::new(),
            extra_body: Vec::new(),
            extra_headers: Vec::new(),
            own_prices: None,
            base_model: None,
            mode: None,
            facts: Facts::of(provider, model, None),
            health: Arc::default(),
            id_header: HeaderValue::from_static("id"),
            api_base_header: HeaderValue::from_static("https://upstream.test"),
            model_info: RawValue::NULL.to_owned(),
        }
    }
}
