//! Alerts about refusals: the first of each kind at once, of a flood a count.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two alerts about the same application and host.
const PAUSE: Duration = Duration::from_mins(1);
/// Kinds that are remembered. In a flood of more, all others are one kind.
const KINDS_MAX: usize = 10_000;

/// Receiver of alerts.
pub type Sink = Box<dyn Fn(&str) + Send + Sync>;

/// Thins alerts out before it hands them on.
pub(crate) struct Alerts {
    sink: Sink,
    seen: Mutex<HashMap<(String, String), Seen>>,
}

struct Seen {
    since: Instant,
    held_back: u64,
}

impl Alerts {
    pub(crate) fn new(sink: Sink) -> Self {
        Self { sink, seen: Mutex::default() }
    }

    /// Says that `app` tried to reach `place`.
    pub(crate) fn raise(&self, app: &str, place: &str, reason: &str) {
        let now = Instant::now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = (app.to_owned(), place.to_owned());
        if seen.len() >= KINDS_MAX && !seen.contains_key(&kind) {
            "other places".clone_into(&mut kind.1);
        }
        let held_back = match seen.get_mut(&kind) {
            Some(before) if now.duration_since(before.since) < PAUSE => {
                before.held_back += 1;
                return;
            }
            Some(before) => {
                before.since = now;
                std::mem::take(&mut before.held_back)
            }
            None => {
                seen.insert(kind, Seen { since: now, held_back: 0 });
                0
            }
        };
        drop(seen);
        let more =
            if held_back > 0 { format!(", and {held_back} times before") } else { String::new() };
        (self.sink)(&format!("{app} tried to reach {place}: {reason}{more}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Alerts, PAUSE};
    use std::sync::{Arc, Mutex};

    #[tokio::test(start_paused = true)]
    async fn the_first_is_never_held_back_and_a_flood_is_counted() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let alerts = Alerts::new(Box::new(move |text| sink.lock().unwrap().push(text.to_owned())));
        for _ in 0..1000 {
            alerts.raise("shop", "evil.example:443", "not allowed");
        }
        alerts.raise("shop", "other.example:443", "not allowed");
        alerts.raise("batch", "evil.example:443", "not allowed");
        assert_eq!(said.lock().unwrap().len(), 3);
        tokio::time::advance(PAUSE).await;
        alerts.raise("shop", "evil.example:443", "not allowed");
        let last = said.lock().unwrap().last().cloned().unwrap();
        assert_eq!(last, "shop tried to reach evil.example:443: not allowed, and 999 times before");
    }
}
