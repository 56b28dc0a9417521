//! Settings that protect (guardrails, budgets of users, sign-in by token, …) and
//! are not honoured here.
//!
//! Serving without them would pass what the operator means to stop. So the
//! deployments that such a setting covers are withheld: a call to them is
//! answered with 503 and the reason, until `keymoat.accept_missing` names the
//! setting.

use crate::env::Env;
use crate::known_keys::{
    GENERAL, LITELLM, LITELLM_PARAMS, MODEL_INFO, PROTECTIVE_VARIABLES, ROUTER, TOP,
};
use crate::node::{Kind, Node};
use crate::reader::{Accepted, Field, Reader};
use crate::report::Verdict;
use crate::suggest::nearest;
use std::sync::Arc;

/// Guardrails that LiteLLM runs as callbacks.
const CALLBACKS: &str = "detect_prompt_injection banned_keywords blocked_user_check hide_secrets \
    llamaguard_moderations llmguard_moderations google_text_moderation openai_moderations \
    lakera_prompt_injection aporia_prompt_injection presidio azure_content_safety";

const NO_CHECK: &str = "this check of requests does not run here, and they would pass unchecked";

/// A protective setting that is neither honoured nor accepted.
#[derive(Clone)]
pub(crate) struct Missing {
    pub(crate) covers: Covers,
    pub(crate) reason: Arc<str>,
    /// `file:line:column`
    pub(crate) place: Arc<str>,
}

/// Deployments that a protective setting is about.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Covers {
    /// All of them.
    Everything,
    /// Those of these providers.
    Providers(Vec<String>),
    /// Those with tags other than `default`.
    Tagged,
}

