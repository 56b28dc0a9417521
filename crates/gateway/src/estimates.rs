//! Estimated charges of single keys on a budget that keys share.
//!
//! An attempt whose cost is unknown is charged what was held for it. One key
//! that leaves many such attempts behind could use up a budget that others
//! need, so a key is refused while its estimated charges, with the amounts held
//! for its abandoned attempts, reach a share of the shared limit
//! (`keymoat.estimated_share_max_percent`), and while it holds more than half of
//! the limit for several attempts at once, since all of them may be abandoned.
//! The others are served. Kept in memory: a restart forgives.

use crate::principal::Identity;
use base::NanoUsd;
use ledger::CellUsage;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Of a shared limit, in percent: what one key may hold when it begins another
/// attempt.
const HELD_MAX_PERCENT: u32 = 50;

/// See the module.
#[derive(Default)]
pub struct Estimates {
    /// So that calls take no lock as long as there is no such charge.
    any: AtomicBool,
    by_caller: Mutex<HashMap<Identity, Account>>,
}

/// One key's part in the shared budget.
#[derive(Default)]
struct Account {
    /// End of the window that `charged` belongs to.
    window_ends_ms: Option<i64>,
    charged: NanoUsd,
    /// Held for all attempts.
    held: NanoUsd,
    /// Of that, for attempts whose client has gone and whose cost is not known yet.
    abandoned: NanoUsd,
    has_alarmed: bool,
}

/// A key has reached its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareReached {
    /// Estimated charges in the window of the shared budget.
    pub charged: NanoUsd,
    /// Held for abandoned attempts, or for all where `is_held`.
    pub abandoned: NanoUsd,
    /// The most that both together may be.
    pub most: NanoUsd,
    /// When the window ends, milliseconds since 1970.
    pub resets_at_ms: Option<i64>,
    /// The first refusal in this window.
    pub is_first: bool,
    /// Only what running attempts hold stands in the way.
    pub is_held: bool,
}

impl Estimates {
    fn accounts(&self) -> MutexGuard<'_, HashMap<Identity, Account>> {
        self.by_caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that the key may go on; `shared` is the budget as it is now.
    ///
    /// # Errors
    /// [`ShareReached`] where it may not.
    pub fn check(
        &self,
        caller: &Identity,
        shared: impl FnOnce() -> CellUsage,
        share_max_percent: u32,
    ) -> Result<(), ShareReached> {
        if !self.any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut accounts = self.accounts();
        let Some(account) = accounts.get_mut(caller) else { return Ok(()) };
        let shared = shared();
        account.enter(shared.resets_at_ms);
        if account.is_empty() {
            accounts.remove(caller);
            return Ok(());
        }
        let part = |percent: u32| {
            let most = i128::from(shared.limit) * i128::from(percent) / 100;
            NanoUsd(i64::try_from(most).unwrap_or(i64::MAX))
        };
        let Account { charged, held, abandoned, .. } = *account;
        let resets_at_ms = shared.resets_at_ms;
        let most = part(share_max_percent);
        if charged.saturating_add(abandoned) >= most {
            let is_first = !std::mem::replace(&mut account.has_alarmed, true);
            let is_held = false;
            return Err(ShareReached { charged, abandoned, most, resets_at_ms, is_first, is_held });
        }
        let most = part(HELD_MAX_PERCENT);
        if charged.saturating_add(held) < most {
            return Ok(());
        }
        let (abandoned, is_first, is_held) = (held, false, true);
        Err(ShareReached { charged, abandoned, most, resets_at_ms, is_first, is_held })
    }

    /// Adds the amount held for an attempt that begins.
    pub fn hold(&self, caller: Identity, held: NanoUsd) {
        if held > NanoUsd::ZERO {
            self.change(caller, |account| account.held = account.held.saturating_add(held));
        }
    }

    /// Takes the amount held out again, and adds what was charged by estimate in
    /// the window that ends at `window_ends_ms`.
    pub fn settle(
        &self,
        caller: Identity,
        held: NanoUsd,
        charged: NanoUsd,
        window_ends_ms: Option<i64>,
    ) {
        if held > NanoUsd::ZERO || charged > NanoUsd::ZERO {
            self.change(caller, |account| {
                account.held = account.held.saturating_sub(held).max(NanoUsd::ZERO);
                account.enter(window_ends_ms);
                account.charged = account.charged.saturating_add(charged);
            });
        }
    }

