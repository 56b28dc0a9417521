//! Who is calling: the key in its many headers, and what it stands for.

use crate::canary;
use crate::error::{Compat, Failure, Fault};
use crate::gateway::Gateway;
use crate::headers;
use crate::rules;
use crate::runtime::Runtime;
use base::KeyHash;
use dialect::ErrorClass;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ledger::{Cell, CellUsage, Unit, VirtualKey};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// Whom a call is made for.
pub struct Principal {
    /// None for the master key.
    pub key: Option<VirtualKey>,
    /// Taken once a request: requests and calls in flight.
    pub admission: Vec<Arc<Cell>>,
    /// Taken for each attempt: money and tokens.
    pub permit: Vec<Arc<Cell>>,
    /// The money cell among them.
    pub money: Option<Arc<Cell>>,
    /// Where the key's spending is counted, limited or not: `money` where
    /// there is a budget. None for the master key.
    pub tally: Option<Arc<Cell>>,
    /// Other names that this key alone has for models.
    pub aliases: HashMap<String, String>,
    /// What every record of its says.
    pub texts: Texts,
    /// LiteLLM's headers about its limits.
    pub limit_headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the key is a decoy.
    is_canary: bool,
    /// When it was read from the store, on the monotonic clock.
    read_at: Duration,
}

/// The names of a key's owner, shared by all its records.
#[derive(Default)]
pub struct Texts {
    /// The key's alias.
    pub alias: Option<Arc<str>>,
    /// The user's id.
    pub user_id: Option<Arc<str>>,
    /// The team's id.
    pub team_id: Option<Arc<str>>,
    /// The organisation's id.
    pub organization_id: Option<Arc<str>>,
    /// The key's tags.
    pub tags: Vec<Arc<str>>,
}

impl Texts {
    fn of(key: &VirtualKey) -> Self {
        let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
        Self {
            alias: shared(&key.alias),
            user_id: shared(&key.user_id),
            team_id: shared(&key.team_id),
            organization_id: shared(&key.organization_id),
            tags: key.tags.iter().map(|tag| Arc::from(tag.as_str())).collect(),
        }
    }
}

impl Principal {
    /// Whether this is the master key.
    pub fn is_admin(&self) -> bool {
        self.key.is_none()
    }

    /// Returns true if the key may use some models only.
    pub fn is_restricted(&self) -> bool {
        let any = |model: &String| matches!(model.as_str(), "*" | "all-proxy-models");
        let models = self.key.as_ref().map(|key| key.models.as_slice()).unwrap_or_default();
        !models.is_empty() && !models.iter().any(any)
    }

    /// The holder of the master key: no limits of its own.
    pub fn admin() -> Self {
        Self {
            key: None,
            admission: Vec::new(),
            permit: Vec::new(),
            money: None,
            tally: None,
            aliases: HashMap::new(),
            texts: Texts::default(),
            limit_headers: Vec::new(),
            is_canary: false,
            read_at: Duration::ZERO,
        }
    }
}

/// The keys in use, by hash. Loaded from the store at first use and dropped
/// when a key changes; the spending itself stands in the ledger's book, so
/// dropping an entry loses nothing.
#[derive(Default)]
pub struct Principals {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    by_hash: HashMap<KeyHash, Arc<Principal>>,
    /// Keys that an administrator has stopped and that the store may not know
    /// as such yet.
    stopped: HashMap<KeyHash, Stopped>,
    /// How often something was forgotten.
    forgotten: u64,
}

/// Effect of stopping a key before the store knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// As if the store said that it is blocked.
    Blocked,
    /// As if it were not there.
    Deleted,
}

impl Stopped {
    /// Returns the key as it is in force; `None` if it is deleted.
    pub fn apply(self, key: VirtualKey) -> Option<VirtualKey> {
        (self == Self::Blocked).then_some(VirtualKey { blocked: true, ..key })
    }
}

/// So that keys which are only ever tried do not fill memory.
const KNOWN_MAX: usize = 200_000;

