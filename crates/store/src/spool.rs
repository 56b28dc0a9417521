//! The journal: append-only files that a record reaches in one write.
//!
//! A frame is encoded outside the lock and written inside it, one `write` a
//! frame, so frames never mix. A write that the disk cuts short is cut back, so
//! that the next frame begins where a frame may. Old files are never written
//! to again: each process begins one of its own.
//!
//! Whoever appends waits for the page cache alone. What may take as long as a
//! disk likes happens on the spool's own threads: syncing and beginning the
//! next file on one, and another one watches. A write that does not come back
//! (a disk that hangs, a file system that is frozen) makes every further append
//! fail at once instead of waiting behind it, until it does come back; see
//! [`Journal::ready`] for who can wait.

use crate::data_dir::sync_dir;
use crate::error::OpenError;
use crate::{frame, segment};
use ledger::{Journal, KeyChange, Opened, SpendRecord, Written};
use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;
use tokio::sync::watch;

/// How often [`Sync::Batch`] syncs.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// Interval at which writes and syncs under way are checked.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// A write that is under way at so many checks counts as hanging.
const STALLED_LOOKS: u32 = 2;
/// After so many, waiting ends with an error; 5 seconds.
const STALLED_LOOKS_MAX: u32 = 50;
/// The same for a sync under [`Sync::Full`]; 10 seconds.
const SYNC_LOOKS_MAX: u32 = 100;
/// Checks without any write after which the watching thread sleeps.
const IDLE_LOOKS: u32 = 10;

/// When a record reaches the disk itself. Either way it survives `kill -9`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// In groups, at most 100 ms later: a power cut may lose those.
    #[default]
    Batch,
    /// Before the client sees the end of its answer, which waits for a disk
    /// sync, shared by all who wait at the same time.
    Full,
}

/// How the spool behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When records reach the disk.
    pub sync: Sync,
    /// The most bytes on disk before new calls are refused.
    pub spool_max_bytes: u64,
    /// Size at which the next file begins; at most an eighth of
    /// `spool_max_bytes` is used.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sync: Sync::Batch, spool_max_bytes: 1 << 30, segment_bytes: 64 << 20 }
    }
}

/// A place in the files: segment, and bytes from its beginning.
type Place = (u64, u64);

struct Active {
    segment: u64,
    /// `None` once closed.
    file: Option<Arc<File>>,
    len: u64,
    /// A failed write could not be cut back: another file must begin.
    broken: bool,
}

/// State of the disk as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// All before is on disk.
    synced: Place,
    /// All before that is not on disk could not be synced.
    failed: Place,
    problem: Option<Arc<str>>,
    /// A write does not come back.
    pub(crate) stalled: bool,
    /// It has not for so long that nobody should wait for it.
    given_up: bool,
}

/// The spool's writing end, shared with the threads that sync and drain it.
pub(crate) struct Spool {
    dir: PathBuf,
    settings: Settings,
    active: Mutex<Active>,
    bytes: AtomicU64,
    appended: AtomicU64,
    drained: AtomicU64,
    disk: watch::Sender<Disk>,
    /// Odd while one is under way.
    writes: AtomicU64,
    syncs: AtomicU64,
    stalled: AtomicBool,
    watching: AtomicBool,
    dirty: AtomicBool,
    /// The file is full: the next one is to begin.
    full: AtomicBool,
    closing: AtomicBool,
    syncer: OnceLock<Thread>,
    watcher: OnceLock<Thread>,
    drainer: OnceLock<Thread>,
    drainer_idle: AtomicBool,
}

