//! What lives as long as the process and is shared by all requests.

use crate::call::Call;
use crate::canary::Watch;
use crate::deployment::Candidate;
use crate::detach::Drains;
use crate::dice::Dice;
use crate::error::{self, Failure, Fault};
use crate::estimates::Estimates;
use crate::health::Outcome;
use crate::idle::Idle;
use crate::key_cache::{KeyCache, Stopped};
use crate::principal::Principal;
use crate::proxy_budget::Plan;
use crate::route::Failed;
use crate::runtime::{Lasting, Prepared, Runtime, apply, build};
use crate::unsettled::Unsettled;
use crate::witness::{Ended, Witness};
use arc_swap::ArcSwap;
use base::{CallId, Clock, KeyHash, Redactor};
use config::Config;
use dialect::ApiError;
use egress::Egress;
use http::StatusCode;
use ledger::{Book, CellUsage, Journal, KeyHasher, Store};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How often a disk that failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// The same when the process waits for it.
const RETRY_SOON: Duration = Duration::from_millis(100);

/// What a gateway is made of.
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The way out.
    pub egress: Egress,
    /// Keys and records at rest.
    pub store: Arc<dyn Store>,
    /// What makes a record durable.
    pub journal: Arc<dyn Journal>,
    /// From a key to its stored form.
    pub hasher: KeyHasher,
    /// The master key's stored form.
    pub master: KeyHash,
    /// Where large bodies wait.
    pub spool_dir: PathBuf,
    /// For [`Dice`].
    pub seed: u64,
}

/// See the module.
pub struct Gateway {
    pub(crate) clock: Arc<dyn Clock>,
    /// Allows no origin: each [`Runtime`] has the one that its calls use.
    egress: Egress,
    pub(crate) book: Book,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) hasher: KeyHasher,
    pub(crate) admin: Arc<Principal>,
    pub(crate) keys: KeyCache,
    idle: Mutex<Idle>,
    pub(crate) redactor: ArcSwap<Redactor>,
    pub(crate) dice: Dice,
    pub(crate) unsettled: Unsettled,
    pub(crate) canaries: Watch,
    pub(crate) drains: Drains,
    pub(crate) estimates: Estimates,
    runtime: ArcSwap<Runtime>,
    lasting: Lasting,
    spool_dir: PathBuf,
    witness: OnceLock<Box<dyn Witness>>,
}

impl Gateway {
    /// A gateway that serves `config`.
    ///
    /// # Errors
    /// What cannot be served, in words.
    pub async fn new(parts: Parts, config: &Config) -> Result<Arc<Self>, String> {
        let book = Book::new(Arc::clone(&parts.clock));
        let lasting = Lasting::default();
        let built = build(config).map_err(|error| error.to_string())?;
        let budget = Plan::of(config, None, &*parts.store, &*parts.clock).await?;
        let egress = &parts.egress;
        let prepared =
            apply(built, egress, &lasting, &book, budget, &parts.spool_dir, parts.master);
        Ok(Arc::new(Self {
            clock: parts.clock,
            egress: parts.egress,
            book,
            store: parts.store,
            journal: parts.journal,
            hasher: parts.hasher,
            admin: Arc::new(Principal::admin()),
            keys: KeyCache::default(),
            idle: Mutex::default(),
            redactor: ArcSwap::from_pointee(prepared.redactor),
            dice: Dice::new(parts.seed),
            runtime: ArcSwap::from_pointee(prepared.runtime),
            unsettled: Unsettled::default(),
            canaries: Watch::default(),
            drains: Drains::default(),
            estimates: Estimates::default(),
            lasting,
            spool_dir: parts.spool_dir,
            witness: OnceLock::new(),
        }))
    }

