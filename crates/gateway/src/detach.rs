//! What goes on when the client goes away.
//!
//! A server drops a request's future when the client hangs up. Where the
//! provider bills anyway, the attempt under way is finished in the background,
//! to learn what it cost; everywhere else dropping it cancels it.

use crate::gateway::Gateway;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// What the attempts know of the client, and it of them.
pub struct Client {
    gateway: Arc<Gateway>,
    gone: AtomicBool,
    /// An attempt is under way that is billed to its end whatever we do.
    billed_anyway: AtomicBool,
}

impl Client {
    /// A client that is there.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway, gone: AtomicBool::new(false), billed_anyway: AtomicBool::new(false) }
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
        let Some(place) = self.client.gateway.drain_place() else { return };
        let limit = self.client.gateway.drain_max();
        tokio::spawn(async move {
            // Past the limit the permit is dropped, which settles it.
            drop(tokio::time::timeout(limit, future).await);
            drop(place);
        });
    }
}
