//! Usage in a sliding window: what was used in the last 60 seconds.
//!
//! Usage is kept in parts. A part is what was used within one sixtieth of the
//! window, and it leaves the window as a whole, one window length after the
//! latest use in it. So at most 61 parts are kept, whatever the traffic; no
//! interval of the window's length ever holds more than was counted for it;
//! and a use may count for up to a sixtieth of the window too long, never too
//! short. A use that is alone in its sixtieth leaves at the exact millisecond.
//!
//! Usage beyond the limit (an estimate was too low) is owed: it enters the
//! window as soon as there is room, so that the windows to come pay for it.

use std::collections::VecDeque;

/// Parts of a window.
const PARTS: i64 = 60;

/// The most that is owed, in limits: after an overrun of any size a limit per
/// minute refuses for an hour at most.
const OWED_MAX_LIMITS: i64 = 60;

#[derive(Clone, Debug)]
pub(crate) struct Recent {
    length_ms: i64,
    /// Oldest first.
    parts: VecDeque<Part>,
    /// Sum of `parts`.
    sum: i64,
    /// Used, and not in `parts` yet.
    owed: i64,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    /// Time of the latest use in it.
    last_ms: i64,
    amount: i64,
}

impl Recent {
    pub(crate) fn new(length_ms: i64) -> Self {
        Self { length_ms: length_ms.max(1), parts: VecDeque::new(), sum: 0, owed: 0 }
    }

    /// Amount that counts against the limit.
    pub(crate) fn total(&self) -> i64 {
        self.sum.saturating_add(self.owed)
    }

    /// Drops what has left the window by `now_ms`; what is owed takes its place
    /// at the moment at which it left. `room` is the limit less what is held.
    pub(crate) fn roll(&mut self, now_ms: i64, room: i64) {
        while let Some(left_ms) = self.first_leaves_at().filter(|left_ms| *left_ms <= now_ms) {
            if let Some(part) = self.parts.pop_front() {
                self.sum = self.sum.saturating_sub(part.amount);
            }
            self.pay(left_ms, room);
        }
    }

    /// Counts `amount` as used at `now_ms`; of it, what exceeds `room` is owed.
    pub(crate) fn spend(&mut self, now_ms: i64, amount: i64, room: i64, limit: i64) {
        self.owed = self.owed.saturating_add(amount);
        self.pay(now_ms, room);
        self.owed = self.owed.min(limit.max(0).saturating_mul(OWED_MAX_LIMITS));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.parts.clear();
        (self.sum, self.owed) = (0, 0);
    }

    /// When `asked` more would fit beside what is used, if nothing else is
    /// used until then; `None` if it does not fit at all.
    pub(crate) fn fits_at(&self, now_ms: i64, asked: i64, room: i64) -> Option<i64> {
        if asked > room {
            return None;
        }
        let mut ahead = self.clone();
        let mut at_ms = now_ms;
        while ahead.total().saturating_add(asked) > room {
            at_ms = ahead.first_leaves_at()?;
            ahead.roll(at_ms, room);
        }
        Some(at_ms.max(now_ms))
    }

    fn first_leaves_at(&self) -> Option<i64> {
        self.parts.front().map(|part| part.last_ms.saturating_add(self.length_ms))
    }

    /// Moves what is owed into the window, as far as there is room.
    fn pay(&mut self, at_ms: i64, room: i64) {
        let amount = room.saturating_sub(self.sum).min(self.owed);
        if amount <= 0 {
            return;
        }
        self.owed -= amount;
        self.sum = self.sum.saturating_add(amount);
        let part_ms = (self.length_ms / PARTS).max(1);
        match self.parts.back_mut() {
            Some(last) if last.last_ms.div_euclid(part_ms) == at_ms.div_euclid(part_ms) => {
                last.last_ms = last.last_ms.max(at_ms);
                last.amount = last.amount.saturating_add(amount);
            }
            _ => self.parts.push_back(Part { last_ms: at_ms, amount }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;
    use proptest::prelude::*;

    const MINUTE_MS: i64 = 60_000;

    #[test]
    fn memory_is_bounded_whatever_the_traffic() {
        let mut recent = Recent::new(MINUTE_MS);
        for ms in (0..600_000).step_by(7) {
            recent.roll(ms, i64::MAX);
            recent.spend(ms, 1, i64::MAX, i64::MAX);
            assert!(recent.parts.len() <= 61, "{} parts", recent.parts.len());
        }
    }

    #[test]
    fn what_is_owed_is_paid_by_the_windows_to_come() {
        let (mut recent, limit) = (Recent::new(MINUTE_MS), 100);
        recent.spend(0, 350, limit, limit);
        assert_eq!((recent.sum, recent.owed), (100, 250));
        assert_eq!(recent.fits_at(0, 50, limit), Some(3 * MINUTE_MS));
        assert_eq!(recent.fits_at(0, 51, limit), Some(4 * MINUTE_MS));
        recent.roll(3 * MINUTE_MS, limit);
        assert_eq!((recent.sum, recent.owed), (50, 0));
        recent.spend(3 * MINUTE_MS, i64::MAX, limit, limit);
        recent.roll(3 * MINUTE_MS + 59 * MINUTE_MS, limit);
        assert!(recent.total() > limit);
        recent.roll(3 * MINUTE_MS + 62 * MINUTE_MS, limit);
        assert_eq!(recent.total(), 0, "an hour at most");
    }

    #[test]
    fn a_use_that_is_alone_in_its_second_counts_for_exactly_a_minute() {
        let mut recent = Recent::new(MINUTE_MS);
        recent.spend(25_300, 1, 9, 9);
        recent.spend(26_900, 2, 9, 9);
        recent.spend(26_950, 4, 9, 9);
        for (at_ms, total) in [(85_299, 7), (85_300, 6), (86_949, 6), (86_950, 0)] {
            recent.roll(at_ms, 9);
            assert_eq!(recent.total(), total, "at {at_ms}");
        }
    }

    proptest! {
        #[test]
        fn it_fits_when_it_is_said_to_fit_and_not_a_millisecond_before(
            uses in prop::collection::vec((0_i64..20_000, 0_i64..80), 1..30),
            asked in 0_i64..120,
        ) {
            let (mut recent, mut now_ms, limit) = (Recent::new(MINUTE_MS), 0, 100);
            for (wait_ms, amount) in uses {
                now_ms += wait_ms;
                recent.roll(now_ms, limit);
                recent.spend(now_ms, amount, limit, limit);
            }
            match recent.fits_at(now_ms, asked, limit) {
                None => prop_assert!(asked > limit),
                Some(at_ms) => {
                    let mut then = recent.clone();
                    then.roll(at_ms, limit);
                    prop_assert!(then.total() + asked <= limit);
                    if at_ms > now_ms {
                        recent.roll(at_ms - 1, limit);
                        prop_assert!(recent.total() + asked > limit);
                    }
                }
            }
        }
    }
}
