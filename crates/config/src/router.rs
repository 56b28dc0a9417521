//! `router_settings`, and the keys of `litellm_settings` that mean the same.
//!
//! Both are read into a [`Draft`]; where both speak, the router's word counts,
//! as in LiteLLM.

use crate::known_keys::ROUTER;
use crate::missing::Covers;
use crate::node::Kind;
use crate::reader::{Field, Reader};
use crate::types::{Alias, Fallback, Routing};
use std::sync::Arc;

/// What fallbacks are not for, where LiteLLM asks others all the same.
const MISTAKES: &str = "a request that the provider finds wrong (400, 413) is tried nowhere else, \
                        but for a prompt too long or a content policy";

/// A model group's name that stands somewhere in the settings, to be checked
/// once all groups are known.
pub(crate) struct Mention<'n> {
    pub(crate) field: Field<'n>,
    pub(crate) name: Arc<str>,
}

/// What one section says; `None` where it says nothing.
#[derive(Default)]
pub(crate) struct Draft<'n> {
    num_retries: Option<u32>,
    timeout_ms: Option<u64>,
    stream_timeout_ms: Option<u64>,
    retry_after_ms: Option<u64>,
    allowed_fails: Option<u32>,
    cooldown_ms: Option<u64>,
    disable_cooldowns: Option<bool>,
    pub(crate) max_parallel_requests: Option<u32>,
    fallbacks: Option<Vec<Fallback>>,
    default_fallbacks: Option<Vec<Arc<str>>>,
    context_window_fallbacks: Option<Vec<Fallback>>,
    content_policy_fallbacks: Option<Vec<Fallback>>,
    max_fallbacks: Option<u32>,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) drop_params: Option<bool>,
    mentions: Vec<Mention<'n>>,
}

impl<'n> Draft<'n> {
    /// Reads a key that both sections have; false if it is not one.
    pub(crate) fn take(&mut self, reader: &mut Reader<'_>, field: &Field<'n>) -> bool {
        match field.name {
            "num_retries" | "timeout" | "request_timeout" | "stream_timeout" | "allowed_fails"
            | "cooldown_time" | "max_fallbacks"
                if reader.says_nothing(field) => {}
            "num_retries" => self.num_retries = reader.whole_u32(field),
            "timeout" | "request_timeout" => self.timeout_ms = reader.timeout(field),
            "stream_timeout" => self.stream_timeout_ms = reader.timeout(field),
            "allowed_fails" => self.allowed_fails = reader.whole_u32(field),
            "cooldown_time" => self.cooldown_ms = reader.seconds(field),
            "max_fallbacks" => self.max_fallbacks = reader.whole_u32(field),
            "fallbacks" => {
                self.fallbacks = self.fallbacks_of(reader, &field.clone().approximately(MISTAKES));
            }
            "context_window_fallbacks" => {
                self.context_window_fallbacks = self.fallbacks_of(reader, field);
            }
            "content_policy_fallbacks" => {
                self.content_policy_fallbacks = self.fallbacks_of(reader, field);
            }
            "default_fallbacks" => {
                let names = self.targets(reader, &field.clone().approximately(MISTAKES));
                self.default_fallbacks = Some(names);
            }
            _ => return false,
        }
        true
    }

    /// Reads `router_settings`.
    pub(crate) fn read_router(reader: &mut Reader<'_>, section: &Field<'n>) -> Self {
        let mut draft = Self::default();
        for field in reader.fields(section) {
            if draft.take(reader, &field) {
                continue;
            }
            match field.name {
                "retry_after" | "disable_cooldowns" | "routing_strategy"
                    if reader.says_nothing(&field) => {}
                "retry_after" => draft.retry_after_ms = reader.seconds(&field),
                "disable_cooldowns" => draft.disable_cooldowns = reader.bool(&field),
                "default_max_parallel_requests" => {
                    draft.max_parallel_requests = reader.whole_u32(&field).filter(|max| *max > 0);
                }
                "routing_strategy" => strategy(reader, &field),
                "ignore_invalid_deployments" => {
                    let note = "a deployment that cannot be served is left out, whatever this \
                                says; --strict refuses the whole configuration for it";
                    reader.bool(&field.approximately(note));
                }
                "provider_budget_config" if !field.is_off() => provider_budgets(reader, &field),
                "enable_tag_filtering" if !field.is_off() => {
                    if let Some((name, why)) = ROUTER.protective(field.name) {
                        reader.protective(&field, name, why, Covers::Tagged);
                    }
                }
                "model_group_alias" => draft.read_aliases(reader, &field),
                _ => reader.leftover(&field, &ROUTER),
            }
        }
        draft
    }