impl Reader<'_> {
    /// Records a protective setting that is not honoured; what it covers is
    /// withheld unless `keymoat.accept_missing` names it.
    pub(crate) fn protective(
        &mut self,
        field: &Field<'_>,
        name: &'static str,
        why: &str,
        covers: Covers,
    ) {
        if let Some(reason) = self.refused_protection(field, name, why) {
            let place = self.report.entries.last().map(crate::report::Entry::place);
            let place = place.unwrap_or_default().into();
            self.missing.push(Missing { covers, reason, place });
        }
    }

    /// As [`Self::protective`], for a setting of one deployment: returns the
    /// reason for which it is withheld.
    pub(crate) fn refused_protection(
        &mut self,
        field: &Field<'_>,
        name: &'static str,
        why: &str,
    ) -> Option<Arc<str>> {
        if self.accepts(name) {
            let message = format!("{why}: accepted by keymoat.accept_missing");
            self.unsupported(field, message, "");
            return None;
        }
        let hint = format!("to serve without it, say keymoat: {{accept_missing: [{name}]}}");
        self.unsupported(field, format!("{why}: what it covers is not served"), &hint);
        Some(format!("`{name}` is configured, and {why}").into())
    }

    fn accepts(&mut self, name: &str) -> bool {
        let accepted = self.accepted.iter_mut().find(|accepted| accepted.name == name);
        accepted.map(|accepted| accepted.used = true).is_some()
    }

    /// Reads `keymoat.accept_missing`.
    pub(crate) fn accept_missing(&mut self, field: &Field<'_>) {
        for item in self.items(field) {
            let Some(name) = self.text(&item) else { continue };
            if names().any(|known| known == name) {
                let at = (item.node.pos, item.path.clone());
                self.accepted.push(Accepted { name, at, used: false });
            } else {
                let near = nearest(&name, names());
                let hint = near.map(|near| format!("did you mean {near}?")).unwrap_or_default();
                let message = "this is not the name of a protective setting";
                self.error(&item, message, &hint);
            }
        }
    }

    /// Warns of names in `keymoat.accept_missing` that stand for nothing.
    pub(crate) fn check_accepted(&mut self) {
        for accepted in std::mem::take(&mut self.accepted) {
            if !accepted.used {
                let (pos, path) = accepted.at;
                let message = "the configuration has no such setting: this has no effect";
                self.push(pos, &path, Verdict::Warning, message, "");
            }
        }
    }

    /// Reads the top-level `guardrails`. Those that are on by default, or that
    /// no deployment names (keys, teams, tags and policies may turn them on,
    /// which LiteLLM keeps in its database), cover all deployments.
    pub(crate) fn guardrails(&mut self, section: &Field<'_>, models: &[Field<'_>]) {
        let Some((name, why)) = TOP.protective("guardrails") else { return };
        if section.is_off() {
            return self.leftover(section, &TOP);
        }
        let Kind::Seq(items) = &section.node.kind else {
            return self.protective(section, name, why, Covers::Everything);
        };
        let named = named_guardrails(models);
        let (mut all_log, mut all_named) = (true, true);
        for item in items {
            let params = item.get("litellm_params");
            let scalar = |key: &str| text_of(params?.get(key)?);
            if scalar("mode") == Some("logging_only") {
                continue;
            }
            all_log = false;
            let on = scalar("default_on").and_then(crate::scalar::bool_of) == Some(true);
            let is_named = item.get("guardrail_name").and_then(text_of);
            let is_named = is_named.is_some_and(|name| named.iter().any(|named| named == name));
            all_named &= is_named && !on;
        }
        if all_log {
            self.unsupported(section, "they only change what is logged, which is no content", "");
        } else if all_named {
            // Each of those deployments is withheld by its own parameter.
            self.refused_protection(section, name, why);
        } else {
            self.protective(section, name, why, Covers::Everything);
        }
    }

    /// Records one entry of `callbacks` that is a check; false if it is none.
    pub(crate) fn is_check(&mut self, item: &Field<'_>, callback: &str) -> bool {
        let Some(name) = CALLBACKS.split_whitespace().find(|known| *known == callback) else {
            return false;
        };
        self.protective(item, name, NO_CHECK, Covers::Everything);
        true
    }

    /// Reads the variables that would switch endpoints off.
    pub(crate) fn protective_variables(&mut self) {
        for (name, why) in PROTECTIVE_VARIABLES {
            let value = self.env.var(name);
            if value.and_then(|value| crate::scalar::bool_of(value.trim())) != Some(true) {
                continue;
            }
            if self.accepts(name) {
                let message = format!("{why}: accepted by keymoat.accept_missing");
                self.push_variable(name, Verdict::Unsupported, &message, "");
                continue;
            }
            let hint = format!("to serve all the same, say keymoat: {{accept_missing: [{name}]}}");
            let message = format!("{why}: nothing is served");
            self.push_variable(name, Verdict::Unsupported, &message, &hint);
            let reason = format!("the variable `{name}` is set, and {why}").into();
            let place = "environment".into();
            self.missing.push(Missing { covers: Covers::Everything, reason, place });
        }
    }
}

/// Every name that `keymoat.accept_missing` takes.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let sections = [&TOP, &LITELLM, &ROUTER, &GENERAL, &LITELLM_PARAMS, &MODEL_INFO];
    let variables = PROTECTIVE_VARIABLES.iter().map(|(name, _)| *name);
    let keys = sections.into_iter().flat_map(crate::known_keys::Section::protective_names);
    keys.chain(CALLBACKS.split_whitespace()).chain(variables)
}

/// Names in `litellm_params.guardrails` of all deployments.
fn named_guardrails(models: &[Field<'_>]) -> Vec<String> {
    let mut named = Vec::new();
    for section in models {
        let Kind::Seq(items) = &section.node.kind else { continue };
        for item in items {
            let guardrails = item.get("litellm_params").and_then(|params| params.get("guardrails"));
            if let Some(guardrails) = guardrails {
                named.extend(texts(guardrails));
            }
        }
    }
    named
}

/// Texts of a list, or the one text.
pub(crate) fn texts(node: &Node) -> Vec<String> {
    match &node.kind {
        Kind::Seq(items) => items.iter().filter_map(text_of).map(str::to_owned).collect(),
        _ => text_of(node).map(str::to_owned).into_iter().collect(),
    }
}

fn text_of(node: &Node) -> Option<&str> {
    match &node.kind {
        Kind::Scalar { text, .. } => Some(text),
        _ => None,
    }
}
