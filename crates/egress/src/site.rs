//! All that is kept about one allowed origin: its vetted addresses and its
//! connections. A request finds it with one look-up.

use crate::error::{Error, Refusal};
use crate::h1::H1;
use crate::h2::{ASSUMED_STREAMS, H2, MAX_CONNECTIONS, Slot};
use crate::policy::Reach;
use crate::resolve::Resolve;
use crate::vet::{VettedAddr, vet};
use base::{Origin, Scheme};
use http::HeaderValue;
use http::uri::Authority;
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer of the resolver is used.
const ANSWER_TTL: Duration = Duration::from_secs(30);

/// More addresses than this of one answer are not tried.
const MAX_ADDRESSES: usize = 16;

/// One origin.
pub(crate) struct Site {
    pub(crate) origin: Origin,
    pub(crate) reach: Reach,
    /// What the `Host` header says.
    pub(crate) host: HeaderValue,
    /// What `:authority` says.
    pub(crate) authority: Authority,
    /// Whom the certificate must name; `None` where no certificate can.
    pub(crate) server_name: Option<ServerName<'static>>,
    literal: Option<IpAddr>,
    answer: Mutex<Option<Answer>>,
    /// Held by whoever asks the resolver, so that a burst asks once.
    asking: tokio::sync::Mutex<()>,
    /// Held by whoever opens an HTTP/2 connection, so that a burst opens one.
    pub(crate) opening: tokio::sync::Mutex<()>,
    /// How many HTTP/2 streams its servers take on a connection.
    pub(crate) streams_max: Arc<AtomicUsize>,
    pool: Mutex<Pool>,
}

struct Answer {
    addresses: Arc<[VettedAddr]>,
    until: Instant,
}

#[derive(Default)]
struct Pool {
    /// Unused HTTP/1 connections, the longest unused first.
    idle: VecDeque<(Instant, Box<H1>)>,
    shared: Vec<H2>,
    /// What the last TLS handshake agreed on.
    speaks: Option<Version>,
}

/// HTTP/1.1 or HTTP/2.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    H1,
    H2,
}

impl Site {
    /// `None` only where the host cannot stand in a header, which [`Origin`]
    /// does not let happen.
    pub(crate) fn new(origin: Origin, reach: Reach) -> Option<Self> {
        let text = origin.authority();
        Some(Self {
            host: HeaderValue::from_str(&text).ok()?,
            authority: Authority::try_from(text).ok()?,
            server_name: ServerName::try_from(origin.host().to_owned()).ok(),
            literal: origin.host().parse().ok(),
            origin,
            reach,
            answer: Mutex::new(None),
            asking: tokio::sync::Mutex::new(()),
            opening: tokio::sync::Mutex::new(()),
            streams_max: Arc::new(AtomicUsize::new(ASSUMED_STREAMS)),
            pool: Mutex::new(Pool::default()),
        })
    }

    /// The origin's addresses, all of them vetted: from memory, or asked for.
    pub(crate) async fn addresses(
        &self,
        resolver: &dyn Resolve,
    ) -> Result<Arc<[VettedAddr]>, Error> {
        if let Some(literal) = self.literal {
            return self.vetted(vec![literal]);
        }
        if let Some(held) = self.held_answer() {
            return Ok(held);
        }
        let _asking = self.asking.lock().await;
        if let Some(held) = self.held_answer() {
            return Ok(held);
        }
        let unresolved = |source| Error::Resolve { origin: self.origin.clone(), source };
        let found = resolver.resolve(self.origin.host()).await.map_err(unresolved)?;
        if found.is_empty() {
            return Err(unresolved(std::io::Error::other("the name has no address")));
        }
        let addresses = self.vetted(found)?;
        let answer =
            Answer { addresses: Arc::clone(&addresses), until: Instant::now() + ANSWER_TTL };
        *lock(&self.answer) = Some(answer);
        Ok(addresses)
    }

    /// Forgets the answer: none of its addresses could be connected to.
    pub(crate) fn forget_addresses(&self) {
        *lock(&self.answer) = None;
    }

    fn held_answer(&self) -> Option<Arc<[VettedAddr]>> {
        let answer = lock(&self.answer);
        let answer = answer.as_ref().filter(|answer| Instant::now() < answer.until)?;
        Some(Arc::clone(&answer.addresses))
    }

    fn vetted(&self, ips: Vec<IpAddr>) -> Result<Arc<[VettedAddr]>, Error> {
        match vet(ips, self.origin.port(), self.reach) {
            Ok(mut addresses) => {
                addresses.truncate(MAX_ADDRESSES);
                Ok(addresses.into())
            }
            Err(bad) => {
                let origin = self.origin.clone();
                tracing::warn!(%origin, ip = %bad.ip, kind = %bad.kind, "egress refused");
                Err(Error::Refused { origin, reason: Refusal::Address(bad) })
            }
        }
    }

    /// An unused HTTP/1 connection, the most recently used first.
    pub(crate) fn take_idle(&self, max_idle: Duration) -> Option<Box<H1>> {
        let mut pool = lock(&self.pool);
        let (since, connection) = pool.idle.pop_back()?;
        if since.elapsed() < max_idle {
            return Some(connection);
        }
        // The rest is older still. Sockets are closed outside the lock.
        let stale = std::mem::take(&mut pool.idle);
        drop(pool);
        drop(stale);
        None
    }

    /// Gives back a connection that can be used again.
    pub(crate) fn put_idle(&self, connection: Box<H1>, max: usize) {
        let mut pool = lock(&self.pool);
        pool.idle.push_back((Instant::now(), connection));
        let surplus = if pool.idle.len() > max { pool.idle.pop_front() } else { None };
        drop(pool);
        drop(surplus);
    }

    /// A stream of an HTTP/2 connection; `None` where another connection
    /// should be opened first.
    pub(crate) fn take_slot(&self) -> Option<Slot> {
        let mut pool = lock(&self.pool);
        pool.shared.retain(H2::is_open);
        let crowded = pool.shared.len() >= MAX_CONNECTIONS;
        let best = pool.shared.iter().max_by_key(|connection| connection.room())?;
        (best.room() > 0 || crowded).then(|| best.slot())
    }

    /// Adds an HTTP/2 connection and takes its first stream.
    pub(crate) fn add_shared(&self, connection: H2) -> Slot {
        let slot = connection.slot();
        lock(&self.pool).shared.push(connection);
        slot
    }

    /// Whether connecting may give an HTTP/2 connection that others can share.
    pub(crate) fn may_share(&self, http2: bool) -> bool {
        http2
            && self.origin.scheme() == Scheme::Https
            && lock(&self.pool).speaks != Some(Version::H1)
    }

    /// What the origin spoke when it was last connected to.
    pub(crate) fn note_version(&self, version: Version) {
        lock(&self.pool).speaks = Some(version);
    }

    /// Closes what has been unused for too long or was closed by the server.
    pub(crate) fn sweep(&self, max_idle: Duration) {
        let now = Instant::now();
        let mut pool = lock(&self.pool);
        pool.shared.retain(|shared| shared.is_open() && !shared.is_idle(now, max_idle));
        let mut idle = std::mem::take(&mut pool.idle);
        drop(pool);
        // Outside the lock: sockets are read, and closed.
        idle.retain_mut(|(since, connection)| {
            now.duration_since(*since) < max_idle && connection.still_idles()
        });
        let mut pool = lock(&self.pool);
        idle.append(&mut pool.idle);
        pool.idle = idle;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
