//! From the spool into the store, in order, exactly once.
//!
//! The files are read, never a queue in memory. A batch's records and the
//! position after it go into the store in one transaction, so that a process
//! that dies at any point neither repeats nor skips. What cannot be put in is
//! tried again until it can.
//!
//! An attempt that begins in a file and ends after it is *parked* in the store
//! before the file goes away; most end sooner and never touch the database.

use crate::data_dir::sync_dir;
use crate::frame::{self, Began, Entry};
use crate::segment::{self, Reader, Stop};
use crate::spool::Spool;
use base::Clock;
use ledger::{Batch, Boxed, Journal, Position, RecordId, SpendRecord, SpoolId, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// Sees each record once in this process, after it is in the store.
pub type Observer = Box<dyn Fn(&[SpendRecord]) + Send>;

/// The most records in one transaction.
pub(crate) const BATCH: usize = 500;
/// How long to gather a batch.
const GATHER: Duration = Duration::from_millis(50);
/// How much longer where there are many: a commit costs as much as a hundred
/// records, and it is shared.
const GATHER_MANY: Duration = Duration::from_millis(200);
/// More than this after [`GATHER`] is many.
const FEW: u64 = 16;
const BACKOFF: [Duration; 6] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];
/// Entries that begin read in one step, so that a step's memory is bounded.
const STEP: usize = 4 * BATCH;

/// What has been read up to some place, without the batch that says so.
#[derive(Default)]
pub(crate) struct Attempts {
    /// Begun in the file that is being read, not ended yet.
    pub(crate) running: HashMap<RecordId, Began>,
    /// Begun in a file that is gone.
    pub(crate) parked: HashSet<RecordId>,
    /// The file that is being read holds what cannot be read.
    pub(crate) damaged: bool,
}

impl Attempts {
    /// Takes an entry in; a record ends its attempt.
    /// `to` is where it ends.
    fn see(&mut self, entry: Entry, dir: &Path, to: Position, batch: &mut Batch) {
        match entry {
            Entry::Opened(opened) => {
                self.running.insert(opened.id, opened);
            }
            Entry::Record(record) => {
                if self.running.remove(&record.id).is_none() && self.parked.remove(&record.id) {
                    batch.unparked.push(record.id);
                }
                batch.records.push(record);
            }
            Entry::KeyChange(change) => batch.key_changes.push(change),
            Entry::Unreadable(payload) => set_aside(dir, &payload),
            Entry::Damaged(bytes) => {
                self.damaged = true;
                tracing::error!(
                    path = %segment::path_of(dir, to.segment).display(),
                    at = to.offset - bytes,
                    bytes,
                    "a part of the spool cannot be read; the file will be kept as .damaged, \
                     see `keymoat ledger salvage`"
                );
            }
        }
    }
}

/// An entry of another version is kept, as it was written, for who can read it.
fn set_aside(dir: &Path, payload: &[u8]) {
    let path = dir.join("unreadable.frames");
    let kept = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let kept = kept.and_then(|mut file| file.write_all(&frame::framed(payload)));
    match kept {
        Ok(()) => tracing::error!(path = %path.display(), "a spooled record cannot be read; kept"),
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "a spooled record cannot be read or kept");
        }
    }
}

/// One spool and the store it goes into.
pub(crate) struct Drainer {
    pub(crate) spool: Arc<Spool>,
    pub(crate) id: SpoolId,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
    pub(crate) position: Position,
    pub(crate) attempts: Attempts,
    pub(crate) reader: Option<Reader>,
}

/// What one step did.
pub(crate) enum Step {
    /// There may be more.
    Moved,
    /// Everything that was written is in the store.
    CaughtUp,
}

impl Drainer {
    /// Runs until the spool is closed and drained.
    pub(crate) fn run(mut self) {
        self.spool.drained_by(std::thread::current());
        let mut failures = 0;
        loop {
            self.spool.wait_for_records();
            self.gather();
            match self.catch_up() {
                Ok(()) => failures = 0,
                Err(error) => {
                    let wait = BACKOFF.get(failures).or(BACKOFF.last()).copied().unwrap_or(GATHER);
                    failures += 1;
                    let depth = self.spool.depth();
                    tracing::error!(%error, depth, "spend records wait in the spool");
                    // At the end, what is left waits for the next start.
                    if self.spool.is_closing() && failures > 3 {
                        return;
                    }
                    std::thread::park_timeout(wait);
                    continue;
                }
            }
            if self.spool.is_closing() && self.spool.depth() == 0 {
                self.leave_clean();
                return;
            }
        }
    }

    fn gather(&self) {
        let more = || !self.spool.is_closing() && self.spool.depth() < BATCH as u64;
        if more() {
            std::thread::park_timeout(GATHER);
        }
        if more() && self.spool.depth() > FEW {
            std::thread::park_timeout(GATHER_MANY);
        }
    }

    fn catch_up(&mut self) -> Result<(), StoreError> {
        while let Step::Moved = self.step()? {}
        Ok(())
    }

