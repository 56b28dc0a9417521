//! What the ledger asks of a database.
//!
//! Nothing here runs per request: keys are cached by who asks, and records
//! arrive through the spool in batches. Every method is one transaction.

use crate::account::Account;
use crate::allowance::Subject;
use crate::key::{KeyPatch, VirtualKey};
use crate::key_change::KeyChange;
use crate::record::{Opened, SpendRecord};
use crate::record_id::RecordId;
use crate::window::Window;
use base::{KeyHash, NanoUsd};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A future that a trait object can return.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why the store did not do it, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It may work later.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// Somebody else has changed or made it meanwhile: read again.
    #[error("{0}")]
    Conflict(String),
    /// What is stored cannot be read: a person must look.
    #[error("the database holds what cannot be read: {0}")]
    Damaged(String),
}

/// What orders a list of keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySort {
    /// When they were made.
    #[default]
    CreatedAt,
    /// When they were last changed.
    UpdatedAt,
    /// When they were last used.
    LastActive,
    /// Spent in the open window.
    Spend,
    /// The budget.
    MaxBudget,
    /// The alias, by letters.
    Alias,
}

/// Which keys to list; what is `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Of this user.
    pub user_id: Option<String>,
    /// Of this team.
    pub team_id: Option<String>,
    /// Of this organisation.
    pub organization_id: Option<String>,
    /// Made by this user.
    pub created_by: Option<String>,
    /// This one.
    pub hash: Option<KeyHash>,
    /// With exactly this alias.
    pub alias: Option<String>,
    /// With this text somewhere in alias or name, case ignored for ASCII.
    pub search: Option<String>,
    /// Only those that have an alias.
    pub has_alias: bool,
    /// What orders them.
    pub sort: KeySort,
    /// Smallest first.
    pub ascending: bool,
}

/// Which spend records to read; what is `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpendFilter {
    /// Of this key.
    pub key_hash: Option<KeyHash>,
    /// Of this user.
    pub user_id: Option<String>,
    /// Of this team.
    pub team_id: Option<String>,
    /// Of this end user.
    pub end_user: Option<String>,
    /// With this `request_id`, or of the call with this id.
    pub request_id: Option<String>,
    /// Begun then or later, milliseconds since 1970.
    pub start_ms: Option<i64>,
    /// Begun before then.
    pub end_ms: Option<i64>,
}

/// What was spent on one day in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaySpend {
    /// `2026-03-24`
    pub day: String,
    /// In all.
    pub spend: NanoUsd,
    /// By user; records without one count under the empty name.
    pub users: Vec<(String, NanoUsd)>,
    /// By model group.
    pub models: Vec<(String, NanoUsd)>,
    /// By key; the master key counts as `None`.
    pub keys: Vec<(Option<KeyHash>, NanoUsd)>,
}

/// Names one instance's spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpoolId(pub [u8; 16]);

/// A place in a spool: everything before it is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number; they rise.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// A stretch of a spool on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Whose.
    pub spool: SpoolId,
    /// Time of putting it in, milliseconds since 1970: tells a record of an
    /// earlier window from a clock that has been set back.
    pub now_ms: i64,
    /// Where the spool has been read to.
    pub to: Position,
    /// Attempts that have ended.
    pub records: Vec<SpendRecord>,
    /// Attempts that are still running while the file that says so goes away.
    pub parked: Vec<Opened>,
    /// Attempts parked earlier that have ended.
    pub unparked: Vec<RecordId>,
    /// Changes to keys, in order; one whose key is not there does nothing.
    pub key_changes: Vec<KeyChange>,
}

impl Batch {
    /// Nothing but a position.
    pub fn new(spool: SpoolId, now_ms: i64, to: Position) -> Self {
        let (records, parked) = (Vec::new(), Vec::new());
        let (unparked, key_changes) = (Vec::new(), Vec::new());
        Self { spool, now_ms, to, records, parked, unparked, key_changes }
    }
}

