//! Decision logs, read again: is the chain whole, what was reached, was it bad.

use crate::host::HostName;
use crate::log::{START, hash_of};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

/// A line of a decision log, as far as it is needed here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Time, RFC 3339.
    pub time: String,
    /// Application.
    pub app: Option<String>,
    /// `allowed`, `refused`, `failed` or `closed`.
    pub verdict: String,
    /// Host, or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name that a DNS query or a ClientHello held.
    pub name: Option<String>,
    /// Bytes from the application.
    #[serde(default)]
    pub bytes_up: u64,
}

/// A log that cannot be relied on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A line does not continue the chain.
    #[error("line {0} does not continue the chain: it, or the one before, was changed or removed")]
    Chain(usize),
    /// A line is no decision.
    #[error("line {0}: {1}")]
    Line(usize, serde_json::Error),
}

/// Reads a log and checks its chain.
///
/// # Errors
/// The first line that is not in order.
pub fn entries(log: &str) -> Result<Vec<Entry>, LogError> {
    let mut previous = START.to_owned();
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(log.lines()) {
        let parts = line.rsplit_once(",\"hash\":\"");
        let parts = parts.and_then(|(text, rest)| Some((text, rest.strip_suffix("\"}")?)));
        let Some((text, hash)) = parts else { return Err(LogError::Chain(number)) };
        let is_next = text.ends_with(&format!(",\"prev\":\"{previous}\""));
        if !is_next || hash_of(&format!("{text}}}")) != hash {
            return Err(LogError::Chain(number));
        }
        hash.clone_into(&mut previous);
        let entry = serde_json::from_str(line).map_err(|error| LogError::Line(number, error))?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Writes the `allow` lists that cover what `entries` reached, as TOML.
pub fn learn(entries: &[Entry]) -> String {
    let mut reached: BTreeMap<(&str, &str, u16), (u64, u64)> = BTreeMap::new();
    for entry in entries {
        let app = entry.app.as_deref().unwrap_or_default();
        let (count, bytes) = match entry.verdict.as_str() {
            "allowed" => (1, 0),
            "closed" => (0, entry.bytes_up),
            _ => continue,
        };
        let place = reached.entry((app, entry.host.as_str(), entry.port)).or_default();
        *place = (place.0 + count, place.1 + bytes);
    }
    let mut text = String::new();
    let mut last = None;
    for ((app, host, port), (count, bytes)) in reached {
        if last != Some(app) {
            let end = if last.is_some() { "]\n\n" } else { "" };
            // Writing to a string has no way to fail.
            write!(text, "{end}# {app}\nallow = [\n").unwrap_or_default();
            last = Some(app);
        }
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        let line = format!("  \"{host}{port}\", # {count} connections, {bytes} bytes sent\n");
        text.push_str(&line);
    }
    if last.is_some() {
        text.push_str("]\n");
    }
    text
}

/// Entries that are about a host of the list `bad`, or one below it.
pub fn hunt<'e>(entries: &'e [Entry], bad: &str) -> Vec<&'e Entry> {
    let lines = bad.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    // Lists defang names so that nobody follows them.
    let names: HashSet<String> = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.replace("[.]", ".").to_ascii_lowercase())
        .collect();
    let is_bad = |name: &str| {
        let name = name.to_ascii_lowercase();
        let below = HostName::parse(&name).is_ok_and(|host| names.iter().any(|n| host.is_below(n)));
        names.contains(&name) || below
    };
    entries
        .iter()
        .filter(|entry| is_bad(&entry.host) || entry.name.as_deref().is_some_and(is_bad))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Entry, entries, hunt, learn};

    fn entry(app: &str, verdict: &str, host: &str, port: u16, bytes_up: u64) -> Entry {
        let (app, verdict) = (Some(app.to_owned()), verdict.to_owned());
        Entry {
            time: String::new(),
            app,
            verdict,
            host: host.to_owned(),
            port,
            name: None,
            bytes_up,
        }
    }

    #[test]
    fn a_policy_is_learnt_from_what_was_reached() {
        let seen = [
            entry("shop", "allowed", "b.example", 443, 0),
            entry("shop", "closed", "b.example", 443, 7),
            entry("shop", "allowed", "a.example", 8443, 0),
            entry("shop", "refused", "evil.example", 443, 0),
            entry("batch", "allowed", "b.example", 443, 0),
        ];
        let wanted = "# batch\nallow = [\n  \"b.example\", # 1 connections, 0 bytes sent\n]\n\n\
                      # shop\nallow = [\n  \"a.example:8443\", # 1 connections, 0 bytes sent\n  \
                      \"b.example\", # 1 connections, 7 bytes sent\n]\n";
        assert_eq!(learn(&seen), wanted);
        assert_eq!(learn(&[]), "");
    }

    #[test]
    fn bad_hosts_are_found_in_the_past() {
        let mut query = entry("shop", "refused", "9.9.9.9", 53, 0);
        query.name = Some("x.litellm.example".to_owned());
        let seen = [
            entry("shop", "allowed", "models.litellm.example", 443, 9),
            query,
            entry("shop", "allowed", "notlitellm.example", 443, 9),
            entry("shop", "allowed", "203.0.113.7", 443, 9),
        ];
        let found = hunt(&seen, "# a comment\nlitellm[.]example\n203.0.113.7 # an address\n");
        assert_eq!(found, [&seen[0], &seen[1], &seen[3]]);
    }

    #[test]
    fn a_line_that_is_no_decision_is_an_error() {
        assert!(entries("{}\n").is_err());
        assert!(entries("").unwrap().is_empty());
    }
}
