//! What a subject has spent, as the store writes it down.
//!
//! The book in memory forgets with the process; the account is what the next
//! one opens its cells with. Both follow the same windows: a charge counts in
//! the window in which it was reserved, and in the sum over all time whenever.

use crate::window::Window;
use base::NanoUsd;

/// A running balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Spent in the window that is open.
    pub spend: NanoUsd,
    /// Spent since the beginning.
    pub total_spend: NanoUsd,
    /// How long a window is; `None`: it never ends.
    pub window: Option<Window>,
    /// When the open window ends, milliseconds since 1970.
    pub resets_at_ms: Option<i64>,
    /// When it began: what was reserved before is no part of `spend`.
    pub began_ms: i64,
}

impl Account {
    /// Begins the window that holds `now_ms`, if the open one has ended.
    pub fn roll(&mut self, now_ms: i64) {
        if let (Some(window), Some(ends_ms)) = (self.window, self.resets_at_ms)
            && ends_ms <= now_ms
        {
            let next_ms = window.end_after(ends_ms, now_ms);
            self.began_ms = ends_ms.max(window.start_of(next_ms));
            self.resets_at_ms = Some(next_ms);
            self.spend = NanoUsd::ZERO;
        }
    }

    /// Adds what was reserved at `reserved_ms` and has turned out to be `cost`.
    pub fn charge(&mut self, reserved_ms: i64, cost: NanoUsd) {
        self.total_spend = self.total_spend.saturating_add(cost);
        self.roll(reserved_ms);
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
        account.charge(DAY_MS - 1, NanoUsd(5));
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd(5), Some(DAY_MS)));
        account.charge(3 * DAY_MS, NanoUsd(7));
        assert_eq!((account.spend, account.resets_at_ms), (NanoUsd(7), Some(4 * DAY_MS)));
        // One from the window that was skipped, one from the first.
        account.charge(2 * DAY_MS, NanoUsd(100));
        account.charge(1, NanoUsd(1000));
        assert_eq!((account.spend, account.total_spend), (NanoUsd(7), NanoUsd(1112)));
    }
}
