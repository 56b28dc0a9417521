//! The way out: policy, pool, one exchange.

use crate::body::{Body, Carrier};
use crate::deadline::Deadline;
use crate::dial::{Dialled, dial, late};
use crate::error::{Certainty, Error, Refusal, Wait};
use crate::h1::{Failure, H1, WireRequest};
use crate::h2::Slot;
use crate::policy::{Policy, Reach};
use crate::resolve::{Resolve, SystemResolver};
use crate::settings::{Limits, Settings, millis};
use crate::site::{Site, Version};
use base::Origin;
use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::Full;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use vault::Authorized;

/// The only way out of the process, limited to the origins of one policy.
/// Clones share the policy; all that come from one [`Egress::new`] share
/// connections.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
    allowed: Arc<HashMap<Origin, Arc<Site>>>,
}

struct Shared {
    settings: Settings,
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    /// The sites of every policy that is still in use.
    sites: Mutex<Vec<Weak<Site>>>,
    sweeping: AtomicBool,
}

impl Shared {
    fn sites(&self) -> MutexGuard<'_, Vec<Weak<Site>>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Egress {
    /// Uses the system's resolver and allows no origin; see
    /// [`Egress::allowing`].
    ///
    /// # Errors
    /// [`Error::RootFile`] and [`Error::NoRoots`] where no server could be
    /// believed.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        Self::with_resolver(settings, Arc::new(SystemResolver))
    }

    /// With another resolver; its answers are vetted all the same.
    ///
    /// # Errors
    /// As [`Egress::new`].
    pub fn with_resolver(settings: Settings, resolver: Arc<dyn Resolve>) -> Result<Self, Error> {
        let tls = crate::tls::connector(&settings)?;
        let (sites, sweeping) = (Mutex::default(), AtomicBool::new(false));
        let shared = Arc::new(Shared { settings, tls, resolver, sites, sweeping });
        Ok(Self { shared, allowed: Arc::default() })
    }

    /// Returns a way out to the origins of `policy` and to no other. It shares
    /// connections with the policies that are in use. Unused connections to an
    /// origin are closed with the last policy that allows it.
    #[must_use]
    pub fn allowing(&self, policy: &Policy) -> Self {
        let mut sites = self.shared.sites();
        let held: HashMap<(Origin, Reach), Arc<Site>> = sites
            .iter()
            .filter_map(Weak::upgrade)
            .map(|site| ((site.origin.clone(), site.reach), site))
            .collect();
        let site = |(origin, reach): (&Origin, &Reach)| {
            let site = match held.get(&(origin.clone(), *reach)) {
                Some(site) => Arc::clone(site),
                None => Arc::new(Site::new(origin.clone(), *reach)?),
            };
            Some((origin.clone(), site))
        };
        let allowed: HashMap<_, _> = policy.allowed.iter().filter_map(site).collect();
        *sites = held.values().chain(allowed.values()).map(Arc::downgrade).collect();
        sites.sort_unstable_by_key(Weak::as_ptr);
        sites.dedup_by_key(|site| site.as_ptr());
        Self { shared: Arc::clone(&self.shared), allowed: Arc::new(allowed) }
    }

    /// Sends a request and waits for the head of its response. Redirects come
    /// back as they are. A pooled connection that turns out to be dead before
    /// a byte was written is replaced; nothing else is sent twice.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::certainty`] says whether another try is safe.
    pub async fn send(
        &self,
        head: Authorized,
        body: Bytes,
        limits: Limits,
    ) -> Result<Response<Body>, Error> {
        let total_at = Instant::now() + millis(limits.total_ms);
        let (origin, method, path, mut headers) = head.into_parts();
        let Some(site) = self.allowed.get(&origin) else {
            return Err(Error::Refused { origin, reason: Refusal::NotAllowed });
        };
        // These frame the message: whatever a caller says of them is wrong.
        if headers.keys().any(|name| FRAMING.contains(name)) {
            for name in FRAMING {
                headers.remove(name);
            }
        }
        if body.is_empty() && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let path = PathAndQuery::from_maybe_shared(Bytes::from(path));
        let Some(path) = path.ok().filter(|path| path.as_str().starts_with('/')) else {
            return Err(Error::Unsendable { origin });
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = headers;
        self.exchange(site, request, limits, total_at).await
    }

    async fn exchange(
        &self,
        site: &Arc<Site>,
        mut request: WireRequest,
        limits: Limits,
        total_at: Instant,
    ) -> Result<Response<Body>, Error> {
        let settings = &self.shared.settings;
        loop {
            let (carrier, pooled) = match self.take_pooled(site) {
                Some(carrier) => (carrier, true),
                // Boxed, for a handshake's state is large and mostly not there.
                None => (Box::pin(self.open(site)).await?, false),
            };
            let late_at = (Instant::now() + millis(limits.head_ms)).min(total_at);
            let (answer, carrier) = match carrier {
                Taken::H1(mut connection) => {
                    request.headers_mut().insert(header::HOST, site.host.clone());
                    let answer = connection.exchange(request, late_at).await;
                    (answer, Carrier::H1(connection))
                }
                Taken::H2(mut slot) => {
                    aim_h2(&mut request, site);
                    let (answer, deadline) = exchange_h2(&mut slot, request, late_at).await;
                    (answer, Carrier::H2 { _stream: slot, deadline })
                }
            };
            match answer {
                Ok(response) => {
                    let (max, site) = (settings.pool_max_idle_per_origin, Arc::clone(site));
                    return Ok(response.map(|incoming| {
                        Body::new(incoming, carrier, site, limits, total_at, max)
                    }));
                }
                Err(Failure::Unsent(back, _)) if pooled => request = aim_nowhere(*back),
                Err(Failure::Unsent(_, error)) => {
                    return Err(Error::from_hyper(&site.origin, error, Certainty::NothingSent));
                }
                Err(Failure::Broken(error)) => {
                    return Err(Error::from_hyper(&site.origin, error, Certainty::MaybeSent));
                }
                Err(Failure::Late) => {
                    let (wait, after_ms) = if late_at < total_at {
                        (Wait::Head, limits.head_ms)
                    } else {
                        (Wait::Total, limits.total_ms)
                    };
                    let (origin, certainty) = (site.origin.clone(), Certainty::MaybeSent);
                    return Err(Error::Timeout { origin, wait, after_ms, certainty });
                }
            }
        }
    }

    fn take_pooled(&self, site: &Site) -> Option<Taken> {
        let max_idle = millis(self.shared.settings.pool_idle_timeout_ms);
        if let Some(connection) = site.take_idle(max_idle) {
            return Some(Taken::H1(connection));
        }
        site.take_slot().map(Taken::H2)
    }

    /// A connection of one's own, or a stream of one that somebody else opened
    /// in the meantime.
    async fn open(&self, site: &Site) -> Result<Taken, Error> {
        let Shared { settings, tls, resolver, .. } = &*self.shared;
        let timeout_ms = settings.connect_timeout_ms;
        let _opening = if site.may_share(settings.http2) {
            let opening = timeout(millis(timeout_ms), site.opening.lock()).await;
            let opening = opening.map_err(|_| late(site, timeout_ms))?;
            if let Some(taken) = self.take_pooled(site) {
                return Ok(taken);
            }
            site.may_share(settings.http2).then_some(opening)
        } else {
            None
        };
        let dialled = dial(site, &**resolver, tls, timeout_ms).await?;
        self.start_sweeping();
        Ok(match dialled {
            Dialled::H1(connection) => {
                site.note_version(Version::H1);
                Taken::H1(connection)
            }
            Dialled::H2(connection) => {
                site.note_version(Version::H2);
                Taken::H2(site.add_shared(connection))
            }
        })
    }

    /// Starts the task that closes unused connections, with the first one.
    fn start_sweeping(&self) {
        if self.shared.sweeping.load(Ordering::Relaxed)
            || self.shared.sweeping.swap(true, Ordering::Relaxed)
        {
            return;
        }
        tokio::spawn(sweep(Arc::downgrade(&self.shared)));
    }
}

