//! Virtual keys in use, see [`Principals`].

use crate::principal::Principal;
use base::KeyHash;
use ledger::{CellUsage, VirtualKey};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

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
pub(crate) const KNOWN_MAX: usize = 200_000;

/// How often a key is read that changes while it is read.
pub(crate) const READS_MAX: u32 = 16;

impl Principals {
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        self.read().by_hash.get(hash).cloned()
    }

    /// Forgets all once there are `max`; whether it did. Cells that nobody else
    /// uses can be swept up then.
    pub(crate) fn make_room(&self, max: usize) -> bool {
        let full = self.read().by_hash.len() >= max;
        if full {
            self.write().by_hash.clear();
        }
        full
    }

    /// What a key must be read after, to be believed.
    pub(crate) fn moment(&self) -> u64 {
        self.read().forgotten
    }

    /// Keeps what `open` makes of a key that was read since `moment`; nothing
    /// where some key was changed in between, for it may have been this one.
    pub(crate) fn put(
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
            Some((*hash, principal.owner.alias.clone(), money.usage()))
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

#[cfg(test)]
mod tests {
    use super::{Principals, Stopped};
    use crate::principal::Principal;
    use base::KeyHash;
    use ledger::VirtualKey;

    #[test]
    fn a_key_that_changes_while_it_is_read_is_read_again() {
        let (principals, hash) = (Principals::default(), KeyHash([7; 32]));
        let before = principals.moment();
        principals.forget(&hash);
        let opened = principals.put(before, hash, || panic!("its cells must not be opened"));
        assert!(opened.is_none() && principals.get(&hash).is_none());
        assert!(principals.put(principals.moment(), hash, Principal::default).is_some());
        assert!(principals.get(&hash).is_some());
    }

    #[test]
    fn a_key_that_is_stopped_while_it_is_read_is_read_again() {
        let (principals, hash) = (Principals::default(), KeyHash([7; 32]));
        let before = principals.moment();
        principals.stop(&hash, Some(Stopped::Blocked));
        assert!(principals.put(before, hash, Principal::default).is_none());
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
            principals.put(0, KeyHash([number; 32]), Principal::default).unwrap();
            assert!(principals.read().by_hash.len() <= 10);
        }
        assert!(principals.get(&KeyHash([99; 32])).is_some());
    }
}
