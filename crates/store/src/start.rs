//! Opening: first finish what the last process left, then begin.
//!
//! Whatever its spool holds goes into the store, attempts that never ended are
//! charged in full, and only then are cells opened from the balances: a cap is
//! not exceeded across a crash.

use crate::data_dir::{DataDir, private_dir, secret_file};
use crate::drain::{Attempts, BATCH, Drainer, Observer, Step, block_on};
use crate::error::OpenError;
use crate::frame::{Began, Entry};
use crate::segment::{self, Reader};
use crate::spool::{Settings, Spool};
use crate::sqlite::Sqlite;
use base::{Clock, id};
use ledger::{
    Batch, Journal, KeyHasher, Opened, Position, SpendRecord, SpoolId, Store, StoreError,
};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

/// What was found on opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records that the last process had written and not drained.
    pub records: u64,
    /// Attempts that had begun and never ended, now charged in full.
    pub crashed: u64,
}

/// An open store: where records go and where they end up.
pub struct State {
    /// Keys and records.
    pub store: Arc<dyn Store>,
    /// Where the gateway writes records down.
    pub journal: Arc<dyn Journal>,
    /// Turns virtual keys into what is stored, with the directory's pepper.
    pub hasher: Arc<KeyHasher>,
    /// What the last process had left.
    pub recovered: Recovered,
    spool: Arc<Spool>,
    threads: Vec<JoinHandle<()>>,
    dir: DataDir,
}

impl State {
    /// The data directory, held as long as this is.
    pub fn dir(&self) -> &DataDir {
        &self.dir
    }

    /// Says in the log when the spool's disk stops answering and when it does
    /// again, until the future is dropped. Has to run on the runtime that
    /// serves: what wakes it wakes a worker there, so that the others go on
    /// where one hangs in a write.
    pub fn log_disk(&self) -> impl Future<Output = ()> + Send + 'static {
        let (mut disk, path) = (self.spool.disk(), self.spool.dir().display().to_string());
        async move {
            let mut stalled = false;
            while disk.changed().await.is_ok() {
                let now = disk.borrow_and_update().stalled;
                if now && !stalled {
                    tracing::error!(path, "the disk does not answer: calls wait for it");
                } else if stalled && !now {
                    tracing::info!(path, "the disk answers again");
                }
                stalled = now;
            }
        }
    }

    /// Drains what is written, closes the database and gives the directory
    /// back. Blocks; records that the store does not take stay in the spool.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.spool.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the spool has panicked");
            }
        }
        if let Err(error) = block_on(self.store.close()) {
            tracing::error!(%error, "the database did not close cleanly");
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.finish();
        }
    }
}

/// Opens the embedded database in `dir` and its spool. Blocks.
///
/// # Errors
/// Each names the path and what to do.
pub fn open(
    dir: DataDir,
    settings: Settings,
    clock: &Arc<dyn Clock>,
    observer: Observer,
) -> Result<State, OpenError> {
    // Before the database: a pepper that is missing beside one is an error.
    dir.pepper()?;
    let store = Sqlite::open(&dir.database(), clock.unix_ms())?;
    attach(dir, settings, clock, Arc::new(store), observer)
}

/// As [`open`], with any database.
///
/// # Errors
/// As [`open`].
pub fn attach(
    dir: DataDir,
    settings: Settings,
    clock: &Arc<dyn Clock>,
    store: Arc<dyn Store>,
    observer: Observer,
) -> Result<State, OpenError> {
    let hasher = Arc::new(KeyHasher::new(&dir.pepper()?));
    let spool_dir = dir.path().join("spool");
    private_dir(&spool_dir)?;
    let id = spool_id(&spool_dir)?;
    let replay = |cause| OpenError::Replay { path: spool_dir.clone(), cause };
    let (position, parked) = block_on(store.drained(id)).map_err(replay)?;

    let old = remove_drained(&spool_dir, segment::list(&spool_dir)?, position)?;
    let last = old.last().copied().unwrap_or_default().max(position.segment);
    let bytes = old.iter().filter_map(|number| {
        fs::metadata(segment::path_of(&spool_dir, *number)).ok().map(|file| file.len())
    });
    let spool = Spool::begin(&spool_dir, last + 1, bytes.sum(), settings)?;
    let io = |cause| OpenError::Io { what: "read", path: spool_dir.clone(), cause };

    // The file that the last process was in the middle of: what it had begun.
    let mut attempts =
        Attempts { parked: parked.iter().map(|o| o.id).collect(), ..Attempts::default() };
    let begin = match old.first() {
        Some(first) if *first == position.segment => {
            (attempts.running, attempts.damaged) = running_at(&spool_dir, position).map_err(io)?;
            position
        }
        Some(first) => Position { segment: *first, offset: 0 },
        None => Position { segment: last + 1, offset: 0 },
    };
    let mut drainer = Drainer {
        spool: Arc::clone(&spool),
        id,
        store: Arc::clone(&store),
        clock: Arc::clone(clock),
        observer,
        position: begin,
        attempts,
        reader: None,
    };
    while let Step::Moved = drainer.step().map_err(replay)? {}
    let recovered = Recovered {
        records: spool.take_drained(),
        crashed: charge_crashed(&mut drainer).map_err(replay)?,
    };
    if recovered != Recovered::default() {
        let Recovered { records, crashed } = recovered;
        tracing::info!(records, crashed, "took over what the last run had left in the spool");
    }

    let start =
        |cause| OpenError::Io { what: "start a thread for", path: spool_dir.clone(), cause };
    let mut threads = spool.start_threads().map_err(start)?;
    let draining = std::thread::Builder::new()
        .name("spool-drain".into())
        .spawn(move || drainer.run())
        .map_err(start)?;
    let journal = Arc::clone(&spool) as Arc<dyn Journal>;
    threads.push(draining);
    Ok(State { store, journal, hasher, recovered, spool, threads, dir })
}

