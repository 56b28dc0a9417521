//! A limit on lines that say the same.
//!
//! A line of the request path is written because a client asked for something,
//! so a client decides how many there are. Those of one kind (the place in the
//! code and the `status` that they name) are written up to a number in each
//! period; the others are counted, and one line gives their number. Lines at
//! `ERROR`, and everything that is not of the request path, are always written.

use base::{Clock, SystemClock};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// The crates whose lines are limited.
const LIMITED: [&str; 2] = ["gateway", "egress"];

/// Lines of one kind in a period.
const LINES_MAX: u32 = 100;

/// Length of a period.
const PERIOD: Duration = Duration::from_secs(10);

/// Kinds that are told apart.
const KINDS_MAX: usize = 1_000;

/// Counts lines by their kind. Clones share the counts.
#[derive(Clone)]
pub(crate) struct Repeats(Arc<Shared>);

struct Shared {
    clock: Box<dyn Clock>,
    kinds: Mutex<HashMap<Kind, Count>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    callsite: Identifier,
    status: u64,
}

struct Count {
    /// The line's own text, for the line that gives the number.
    message: String,
    began: Duration,
    written: u32,
    left_out: u64,
}

/// A number of lines that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// What they say.
    pub(crate) message: String,
    /// The status that they name; 0 if they name none.
    pub(crate) status: u64,
    /// Number of lines.
    pub(crate) lines: u64,
}

impl Default for Repeats {
    fn default() -> Self {
        Self::with_clock(Box::new(SystemClock::new()))
    }
}

impl Repeats {
    fn with_clock(clock: Box<dyn Clock>) -> Self {
        Self(Arc::new(Shared { clock, kinds: Mutex::default() }))
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Kind, Count>> {
        self.0.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the numbers of lines left out in periods that have ended, or in
    /// all periods.
    pub(crate) fn take_left_out(&self, all: bool) -> Vec<LeftOut> {
        let now = self.0.clock.monotonic();
        let mut kinds = self.kinds();
        let mut taken = Vec::new();
        kinds.retain(|kind, count| {
            let has_ended = all || now.saturating_sub(count.began) >= PERIOD;
            if has_ended && count.left_out > 0 {
                let message = std::mem::take(&mut count.message);
                taken.push(LeftOut { message, status: kind.status, lines: count.left_out });
            }
            !has_ended
        });
        taken
    }

    /// Returns true if this line is to be written.
    fn admit(&self, event: &Event<'_>) -> bool {
        let mut said = Said::default();
        event.record(&mut said);
        let now = self.0.clock.monotonic();
        let mut kinds = self.kinds();
        let is_full = kinds.len() >= KINDS_MAX;
        let mut kind = Kind { callsite: event.metadata().callsite(), status: said.status };
        if is_full && !kinds.contains_key(&kind) {
            kind.status = 0;
        }
        let count = kinds.entry(kind).or_insert_with(|| {
            let mut message = Message::default();
            event.record(&mut message);
            Count { message: message.0, began: now, written: 0, left_out: 0 }
        });
        // With lines left out the period ends when their number is taken.
        if count.left_out == 0 && now.saturating_sub(count.began) >= PERIOD {
            (count.began, count.written) = (now, 0);
        }
        if count.written < LINES_MAX {
            count.written += 1;
            return true;
        }
        count.left_out += 1;
        false
    }
}

fn is_limited(metadata: &Metadata<'_>) -> bool {
    let level = *metadata.level();
    let path = metadata.target().split("::").next().unwrap_or_default();
    (level == Level::INFO || level == Level::WARN) && LIMITED.contains(&path)
}

impl<S: Subscriber> Filter<S> for Repeats {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        !is_limited(event.metadata()) || self.admit(event)
    }
}

/// The status that a line names.
#[derive(Default)]
struct Said {
    status: u64,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.status = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, LeftOut, PERIOD, Repeats};
    use base::Clock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Hands(Arc<AtomicU64>);

    impl Clock for Hands {
        fn unix_ms(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    /// Counts what passes the filter.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<usize>>);

    impl<S: tracing::Subscriber> Layer<S> for Written {
        fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    #[test]
    fn lines_that_say_the_same_are_counted_instead_of_written() {
        let (hands, written) = (Hands::default(), Written::default());
        let repeats = Repeats::with_clock(Box::new(hands.clone()));
        let max = LINES_MAX as usize;
        let taken = || std::mem::take(&mut *written.0.lock().unwrap());
        let subscriber =
            tracing_subscriber::registry().with(written.clone().with_filter(repeats.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let refuse = |status: u16| tracing::info!(target: "gateway::error", status, "refused");
            (0..1000).for_each(|_| refuse(401));
            assert_eq!(taken(), max);
            refuse(404);
            assert_eq!(taken(), 1, "another status is another kind");
            for _ in 0..1000 {
                tracing::info!(target: "console::keys", status = 401, "a key was made");
                tracing::error!(target: "gateway::canary", status = 401, "a decoy was used");
            }
            assert_eq!(taken(), 2000, "what must not be lost is not limited");
            assert_eq!(repeats.take_left_out(false), [], "the period goes on");
            hands.0.fetch_add(PERIOD.as_millis() as u64, Ordering::Relaxed);
            refuse(401);
            assert_eq!(taken(), 0, "not before the number is given");
            let lines = 1001 - u64::from(LINES_MAX);
            let left_out = LeftOut { message: "refused".to_owned(), status: 401, lines };
            assert_eq!(repeats.take_left_out(false), [left_out]);
            refuse(401);
            assert_eq!(taken(), 1, "a new period");
            assert_eq!(repeats.take_left_out(true), []);
        });
    }
}
