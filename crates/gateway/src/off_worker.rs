//! Work on large bodies, kept from holding up other requests.
//!
//! A body of 60 MB takes a second to scan or translate. On a worker of the
//! runtime, everybody else's requests would wait for it. Such work leaves the
//! worker to others, and few do it at a time, so that it does not take every
//! core either.
//!
//! A process with one core has a runtime of one thread, which costs less for
//! each request and can hand over nothing that is borrowed. There, a call with a
//! large body moves to a second runtime as a whole ([`apart`]).

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Bodies above this are large.
const LARGE_BYTES: usize = 1 << 20;

/// Half the cores work on large bodies at a time, one at least.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((cores / 2).max(1))
});

/// Runtime of the calls with large bodies, in a process whose own has one thread.
static CALLS: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut calls = Builder::new_multi_thread();
    calls.worker_threads(1).thread_name("large-bodies").enable_all().build().ok()
});

/// Runs `work` on a body of `bytes`: at once where it is small, else in turn and
/// off the worker, unless that is the only thread of its runtime.
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

/// Runs `work` on a body of `bytes` as [`off_worker`] does, and off every worker:
/// it borrows nothing.
pub(crate) async fn off_thread<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if bytes <= LARGE_BYTES {
        return work();
    }
    let _turn = TURNS.acquire().await;
    Joined(tokio::task::spawn_blocking(work)).await
}

/// Boxes a call whose request has `bytes`; a large one runs apart from the only
/// worker, where there is one worker alone.
pub(crate) fn apart<F>(bytes: usize, call: F) -> Pin<Box<dyn Future<Output = F::Output> + Send>>
where
    F: Future<Output: Send> + Send + 'static,
{
    let is_alone = || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    if bytes > LARGE_BYTES
        && is_alone()
        && let Some(calls) = &*CALLS
    {
        return Box::pin(Joined(calls.spawn(call)));
    }
    Box::pin(call)
}

/// Work on another thread, dropped with this.
struct Joined<T>(JoinHandle<T>);

impl<T> Future for Joined<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(value) => Poll::Ready(value),
            Err(error) => match error.try_into_panic() {
                Ok(cause) => resume_unwind(cause),
                // Ended with its runtime, which lasts as long as the process.
                Err(_) => Poll::Pending,
            },
        }
    }
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::{LARGE_BYTES, apart, off_thread, off_worker};
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

    /// A runtime of one thread goes on with other tasks while a large body is read.
    #[test]
    fn a_large_body_does_not_hold_up_the_only_thread() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let waits = |released: std::sync::mpsc::Receiver<()>| {
            move || released.recv_timeout(Duration::from_secs(20)).is_ok()
        };
        runtime.block_on(async {
            let (release_scan, released) = std::sync::mpsc::channel();
            let scan = tokio::spawn(off_thread(LARGE_BYTES + 1, waits(released)));
            let (release_call, released) = std::sync::mpsc::channel();
            let work = waits(released);
            let call = apart(LARGE_BYTES + 1, async { off_worker(LARGE_BYTES + 1, work).await });
            let call = tokio::spawn(call);
            for _ in 0..9 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // Either may have the only turn.
            release_scan.send(()).unwrap();
            release_call.send(()).unwrap();
            assert!(scan.await.unwrap());
            assert!(call.await.unwrap());
        });
    }

    #[test]
    fn a_call_that_runs_apart_ends_when_nobody_waits_for_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (held, mut dropped) = tokio::sync::oneshot::channel::<()>();
            let call = apart(LARGE_BYTES + 1, async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            drop(call);
            assert!((&mut dropped).await.is_err());
        });
    }
}
