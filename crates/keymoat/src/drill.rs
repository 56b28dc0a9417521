//! `keymoat incident --drill`: a made-up victim, and every step on it.
//!
//! All of it lies in a folder of its own that is removed at the end. The bad
//! release is a name and a version; none of its code is there.

use crate::incident::{scope, spans, terms};
use crate::keyring::Keyring;
use crate::{incident_gateway, say, survey};
use ::incident::{self, Asked, Claim, Looked, Standing, plan, report};
use base::clock::rfc3339;
use base::{CallId, Clock as _, NanoUsd, SystemClock};
use guard::Advisories;
use guard::host::Host;
use ledger::{
    Batch, Ending, KeyHasher, Keys as _, Position, RecordId, Spend as _, SpendRecord, SpoolId,
    Store as _, VirtualKey,
};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{DataDir, Sqlite};

const HOUR_MS: i64 = 3_600_000;
/// Virtual keys of the made-up gateway.
const KEYS: [&str; 3] = ["shop", "search", "batch"];

/// The made-up victim; its folder goes away with it.
struct Victim(PathBuf);

impl Drop for Victim {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Every step on a made-up victim; how long each took.
pub(crate) fn run(output: Option<&Path>) -> Result<String, String> {
    let folder = std::env::temp_dir().join(format!("keymoat-drill-{}", std::process::id()));
    let text = |error: std::io::Error| format!("{}: {error}", folder.display());
    DirBuilder::new().mode(0o700).create(&folder).map_err(text)?;
    let victim = Victim(folder.clone());
    let clock = SystemClock::new();
    let now_ms = clock.unix_ms();
    machine(&victim.0).map_err(text)?;
    gateway(&victim.0.join("data"), now_ms)?;
    let mut took = Vec::new();
    let began = clock.monotonic();
    let mut lap = |what: &str| {
        let ms = clock.monotonic().saturating_sub(began).as_millis();
        took.push(vec![what.to_owned(), format!("{ms} ms")]);
    };

    let advisories = Advisories::built_in();
    let asked =
        Asked { advisories: vec!["MAL-2026-2144".into()], drill: true, now_ms, ..Asked::default() };
    let mut incident = incident::open(&asked, &advisories)?;
    // The true window is past; the made-up keys were stolen two hours ago.
    let from = Some(rfc3339(now_ms - 2 * HOUR_MS));
    incident.window = vec![incident::Bound { from, to: None, source: "the drill".into() }];
    lap("opened");

    let keyring = Keyring::database(&victim.0.join("data"))?;
    let frozen = incident_gateway::freeze(&incident, &keyring, &|_| true)?;
    if frozen.new != KEYS.len() {
        let why = frozen.problem.unwrap_or_default();
        return Err(format!("{} of {} keys were frozen {why}", frozen.new, KEYS.len()));
    }
    incident.containment = Some(frozen.containment);
    incident.happened(&rfc3339(clock.unix_ms()), "froze all virtual keys", "us");
    lap("all virtual keys frozen");

    let looked = Looked {
        host: Host::at(&victim.0),
        host_name: "made-up-laptop".into(),
        paths: vec![victim.0.join("home/ann/shop")],
        terms: terms(now_ms),
    };
    let found = scope(&incident, &looked, &victim.0.join("data/inventories"), &advisories);
    incident.found(found);
    lap("scope");
    let own = "none. The made-up gateway runs elsewhere.".to_owned();
    incident.readable(incident::exposure(&looked, survey::variables(), (own, false)));
    lap("exposure");
    let (window, before) = spans(&incident, now_ms, 168);
    let mut usage = incident_gateway::usage(
        &victim.0.join("data"),
        window,
        before,
        &incident.facts.indicators,
    )?;
    usage.at = rfc3339(clock.unix_ms());
    incident.usage = Some(usage);
    lap("use");
    let why = "a bad release was installed, and its traces are there".to_owned();
    let at = rfc3339(clock.unix_ms());
    incident.claims.push(Claim { at, standing: Standing::Confirmed, why });
    plan::update(&mut incident);
    let kept = incident::save(&victim.0.join("data/incidents"), &incident)?;
    let again = incident::load(&victim.0.join("data/incidents"), &incident.id)?;
    let text = report::markdown(&again);
    lap("report");

    check(&again, &text)?;
    drop(kept);
    if let Some(path) = output {
        say::file(path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let mut rows = vec![vec!["STEP".to_owned(), "SINCE IT BEGAN".to_owned()]];
    rows.extend(took);
    let held = output.map(|path| format!("\n{} holds the report.\n", path.display()));
    Ok(format!(
        "This was a drill on a made-up victim; nothing else was touched.\n\n{}{}",
        say::table(&rows),
        held.unwrap_or_default()
    ))
}

/// A drill that finds less than was planted has failed.
fn check(incident: &incident::Incident, text: &str) -> Result<(), String> {
    let planted = [
        ("litellm 1.82.8", "the bad release"),
        ("sysmon.py", "what it left behind"),
        ("an OpenAI key", "the key that was readable"),
        ("203.0.113.9", "the stolen key's use"),
    ];
    let scope = incident.scope.as_ref().map_or(0, |scope| scope.places.len());
    match planted.iter().find(|(word, _)| !text.contains(word)) {
        _ if scope < 2 => Err(format!("the drill failed: {scope} places found of 2")),
        Some((_, what)) => Err(format!("the drill failed: the report does not show {what}")),
        None => Ok(()),
    }
}

fn machine(root: &Path) -> std::io::Result<()> {
    let site = "home/ann/shop/.venv/lib/python3.12/site-packages/litellm-1.82.8.dist-info";
    // Drawn for the occasion: keys of nobody.
    let random = base::id::random::<32>()?;
    let key = format!("sk-proj-{}Qx7", base::id::hex(&random));
    let files = [
        (format!("{site}/METADATA"), "Metadata-Version: 2.1\nName: litellm\nVersion: 1.82.8\n\n".to_owned()),
        (format!("{site}/RECORD"), format!("{}/METADATA,,\n", "litellm-1.82.8.dist-info")),
        ("home/ann/shop/uv.lock".into(), "version = 1\n\n[[package]]\nname = \"litellm\"\nversion = \"1.82.8\"\nsource = { registry = \"https://index.example/simple\" }\n".into()),
        ("home/ann/shop/.env".into(), format!("OPENAI_API_KEY={key}\n")),
        ("home/ann/.config/sysmon/sysmon.py".into(), String::new()),
        ("proc/net/tcp".into(), String::new()),
    ];
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, text)?;
    }
    Ok(())
}

/// A database with three keys, a week of calls, and a burst with one of them.
fn gateway(folder: &Path, now_ms: i64) -> Result<(), String> {
    let dir = DataDir::open(folder).map_err(|error| error.to_string())?;
    let hasher = KeyHasher::new(&dir.pepper().map_err(|error| error.to_string())?);
    let store = Sqlite::open(&dir.database(), now_ms).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    for alias in KEYS {
        let (_, hash) = hasher.generate_key().map_err(|error| error.to_string())?;
        let mut key = VirtualKey::new(hash, "sk-...dril".to_owned(), now_ms);
        key.alias = Some(alias.to_owned());
        let insert = store.insert_key(key);
        runtime.block_on(insert).map_err(|error| error.to_string())?;
        let usual = (1..168).map(|hour| (now_ms - hour * HOUR_MS, "10.0.0.7"));
        let stolen = (0..120).map(|minute| (now_ms - minute * 60_000, "203.0.113.9"));
        let stolen = stolen.filter(|_| alias == "shop");
        for (at_ms, client) in usual.chain(stolen) {
            let random = base::id::random::<10>().map_err(|error| error.to_string())?;
            let id = RecordId { call: CallId::new(at_ms, random), attempt: 0 };
            records.push(SpendRecord {
                ending: Ending::Complete,
                status: 200,
                cost: NanoUsd(12_000_000),
                model_group: "gpt".into(),
                provider: "openai".into(),
                api_base: "https://provider.example".into(),
                key_hash: Some(hash),
                key_alias: Some(alias.into()),
                requester_ip: Some(client.into()),
                ..SpendRecord::new(id, at_ms)
            });
        }
    }
    let to = Position { segment: 1, offset: 1 };
    let batch = Batch { records, ..Batch::new(SpoolId([7; 16]), now_ms, to) };
    runtime.block_on(store.drain(Arc::new(batch))).map_err(|error| error.to_string())?;
    runtime.block_on(store.close()).map_err(|error| error.to_string())
}