/// How often a key is read that changes while it is read.
const READS_MAX: u32 = 16;

impl Principals {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        self.read().by_hash.get(hash).cloned()
    }

    /// Forgets all once there are `max`; whether it did. Cells that nobody else
    /// uses can be swept up then.
    fn make_room(&self, max: usize) -> bool {
        let full = self.read().by_hash.len() >= max;
        if full {
            self.write().by_hash.clear();
        }
        full
    }

    /// What a key must be read after, to be believed.
    fn moment(&self) -> u64 {
        self.read().forgotten
    }

    /// Keeps what `open` makes of a key that was read since `moment`; nothing
    /// where some key was changed in between, for it may have been this one.
    fn put(
        &self,
        moment: u64,
        hash: KeyHash,
        open: impl FnOnce() -> Principal,
    ) -> Option<Arc<Principal>> {
        let mut known = self.write();
        if known.forgotten != moment {
            return None;
        }
        let principal = Arc::new(open());
        known.by_hash.insert(hash, Arc::clone(&principal));
        Some(principal)
    }

    /// What those keys have left that have a budget; of `max` keys at most.
    pub fn budgets(&self, max: usize) -> Vec<(KeyHash, Option<Arc<str>>, CellUsage)> {
        let budget = |(hash, principal): (&KeyHash, &Arc<Principal>)| {
            let money = principal.money.as_ref()?;
            Some((*hash, principal.texts.alias.clone(), money.usage()))
        };
        self.read().by_hash.iter().filter_map(budget).take(max).collect()
    }

    /// Stops the key at once, or leaves it to the store again.
    pub fn stop(&self, hash: &KeyHash, stopped: Option<Stopped>) {
        let mut known = self.write();
        known.forgotten += 1;
        known.by_hash.remove(hash);
        match stopped {
            Some(stopped) => known.stopped.insert(*hash, stopped),
            None => known.stopped.remove(hash),
        };
    }

    /// Effect on the key, if it is stopped.
    pub fn stopped(&self, hash: &KeyHash) -> Option<Stopped> {
        self.read().stopped.get(hash).copied()
    }

    /// Reads the key anew at its next use.
    pub fn forget(&self, hash: &KeyHash) {
        let mut known = self.write();
        known.forgotten += 1;
        known.by_hash.remove(hash);
    }
}

/// The headers that may carry the key, first present wins (LiteLLM's order).
const KEY_HEADERS: [HeaderName; 6] = [
    HeaderName::from_static("x-litellm-api-key"),
    header::AUTHORIZATION,
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("ocp-apim-subscription-key"),
];

/// The key that the client sent, without its scheme.
pub fn presented_key<'a>(headers: &'a HeaderMap, own_header: Option<&str>) -> Option<&'a str> {
    let key = |value: &'a HeaderValue| {
        let text = value.to_str().ok()?.trim();
        (!text.is_empty()).then(|| without_scheme(text))
    };
    match own_header {
        Some(name) => headers.get(name).and_then(key),
        None => KEY_HEADERS.iter().find_map(|name| headers.get(name).and_then(key)),
    }
}

fn without_scheme(text: &str) -> &str {
    // Signed as AWS's clients sign: the key stands before the scope.
    if let Some(credential) = text.strip_prefix("AWS4-HMAC-SHA256 Credential=Bearer ") {
        return credential.split(['/', ',']).next().unwrap_or(credential).trim();
    }
    let key = ["Bearer ", "bearer ", "BEARER ", "Basic "].iter().find_map(|s| text.strip_prefix(s));
    key.unwrap_or(text).trim()
}

/// Who asks, as far as it can be seen before it is known who they are.
pub struct Asker<'a> {
    /// The client's headers.
    pub headers: &'a HeaderMap,
    /// Where it came from, where that is known.
    pub client_ip: Option<&'a str>,
    /// What it asks for.
    pub path: &'a str,
}

