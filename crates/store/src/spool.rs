//! The journal: append-only files that a record reaches in one write.
//!
//! A frame is encoded outside the lock and written inside it, one `write` a
//! frame, so frames never mix. A write that the disk cuts short is cut back, so
//! that the next frame begins where a frame may. Old files are never written
//! to again: each process begins one of its own.

use crate::data_dir::sync_dir;
use crate::error::OpenError;
use crate::{frame, segment};
use ledger::{Journal, Opened, SpendRecord};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

/// How often [`Sync::Batch`] syncs.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// When a record reaches the disk itself. Either way it survives `kill -9`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// In groups, at most 100 ms later: a power cut may lose those.
    #[default]
    Batch,
    /// Before the client sees the end of its answer. Blocks for a disk sync,
    /// shared by all who wait at the same time.
    Full,
}

/// How the spool behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// When records reach the disk.
    pub sync: Sync,
    /// The most bytes on disk before new calls are refused.
    pub spool_max_bytes: u64,
    /// When a file is full; at most an eighth of `spool_max_bytes` is used.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sync: Sync::Batch, spool_max_bytes: 1 << 30, segment_bytes: 64 << 20 }
    }
}

struct Active {
    segment: u64,
    /// `None` once closed.
    file: Option<Arc<File>>,
    len: u64,
    /// A failed write could not be cut back: begin another file.
    broken: bool,
}

/// The spool's writing end, shared with the threads that sync and drain it.
pub(crate) struct Spool {
    dir: PathBuf,
    settings: Settings,
    active: Mutex<Active>,
    bytes: AtomicU64,
    appended: AtomicU64,
    drained: AtomicU64,
    /// Where everything is on disk up to, under [`Sync::Full`].
    synced: Mutex<(u64, u64)>,
    dirty: AtomicBool,
    closing: AtomicBool,
    syncer: OnceLock<Thread>,
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
            synced: Mutex::new((number, 0)),
            dirty: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            syncer: OnceLock::new(),
            drainer: OnceLock::new(),
            drainer_idle: AtomicBool::new(false),
        }))
    }

    /// Starts the thread that syncs in groups.
    pub(crate) fn start_syncing(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let spool = Arc::clone(self);
        std::thread::Builder::new().name("spool-sync".into()).spawn(move || {
            // Before the first look, so that nobody who sets `dirty` misses it.
            spool.syncer.get_or_init(std::thread::current);
            loop {
                while !spool.dirty.load(Ordering::SeqCst) {
                    if spool.is_closing() {
                        return;
                    }
                    std::thread::park();
                }
                if !spool.is_closing() {
                    std::thread::park_timeout(SYNC_EVERY);
                }
                spool.dirty.store(false, Ordering::SeqCst);
                let (file, ..) = spool.active_file();
                if let Some(Err(error)) = file.map(|file| file.sync_data()) {
                    let path = spool.dir.display();
                    tracing::error!(%error, %path, "the spool cannot be synced to disk");
                }
            }
        })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// The segment that is being written, and how far whole frames reach.
    pub(crate) fn written(&self) -> (u64, u64) {
        let active = self.lock();
        (active.segment, active.len)
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
        for thread in [self.syncer.get(), self.drainer.get()].into_iter().flatten() {
            thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn active_file(&self) -> (Option<Arc<File>>, u64, u64) {
        let active = self.lock();
        (active.file.clone(), active.segment, active.len)
    }

    /// One frame, one write. Returns where it ends.
    fn append(&self, frame: &[u8]) -> io::Result<(u64, u64)> {
        let mut active = self.lock();
        let limit = self.settings.segment_bytes.min(self.settings.spool_max_bytes / 8).max(1);
        if active.broken || active.len >= limit {
            self.rotate(&mut active)?;
        }
        let file = active.file.clone().ok_or_else(|| self.error(&io::Error::other("closed")))?;
        if let Err(error) = (&*file).write_all(frame) {
            active.broken = file.set_len(active.len).is_err();
            return Err(self.error(&error));
        }
        active.len += frame.len() as u64;
        self.bytes.fetch_add(frame.len() as u64, Ordering::SeqCst);
        Ok((active.segment, active.len))
    }

    fn rotate(&self, active: &mut Active) -> io::Result<()> {
        if let Some(file) = &active.file {
            file.sync_data().map_err(|error| self.error(&error))?;
            let next = create(&self.dir, active.segment + 1).map_err(|error| self.error(&error))?;
            *active = Active {
                segment: active.segment + 1,
                file: Some(Arc::new(next)),
                len: 0,
                broken: false,
            };
        }
        Ok(())
    }

    fn error(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot write to {}: {error}", self.dir.display()))
    }

    fn make_durable(&self, end: (u64, u64)) -> io::Result<()> {
        match self.settings.sync {
            Sync::Batch => {
                if !self.dirty.swap(true, Ordering::SeqCst)
                    && let Some(syncer) = self.syncer.get()
                {
                    syncer.unpark();
                }
                Ok(())
            }
            Sync::Full => {
                let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
                if *synced < end {
                    // Whoever waits behind this lock is in this sync already.
                    let (file, segment, len) = self.active_file();
                    file.map_or(Ok(()), |file| file.sync_data()).map_err(|e| self.error(&e))?;
                    *synced = (segment, len);
                }
                Ok(())
            }
        }
    }
}

impl Journal for Spool {
    fn open(&self, opened: &Opened) -> io::Result<()> {
        with_buffer(|frame| {
            frame::encode_opened(opened, frame)?;
            self.make_durable(self.append(frame)?)
        })
    }

    fn settle(&self, record: &SpendRecord) -> io::Result<()> {
        let end = with_buffer(|frame| {
            frame::encode_record(record, frame)?;
            self.append(frame)
        })?;
        self.appended.fetch_add(1, Ordering::SeqCst);
        if self.drainer_idle.swap(false, Ordering::SeqCst)
            && let Some(drainer) = self.drainer.get()
        {
            drainer.unpark();
        }
        self.make_durable(end)
    }

    fn depth(&self) -> u64 {
        let drained = self.drained.load(Ordering::SeqCst);
        self.appended.load(Ordering::SeqCst).saturating_sub(drained)
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) >= self.settings.spool_max_bytes
    }
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
