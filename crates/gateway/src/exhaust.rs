//! What has come of a body already, read without waiting for more: for the
//! record of a client that has gone.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};

/// How often a connection may ask for another turn.
const ROUNDS_MAX: usize = 1_000;

/// Notes that it was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `next` as long as it is ready with so many bytes, `max_bytes` at most;
/// `None` is the end. Whether that was all there is.
pub(crate) fn exhaust(
    max_bytes: usize,
    mut next: impl FnMut(&mut Context<'_>) -> Poll<Option<usize>>,
) -> bool {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut left = max_bytes;
    let all = poll_fn(|context| {
        loop {
            let Some(bytes) = ready!(next(context)) else { return Poll::Ready(true) };
            left = left.saturating_sub(bytes);
            if left == 0 {
                return Poll::Ready(false);
            }
        }
    });
    // A task that has done much is told to wait although there is more.
    let mut all = pin!(tokio::task::unconstrained(all));
    for _ in 0..ROUNDS_MAX {
        match all.as_mut().poll(&mut context) {
            Poll::Ready(all) => return all,
            // A connection that gives others their turn wakes itself.
            Poll::Pending if woken.0.swap(false, Ordering::Relaxed) => {}
            Poll::Pending => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{ROUNDS_MAX, exhaust};
    use std::task::Poll;

    #[test]
    fn what_waits_is_all_there_is_unless_it_is_much_or_never_ends() {
        let mut left = 10;
        let mut few = |_: &mut std::task::Context<'_>| {
            left -= 1;
            if left > 0 { Poll::Ready(Some(1)) } else { Poll::Pending }
        };
        assert!(exhaust(10, &mut few));
        assert!(exhaust(10, |_| Poll::Ready(None)));
        assert!(!exhaust(10, |_| Poll::Ready(Some(1))));
        let mut turns = 0;
        let asks_for_turns = |context: &mut std::task::Context<'_>| {
            turns += 1;
            context.waker().wake_by_ref();
            Poll::Pending
        };
        assert!(!exhaust(10, asks_for_turns));
        assert_eq!(turns, ROUNDS_MAX);
    }
}