impl Spool {
    /// Begins segment `number` in `dir`, which holds `bytes` already.
    pub(crate) fn begin(
        dir: &Path,
        number: u64,
        bytes: u64,
        settings: Settings,
    ) -> Result<Arc<Self>, OpenError> {
        let path = segment::path_of(dir, number);
        let file = create(dir, number).map_err(OpenError::io("create", &path))?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            settings,
            active: Mutex::new(Active {
                segment: number,
                file: Some(Arc::new(file)),
                len: 0,
                broken: false,
            }),
            bytes: AtomicU64::new(bytes),
            appended: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            disk: watch::Sender::default(),
            writes: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            watching: AtomicBool::new(false),
            dirty: AtomicBool::new(false),
            full: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            syncer: OnceLock::new(),
            watcher: OnceLock::new(),
            drainer: OnceLock::new(),
            drainer_idle: AtomicBool::new(false),
        }))
    }

    /// Starts the threads that sync, begin files and watch.
    pub(crate) fn start_threads(self: &Arc<Self>) -> io::Result<Vec<JoinHandle<()>>> {
        let spawn = |name: &str, run: fn(&Self)| {
            let spool = Arc::clone(self);
            std::thread::Builder::new().name(name.into()).spawn(move || run(&spool))
        };
        Ok(vec![spawn("spool-sync", Self::sync_until_closed)?, spawn("spool-watch", Self::watch)?])
    }

    fn sync_until_closed(&self) {
        // Before the first look, so that nobody who sets `dirty` misses it.
        self.syncer.get_or_init(std::thread::current);
        loop {
            while !self.dirty.load(Ordering::SeqCst) && !self.full.load(Ordering::SeqCst) {
                if self.is_closing() {
                    return;
                }
                std::thread::park();
            }
            if self.full.swap(false, Ordering::SeqCst)
                && let Err(error) = self.rotate()
            {
                // Appends go on in the old file; a broken one refuses them.
                tracing::error!(%error, path = %self.dir.display(), "no new spool file can begin");
                self.full.store(!self.is_closing(), Ordering::SeqCst);
                std::thread::park_timeout(SYNC_EVERY);
            }
            if self.settings.sync == Sync::Batch && !self.is_closing() {
                std::thread::park_timeout(SYNC_EVERY);
            }
            if self.dirty.swap(false, Ordering::SeqCst) {
                let (file, segment, len) = self.active_file();
                let synced = file.map_or(Ok(()), |file| self.sync(&file));
                self.report(synced, (segment, len));
            }
        }
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.wake_watch();
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let synced = file.sync_data();
        self.syncs.fetch_add(1, Ordering::SeqCst);
        synced
    }

    fn report(&self, synced: io::Result<()>, place: Place) {
        match synced {
            Ok(()) => self.disk.send_modify(|disk| disk.synced = disk.synced.max(place)),
            Err(error) => {
                let path = self.dir.display();
                tracing::error!(%error, %path, "the spool cannot be synced to disk");
                let problem = format!("cannot sync {path}: {error}");
                self.disk.send_modify(|disk| {
                    disk.failed = disk.failed.max(place);
                    disk.problem = Some(problem.into());
                });
            }
        }
    }

    /// Begins the next file; what the old one holds is synced after that.
    fn rotate(&self) -> io::Result<()> {
        let active = self.lock();
        // Who asks may have written before the last one began.
        if active.len < self.segment_max() && !active.broken {
            return Ok(());
        }
        let number = active.segment + 1;
        drop(active);
        let next = create(&self.dir, number)?;
        let mut active = self.lock();
        let Some(file) = active.file.take() else {
            drop(active);
            return fs::remove_file(segment::path_of(&self.dir, number));
        };
        let ended = (active.segment, u64::MAX);
        *active = Active { segment: number, file: Some(Arc::new(next)), len: 0, broken: false };
        drop(active);
        let synced = self.sync(&file);
        self.report(synced, ended);
        Ok(())
    }

    /// Looks at what is under way.
    fn watch(&self) {
        self.watcher.get_or_init(std::thread::current);
        let (mut write, mut sync, mut idle) = (Look::default(), Look::default(), 0);
        while !self.is_closing() {
            if idle >= IDLE_LOOKS {
                self.watching.store(false, Ordering::SeqCst);
                if !write.has_changed(&self.writes) && !sync.has_changed(&self.syncs) {
                    std::thread::park();
                }
                self.watching.store(true, Ordering::SeqCst);
                idle = 0;
            }
            std::thread::park_timeout(WATCH_EVERY);
            let is_idle = !write.has_changed(&self.writes) && !sync.has_changed(&self.syncs);
            write.look(&self.writes);
            sync.look(&self.syncs);
            let under_way = write.times + sync.times > 0;
            idle = if is_idle && !under_way { idle + 1 } else { 0 };
            self.tell(write.times, sync.times);
        }
        // Nobody waits for a disk that nobody watches.
        self.tell(0, 0);
    }

    /// Publishes for how many looks a write and a sync have been under way.
    fn tell(&self, write: u32, sync: u32) {
        let stalled = write >= STALLED_LOOKS;
        self.stalled.store(stalled, Ordering::SeqCst);
        let given_up = write >= STALLED_LOOKS_MAX;
        let late = (sync >= SYNC_LOOKS_MAX && self.settings.sync == Sync::Full)
            .then(|| self.try_written())
            .flatten();
        self.disk.send_if_modified(|disk| {
            let changed = disk.stalled != stalled || disk.given_up != given_up || late.is_some();
            (disk.stalled, disk.given_up) = (stalled, given_up);
            if let Some(place) = late {
                disk.failed = disk.failed.max(place);
                disk.problem = Some("the disk does not answer".into());
            }
            changed
        });
    }

    fn wake_watch(&self) {
        if !self.watching.load(Ordering::SeqCst)
            && !self.watching.swap(true, Ordering::SeqCst)
            && let Some(watcher) = self.watcher.get()
        {
            watcher.unpark();
        }
    }

    /// Changes of what is known of the disk.
    pub(crate) fn disk(&self) -> watch::Receiver<Disk> {
        self.disk.subscribe()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// The segment that is being written, and how far whole frames reach.
    pub(crate) fn written(&self) -> Place {
        let active = self.lock();
        (active.segment, active.len)
    }

    fn try_written(&self) -> Option<Place> {
        self.active.try_lock().ok().map(|active| (active.segment, active.len))
    }

    /// Names the thread to wake when there are records.
    pub(crate) fn drained_by(&self, thread: Thread) {
        self.drainer.get_or_init(|| thread);
    }

    /// Sleeps until there are records or the spool closes.
    pub(crate) fn wait_for_records(&self) {
        self.drainer_idle.store(true, Ordering::SeqCst);
        while self.depth() == 0 && !self.is_closing() {
            std::thread::park();
            self.drainer_idle.store(true, Ordering::SeqCst);
        }
        self.drainer_idle.store(false, Ordering::SeqCst);
    }

    /// Counts records that are in the store now.
    pub(crate) fn drained(&self, records: u64) {
        self.drained.fetch_add(records, Ordering::SeqCst);
    }

    /// How many records of the last process were drained; starts the count of
    /// this one's.
    pub(crate) fn take_drained(&self) -> u64 {
        self.drained.swap(0, Ordering::SeqCst)
    }

    /// Counts a file that is gone.
    pub(crate) fn removed(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::SeqCst);
    }

    /// Takes no more; wakes the threads so that they finish.
    pub(crate) fn close(&self) {
        let file = self.lock().file.take();
        if let Some(Err(error)) = file.map(|file| file.sync_data()) {
            tracing::error!(%error, path = %self.dir.display(), "the spool cannot be synced to disk");
        }
        self.closing.store(true, Ordering::SeqCst);
        let threads = [self.syncer.get(), self.watcher.get(), self.drainer.get()];
        for thread in threads.into_iter().flatten() {
            thread.unpark();
        }
    }

    /// For the spool's own threads: waits for a write that is under way.
    fn lock(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For all others: a write takes a moment, or they do not wait for it.
    fn lock_to_append(&self) -> io::Result<MutexGuard<'_, Active>> {
        let mut tries = 0_u32;
        loop {
            if self.stalled.load(Ordering::SeqCst) {
                return Err(self.error(&stalled()));
            }
            match self.active.try_lock() {
                Ok(active) => return Ok(active),
                Err(TryLockError::Poisoned(active)) => return Ok(active.into_inner()),
                Err(TryLockError::WouldBlock) if tries < 100 => std::hint::spin_loop(),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
            tries = tries.saturating_add(1);
        }
    }

    fn active_file(&self) -> (Option<Arc<File>>, u64, u64) {
        let active = self.lock();
        (active.file.clone(), active.segment, active.len)
    }

    /// One frame, one write. Returns where it ends.
    fn append(&self, frame: &[u8]) -> io::Result<Place> {
        let mut active = self.lock_to_append()?;
        if active.broken {
            self.begin_next();
            let broken = io::Error::other("its file is to be replaced");
            return Err(self.error(&broken));
        }
        let file = active.file.clone().ok_or_else(|| self.error(&io::Error::other("closed")))?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.wake_watch();
        let written = (&*file).write_all(frame);
        active.broken = written.is_err() && file.set_len(active.len).is_err();
        self.writes.fetch_add(1, Ordering::SeqCst);
        written.map_err(|error| self.error(&error))?;
        active.len += frame.len() as u64;
        self.bytes.fetch_add(frame.len() as u64, Ordering::SeqCst);
        let place = (active.segment, active.len);
        drop(active);
        if place.1 >= self.segment_max() {
            self.begin_next();
        }
        Ok(place)
    }

    fn segment_max(&self) -> u64 {
        self.settings.segment_bytes.min(self.settings.spool_max_bytes / 8).max(1)
    }

    fn begin_next(&self) {
        if !self.full.swap(true, Ordering::SeqCst)
            && let Some(syncer) = self.syncer.get()
        {
            syncer.unpark();
        }
    }

    fn error(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot write to {}: {error}", self.dir.display()))
    }

    fn make_durable(&self, end: Place) -> Written {
        if !self.dirty.swap(true, Ordering::SeqCst)
            && let Some(syncer) = self.syncer.get()
        {
            syncer.unpark();
        }
        if self.settings.sync == Sync::Batch {
            return Written::now();
        }
        let mut disk = self.disk.subscribe();
        Written::later(async move {
            let disk = disk.wait_for(|disk| disk.synced >= end || disk.failed >= end).await;
            match disk.map_err(|_| io::Error::other("the spool is closed")) {
                Ok(disk) if disk.synced >= end => Ok(()),
                Ok(disk) => Err(io::Error::other(disk.problem.as_deref().unwrap_or_default())),
                Err(error) => Err(error),
            }
        })
    }

    /// Counts an entry that goes into the store, and wakes who puts it in.
    fn appended(&self) {
        self.appended.fetch_add(1, Ordering::SeqCst);
        if self.drainer_idle.swap(false, Ordering::SeqCst)
            && let Some(drainer) = self.drainer.get()
        {
            drainer.unpark();
        }
    }
}

