//! Time in the life of a stream: keep-alives while the upstream is silent, and
//! the limits after which it ends.
//!
//! One timer for each stream. The moments are taken only when the stream has
//! nothing to give, so that a chunk costs no look at the clock.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// How long a client hears nothing before it is sent a keep-alive. Load
/// balancers close connections that are silent for a minute.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Pace {
    timer: Pin<Box<Sleep>>,
    begun_at: Instant,
    sent_at: Instant,
    progress_at: Instant,
    counted_at: Instant,
    idle_max: Duration,
    total_max: Duration,
    /// Something was sent, or part of the answer came, since the last look.
    has_sent: bool,
    has_progress: bool,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A keep-alive.
    KeepAlive,
    /// Nothing of the answer has come for this long.
    Idle(Duration),
    /// The stream has lasted this long.
    Over(Duration),
}

impl Pace {
    /// Begins now.
    pub(crate) fn new(idle_max: Duration, total_max: Duration) -> Self {
        let now = Instant::now();
        Self {
            timer: Box::pin(tokio::time::sleep_until(
                now + KEEP_ALIVE.min(idle_max).min(total_max),
            )),
            begun_at: now,
            sent_at: now,
            progress_at: now,
            counted_at: now,
            idle_max,
            total_max,
            has_sent: false,
            has_progress: false,
        }
    }

    /// The client was given something.
    pub(crate) fn sent(&mut self) {
        self.has_sent = true;
    }

    /// Part of the answer has come, not only comments and pings.
    pub(crate) fn progress(&mut self) {
        self.has_progress = true;
    }

    /// Takes the moment of what was sent and came since the last look. Returns
    /// true if the answer has gone on for another second.
    pub(crate) fn look(&mut self) -> bool {
        if !self.has_sent && !self.has_progress {
            return false;
        }
        let now = Instant::now();
        if std::mem::take(&mut self.has_sent) {
            self.sent_at = now;
        }
        if std::mem::take(&mut self.has_progress) {
            self.progress_at = now;
        }
        let is_second = now.duration_since(self.counted_at) >= Duration::from_secs(1);
        if is_second {
            self.counted_at = now;
        }
        is_second
    }

    /// What is due; asked after [`Pace::look`], when there is nothing to give.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Due> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let now = Instant::now();
            if now.duration_since(self.begun_at) >= self.total_max {
                return Poll::Ready(Due::Over(self.total_max));
            }
            if now.duration_since(self.progress_at) >= self.idle_max {
                return Poll::Ready(Due::Idle(self.idle_max));
            }
            let is_silent = now.duration_since(self.sent_at) >= KEEP_ALIVE;
            if is_silent {
                self.sent_at = now;
            }
            let next = (self.sent_at + KEEP_ALIVE)
                .min(self.progress_at + self.idle_max)
                .min(self.begun_at + self.total_max);
            self.timer.as_mut().reset(next);
            if is_silent {
                return Poll::Ready(Due::KeepAlive);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Due, Pace};
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_silent_stream_is_kept_alive_until_its_time_is_over() {
        let begun = Instant::now();
        let s = Duration::from_secs;
        let mut pace = Pace::new(s(25), s(60));
        let mut due = Vec::new();
        for _ in 0..3 {
            due.push((poll_fn(|context| pace.poll(context)).await, begun.elapsed().as_secs()));
        }
        assert_eq!(due, [(Due::KeepAlive, 10), (Due::KeepAlive, 20), (Due::Idle(s(25)), 25)]);
    }

    #[tokio::test(start_paused = true)]
    async fn comments_are_no_progress_and_progress_does_not_prolong_the_whole() {
        let begun = Instant::now();
        let s = Duration::from_secs;
        let mut pace = Pace::new(s(25), s(60));
        let mut last = Due::KeepAlive;
        while last == Due::KeepAlive {
            pace.progress();
            pace.look();
            last = poll_fn(|context| pace.poll(context)).await;
        }
        assert_eq!((last, begun.elapsed().as_secs()), (Due::Over(s(60)), 60));
    }
}
