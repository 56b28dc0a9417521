//! A timer that is asked often and goes off almost never.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep};

/// One timer for many deadlines, one after the other. Moving a deadline later
/// does not touch the runtime's timer wheel: the timer goes off early, sees
/// that, and is set again. With deadlines of minutes and requests of
/// milliseconds that is one setting for thousands of requests.
pub(crate) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Unset.
    pub(crate) fn new() -> Self {
        Self { sleep: None }
    }

    /// Ready once `at` has passed; until then wakes `cx`'s task when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() > at {
            sleep.as_mut().reset(at);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(at);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::Deadline;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_moves_later_and_earlier() {
        let start = Instant::now();
        let mut deadline = Deadline::new();
        for ms in [10, 500, 510, 2000] {
            let at = start + Duration::from_millis(ms);
            poll_fn(|cx| deadline.poll(cx, at)).await;
            assert_eq!(start.elapsed().as_millis(), u128::from(ms));
        }
        let far = start + Duration::from_mins(10);
        let set = poll_fn(|cx| std::task::Poll::Ready(deadline.poll(cx, far))).await;
        assert!(set.is_pending());
        let near = start + Duration::from_secs(3);
        poll_fn(|cx| deadline.poll(cx, near)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }
}
