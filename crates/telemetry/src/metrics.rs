//! What an observation adds to which family.
//!
//! Not on the request path: [`Metrics::observe`] takes a lock and looks label
//! sets up. Only [`Gauges`] are for the path, being atomics.
//!
//! A label without a value says `None`, as LiteLLM's do. `client_ip` and
//! `user_agent` always do: every client could make new series with them. With
//! a wildcard group it can make up names of models too, so that of those only
//! the first [`NAMES_MAX`] are told apart, and no value is longer than
//! [`LABEL_MAX_BYTES`].

use crate::exposition::{Family, Kind, OTHER};
use crate::families::{COUNT, LEVEL, Label as L, Name, SPECS, Spec};
use crate::observation::{Attempt, DeploymentState, Failure, KeyBudget, Observation, Text};
use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Series that a family may have before [`OTHER`](crate::exposition::OTHER).
pub const SERIES_MAX: usize = 5_000;
/// Names of models and model groups that are told apart.
pub const NAMES_MAX: usize = 1_000;
/// What is kept of a label's value.
const LABEL_MAX_BYTES: usize = 128;

/// Levels of this process, for whoever renders to set.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Spend records in the spool that the database has not got yet.
    pub spool_records: AtomicI64,
    /// Uses of canaries that were told of since the process began.
    pub canary_uses: AtomicI64,
    /// Log lines that were dropped since the process began.
    pub log_lines_dropped: AtomicI64,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    /// Levels that need no lock.
    pub gauges: Gauges,
    state: Mutex<State>,
    none: Text,
    other: Text,
}

#[derive(Debug)]
struct State {
    families: Vec<Family>,
    /// Of models and model groups, as they first came.
    names: HashSet<Text>,
}

impl Metrics {
    /// All at nought.
    pub fn new() -> Self {
        Self::with_series_max(SERIES_MAX)
    }

    /// With another cap on the series of each family.
    pub fn with_series_max(series_max: usize) -> Self {
        let family = |spec: &Spec| {
            let labels = spec.labels.iter().map(|label| label.name()).collect();
            Family::new(spec.name, spec.help, spec.kind, labels, series_max)
        };
        let families = SPECS.iter().map(family).collect();
        let state = Mutex::new(State { families, names: HashSet::new() });
        let (none, other) = (Arc::from("None"), Arc::from(OTHER));
        Self { gauges: Gauges::default(), state, none, other }
    }

    /// Counts what ended. Not for the request path: see [`Metrics::observe_all`].
    pub fn observe(&self, seen: &Observation) {
        self.observe_all(std::slice::from_ref(seen));
    }

    /// Counts a batch under one lock. What differs in its numbers only is
    /// looked up once.
    pub fn observe_all(&self, batch: &[Observation]) {
        let mut book = self.book();
        for tally in Tally::of(batch) {
            book.count(&tally);
        }
    }

    /// A deployment was sent into cooldown. Of the attempt only the
    /// deployment's own facts matter.
    pub fn cooled_down(&self, deployment: Attempt, failure: Failure) {
        let seen = Observation {
            attempt: Some(deployment),
            failure: Some(failure),
            ..Observation::default()
        };
        self.book().add(Name::CooledDown, &Values::of(&seen), 1);
    }

    /// A fallback answered, or failed too. `seen` says whose call it is, why
    /// the group before it failed, and where it went.
    pub fn fell_back(&self, seen: &Observation, answered: bool) {
        let name = if answered { Name::FallbackSuccess } else { Name::FallbackFailure };
        self.book().add(name, &Values::of(seen), 1);
    }

    /// Sets how deployments fare and what keys have left, in place of all that
    /// was set before. Of each attempt only the deployment's own facts matter.
    pub fn set_levels(
        &self,
        deployments: impl IntoIterator<Item = (Attempt, DeploymentState)>,
        budgets: impl IntoIterator<Item = KeyBudget>,
    ) {
        let mut book = self.book();
        for (spec, family) in SPECS.iter().zip(book.state.families.iter_mut()) {
            if matches!(spec.kind, Kind::Gauge { .. }) {
                family.clear();
            }
        }
        for (deployment, state) in deployments {
            let seen = Observation { attempt: Some(deployment), ..Observation::default() };
            let level = match state {
                DeploymentState::Healthy => 0,
                DeploymentState::Partial => 1,
                DeploymentState::Outage => 2,
            };
            book.set(Name::DeploymentState, &Values::of(&seen), level);
        }
        for budget in budgets {
            let KeyBudget { hash, alias, left, max, resets_in_ms } = budget;
            let seen =
                Observation { key_hash: Some(hash), key_alias: alias, ..Observation::default() };
            let values = Values::of(&seen);
            book.set(Name::KeyBudgetLeft, &values, left.0.into());
            book.set(Name::KeyBudgetMax, &values, max.0.into());
            if let Some(ms) = resets_in_ms {
                book.set(Name::KeyBudgetHours, &values, ms.into());
            }
        }
    }

