//! The accept loop: places, and the end of all connections.

use crate::addresses::{self, Addresses};
use crate::connection;
use crate::intake::Budget;
use crate::service::Service;
use crate::signal::Signal;
use crate::tls::TlsAcceptor;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; three quarters of them from one address.
    pub connections_max: usize,
    /// Time for a request's head to arrive.
    pub header_timeout: Duration,
    /// Size of a request's head.
    pub header_max_bytes: usize,
    /// Time for running requests after the signal to stop.
    pub drain_timeout: Duration,
}

/// Time for connections to be dropped once they are told to end.
const CUT_MAX: Duration = Duration::from_secs(5);

/// Pause after an accept that failed: out of file descriptors, most likely, and the
/// next moment may have some again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A connection's place, held as long as anything of it runs.
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _address: Option<addresses::Place>,
}

/// Shared by all connections.
pub(crate) struct Shared<S> {
    pub(crate) service: Arc<S>,
    pub(crate) limits: Limits,
    /// For bytes that are not a complete request yet.
    pub(crate) budget: Arc<Budget>,
    /// Finish what runs, and begin nothing.
    pub(crate) stop: Signal,
    /// End now.
    pub(crate) cut: Signal,
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self {
            service: Arc::clone(&self.service),
            limits: self.limits,
            budget: Arc::clone(&self.budget),
            stop: self.stop.clone(),
            cut: self.cut.clone(),
        }
    }
}

/// Accepts until `stopped` is true, then waits for running requests. When this
/// returns, none runs any more. `tls` is read for each new connection, so a new
/// certificate counts from the next one on; `None` serves without TLS.
pub async fn run<S: Service>(
    listener: TcpListener,
    tls: watch::Receiver<Option<TlsAcceptor>>,
    service: Arc<S>,
    limits: Limits,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let addresses = Addresses::new((limits.connections_max / 4 * 3).max(1));
    let budget = Budget::new();
    let shared =
        Shared { service, limits, budget, stop: Signal::default(), cut: Signal::default() };
    loop {
        let next = async {
            let all = Arc::clone(&places).acquire_owned().await;
            (all, listener.accept().await)
        };
        let (all, accepted) = tokio::select! {
            next = next => next,
            () = stop_asked(&mut stopped) => break,
        };
        let Ok(all) = all else { break };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let is_limited = !shared.service.serves_many_clients(peer.ip());
        let of_address = addresses.enter(peer.ip());
        if is_limited && of_address.is_none() {
            tracing::debug!(%peer, "one address holds too many connections");
            continue;
        }
        let place = Place { _all: all, _address: of_address };
        let tls = tls.borrow().clone();
        tokio::spawn(connection::run(stream, peer, tls, shared.clone(), Arc::new(place)));
    }
    drop(listener);
    shared.stop.give();
    let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
    if tokio::time::timeout(limits.drain_timeout, places.acquire_many(all)).await.is_ok() {
        return;
    }
    let running = limits.connections_max - places.available_permits();
    tracing::warn!(running, "the time to drain is over; running requests are cut");
    shared.cut.give();
    if tokio::time::timeout(CUT_MAX, places.acquire_many(all)).await.is_err() {
        tracing::error!("some requests still run");
    }
}

/// Returns when the signal to stop has come, or nobody can give it any more.
async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    drop(stopped.wait_for(|stopped| *stopped).await);
}