/// A way to send one request.
enum Taken {
    H1(Box<H1>),
    H2(Slot),
}

/// Headers that hyper writes or that concern one connection only.
const FRAMING: [header::HeaderName; 6] = [
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
    header::TE,
];

/// HTTP/2 says the origin in pseudo-headers, which hyper takes from the URI.
fn aim_h2(request: &mut WireRequest, site: &Site) {
    let scheme = match site.origin.scheme() {
        base::Scheme::Http => Scheme::HTTP,
        base::Scheme::Https => Scheme::HTTPS,
    };
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    (parts.scheme, parts.authority) = (Some(scheme), Some(site.authority.clone()));
    // All three parts are there, so this does not fail.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request.headers_mut().remove(header::HOST);
}

/// Undoes [`aim_h2`], for the next connection may speak HTTP/1.1.
fn aim_nowhere(mut request: WireRequest) -> WireRequest {
    if request.uri().authority().is_some() {
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
    }
    request
}

async fn exchange_h2(
    slot: &mut Slot,
    request: WireRequest,
    late_at: Instant,
) -> (Result<Response<hyper::body::Incoming>, Failure>, Deadline) {
    let mut deadline = Deadline::new();
    let mut response = pin!(slot.send(request));
    let answer = poll_fn(|cx| match response.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => deadline.poll(cx, late_at).map(|()| None),
    })
    .await;
    let answer = match answer {
        None => Err(Failure::Late),
        Some(Ok(response)) => Ok(response),
        Some(Err(mut failed)) => Err(match failed.take_message() {
            Some(request) => Failure::Unsent(Box::new(request), failed.into_error()),
            None => Failure::Broken(failed.into_error()),
        }),
    };
    (answer, deadline)
}

/// Ends with the last clone of the [`Egress`].
async fn sweep(shared: Weak<Shared>) {
    loop {
        let Some(max_idle) =
            shared.upgrade().map(|shared| millis(shared.settings.pool_idle_timeout_ms))
        else {
            return;
        };
        tokio::time::sleep((max_idle / 2).max(Duration::from_secs(1))).await;
        let Some(shared) = shared.upgrade() else { return };
        let sites: Vec<_> = shared.sites().iter().filter_map(Weak::upgrade).collect();
        for site in sites {
            site.sweep(max_idle);
        }
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Egress").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Egress, Limits, Settings};
    use base::Origin;
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use vault::Outgoing;

    #[test]
    fn a_request_on_its_way_is_small() {
        let egress = Egress::new(Settings::default()).unwrap();
        let (origin, _) = Origin::parse_base("https://api.example").unwrap();
        let head = Outgoing::new(origin, Method::GET, "/".into(), HeaderMap::new());
        let sending = egress.send(head.without_credential(), Bytes::new(), Limits::default());
        let (future, body) = (size_of_val(&sending), size_of::<super::Body>());
        assert!(future <= 2048 && body <= 256, "{future} {body}");
    }
}
