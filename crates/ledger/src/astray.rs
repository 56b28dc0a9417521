//! Windows of a budget around the open one, for a clock that is set back.
//!
//! The rule is that of [`crate::Account`]: what was spent while the clock was
//! ahead counts in the window to which it returns, and in the one that follows.
//! The store adds up its records; a cell remembers the windows that it left
//! last.

/// Windows remembered: a clock that is ahead seldom passes through more.
const LEFT_MAX: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Astray {
    /// The windows that were left last, in order: end, and what was spent or
    /// held in each beyond what it began with.
    left: Vec<(i64, i64)>,
    /// Amount with which the next window begins.
    ahead: i64,
    /// Amount with which the open window began.
    carried: i64,
}

impl Astray {
    /// The next window begins with `ahead`.
    pub(crate) fn new(ahead: i64) -> Self {
        Self { ahead, ..Self::default() }
    }

    /// The window that ends at `ends_ms`, with `used` spent and held, is left
    /// for a later one. Returns what that begins with.
    pub(crate) fn leave(&mut self, ends_ms: i64, used: i64) -> i64 {
        if self.left.len() >= LEFT_MAX {
            self.left.remove(0);
        }
        self.left.push((ends_ms, used.saturating_sub(self.carried)));
        self.carried = std::mem::take(&mut self.ahead);
        self.carried
    }

    /// The open window, with `spent` and `held`, is left for an earlier one,
    /// which ends at `ends_ms`. Returns what is spent of that; what is held
    /// stays held.
    pub(crate) fn go_back(&mut self, ends_ms: i64, spent: i64, held: i64) -> i64 {
        let later = |spent: i64, (ends, amount): &(i64, i64)| {
            if *ends > ends_ms { spent.saturating_add(*amount) } else { spent }
        };
        let ahead = self.left.iter().fold(spent, later);
        let own = self.left.iter().filter(|(ends, _)| *ends == ends_ms).map(|(_, amount)| *amount);
        let own = own.fold(0, i64::saturating_add);
        self.left.retain(|(ends, _)| *ends < ends_ms);
        self.ahead = self.ahead.max(ahead.saturating_add(held));
        let returned = own.saturating_add(ahead).saturating_sub(self.carried);
        self.carried = 0;
        returned
    }
}