impl Journal for Spool {
    fn ready(&self) -> Written {
        if !self.stalled.load(Ordering::SeqCst) {
            return Written::now();
        }
        let mut disk = self.disk.subscribe();
        let error = self.error(&stalled());
        Written::later(async move {
            match disk.wait_for(|disk| !disk.stalled || disk.given_up).await {
                Ok(disk) if !disk.stalled => Ok(()),
                _ => Err(error),
            }
        })
    }

    fn open(&self, opened: &Opened) -> io::Result<Written> {
        let end = with_buffer(|frame| {
            frame::encode_opened(opened, frame)?;
            self.append(frame)
        })?;
        Ok(self.make_durable(end))
    }

    fn settle(&self, record: &SpendRecord) -> io::Result<Written> {
        let end = with_buffer(|frame| {
            frame::encode_record(record, frame)?;
            self.append(frame)
        })?;
        self.appended();
        Ok(self.make_durable(end))
    }

    fn change_key(&self, change: &KeyChange) -> io::Result<Written> {
        let end = with_buffer(|frame| {
            frame::encode_key_change(change, frame)?;
            self.append(frame)
        })?;
        self.appended();
        Ok(self.make_durable(end))
    }

    fn written(&self) -> u64 {
        self.appended.load(Ordering::SeqCst)
    }

