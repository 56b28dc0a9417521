//! Spend records that could not be written yet.
//!
//! The journal failed: the disk is full or gone. The call is over and its cost
//! is in the book already; the record waits here and is tried again every
//! second, and when the process ends. As long as one waits no new call is let
//! through and the readiness probe says so; the few that wait are those that
//! were under way. What does not fit is lost, and the log says so, with all
//! that is needed to charge it by hand.

use ledger::{Journal, SpendRecord, Written};
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

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// Writes a record, now or later. Ready once it is as durable as it can be
    /// made: at once if it waits here.
    pub fn settle(&self, journal: &dyn Journal, record: SpendRecord) -> Written {
        let error = match journal.settle(&record) {
            Ok(written) => return written,
            Err(error) => error,
        };
        let mut waiting = self.waiting();
        if waiting.len() < WAITING_MAX {
            self.any.store(true, Ordering::Relaxed);
            tracing::error!(%error, record = %record.id, "a spend record could not be written yet");
            waiting.push_back(record);
        } else {
            lost(&record, &error);
        }
        Written::now()
    }

    /// Tries again what waits, `most` of it. Called before a call is let
    /// through, and every second.
    ///
    /// # Errors
    /// Some still waits; no call may be made.
    pub fn retry(&self, journal: &dyn Journal, most: usize) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let mut waiting = self.waiting();
        for _ in 0..most {
            let Some(record) = waiting.front() else { break };
            match journal.settle(record) {
                // It is written; that it is synced nobody waits for any longer.
                Ok(written) => drop(written),
                // No disk will ever take it: it must not stop all calls.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => lost(record, &error),
                Err(error) => return Err(error),
            }
            waiting.pop_front();
        }
        if !waiting.is_empty() {
            return Err(io::Error::other(format!("{} records wait to be written", waiting.len())));
        }
        self.any.store(false, Ordering::Relaxed);
        tracing::info!("all spend records are written again");
        Ok(())
    }

    /// The process ends: says in the log what is lost. Returns how much.
    pub fn give_up(&self) -> usize {
        let mut waiting = self.waiting();
        let error = io::Error::other("the process ends");
        for record in waiting.iter() {
            lost(record, &error);
        }
        waiting.drain(..).count()
    }
}

/// Says all that is needed to charge it by hand.
fn lost(record: &SpendRecord, error: &io::Error) {
    tracing::error!(
        %error,
        record = %record.id,
        key = record.key_hash.map(|hash| hash.to_string()),
        user = record.user_id.as_deref(),
        team = record.team_id.as_deref(),
        model = %record.upstream_model,
        input = record.usage.input,
        output = record.usage.output,
        nanousd = record.cost.0,
        "a spend record is lost"
    );
}

#[cfg(test)]
mod tests {
    use super::Unsettled;
    use base::CallId;
    use ledger::{Journal, KeyChange, Opened, RecordId, SpendRecord, Written};
    use std::io;
    use std::sync::Mutex;

    /// A disk that is full until there is room.
    #[derive(Default)]
    struct Disk {
        room: Mutex<usize>,
        written: Mutex<Vec<RecordId>>,
    }

    impl Journal for Disk {
        fn ready(&self) -> Written {
            Written::now()
        }

        fn open(&self, _: &Opened) -> io::Result<Written> {
            Ok(Written::now())
        }

        fn change_key(&self, _: &KeyChange) -> io::Result<Written> {
            Ok(Written::now())
        }

        fn settle(&self, record: &SpendRecord) -> io::Result<Written> {
            let mut room = self.room.lock().unwrap();
            *room = room.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            self.written.lock().unwrap().push(record.id);
            Ok(Written::now())
        }

        fn written(&self) -> u64 {
            0
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
        assert!(unsettled.retry(&disk, 64).is_ok());
        let call = CallId::new(0, [7; 10]);
        let ids = [0, 1, 2].map(|attempt| RecordId { call, attempt });
        for id in ids {
            drop(unsettled.settle(&disk, SpendRecord::new(id, 0)));
        }
        assert!(unsettled.retry(&disk, 64).is_err() && !unsettled.is_empty());
        *disk.room.lock().unwrap() = 2;
        assert!(unsettled.retry(&disk, 1).is_err(), "more than was tried");
        assert!(unsettled.retry(&disk, 64).is_err(), "one still waits");
        *disk.room.lock().unwrap() = 1;
        assert!(unsettled.retry(&disk, 64).is_ok() && unsettled.is_empty());
        assert_eq!(*disk.written.lock().unwrap(), ids, "each once, in order");
    }

    #[test]
    fn what_no_disk_will_ever_take_stops_nobody() {
        struct Choosy;
        impl Journal for Choosy {
            fn ready(&self) -> Written {
                Written::now()
            }
            fn open(&self, _: &Opened) -> io::Result<Written> {
                Ok(Written::now())
            }
            fn change_key(&self, _: &KeyChange) -> io::Result<Written> {
                Ok(Written::now())
            }
            fn settle(&self, _: &SpendRecord) -> io::Result<Written> {
                Err(io::ErrorKind::InvalidInput.into())
            }
            fn written(&self) -> u64 {
                0
            }
            fn depth(&self) -> u64 {
                0
            }
            fn is_full(&self) -> bool {
                false
            }
        }
        let unsettled = Unsettled::default();
        let id = RecordId { call: CallId::new(0, [7; 10]), attempt: 0 };
        drop(unsettled.settle(&Choosy, SpendRecord::new(id, 0)));
        assert!(unsettled.retry(&Choosy, 64).is_ok() && unsettled.is_empty());
    }
}
