//! Dropping what only the store needs to remember: money cells that no call and
//! no cached key uses, and stops that have reached the store.
//!
//! A cell knows charges that the store learns later, from the spool. It may go
//! once the store has them all, in four steps: cells that nobody uses are
//! marked; whatever was written by then is counted; the spool drains to that
//! count; and after [`GRACE`], when no row is in use any longer that was read
//! before, the cells that are still marked go. A cell that is opened again loses
//! its mark.

use crate::key_cache::KeyCache;
use ledger::{Book, Journal};
use std::time::Duration;

/// Age at which a row that was read from the store is read again before cells
/// are opened with it; less than [`GRACE`].
pub(crate) const ROW_AGE_MAX: Duration = Duration::from_secs(10);

/// Time between the store's knowing all and the end of a cell.
const GRACE: Duration = Duration::from_mins(1);

/// Progress of dropping.
#[derive(Debug, Default)]
pub(crate) enum Idle {
    /// Nothing is marked.
    #[default]
    Begin,
    /// Cells are marked, at this time.
    Marked(Duration),
    /// The spool must drain to this count.
    Draining(u64),
    /// The store knew all, at this time.
    Known(Duration),
}

/// Time after which everything that was written before is counted as written.
const COUNTED_AFTER: Duration = Duration::from_secs(1);

impl Idle {
    /// Goes on; `is_settled` says that no record waits outside of the journal.
    pub(crate) fn step(
        &mut self,
        now: Duration,
        is_settled: bool,
        journal: &dyn Journal,
        book: &Book,
        keys: &KeyCache,
    ) {
        match *self {
            Self::Begin => {
                if is_settled {
                    book.mark_unused();
                    keys.mark();
                    *self = Self::Marked(now);
                }
            }
            Self::Marked(at) => {
                if is_settled && now.saturating_sub(at) >= COUNTED_AFTER {
                    *self = Self::Draining(journal.written());
                }
            }
            Self::Draining(count) => {
                if journal.written().saturating_sub(journal.depth()) >= count {
                    *self = Self::Known(now);
                }
            }
            Self::Known(at) => {
                if now.saturating_sub(at) >= GRACE {
                    book.drop_marked();
                    keys.drop_marked();
                    *self = Self::Begin;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Idle;
    use crate::key_cache::KeyCache;
    use base::{KeyHash, NanoUsd, SystemClock};
    use ledger::{
        Allowance, Book, Cell, Journal, KeyChange, Opened, Opening, SpendRecord, Subject, Written,
    };
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    #[derive(Default)]
    struct Counts {
        written: AtomicU64,
        drained: AtomicU64,
    }

    impl Journal for Counts {
        fn ready(&self) -> Written {
            Written::now()
        }
        fn open(&self, _: &Opened) -> io::Result<Written> {
            Ok(Written::now())
        }
        fn settle(&self, _: &SpendRecord) -> io::Result<Written> {
            Ok(Written::now())
        }
        fn change_key(&self, _: &KeyChange) -> io::Result<Written> {
            Ok(Written::now())
        }
        fn written(&self) -> u64 {
            self.written.load(Ordering::SeqCst)
        }
        fn depth(&self) -> u64 {
            self.written() - self.drained.load(Ordering::SeqCst)
        }
        fn is_full(&self) -> bool {
            false
        }
    }

    struct Bench {
        idle: Idle,
        now: Duration,
        journal: Counts,
        book: Book,
        keys: KeyCache,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                idle: Idle::default(),
                now: Duration::ZERO,
                journal: Counts::default(),
                book: Book::new(Arc::new(SystemClock::new())),
                keys: KeyCache::default(),
            }
        }

        /// Cell of the key's budget, which begins with nothing where it is not known.
        fn cell(&self) -> Arc<Cell> {
            let allowance = Allowance::money(Subject::Key(KeyHash([1; 32])), NanoUsd(100), None);
            self.book.open(allowance, Opening::default())
        }

        /// One call, the record of which is written and not drained.
        fn charge(&self) {
            self.cell().charge(0, 10);
            self.journal.written.fetch_add(1, Ordering::SeqCst);
        }

        fn drain(&self) {
            self.journal.drained.store(self.journal.written(), Ordering::SeqCst);
        }

        fn pass(&mut self, seconds: u64, is_settled: bool) {
            for _ in 0..seconds {
                self.now += Duration::from_secs(1);
                self.idle.step(self.now, is_settled, &self.journal, &self.book, &self.keys);
            }
        }

        /// Reads what the cell knows, without opening it again.
        fn cells(&self) -> usize {
            self.book.sweep()
        }
    }

    #[test]
    fn a_money_cell_stays_until_the_store_knows_what_it_knows() {
        let mut bench = Bench::new();
        bench.charge();
        bench.pass(600, true);
        assert_eq!(bench.cells(), 1, "its record is not in the store");
        bench.drain();
        bench.pass(30, true);
        assert_eq!(bench.cells(), 1, "a row of before may still be in use");
        bench.pass(40, true);
        assert_eq!(bench.cells(), 0);
    }

    #[test]
    fn a_money_cell_stays_while_its_record_waits_outside_of_the_journal() {
        let mut bench = Bench::new();
        bench.charge();
        bench.drain();
        bench.pass(600, false);
        assert_eq!(bench.cells(), 1);
    }

    #[test]
    fn a_cell_that_is_used_again_stays() {
        let mut bench = Bench::new();
        bench.charge();
        bench.drain();
        bench.pass(30, true);
        bench.charge();
        bench.pass(60, true);
        assert_eq!(bench.cell().usage().spent, 20);
        let held = bench.cell();
        bench.drain();
        bench.pass(600, true);
        assert_eq!(held.usage().spent, 20);
        assert_eq!(bench.cells(), 1, "somebody holds it");
        drop(held);
        bench.pass(600, true);
        assert_eq!(bench.cells(), 0);
    }
}