    /// The text for `GET /metrics`; its content type is
    /// [`CONTENT_TYPE`](crate::exposition::CONTENT_TYPE).
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(64 * 1024);
        // Requests that end wait for this lock: a family is copied under it, and
        // sorted and written without it.
        let copies = (0..).map_while(|index| self.locked().families.get(index).cloned());
        copies.for_each(|family| family.render(&mut text));
        let waiting = self.gauges.spool_records.load(Ordering::Relaxed);
        let help = "Spend records that wait for the database.";
        let mut family = Family::new("keymoat_spool_records", help, LEVEL, Vec::new(), 1);
        family.set(&[], waiting.into());
        family.render(&mut text);
        for (name, help, count) in [
            (
                "keymoat_canary_uses",
                "Uses of decoy keys; each one is an alarm.",
                &self.gauges.canary_uses,
            ),
            (
                "keymoat_log_lines_dropped",
                "Log lines that standard error did not take in time.",
                &self.gauges.log_lines_dropped,
            ),
        ] {
            let mut family = Family::new(name, help, COUNT, Vec::new(), 1);
            family.add(&[], count.load(Ordering::Relaxed).into());
            family.render(&mut text);
        }
        text
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> Book<'_> {
        let state = self.locked();
        Book { state, key: Vec::with_capacity(16), none: &self.none, other: &self.other }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The families, locked, with a scratch key.
struct Book<'a> {
    state: MutexGuard<'a, State>,
    key: Vec<Text>,
    none: &'a Text,
    other: &'a Text,
}

impl Book<'_> {
    fn count(&mut self, tally: &Tally<'_>) {
        let seen = tally.first;
        let values = Values::of(seen);
        let times = tally.all.len() as i128;
        let succeeded = seen.failure.is_none();
        if seen.ends_request {
            self.add(Name::ProxyTotal, &values, times);
            if !succeeded {
                self.add(Name::ProxyFailed, &values, times);
            }
        }
        if seen.attempt.is_none() {
            return;
        }
        self.add(Name::DeploymentTotal, &values, times);
        if succeeded {
            self.add(Name::DeploymentSuccess, &values, times);
            self.count_answers(tally, &values);
        } else {
            self.add(Name::DeploymentFailure, &values, times);
        }
        // A failed attempt may be billed all the same.
        let (input, output) =
            (tally.sum(|a| a.input_tokens.into()), tally.sum(|a| a.output_tokens.into()));
        let cost = tally.sum(|a| a.cost.0.into());
        if succeeded || input + output > 0 || cost != 0 {
            self.add(Name::InputTokens, &values, input);
            self.add(Name::OutputTokens, &values, output);
            self.add(Name::TotalTokens, &values, input + output);
            self.add(Name::Spend, &values, cost);
        }
    }

    fn count_answers(&mut self, tally: &Tally<'_>, values: &Values<'_>) {
        self.add(Name::Requests, values, tally.all.len() as i128);
        self.time(Name::UpstreamLatency, values, tally.attempts().map(|a| a.upstream_us));
        self.time(Name::TotalLatency, values, tally.all.iter().map(|seen| seen.total_us));
        self.time(Name::Overhead, values, tally.attempts().map(|a| a.overhead_us));
        if tally.first.stream {
            self.time(Name::FirstToken, values, tally.attempts().filter_map(|a| a.first_byte_us));
        }
        let per_token = |a: &Attempt| a.upstream_us.checked_div(a.output_tokens);
        self.time(Name::PerOutputToken, values, tally.attempts().filter_map(per_token));
    }

    fn add(&mut self, name: Name, values: &Values<'_>, amount: i128) {
        self.with(name, values, |family, key| family.add(key, amount));
    }

    fn set(&mut self, name: Name, values: &Values<'_>, amount: i128) {
        self.with(name, values, |family, key| family.set(key, amount));
    }

    fn time(&mut self, name: Name, values: &Values<'_>, us: impl Iterator<Item = u64>) {
        self.with(name, values, |family, key| family.observe_all(key, us));
    }

    fn with(&mut self, name: Name, values: &Values<'_>, act: impl FnOnce(&mut Family, &[Text])) {
        let Self { state, key, none, other } = self;
        let State { families, names } = &mut **state;
        let mut families = SPECS.iter().zip(families);
        let Some((spec, family)) = families.find(|(spec, _)| spec.id == name) else { return };
        key.clear();
        for label in spec.labels {
            let Some(value) = values.get(*label).map(short) else {
                key.push(Arc::clone(none));
                continue;
            };
            let is_known = !names_model(*label) || names.contains(&value);
            if is_known || names.len() < NAMES_MAX {
                if !is_known {
                    names.insert(Arc::clone(&value));
                }
                key.push(value);
            } else {
                key.push(Arc::clone(other));
            }
        }
        act(family, key);
    }
}