    /// `{"gpt-4": "gpt-4o"}` or `{"gpt-4": {"model": "gpt-4o", "hidden": true}}`.
    pub(crate) fn read_aliases(&mut self, reader: &mut Reader<'_>, field: &Field<'n>) {
        for alias in reader.fields(field) {
            let (mut target, mut hidden) = (None, false);
            if matches!(alias.node.kind, Kind::Map(_)) {
                for part in reader.fields(&alias) {
                    match part.name {
                        "model" => target = reader.text(&part).map(|name| (part, name)),
                        "hidden" => hidden = reader.bool(&part).unwrap_or(false),
                        _ => reader.leftover(&part, &ALIAS),
                    }
                }
            } else {
                target = reader.text(&alias).map(|name| (alias.clone(), name));
            }
            if let Some(why) = crate::names::unusable(alias.name) {
                reader.unsupported(&alias, why, "no client can ask for this alias");
                continue;
            }
            match target {
                Some((at, name)) => {
                    let model_group: Arc<str> = name.into();
                    self.mentions.push(Mention { field: at, name: model_group.clone() });
                    self.aliases.push(Alias { name: alias.name.into(), model_group, hidden });
                }
                None if alias.is_null() => {
                    reader.error(&alias, "an alias needs the name of a model group", "");
                }
                None => {}
            }
        }
    }

    fn fallbacks_of(
        &mut self,
        reader: &mut Reader<'_>,
        field: &Field<'n>,
    ) -> Option<Vec<Fallback>> {
        if field.is_null() {
            reader.accept(field);
            return None;
        }
        let before = reader.report.entries.len();
        let mut fallbacks = Vec::new();
        for item in reader.items(field) {
            if !matches!(item.node.kind, Kind::Map(_)) {
                let hint = "as in: fallbacks: [{\"gpt-4o\": [\"claude-sonnet\"]}]; for all groups use default_fallbacks";
                reader.error(
                    &item,
                    "each fallback is a mapping from a group to a list of groups",
                    hint,
                );
                continue;
            }
            for group in reader.fields(&item) {
                let to = self.names(reader, &group);
                fallbacks.push(Fallback { model_group: group.name.into(), to });
            }
        }
        if reader.report.entries.len() == before {
            reader.accept(field);
        }
        Some(fallbacks)
    }

    fn targets(&mut self, reader: &mut Reader<'_>, field: &Field<'n>) -> Vec<Arc<str>> {
        let before = reader.report.entries.len();
        let names = self.names(reader, field);
        if reader.report.entries.len() == before {
            reader.accept(field);
        }
        names
    }

    /// A list of group names; a single name counts as a list of one. Records
    /// only what is not exact.
    fn names(&mut self, reader: &mut Reader<'_>, field: &Field<'n>) -> Vec<Arc<str>> {
        let items = if matches!(field.node.kind, Kind::Scalar { .. }) && !field.is_null() {
            vec![field.clone()]
        } else {
            reader.items(field)
        };
        let mut names = Vec::new();
        for item in items {
            let mut at = item.clone();
            if let Kind::Map(_) = item.node.kind {
                let parts = reader.fields(&item);
                let why =
                    "only the model of this fallback counts: a fallback does not change parameters";
                for part in parts.iter().filter(|part| part.name != "model") {
                    reader.unsupported(part, why, "");
                }
                if let Some(model) = parts.into_iter().find(|part| part.name == "model") {
                    at = model;
                } else {
                    reader.error(&item, "this fallback names no model", "add model: GROUP");
                    continue;
                }
            }
            if at.is_null() {
                reader.error(&at, "expected the name of a model group, found nothing", "");
            } else if let Some(text) = reader.resolve(&at) {
                let name: Arc<str> = text.value.into();
                self.mentions.push(Mention { field: at, name: name.clone() });
                names.push(name);
            }
        }
        names
    }