    fn depth(&self) -> u64 {
        let drained = self.drained.load(Ordering::SeqCst);
        self.appended.load(Ordering::SeqCst).saturating_sub(drained)
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) >= self.settings.spool_max_bytes
    }
}

/// A counter that is odd while something is under way, at the last look.
#[derive(Default)]
struct Look {
    count: u64,
    /// At how many looks the same was under way.
    times: u32,
}

impl Look {
    fn has_changed(&self, counter: &AtomicU64) -> bool {
        counter.load(Ordering::SeqCst) != self.count
    }

    fn look(&mut self, counter: &AtomicU64) {
        let count = counter.load(Ordering::SeqCst);
        let under_way = count % 2 == 1;
        self.times = match (under_way, count == self.count) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => self.times.saturating_add(1),
        };
        self.count = count;
    }
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the disk does not answer")
}

fn create(dir: &Path, number: u64) -> io::Result<File> {
    let path = segment::path_of(dir, number);
    let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(path)?;
    sync_dir(dir)?;
    Ok(file)
}

/// Each thread keeps one buffer, so that a record costs no allocation.
fn with_buffer<T>(use_it: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    FRAME.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => use_it(&mut buffer),
        Err(_) => use_it(&mut Vec::new()),
    })
}

#[cfg(test)]
mod tests {
    use super::{Settings, Spool, Sync};
    use base::CallId;
    use ledger::{Journal, RecordId, SpendRecord};
    use std::fs::File;
    use std::io::{PipeReader, Read as _};
    use std::os::fd::OwnedFd;
    use std::path::PathBuf;
    use std::sync::Arc;
    use std::time::Duration;

