//! A gateway with its store in a folder of its own, and a console before it.

use base::{CallId, Clock, KeyHash, NanoUsd};
use bytes::Bytes;
use config::Config;
use console::{Console, Parts};
use gateway::Gateway;
use gateway::principal::Principal;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use ledger::{CostSource, Ending, KeyHasher, Opened, RecordId, SpendRecord, UsageCounts};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use store::{DataDir, State};
use testkit::golden::Case;

pub(crate) const MASTER: &str = "sk-master-of-the-house";

/// 2026-03-24T10:39:00.123Z
pub(crate) const NOW_MS: i64 = 1_774_348_740_123;

pub(crate) const CONFIG: &str = r#"
model_list:
  - model_name: chat
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-secret-of-the-provider
  - model_name: chat
    litellm_params:
      model: openai/gpt-pretend
      api_base: http://127.0.0.1:9
      api_key: sk-secret-of-the-provider
      input_cost_per_token: 2.6e-06
      output_cost_per_token: 0.00001
    model_info:
      id: pretend
      team: red
  - model_name: embed
    litellm_params:
      model: openai/text-embedding-3-small
      api_key: sk-secret-of-the-provider
  - model_name: anthropic/*
    litellm_params:
      model: anthropic/*
      api_key: sk-secret-of-the-provider
router_settings:
  model_group_alias:
    fast: chat
    ghost:
      model: chat
      hidden: true
litellm_settings:
  fallbacks: [{"chat": ["embed"]}]
"#;

struct HeldClock(AtomicI64);

impl Clock for HeldClock {
    fn unix_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.unix_ms().unsigned_abs())
    }
}

pub(crate) struct House {
    pub(crate) console: Console,
    pub(crate) gateway: Arc<Gateway>,
    clock: Arc<HeldClock>,
    state: Option<State>,
    folder: PathBuf,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub(crate) fn error(&self) -> Value {
        self.json()["error"].clone()
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// Byte for byte, a member a line; numbers stay as they are spelled.
    #[track_caller]
    pub(crate) fn is_golden(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/answers").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let lines = self.text.replace(",\"", ",\n\"").replace("},{", "},\n{");
        let case = Case { name: name.to_owned(), folder };
        case.expect("answer.json", &format!("{}\n{lines}\n", self.status.as_u16()));
    }
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(CONFIG).await
    }

    pub(crate) async fn with(yaml: &str) -> Self {
        let name = base::id::hex(&base::id::random::<8>().unwrap());
        let folder = std::env::temp_dir().join(format!("keymoat-console-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        let config = config(&folder, yaml);
        let clock = Arc::new(HeldClock(AtomicI64::new(NOW_MS)));
        let dir = DataDir::open(&folder.join("data")).unwrap();
        let observer: store::Observer = Box::new(|_| {});
        let state = store::open(
            dir,
            store::Settings::default(),
            &(Arc::clone(&clock) as Arc<dyn Clock>),
            observer,
        )
        .unwrap();
        // A pepper that everybody knows, so that hashes can stand in goldens.
        let hasher = KeyHasher::new(&[7; 32]);
        let parts = gateway::Parts {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            egress: egress::Egress::new(egress::Settings::default()).unwrap(),
            store: Arc::clone(&state.store),
            journal: Arc::clone(&state.journal),
            master: hasher.hash(MASTER),
            hasher,
            spool_dir: folder.join("bodies"),
            seed: 1,
        };
        let gateway = Gateway::new(parts, &config).await.unwrap();
        let console = Console::new(Parts {
            gateway: Arc::clone(&gateway),
            render_metrics: Arc::new(|| "# TYPE litellm_spend_metric counter\n".to_owned()),
        });
        Self { console, gateway, clock, state: Some(state), folder }
    }

    pub(crate) fn advance(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    /// Closes the database under the console.
    pub(crate) fn lose_the_store(&mut self) {
        drop(self.state.take());
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response: Response<console::Body> = self.console.answer(request).await;
        let (parts, body) = response.into_parts();
        let bytes = gateway::body::read_capped(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    pub(crate) async fn get_as(&self, key: &str, path: &str) -> Answer {
        let request = Request::get(path).header("authorization", format!("Bearer {key}"));
        self.send(request.body(Full::default()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_as(MASTER, path).await
    }

    pub(crate) async fn post_as(&self, key: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        let request = Request::post(path).header("authorization", format!("Bearer {key}"));
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.post_as(MASTER, path, body).await
    }

    /// A new key.
    pub(crate) async fn new_key(&self, body: &'static str) -> String {
        let made = self.post("/key/generate", body).await.ok();
        made["key"].as_str().unwrap().to_owned()
    }

    pub(crate) fn hash(&self, key: &str) -> KeyHash {
        self.gateway.hasher().hash(key)
    }

    /// The caller as the pipeline sees it.
    pub(crate) async fn principal(&self, key: &str) -> Arc<Principal> {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
        let runtime = self.gateway.runtime();
        let asker = gateway::principal::Asker { headers: &headers, client_ip: None, path: "/test" };
        gateway::authenticate::authenticate(&self.gateway, &runtime, &asker).await.unwrap()
    }

    /// One attempt by this key, through the journal, as the gateway writes it.
    pub(crate) fn spend(
        &self,
        key: Option<&str>,
        call: u8,
        cost: i64,
        change: impl FnOnce(&mut SpendRecord),
    ) {
        let start_ms = self.clock.unix_ms();
        let id = RecordId { call: CallId::new(start_ms, [call; 10]), attempt: 0 };
        let mut record = SpendRecord {
            request_id: format!("call-{call}").into(),
            call_type: "acompletion".into(),
            ending: Ending::Complete,
            status: 200,
            cost: NanoUsd(cost),
            cost_source: CostSource::Computed,
            price_version: Some("configured".into()),
            usage: UsageCounts { input: 11, output: 7, cache_read: 3, ..UsageCounts::default() },
            model_group: "chat".into(),
            upstream_model: "gpt-pretend".into(),
            deployment_id: "pretend".into(),
            provider: "openai".into(),
            api_base: "http://127.0.0.1:9".into(),
            key_hash: key.map(|key| self.hash(key)),
            first_byte_ms: Some(start_ms + 20),
            end_ms: start_ms + 50,
            ..SpendRecord::new(id, start_ms)
        };
        change(&mut record);
        let opened = Opened {
            id,
            key_hash: record.key_hash,
            user_id: None,
            team_id: None,
            organization_id: None,
            end_user: None,
            reserved: record.cost,
            reserved_ms: start_ms,
            start_ms,
            call_type: "acompletion".into(),
            model_group: "chat".into(),
            upstream_model: "gpt-pretend".into(),
            deployment_id: "pretend".into(),
            provider: "openai".into(),
            request_id: "".into(),
        };
        drop(self.gateway.journal().open(&opened).unwrap());
        drop(self.gateway.journal().settle(&record).unwrap());
    }
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.state.take());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn config(folder: &Path, yaml: &str) -> Config {
    let path = folder.join("config.yaml");
    std::fs::write(&path, yaml).unwrap();
    let data = folder.join("data").display().to_string();
    let env = BTreeMap::from([("KEYMOAT_DATA_DIR".to_owned(), data)]);
    let loaded = config::load(&path, &env);
    loaded.config.unwrap_or_else(|| panic!("{}", loaded.report.render_problems(false)))
}