/// Finds out who is calling.
///
/// # Errors
/// LiteLLM's 401s and 400s, in the words of `compat`.
pub async fn authenticate(
    gateway: &Gateway,
    runtime: &Runtime,
    asker: &Asker<'_>,
) -> Result<Arc<Principal>, Failure> {
    let compat = runtime.compat;
    rules::check_asker(&runtime.rules, asker)?;
    let own_header = runtime.key_header_name.as_deref();
    let Some(presented) = presented_key(asker.headers, own_header) else {
        return Err(denied("Authentication Error, No api key passed in."));
    };
    let hash = gateway.hasher.hash(presented);
    if hash == runtime.master {
        return Ok(Arc::clone(&gateway.admin));
    }
    if !presented.starts_with("sk-") {
        return Err(denied(format!(
            "Authentication Error, LiteLLM Virtual Key expected. Received={}, expected to start \
             with 'sk-'.",
            masked(presented)
        )));
    }
    let fresh = |known: &Arc<Principal>| {
        let age = || gateway.clock.monotonic().saturating_sub(known.read_at);
        runtime.key_cache_ttl.is_none_or(|ttl| age() <= ttl)
    };
    let principal = match gateway.principals.get(&hash).filter(fresh) {
        Some(principal) => principal,
        None => load(gateway, &hash, compat).await?,
    };
    if let Some(key) = &principal.key {
        if principal.is_canary {
            canary::alarm(gateway, key, asker);
            return Err(not_found(&hash, compat));
        }
        check(key, gateway.clock.unix_ms(), compat)?;
        rules::check_key_holder(&runtime.rules, asker)?;
    }
    Ok(principal)
}

async fn load(
    gateway: &Gateway,
    hash: &KeyHash,
    compat: Compat,
) -> Result<Arc<Principal>, Failure> {
    if gateway.principals.make_room(KNOWN_MAX) {
        gateway.book.sweep();
    }
    // A key that is blocked or changed while it is read must not come to life
    // again as it was.
    for _ in 0..READS_MAX {
        let moment = gateway.principals.moment();
        let found = gateway.store.key_by_hash(*hash).await.map_err(|error| {
            Failure::new(ErrorClass::Overloaded, Fault::Gateway, "The key store does not answer.")
                .kind("no_db_connection")
                .cause(&error)
        })?;
        let found = match gateway.principals.stopped(hash) {
            Some(stopped) => found.and_then(|key| stopped.apply(key)),
            None => found,
        };
        let Some(key) = found else { return Err(not_found(hash, compat)) };
        if let Some(opened) = gateway.principals.put(moment, *hash, || open(gateway, key)) {
            return Ok(opened);
        }
    }
    Err(Failure::new(
        ErrorClass::Overloaded,
        Fault::Gateway,
        "Keys are being changed too fast for this one to be read; try again.",
    )
    .retry_after_ms(Some(1000)))
}

fn not_found(hash: &KeyHash, compat: Compat) -> Failure {
    let message = match compat {
        Compat::V1_83 => format!(
            "Authentication Error, Invalid proxy server token passed. key={hash}, not found in \
             db. Create key via `/key/generate` call."
        ),
        Compat::V1_109 => "Authentication Error, Invalid API key provided.".to_owned(),
    };
    denied(message).kind("token_not_found_in_db").param("key")
}

/// The allowances of a key, as living cells.
fn open(gateway: &Gateway, key: VirtualKey) -> Principal {
    let (allowance, opening) = key.tally();
    let tally = Some(gateway.book.open(allowance, opening));
    let cells = key.allowances().into_iter();
    let cells = cells.map(|(allowance, opening)| gateway.book.open(allowance, opening));
    let (permit, admission): (Vec<_>, Vec<_>) =
        cells.partition(|cell| matches!(cell.unit(), Unit::Money | Unit::Tokens));
    let money = permit.iter().find(|cell| cell.unit() == Unit::Money).cloned();
    let read_at = gateway.clock.monotonic();
    let (texts, limit_headers) = (Texts::of(&key), headers::of_limits(&key));
    let is_canary = key.is_canary();
    let aliases = aliases_of(&key);
    Principal {
        key: Some(key),
        admission,
        permit,
        money,
        tally,
        aliases,
        texts,
        limit_headers,
        is_canary,
        read_at,
    }
}

