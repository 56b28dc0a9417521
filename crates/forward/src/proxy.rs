//! The proxy: one task for each connection, one host for each connection.
//!
//! A tunnel is for TLS to the host that was named: the ClientHello must ask for
//! the same name. A connection for plain HTTP goes to one host with one request, so
//! that nothing smuggled behind it can reach another one.

use crate::decision::{Decision, Kind, Verdict};
use crate::head::{self, Asked, Head};
use crate::hello::{self, Hello};
use crate::host::HostName;
use crate::log::DecisionLog;
use crate::relay::{Counts, relay};
use crate::rule::{Rule, Rules, is_providers};
use egress::{Resolve, TunnelError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

/// Time for a request's head, and for a ClientHello.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// Time to connect to a server.
const CONNECT_TIME: Duration = Duration::from_secs(20);
/// Pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections at a time.
const CONNECTIONS_MAX: usize = 1024;

/// Rules, resolver and log of a proxy.
pub struct Proxy {
    rules: Rules,
    resolver: Box<dyn Resolve>,
    log: DecisionLog,
}

/// Answer to a request that is not tunnelled.
struct Refusal {
    status: &'static str,
    decision: Decision,
}

impl Proxy {
    /// Makes a proxy that allows what `rules` allow.
    pub fn new(rules: Rules, resolver: Box<dyn Resolve>, log: DecisionLog) -> Self {
        Self { rules, resolver, log }
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
            self.log.write(&refusal.decision);
            drop(client.write_all(&refusal.page()).await);
            drop(client.shutdown().await);
        }
    }

    /// Does what the head asks for. `Err(None)` if the connection broke.
    async fn answer(
        &self,
        mut client: TcpStream,
        head: &[u8],
        after: &[u8],
    ) -> Result<(), Option<(TcpStream, Refusal)>> {
        let Head { asked, host, port } = match head::parse(head) {
            Ok(head) => head,
            Err(bad) => {
                let kind = if head.starts_with(b"CONNECT ") { Kind::Connect } else { Kind::Http };
                let decision = Decision::new(kind, Verdict::Refused, bad.target, 0);
                let decision = decision.because(bad.reason);
                return Err(Some((client, Refusal { status: "400 Bad Request", decision })));
            }
        };
        let kind = if asked == Asked::Tunnel { Kind::Connect } else { Kind::Http };
        let rule = match self.allow(kind, &host, port) {
            Ok(rule) => rule,
            Err(decision) => {
                return Err(Some((client, Refusal { status: "403 Forbidden", decision })));
            }
        };
        let may_reach = |ip| rule.may_reach(ip);
        let resolver = self.resolver.as_ref();
        let opened = egress::tunnel(host.as_str(), port, may_reach, resolver, CONNECT_TIME).await;
        let mut server = match opened {
            Ok(server) => server,
            Err(error) => {
                let (status, verdict) = match &error {
                    TunnelError::Address(..) => ("403 Forbidden", Verdict::Refused),
                    _ => ("502 Bad Gateway", Verdict::Failed),
                };
                let decision = Decision::new(kind, verdict, host.as_str(), port);
                let decision = decision.because(error.to_string());
                return Err(Some((client, Refusal { status, decision })));
            }
        };
        let mut decision = Decision::new(kind, Verdict::Allowed, host.as_str(), port);
        decision.rule = Some(rule.to_string());
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
                        self.log.write(&decision.because(reason));
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
        self.log.write(&decision);
        let open =
            Open { decision, counts: Counts::default(), started: Instant::now(), log: &self.log };
        open.counts.up.fetch_add(first.len() as u64, Ordering::Relaxed);
        if server.write_all(&first).await.is_ok() {
            relay(client, server, &open.counts).await;
        }
        Ok(())
    }

    /// Returns the rule that allows the host. Nothing is resolved here.
    fn allow(&self, kind: Kind, host: &HostName, port: u16) -> Result<&Rule, Decision> {
        let refused = |reason: &str| {
            Decision::new(kind, Verdict::Refused, host.as_str(), port).because(reason)
        };
        if is_providers(host) {
            return Err(refused("model provider: its calls go through the gateway"));
        }
        self.rules.find(host, port).ok_or_else(|| refused("not allowed"))
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
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             X-Keymoat-Refused: {reason}\r\nConnection: close\r\n\r\n{text}"
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
