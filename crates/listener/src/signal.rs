//! A signal that all connections are given once: finish, or end now.
//!
//! Each task asks every time it runs, so asking takes no lock: a task leaves its
//! waker here once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A signal that is given once.
#[derive(Clone, Default)]
pub(crate) struct Signal(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_given: AtomicBool,
    next_id: AtomicU64,
    wakers: Mutex<HashMap<u64, Waker>>,
}

impl Inner {
    fn wakers(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signal {
    /// Gives the signal and wakes all tasks that wait for it.
    pub(crate) fn give(&self) {
        self.0.is_given.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut *self.0.wakers());
        wakers.into_values().for_each(Waker::wake);
    }

    /// Returns a receiver for one task.
    pub(crate) fn receiver(&self) -> Receiver {
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        Receiver { signal: self.clone(), id, registered: None }
    }
}

/// One task's end of a [`Signal`].
pub(crate) struct Receiver {
    signal: Signal,
    id: u64,
    registered: Option<Waker>,
}

impl Receiver {
    /// Returns true if the signal has been given; otherwise wakes this task when
    /// it is.
    pub(crate) fn poll_given(&mut self, context: &Context<'_>) -> bool {
        let inner = &*self.signal.0;
        let waker = context.waker();
        if !self.registered.as_ref().is_some_and(|registered| registered.will_wake(waker)) {
            self.registered = Some(waker.clone());
            inner.wakers().insert(self.id, waker.clone());
        }
        inner.is_given.load(Ordering::SeqCst)
    }

    /// Returns when the signal has been given.
    pub(crate) async fn given(&mut self) {
        std::future::poll_fn(|context| match self.poll_given(context) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if self.registered.is_some() {
            self.signal.0.wakers().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Signal;

    #[tokio::test]
    async fn all_receivers_get_the_signal_and_none_is_kept() {
        let signal = Signal::default();
        let (mut early, mut late) = (signal.receiver(), signal.receiver());
        let waiting = tokio::spawn(async move { early.given().await });
        tokio::task::yield_now().await;
        assert_eq!(signal.0.wakers().len(), 1);
        signal.give();
        waiting.await.unwrap();
        late.given().await;
        drop(late);
        assert!(signal.0.wakers().is_empty());
    }
}
