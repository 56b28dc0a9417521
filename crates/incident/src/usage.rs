//! What a gateway's records say of the window: which keys were used, for what,
//! from where, where to, and what is unlike before.
//!
//! Pure. Every anomaly says the numbers that it rests on.

use base::NanoUsd;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So many times as much an hour as before stands out.
const BURST: u64 = 5;
/// Fewer calls an hour than this are no burst, whatever was before.
const BURST_CALLS_MIN: u64 = 20;
/// So many models that a key never called before are somebody who tries.
const NEW_MODELS_MIN: usize = 3;

/// One attempt, as a gateway has written it down.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The virtual key: its alias or the start of its hash.
    pub key: String,
    /// The model group.
    pub model: String,
    /// The provider's credential.
    pub credential: String,
    /// Where it went: scheme, host and port; empty where nowhere.
    pub to: String,
    /// The client's address; empty where it is not known.
    pub client: String,
    /// What it cost.
    pub cost: NanoUsd,
    /// True if it was refused.
    pub refused: bool,
    /// True if the key is a decoy.
    pub canary: bool,
}

/// What the records say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// When it was looked.
    pub at: String,
    /// From when.
    pub from: String,
    /// To when.
    pub to: String,
    /// The time before, to compare with: from when.
    pub before_from: String,
    /// Where the records are from.
    pub source: String,
    /// Each virtual key that was used.
    pub keys: Vec<KeyUse>,
    /// What stands out.
    pub anomalies: Vec<String>,
    /// What the records cannot say.
    pub unknown: Vec<String>,
}

/// One virtual key in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// Its alias, or the start of its hash.
    pub key: String,
    /// Calls that were let through.
    pub calls: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// What they cost, in nano-dollars.
    pub cost_nanousd: i64,
    /// The first.
    pub first: String,
    /// The last.
    pub last: String,
    /// Model groups.
    pub models: Vec<String>,
    /// Credentials of providers that were used.
    pub credentials: Vec<String>,
    /// Where to.
    pub to: Vec<String>,
    /// From where.
    pub clients: Vec<String>,
}

#[derive(Default)]
struct Sums {
    calls: u64,
    refused: u64,
    cost: i64,
    first_ms: i64,
    last_ms: i64,
    models: BTreeSet<String>,
    credentials: BTreeSet<String>,
    to: BTreeSet<String>,
    clients: BTreeSet<String>,
    canary: bool,
}

fn by_key<'c>(calls: impl Iterator<Item = &'c Call>) -> BTreeMap<String, Sums> {
    let mut keys: BTreeMap<String, Sums> = BTreeMap::new();
    for call in calls {
        let sums = keys.entry(call.key.clone()).or_insert_with(|| Sums {
            first_ms: call.at_ms,
            last_ms: call.at_ms,
            ..Sums::default()
        });
        if call.refused {
            sums.refused += 1;
        } else {
            sums.calls += 1;
        }
        sums.cost = sums.cost.saturating_add(call.cost.0);
        sums.first_ms = sums.first_ms.min(call.at_ms);
        sums.last_ms = sums.last_ms.max(call.at_ms);
        sums.canary |= call.canary;
        for (to, text) in [
            (&mut sums.models, &call.model),
            (&mut sums.credentials, &call.credential),
            (&mut sums.to, &call.to),
            (&mut sums.clients, &call.client),
        ] {
            if !text.is_empty() && !to.contains(text) {
                to.insert(text.clone());
            }
        }
    }
    keys
}

/// A stretch of time, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// From then on.
    pub from_ms: i64,
    /// Before then.
    pub to_ms: i64,
}

impl Span {
    /// Its length in hours, one at the least.
    fn hours(self) -> u64 {
        u64::try_from((self.to_ms - self.from_ms) / 3_600_000).unwrap_or(0).max(1)
    }

    fn holds(self, at_ms: i64) -> bool {
        at_ms >= self.from_ms && at_ms < self.to_ms
    }
}

/// Adds up `calls` in the window, compares them with those `before`, and looks
/// for `indicators`: hosts and addresses that are known as bad.
pub fn judge(calls: &[Call], window: Span, before: Span, indicators: &[String]) -> Usage {
    let now = by_key(calls.iter().filter(|call| window.holds(call.at_ms)));
    let then = by_key(calls.iter().filter(|call| before.holds(call.at_ms)));
    let mut anomalies = Vec::new();
    for (key, sums) in &now {
        if sums.canary {
            let from = list(&sums.clients);
            anomalies.push(format!("{key} is a canary: it was used {}, from {from}. Whoever did so has read the file it stood in.", times(sums.refused)));
            continue;
        }
        match then.get(key) {
            None if sums.calls > 0 => anomalies
                .push(format!("{key} was used {} and never in the time before", times(sums.calls))),
            None => {}
            Some(old) => compare(key, sums, old, window, before, &mut anomalies),
        }
        for (what, seen) in [("is called from", &sums.clients), ("leads to", &sums.to)] {
            let bad = seen.iter().filter(|seen| indicators.iter().any(|bad| is_at(seen, bad)));
            anomalies.extend(bad.map(|bad| format!("{key} {what} {bad}, which is known as bad")));
        }
    }
    let keys = now.into_iter().map(|(key, sums)| KeyUse {
        key,
        calls: sums.calls,
        refused: sums.refused,
        cost_nanousd: sums.cost,
        first: base::clock::rfc3339(sums.first_ms),
        last: base::clock::rfc3339(sums.last_ms),
        models: sums.models.into_iter().collect(),
        credentials: sums.credentials.into_iter().collect(),
        to: sums.to.into_iter().collect(),
        clients: sums.clients.into_iter().collect(),
    });
    Usage {
        from: base::clock::rfc3339(window.from_ms),
        to: base::clock::rfc3339(window.to_ms),
        before_from: base::clock::rfc3339(before.from_ms),
        keys: keys.collect(),
        anomalies,
        ..Usage::default()
    }
}

