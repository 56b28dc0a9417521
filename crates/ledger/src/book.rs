//! Every allowance in use, each as one [`Cell`].
//!
//! The book is the truth while the process lives: a row that is read again
//! from the store lags behind by what is not drained yet, so opening a cell a
//! second time gives the living one and changes only its limit.

use crate::allowance::{Allowance, Opening, Period, Subject, Unit};
use crate::cell::{Cell, CellUsage};
use base::Clock;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So that opening cells on many threads does not queue at one lock.
const SHARDS: usize = 16;

type Shard = HashMap<Name, Arc<Cell>>;

/// What makes a cell one and the same. Without the limit, which may change.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Name(Subject, Unit, Period);

/// In memory, exact, for one process.
pub struct Book {
    clock: Arc<dyn Clock>,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    opened: Mutex<u64>,
}

impl Book {
    /// An empty book.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            hasher: RandomState::new(),
            shards: Default::default(),
            opened: Mutex::new(0),
        }
    }

    /// The cell of this subject, unit and window. One that lives keeps what it
    /// has spent and held and takes the limit over; else it begins with
    /// `opening`.
    pub fn open(&self, allowance: Allowance, opening: Opening) -> Arc<Cell> {
        let name = Name(allowance.subject.clone(), allowance.unit, allowance.window);
        let mut shard = self.shard(&name);
        if let Some(cell) = shard.get(&name) {
            cell.set_limit(allowance.limit);
            cell.is_marked.store(false, Ordering::Relaxed);

            return Arc::clone(cell);
        }
        let id = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            *opened += 1;
            *opened
        };
        let cell = Arc::new(Cell::new(id, allowance, opening, Arc::clone(&self.clock)));
        shard.insert(name, Arc::clone(&cell));
        cell
    }

    /// The cell as it stands now.
    pub fn usage(&self, cell: &Cell) -> CellUsage {
        cell.usage()
    }

    /// Drops every cell of a subject that is gone for good (a deleted key).
    /// Calls in flight settle in the cells that they hold.
    pub fn forget(&self, subject: &Subject) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|name, _| name.0 != *subject);
        }
    }

    /// Drops cells that nobody uses and that have nothing to remember, so that
    /// subjects which clients name do not pile up. Money stays: the store may
    /// not know it yet. Returns how many cells are left.
    pub fn sweep(&self) -> usize {
        let mut left = 0;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, cell| Arc::strong_count(cell) > 1 || !cell.is_idle());
            left += shard.len();
        }
        left
    }

    /// Marks the money cells that nobody uses. A cell that is opened again loses
    /// its mark.
    pub fn mark_unused(&self) {
        self.each(|shard| {
            for cell in shard.values() {
                cell.is_marked.store(is_unused(cell), Ordering::Relaxed);
            }
        });
    }

    /// Drops the cells that were marked and are still not used, and what
    /// [`Book::sweep`] drops. The store must know all that was charged before
    /// they were marked, and no row may be opened later that was read before the
    /// store knew it.
    pub fn drop_marked(&self) {
        self.each(|shard| {
            shard.retain(|_, cell| {
                let is_marked = cell.is_marked.load(Ordering::Relaxed);
                !(is_marked && is_unused(cell))
            });
            shard.shrink_to(shard.len() * 2);
        });
        self.sweep();
    }

    fn each(&self, act: impl Fn(&mut Shard)) {
        for shard in &self.shards {
            act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn shard(&self, name: &Name) -> MutexGuard<'_, Shard> {
        let [first, ..] = &self.shards;
        let at = (self.hasher.hash_one(name) as usize) % SHARDS;
        self.shards.get(at).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_unused(cell: &Arc<Cell>) -> bool {
    cell.unit() == Unit::Money && Arc::strong_count(cell) == 1 && cell.holds_nothing()
}
