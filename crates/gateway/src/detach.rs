//! Calls that go on without their client.
//!
//! A server drops a request's future when the client hangs up. The attempt
//! under way is then finished in the background, to learn what it cost, unless
//! cancelling it stops the bill. A key that has many such attempts gets no new
//! calls until some of them have ended.

use crate::Body;
use crate::error::{Failure, Fault};
use crate::gateway::Gateway;
use crate::principal::Identity;
use base::NanoUsd;
use dialect::ErrorClass;
use http::{Response, StatusCode};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Sleep;

/// Attempts that are finished in the background at once. Each had a client's
/// connection, so there are hardly ever more.
const DRAINS_MAX: usize = 16_384;

/// A key with so many gets no new calls.
const DRAINS_OF_A_KEY_MAX: usize = 1_024;

/// The attempts that are finished in the background.
#[derive(Clone, Default)]
pub struct Drains {
    running: Arc<Running>,
}

#[derive(Default)]
struct Running {
    by_caller: Mutex<HashMap<Identity, usize>>,
    /// How many there are.
    count: watch::Sender<usize>,
    /// Whether they must end now.
    cut: watch::Sender<bool>,
}

/// A place in the background; given back when dropped.
struct Place {
    running: Arc<Running>,
    caller: Identity,
}

impl Drains {
    fn place(&self, caller: Identity) -> Option<Place> {
        let mut by_caller = self.running.by_caller();
        if *self.running.count.borrow() >= DRAINS_MAX || *self.running.cut.borrow() {
            return None;
        }
        *by_caller.entry(caller).or_default() += 1;
        self.running.count.send_modify(|count| *count += 1);
        Some(Place { running: Arc::clone(&self.running), caller })
    }

    /// Returns true if `caller` has as many attempts in the background as it may
    /// have, and must wait with new calls.
    pub fn is_crowded(&self, caller: Identity) -> bool {
        *self.running.count.borrow() >= DRAINS_OF_A_KEY_MAX
            && self
                .running
                .by_caller()
                .get(&caller)
                .is_some_and(|of_caller| *of_caller >= DRAINS_OF_A_KEY_MAX)
    }

    /// Runs `work` in the background for at most `limit`; drops it at once
    /// where there is no place. Either way the permit in it is settled.
    pub fn spawn(
        &self,
        caller: Identity,
        limit: Duration,
        work: impl Future<Output: Send> + Send + 'static,
    ) {
        let Some(place) = self.place(caller) else { return };
        let mut cut = self.running.cut.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                finished = tokio::time::timeout(limit, work) => drop(finished),
                _ = cut.wait_for(|cut| *cut) => {}
            }
            drop(place);
        });
    }

    /// Waits for what runs, at most for `limit`; what is left is then cut.
    pub async fn end(&self, limit: Duration) {
        let mut count = self.running.count.subscribe();
        if tokio::time::timeout(limit, count.wait_for(|count| *count == 0)).await.is_err() {
            self.running.cut.send_replace(true);
            drop(count.wait_for(|count| *count == 0).await);
        }
    }
}

impl Running {
    fn by_caller(&self) -> MutexGuard<'_, HashMap<Identity, usize>> {
        self.by_caller.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_caller = self.running.by_caller();
        if let Some(of_caller) = by_caller.get_mut(&self.caller) {
            *of_caller -= 1;
            if *of_caller == 0 {
                by_caller.remove(&self.caller);
            }
        }
        self.running.count.send_modify(|count| *count -= 1);
    }
}

/// What the attempts know of the client, and it of them.
pub struct Client {
    gateway: Arc<Gateway>,
    caller: Identity,
    presence: AtomicU8,
    /// An attempt is under way that is read to its end without the client.
    outlives: AtomicBool,
    /// Nano-dollars held for the attempt under way.
    held: AtomicI64,
}

/// Whether the client still waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Presence {
    /// It does.
    Waiting,
    /// It has hung up.
    HungUp,
    /// Its own time limit has run out; it was told so.
    TimedOut,
}

impl Client {
    /// A client that waits.
    pub fn new(gateway: Arc<Gateway>, caller: Identity) -> Self {
        Self {
            gateway,
            caller,
            presence: AtomicU8::new(Presence::Waiting as u8),
            outlives: AtomicBool::new(false),
            held: AtomicI64::new(0),
        }
    }

    /// Whether the client still waits.
    pub fn presence(&self) -> Presence {
        match self.presence.load(Ordering::Relaxed) {
            0 => Presence::Waiting,
            1 => Presence::HungUp,
            _ => Presence::TimedOut,
        }
    }

    /// Returns true if the client waits no longer; no new attempt may begin.
    pub fn is_gone(&self) -> bool {
        self.presence() != Presence::Waiting
    }

    /// Says whether the attempt under way is read to its end without the client.
    pub fn set_outlives(&self, outlives: bool) {
        self.outlives.store(outlives, Ordering::Relaxed);
    }