    /// The router's word before the library's before the default; and every
    /// group that either of them names.
    pub(crate) fn combine(self, library: Self) -> (Routing, Vec<Mention<'n>>) {
        let default = Routing::default();
        let mut mentions = self.mentions;
        mentions.extend(library.mentions);
        let mut aliases = self.aliases;
        for alias in library.aliases {
            if !aliases.iter().any(|own: &Alias| own.name == alias.name) {
                aliases.push(alias);
            }
        }
        let pick = |own: Option<Vec<Fallback>>, other| own.or(other).unwrap_or_default();
        let routing = Routing {
            aliases,
            num_retries: self.num_retries.or(library.num_retries).unwrap_or(default.num_retries),
            timeout_ms: self.timeout_ms.or(library.timeout_ms).unwrap_or(default.timeout_ms),
            stream_timeout_ms: self.stream_timeout_ms.or(library.stream_timeout_ms),
            retry_after_ms: self.retry_after_ms.unwrap_or(default.retry_after_ms),
            allowed_fails: self.allowed_fails.or(library.allowed_fails),
            cooldown_ms: self.cooldown_ms.or(library.cooldown_ms).unwrap_or(default.cooldown_ms),
            disable_cooldowns: self.disable_cooldowns.unwrap_or(default.disable_cooldowns),
            max_parallel_requests: self.max_parallel_requests.or(library.max_parallel_requests),
            fallbacks: pick(self.fallbacks, library.fallbacks),
            default_fallbacks: self
                .default_fallbacks
                .or(library.default_fallbacks)
                .unwrap_or_default(),
            context_window_fallbacks: pick(
                self.context_window_fallbacks,
                library.context_window_fallbacks,
            ),
            content_policy_fallbacks: pick(
                self.content_policy_fallbacks,
                library.content_policy_fallbacks,
            ),
            max_fallbacks: self
                .max_fallbacks
                .or(library.max_fallbacks)
                .unwrap_or(default.max_fallbacks),
            drop_params: library.drop_params.unwrap_or(default.drop_params),
        };
        (routing, mentions)
    }
}

const ALIAS: crate::known_keys::Section = crate::known_keys::Section {
    supported: "model hidden",
    protective: &[],
    unsupported: &[],
    on_by_default: "",
};

/// Providers with a budget: `{openai: {budget_limit: 10, time_period: 1d}}`.
fn provider_budgets(reader: &mut Reader<'_>, field: &Field<'_>) {
    let Some((name, why)) = ROUTER.protective(field.name) else { return };
    let providers = match &field.node.kind {
        Kind::Map(entries) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        _ => Vec::new(),
    };
    reader.protective(field, name, why, Covers::Providers(providers));
}

fn strategy(reader: &mut Reader<'_>, field: &Field<'_>) {
    const OTHERS: [&str; 7] = [
        "least-busy",
        "usage-based-routing",
        "usage-based-routing-v2",
        "latency-based-routing",
        "cost-based-routing",
        "provider-budget-routing",
        "lar1",
    ];
    if field.is_null() {
        return reader.accept(field);
    }
    let Some(text) = reader.resolve(field) else { return };
    if text.value == "simple-shuffle" {
        reader.accept(field);
    } else if OTHERS.contains(&text.value.as_str()) {
        let why = "only simple-shuffle exists yet: deployments are drawn by weight, rpm or tpm";
        reader.unsupported(field, why, "");
    } else {
        let hint = "simple-shuffle is the one that exists here";
        reader.error(field, "no such routing strategy is known", hint);
    }
}

/// Warns of every name that no group, alias or pattern answers to.
pub(crate) fn check_mentions(
    reader: &mut Reader<'_>,
    mentions: &[Mention<'_>],
    groups: &[Arc<str>],
    aliases: &[Alias],
) {
    for Mention { field, name } in mentions {
        let known = groups.iter().any(|group| matches(group, name))
            || aliases.iter().any(|alias| alias.name == *name);
        if !known {
            let near = crate::suggest::nearest(name, groups.iter().map(|group| &**group));
            let hint = near.map(|near| format!("did you mean {near}?")).unwrap_or_default();
            reader.warning(field, "no deployment serves this model group", &hint);
        }
    }
}

/// Whether `group`, which may hold one `*`, answers to `name`.
fn matches(group: &str, name: &str) -> bool {
    match group.split_once('*') {
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
        None => group == name,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_what_their_star_stands_for() {
        assert!(
            matches("*", "x") && matches("openai/*", "openai/gpt-4o") && matches("a*z", "abcz")
        );
        assert!(!matches("openai/*", "openai") && !matches("aa*aa", "aaa") && !matches("a", "ab"));
    }
}
