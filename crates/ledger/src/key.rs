//! Virtual keys as they are stored.

use crate::account::Account;
use crate::allowance::{Allowance, Opening, Subject};
use crate::window::Window;
use base::{KeyHash, NanoUsd};

/// The tag that makes a virtual key a canary.
pub const CANARY_TAG: &str = "keymoat:canary";

/// A virtual key: whose it is, what it may call and what it may spend. Holds
/// the key's hash, never the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualKey {
    /// The stored form, which is also its public id.
    pub hash: KeyHash,
    /// As shown to people: `sk-...abcd`.
    pub name: String,
    /// A name that people gave it; unique.
    pub alias: Option<String>,
    /// Model groups it may call; empty: all.
    pub models: Vec<String>,
    /// The most it may spend in one window.
    pub max_budget: Option<NanoUsd>,
    /// How long a window is; `None`: it never ends.
    pub budget_duration: Option<Window>,
    /// When the open window ends, milliseconds since 1970.
    pub budget_reset_at_ms: Option<i64>,
    /// Time at which the open window began; charges reserved before are no part
    /// of `spend`. Zero without a window.
    pub budget_began_ms: i64,
    /// See [`Account::ahead`].
    pub budget_ahead: NanoUsd,
    /// Spent in the open window. May lag behind the book by what is in the
    /// spool; see [`VirtualKey::roll`] for a window that has ended.
    pub spend: NanoUsd,
    /// Spent since the key was made.
    pub total_spend: NanoUsd,
    /// Requests per minute.
    pub rpm_limit: Option<u64>,
    /// Tokens per minute.
    pub tpm_limit: Option<u64>,
    /// Requests at the same time.
    pub max_parallel_requests: Option<u64>,
    /// From when on it is refused, milliseconds since 1970.
    pub expires_at_ms: Option<i64>,
    /// Refused until unblocked.
    pub blocked: bool,
    /// The internal user it belongs to.
    pub user_id: Option<String>,
    /// The team it belongs to.
    pub team_id: Option<String>,
    /// The organisation it belongs to.
    pub organization_id: Option<String>,
    /// Tags of all its requests.
    pub tags: Vec<String>,
    /// The text of a JSON object that its maker attached.
    pub metadata: String,
    /// The text of a JSON object of LiteLLM's further settings (`aliases`,
    /// `permissions`, `allowed_routes`, …), kept and given back as they came.
    pub settings: String,
    /// Milliseconds since 1970.
    pub created_at_ms: i64,
    /// Milliseconds since 1970; changes with every change by a person, not
    /// with spending. The store refuses a change based on an older state.
    pub updated_at_ms: i64,
    /// The user id of its maker.
    pub created_by: Option<String>,
    /// The user id of who changed it last.
    pub updated_by: Option<String>,
    /// When it was last used, milliseconds since 1970.
    pub last_active_ms: Option<i64>,
}

impl VirtualKey {
    /// A key without any limit.
    pub fn new(hash: KeyHash, name: String, now_ms: i64) -> Self {
        Self {
            hash,
            name,
            alias: None,
            models: Vec::new(),
            max_budget: None,
            budget_duration: None,
            budget_reset_at_ms: None,
            budget_began_ms: 0,
            budget_ahead: NanoUsd::ZERO,
            spend: NanoUsd::ZERO,
            total_spend: NanoUsd::ZERO,
            rpm_limit: None,
            tpm_limit: None,
            max_parallel_requests: None,
            expires_at_ms: None,
            blocked: false,
            user_id: None,
            team_id: None,
            organization_id: None,
            tags: Vec::new(),
            metadata: "{}".to_owned(),
            settings: "{}".to_owned(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            created_by: None,
            updated_by: None,
            last_active_ms: None,
        }
    }

    /// Sets the window of its budget and, with it, the next reset. A window
    /// begins at zero and counts what is charged from then on, also for calls
    /// that are under way; without one, all that was ever spent counts.
    pub fn set_budget_duration(&mut self, window: Option<Window>, now_ms: i64) {
        self.budget_duration = window;
        self.budget_reset_at_ms = window.map(|window| window.next_reset(now_ms));
        let start_of = |window: Window| window.start_of(window.next_reset(now_ms));
        self.budget_began_ms = window.map_or(0, start_of);
        self.spend = window.map_or(self.total_spend, |_| NanoUsd::ZERO);
        self.budget_ahead = NanoUsd::ZERO;
    }

    /// Its balance.
    pub fn account(&self) -> Account {
        Account {
            spend: self.spend,
            total_spend: self.total_spend,
            window: self.budget_duration,
            resets_at_ms: self.budget_reset_at_ms,
            began_ms: self.budget_began_ms,
            ahead: self.budget_ahead,
        }
    }

    /// Takes a balance over.
    pub fn set_account(&mut self, account: Account) {
        self.spend = account.spend;
        self.total_spend = account.total_spend;
        self.budget_reset_at_ms = account.resets_at_ms;
        self.budget_began_ms = account.began_ms;
        self.budget_ahead = account.ahead;
    }

    /// Shows the window that holds `now_ms`: a stored one may have ended since
    /// the key was last used.
    pub fn roll(&mut self, now_ms: i64) {
        let mut account = self.account();
        account.roll(now_ms);
        self.set_account(account);
    }

    /// Whether it is a decoy: whoever presents it has stolen it. It buys
    /// nothing, whatever else it was given.
    pub fn is_canary(&self) -> bool {
        self.tags.iter().any(|tag| tag == CANARY_TAG)
    }

    /// Whether it has expired.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms <= now_ms)
    }

