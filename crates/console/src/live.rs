//! Between what the store says of a key and what the book knows by now.
//!
//! While a key is in use its spending stands in the book; the store follows
//! when the spool has drained. What people see, and what a change is based on,
//! is the book's figure where there is one.

use crate::Shared;
use base::NanoUsd;
use ledger::{CellUsage, Opening, Unit, VirtualKey};
use std::time::Duration;

/// What a key has spent in the open window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) spend: NanoUsd,
    /// When the window ends, milliseconds since 1970.
    pub(crate) resets_at_ms: Option<i64>,
}

/// The balance of now.
pub(crate) fn balance(app: &Shared, key: &VirtualKey) -> Balance {
    if let Some(usage) = money_in_book(app, key) {
        return Balance { spend: NanoUsd(usage.spent), resets_at_ms: usage.resets_at_ms };
    }
    let mut account = key.account();
    account.roll(app.gateway.clock().unix_ms());
    Balance { spend: account.spend, resets_at_ms: account.resets_at_ms }
}

/// The cell of a key's budget. The book has no way to look without opening, so
/// a cell that was not there begins with the row, as at the key's first use.
fn money_in_book(app: &Shared, key: &VirtualKey) -> Option<CellUsage> {
    let (allowance, opening) =
        key.allowances().into_iter().find(|(allowance, _)| allowance.unit == Unit::Money)?;
    Some(app.gateway.book().open(allowance, opening).usage())
}

/// Puts a change of a key into effect: its limits in the book, then nobody
/// remembers the key as it was. `spend_was_set` says that the row's spend is
/// an administrator's word.
pub(crate) fn follow(app: &Shared, before: &VirtualKey, after: &VirtualKey, spend_was_set: bool) {
    let was = money_in_book(app, before);
    let same_cell = was.is_some() && before.budget_duration == after.budget_duration;
    for (allowance, opening) in after.allowances() {
        let unit = allowance.unit;
        let cell = app.gateway.book().open(allowance, opening);
        if unit != Unit::Money || (same_cell && !spend_was_set) {
            continue;
        }
        // Another window is another cell: it takes over what the old one has
        // spent, and what it holds as if it were spent, for calls in flight
        // settle in the old one.
        let spent = match was {
            Some(was) if !spend_was_set => was.spent.saturating_add(was.held),
            _ => opening.spent,
        };
        cell.restate(Opening { spent, ..opening });
    }
    app.gateway.forget_key(&after.hash);
}

/// How long a question waits for records that were written just now.
const DRAIN_WAIT: Duration = Duration::from_millis(300);

/// Waits until what has been acknowledged is in the store, or not much longer:
/// under steady load the spool is never quite empty.
pub(crate) async fn drained(app: &Shared) {
    let empty = async {
        while app.gateway.journal().depth() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // Too late is as good as it gets.
    tokio::time::timeout(DRAIN_WAIT, empty).await.unwrap_or_default();
}