fn spool_id(spool_dir: &Path) -> Result<SpoolId, OpenError> {
    let path = spool_dir.join("id");
    let (bytes, _) = secret_file(&path, || Ok(id::random::<16>()?.to_vec()))?;
    let id = bytes.try_into().map(SpoolId);
    id.map_err(|_| OpenError::Damaged { path, problem: "it must hold exactly 16 bytes" })
}

/// Files before the position are in the store whole; the last process had no
/// time to remove them.
fn remove_drained(
    dir: &Path,
    numbers: Vec<u64>,
    position: Position,
) -> Result<Vec<u64>, OpenError> {
    let (done, left) = numbers.into_iter().partition::<Vec<_>, _>(|n| *n < position.segment);
    for number in done {
        let path = segment::path_of(dir, number);
        if is_damaged(&path).map_err(OpenError::io("read", &path))? {
            segment::keep_damaged(&path).map_err(OpenError::io("rename", &path))?;
        } else {
            fs::remove_file(&path).map_err(OpenError::io("remove", &path))?;
        }
    }
    Ok(left)
}

/// Returns true if a part of the file cannot be read.
fn is_damaged(path: &Path) -> std::io::Result<bool> {
    let mut reader = Reader::open_file(path, 0)?;
    let end = reader.file_len()?;
    while let Ok(entry) = reader.next(end, None)? {
        if matches!(entry, Entry::Damaged(_)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The attempts that had begun and not ended when the file was read to here;
/// true if something in it could not be read.
fn running_at(
    dir: &Path,
    position: Position,
) -> std::io::Result<(HashMap<ledger::RecordId, Began>, bool)> {
    let (mut running, mut damaged) = (HashMap::new(), false);
    let mut reader = Reader::open(dir, position.segment, 0)?;
    let end = position.offset.min(reader.file_len()?);
    while let Ok(entry) = reader.next(end, None)? {
        match entry {
            Entry::Opened(opened) => {
                running.insert(opened.id, opened);
            }
            Entry::Record(record) => {
                running.remove(&record.id);
            }
            Entry::KeyChange(_) | Entry::Unreadable(_) => {}
            Entry::Damaged(_) => damaged = true,
        }
    }
    Ok((running, damaged))
}

/// Everything is read; who has not ended by now never will.
fn charge_crashed(drainer: &mut Drainer) -> Result<u64, StoreError> {
    let (_, parked) = block_on(drainer.store.drained(drainer.id))?;
    let running = std::mem::take(&mut drainer.attempts.running);
    drainer.attempts.parked.clear();
    let mut left: Vec<Opened> =
        parked.into_iter().chain(running.values().filter_map(Began::read)).collect();
    left.sort_by_key(|opened| opened.id);
    left.dedup_by_key(|opened| opened.id);
    let now_ms = drainer.clock.unix_ms();
    let crashed = left.len() as u64;
    while !left.is_empty() {
        let part: Vec<Opened> = left.drain(..left.len().min(BATCH)).collect();
        let unparked = part.iter().map(|opened| opened.id).collect();
        let records: Vec<SpendRecord> =
            part.into_iter().map(|opened| opened.crashed(now_ms)).collect();
        let empty = Batch::new(drainer.id, now_ms, drainer.position);
        let batch = Arc::new(Batch { records, unparked, ..empty });
        block_on(drainer.store.drain(Arc::clone(&batch)))?;
        (drainer.observer)(&batch.records);
    }
    Ok(crashed)
}
