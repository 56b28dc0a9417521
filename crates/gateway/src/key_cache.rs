//! Virtual keys in use, by hash.
//!
//! A key is read from the store at its first use and dropped when it changes, or
//! when the cache is full and it was not used for a while. What a key has spent
//! is kept in the ledger's book, so that dropping an entry loses nothing. The
//! cache is divided into shards by hash; in each a hand goes round and drops the
//! first key that was not used since its last visit (the CLOCK algorithm), so
//! that memory is the same with ten thousand keys and with a million.

use crate::principal::Principal;
use base::KeyHash;
use ledger::{CellUsage, VirtualKey};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Number of keys in the cache. A key takes about 2 KiB with its cells.
pub const KEYS_MAX: usize = 65_536;

/// Number of shards; a power of two.
const SHARDS: usize = 64;

/// Number of times that a key is read that changes while it is read.
pub(crate) const READS_MAX: u32 = 16;

/// See the module.
pub struct KeyCache {
    shards: Box<[RwLock<Shard>]>,
    /// Number of keys in each shard.
    shard_max: usize,
}

#[derive(Default)]
struct Shard {
    /// Places in `slots`.
    places: HashMap<KeyHash, usize>,
    slots: Vec<Slot>,
    /// Place that is looked at next when room is needed.
    hand: usize,
    /// Keys that are being read.
    reads: HashMap<KeyHash, Reads>,
    /// Keys that an administrator has stopped and that the store may not know
    /// as such yet.
    stops: HashMap<KeyHash, Stop>,
}

struct Slot {
    hash: KeyHash,
    principal: Arc<Principal>,
    /// It was used since the hand passed.
    is_used: AtomicBool,
}

/// Reads of one key that are under way.
#[derive(Default)]
struct Reads {
    count: usize,
    /// Number of changes of the key since the first of them began.
    changes: u64,
}

struct Stop {
    effect: Stopped,
    /// The change is in the spool.
    is_written: bool,
    /// See [`KeyCache::mark`].
    is_marked: bool,
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

/// A read of one key from the store; see [`KeyCache::begin_read`].
pub struct Read<'a> {
    cache: &'a KeyCache,
    hash: KeyHash,
    changes: u64,
}

impl Default for KeyCache {
    fn default() -> Self {
        Self::new(KEYS_MAX)
    }
}

