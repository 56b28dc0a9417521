//! The ledger from outside.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod against_a_model;
mod allowances;
mod rates;
mod records;
mod threads;

use base::{Clock, KeyHash, NanoUsd};
use ledger::{Allowance, Ask, Book, Cell, Opening, Subject, Window};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Time that stands until a test moves it.
#[derive(Default)]
struct HeldClock {
    ms: AtomicI64,
    /// How far the wall clock was set away from it.
    set_by_ms: AtomicI64,
}

impl HeldClock {
    fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self { ms: AtomicI64::new(ms), ..Self::default() })
    }

    fn advance(&self, ms: i64) {
        self.ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Sets the wall clock; the monotonic one goes on.
    fn set_by(&self, ms: i64) {
        self.set_by_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn unix_ms(&self) -> i64 {
        self.ms.load(Ordering::SeqCst) + self.set_by_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.ms.load(Ordering::SeqCst).unsigned_abs())
    }
}

fn key(number: u8) -> Subject {
    Subject::Key(KeyHash([number; 32]))
}

fn money(amount: i64) -> Ask {
    Ask { money: NanoUsd(amount), tokens: 0 }
}

fn budget(book: &Book, number: u8, limit: i64, window: Option<&str>) -> Arc<Cell> {
    let window = window.map(|text| text.parse::<Window>().unwrap());
    book.open(Allowance::money(key(number), NanoUsd(limit), window), Opening::default())
}