    /// Adds the amount held for an attempt whose client has gone.
    pub fn abandon(&self, caller: Identity, held: NanoUsd) {
        self.change(caller, |account| account.abandoned = account.abandoned.saturating_add(held));
    }

    /// Takes it out again: the attempt is settled.
    pub fn settle_abandoned(&self, caller: Identity, held: NanoUsd) {
        self.change(caller, |account| {
            account.abandoned = account.abandoned.saturating_sub(held).max(NanoUsd::ZERO);
        });
    }

    fn change(&self, caller: Identity, change: impl FnOnce(&mut Account)) {
        let mut accounts = self.accounts();
        self.any.store(true, Ordering::Relaxed);
        let account = accounts.entry(caller).or_default();
        change(account);
        if account.is_empty() {
            accounts.remove(&caller);
        }
    }
}

impl Account {
    /// Begins a new window where the shared budget has.
    fn enter(&mut self, window_ends_ms: Option<i64>) {
        if self.window_ends_ms != window_ends_ms {
            self.window_ends_ms = window_ends_ms;
            self.charged = NanoUsd::ZERO;
            self.has_alarmed = false;
        }
    }

    fn is_empty(&self) -> bool {
        [self.charged, self.held, self.abandoned].iter().all(|amount| *amount == NanoUsd::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::Estimates;
    use crate::principal::Identity;
    use base::{KeyHash, NanoUsd};
    use ledger::CellUsage;

    const KEY: Identity = Identity::Key(KeyHash([1; 32]));
    const OTHER: Identity = Identity::Key(KeyHash([2; 32]));

    fn shared(ends_ms: i64) -> CellUsage {
        CellUsage { limit: 1_000, spent: 0, held: 0, resets_at_ms: Some(ends_ms) }
    }

    #[test]
    fn a_key_is_refused_at_its_share_until_the_window_ends_and_others_are_not() {
        let estimates = Estimates::default();
        assert!(estimates.check(&KEY, || shared(10), 5).is_ok());
        estimates.settle(KEY, NanoUsd::ZERO, NanoUsd(49), Some(10));
        assert!(estimates.check(&KEY, || shared(10), 5).is_ok());
        estimates.settle(KEY, NanoUsd::ZERO, NanoUsd(1), Some(10));
        let reached = estimates.check(&KEY, || shared(10), 5).unwrap_err();
        assert_eq!(
            (reached.charged, reached.most, reached.is_first),
            (NanoUsd(50), NanoUsd(50), true)
        );
        assert!(!estimates.check(&KEY, || shared(10), 5).unwrap_err().is_first);
        assert!(estimates.check(&OTHER, || shared(10), 5).is_ok());
        assert!(estimates.check(&KEY, || shared(20), 5).is_ok(), "a new window");
    }

    #[test]
    fn what_is_held_for_abandoned_attempts_counts_until_they_are_settled() {
        let estimates = Estimates::default();
        estimates.abandon(KEY, NanoUsd(60));
        assert!(estimates.check(&KEY, || shared(10), 5).is_err());
        estimates.settle_abandoned(KEY, NanoUsd(60));
        assert!(estimates.check(&KEY, || shared(10), 5).is_ok());
    }

    #[test]
    fn a_key_may_hold_half_of_the_budget_and_one_attempt_more() {
        let estimates = Estimates::default();
        estimates.hold(KEY, NanoUsd(499));
        assert!(estimates.check(&KEY, || shared(10), 5).is_ok());
        estimates.hold(KEY, NanoUsd(300));
        assert!(estimates.check(&KEY, || shared(10), 5).unwrap_err().is_held);
        assert!(estimates.check(&OTHER, || shared(10), 5).is_ok());
        estimates.settle(KEY, NanoUsd(300), NanoUsd::ZERO, Some(10));
        assert!(estimates.check(&KEY, || shared(10), 5).is_ok());
    }
}