    /// Swaps a new configuration in, whole; requests under way keep theirs.
    /// A master key that the configuration no longer names stays in force:
    /// there must always be one, and where else it came from is not known here.
    ///
    /// # Errors
    /// What cannot be served; the old configuration stays.
    pub async fn reload(&self, config: &Config) -> Result<(), String> {
        let built = build(config).map_err(|error| error.to_string())?;
        let before = Some(self.runtime.load().proxy_tally.clone());
        let budget = Plan::of(config, before, &*self.store, &*self.clock).await?;
        let master = match &config.access.master_key {
            Some(key) => self.hasher.hash(key.expose()),
            None => self.runtime.load().master,
        };
        // Nothing may fail from here on: limits change for running calls too.
        let Self { egress, lasting, book, spool_dir, .. } = self;
        let Prepared { runtime, redactor } =
            apply(built, egress, lasting, book, budget, spool_dir, master);
        // The redactor comes first, so that no moment in between shows a new
        // secret. What was secret stays so: running calls still carry it.
        let redactor = self.redactor.load().and(&redactor);
        self.redactor.store(Arc::new(redactor));
        self.runtime.store(Arc::new(runtime));
        // Deployments that are gone.
        self.book.sweep();
        Ok(())
    }

    /// Tries every second to write the records that could not be written, and
    /// drops what is not used any longer, until the future is dropped.
    pub async fn keep_settling(self: Arc<Self>) {
        loop {
            tokio::time::sleep(RETRY_EVERY).await;
            self.settle_waiting().await;
            self.drop_idle();
        }
    }

    /// Goes one step on in dropping cells and stops that the store knows, see
    /// [`Idle`].
    pub fn drop_idle(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_settled = self.unsettled.is_empty();
        idle.step(self.clock.monotonic(), is_settled, &*self.journal, &self.book, &self.keys);
    }

    /// Writes the records that could not be written, and gives up after
    /// `limit`; returns how many are lost then, each of which the log names.
    pub async fn settle_all(self: Arc<Self>, limit: Duration) -> usize {
        let all = async {
            while !self.settle_waiting().await {
                tokio::time::sleep(RETRY_SOON).await;
            }
        };
        match tokio::time::timeout(limit, all).await {
            Ok(()) => 0,
            Err(_) => self.unsettled.give_up(),
        }
    }

    /// Whether none waits any longer.
    async fn settle_waiting(self: &Arc<Self>) -> bool {
        if self.unsettled.is_empty() {
            return true;
        }
        let gateway = Arc::clone(self);
        // Each is a write to a disk that is in trouble.
        let retried = move || gateway.unsettled.retry(&*gateway.journal, usize::MAX).is_ok();
        tokio::task::spawn_blocking(retried).await.unwrap_or(false)
    }

