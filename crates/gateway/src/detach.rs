//! What goes on when the client goes away.
//!
//! A server drops a request's future when the client hangs up. Where the
//! provider bills anyway, the attempt under way is finished in the background,
//! to learn what it cost; everywhere else dropping it cancels it. Places in
//! the background are few, and no key may take all of them.

use crate::gateway::Gateway;
use base::KeyHash;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

/// Answers read to their end at once after their clients have gone.
const DRAINS_MAX: usize = 1024;

/// Of these, for one key.
const DRAINS_OF_A_KEY_MAX: usize = 128;

/// What is read to its end in the background.
#[derive(Clone, Default)]
pub struct Drains {
    running: Arc<Running>,
}

#[derive(Default)]
struct Running {
    by_key: Mutex<HashMap<Option<KeyHash>, usize>>,
    /// How many there are.
    count: watch::Sender<usize>,
    /// Whether they must end now.
    cut: watch::Sender<bool>,
}

/// A place in the background; given back when dropped.
struct Place {
    running: Arc<Running>,
    key: Option<KeyHash>,
}

impl Drains {
    fn place(&self, key: Option<KeyHash>) -> Option<Place> {
        let mut by_key = self.running.by_key();
        if *self.running.count.borrow() >= DRAINS_MAX || *self.running.cut.borrow() {
            return None;
        }
        let of_key = by_key.entry(key).or_default();
        if *of_key >= DRAINS_OF_A_KEY_MAX {
            return None;
        }
        *of_key += 1;
        self.running.count.send_modify(|count| *count += 1);
        Some(Place { running: Arc::clone(&self.running), key })
    }

    /// Runs `work` in the background for at most `limit`; drops it at once
    /// where there is no place. Either way the permit in it is settled.
    pub fn spawn(
        &self,
        key: Option<KeyHash>,
        limit: Duration,
        work: impl Future<Output: Send> + Send + 'static,
    ) {
        let Some(place) = self.place(key) else { return };
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
    fn by_key(&self) -> MutexGuard<'_, HashMap<Option<KeyHash>, usize>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_key = self.running.by_key();
        if let Some(of_key) = by_key.get_mut(&self.key) {
            *of_key -= 1;
            if *of_key == 0 {
                by_key.remove(&self.key);
            }
        }
        self.running.count.send_modify(|count| *count -= 1);
    }
}

/// What the attempts know of the client, and it of them.
pub struct Client {
    gateway: Arc<Gateway>,
    key: Option<KeyHash>,
    gone: AtomicBool,
    /// An attempt is under way that is billed to its end whatever we do.
    billed_anyway: AtomicBool,
}

impl Client {
    /// A client that is there.
    pub fn new(gateway: Arc<Gateway>, key: Option<KeyHash>) -> Self {
        let no = || AtomicBool::new(false);
        Self { gateway, key, gone: no(), billed_anyway: no() }
    }

    /// Whether the client has hung up; no new attempt may begin then.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Says whether the attempt under way is billed to its end anyway.
    pub fn set_billed_anyway(&self, billed_anyway: bool) {
        self.billed_anyway.store(billed_anyway, Ordering::Relaxed);
    }
}

/// A future that outlives its client where it must.
pub struct Detach<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    future: Option<Pin<Box<F>>>,
    client: Arc<Client>,
}

impl<F> Detach<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    /// Wraps the attempts of one call.
    pub fn new(client: Arc<Client>, future: F) -> Self {
        Self { future: Some(Box::pin(future)), client }
    }
}

impl<F> Future for Detach<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let Some(future) = &mut this.future else { return Poll::Pending };
        let output = std::task::ready!(future.as_mut().poll(context));
        this.future = None;
        Poll::Ready(output)
    }
}

impl<F> Drop for Detach<F>
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn drop(&mut self) {
        let Some(future) = self.future.take() else { return };
        self.client.gone.store(true, Ordering::Relaxed);
        if !self.client.billed_anyway.load(Ordering::Relaxed) {
            return;
        }
        let (gateway, key) = (&self.client.gateway, self.client.key);
        gateway.drains.spawn(key, gateway.drain_max(), future);
    }
}

#[cfg(test)]
mod tests {
    use super::{DRAINS_MAX, DRAINS_OF_A_KEY_MAX, Drains};
    use base::KeyHash;
    use std::future::pending;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn no_key_takes_all_places() {
        let drains = Drains::default();
        let key = |n: u8| Some(KeyHash([n; 32]));
        let taken: Vec<_> = (0..DRAINS_MAX).map_while(|_| drains.place(key(1))).collect();
        assert_eq!(taken.len(), DRAINS_OF_A_KEY_MAX);
        assert!(drains.place(key(2)).is_some());
        drop(taken);
        assert!(drains.place(key(1)).is_some());
        assert!(drains.running.by_key().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_what_still_runs_is_dropped_before_anything_closes() {
        let (drains, held) = (Drains::default(), Arc::new(()));
        let work = Arc::clone(&held);
        drains.spawn(None, Duration::from_mins(2), async move {
            pending::<()>().await;
            drop(work);
        });
        drains.end(Duration::from_secs(5)).await;
        assert_eq!(Arc::strong_count(&held), 1);
        drains.spawn(None, Duration::from_mins(2), pending::<()>());
        drains.end(Duration::from_secs(5)).await;
    }
}
