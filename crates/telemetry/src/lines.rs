//! The queue between whatever logs and standard error.
//!
//! Writing to standard error blocks while it is a pipe that nobody reads, so
//! only a thread of its own writes there. The queue is bounded: a line that
//! finds no room is dropped and counted, and a line in the log reports the
//! number as soon as the writer has caught up.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that wait to be written.
const WAITING_MAX_BYTES: usize = 4 << 20;

/// Longest time between two calls of [`Reports::periodic`].
const PERIOD: Duration = Duration::from_secs(10);

/// Lines that the writing thread adds itself. Each function may log.
pub(crate) trait Reports: Send + Sync {
    /// Reports lines that were dropped since the last report.
    fn dropped(&self, lines: u64);
    /// Called after each write and every [`PERIOD`].
    fn periodic(&self);
}

/// A bounded queue of text and the thread that writes it. Clones share both.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    added: Condvar,
    written: Condvar,
    dropped: AtomicU64,
    max_bytes: usize,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<u8>,
    /// The thread writes what it took from `waiting`.
    is_writing: bool,
    dropped: u64,
}

impl Lines {
    /// Starts the thread that writes to `to`.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub(crate) fn start(
        to: impl Write + Send + 'static,
        reports: impl Reports + 'static,
    ) -> std::io::Result<Self> {
        Self::with_max_bytes(WAITING_MAX_BYTES, to, reports)
    }

    fn with_max_bytes(
        max_bytes: usize,
        to: impl Write + Send + 'static,
        reports: impl Reports + 'static,
    ) -> std::io::Result<Self> {
        let lines = Self(Arc::new(Shared {
            queue: Mutex::default(),
            added: Condvar::new(),
            written: Condvar::new(),
            dropped: AtomicU64::new(0),
            max_bytes,
        }));
        let shared = Arc::clone(&lines.0);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_to(to, &reports))?;
        Ok(lines)
    }

    /// Queues `text`, or drops it where there is no room. Never blocks.
    pub(crate) fn push(&self, text: &str) {
        let mut queue = self.0.lock();
        if queue.waiting.len() + text.len() > self.0.max_bytes {
            queue.dropped += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        queue.waiting.extend_from_slice(text.as_bytes());
        drop(queue);
        self.0.added.notify_one();
    }

    /// Number of lines that were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, for at most `limit`. Returns true if
    /// it is.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let queue = self.0.lock();
        let is_unwritten = |queue: &mut Queue| queue.is_writing || !queue.waiting.is_empty();
        let waited = self.0.written.wait_timeout_while(queue, limit, is_unwritten);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut to: impl Write, reports: &impl Reports) {
        let mut batch = Vec::new();
        loop {
            let queue = self.lock();
            let is_empty = |queue: &mut Queue| queue.waiting.is_empty();
            let waited = self.added.wait_timeout_while(queue, PERIOD, is_empty);
            let mut queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            std::mem::swap(&mut batch, &mut queue.waiting);
            queue.is_writing = !batch.is_empty();
            let dropped = std::mem::take(&mut queue.dropped);
            drop(queue);
            // Nobody can be told that standard error is closed.
            drop(to.write_all(&batch).and_then(|()| to.flush()));
            batch.clear();
            // The memory of a burst is given back.
            batch.shrink_to(64 << 10);
            if dropped > 0 {
                reports.dropped(dropped);
            }
            reports.periodic();
            self.lock().is_writing = false;
            self.written.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, Reports};
    use std::io::Write;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    const SOON: Duration = Duration::from_secs(30);

    /// A pipe that takes nothing until it is opened, then everything.
    struct Stalled {
        opened: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // An error: the other end is gone, and everything may pass.
            self.opened.recv().unwrap_or_default();
            self.written.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Told(Sender<u64>);

    impl Reports for Told {
        fn dropped(&self, lines: u64) {
            self.0.send(lines).unwrap();
        }

        fn periodic(&self) {}
    }

    #[test]
    fn a_stalled_pipe_blocks_nobody_and_what_is_dropped_is_counted() {
        let ((open, opened), (written, text), (told, reports)) = (channel(), channel(), channel());
        let lines = Lines::with_max_bytes(100, Stalled { opened, written }, Told(told)).unwrap();
        for _ in 0..1000 {
            lines.push("nine byte\n");
        }
        assert!(!lines.flush(Duration::ZERO), "the pipe has taken nothing");
        // One batch may be with the thread already.
        let dropped = lines.dropped();
        assert!((980..=990).contains(&dropped), "{dropped}");
        drop(open);
        assert!(lines.flush(SOON));
        let told: u64 = reports.try_iter().sum();
        assert_eq!(told, dropped, "each dropped line is reported once");
        let text: Vec<u8> = text.try_iter().flatten().collect();
        assert_eq!(text.len() as u64, (1000 - dropped) * 10);
        lines.push("more\n");
        assert!(lines.flush(SOON), "room again");
        assert_eq!(lines.dropped(), dropped);
    }
}
