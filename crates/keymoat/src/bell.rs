//! Tells all connections to finish, and later to end. Looked at each time that
//! a connection's task runs, so it takes no lock then: a task leaves its waker
//! here once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// Rings once.
#[derive(Clone, Default)]
pub(crate) struct Bell(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rung: AtomicBool,
    next: AtomicU64,
    sleepers: Mutex<HashMap<u64, Waker>>,
}

impl Inner {
    fn sleepers(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    /// Rings.
    pub(crate) fn ring(&self) {
        self.0.rung.store(true, Ordering::SeqCst);
        let sleepers = std::mem::take(&mut *self.0.sleepers());
        sleepers.into_values().for_each(Waker::wake);
    }

    /// For one task.
    pub(crate) fn ear(&self) -> Ear {
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        Ear { bell: self.clone(), id, left: None }
    }
}

/// One task's ear for it.
pub(crate) struct Ear {
    bell: Bell,
    id: u64,
    left: Option<Waker>,
}

impl Ear {
    /// Whether it has rung; if not, wakes this task when it does.
    pub(crate) fn hears(&mut self, context: &Context<'_>) -> bool {
        let inner = &*self.bell.0;
        let waker = context.waker();
        if !self.left.as_ref().is_some_and(|left| left.will_wake(waker)) {
            self.left = Some(waker.clone());
            inner.sleepers().insert(self.id, waker.clone());
        }
        inner.rung.load(Ordering::SeqCst)
    }

    /// Returns when it has rung.
    pub(crate) async fn heard(&mut self) {
        std::future::poll_fn(|context| match self.hears(context) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if self.left.is_some() {
            self.bell.0.sleepers().remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bell;

    #[tokio::test]
    async fn all_who_listen_hear_it_and_none_is_kept() {
        let bell = Bell::default();
        let (mut early, mut late) = (bell.ear(), bell.ear());
        let listening = tokio::spawn(async move { early.heard().await });
        tokio::task::yield_now().await;
        assert_eq!(bell.0.sleepers().len(), 1);
        bell.ring();
        listening.await.unwrap();
        late.heard().await;
        drop(late);
        assert!(bell.0.sleepers().is_empty());
    }
}
