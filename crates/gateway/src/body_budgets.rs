//! What bodies may hold at once: budgets that all requests share.
//!
//! A part is taken before a byte is kept and given back when it is dropped.
//! Nothing here reads or waits.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What bodies may hold at once, over all requests. Outlives a reload.
#[derive(Clone)]
pub struct Budgets {
    /// Bytes of bodies too small to take a share of their own.
    pub small: Arc<Small>,
    /// KiB of bodies in memory that never were on disk; more go there.
    pub memory_kib: Arc<Semaphore>,
    /// KiB of bodies on disk.
    pub disk_kib: Arc<Semaphore>,
    /// KiB of spooled bodies that were read back.
    pub large_kib: Arc<Semaphore>,
    /// KiB of upstreams' large answers.
    pub answers_kib: Arc<Semaphore>,
    /// KiB of streamed events that have not ended, or that clients have not taken.
    pub events_kib: Arc<Semaphore>,
}

impl Default for Budgets {
    fn default() -> Self {
        let mib = |mib: usize| Arc::new(Semaphore::new(mib << 10));
        Self {
            small: Arc::new(Small::new(512 << 20)),
            memory_kib: mib(256),
            disk_kib: mib(8192),
            large_kib: mib(512),
            answers_kib: mib(1024),
            events_kib: mib(128),
        }
    }
}

/// What small bodies hold: one number, for they are many and taking a place
/// must cost next to nothing.
pub struct Small {
    bytes: AtomicUsize,
    max_bytes: usize,
}

/// The least that a request counts, for what else is kept of it.
pub(crate) const REQUEST_MIN_BYTES: usize = 4 << 10;

impl Small {
    /// Holds `max_bytes` at most.
    pub fn new(max_bytes: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), max_bytes }
    }

    /// What is held now, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// A part for a body of so many bytes, where there is room.
    pub(crate) fn hold(self: &Arc<Self>, bytes: usize) -> Option<SmallHold> {
        let mut hold = SmallHold { small: Arc::clone(self), bytes: 0 };
        hold.grow_to(bytes.max(REQUEST_MIN_BYTES)).then_some(hold)
    }
}

/// A small body's part; given back when dropped.
pub(crate) struct SmallHold {
    small: Arc<Small>,
    bytes: usize,
}

impl SmallHold {
    /// False where there is no room for so much; what was added then is given
    /// back when this is dropped.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        self.bytes += more;
        let before = self.small.bytes.fetch_add(more, Ordering::Relaxed);
        before.saturating_add(more) <= self.small.max_bytes
    }
}

impl Drop for SmallHold {
    fn drop(&mut self) {
        self.small.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A part of a budget that grows with what comes.
pub(crate) struct Share<'a> {
    budget: &'a Arc<Semaphore>,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    covered_bytes: usize,
}

/// Bodies up to this are [`Small`].
pub(crate) const SMALL_MAX_BYTES: usize = 64 << 10;

/// Shares grow by so much, so that they grow seldom.
const STEP_KIB: usize = 64;

impl<'a> Share<'a> {
    pub(crate) fn of(budget: &'a Arc<Semaphore>) -> Self {
        Self { budget, permit: None, covered_bytes: SMALL_MAX_BYTES }
    }

    /// Makes room for `bytes` in all; false where there is none.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        let Some(missing) = bytes.checked_sub(self.covered_bytes).filter(|n| *n > 0) else {
            return true;
        };
        let kib = missing.div_ceil(1024).next_multiple_of(STEP_KIB);
        let Ok(asked) = u32::try_from(kib) else { return false };
        let Ok(more) = Arc::clone(self.budget).try_acquire_many_owned(asked) else { return false };
        self.covered_bytes += kib * 1024;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }
}

/// The part of [`Budgets::events_kib`] that one stream holds.
pub(crate) struct EventShare {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl EventShare {
    /// Holds nothing yet.
    pub(crate) fn new(budgets: &Budgets) -> Self {
        Self { budget: Arc::clone(&budgets.events_kib), held: None }
    }

    /// Gives the room back once what is kept is small again.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if bytes <= SMALL_MAX_BYTES {
            self.held = None;
        }
    }

    /// Holds room for `bytes` of events that have not ended or not been taken.
    /// Returns false where there is none; then it keeps what it has.
    pub(crate) fn cover(&mut self, bytes: usize) -> bool {
        if bytes <= SMALL_MAX_BYTES {
            return true;
        }
        let held_kib = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing_kib = bytes.div_ceil(1024).saturating_sub(held_kib);
        if missing_kib == 0 {
            return true;
        }
        let Ok(asked) = u32::try_from(missing_kib.next_multiple_of(STEP_KIB)) else { return false };
        let more = Arc::clone(&self.budget).try_acquire_many_owned(asked);
        match (more, &mut self.held) {
            (Ok(more), Some(held)) => held.merge(more),
            (Ok(more), none) => *none = Some(more),
            // What is held stays so until the client has taken the bytes.
            (Err(_), _) => return false,
        }
        true
    }
}

/// The bytes, and the share with them where there is one.
pub(crate) fn budgeted(bytes: Bytes, share: Option<OwnedSemaphorePermit>) -> Bytes {
    match share {
        Some(share) => Bytes::from_owner(Budgeted { bytes, _share: share }),
        None => bytes,
    }
}

/// Bytes that hold their share of a budget.
struct Budgeted {
    bytes: Bytes,
    _share: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Budgeted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Budgets, EventShare};

    /// A stream that gives its room back while its bytes still wait lets the next
    /// one take the same room, without end.
    #[test]
    fn a_stream_that_gets_no_more_room_keeps_what_it_has() {
        let budgets = Budgets::default();
        let budget_bytes = budgets.events_kib.available_permits() << 10;
        let mut first = EventShare::new(&budgets);
        assert!(first.cover(budget_bytes));
        assert!(!first.cover(budget_bytes + 1));
        assert!(!EventShare::new(&budgets).cover(1 << 20));
        first.shrink(0);
        assert!(EventShare::new(&budgets).cover(1 << 20));
    }
}