/// The key's `aliases`; none where they cannot be read, since the models that
/// they stand for are then refused.
fn aliases_of(key: &VirtualKey) -> HashMap<String, String> {
    #[derive(Default, serde::Deserialize)]
    struct Settings {
        aliases: Option<HashMap<String, String>>,
    }
    let settings: Settings = serde_json::from_str(&key.settings).unwrap_or_default();
    settings.aliases.unwrap_or_default()
}

fn check(key: &VirtualKey, now_ms: i64, compat: Compat) -> Result<(), Failure> {
    if key.blocked {
        return Err(denied(
            "Authentication Error, Key is blocked. Update via `/key/unblock` if you're an admin.",
        ));
    }
    if let Some(expires_at_ms) = key.expires_at_ms.filter(|at| *at <= now_ms) {
        let status = match compat {
            Compat::V1_83 => StatusCode::BAD_REQUEST,
            Compat::V1_109 => StatusCode::UNAUTHORIZED,
        };
        return Err(denied(format!(
            "Authentication Error - Expired Key. Key Expiry time {} and current time {}",
            base::clock::rfc3339(expires_at_ms),
            base::clock::rfc3339(now_ms)
        ))
        .kind("expired_key")
        .param(key.name.clone())
        .status(status));
    }
    Ok(())
}

/// The model group that the key's `model` stands for, once it is clear that
/// the key may use it. As in LiteLLM an alias is resolved once, before those of
/// the router; whoever gave the key one of the two names gave it the model.
///
/// # Errors
/// As [`check_model`].
pub fn resolve_model<'a>(
    principal: &'a Principal,
    model: &'a str,
    compat: Compat,
) -> Result<&'a str, Failure> {
    let Some(meant) = principal.aliases.get(model) else {
        check_model(principal, model, compat)?;
        return Ok(model);
    };
    if check_model(principal, meant, compat).is_err() {
        check_model(principal, model, compat)?;
    }
    Ok(meant)
}

/// Whether `key` may use `model`. `all-team-models` stands for none: there are
/// no teams yet.
///
/// # Errors
/// LiteLLM's `key_model_access_denied`.
pub fn check_model(principal: &Principal, model: &str, compat: Compat) -> Result<(), Failure> {
    let Some(key) = &principal.key else { return Ok(()) };
    let allows = |allowed: &String| {
        allowed == model
            || matches!(allowed.as_str(), "*" | "all-proxy-models")
            || crate::routing::wildcard(allowed, model).is_some()
    };
    if key.models.is_empty() || key.models.iter().any(allows) {
        return Ok(());
    }
    let message = match compat {
        Compat::V1_83 => format!(
            "key not allowed to access model. This key can only access models={:?}. Tried to \
             access {model}",
            key.models
        ),
        Compat::V1_109 => format!(
            "The requested model '{model}' is not available for this API key, or the model name \
             is invalid. Check the models available to you and try again."
        ),
    };
    // 403 in both lines: agents that get 1.83's 401 ask for minutes.
    let failure = Failure::new(ErrorClass::Permission, Fault::Client, message);
    Err(failure.kind("key_model_access_denied").param("model"))
}

fn denied(message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(ErrorClass::Authentication, Fault::Client, message).kind("auth_error")
}

/// The first and last four characters; nothing of a short text.
fn masked(text: &str) -> String {
    let length = text.chars().count();
    if length <= 12 {
        return "****".to_owned();
    }
    let first: String = text.chars().take(4).collect();
    let last: String = text.chars().skip(length - 4).collect();
    format!("{first}****{last}")
}

#[cfg(test)]
mod tests {
    use super::{Principal, Principals, Stopped, check_model, masked, presented_key};
    use crate::error::Compat;
    use base::KeyHash;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use ledger::VirtualKey;

