//! A store in memory that can be down, or lose its answers.

use ledger::{
    Account, AccountName, Accounts, Batch, Boxed, DaySpend, KeyFilter, KeyPatch, Keys, Opened,
    Position, Spend, SpendFilter, SpendRecord, SpoolId, Store, StoreError, VirtualKey,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(crate) struct Held {
    pub(crate) records: BTreeMap<String, SpendRecord>,
    pub(crate) parked: BTreeMap<String, Opened>,
    pub(crate) position: Position,
}

/// Only what draining needs.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) held: Mutex<Held>,
    pub(crate) down: AtomicBool,
    /// So many batches are refused.
    pub(crate) refused: AtomicU32,
    /// So many batches are put in and answered with an error.
    pub(crate) unheard: AtomicU32,
}

fn ready<'a, T: Send + 'a>(answer: Result<T, StoreError>) -> Boxed<'a, T> {
    Box::pin(std::future::ready(answer))
}

fn not_asked<'a, T: Send + 'a>() -> Boxed<'a, T> {
    ready(Err(StoreError::Unavailable("not part of this test".into())))
}

impl Keys for Memory {
    fn key_by_hash(&self, _: base::KeyHash) -> Boxed<'_, Option<VirtualKey>> {
        not_asked()
    }
    fn key_by_alias(&self, _: &str) -> Boxed<'_, Option<VirtualKey>> {
        not_asked()
    }
    fn insert_key(&self, _: VirtualKey) -> Boxed<'_, ()> {
        not_asked()
    }
    fn update_key(&self, _: base::KeyHash, _: KeyPatch) -> Boxed<'_, VirtualKey> {
        not_asked()
    }
    fn replace_key(
        &self,
        _: base::KeyHash,
        _: base::KeyHash,
        _: String,
        _: KeyPatch,
    ) -> Boxed<'_, VirtualKey> {
        not_asked()
    }
    fn delete_keys(&self, _: Vec<base::KeyHash>) -> Boxed<'_, Vec<base::KeyHash>> {
        not_asked()
    }
    fn set_blocked(&self, _: base::KeyHash, _: bool, _: i64) -> Boxed<'_, VirtualKey> {
        not_asked()
    }
    fn list_keys(&self, _: KeyFilter, _: u32, _: u32) -> Boxed<'_, (Vec<VirtualKey>, u64)> {
        not_asked()
    }
}

impl Accounts for Memory {
    fn open_accounts(&self, _: Vec<AccountName>, _: i64) -> Boxed<'_, Vec<Account>> {
        not_asked()
    }
}

impl Spend for Memory {
    fn drain(&self, batch: Arc<Batch>) -> Boxed<'_, u64> {
        let one_less = |left: u32| left.checked_sub(1);
        let refused =
            self.refused.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
        if refused || self.down.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable("down".into())));
        }
        let mut held = self.held.lock().unwrap();
        let before = held.records.len();
        for record in &batch.records {
            held.records.entry(record.id.to_string()).or_insert_with(|| record.clone());
        }
        for opened in &batch.parked {
            held.parked.insert(opened.id.to_string(), opened.clone());
        }
        for id in &batch.unparked {
            held.parked.remove(&id.to_string());
        }
        held.position = batch.to;
        let new = (held.records.len() - before) as u64;
        let unheard = self.unheard.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        ready(if unheard.is_ok() { Err(StoreError::Unavailable("lost".into())) } else { Ok(new) })
    }

    fn drained(&self, _: SpoolId) -> Boxed<'_, (Position, Vec<Opened>)> {
        let held = self.held.lock().unwrap();
        ready(Ok((held.position, held.parked.values().cloned().collect())))
    }

    fn spend_logs(&self, _: SpendFilter, _: u32, _: u64) -> Boxed<'_, Vec<SpendRecord>> {
        not_asked()
    }
    fn spend_by_day(&self, _: SpendFilter) -> Boxed<'_, Vec<DaySpend>> {
        not_asked()
    }
}

impl Store for Memory {
    fn close(&self) -> Boxed<'_, ()> {
        ready(Ok(()))
    }

    fn ping(&self) -> Boxed<'_, ()> {
        not_asked()
    }
}
