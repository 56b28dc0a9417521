//! The server: accepts on loopback, records each request, performs its script.
//!
//! Connections are kept alive between exchanges unless a step ends them or the
//! client asked for `connection: close`. Dropping an [`Upstream`] ends them all.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::request::{self, Request};
use crate::script::{Script, Step};

/// How an exchange ended, seen from the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still under way.
    Open,
    /// Every step was performed.
    Answered,
    /// The client closed or reset before the script was through.
    ClientGone,
    /// The script reset or closed the connection.
    CutByScript,
}

#[derive(Default)]
struct Log {
    scripts: Vec<Script>,
    exchanges: Vec<(Request, Outcome)>,
    /// How many exchanges `forget` dropped: numbers given out keep their meaning.
    forgotten: usize,
    unmatched: usize,
    connections_open: usize,
}

type Fallback = Arc<dyn Fn(&Request) -> Option<Vec<Step>> + Send + Sync>;

struct Shared {
    log: Mutex<Log>,
    changed: watch::Sender<u64>,
    fallback: Option<Fallback>,
    connections: AtomicU64,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        let result = change(&mut self.log());
        self.changed.send_modify(|version| *version += 1);
        result
    }

    fn steps_for(&self, request: &Request) -> Vec<Step> {
        let scripted = self.update(|log| {
            let script = log.scripts.iter_mut().find(|script| script.matches(request))?;
            script.uses_left = script.uses_left.saturating_sub(1);
            Some(script.peek_steps())
        });
        let steps = scripted.or_else(|| self.fallback.as_ref().and_then(|answer| answer(request)));
        steps.unwrap_or_else(|| {
            self.update(|log| log.unmatched += 1);
            let told = format!("no script for {} {}", request.method, request.path);
            Script::on("").answer(501, &[("content-type", "text/plain")], told).into_steps()
        })
    }
}

/// A running scripted upstream.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Upstream {
    /// Starts on a free loopback port; what no script matches gets a 501 and is counted.
    pub async fn start() -> Self {
        Self::bind(0, None).await.expect("a loopback port is free")
    }

    /// Starts with an answer for every request that no script matches.
    pub async fn start_with(
        fallback: impl Fn(&Request) -> Option<Vec<Step>> + Send + Sync + 'static,
    ) -> Self {
        Self::bind(0, Some(Arc::new(fallback))).await.expect("a loopback port is free")
    }

    /// Starts on a given loopback port (0: any free one).
    pub async fn bind(port: u16, fallback: Option<Fallback>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            log: Mutex::default(),
            changed: watch::Sender::new(0),
            fallback,
            connections: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    /// Adds a script behind those already there; the first that matches answers.
    pub fn script(&self, script: Script) -> &Self {
        self.shared.update(|log| log.scripts.push(script));
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in order of arrival.
    pub fn received(&self) -> Vec<Request> {
        self.shared.log().exchanges.iter().map(|(request, _)| request.clone()).collect()
    }

    /// How each exchange ended, in the order of [`received`](Self::received).
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.shared.log().exchanges.iter().map(|(_, outcome)| *outcome).collect()
    }

    /// Forgets the requests received and the scripts given.
    pub fn forget(&self) {
        self.shared.update(|log| {
            log.forgotten += log.exchanges.len();
            log.exchanges.clear();
            log.scripts.clear();
            log.unmatched = 0;
        });
    }

    /// How many requests no script matched.
    pub fn unmatched(&self) -> usize {
        self.shared.log().unmatched
    }

    /// How many client connections are open now.
    pub fn connections_open(&self) -> usize {
        self.shared.log().connections_open
    }

    /// How many connections were ever accepted.
    pub fn connections_accepted(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Resolves once at least `count` requests have arrived in full.
    pub async fn received_at_least(&self, count: usize) {
        self.until(|log| log.exchanges.len() >= count).await;
    }

    /// Resolves once at least `count` exchanges ended with `outcome`.
    pub async fn ended_at_least(&self, count: usize, outcome: Outcome) {
        self.until(|log| log.exchanges.iter().filter(|(_, o)| *o == outcome).count() >= count)
            .await;
    }

    /// Resolves once no client connection is open.
    pub async fn idle(&self) {
        self.until(|log| log.connections_open == 0).await;
    }

    async fn until(&self, holds: impl Fn(&Log) -> bool) {
        let mut changed = self.shared.changed.subscribe();
        let gone = changed.wait_for(|_| holds(&self.shared.log())).await.is_err();
        assert!(!gone, "the log lives as long as the upstream");
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        // A failed accept (too many files) must not end the server under a soak run.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        shared.update(|log| log.connections_open += 1);
        let open = OpenConnection(Arc::clone(&shared));
        connections.spawn(async move {
            // An error here is the client's doing; the exchange's outcome says so.
            serve(stream, number, &open.0).await.ok();
        });
    }
}

struct OpenConnection(Arc<Shared>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.update(|log| log.connections_open -= 1);
    }
}

async fn serve(mut stream: TcpStream, number: u64, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    while let Some(request) = request::read(&mut stream, &mut buffer, number).await? {
        let close = request.wants_close();
        let steps = shared.steps_for(&request);
        let at = shared.update(|log| {
            log.exchanges.push((request, Outcome::Open));
            log.forgotten + log.exchanges.len() - 1
        });
        let outcome = perform(&mut stream, steps).await;
        shared.update(|log| {
            let index = at.checked_sub(log.forgotten);
            if let Some(exchange) = index.and_then(|index| log.exchanges.get_mut(index)) {
                exchange.1 = outcome;
            }
        });
        if close || outcome != Outcome::Answered {
            break;
        }
    }
    Ok(())
}

async fn perform(stream: &mut TcpStream, steps: Vec<Step>) -> Outcome {
    for step in steps {
        let written = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::SendPieces(pieces) => send_pieces(stream, pieces).await,
            Step::Stall(gate) => {
                tokio::select! {
                    () = gate.pass() => Ok(()),
                    () = client_gone(stream) => return Outcome::ClientGone,
                }
            }
            Step::PauseMs(ms) => {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(ms)) => Ok(()),
                    () = client_gone(stream) => return Outcome::ClientGone,
                }
            }
            Step::Reset => {
                stream.set_zero_linger().ok();
                return Outcome::CutByScript;
            }
            Step::Close => {
                stream.shutdown().await.ok();
                return Outcome::CutByScript;
            }
        };
        if written.is_err() {
            return Outcome::ClientGone;
        }
    }
    Outcome::Answered
}

async fn send_pieces(stream: &mut TcpStream, pieces: Vec<bytes::Bytes>) -> io::Result<()> {
    for piece in pieces {
        stream.write_all(&piece).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Resolves when the peer has closed; never when it merely pipelines.
async fn client_gone(stream: &TcpStream) {
    let mut byte = [0_u8; 1];
    match stream.peek(&mut byte).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}