    /// Why no further call can be recorded now, in a word, where that is so.
    pub fn cannot_record(&self) -> Option<&'static str> {
        if !self.unsettled.is_empty() {
            return Some("unwritable");
        }
        self.journal.is_full().then_some("full")
    }

    /// A new id for a call or for an answer, unique on its own.
    pub fn new_call_id(&self) -> CallId {
        CallId::new(self.clock.unix_ms(), self.dice.ten_bytes())
    }

    /// Everything that must never be shown, since the process began.
    pub fn redactor(&self) -> Arc<Redactor> {
        self.redactor.load_full()
    }

    /// Waits until no answer is read to its end any more for clients that have
    /// gone, and cuts what is left after `limit`: all of it is settled then.
    pub async fn end_drains(&self, limit: Duration) {
        self.drains.end(limit).await;
    }

    /// Has `witness` told of what goes wrong; the first one given stays.
    pub fn tell(&self, witness: Box<dyn Witness>) {
        self.witness.get_or_init(|| witness);
    }

    pub(crate) fn witness(&self) -> Option<&dyn Witness> {
        self.witness.get().map(AsRef::as_ref)
    }

    /// A request ended without an answer.
    pub(crate) fn ended(&self, route: &'static str, failure: &mut Failure, call: Option<&Call>) {
        if !std::mem::replace(&mut failure.counted, true)
            && let Some(witness) = self.witness()
        {
            witness.ended(&Ended { route, failure, call });
        }
    }

    /// What each key in use has left of its budget: hash, alias, and the
    /// budget as it stands; `max` keys at most.
    pub fn budgets(&self, max: usize) -> Vec<(KeyHash, Option<Arc<str>>, CellUsage)> {
        self.keys.budgets(max)
    }

    /// The configuration of now.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.load_full()
    }

    /// The time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Milliseconds on the monotonic clock, which deployments cool down by: a
    /// wall clock that is set must not stretch a pause.
    pub fn ticks_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// Keys and records at rest.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// What makes a record durable.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// From a key to its stored form.
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// All allowances in use.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Removes secrets from text by value.
    pub fn clean(&self, text: &str) -> String {
        self.redactor.load().clean(text).into_owned()
    }

    /// Removes secrets from all that a provider says of a failure: it may hold
    /// the key that it was sent. Nothing is kept of an error that is about that
    /// key.
    pub(crate) fn clean_error(&self, error: &mut ApiError) {
        if error::is_about_credential(error) {
            error::withhold(error);
            return;
        }
        error.message = self.clean(&error.message);
        for text in [&mut error.kind, &mut error.code, &mut error.param] {
            *text = text.as_ref().map(|text| self.clean(text));
        }
    }

    /// A key was changed or deleted: read it anew at its next use.
    pub fn forget_key(&self, hash: &KeyHash) {
        self.keys.forget(hash);
    }

    /// Stops a key at once, whatever the store says of it; `None` leaves it to
    /// the store again.
    pub fn stop_key(&self, hash: &KeyHash, stopped: Option<Stopped>) {
        self.keys.stop(hash, stopped);
    }

    /// Notes that the spool has the change for which the key is stopped.
    pub fn set_stop_written(&self, hash: &KeyHash) {
        self.keys.set_stop_written(hash);
    }

    /// Effect of [`Gateway::stop_key`] on the key, if it is stopped.
    pub fn stopped(&self, hash: &KeyHash) -> Option<Stopped> {
        self.keys.stopped(hash)
    }

    pub(crate) fn drain_max(&self) -> Duration {
        Duration::from_millis(self.runtime.load().drain.max_ms)
    }

    pub(crate) fn drain_max_bytes(&self) -> usize {
        usize::try_from(self.runtime.load().drain.max_bytes).unwrap_or(usize::MAX)
    }

    pub(crate) fn succeeded(&self, candidate: &Candidate, runtime: &Runtime) {
        let now_ms = self.ticks_ms();
        let health = &candidate.deployment.health;
        health.observe(Outcome::Success, now_ms, candidate.alone, None, &runtime.cooldown);
    }

    /// Sends a deployment whose answers cannot be true into cooldown.
    pub(crate) fn cool(&self, candidate: &Candidate) {
        let deployment = &candidate.deployment;
        let runtime = self.runtime.load();
        let cooldown_ms = deployment.cooldown_ms.unwrap_or(runtime.cooldown.cooldown_ms);
        if runtime.cooldown.disabled || candidate.alone || cooldown_ms <= 0 {
            return;
        }
        deployment.health.cool(self.ticks_ms(), cooldown_ms);
        if let Some(witness) = self.witness() {
            witness.cooled(deployment, None);
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, candidate: &Candidate, failed: &Failed, runtime: &Runtime) {
        if !speaks_of(candidate, failed) {
            return;
        }
        let now_ms = self.ticks_ms();
        let deployment = &candidate.deployment;
        let mut rules = runtime.cooldown.clone();
        // Its own time goes before the provider's word, that before the router's.
        let mut retry_after_ms = failed.failure.retry_after_ms;
        if let Some(own) = deployment.cooldown_ms {
            rules.cooldown_ms = own;
            rules.disabled |= own == 0;
            retry_after_ms = None;
        }
        let cooled = deployment.health.observe(
            Outcome::Failure(failed.status),
            now_ms,
            candidate.alone,
            retry_after_ms,
            &rules,
        );
        if cooled {
            if let Some(witness) = self.witness() {
                witness.cooled(deployment, failed.status);
            }
            tracing::warn!(
                deployment = %deployment.id,
                model_group = %deployment.model_group,
                status = failed.status.map(|s| s.as_u16()),
                "a deployment cools down"
            );
        }
    }
}

/// Whether a failure says something about the deployment, and not about what
/// this one client asked for.
fn speaks_of(candidate: &Candidate, failed: &Failed) -> bool {
    let failure = &failed.failure;
    let named_by_client = *candidate.upstream_model != *candidate.deployment.upstream_model;
    failure.fault == Fault::Upstream
        && !(named_by_client && failed.status == Some(StatusCode::NOT_FOUND))
}
