//! Lets a connection run inside the task that uses it.
//!
//! hyper's connection is a future of its own that talks to the request's side
//! through channels. Spawning it costs two task switches for every piece of a
//! body, across threads more often than not. Here the request's own task polls
//! both sides, one after the other. Their channels would wake that task though
//! it is awake; a [`Hub`] is the waker that they get instead. A wake during
//! [`Hub::drive`] only makes it go round once more, and a wake from outside
//! (the socket) goes through to the task.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Nobody polls: a wake goes through.
const RESTING: u8 = 0;
/// Being polled, no wake so far.
const POLLING: u8 = 1;
/// Being polled, and woken meanwhile.
const WOKEN: u8 = 2;

/// Rounds before other tasks get their turn.
const ROUNDS: u8 = 8;

/// A waker that knows whether its task is running.
pub(crate) struct Hub {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

impl Hub {
    /// Belongs to no task yet.
    pub(crate) fn new() -> Self {
        let shared = Arc::new(Shared { state: AtomicU8::new(RESTING), task: Mutex::new(None) });
        Self { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// Polls until ready, or until nothing can happen before the task is woken
    /// from outside.
    pub(crate) fn drive<T>(
        &self,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        {
            let mut task = self.shared.task();
            match &mut *task {
                Some(held) => held.clone_from(cx.waker()),
                None => *task = Some(cx.waker().clone()),
            }
        }
        let state = &self.shared.state;
        let mut inner = Context::from_waker(&self.waker);
        for _ in 0..ROUNDS {
            state.store(POLLING, Ordering::SeqCst);
            if let Poll::Ready(value) = poll(&mut inner) {
                state.store(RESTING, Ordering::SeqCst);
                return Poll::Ready(value);
            }
            let rests =
                state.compare_exchange(POLLING, RESTING, Ordering::SeqCst, Ordering::SeqCst);
            if rests.is_ok() {
                return Poll::Pending;
            }
        }
        state.store(RESTING, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Forgets the task, so that an idle connection wakes nobody.
    pub(crate) fn forget_task(&self) {
        *self.shared.task() = None;
    }
}

impl Shared {
    fn task(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self.state.compare_exchange(POLLING, WOKEN, Ordering::SeqCst, Ordering::SeqCst);
        if noted == Err(RESTING)
            && let Some(task) = &*self.task()
        {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hub, ROUNDS};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_wake_from_inside_goes_round_and_one_from_outside_goes_through() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&task);
        let hub = Hub::new();
        let mut polls = 0;
        let mut outside = None;
        let pending: Poll<()> = hub.drive(&mut cx, |inner| {
            polls += 1;
            if polls < 3 {
                inner.waker().wake_by_ref();
            }
            outside = Some(inner.waker().clone());
            Poll::Pending
        });
        assert!(pending.is_pending());
        assert_eq!((polls, count.0.load(Ordering::SeqCst)), (3, 0));
        outside.clone().unwrap().wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        hub.forget_task();
        outside.unwrap().wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_never_rests_yields_to_other_tasks() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let task = Waker::from(Arc::clone(&count));
        let mut polls = 0;
        let pending: Poll<()> = Hub::new().drive(&mut Context::from_waker(&task), |inner| {
            polls += 1;
            inner.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(pending.is_pending());
        assert_eq!((polls, count.0.load(Ordering::SeqCst)), (ROUNDS, 1));
    }
}
