//! The ledger from outside.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

mod against_a_model;
mod allowances;
mod records;
mod threads;

use base::{Clock, KeyHash, NanoUsd};
use ledger::{Allowance, Ask, Book, Cell, Opening, Subject, Window};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Time that stands until a test moves it.
struct HeldClock(AtomicI64);

impl HeldClock {
    fn at(ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(ms)))
    }

    fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn unix_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.unix_ms().unsigned_abs())
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
