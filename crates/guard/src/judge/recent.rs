//! What came very recently: bad releases are found within days, so the newest
//! things are the least known.

use super::Terms;
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::{Package, Standing};
use base::clock::rfc3339;

/// Packages that the finding names; the rest are counted.
const NAMES_MAX: usize = 30;
const HOUR_MS: i64 = 3_600_000;

pub(super) fn judge(packages: &[&Package], terms: &Terms, findings: &mut Vec<Finding>) {
    for (standing, verb) in [(Standing::Installed, "installed"), (Standing::Locked, "uploaded")] {
        let mut recent: Vec<(i64, &Package)> = packages
            .iter()
            .filter(|package| package.standing == standing)
            .filter_map(|package| Some((package.since_ms?, *package)))
            .filter(|(since_ms, _)| *since_ms > terms.recent_since_ms)
            .collect();
        if recent.is_empty() {
            continue;
        }
        recent.sort_by_key(|(since_ms, _)| std::cmp::Reverse(*since_ms));
        let mut evidence: Vec<Evidence> = recent
            .iter()
            .take(NAMES_MAX)
            .map(|(since_ms, package)| Evidence {
                place: Some(package.place.clone()),
                text: format!("{} {verb} {}", package.shown(), minute(*since_ms)),
            })
            .collect();
        if recent.len() > NAMES_MAX {
            let text = format!("and {} more", recent.len() - NAMES_MAX);
            evidence.push(Evidence { place: None, text });
        }
        let count = recent.len();
        let packages = if count == 1 { "package" } else { "packages" };
        let hours = terms.now_ms.saturating_sub(terms.recent_since_ms) / HOUR_MS;
        findings.push(Finding {
rule: crate::rule::Rule::Recent,
            severity: Severity::Info,
            kind: Kind::Recent,
            subject: format!("{count} {packages} {verb} in the last {hours} hours"),
            evidence,
            meaning: "Bad releases are usually found within days. What is newer than that has been looked at by nobody.".into(),
            do_first: "If something is wrong on this machine, look at these first.".into(),
            advisories: Vec::new(),
        });
    }
}

/// `2026-03-24 10:52 UTC`
fn minute(unix_ms: i64) -> String {
    let text = rfc3339(unix_ms);
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}
