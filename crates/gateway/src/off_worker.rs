//! Work on large bodies, kept from holding up other requests.
//!
//! A body of 60 MB takes a second to scan or translate. On a worker of the
//! runtime, everybody else's requests would wait for it. Such work leaves the
//! worker to others, and few do it at a time, so that it does not take every
//! core either.

use std::sync::LazyLock;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// Bodies above this are large.
const LARGE_BYTES: usize = 1 << 20;

/// Half the cores work on large bodies at a time, one at least.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((cores / 2).max(1))
});

/// Runs `work` on a body of `bytes`: at once where it is small, else in turn and
/// off the worker.
pub(crate) async fn off_worker<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes <= LARGE_BYTES {
        return work();
    }
    // Never closed; without a turn the work is done all the same.
    let _turn = TURNS.acquire().await;
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => work(),
        _ => tokio::task::block_in_place(work),
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGE_BYTES, off_worker};
    use std::time::Duration;

    /// One worker: while it works on a large body, a timer must still fire.
    #[test]
    fn a_large_body_does_not_hold_up_the_only_worker() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (begun, has_begun) = std::sync::mpsc::channel();
            let (release, released) = std::sync::mpsc::channel::<()>();
            let large = tokio::spawn(off_worker(LARGE_BYTES + 1, move || {
                begun.send(()).unwrap();
                released.recv().unwrap();
            }));
            tokio::task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
            let other = tokio::spawn(async { tokio::time::sleep(Duration::from_millis(1)).await });
            other.await.unwrap();
            release.send(()).unwrap();
            large.await.unwrap();
        });
    }
}
