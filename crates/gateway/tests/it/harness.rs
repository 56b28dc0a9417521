//! A gateway on a temporary directory, with real sockets behind it.
//!
//! The clock stands still unless a test moves it. The journal is the store's
//! own; what passes through it is kept, so that a test can wait for records.

use base::{Clock, KeyHash};
use bytes::Bytes;
use gateway::admission::Received;
use gateway::{Body, Gateway, Parts, paths, request};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use ledger::{
    Allowance, CellUsage, Journal, KeyChange, KeyHasher, Opened, Opening, SpendRecord, Subject,
    VirtualKey, Written,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::sync::watch;

/// 2026-03-24T10:39:00Z
pub(crate) const NOW_MS: i64 = 1_774_348_740_000;
/// The administrator's key.
pub(crate) const MASTER: &str = "sk-0f9b2c3d4e5f60718293a4b5c6d7e8f9";
/// The key of every deployment that names none.
pub(crate) const PROVIDER_KEY: &str = "sk-upstream-5e884898da28047151d0e56f";

/// No test takes so long, on any machine.
const STUCK: Duration = Duration::from_secs(50);

/// What 11 tokens in and 7 out cost at the prices of [`deployment`].
pub(crate) const CANNED_COST_NANOUSD: i64 = 11 * 1000 + 7 * 2000;

/// Time that a test moves.
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn advance_ms(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> i64 {
        NOW_MS + self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

/// The store's journal, watched.
struct Watched {
    journal: Arc<dyn Journal>,
    opened: Mutex<Vec<Opened>>,
    settled: watch::Sender<Vec<SpendRecord>>,
    is_full: AtomicBool,
    is_broken: AtomicBool,
    settles_nothing: AtomicBool,
}

impl Journal for Watched {
    fn ready(&self) -> Written {
        self.journal.ready()
    }

    fn change_key(&self, change: &KeyChange) -> io::Result<Written> {
        self.journal.change_key(change)
    }

    fn open(&self, opened: &Opened) -> io::Result<Written> {
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.opened.lock().unwrap().push(opened.clone());
        self.journal.open(opened)
    }

    fn settle(&self, record: &SpendRecord) -> io::Result<Written> {
        if self.settles_nothing.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.journal.settle(record);
        self.settled.send_modify(|all| all.push(record.clone()));
        written
    }

    fn written(&self) -> u64 {
        self.journal.written()
    }

    fn depth(&self) -> u64 {
        self.journal.depth()
    }

    fn is_full(&self) -> bool {
        self.is_full.load(Ordering::SeqCst) || self.journal.is_full()
    }
}

/// A directory that goes away with the test.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let name = format!("keymoat-gateway-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// See the module.
pub(crate) struct Bench {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) clock: Arc<ManualClock>,
    journal: Arc<Watched>,
    drained: watch::Receiver<usize>,
    keys: AtomicU32,
    _watchdog: mpsc::Sender<()>,
    head: String,
    // Closed before its directory goes.
    _state: store::State,
    dir: TempDir,
}

impl Bench {
    /// A gateway that serves this configuration.
    pub(crate) async fn new(yaml: &str) -> Self {
        Self::with_general(yaml, "").await
    }

    /// As [`Bench::new`], with this in `general_settings`.
    pub(crate) async fn with_general(yaml: &str, general: &str) -> Self {
        let dir = TempDir::new();
        let head = format!("general_settings: {{master_key: {MASTER}, {general}}}\n");
        let config = load(&dir.0, &format!("{head}{yaml}"));
        let clock = Arc::new(ManualClock(AtomicI64::new(0)));
        let data = store::DataDir::open(&dir.0.join("data")).unwrap();
        let hasher = KeyHasher::new(&data.pepper().unwrap());
        let (count, drained) = watch::channel(0);
        let observer: store::Observer =
            Box::new(move |records| count.send_modify(|count| *count += records.len()));
        let state = store::open(
            data,
            store::Settings::default(),
            &(Arc::clone(&clock) as Arc<dyn Clock>),
            observer,
        )
        .unwrap();
        let journal = Arc::new(Watched {
            journal: Arc::clone(&state.journal),
            opened: Mutex::default(),
            settled: watch::Sender::default(),
            is_full: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
            settles_nothing: AtomicBool::new(false),
        });
        let parts = Parts {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            egress: egress::Egress::new(egress::Settings::default()).unwrap(),
            store: Arc::clone(&state.store),
            journal: Arc::clone(&journal) as Arc<dyn Journal>,
            master: hasher.hash(MASTER),
            hasher,
            spool_dir: dir.0.join("bodies"),
            seed: 7,
        };
        let gateway = Gateway::new(parts, &config).await.unwrap();
        let keys = AtomicU32::new(0);
        Self {
            gateway,
            clock,
            journal,
            drained,
            keys,
            _watchdog: watchdog(),
            head,
            _state: state,
            dir,
        }
    }

    /// Takes another configuration over, with the same `general_settings`.
    pub(crate) async fn reload(&self, yaml: &str) -> Result<(), String> {
        self.gateway.reload(&load(&self.dir.0, &format!("{}{yaml}", self.head))).await
    }

    /// A new virtual key; `limit` sets what limits it.
    pub(crate) async fn key(&self, limit: impl FnOnce(&mut VirtualKey)) -> String {
        let number = self.keys.fetch_add(1, Ordering::SeqCst);
        let key = format!("sk-virtual-key-number-{number:020}");
        let hash = self.gateway.hasher().hash(&key);
        let mut row = VirtualKey::new(hash, ledger::public_name(&key), NOW_MS);
        limit(&mut row);
        self.gateway.store().insert_key(row).await.unwrap();
        key
    }

    /// The stored form of a key.
    pub(crate) fn hash(&self, key: &str) -> KeyHash {
        self.gateway.hasher().hash(key)
    }

    /// A POST, not sent yet.
    pub(crate) fn post(&self, path: &str, key: &str, body: impl Into<Bytes>) -> Call {
        let call = Call {
            gateway: Arc::clone(&self.gateway),
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        call.header("authorization", &format!("Bearer {key}"))
    }

    /// A chat completion by the administrator.
    pub(crate) fn chat(&self, body: impl Into<Bytes>) -> Call {
        self.post("/v1/chat/completions", MASTER, body)
    }

    /// A message by the administrator.
    pub(crate) fn message(&self, body: impl Into<Bytes>) -> Call {
        self.post("/v1/messages", MASTER, body)
    }

    /// The records once there are `count`, in the order of their writing.
    pub(crate) async fn records(&self, count: usize) -> Vec<SpendRecord> {
        let mut settled = self.journal.settled.subscribe();
        let records = settled.wait_for(|all| all.len() >= count).await.unwrap().clone();
        assert_eq!(records.len(), count, "{records:#?}");
        records
    }

    /// The one record.
    pub(crate) async fn record(&self) -> SpendRecord {
        self.records(1).await.remove(0)
    }

    /// Records written by now.
    pub(crate) fn settled(&self) -> usize {
        self.journal.settled.borrow().len()
    }

    /// What was written down before an upstream was called.
    pub(crate) fn opened(&self) -> Vec<Opened> {
        self.journal.opened.lock().unwrap().clone()
    }

    /// Makes the spool full, or not.
    pub(crate) fn fill_spool(&self, is_full: bool) {
        self.journal.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Makes the spool unwritable, or not.
    pub(crate) fn break_journal(&self, is_broken: bool) {
        self.journal.is_broken.store(is_broken, Ordering::SeqCst);
    }

    /// Lets no record be written, or again.
    pub(crate) fn break_settling(&self, is_broken: bool) {
        self.journal.settles_nothing.store(is_broken, Ordering::SeqCst);
    }

    /// Resolves once `count` records are in the database.
    pub(crate) async fn drained(&self, count: usize) {
        self.drained.clone().wait_for(|drained| *drained >= count).await.unwrap();
    }

    /// What a key's budget looks like now.
    pub(crate) fn money(&self, key: &str, limit: base::NanoUsd) -> CellUsage {
        self.usage(Allowance::money(Subject::Key(self.hash(key)), limit, None))
    }

    /// What a key has in flight now.
    pub(crate) fn in_flight(&self, key: &str, limit: u64) -> i64 {
        self.usage(Allowance::in_flight(Subject::Key(self.hash(key)), limit)).held
    }

    /// An allowance as it stands.
    pub(crate) fn usage(&self, allowance: Allowance) -> CellUsage {
        let book = self.gateway.book();
        book.usage(&book.open(allowance, Opening::default()))
    }
}

/// A test that waits for what never comes fails, whatever its clock says.
fn watchdog() -> mpsc::Sender<()> {
    let (alive, watched) = mpsc::channel();
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    std::thread::spawn(move || {
        if watched.recv_timeout(STUCK) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Not `eprintln`: what a test prints is shown at its end only.
            io::stderr().write_all(format!("{test} is stuck\n").as_bytes()).unwrap();
            std::process::abort();
        }
    });
    alive
}

fn load(dir: &Path, yaml: &str) -> config::Config {
    let file = dir.join("config.yaml");
    std::fs::write(&file, yaml).unwrap();
    let env: BTreeMap<String, String> =
        BTreeMap::from([("HOME".to_owned(), dir.display().to_string())]);
    let loaded = config::load(&file, &env);
    let problems = loaded.report.render_problems(false);
    loaded.config.unwrap_or_else(|| panic!("{problems}"))
}

/// One deployment of a list: prices of 1 and 2 micro-dollars a token, our key.
pub(crate) fn deployment(group: &str, model: &str, api_base: &str) -> String {
    deployment_with(group, model, api_base, "")
}

/// As [`deployment`], with more `litellm_params`, each a line `name: value`.
pub(crate) fn deployment_with(group: &str, model: &str, api_base: &str, more: &str) -> String {
    let more: Vec<String> = more.lines().map(|line| format!("      {line}\n")).collect();
    let more = more.concat();
    format!(
        "  - model_name: {group}\n    litellm_params:\n      model: {model}\n      \
         api_base: {api_base}\n      api_key: {PROVIDER_KEY}\n      \
         input_cost_per_token: 0.000001\n      output_cost_per_token: 0.000002\n{more}"
    )
}

/// A server of the operator's own, without a price.
pub(crate) fn local(group: &str, api_base: &str) -> String {
    format!(
        "  - model_name: {group}\n    litellm_params:\n      model: hosted_vllm/llama\n      \
         api_base: {api_base}\n"
    )
}

/// A configuration of these deployments and these further sections.
pub(crate) fn config(deployments: &[String], sections: &str) -> String {
    format!("model_list:\n{}{sections}\n", deployments.concat())
}

/// A POST to the library face.
pub(crate) struct Call {
    gateway: Arc<Gateway>,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Call {
    /// With this header.
    #[must_use]
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// The answer, its body unread.
    pub(crate) async fn send(self) -> Response<Body> {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let matched = paths::surface(path).unwrap();
        let query = paths::Query::read(Some(query));
        let clock = self.gateway.clock();
        let received = Received {
            runtime: self.gateway.runtime(),
            surface: matched.surface,
            route: matched.route,
            framing: matched.surface.row().framing(query.is_sse),
            path_model: matched.model,
            headers: self.headers,
            client_ip: None,
            at_ms: clock.unix_ms(),
            at: clock.monotonic(),
            gateway: Arc::clone(&self.gateway),
        };
        request::handle(received, Full::new(self.body)).await
    }

    /// The answer, its body read to the end.
    pub(crate) async fn answer(self) -> Answer {
        let (parts, body) = self.send().await.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: read(body).await }
    }

    /// Hangs up as soon as `event` has happened, which must be before the
    /// answer.
    pub(crate) async fn hang_up_after(self, event: impl Future<Output = ()>) {
        let mut answer = Box::pin(self.send());
        tokio::select! {
            response = &mut answer => panic!("answered with {} first", response.status()),
            () = event => {}
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `error.message` of either dialect.
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// The next piece of a body.
pub(crate) async fn next(body: &mut Body) -> Option<Bytes> {
    let frame = body.frame().await?.unwrap();
    Some(frame.into_data().unwrap())
}

/// A body to its end.
pub(crate) async fn read(mut body: Body) -> Bytes {
    let mut whole = Vec::new();
    while let Some(piece) = next(&mut body).await {
        whole.extend_from_slice(&piece);
    }
    whole.into()
}

/// Reads until `text` has come; what was read.
pub(crate) async fn read_until(body: &mut Body, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let piece = next(body).await.unwrap_or_else(|| panic!("the end before {text}: {read}"));
        read.push_str(std::str::from_utf8(&piece).unwrap());
    }
    read
}