fn compare(
    key: &str,
    now: &Sums,
    then: &Sums,
    window: Span,
    before: Span,
    anomalies: &mut Vec<String>,
) {
    // Exact: calls an hour compared as products, not as quotients.
    let (hours, hours_before) = (window.hours(), before.hours());
    let is_burst = now.calls >= BURST_CALLS_MIN.saturating_mul(hours)
        && now.calls.saturating_mul(hours_before)
            >= then.calls.saturating_mul(hours).saturating_mul(BURST);
    if is_burst {
        anomalies.push(format!(
            "{key} made {} calls in {hours} h, and {} in the {hours_before} h before",
            now.calls, then.calls
        ));
    }
    let new: BTreeSet<String> = now.clients.difference(&then.clients).cloned().collect();
    if !new.is_empty() {
        anomalies.push(format!("{key} was used from {}, and never from there before", list(&new)));
    }
    let new: BTreeSet<String> = now.models.difference(&then.models).cloned().collect();
    if new.len() >= NEW_MODELS_MIN {
        anomalies.push(format!(
            "{key} called {} models that it never called before: {}",
            new.len(),
            list(&new)
        ));
    }
}

/// Returns true if an address or an origin is the bad host, or below it; part of a name
/// or of a number is not.
fn is_at(seen: &str, bad: &str) -> bool {
    let host = seen.split_once("://").map_or(seen, |(_, host)| host);
    let host = host.split('/').next().unwrap_or(host);
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case(bad)
        || host.to_ascii_lowercase().strip_suffix(&bad.to_ascii_lowercase()).is_some_and(|rest| {
            rest.ends_with('.') && !bad.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn list(texts: &BTreeSet<String>) -> String {
    if texts.is_empty() {
        return "an unknown address".to_owned();
    }
    texts.iter().take(8).cloned().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const WINDOW: Span = Span { from_ms: 100 * HOUR, to_ms: 102 * HOUR };
    const BEFORE: Span = Span { from_ms: 0, to_ms: 100 * HOUR };

    fn call(hour: i64, key: &str, client: &str, model: &str) -> Call {
        Call {
            at_ms: hour * HOUR,
            key: key.into(),
            client: client.into(),
            model: model.into(),
            cost: NanoUsd(1000),
            ..Call::default()
        }
    }

    #[test]
    fn a_stolen_key_in_a_noisy_house_stands_out_and_the_others_do_not() {
        let mut calls = Vec::new();
        for hour in 0..102 {
            for _ in 0..30 {
                calls.push(call(hour, "busy", "10.0.0.1", "gpt"));
            }
            calls.push(call(hour, "stolen", "10.0.0.2", "gpt"));
        }
        for at in 0..300 {
            calls.push(call(101, "stolen", "203.0.113.9", ["a", "b", "c"][at % 3]));
        }
        let usage = judge(&calls, WINDOW, BEFORE, &["203.0.113.9".to_owned()]);
        assert_eq!(usage.keys.len(), 2);
        assert!(usage.anomalies.iter().all(|a| a.starts_with("stolen")), "{:?}", usage.anomalies);
        assert_eq!(usage.anomalies.len(), 4, "{:?}", usage.anomalies);
        assert!(usage.anomalies[0].contains("302 calls in 2 h, and 100 in the 100 h before"));
        let stolen = &usage.keys[1];
        assert_eq!((stolen.calls, stolen.cost_nanousd), (302, 302_000));
        assert_eq!(stolen.clients, ["10.0.0.2", "203.0.113.9"]);
    }

    #[test]
    fn a_bad_host_is_itself_or_below_itself_and_no_part_of_another() {
        for seen in
            ["1.2.3.4", "http://1.2.3.4:80", "https://models.bad.cloud", "https://BAD.cloud/v1"]
        {
            assert!(["1.2.3.4", "bad.cloud"].iter().any(|bad| is_at(seen, bad)), "{seen}");
        }
        for seen in ["11.2.3.4", "1.2.3.45", "https://notbad.cloud", "https://bad.cloud.example"] {
            assert!(!["1.2.3.4", "bad.cloud"].iter().any(|bad| is_at(seen, bad)), "{seen}");
        }
    }

    #[test]
    fn a_canary_is_told_and_what_lies_outside_is_not_counted() {
        let decoy = Call { refused: true, canary: true, ..call(101, "decoy", "203.0.113.9", "") };
        let usage = judge(&[decoy, call(103, "late", "x", "m")], WINDOW, BEFORE, &[]);
        assert_eq!(usage.keys.len(), 1);
        assert!(
            usage.anomalies[0].contains("decoy is a canary: it was used once, from 203.0.113.9")
        );
    }
}