    /// Reads a batch and puts it in.
    pub(crate) fn step(&mut self) -> Result<Step, StoreError> {
        let (active, written) = self.spool.written();
        let mut batch = Batch::new(self.id, self.clock.unix_ms(), self.position);
        let stop = match self.read(active, written, &mut batch) {
            Ok(stop) => stop,
            Err(error) => {
                self.undo(&batch);
                return Err(self.unavailable(&error));
            }
        };
        let finished = match stop {
            Some(stop) if self.position.segment < active => Some(stop),
            _ => None,
        };
        if finished.is_some() {
            let segment = match self.next_segment(active) {
                Ok(segment) => segment,
                Err(error) => {
                    self.undo(&batch);
                    return Err(error);
                }
            };
            batch.to = Position { segment, offset: 0 };
            batch.parked = self.attempts.running.values().filter_map(Began::read).collect();
        }
        if batch.to == self.position {
            return Ok(Step::CaughtUp);
        }
        let batch = Arc::new(batch);
        if let Err(error) = block_on(self.store.drain(Arc::clone(&batch))) {
            self.undo(&batch);
            return Err(error);
        }
        if let Some(stop) = finished {
            self.attempts.parked.extend(self.attempts.running.drain().map(|(id, _)| id));
            self.put_away(stop);
        }
        self.position = batch.to;
        self.spool.drained((batch.records.len() + batch.key_changes.len()) as u64);
        if !batch.records.is_empty() {
            (self.observer)(&batch.records);
        }
        Ok(Step::Moved)
    }

    /// Fills the batch; says why it ended if the file did.
    fn read(&mut self, active: u64, written: u64, batch: &mut Batch) -> io::Result<Option<Stop>> {
        let Self { spool, position, attempts, reader, .. } = self;
        let dir = spool.dir();
        let reader = match reader {
            Some(reader) if reader.offset == position.offset => reader,
            _ => reader.insert(Reader::open(dir, position.segment, position.offset)?),
        };
        let end = if position.segment == active { written } else { reader.file_len()? };
        for _ in 0..STEP {
            if batch.records.len() >= BATCH {
                break;
            }
            match reader.next(end, batch.records.last())? {
                Ok(entry) => {
                    let to = Position { segment: position.segment, offset: reader.offset };
                    attempts.see(entry, dir, to, batch);
                }
                Err(stop) => {
                    batch.to.offset = reader.offset;
                    return Ok(Some(stop));
                }
            }
        }
        batch.to.offset = reader.offset;
        Ok(None)
    }

    /// A batch that could not be put in will be read again from its beginning.
    fn undo(&mut self, batch: &Batch) {
        self.reader = None;
        self.attempts.parked.extend(&batch.unparked);
        // Attempts that ended in the batch are `running` again as soon as the
        // entry that began them is read; those begun before it end unnoticed,
        // which parks nothing and charges nothing twice.
    }

    fn next_segment(&self, active: u64) -> Result<u64, StoreError> {
        let numbers = segment::list(self.spool.dir())
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let next = numbers.into_iter().find(|number| *number > self.position.segment);
        Ok(next.unwrap_or(active))
    }

    /// Removes a file whose every entry is in the store; keeps one that holds
    /// what is not an entry.
    fn put_away(&mut self, stop: Stop) {
        let dir = self.spool.dir().to_owned();
        let path = segment::path_of(&dir, self.position.segment);
        let reader = self.reader.take();
        let len = reader.as_ref().and_then(|reader| reader.file_len().ok()).unwrap_or_default();
        let unread = len.saturating_sub(reader.map_or(len, |reader| reader.offset));
        if stop == Stop::Torn {
            tracing::warn!(path = %path.display(), bytes = unread, "a torn end was cut off");
        }
        match self.remove(&path).and_then(|()| sync_dir(&dir)) {
            Ok(()) => self.spool.removed(len),
            Err(error) => tracing::error!(%error, path = %path.display(), "a drained file stays"),
        }
    }

    /// Removes the file that was read; sets it aside if a part of it could not
    /// be read.
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        if std::mem::take(&mut self.attempts.damaged) {
            segment::keep_damaged(path)
        } else {
            fs::remove_file(path)
        }
    }

    /// After the last record: an empty spool leaves no file behind.
    fn leave_clean(&mut self) {
        let (active, written) = self.spool.written();
        let all = self.position == Position { segment: active, offset: written };
        if all && self.attempts.running.is_empty() {
            let path = segment::path_of(self.spool.dir(), active);
            let to = Position { segment: active + 1, offset: 0 };
            let batch = Batch::new(self.id, self.clock.unix_ms(), to);
            if block_on(self.store.drain(Arc::new(batch))).is_ok()
                && let Err(error) = self.remove(&path)
            {
                tracing::warn!(%error, path = %path.display(), "a drained file stays");
            }
        }
    }

    fn unavailable(&self, error: &io::Error) -> StoreError {
        StoreError::Unavailable(format!("{}: {error}", self.spool.dir().display()))
    }
}

/// Runs a future on this thread, which has no runtime and needs none.
pub(crate) fn block_on<T>(mut future: Boxed<'_, T>) -> Result<T, StoreError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(done) => return done,
            Poll::Pending => std::thread::park(),
        }
    }
}
