//! `model_list`: one [`Deployment`] for each item that can be served.
//!
//! An item with a problem is left out, and the report says why: see
//! [`crate::left_out`].

use crate::binding::{self, Bound, KeySaid, Wanted};
use crate::credentials::Credential;
use crate::env::Env;
use crate::identity::Identity;
use crate::known_keys::{LITELLM_PARAMS, MOCKS, MODEL, MODEL_INFO, NO_MOCKS, has};
use crate::left_out::{Models, Named};
use crate::names::{is_price_name, is_secret_name};
use crate::node::{Kind, Node};
use crate::param_values::{
    api_key, drop_params, dropped_params, extra_body, extra_headers, is_version, split_version,
};
use crate::reader::{Field, Reader};
use crate::served::{self, Mode};
use crate::suggest::{nearest, slip};
use crate::typed;
use crate::types::Deployment;
use base::{Decimal, Secret};
use catalog::{PriceError, Prices};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Reads `model_list`.
pub(crate) fn read<'n>(
    reader: &mut Reader<'_>,
    section: &Field<'n>,
    credentials: &mut HashMap<String, Credential<'n>>,
    ids: &mut HashSet<String>,
    models: &mut Models,
) {
    for item in reader.items(section) {
        let first = reader.report.entries.len();
        let (mut named, mut built) = (Named::default(), Vec::new());
        if let Some(draft) = Draft::read(reader, &item, credentials) {
            named = draft.named();
            let identity = draft.identity.clone();
            built = draft.finish(reader, &item, ids);
            if let Some(deployment) = built.first() {
                named.id = deployment.id.to_string();
            } else if named.id.is_empty() {
                // Taken, so that a twin keeps its id when this one is served.
                named.id = identity.id(&named.model_group, ids);
            }
        }
        models.take(reader, &item, first, named, built);
    }
}

