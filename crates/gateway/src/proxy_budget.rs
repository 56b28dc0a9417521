//! What the whole proxy spends, counted whether it has a budget or not.
//!
//! One cell counts it all, so that a budget which a reload brings binds what
//! was spent before and the calls that are under way, and one that a reload
//! takes away or changes loses nothing. What was spent before this process
//! began is added up in the store; as that may take a while, only where
//! somebody has set a budget.

use base::{Clock, NanoUsd};
use config::{Config, PeriodUnit};
use ledger::{Allowance, Book, Cell, Opening, Store, Subject, Window, WindowUnit};
use std::sync::Arc;

/// What the proxy spends.
#[derive(Clone)]
pub struct Tally {
    cell: Arc<Cell>,
    window: Option<Window>,
    /// From when on all of it is counted, milliseconds since 1970; none: from
    /// the beginning of the window.
    from_ms: Option<i64>,
}

/// What a configuration makes of it; see [`Plan::apply`].
pub struct Plan {
    before: Option<Tally>,
    limit: Option<NanoUsd>,
    window: Option<Window>,
    opening: Opening,
    from_ms: Option<i64>,
    /// Of what the tally before has counted, the store has this much.
    counted: NanoUsd,
    /// Whether the opening is to be believed, and not what is counted already.
    anew: bool,
}

impl Plan {
    /// What `config` asks for; `before` is the tally so far.
    ///
    /// # Errors
    /// Where the duration is none, or the store does not say what was spent.
    pub async fn of(
        config: &Config,
        before: Option<Tally>,
        store: &dyn Store,
        clock: &dyn Clock,
    ) -> Result<Self, String> {
        let limit = config.access.max_budget;
        let window = config.access.budget_duration.map(window).transpose()?;
        let now_ms = clock.unix_ms();
        // As if it had always been there: a restart begins no new window.
        let window_ends_ms = window.map(|window| window.end_since_1970(now_ms));
        let same_window = before.as_ref().is_some_and(|before| before.window == window);
        let counted_from_ms = before.as_ref().and_then(|before| before.from_ms);
        let mut plan = Self {
            before,
            limit,
            window,
            opening: Opening { window_ends_ms, ..Opening::default() },
            from_ms: None,
            counted: NanoUsd::ZERO,
            anew: false,
        };
        if same_window && (limit.is_none() || counted_from_ms.is_none()) {
            plan.from_ms = counted_from_ms;
            return Ok(plan);
        }
        if plan.before.is_none() && limit.is_none() {
            plan.from_ms = Some(now_ms);
            return Ok(plan);
        }
        plan.anew = true;
        let mut starts = vec![began_ms(window, window_ends_ms)];
        starts.extend(plan.before.as_ref().map(|before| {
            let began_ms = began_ms(before.window, before.cell.usage().resets_at_ms);
            began_ms.max(counted_from_ms)
        }));
        let sums = store.spend_since(starts).await.map_err(|error| error.to_string())?;
        let mut sums = sums.into_iter();
        plan.opening.spent = sums.next().unwrap_or_default().0;
        plan.counted = sums.next().unwrap_or_default();
        Ok(plan)
    }

    /// Puts it into effect; the second is the budget, where there is one.
    pub fn apply(self, book: &Book) -> (Tally, Option<Arc<Cell>>) {
        let Self { before, limit, window, opening, from_ms, counted, anew } = self;
        let most = limit.unwrap_or(NanoUsd::MAX);
        let cell = book.open(Allowance::money(Subject::Proxy, most, window), opening);
        if let Some(before) = before.filter(|_| anew) {
            before.cell.carry_to(&cell, opening, counted.0);
        }
        let budget = limit.map(|_| Arc::clone(&cell));
        (Tally { cell, window, from_ms }, budget)
    }
}

impl Tally {
    /// Where what no budget has reserved is counted.
    pub fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }
}

fn began_ms(window: Option<Window>, ends_ms: Option<i64>) -> Option<i64> {
    window.zip(ends_ms).map(|(window, ends_ms)| window.start_of(ends_ms))
}

/// Returns an error if [`Plan::of`] would refuse the duration that `config` sets.
///
/// # Errors
/// The duration is not one that a budget can have.
pub fn check(config: &Config) -> Result<(), String> {
    config.access.budget_duration.map(window).transpose().map(drop)
}

pub(crate) fn window(period: config::Period) -> Result<Window, String> {
    let unit = match period.unit {
        PeriodUnit::Second => WindowUnit::Second,
        PeriodUnit::Minute => WindowUnit::Minute,
        PeriodUnit::Hour => WindowUnit::Hour,
        PeriodUnit::Day => WindowUnit::Day,
        PeriodUnit::Week => WindowUnit::Week,
        PeriodUnit::Month => WindowUnit::Month,
    };
    Window::new(period.count, unit).map_err(|error| format!("budget_duration: {error}"))
}