    /// What it spends, limited or not, for [`crate::Book::open`]: the same cell
    /// whether it has a budget or gets one later.
    pub fn tally(&self) -> (Allowance, Opening) {
        let limit = self.max_budget.unwrap_or(NanoUsd(i64::MAX));
        let opening = self.account().opening();
        (Allowance::money(Subject::Key(self.hash), limit, self.budget_duration), opening)
    }

    /// Everything that limits it, with what is already used, for
    /// [`crate::Book::open`].
    pub fn allowances(&self) -> Vec<(Allowance, Opening)> {
        let subject = || Subject::Key(self.hash);
        let money = self.max_budget.map(|_| self.tally());
        let counts = [
            self.rpm_limit.map(|limit| Allowance::requests_per_minute(subject(), limit)),
            self.tpm_limit.map(|limit| Allowance::tokens_per_minute(subject(), limit)),
            self.max_parallel_requests.map(|limit| Allowance::in_flight(subject(), limit)),
        ];
        let counts = counts.into_iter().flatten().map(|count| (count, Opening::default()));
        money.into_iter().chain(counts).collect()
    }
}

/// A change to a virtual key: what is `None` stays; `Some(None)` clears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPatch {
    /// See [`VirtualKey::alias`].
    pub alias: Option<Option<String>>,
    /// See [`VirtualKey::models`].
    pub models: Option<Vec<String>>,
    /// See [`VirtualKey::max_budget`].
    pub max_budget: Option<Option<NanoUsd>>,
    /// Applied by [`VirtualKey::set_budget_duration`] at `updated_at_ms`, if it
    /// changes.
    pub budget_duration: Option<Option<Window>>,
    /// What the key counts as having spent in the open window.
    pub spend: Option<NanoUsd>,
    /// See [`VirtualKey::rpm_limit`].
    pub rpm_limit: Option<Option<u64>>,
    /// See [`VirtualKey::tpm_limit`].
    pub tpm_limit: Option<Option<u64>>,
    /// See [`VirtualKey::max_parallel_requests`].
    pub max_parallel_requests: Option<Option<u64>>,
    /// See [`VirtualKey::expires_at_ms`].
    pub expires_at_ms: Option<Option<i64>>,
    /// See [`VirtualKey::blocked`].
    pub blocked: Option<bool>,
    /// See [`VirtualKey::user_id`].
    pub user_id: Option<Option<String>>,
    /// See [`VirtualKey::team_id`].
    pub team_id: Option<Option<String>>,
    /// See [`VirtualKey::organization_id`].
    pub organization_id: Option<Option<String>>,
    /// See [`VirtualKey::tags`].
    pub tags: Option<Vec<String>>,
    /// See [`VirtualKey::metadata`].
    pub metadata: Option<String>,
    /// See [`VirtualKey::settings`].
    pub settings: Option<String>,
    /// Who changes it.
    pub updated_by: Option<String>,
    /// The `updated_at_ms` of the state that the change is based on; `None`
    /// changes whatever is there.
    pub expected_updated_at_ms: Option<i64>,
    /// The time of the change, milliseconds since 1970.
    pub updated_at_ms: i64,
}

impl KeyPatch {
    /// Applies the change. The new `updated_at_ms` is always later than the
    /// old one, so that two changes in one millisecond are told apart.
    pub fn apply(self, key: &mut VirtualKey) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(from) = from {
                *to = from;
            }
        }
        set(&mut key.alias, self.alias);
        set(&mut key.models, self.models);
        set(&mut key.max_budget, self.max_budget);
        if let Some(window) = self.budget_duration
            && window != key.budget_duration
        {
            key.set_budget_duration(window, self.updated_at_ms);
        }
        if let Some(spend) = self.spend {
            key.roll(self.updated_at_ms);
            key.spend = spend;
        }
        set(&mut key.rpm_limit, self.rpm_limit);
        set(&mut key.tpm_limit, self.tpm_limit);
        set(&mut key.max_parallel_requests, self.max_parallel_requests);
        set(&mut key.expires_at_ms, self.expires_at_ms);
        set(&mut key.blocked, self.blocked);
        set(&mut key.user_id, self.user_id);
        set(&mut key.team_id, self.team_id);
        set(&mut key.organization_id, self.organization_id);
        set(&mut key.tags, self.tags);
        set(&mut key.metadata, self.metadata);
        set(&mut key.settings, self.settings);
        if self.updated_by.is_some() {
            key.updated_by = self.updated_by;
        }
        key.updated_at_ms = self.updated_at_ms.max(key.updated_at_ms.saturating_add(1));
    }
}