    fn record() -> SpendRecord {
        let id = RecordId { call: CallId::new(1_774_348_740_123, [9; 10]), attempt: 2 };
        SpendRecord { model_group: "m".repeat(4000).into(), ..SpendRecord::new(id, 5) }
    }

    /// A spool whose disk is a pipe: it hangs when the pipe is full, and goes on
    /// when somebody reads.
    fn on_a_pipe(name: &str, sync: Sync) -> (Arc<Spool>, PipeReader, PathBuf) {
        let dir = std::env::temp_dir().join(format!("keymoat-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let spool = Spool::begin(&dir, 1, 0, Settings { sync, ..Settings::default() }).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        spool.lock().file = Some(Arc::new(File::from(OwnedFd::from(writer))));
        (spool, reader, dir)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_disk_that_hangs_holds_one_worker_and_stops_no_other() {
        let (spool, mut reader, dir) = on_a_pipe("stalled", Sync::Batch);
        let threads = spool.start_threads().unwrap();
        let mut disk = spool.disk();
        let poked = tokio::spawn(async move {
            disk.wait_for(|disk| disk.stalled).await.unwrap();
        });
        let hung = Arc::clone(&spool);
        // More than a pipe holds: the worker that runs this hangs in a write.
        let hanging = tokio::spawn(async move { while hung.settle(&record()).is_ok() {} });
        poked.await.unwrap();
        // Timers and sockets are looked after by a worker: there is one.
        tokio::spawn(tokio::time::sleep(Duration::from_millis(1))).await.unwrap();
        let error = spool.settle(&record()).err().unwrap();
        assert!(error.to_string().contains("does not answer"), "{error}");
        let (ready, drained) = tokio::join!(
            spool.ready(),
            tokio::task::spawn_blocking(move || reader.read_exact(&mut vec![0; 1 << 16]))
        );
        drained.unwrap().unwrap();
        ready.unwrap();
        hanging.await.unwrap();
        spool.close();
        for thread in threads {
            thread.join().unwrap();
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn a_sync_that_fails_is_an_error_for_each_call_that_waits_for_it() {
        let (spool, _reader, dir) = on_a_pipe("unsynced", Sync::Full);
        let threads = spool.start_threads().unwrap();
        // A pipe cannot be synced.
        let error = spool.settle(&record()).unwrap().await.err().unwrap();
        assert!(error.to_string().contains("cannot sync"), "{error}");
        spool.close();
        for thread in threads {
            thread.join().unwrap();
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}