    /// Notes the amount that is held for the attempt under way.
    pub(crate) fn set_held(&self, held: NanoUsd) {
        self.held.store(held.0, Ordering::Relaxed);
    }

    /// Returns the amount that was abandoned with the attempt under way, once.
    pub(crate) fn take_abandoned(&self) -> Option<NanoUsd> {
        let held = self.held.swap(0, Ordering::Relaxed);
        (held > 0 && self.is_gone()).then_some(NanoUsd(held))
    }

    /// The client goes: `held` counts as abandoned until the attempt is settled.
    pub(crate) fn leave(&self, presence: Presence) {
        let before = self.presence.swap(presence as u8, Ordering::Relaxed);
        if before != Presence::Waiting as u8 {
            self.presence.store(before, Ordering::Relaxed);
            return;
        }
        let held = NanoUsd(self.held.load(Ordering::Relaxed));
        if held > NanoUsd::ZERO {
            self.gateway.estimates.abandon(self.caller, held);
        }
    }
}

/// The attempts of one call: they outlive their client where the cost of the
/// one under way would stay unknown otherwise, and a client's own time limit
/// ends the wait, not the attempt.
pub struct Detach {
    attempts: Option<Attempts>,
    client: Arc<Client>,
    limit: Option<Limit>,
}

/// Future of a call's answer.
pub type Attempts = Pin<Box<dyn Future<Output = Result<Response<Body>, Failure>> + Send>>;

/// The client's own time limit.
struct Limit {
    timer: Pin<Box<Sleep>>,
    ms: u64,
}

impl Detach {
    /// Wraps the attempts of one call; `limit_ms` is the client's own limit.
    pub fn new(client: Arc<Client>, attempts: Attempts, limit_ms: Option<u64>) -> Self {
        let limit = limit_ms
            .map(|ms| Limit { timer: Box::pin(tokio::time::sleep(Duration::from_millis(ms))), ms });
        Self { attempts: Some(attempts), client, limit }
    }

    /// Goes on without the client where the attempt under way outlives it, and
    /// drops it otherwise, which cancels the upstream. Its permit is settled
    /// either way.
    fn leave(&mut self, presence: Presence) {
        let Some(attempts) = self.attempts.take() else { return };
        self.client.leave(presence);
        if self.client.outlives.load(Ordering::Relaxed) {
            let gateway = &self.client.gateway;
            gateway.drains.spawn(self.client.caller, gateway.drain_max(), attempts);
        }
    }
}

impl Future for Detach {
    type Output = Result<Response<Body>, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(attempts) = &mut this.attempts else { return Poll::Pending };
        if let Poll::Ready(output) = attempts.as_mut().poll(context) {
            this.attempts = None;
            return Poll::Ready(output);
        }
        let Some(limit) = &mut this.limit else { return Poll::Pending };
        std::task::ready!(limit.timer.as_mut().poll(context));
        let message = format!("No answer came within {} ms, the call's own time limit.", limit.ms);
        this.leave(Presence::TimedOut);
        let failure = Failure::new(ErrorClass::Timeout, Fault::Client, message);
        Poll::Ready(Err(failure.status(StatusCode::REQUEST_TIMEOUT)))
    }
}

impl Drop for Detach {
    fn drop(&mut self) {
        self.leave(Presence::HungUp);
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAINS_OF_A_KEY_MAX, Drains};
    use crate::principal::Identity;
    use base::KeyHash;
    use std::future::pending;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn a_key_with_many_abandoned_attempts_is_crowded_and_others_are_not() {
        let drains = Drains::default();
        let key = |n: u8| Identity::Key(KeyHash([n; 32]));
        let mut taken: Vec<_> =
            (1..DRAINS_OF_A_KEY_MAX).filter_map(|_| drains.place(key(1))).collect();
        assert!(!drains.is_crowded(key(1)));
        taken.extend(drains.place(key(1)));
        assert!(drains.is_crowded(key(1)) && !drains.is_crowded(key(2)));
        // Those that were under way when it became crowded still find a place.
        taken.extend(drains.place(key(1)));
        assert_eq!(taken.len(), DRAINS_OF_A_KEY_MAX + 1);
        drop(taken);
        assert!(!drains.is_crowded(key(1)) && drains.running.by_caller().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_what_still_runs_is_dropped_before_anything_closes() {
        let (drains, held) = (Drains::default(), Arc::new(()));
        let work = Arc::clone(&held);
        drains.spawn(Identity::Master, Duration::from_mins(2), async move {
            pending::<()>().await;
            drop(work);
        });
        drains.end(Duration::from_secs(5)).await;
        assert_eq!(Arc::strong_count(&held), 1);
        drains.spawn(Identity::Master, Duration::from_mins(2), pending::<()>());
        drains.end(Duration::from_secs(5)).await;
    }
}
