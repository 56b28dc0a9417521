//! Spend records that could not be written yet.
//!
//! The journal failed: the disk is full or gone. The call is over and its cost
//! is in the book already; the record waits here and is tried again. As long
//! as one waits no new call is let through, so the few that wait are those
//! that were under way. What does not fit is lost, and the log says so, with
//! all that is needed to charge it by hand.

use ledger::{Journal, SpendRecord};
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Default)]
pub struct Unsettled {
    any: AtomicBool,
    waiting: Mutex<VecDeque<SpendRecord>>,
}

/// Records that wait; more calls than this are hardly ever under way.
const WAITING_MAX: usize = 16_384;

impl Unsettled {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<SpendRecord>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a record, now or later.
    pub fn settle(&self, journal: &dyn Journal, record: SpendRecord) {
        let Err(error) = journal.settle(&record) else { return };
        let mut waiting = self.waiting();
        self.any.store(true, Ordering::Relaxed);
        if waiting.len() < WAITING_MAX {
            tracing::error!(%error, record = %record.id, "a spend record could not be written yet");
            waiting.push_back(record);
            return;
        }
        tracing::error!(
            %error,
            record = %record.id,
            key = ?record.key_hash.map(|hash| hash.to_string()),
            nanousd = record.cost.0,
            "a spend record is lost"
        );
    }

    /// Tries again what waits. Called before a call is let through.
    ///
    /// # Errors
    /// The journal still fails; no call may be made.
    pub fn retry(&self, journal: &dyn Journal) -> io::Result<()> {
        if !self.any.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut waiting = self.waiting();
        while let Some(record) = waiting.front() {
            journal.settle(record)?;
            waiting.pop_front();
        }
        self.any.store(false, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Unsettled;
    use base::CallId;
    use ledger::{Journal, Opened, RecordId, SpendRecord};
    use std::io;
    use std::sync::Mutex;

    /// A disk that is full until there is room.
    #[derive(Default)]
    struct Disk {
        room: Mutex<usize>,
        written: Mutex<Vec<RecordId>>,
    }

    impl Journal for Disk {
        fn open(&self, _: &Opened) -> io::Result<()> {
            Ok(())
        }

        fn settle(&self, record: &SpendRecord) -> io::Result<()> {
            let mut room = self.room.lock().unwrap();
            *room = room.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            self.written.lock().unwrap().push(record.id);
            Ok(())
        }

        fn depth(&self) -> u64 {
            0
        }

        fn is_full(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_record_that_could_not_be_written_stops_new_calls_until_it_is() {
        let (disk, unsettled) = (Disk::default(), Unsettled::default());
        assert!(unsettled.retry(&disk).is_ok());
        let call = CallId::new(0, [7; 10]);
        let ids = [0, 1, 2].map(|attempt| RecordId { call, attempt });
        for id in ids {
            unsettled.settle(&disk, SpendRecord::new(id, 0));
        }
        assert!(unsettled.retry(&disk).is_err());
        *disk.room.lock().unwrap() = 2;
        assert!(unsettled.retry(&disk).is_err(), "one still waits");
        *disk.room.lock().unwrap() = 1;
        assert!(unsettled.retry(&disk).is_ok());
        assert_eq!(*disk.written.lock().unwrap(), ids, "each once, in order");
    }
}
