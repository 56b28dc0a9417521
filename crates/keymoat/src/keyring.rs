//! Virtual keys, asked for and changed through the gateway that runs, or in its
//! database where none does.

use crate::cli::Remote;
use crate::{guard_data, remote};
use base::{Clock as _, KeyHash, Secret, SystemClock};
use http::Method;
use ledger::{CANARY_TAG, KeyFilter, KeyHasher, Keys as _, VirtualKey, public_name};
use serde_json::{Value, json};
use store::{DataDir, Sqlite};

/// Keys that are asked for at a time.
const PAGE: u32 = 100;
/// Keys in all, so that a list that never ends does.
const KEYS_MAX: usize = 1_000_000;

/// Where the keys are.
pub(crate) enum Keyring {
    /// A gateway that runs.
    Gateway(Remote),
    /// Its database.
    Database(Box<Database>),
}

/// A database that no gateway has open.
pub(crate) struct Database {
    dir: DataDir,
    store: Sqlite,
    runtime: tokio::runtime::Runtime,
}

/// One virtual key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// Its hash, which is its public id.
    pub(crate) hash: String,
    /// As shown to people: `sk-...abcd`.
    pub(crate) name: String,
    /// Its alias, or nothing.
    pub(crate) alias: String,
    /// Whether it is refused.
    pub(crate) blocked: bool,
    /// Whether it is a decoy.
    pub(crate) is_canary: bool,
    /// When it was used last, RFC 3339, or nothing.
    pub(crate) last_active: String,
    /// Where a decoy was put, or nothing.
    pub(crate) file: String,
}

impl Keyring {
    /// The gateway, if one answers; else its database.
    pub(crate) fn open(asked: &Remote) -> Result<Self, String> {
        let Some(problem) = remote::unreachable(asked) else {
            return Ok(Self::Gateway(asked.clone()));
        };
        let path = guard_data::data_dir()?;
        if !path.join("keymoat.db").exists() {
            return Err(format!(
                "{problem}; and there is no database in {}, which KEYMOAT_DATA_DIR names",
                path.display()
            ));
        }
        Self::database(&path).map_err(|error| {
            // One that has its data open does run: it only listens elsewhere.
            let what = problem.lines().next().unwrap_or_default();
            if error.contains("is in use by") {
                let shown = path.display();
                return format!("{what}; but a gateway has {shown} open: it listens elsewhere\nhint: give its address with --url or KEYMOAT_URL");
            }
            format!("{what}; and {error}")
        })
    }

    /// The database in `path`, which no gateway may have open.
    pub(crate) fn database(path: &std::path::Path) -> Result<Self, String> {
        let dir = DataDir::open(path).map_err(|error| error.to_string())?;
        let store = Sqlite::open(&dir.database(), SystemClock::new().unix_ms());
        let store = store.map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok(Self::Database(Box::new(Database { dir, store, runtime })))
    }

    /// Where they are, for people.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Gateway(remote) => format!("the gateway at {}", remote.url),
            Self::Database(database) => {
                format!("the database in {}", database.dir.path().display())
            }
        }
    }

    /// Every key.
    pub(crate) fn all(&self) -> Result<Vec<Key>, String> {
        let mut keys = Vec::new();
        for page in 1.. {
            let some = match self {
                Self::Gateway(asked) => {
                    let path = format!("/key/list?page={page}&size={PAGE}&return_full_object=true");
                    let listed = remote::ask(asked, Method::GET, &path, None)?;
                    let listed = listed.get("keys").and_then(Value::as_array);
                    listed.into_iter().flatten().map(Key::of_json).collect::<Vec<_>>()
                }
                Self::Database(database) => {
                    let listed = database.store.list_keys(KeyFilter::default(), page, PAGE);
                    let (listed, _) =
                        database.runtime.block_on(listed).map_err(|e| e.to_string())?;
                    listed.iter().map(Key::of_row).collect()
                }
            };
            let is_last = some.len() < PAGE as usize;
            keys.extend(some);
            if is_last || keys.len() >= KEYS_MAX {
                break;
            }
        }
        Ok(keys)
    }

    /// Refuses a key from now on, or lets it in again.
    pub(crate) fn set_blocked(&self, hash: &str, blocked: bool) -> Result<(), String> {
        match self {
            Self::Gateway(asked) => {
                let path = if blocked { "/key/block" } else { "/key/unblock" };
                remote::ask(asked, Method::POST, path, Some(json!({"key": hash}))).map(drop)
            }
            Self::Database(database) => {
                let hash = KeyHash::from_hex(hash).ok_or("not the hash of a key")?;
                let now_ms = SystemClock::new().unix_ms();
                let changed = database.store.set_blocked(hash, blocked, now_ms);
                database.runtime.block_on(changed).map(drop).map_err(|error| error.to_string())
            }
        }
    }

    /// Makes a decoy that is said to stand in `file`.
    pub(crate) fn make_canary(&self, alias: &str, file: &str) -> Result<Secret, String> {
        let metadata = json!({"keymoat_canary": {"file": file}});
        match self {
            Self::Gateway(asked) => {
                let body = json!({
                    "key_alias": alias, "tags": [CANARY_TAG], "max_budget": 0, "metadata": metadata,
                });
                let made = remote::ask(asked, Method::POST, "/key/generate", Some(body))?;
                let key = made.get("key").and_then(Value::as_str);
                key.map(|key| Secret::new(key.to_owned()))
                    .ok_or_else(|| "the gateway made no key".to_owned())
            }
            Self::Database(database) => {
                let pepper = database.dir.pepper().map_err(|error| error.to_string())?;
                let (secret, hash) =
                    KeyHasher::new(&pepper).generate_key().map_err(|error| error.to_string())?;
                let now_ms = SystemClock::new().unix_ms();
                let mut key = VirtualKey::new(hash, public_name(secret.expose()), now_ms);
                key.alias = Some(alias.to_owned());
                key.tags = vec![CANARY_TAG.to_owned()];
                key.max_budget = Some(base::NanoUsd::ZERO);
                key.metadata = metadata.to_string();
                let inserted = database.store.insert_key(key);
                database.runtime.block_on(inserted).map_err(|error| error.to_string())?;
                Ok(secret)
            }
        }
    }
}

impl Key {
    fn of_json(row: &Value) -> Self {
        let text =
            |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let tags = row.get("tags").and_then(Value::as_array);
        let file = row.pointer("/metadata/keymoat_canary/file").and_then(Value::as_str);
        Self {
            hash: text("token"),
            name: text("key_name"),
            alias: text("key_alias"),
            blocked: row.get("blocked").and_then(Value::as_bool).unwrap_or_default(),
            is_canary: tags.into_iter().flatten().any(|tag| tag == CANARY_TAG),
            last_active: text("last_active"),
            file: file.unwrap_or_default().to_owned(),
        }
    }

    fn of_row(key: &VirtualKey) -> Self {
        let metadata: Value = serde_json::from_str(&key.metadata).unwrap_or_default();
        let file = metadata.pointer("/keymoat_canary/file").and_then(Value::as_str);
        Self {
            hash: key.hash.to_string(),
            name: key.name.clone(),
            alias: key.alias.clone().unwrap_or_default(),
            blocked: key.blocked,
            is_canary: key.is_canary(),
            last_active: key.last_active_ms.map(base::clock::rfc3339).unwrap_or_default(),
            file: file.unwrap_or_default().to_owned(),
        }
    }
}