impl KeyCache {
    /// Builds an empty cache for about `keys_max` keys.
    pub fn new(keys_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, shard_max: keys_max.div_ceil(SHARDS).max(1) }
    }

    fn shard(&self, hash: &KeyHash) -> &RwLock<Shard> {
        let [first, ..] = hash.0;
        let at = usize::from(first) % SHARDS;
        #[expect(clippy::indexing_slicing, reason = "there are SHARDS of them, and at is less")]
        &self.shards[at]
    }

    fn read(&self, hash: &KeyHash) -> RwLockReadGuard<'_, Shard> {
        self.shard(hash).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, hash: &KeyHash) -> RwLockWriteGuard<'_, Shard> {
        self.shard(hash).write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the key's principal, if the cache has it.
    pub fn get(&self, hash: &KeyHash) -> Option<Arc<Principal>> {
        let shard = self.read(hash);
        let slot = shard.slots.get(*shard.places.get(hash)?)?;
        // Written only where it changes, so that readers share the line.
        if !slot.is_used.load(Ordering::Relaxed) {
            slot.is_used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&slot.principal))
    }

    /// Number of keys in the cache.
    pub fn len(&self) -> usize {
        let len = |shard: &RwLock<Shard>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).slots.len()
        };
        self.shards.iter().map(len).sum()
    }

    /// Returns true if no key is in the cache.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins to read a key from the store.
    pub fn begin_read(&self, hash: KeyHash) -> Read<'_> {
        let mut shard = self.write(&hash);
        let reads = shard.reads.entry(hash).or_default();
        reads.count += 1;
        Read { cache: self, hash, changes: reads.changes }
    }

    /// Reads the key again at its next use.
    pub fn forget(&self, hash: &KeyHash) {
        self.write(hash).change(hash);
    }

    /// Stops the key at once, or leaves it to the store again.
    pub fn stop(&self, hash: &KeyHash, stopped: Option<Stopped>) {
        let mut shard = self.write(hash);
        shard.change(hash);
        match stopped {
            Some(effect) => {
                let stop = Stop { effect, is_written: false, is_marked: false };
                shard.stops.insert(*hash, stop);
            }
            None => {
                shard.stops.remove(hash);
            }
        }
    }

    /// Notes that the spool has the change for which the key is stopped.
    pub fn set_stop_written(&self, hash: &KeyHash) {
        if let Some(stop) = self.write(hash).stops.get_mut(hash) {
            stop.is_written = true;
        }
    }

    /// Effect on the key, if it is stopped.
    pub fn stopped(&self, hash: &KeyHash) -> Option<Stopped> {
        self.read(hash).stops.get(hash).map(|stop| stop.effect)
    }

    /// Marks the stops that the spool has by now.
    pub fn mark(&self) {
        self.each(|shard| {
            for stop in shard.stops.values_mut() {
                stop.is_marked = stop.is_written;
            }
        });
    }

    /// Drops the stops that are marked: the store knows them from the spool.
    pub fn drop_marked(&self) {
        self.each(|shard| shard.stops.retain(|_, stop| !stop.is_marked));
    }

    fn each(&self, act: impl Fn(&mut Shard)) {
        for shard in &self.shards {
            act(&mut shard.write().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Rest of the budgets of those keys that have one; of `max` keys at most.
    pub fn budgets(&self, max: usize) -> Vec<(KeyHash, Option<Arc<str>>, CellUsage)> {
        let mut budgets = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let budget = |slot: &Slot| {
                let money = slot.principal.money.as_ref()?;
                Some((slot.hash, slot.principal.owner.alias.clone(), money.usage()))
            };
            let rest = max.saturating_sub(budgets.len());
            budgets.extend(shard.slots.iter().filter_map(budget).take(rest));
        }
        budgets
    }
}

impl Shard {
    fn change(&mut self, hash: &KeyHash) {
        if let Some(reads) = self.reads.get_mut(hash) {
            reads.changes += 1;
        }
        let Some(place) = self.places.remove(hash) else { return };
        self.slots.swap_remove(place);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.hash, place);
        }
    }

    fn insert(&mut self, hash: KeyHash, principal: Arc<Principal>, max: usize) {
        let slot = Slot { hash, principal, is_used: AtomicBool::new(false) };
        let place = match self.places.get(&hash) {
            Some(place) => *place,
            None if self.slots.len() < max => {
                self.places.insert(hash, self.slots.len());
                self.slots.push(slot);
                return;
            }
            None => self.unused(),
        };
        let Some(taken) = self.slots.get_mut(place) else { return };
        self.places.remove(&taken.hash);
        self.places.insert(hash, place);
        *taken = slot;
    }

    /// Returns the next place whose key was not used since the last visit.
    fn unused(&mut self) -> usize {
        // Twice round: after the first round no key is marked as used.
        for _ in 0..self.slots.len() * 2 {
            let place = self.hand % self.slots.len();
            self.hand = place + 1;
            if self.slots.get_mut(place).is_some_and(|slot| !*slot.is_used.get_mut()) {
                return place;
            }
            if let Some(slot) = self.slots.get_mut(place) {
                *slot.is_used.get_mut() = false;
            }
        }
        0
    }
}