    #[test]
    fn all_models_of_a_team_are_none_while_there_are_no_teams() {
        let may = |models: &[&str]| {
            let mut key = VirtualKey::new(KeyHash([7; 32]), "sk-...wxyz".into(), 0);
            key.models = models.iter().map(ToString::to_string).collect();
            key.team_id = Some("t1".to_owned());
            let principal = Principal { key: Some(key), ..Principal::admin() };
            check_model(&principal, "secret", Compat::V1_83).is_ok()
        };
        assert!(may(&["all-proxy-models"]) && may(&["*"]) && may(&["secret"]) && may(&[]));
        assert!(!may(&["all-team-models"]) && !may(&["no-default-models"]));
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn every_header_form_gives_the_key() {
        for (name, value) in [
            ("authorization", "Bearer sk-1"),
            ("authorization", "bearer sk-1"),
            ("authorization", "Basic sk-1"),
            ("authorization", "AWS4-HMAC-SHA256 Credential=Bearer sk-1/20260101/x, Signed=y"),
            ("x-litellm-api-key", "sk-1"),
            ("x-litellm-api-key", "Bearer sk-1"),
            ("api-key", "sk-1"),
            ("x-api-key", "sk-1"),
            ("x-goog-api-key", "sk-1"),
            ("ocp-apim-subscription-key", "sk-1"),
        ] {
            assert_eq!(presented_key(&headers(&[(name, value)]), None), Some("sk-1"), "{name}");
        }
    }

    #[test]
    fn the_first_present_wins_and_a_configured_header_replaces_all() {
        let both = headers(&[("x-litellm-api-key", "sk-1"), ("authorization", "Bearer oauth")]);
        assert_eq!(presented_key(&both, None), Some("sk-1"));
        assert_eq!(presented_key(&both, Some("x-company-key")), None);
        assert_eq!(presented_key(&headers(&[("authorization", "")]), None), None);
    }

    #[test]
    fn a_key_that_changes_while_it_is_read_is_read_again() {
        let (principals, hash) = (Principals::default(), KeyHash([7; 32]));
        let before = principals.moment();
        principals.forget(&hash);
        let opened = principals.put(before, hash, || panic!("its cells must not be opened"));
        assert!(opened.is_none() && principals.get(&hash).is_none());
        assert!(principals.put(principals.moment(), hash, Principal::admin).is_some());
        assert!(principals.get(&hash).is_some());
    }

    #[test]
    fn a_key_that_is_stopped_while_it_is_read_is_read_again() {
        let (principals, hash) = (Principals::default(), KeyHash([7; 32]));
        let before = principals.moment();
        principals.stop(&hash, Some(Stopped::Blocked));
        assert!(principals.put(before, hash, Principal::admin).is_none());
        let key = || VirtualKey::new(hash, "sk-...wxyz".into(), 0);
        let stopped = principals.stopped(&hash).unwrap();
        assert!(stopped.apply(key()).unwrap().blocked);
        assert_eq!(Stopped::Deleted.apply(key()), None);
        principals.stop(&hash, None);
        assert_eq!(principals.stopped(&hash), None);
    }

    #[test]
    fn keys_that_were_only_tried_do_not_fill_memory() {
        let principals = Principals::default();
        for number in 0..100 {
            principals.make_room(10);
            principals.put(0, KeyHash([number; 32]), Principal::admin).unwrap();
            assert!(principals.read().by_hash.len() <= 10);
        }
        assert!(principals.get(&KeyHash([99; 32])).is_some());
    }

    #[test]
    fn a_key_may_hold_what_separates_elsewhere() {
        let slashed = headers(&[("authorization", "Bearer sk-a/b,c")]);
        assert_eq!(presented_key(&slashed, None), Some("sk-a/b,c"));
    }

    #[test]
    fn a_refused_key_is_not_shown() {
        assert_eq!(masked("hunter2"), "****");
        assert_eq!(masked("abcdefghijklmnopq"), "abcd****nopq");
    }
}
