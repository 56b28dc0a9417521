//! What an incident needs of a gateway: its records, and its keys frozen.

use crate::keyring::{Key, Keyring};
use ::incident::usage::{self, Call, Span, Usage};
use ::incident::{Containment, Frozen, Incident};
use base::clock::rfc3339;
use base::{Clock as _, SystemClock};
use ledger::{Spend as _, SpendFilter, SpendRecord};
use std::path::Path;
use store::Sqlite;

/// Records that are read at a time.
const PAGE: u32 = 1000;
/// Records in all, so that a year of them does not fill memory.
const RECORDS_MAX: u64 = 1_000_000;

/// What the records in `data_dir` say of `window`, compared with `before`.
pub(crate) fn usage(
    data_dir: &Path,
    window: Span,
    before: Span,
    indicators: &[String],
) -> Result<Usage, String> {
    let database = data_dir.join("keymoat.db");
    if !database.exists() {
        return Err(format!(
            "there is no gateway's database in {}\nhint: run this where the gateway keeps its data, or give that folder, or a copy of it, with --data",
            data_dir.display()
        ));
    }
    let store = Sqlite::open(&database, window.to_ms).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let filter = SpendFilter {
        start_ms: Some(before.from_ms),
        end_ms: Some(window.to_ms),
        ..SpendFilter::default()
    };
    let (mut calls, mut offset) = (Vec::new(), 0);
    loop {
        let page = store.spend_logs(filter.clone(), PAGE, offset);
        let page = runtime.block_on(page).map_err(|error| error.to_string())?;
        calls.extend(page.iter().map(call));
        offset += u64::from(PAGE);
        if page.len() < PAGE as usize || offset >= RECORDS_MAX {
            break;
        }
    }
    let mut usage = usage::judge(&calls, window, before, indicators);
    usage.source = format!("{} spend records in {}", calls.len(), data_dir.display());
    if offset >= RECORDS_MAX {
        usage.unknown.push(format!("records before the latest {RECORDS_MAX} were not read"));
    }
    usage.unknown.push("what programs sent past the gateway: there is no egress log; use of a provider's key elsewhere shows only on the provider's own usage page".to_owned());
    usage.unknown.push("records that the gateway wrote down and has not put into its database yet (the last second, or a spool that a crash left)".to_owned());
    Ok(usage)
}

fn call(record: &SpendRecord) -> Call {
    let key = match (&record.key_alias, record.key_hash) {
        (Some(alias), _) => alias.to_string(),
        (None, Some(hash)) => hash.to_string().chars().take(16).collect(),
        (None, None) => "the master key".to_owned(),
    };
    let canary = record.error_class.as_deref() == Some(gateway::canary::ERROR_CLASS);
    let credential = record.credential_id.as_ref().unwrap_or(&record.provider);
    Call {
        at_ms: record.start_ms,
        key,
        model: record.model_group.to_string(),
        credential: credential.to_string(),
        to: record.api_base.to_string(),
        client: record.requester_ip.as_deref().unwrap_or_default().to_owned(),
        cost: record.cost,
        refused: record.ending == ledger::Ending::Refused,
        canary,
    }
}

/// What a freeze came to.
pub(crate) struct Freeze {
    /// All that this incident has frozen.
    pub(crate) containment: Containment,
    /// How many of them are new.
    pub(crate) new: usize,
    /// How long these took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Why it stopped before the end, if it did.
    pub(crate) problem: Option<String>,
}

/// Freezes the keys that `is_meant` means and that are not frozen yet.
pub(crate) fn freeze(
    incident: &Incident,
    keyring: &Keyring,
    is_meant: &dyn Fn(&Key) -> bool,
) -> Result<Freeze, String> {
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let keys = keyring.all()?;
    let (mut frozen, mut problem) = (Vec::new(), None);
    for key in keys.iter().filter(|key| !key.blocked && !key.is_canary && is_meant(key)) {
        if let Err(why) = keyring.set_blocked(&key.hash, true) {
            let done = frozen.len();
            problem = Some(format!(
                "{done} of the virtual keys were frozen, then: {why}\nhint: repeat the command"
            ));
            break;
        }
        let name = if key.alias.is_empty() { key.name.clone() } else { key.alias.clone() };
        frozen.push(Frozen { hash: key.hash.clone(), name });
    }
    let took = clock.monotonic().saturating_sub(began);
    let mut containment = incident.containment.clone().unwrap_or_default();
    // What an earlier freeze did and nobody lifted is still this incident's.
    if containment.lifted_at.take().is_some() {
        containment.keys.clear();
    }
    let new = frozen.len();
    containment.keys.extend(frozen);
    containment.at = rfc3339(clock.unix_ms());
    containment.place = keyring.place();
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    containment.took_ms = took_ms;
    Ok(Freeze { containment, new, took_ms, problem })
}

/// Lets in again what was frozen; keys that are gone meanwhile are no problem.
pub(crate) fn lift(containment: &mut Containment, keyring: &Keyring) -> Result<usize, String> {
    let known = keyring.all()?;
    let mut lifted = 0;
    for frozen in &containment.keys {
        if known.iter().any(|key| key.hash == frozen.hash) {
            keyring.set_blocked(&frozen.hash, false)?;
            lifted += 1;
        }
    }
    containment.lifted_at = Some(rfc3339(SystemClock::new().unix_ms()));
    Ok(lifted)
}