impl Read<'_> {
    /// Keeps what `open` makes of the key that was read; returns `None` if the
    /// key has changed since the read began, and must be read again.
    pub fn keep(self, open: impl FnOnce() -> Principal) -> Option<Arc<Principal>> {
        let mut shard = self.cache.write(&self.hash);
        if shard.reads.get(&self.hash).is_none_or(|reads| reads.changes != self.changes) {
            return None;
        }
        // Opened under the lock: a change that comes now finds the entry.
        let principal = Arc::new(open());
        shard.insert(self.hash, Arc::clone(&principal), self.cache.shard_max);
        drop(shard);
        Some(principal)
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        let mut shard = self.cache.write(&self.hash);
        if let Entry::Occupied(mut reads) = shard.reads.entry(self.hash) {
            reads.get_mut().count -= 1;
            if reads.get().count == 0 {
                reads.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyCache, SHARDS, Stopped};
    use crate::principal::Principal;
    use base::KeyHash;
    use ledger::VirtualKey;

    /// The hash of a key in the first shard.
    fn hash(number: u8) -> KeyHash {
        let mut hash = KeyHash([number; 32]);
        hash.0[0] = 0;
        hash
    }

    fn put(cache: &KeyCache, hash: KeyHash) {
        cache.begin_read(hash).keep(Principal::default).unwrap();
    }

    #[test]
    fn a_key_that_changes_while_it_is_read_is_read_again() {
        let (cache, own) = (KeyCache::default(), hash(7));
        let read = cache.begin_read(own);
        cache.forget(&own);
        assert!(read.keep(|| panic!("its cells must not be opened")).is_none());
        assert!(cache.get(&own).is_none());
        put(&cache, own);
        assert!(cache.get(&own).is_some() && cache.read(&own).reads.is_empty());
    }

    #[test]
    fn changes_of_other_keys_do_not_hold_up_a_read() {
        let cache = KeyCache::default();
        let read = cache.begin_read(hash(1));
        for _ in 0..100 {
            cache.forget(&hash(2));
            cache.stop(&hash(3), Some(Stopped::Blocked));
        }
        assert!(read.keep(Principal::default).is_some());
    }

    #[test]
    fn a_key_that_is_stopped_while_it_is_read_is_read_again() {
        let (cache, own) = (KeyCache::default(), hash(7));
        let read = cache.begin_read(own);
        cache.stop(&own, Some(Stopped::Blocked));
        assert!(read.keep(Principal::default).is_none());
        let key = || VirtualKey::new(own, "sk-...wxyz".into(), 0);
        let stopped = cache.stopped(&own).unwrap();
        assert!(stopped.apply(key()).unwrap().blocked);
        assert_eq!(Stopped::Deleted.apply(key()), None);
        cache.stop(&own, None);
        assert_eq!(cache.stopped(&own), None);
    }

    #[test]
    fn keys_that_were_only_tried_go_first_and_keys_in_use_stay() {
        let cache = KeyCache::new(10 * SHARDS);
        put(&cache, hash(200));
        for number in 0..100 {
            assert!(cache.get(&hash(200)).is_some(), "after {number} others");
            put(&cache, hash(number));
            assert!(cache.len() <= 10);
        }
        assert!(cache.get(&hash(99)).is_some());
        for number in 0..100 {
            cache.forget(&hash(number));
            assert!(cache.get(&hash(number)).is_none() && cache.get(&hash(200)).is_some());
        }
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn a_stop_goes_only_once_the_spool_had_it_when_it_was_marked() {
        let cache = KeyCache::default();
        let (written, late, refused) = (hash(1), hash(2), hash(3));
        for hash in [written, late, refused] {
            cache.stop(&hash, Some(Stopped::Deleted));
        }
        cache.set_stop_written(&written);
        cache.mark();
        cache.set_stop_written(&late);
        cache.drop_marked();
        assert_eq!(cache.stopped(&written), None);
        assert!(cache.stopped(&late).is_some() && cache.stopped(&refused).is_some());
        cache.mark();
        cache.drop_marked();
        assert!(cache.stopped(&late).is_none() && cache.stopped(&refused).is_some());
    }
}