/// An item as far as it is read.
#[derive(Clone, Default)]
struct Draft<'n> {
    model_name: Option<String>,
    model: Option<(Field<'n>, String)>,
    custom_llm_provider: Option<String>,
    api_base: Option<(Field<'n>, String)>,
    api_key: Option<KeySaid>,
    api_version: Option<String>,
    organization: Option<String>,
    weight: Option<u32>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    order: Option<u32>,
    max_parallel_requests: Option<u32>,
    timeout_ms: Option<u64>,
    stream_timeout_ms: Option<u64>,
    num_retries: Option<u32>,
    max_retries: Option<u32>,
    cooldown_ms: Option<u64>,
    drop_params: Option<bool>,
    additional_drop_params: Vec<String>,
    extra_headers: Vec<(String, Arc<Secret>)>,
    extra_body: Vec<(String, Box<RawValue>)>,
    body_defaults: Vec<(String, Box<RawValue>)>,
    price_overrides: Vec<(String, Decimal)>,
    base_model: Option<String>,
    mode: Option<(Field<'n>, String)>,
    max_tokens: Option<u64>,
    max_input_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    id: Option<(Field<'n>, String)>,
    model_info: Option<Box<RawValue>>,
    identity: Identity,
    is_tagged: bool,
    withheld: Option<Arc<str>>,
    left_out: bool,
    broken: bool,
}

impl<'n> Draft<'n> {
    fn read(
        reader: &mut Reader<'_>,
        item: &Field<'n>,
        credentials: &mut HashMap<String, Credential<'n>>,
    ) -> Option<Self> {
        if !matches!(item.node.kind, Kind::Map(_)) {
            let hint = "as in: - model_name: gpt-4o, then litellm_params: below it";
            reader.error(item, "each model is a mapping", hint);
            return None;
        }
        let mut draft = Self::default();
        let before = reader.errors;
        let mut has_params = false;
        for field in reader.fields(item) {
            match field.name {
                "model_name" => draft.model_name = reader.text(&field),
                "litellm_params" => {
                    has_params = true;
                    draft.read_params(reader, &field, credentials);
                }
                "model_info" => draft.read_info(reader, &field),
                _ => reader.leftover(&field, &MODEL),
            }
        }
        let no_error_yet = reader.errors == before;
        if draft.model_name.is_none() && no_error_yet {
            let hint = "model_name is what clients ask for";
            reader.error(item, "this model has no model_name", hint);
        }
        if draft.model.is_none() && no_error_yet {
            let message = if has_params {
                "litellm_params has no model"
            } else {
                "this model has no litellm_params"
            };
            reader.error(item, message, "as in litellm_params: {model: openai/gpt-4o}");
        }
        draft.broken = reader.errors != before;
        Some(draft)
    }

    fn named(&self) -> Named {
        Named {
            model_group: self.model_name.clone().unwrap_or_default(),
            id: self.id.as_ref().map(|(_, id)| id.clone()).unwrap_or_default(),
            model: self.model.as_ref().map(|(_, model)| model.clone()).unwrap_or_default(),
            is_tagged: self.is_tagged,
            withheld: self.withheld.clone(),
        }
    }

    fn read_params(
        &mut self,
        reader: &mut Reader<'_>,
        section: &Field<'n>,
        credentials: &mut HashMap<String, Credential<'n>>,
    ) {
        let mut fields = reader.fields(section);
        if let Some(at) = fields.iter().position(|field| field.name == "litellm_credential_name") {
            let field = fields.remove(at);
            if let Some(name) = reader.text(&field) {
                if let Some(credential) = credentials.get_mut(&name) {
                    credential.used = true;
                    let values = credential.values.clone();
                    for value in reader.fields(&values) {
                        // What the deployment says itself wins.
                        if !fields.iter().any(|field| field.name == value.name) {
                            fields.push(value);
                        }
                    }
                } else {
                    let near = nearest(&name, credentials.keys().map(String::as_str));
                    let hint = near.map_or_else(
                        || "add it to credential_list".to_owned(),
                        |near| format!("did you mean {near}?"),
                    );
                    reader.error(&field, "no credential of this name is in credential_list", &hint);
                }
            }
        }
        for field in &fields {
            self.read_param(reader, field);
        }
    }

    fn read_param(&mut self, reader: &mut Reader<'_>, field: &Field<'n>) {
        if matches!(field.name, "extra_headers" | "headers") {
            // Any of them may be a secret.
        } else if !is_secret_name(field.name) {
            self.identity.add(field.name, field.node);
        } else if let Kind::Scalar { text, .. } = &field.node.kind
            && text.starts_with("os.environ/")
        {
            // The variable's name tells two keys apart and is no secret.
            self.identity.add(field.name, field.node);
        }
        match field.name {
            "model" => self.model = reader.text(field).map(|text| (field.clone(), text)),
            "api_key" => self.api_key = api_key(reader, field),
            "api_base" | "base_url" => {
                self.api_base = reader.text(field).map(|mut url| {
                    let version = split_version(&mut url);
                    self.api_version = self.api_version.take().or(version);
                    (field.clone(), url)
                });
            }
            "api_version" => {
                let note = "sent as ?api-version= to hosts that are not the provider's own";
                let version = reader.check(&field.clone().approximately(note), |text| {
                    let message = || ("this is not a version".to_owned(), "as in 2024-10-21");
                    is_version(text).then(|| text.to_owned()).ok_or_else(message)
                });
                self.api_version = version.or_else(|| self.api_version.take());
            }
            "organization" if reader.says_nothing(field) => {}
            "organization" => {
                self.organization = reader.check(field, |text| {
                    let visible = text.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
                    let message = "an organisation is an id without spaces".to_owned();
                    if visible { Ok(text.to_owned()) } else { Err((message, "as in org-…")) }
                });
            }
            "custom_llm_provider" => self.custom_llm_provider = reader.text(field),
            "weight" => self.weight = reader.whole_u32(field),
            "rpm" => self.rpm = reader.whole(field),
            "tpm" => self.tpm = reader.whole(field),
            "order" => self.order = reader.whole_u32(field),
            "max_parallel_requests" => {
                self.max_parallel_requests = reader.whole_u32(field).filter(|max| *max > 0);
            }
            "timeout" | "request_timeout" => self.timeout_ms = reader.timeout(field),
            "stream_timeout" => self.stream_timeout_ms = reader.timeout(field),
            "num_retries" => self.num_retries = reader.whole_u32(field),
            "max_retries" => {
                let note =
                    "counted together with num_retries, which wins: there is one kind of retry";
                self.max_retries = reader.whole_u32(&field.clone().approximately(note));
            }
            "cooldown_time" => self.cooldown_ms = reader.seconds(field),
            "drop_params" => self.drop_params = drop_params(reader, field),
            "additional_drop_params" => {
                self.additional_drop_params = dropped_params(reader, field);
            }
            "extra_headers" | "headers" => {
                self.extra_headers.extend(extra_headers(reader, field));
            }
            "base_model" => {
                let name = reader.text(field);
                self.base_model = self.base_model.take().or(name);
            }
            "extra_body" => self.extra_body.extend(extra_body(reader, field)),
            name if has(MOCKS, name) && !field.is_off() => {
                self.left_out = true;
                reader.leave_out(field, NO_MOCKS, "");
            }
            "tags" => {
                let tags = crate::missing::texts(field.node);
                self.is_tagged = tags.iter().any(|tag| tag != "default");
                reader.leftover(field, &LITELLM_PARAMS);
            }
            "search_context_cost_per_query" => {
                for part in reader.fields(field) {
                    let name = format!("search_context_cost_per_query.{}", part.name);
                    self.price(reader, &part, name);
                }
            }
            name if is_price_name(name) => self.price(reader, field, name.to_owned()),
            name if LITELLM_PARAMS.protective(name).is_some() && !field.is_off() => {
                self.protected(reader, field, LITELLM_PARAMS.protective(name));
            }
            name if LITELLM_PARAMS.why_unsupported(name).is_some() => {
                reader.leftover(field, &LITELLM_PARAMS);
            }
            _ => self.body_default(reader, field),
        }
    }

    /// A setting of this deployment that protects and is not honoured.
    fn protected(
        &mut self,
        reader: &mut Reader<'_>,
        field: &Field<'n>,
        setting: Option<(&'static str, &'static str)>,
    ) {
        if let Some((name, why)) = setting {
            let reason = reader.refused_protection(field, name, why);
            self.withheld = self.withheld.take().or(reason);
        }
    }

    /// LiteLLM passes what it does not know on to the provider; so do we,
    /// unless it looks like a slip or like a credential.
    fn body_default(&mut self, reader: &mut Reader<'_>, field: &Field<'n>) {
        let name = field.name;
        if let Some(kind) = typed::kind(name) {
            let mut field = field.clone();
            if typed::is_of_some(name) {
                let note = "only some providers know it: sent to this one in the request's body";
                field = field.approximately(note);
            }
            if let Some(json) = reader.typed(&field, kind) {
                self.body_defaults.push((name.to_owned(), json));
            }
            return;
        }
        if field.is_null() {
            return reader.accept(field);
        }
        let near = slip(name, LITELLM_PARAMS.names().chain(typed::names()));
        if let Some(near) = near {
            let hint = format!("did you mean {near}?");
            reader.unsupported(field, "no such parameter is known: it has no effect", &hint);
        } else if is_secret_name(name) {
            let why = "this looks like a credential that nothing here uses: it is not sent";
            reader.unsupported(
                field,
                why,
                "a header that a provider wants goes under extra_headers",
            );
        } else {
            let note =
                "not a parameter that is known here: sent to the provider in the request's body";
            if let Some(json) = reader.json(&field.clone().approximately(note)) {
                self.body_defaults.push((name.to_owned(), json));
            }
        }
    }

    fn price(&mut self, reader: &mut Reader<'_>, field: &Field<'n>, name: String) {
        if field.is_null() {
            return reader.accept(field);
        }
        let taken = Prices::from_overrides([(name.as_str(), Decimal::ZERO)]);
        let field = match &taken {
            Err(PriceError::Unknown(_)) => {
                return reader.unsupported(field, "no such price is known: it has no effect", "");
            }
            Ok(prices) if !prices.uncounted().is_empty() => field
                .clone()
                .approximately("this price is kept, but calls are not counted in its unit"),
            _ => field.clone(),
        };
        let price = reader.check(&field, |text| {
            let price = crate::scalar::decimal_of(text).ok_or_else(|| {
                let message = "expected a price in US dollars with at most 24 decimals".to_owned();
                (message, "as in 0.0000025 or 2.5e-06")
            })?;
            match Prices::from_overrides([(name.as_str(), price)]) {
                Ok(_) => Ok(price),
                Err(error) => Err((error.to_string(), "")),
            }
        });
        // Replaces what model_info said, if that came first.
        if let Some(price) = price {
            self.price_overrides.retain(|(taken, _)| *taken != name);
            self.price_overrides.push((name, price));
        }
    }

    fn read_info(&mut self, reader: &mut Reader<'_>, section: &Field<'n>) {
        let mut info_prices = Draft::default();
        for field in reader.fields(section) {
            match field.name {
                "id" => self.id = reader.text(&field).map(|id| (field, id)),
                "mode" => self.mode = reader.text(&field).map(|mode| (field, mode)),
                "base_model" => {
                    if let Some(name) = reader.text(&field) {
                        self.base_model = Some(name);
                    }
                }
                "max_tokens" => self.max_tokens = reader.whole(&field),
                "max_input_tokens" => self.max_input_tokens = reader.whole(&field),
                "max_output_tokens" => self.max_output_tokens = reader.whole(&field),
                "blocked" => {
                    if reader.bool(&field) == Some(true) {
                        self.left_out = true;
                        reader.leave_out(&field, "it is blocked", "");
                    }
                }
                "supported_environments" => {
                    self.left_out |= !served::in_environment(reader, &field);
                }
                name if MODEL_INFO.protective(name).is_some() && !field.is_off() => {
                    self.protected(reader, &field, MODEL_INFO.protective(name));
                }
                name if is_price_name(name) => info_prices.price(reader, &field, name.to_owned()),
                name if MODEL_INFO.why_unsupported(name).is_some() => {
                    reader.leftover(&field, &MODEL_INFO);
                }
                name => match slip(name, MODEL_INFO.supported.split(' ')) {
                    Some(near) => {
                        let hint = format!("did you mean {near}?");
                        let why = "not a key that is known: only returned by /model/info";
                        reader.unsupported(&field, why, &hint);
                    }
                    None => {
                        reader.json(&field);
                    }
                },
            }
        }
        for (name, price) in info_prices.price_overrides {
            if !self.price_overrides.iter().any(|(taken, _)| *taken == name) {
                self.price_overrides.push((name, price));
            }
        }
        self.model_info = info_json(reader, section);
    }

    /// The deployments of this item: one, several for `model: "*"`, none where
    /// something is wrong.
    fn finish(
        mut self,
        reader: &mut Reader<'_>,
        item: &Field<'n>,
        ids: &mut HashSet<String>,
    ) -> Vec<Deployment> {
        let (Some(model_name), Some((model_at, model))) =
            (self.model_name.take(), self.model.take())
        else {
            return Vec::new();
        };
        if self.broken
            || self.left_out
            || !check_names(reader, item, &model_at, &model_name, &model)
        {
            return Vec::new();
        }
        let everything =
            model == "*" && self.custom_llm_provider.is_none() && self.api_base.is_none();
        if everything {
            return self.finish_everything(reader, &model_at, &model_name, ids);
        }
        let wanted = Wanted {
            model_at: &model_at,
            model: &model,
            custom_llm_provider: self.custom_llm_provider.as_deref(),
            api_base: self.api_base.as_ref(),
            key: self.api_key.take().unwrap_or(KeySaid::Nothing),
        };
        let Some(bound) = binding::bind(reader, wanted) else { return Vec::new() };
        if !self.is_served(reader, &model_at, &bound) {
            return Vec::new();
        }
        let id = match &self.id {
            Some((at, id)) => {
                if !is_header_value(id) {
                    reader.error(at, "an id is 1 to 256 visible ASCII characters", "");
                    return Vec::new();
                }
                if !ids.insert(id.clone()) {
                    reader.error(at, "another deployment has this id", "ids must differ");
                    return Vec::new();
                }
                id.clone()
            }
            None => self.identity.id(&model_name, ids),
        };
        vec![self.build(reader, id, &model_name, bound)]
    }

    /// Whether an endpoint leads to it: by what the file says of its mode, else
    /// by what is known of the model.
    fn is_served(&self, reader: &mut Reader<'_>, model_at: &Field<'n>, bound: &Bound) -> bool {
        let by_model = || served::why_not(bound.provider, &bound.upstream_model);
        let (at, why, hint) = match &self.mode {
            _ if served::names_responses(&bound.upstream_model) => {
                (model_at, served::NO_RESPONSES.to_owned(), "without responses/ it answers chats")
            }
            None => {
                let Some(why) = by_model() else { return true };
                (model_at, why, "if it does answer chats, say so: model_info: {mode: chat}")
            }
            Some((at, mode)) => match (served::mode(mode), by_model()) {
                (Mode::Served, _) => return true,
                (Mode::Unserved, _) => (at, served::unserved(mode), ""),
                (Mode::Responses, Some(why)) => (at, why, ""),
                (Mode::Responses, None) => {
                    let note =
                        "called over chat completions: the Responses API does not exist here yet";
                    reader.accept(&at.clone().approximately(note));
                    return true;
                }
                (Mode::Unknown, _) => {
                    reader.unsupported(at, "no such mode is known: it has no effect", "");
                    return true;
                }
            },
        };
        reader.leave_out(at, why, hint);
        false
    }

    /// `model: "*"`: each provider whose key is at hand, under its own prefix.
    fn finish_everything(
        self,
        reader: &mut Reader<'_>,
        model_at: &Field<'n>,
        model_name: &str,
        ids: &mut HashSet<String>,
    ) -> Vec<Deployment> {
        let mut deployments = Vec::new();
        let mut names = Vec::new();
        for provider in catalog::providers() {
            let given =
                |name: &&str| reader.env.var(name).is_some_and(|value| !value.trim().is_empty());
            let has_key = provider.key_envs.iter().any(&given);
            let has_base = provider.base_url_envs.iter().any(given)
                || matches!(provider.fill(|name| reader.env.var(name)), Ok(Some(_)));
            if provider.oauth || !has_key || !has_base {
                continue;
            }
            let model = format!("{}/*", provider.id);
            let wanted = Wanted {
                model_at,
                model: &model,
                custom_llm_provider: Some(provider.id),
                api_base: None,
                key: KeySaid::Nothing,
            };
            let Some(bound) = binding::bind(reader, wanted) else { continue };
            let group = model_name.replace('*', &model);
            let id = match &self.id {
                Some((_, id)) => format!("{id}-{}", provider.id),
                None => self.identity.id(&group, ids),
            };
            if self.id.is_some() && !ids.insert(id.clone()) {
                reader.error(model_at, "another deployment has this id", "ids must differ");
                continue;
            }
            names.push(provider.id);
            deployments.push(self.clone().build(reader, id, &group, bound));
        }
        if names.is_empty() {
            let hint = "set OPENAI_API_KEY or the like, or name a provider: model: openai/*";
            reader.leave_out(model_at, "no provider's key is set", hint);
        } else {
            let note = format!(
                "serves PROVIDER/MODEL of the providers whose key is set: {}",
                names.join(", ")
            );
            reader.push(
                model_at.node.pos,
                &model_at.path,
                crate::report::Verdict::Approximate,
                note,
                "",
            );
        }
        deployments
    }

    fn build(self, reader: &Reader<'_>, id: String, group: &str, bound: Bound) -> Deployment {
        let empty_info = || RawValue::from_string("{}".to_owned()).unwrap_or_default();
        Deployment {
            id: id.into(),
            model_group: group.into(),
            provider: bound.provider,
            upstream_model: bound.upstream_model.into(),
            origin: bound.origin,
            base_path: bound.base_path,
            api_key: bound.api_key,
            is_default_origin: bound.is_default_origin,
            api_version: self.api_version.filter(|_| !bound.is_default_origin),
            organization: self.organization,
            weight: self.weight,
            rpm: self.rpm,
            tpm: self.tpm,
            order: self.order,
            max_parallel_requests: self.max_parallel_requests,
            timeout_ms: self.timeout_ms,
            stream_timeout_ms: self.stream_timeout_ms,
            num_retries: self.num_retries.or(self.max_retries),
            cooldown_ms: self.cooldown_ms,
            drop_params: self.drop_params,
            additional_drop_params: self.additional_drop_params,
            provider_headers: binding::provider_headers(reader, bound.provider),
            extra_headers: self.extra_headers,
            extra_body: self.extra_body,
            body_defaults: self.body_defaults,
            price_overrides: self.price_overrides,
            base_model: self.base_model,
            mode: self.mode.map(|(_, mode)| mode),
            // LiteLLM's max_tokens is an older name of the output limit.
            max_output_tokens: self.max_output_tokens.or(self.max_tokens),
            max_input_tokens: self.max_input_tokens,
            model_info: self.model_info.unwrap_or_else(empty_info),
        }
    }
}

/// Returns true if requests can carry the names, with at most one `*` in each,
/// and none upstream without one in front.
fn check_names(
    reader: &mut Reader<'_>,
    item: &Field<'_>,
    model_at: &Field<'_>,
    model_name: &str,
    model: &str,
) -> bool {
    for name in [model_name, model] {
        if let Some(why) = crate::names::unusable(name) {
            reader.leave_out(item, why, "");
            return false;
        }
    }
    let stars = |text: &str| text.bytes().filter(|byte| *byte == b'*').count();
    if stars(model_name) > 1 || stars(model) > 1 {
        reader.leave_out(item, "a name may hold one '*' here, not several", "as in openai/*");
        false
    } else if stars(model) == 1 && stars(model_name) == 0 {
        let hint = "give model_name a '*' too, or model a name";
        reader.error(model_at, "nothing says what this '*' stands for", hint);
        false
    } else {
        true
    }
}

/// Returns true if the header `x-litellm-model-id` can carry `id`.
fn is_header_value(id: &str) -> bool {
    (1..=256).contains(&id.len()) && id.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// `model_info` as JSON: what a secret's name covers is left out.
fn info_json(reader: &mut Reader<'_>, section: &Field<'_>) -> Option<Box<RawValue>> {
    if !matches!(section.node.kind, Kind::Map(_)) {
        return None;
    }
    let shown = without_secrets(section.node);
    let json = crate::scalar::to_json(&shown, &mut |_, text| {
        let name = text.strip_prefix("os.environ/")?;
        Some(reader.env.var(name).unwrap_or_default())
    });
    RawValue::from_string(json).ok()
}

fn without_secrets(node: &Node) -> Node {
    match &node.kind {
        Kind::Map(entries) => Node::map(
            node.pos,
            entries
                .iter()
                .filter(|(key, _)| !is_secret_name(&key.text))
                .map(|(key, value)| (key.clone(), without_secrets(value)))
                .collect(),
        ),
        Kind::Seq(items) => Node::seq(node.pos, items.iter().map(without_secrets).collect()),
        Kind::Scalar { .. } => node.clone(),
    }
}