/// Virtual keys at rest.
pub trait Keys: Send + Sync {
    /// The key with this hash.
    fn key_by_hash(&self, hash: KeyHash) -> Boxed<'_, Option<VirtualKey>>;

    /// The key with this alias.
    fn key_by_alias(&self, alias: &str) -> Boxed<'_, Option<VirtualKey>>;

    /// A new key. [`StoreError::Conflict`] where the hash or alias is taken.
    fn insert_key(&self, key: VirtualKey) -> Boxed<'_, ()>;

    /// Changes a key and returns it. [`StoreError::NotFound`];
    /// [`StoreError::Conflict`] where it is not as expected or the alias is
    /// taken.
    fn update_key(&self, hash: KeyHash, patch: KeyPatch) -> Boxed<'_, VirtualKey>;

    /// Changes a key, gives it another hash and name, and returns it. Records
    /// of the old hash that come later are charged to it. Errors as of
    /// [`Keys::update_key`].
    fn replace_key(
        &self,
        hash: KeyHash,
        successor: KeyHash,
        name: String,
        patch: KeyPatch,
    ) -> Boxed<'_, VirtualKey>;

    /// Deletes keys; returns those that were there.
    fn delete_keys(&self, hashes: Vec<KeyHash>) -> Boxed<'_, Vec<KeyHash>>;

    /// Blocks or unblocks a key and returns it.
    fn set_blocked(&self, hash: KeyHash, blocked: bool, now_ms: i64) -> Boxed<'_, VirtualKey>;

    /// One page of keys, counted from 1, and how many there are in all.
    fn list_keys(
        &self,
        filter: KeyFilter,
        page: u32,
        size: u32,
    ) -> Boxed<'_, (Vec<VirtualKey>, u64)>;
}

/// Account to open; see [`Accounts::open_accounts`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// Whose spending it counts.
    pub subject: Subject,
    /// Length of its windows; `None` for one that never ends.
    pub window: Option<Window>,
    /// End of the first window if it is new, milliseconds since 1970; `None`
    /// for the next boundary of the calendar.
    pub ends_ms: Option<i64>,
}

/// Balances at rest. Every record is charged to each account of its subjects.
pub trait Accounts: Send + Sync {
    /// Returns the accounts in the windows of `now_ms`, all as of one moment, in
    /// the order of `names`. One with a window that is not there yet begins now:
    /// at zero, or, of [`Subject::Proxy`], with what its records say that was
    /// spent in the window.
    fn open_accounts(&self, names: Vec<AccountName>, now_ms: i64) -> Boxed<'_, Vec<Account>>;
}

/// Spend records at rest.
pub trait Spend: Send + Sync {
    /// Records, latest first.
    fn spend_logs(
        &self,
        filter: SpendFilter,
        limit: u32,
        offset: u64,
    ) -> Boxed<'_, Vec<SpendRecord>>;

    /// Sums by day, earliest first. Days without records are left out.
    fn spend_by_day(&self, filter: SpendFilter) -> Boxed<'_, Vec<DaySpend>>;

    /// Puts a batch in: records that are not there yet, the accounts of their
    /// subjects,
    /// changes to keys, what is parked, and the position; all of it or
    /// nothing. Putting the same in again changes nothing. Where `to.offset` is 0 the whole is on disk on
    /// return: the files before that place go away next. Returns how many
    /// records were new.
    fn drain(&self, batch: Arc<Batch>) -> Boxed<'_, u64>;

    /// How far a spool has been put in, and what is parked of it.
    fn drained(&self, spool: SpoolId) -> Boxed<'_, (Position, Vec<Opened>)>;
}

/// A database that holds keys, balances and records.
pub trait Store: Keys + Accounts + Spend {
    /// True if it answers.
    fn ping(&self) -> Boxed<'_, ()>;

    /// Finishes what is queued and closes; everything after is
    /// [`StoreError::Unavailable`].
    fn close(&self) -> Boxed<'_, ()>;
}
