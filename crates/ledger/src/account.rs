//! What a subject has spent, as the store writes it down.
//!
//! The book in memory forgets with the process; the account is what the next
//! one opens its cells with. Both follow the same windows: a charge counts in
//! the window in which it was reserved, and in the sum over all time whenever.
//!
//! A clock that was ahead and is set back: the account returns to the window
//! that holds the time. What was spent while the clock was ahead counts in
//! that window and in the one that follows it, so that all windows together
//! never hand out more than the calendar allows.

use crate::allowance::Opening;
use crate::window::Window;
use base::NanoUsd;

/// A running balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Spent in the window that is open.
    pub spend: NanoUsd,
    /// Spent since the beginning.
    pub total_spend: NanoUsd,
    /// Length of a window; `None`: it never ends.
    pub window: Option<Window>,
    /// End of the open window, milliseconds since 1970.
    pub resets_at_ms: Option<i64>,
    /// Its beginning: what was reserved before is no part of `spend`.
    pub began_ms: i64,
    /// Spent while the clock was ahead: the next window begins with it.
    pub ahead: NanoUsd,
}

impl Account {
    /// Returns the opening of a cell that goes on from here.
    pub fn opening(&self) -> Opening {
        Opening { spent: self.spend.0, window_ends_ms: self.resets_at_ms, ahead: self.ahead.0 }
    }

    /// Opens the window that holds `now_ms`, if that is another one. Where the
    /// clock went back, what was spent in the later window stays counted; a
    /// store that knows the records puts the sum in its place.
    pub fn roll(&mut self, now_ms: i64) {
        let (Some(window), Some(ends_ms)) = (self.window, self.resets_at_ms) else { return };
        if ends_ms <= now_ms {
            let next_ms = window.end_after(ends_ms, now_ms);
            self.began_ms = ends_ms.max(window.start_of(next_ms));
            self.resets_at_ms = Some(next_ms);
            self.spend = std::mem::take(&mut self.ahead);
        } else if window.is_ahead(ends_ms, now_ms) {
            let ends_ms = window.end_before(ends_ms, now_ms);
            self.began_ms = window.start_of(ends_ms);
            self.resets_at_ms = Some(ends_ms);
            self.ahead = self.ahead.max(self.spend);
        }
    }

    /// Returns true if the clock shows a time before the open window.
    pub fn is_ahead(&self, now_ms: i64) -> bool {
        let open = self.window.zip(self.resets_at_ms);
        open.is_some_and(|(window, ends_ms)| window.is_ahead(ends_ms, now_ms))
    }

    /// Adds what was reserved at `reserved_ms` and has turned out to be `cost`;
    /// `now_ms` is the time of the charge. What was reserved by a clock that has
    /// been set back since counts as reserved now.
    pub fn charge(&mut self, reserved_ms: i64, cost: NanoUsd, now_ms: i64) {
        self.total_spend = self.total_spend.saturating_add(cost);
        self.roll(now_ms);
        let reserved_ms = reserved_ms.min(now_ms.max(self.began_ms));
        if reserved_ms >= self.began_ms {
            self.spend = self.spend.saturating_add(cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Account;
    use base::NanoUsd;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn a_late_charge_counts_in_the_total_but_not_in_a_later_window() {
        let mut account = Account {
            window: Some("1d".parse().unwrap()),
            resets_at_ms: Some(DAY_MS),
            ..Account::default()
        };
        account.charge(DAY_MS - 1, NanoUsd(5), DAY_MS - 1);
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd(5), Some(DAY_MS)));
        account.charge(3 * DAY_MS, NanoUsd(7), 3 * DAY_MS + 1);
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd(7), Some(4 * DAY_MS)));
        // One from the window that was skipped, one from the first.
        account.charge(2 * DAY_MS, NanoUsd(100), 3 * DAY_MS + 2);
        account.charge(1, NanoUsd(1000), 3 * DAY_MS + 2);
        assert_eq!((account.spend, account.total_spend), (NanoUsd(7), NanoUsd(1112)));
    }

    #[test]
    fn a_clock_that_was_ahead_leaves_no_window_open_that_has_not_begun() {
        let mut account = Account {
            window: Some("1d".parse().unwrap()),
            resets_at_ms: Some(DAY_MS),
            ..Account::default()
        };
        account.charge(5, NanoUsd(5), 5);
        let ahead_ms = 3650 * DAY_MS + 5;
        account.charge(ahead_ms, NanoUsd(70), ahead_ms);
        assert_eq!(account.spend, NanoUsd(70));
        // A record that was reserved while it was ahead, and one of now.
        account.charge(ahead_ms, NanoUsd(200), 7);
        account.charge(7, NanoUsd(1000), 7);
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd(1270), Some(DAY_MS)));
        account.charge(DAY_MS, NanoUsd(1), DAY_MS);
        assert_eq!((account.spend, account.total_spend), (NanoUsd(71), NanoUsd(1276)));
        account.roll(2 * DAY_MS);
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd::ZERO, Some(3 * DAY_MS)));
    }

    #[test]
    fn a_clock_that_is_set_back_by_seconds_opens_no_window_again() {
        let mut account = Account {
            window: Some("1d".parse().unwrap()),
            resets_at_ms: Some(DAY_MS),
            ..Account::default()
        };
        account.charge(DAY_MS + 1, NanoUsd(5), DAY_MS + 1);
        account.charge(DAY_MS + 1, NanoUsd(7), DAY_MS - 2_000);
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd(12), Some(2 * DAY_MS)));
    }
}
