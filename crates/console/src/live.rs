//! Between what the store says of a key and what the book knows by now.
//!
//! While a key is in use its spending stands in the book; the store follows
//! when the spool has drained. What people see, and what a change is based on,
//! is the book's figure where there is one.

use crate::Shared;
use base::NanoUsd;
use ledger::{Cell, Unit, VirtualKey};
use std::sync::Arc;
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
    let usage = tally(app, key).usage();
    Balance { spend: NanoUsd(usage.spent), resets_at_ms: usage.resets_at_ms }
}

/// Where the key's spending is counted. The book has no way to look without
/// opening, so a cell that was not there begins with the row, as at the key's
/// first use.
fn tally(app: &Shared, key: &VirtualKey) -> Arc<Cell> {
    let (allowance, opening) = key.tally();
    app.gateway.book().open(allowance, opening)
}

/// Puts a change of a key into effect: its limits in the book, then nobody
/// remembers the key as it was. `spend_was_set` says that the row's spend is
/// an administrator's word. Also for a key that another one replaces.
///
/// A window that is set begins with what calls under way hold, not with what
/// was spent before; a budget without a window counts all that was ever spent.
pub(crate) fn follow(
    app: &Shared,
    before: &VirtualKey,
    after: &VirtualKey,
    spend_was_set: bool,
    now_ms: i64,
) {
    let was = tally(app, before);
    let is = tally(app, after);
    let (_, opening) = after.tally();
    if before.budget_duration == after.budget_duration {
        if !Arc::ptr_eq(&was, &is) {
            was.move_to(&is, opening.window_ends_ms);
        }
    } else if after.budget_duration.is_some() {
        was.carry_to(&is, opening, i64::MAX);
    } else {
        // What the store does not know yet of the window that was open.
        let mut account = before.account();
        account.roll(now_ms);
        was.carry_to(&is, opening, account.spend.0);
    }
    if spend_was_set {
        is.restate(opening);
    }
    for (allowance, opening) in after.allowances() {
        if allowance.unit != Unit::Money {
            app.gateway.book().open(allowance, opening);
        }
    }
    app.gateway.forget_key(&before.hash);
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
