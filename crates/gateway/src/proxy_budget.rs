//! Spending of the whole proxy, counted whether it has a budget or not.
//!
//! One cell counts it all, so that a budget which a reload brings binds what
//! was spent before and the calls that are under way, and one that a reload
//! takes away or changes loses nothing. What was spent before this process
//! began is the proxy's account in the store.

use base::{Clock, NanoUsd};
use config::{Config, PeriodUnit};
use ledger::{
    Account, AccountName, Allowance, Book, Cell, Opening, Store, Subject, Window, WindowUnit,
};
use std::sync::Arc;

/// Spending of the proxy.
#[derive(Clone)]
pub struct Tally {
    cell: Arc<Cell>,
    window: Option<Window>,
}

/// Change that a configuration makes to the tally; see [`Plan::apply`].
pub struct Plan {
    before: Option<Tally>,
    limit: Option<NanoUsd>,
    window: Option<Window>,
    /// Balances of the new window and of the one before, if it is another.
    accounts: Option<(Account, Account)>,
}

impl Plan {
    /// Reads the balances that `config` needs; `before` is the tally so far.
    ///
    /// # Errors
    /// The duration is not one that a budget can have, or the store does not
    /// answer.
    pub async fn of(
        config: &Config,
        before: Option<Tally>,
        store: &dyn Store,
        clock: &dyn Clock,
    ) -> Result<Self, String> {
        let limit = config.access.max_budget;
        let window = config.access.budget_duration.map(window).transpose()?;
        let mut plan = Self { before, limit, window, accounts: None };
        if plan.before.as_ref().is_some_and(|before| before.window == window) {
            return Ok(plan);
        }
        let now_ms = clock.unix_ms();
        let name = |window: Option<Window>| AccountName {
            subject: Subject::Proxy,
            window,
            // As if it had always been there: a restart begins no new window.
            ends_ms: window.map(|window| window.end_since_1970(now_ms)),
        };
        let was = plan.before.as_ref().map_or(window, |before| before.window);
        let opened = store.open_accounts(vec![name(window), name(was)], now_ms).await;
        let mut opened = opened.map_err(|error| error.to_string())?.into_iter();
        plan.accounts = opened.next().zip(opened.next());
        Ok(plan)
    }

    /// Puts it into effect; the second is the budget, if there is one.
    pub fn apply(self, book: &Book) -> (Tally, Option<Arc<Cell>>) {
        let Self { before, limit, window, accounts } = self;
        let (opening, counted) = match accounts {
            Some((account, was)) => (account.opening(), was.spend),
            None => (Opening::default(), NanoUsd::ZERO),
        };
        let most = limit.unwrap_or(NanoUsd::MAX);
        let cell = book.open(Allowance::money(Subject::Proxy, most, window), opening);
        if let Some(before) = before.filter(|before| before.window != window) {
            before.cell.carry_to(&cell, opening, counted.0);
        }
        let budget = limit.map(|_| Arc::clone(&cell));
        (Tally { cell, window }, budget)
    }
}

impl Tally {
    /// Where what no budget has reserved is counted.
    pub fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }
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
