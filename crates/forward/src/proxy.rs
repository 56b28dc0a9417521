//! The proxy: one task for each connection, one host for each connection.
//!
//! A tunnel is for TLS to the host that was named: the ClientHello must ask for
//! the same name. A connection for plain HTTP goes to one host with one request, so
//! that nothing smuggled behind it can reach another one.

use crate::alert::{Alerts, Sink};
use crate::decision::{Decision, Kind, Verdict};
use crate::head::{self, Asked, Head};
use crate::hello::{self, Hello};
use crate::host::HostName;
use crate::log::DecisionLog;
use crate::policy::{App, Policy};
use crate::relay::{Counts, relay};
use base::{Clock as _, SystemClock};
use egress::{Resolve, TunnelError};
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};

/// Time for a request's head, and for a ClientHello.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Time to connect to a server.
const CONNECT_TIME: Duration = Duration::from_secs(20);
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections at a time.
const CONNECTIONS_MAX: usize = 1024;

/// Reason in the log for a host that only the mode lets through.
const UNLISTED: &str = "not in the list";
/// Days that a budget of bytes is counted by.
const DAY_MS: i64 = 86_400_000;
/// Budgets that are kept; of yesterday none is needed.
const BUDGETS_MAX: usize = 10_000;

/// Policy, resolver and log of a proxy.
pub struct Proxy {
    policy: watch::Receiver<Arc<Policy>>,
    resolver: Box<dyn Resolve>,
    log: DecisionLog,
    alerts: Alerts,
    clock: SystemClock,
    budgets: Mutex<HashMap<Budget, Arc<AtomicU64>>>,
}

/// Application, host and day.
type Budget = (Option<String>, HostName, i64);

/// Answer to a request that is not tunnelled.
struct Refusal {
    status: &'static str,
    decision: Decision,
}

impl Proxy {
    /// Makes a proxy that allows what the newest value of `policy` allows; when it
    /// changes, connections that it allows no longer are cut. `alert` hears of
    /// refusals.
    pub fn new(
        policy: watch::Receiver<Arc<Policy>>,
        resolver: Box<dyn Resolve>,
        log: DecisionLog,
        alert: Sink,
    ) -> Self {
        let (alerts, clock) = (Alerts::new(alert), SystemClock::new());
        Self { policy, resolver, log, alerts, clock, budgets: Mutex::default() }
    }

