//! The budget of the whole proxy: what was spent under it before this process.

use base::{Clock, NanoUsd};
use config::{Config, PeriodUnit};
use ledger::{Allowance, Opening, SpendFilter, Store, Subject, Window, WindowUnit};

/// The proxy's own allowance of money, with what its window already holds;
/// none where none is configured.
///
/// # Errors
/// Where the duration is none, or the store does not say what was spent.
pub async fn open(
    config: &Config,
    store: &dyn Store,
    clock: &dyn Clock,
) -> Result<Option<(Allowance, Opening)>, String> {
    let Some(limit) = config.access.max_budget else { return Ok(None) };
    let window = config.access.budget_duration.map(window).transpose()?;
    let window_ends_ms = window.map(|window| window.next_reset(clock.unix_ms()));
    let start_ms = window.zip(window_ends_ms).map(|(window, ends_ms)| window.start_of(ends_ms));
    let filter = SpendFilter { start_ms, ..SpendFilter::default() };
    let days = store.spend_by_day(filter).await.map_err(|error| error.to_string())?;
    let spent = days.iter().fold(NanoUsd::ZERO, |sum, day| sum.saturating_add(day.spend));
    let allowance = Allowance::money(Subject::Proxy, limit, window);
    Ok(Some((allowance, Opening { spent: spent.0, window_ends_ms })))
}

fn window(period: config::Period) -> Result<Window, String> {
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