/// Whether a client may make up what the label says.
fn names_model(label: L) -> bool {
    matches!(
        label,
        L::LitellmModelName | L::Model | L::ModelGroup | L::FallbackModel | L::RequestedModel
    )
}

fn short(value: Text) -> Text {
    if value.len() <= LABEL_MAX_BYTES {
        return value;
    }
    value.get(..value.floor_char_boundary(LABEL_MAX_BYTES)).unwrap_or_default().into()
}

/// Observations of a batch that differ in their numbers only.
struct Tally<'a> {
    first: &'a Observation,
    all: Vec<&'a Observation>,
}

/// Distinct sets of labels that one batch is sorted into; what comes after is
/// counted one by one.
const TALLIES_MAX: usize = 32;

impl<'a> Tally<'a> {
    fn of(batch: &'a [Observation]) -> Vec<Self> {
        let mut tallies: Vec<Self> = Vec::new();
        for seen in batch {
            let alike = |tally: &&mut Self| tally.first.has_labels_of(seen);
            match tallies.iter_mut().take(TALLIES_MAX).find(alike) {
                Some(tally) => tally.all.push(seen),
                None => tallies.push(Self { first: seen, all: vec![seen] }),
            }
        }
        tallies
    }

    fn attempts(&self) -> impl Iterator<Item = &'a Attempt> {
        self.all.iter().filter_map(|seen| seen.attempt.as_ref())
    }

    fn sum(&self, of: impl Fn(&Attempt) -> i128) -> i128 {
        self.attempts().map(of).sum()
    }
}

/// Where a label's value comes from.
#[derive(Clone, Copy)]
struct Values<'a> {
    seen: &'a Observation,
    failure: Option<&'a Failure>,
}

impl<'a> Values<'a> {
    fn of(seen: &'a Observation) -> Self {
        Self { seen, failure: seen.failure.as_ref() }
    }

    fn get(&self, label: L) -> Option<Text> {
        let Self { seen, failure } = self;
        let attempt = seen.attempt.as_ref();
        match label {
            L::ApiBase => attempt.map(|attempt| Arc::clone(&attempt.api_base)),
            L::ApiProvider => attempt.map(|attempt| Arc::clone(&attempt.provider)),
            L::LitellmModelName | L::Model => attempt.map(|attempt| Arc::clone(&attempt.model)),
            L::ModelGroup | L::FallbackModel => {
                attempt.map(|attempt| Arc::clone(&attempt.model_group))
            }
            L::ModelId => attempt.map(|attempt| Arc::clone(&attempt.deployment)),
            L::ServiceTier => attempt.and_then(|attempt| attempt.service_tier.clone()),
            L::ApiKeyAlias => seen.key_alias.clone(),
            L::HashedApiKey => seen.key_hash.clone(),
            L::EndUser => seen.end_user.clone(),
            L::RequestedModel => seen.requested_model.clone(),
            L::Route => seen.route.clone(),
            L::Team => seen.team.clone(),
            L::TeamAlias => seen.team_alias.clone(),
            L::User => seen.user.clone(),
            L::UserEmail => seen.user_email.clone(),
            L::StatusCode => Some(seen.status.to_string().into()),
            L::ExceptionClass => failure.map(|failure| Arc::clone(&failure.class)),
            L::ExceptionStatus => failure.map(|failure| failure.status.to_string().into()),
            L::ClientIp | L::UserAgent => None,
        }
    }
}