    /// Accepts connections for as long as it is polled.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            match listener.accept().await {
                Ok((client, _)) => {
                    let proxy = Arc::clone(&self);
                    tokio::spawn(async move {
                        proxy.connection(client).await;
                        drop(place);
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn connection(&self, mut client: TcpStream) {
        drop(client.set_nodelay(true));
        let Ok(Ok((bytes, length))) = timeout(HEAD_TIME, read_head(&mut client)).await else {
            return;
        };
        let (head, after) = bytes.split_at_checked(length).unwrap_or_default();
        if let Err(refusal) = self.answer(client, head, after).await {
            let Some((mut client, refusal)) = refusal else { return };
            self.note(&refusal.decision);
            drop(client.write_all(&refusal.page()).await);
            drop(client.shutdown().await);
        }
    }

    /// Logs a decision; a refusal is an alert.
    fn note(&self, decision: &Decision) {
        self.log.write(decision);
        if decision.verdict == Verdict::Refused {
            self.alert(decision, decision.reason.as_deref().unwrap_or_default());
        }
    }

    fn alert(&self, decision: &Decision, reason: &str) {
        let app = decision.app.as_deref().unwrap_or("an application");
        self.alerts.raise(app, &format!("{}:{}", decision.host, decision.port), reason);
    }

    /// Bytes that `app` may still send to `host` today.
    fn budget(&self, app: &App, host: &HostName) -> Option<Arc<AtomicU64>> {
        let most = app.upload_max_bytes?;
        let today = self.clock.unix_ms().div_euclid(DAY_MS);
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        if budgets.len() >= BUDGETS_MAX {
            budgets.retain(|(_, _, day), _| *day == today);
        }
        let budget = (app.name.clone(), host.clone(), today);
        Some(Arc::clone(budgets.entry(budget).or_insert_with(|| Arc::new(AtomicU64::new(most)))))
    }

    /// Returns when the policy no longer allows the connection.
    async fn forbidden(&self, app: Option<&str>, host: &HostName, port: u16) {
        let mut policy = self.policy.clone();
        while policy.changed().await.is_ok() {
            let now = Arc::clone(&policy.borrow_and_update());
            if now.named(app).is_none_or(|app| app.decide(host, port).is_err()) {
                return;
            }
        }
        // Nobody can change it any more.
        std::future::pending::<()>().await;
    }

    /// Does what the head asks for. `Err(None)` if the connection broke.
    async fn answer(
        &self,
        mut client: TcpStream,
        head: &[u8],
        after: &[u8],
    ) -> Result<(), Option<(TcpStream, Refusal)>> {
        let Head { asked, host, port, credentials } = match head::parse(head) {
            Ok(head) => head,
            Err(bad) => {
                let kind = if head.starts_with(b"CONNECT ") { Kind::Connect } else { Kind::Http };
                let decision = Decision::new(kind, Verdict::Refused, bad.target, 0);
                let decision = decision.because(bad.reason);
                return Err(Some((client, Refusal { status: "400 Bad Request", decision })));
            }
        };
        let kind = if asked == Asked::Tunnel { Kind::Connect } else { Kind::Http };
        let policy = Arc::clone(&self.policy.borrow());
        let refused = |app: Option<&App>, reason: &str| {
            let mut decision = Decision::new(kind, Verdict::Refused, host.as_str(), port);
            decision.app = app.and_then(|app| app.name.clone());
            decision.because(reason)
        };
        let Some(app) = policy.identify(credentials.as_ref()) else {
            let decision = refused(None, "unknown application");
            let status = "407 Proxy Authentication Required";
            return Err(Some((client, Refusal { status, decision })));
        };
        let grant = match app.decide(&host, port) {
            Ok(grant) => grant,
            Err(reason) => {
                let decision = refused(Some(app), reason);
                return Err(Some((client, Refusal { status: "403 Forbidden", decision })));
            }
        };
        let may_reach = |ip| grant.rule.as_ref().is_some_and(|rule| rule.may_reach(ip));
        let resolver = self.resolver.as_ref();
        let opened = egress::tunnel(host.as_str(), port, may_reach, resolver, CONNECT_TIME).await;
        let mut server = match opened {
            Ok(server) => server,
            Err(error) => {
                let (status, verdict) = match &error {
                    TunnelError::Address(..) => ("403 Forbidden", Verdict::Refused),
                    _ => ("502 Bad Gateway", Verdict::Failed),
                };
                let mut decision = refused(Some(app), &error.to_string());
                decision.verdict = verdict;
                return Err(Some((client, Refusal { status, decision })));
            }
        };
        let mut decision = Decision::new(kind, Verdict::Allowed, host.as_str(), port);
        decision.app.clone_from(&app.name);
        decision.rule = grant.rule.as_ref().map(ToString::to_string);
        decision.address = server.peer_addr().ok().map(|address| address.ip().to_string());
        let first = match asked {
            Asked::Tunnel => {
                let established = b"HTTP/1.1 200 Connection Established\r\n\r\n";
                client.write_all(established).await.map_err(|_| None)?;
                let (bytes, hello) = read_hello(&mut client, after).await;
                let hello = check(hello, &host);
                decision.ech = hello.as_ref().is_ok_and(|hello| hello.has_ech);
                match hello {
                    Ok(hello) => decision.name = hello.name,
                    Err((reason, name)) => {
                        decision.verdict = Verdict::Refused;
                        decision.name = name;
                        self.note(&decision.because(reason));
                        return Ok(());
                    }
                }
                bytes
            }
            Asked::Http(mut onward) => {
                onward.extend_from_slice(after);
                onward
            }
        };
        if grant.rule.is_none() {
            decision.reason = Some(UNLISTED.to_owned());
        }
        if grant.is_alert {
            self.alert(&decision, UNLISTED);
        }
        self.log.write(&decision);
        decision.reason = None;
        let counts = Counts { left: self.budget(app, &host), ..Counts::default() };
        let mut open = Open { decision, counts, started: Instant::now(), log: &self.log };
        let sent = async {
            open.counts.send_up(first.len())?;
            server.write_all(&first).await?;
            relay(client, server, &open.counts).await
        };
        let cut = tokio::select! {
            sent = sent => match sent {
                Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                    Some("upload budget used up")
                }
                _ => None,
            },
            () = self.forbidden(app.name.as_deref(), &host, port) => Some("policy changed"),
        };
        if let Some(reason) = cut {
            self.alert(&open.decision, reason);
            open.decision.reason = Some(reason.to_owned());
        }
        Ok(())
    }
}

/// An open connection. Its end is logged when this is dropped, whatever ends it.
struct Open<'p> {
    decision: Decision,
    counts: Counts,
    started: Instant,
    log: &'p DecisionLog,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.decision.verdict = Verdict::Closed;
        self.decision.bytes_up = Some(self.counts.up.load(Ordering::Relaxed));
        self.decision.bytes_down = Some(self.counts.down.load(Ordering::Relaxed));
        self.decision.duration_ms = Some(self.started.elapsed().as_millis() as u64);
        self.log.write(&self.decision);
    }
}

impl Refusal {
    fn page(&self) -> Vec<u8> {
        let reason = self.decision.reason.as_deref().unwrap_or_default();
        let text = format!("keymoat refused this connection: {reason}\n");
        let status = self.status;
        let length = text.len();
        let asks = if status.starts_with("407") {
            "Proxy-Authenticate: Basic realm=\"keymoat\"\r\n"
        } else {
            ""
        };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             X-Keymoat-Refused: {reason}\r\n{asks}Connection: close\r\n\r\n{text}"
        )
        .into_bytes()
    }
}

/// Reads up to the end of a head; what came behind it is returned with it.
async fn read_head(client: &mut TcpStream) -> io::Result<(Vec<u8>, usize)> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if let Some(length) = head::length(&bytes) {
            return Ok((bytes, length));
        }
        if bytes.len() >= head::HEAD_MAX || client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// Reads a ClientHello that begins with the bytes in `after`.
async fn read_hello(client: &mut TcpStream, after: &[u8]) -> (Vec<u8>, Option<Hello>) {
    let mut bytes = after.to_vec();
    let reading = async {
        loop {
            match hello::read(&bytes) {
                hello::Read::Whole(hello) => return Some(hello),
                hello::Read::Other => return None,
                hello::Read::More => {}
            }
            if client.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    };
    let hello = timeout(HEAD_TIME, reading).await.unwrap_or(None);
    (bytes, hello)
}

/// Checks that a ClientHello asks for `host`.
fn check(hello: Option<Hello>, host: &HostName) -> Result<Hello, (&'static str, Option<String>)> {
    let hello = hello.ok_or(("not TLS", None))?;
    let name = hello.name.clone().ok_or(("no name in the ClientHello", None))?;
    if HostName::parse(&name).as_ref() == Ok(host) {
        Ok(hello)
    } else {
        let shown = name.chars().filter(|l| !l.is_control()).take(260).collect();
        Err(("the ClientHello names another host", Some(shown)))
    }
}
