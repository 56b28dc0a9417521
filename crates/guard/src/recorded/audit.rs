//! Later advisories asked about earlier inventories.

use super::{Entry, Inventory, Listing, Sighting, load, sightings};
use crate::advisory::{Advisories, Hit};
use crate::audit::{Report, summed_up};
use crate::finding::{Evidence, Gap, Why};
use crate::inventory::{Ecosystem, Package, Place, Standing};
use crate::judge::{Terms, known};
use crate::manifest::Reading;
use crate::version::Version;
use base::clock::rfc3339;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Sightings of one release that are shown; the rest are counted.
const SHOWN_MAX: usize = 30;

/// What is known today against the releases in the inventories of `listing`.
/// How firmly they were pinned and what was installed how is not judged again.
pub fn audit(listing: &Listing, advisories: &Advisories, terms: &Terms) -> Report {
    let mut reading = Reading::default();
    let mut files: Vec<PathBuf> = Vec::new();
    let mut inventories: Vec<Inventory> = Vec::new();
    for (path, _) in &listing.inventories {
        files.push(path.clone());
        match load(path) {
            Ok(inventory) => inventories.push(inventory),
            Err(why) => reading.gaps.push(unreadable(path.display().to_string(), &why)),
        }
    }
    for (path, why) in &listing.bad {
        reading.gaps.push(unreadable(path.display().to_string(), why));
    }
    if inventories.is_empty() && reading.gaps.is_empty() {
        reading.gaps.push(Gap {
            why: Why::Nothing,
            subject: "recorded inventories".into(),
            place: None,
            text: "none was ever recorded here".into(),
            do_first: "Audit with --record from now on, at every deploy.".into(),
        });
    }
    let mut releases: BTreeMap<(Ecosystem, &str, &str), &Entry> = BTreeMap::new();
    for entry in inventories.iter().flat_map(|inventory| &inventory.entries) {
        if let (Some(ecosystem), Some(version), false) =
            (entry.ecosystem(), entry.version.as_deref(), entry.source == "own")
        {
            releases.entry((ecosystem, &entry.name, version)).or_insert(entry);
        }
    }
    let packages = releases.iter().map(|((ecosystem, name, version), entry)| {
        let standing = match entry.standing.as_str() {
            "installed" => Standing::Installed,
            "locked" => Standing::Locked,
            "held" => Standing::Held,
            _ => Standing::Asked,
        };
        let place = Place::whole(&entry.file).at(entry.line);
        Package::new(*ecosystem, name, standing, place).at_version(version)
    });
    reading.packages = packages.collect();
    for package in &reading.packages {
        let Some(version) = &package.version else { continue };
        let hits = advisories.hits(package.ecosystem, &package.name, version);
        if !hits.is_empty() {
            let is_meant = |other: &Version| other.text() == version.text();
            let seen = sightings(&inventories, package.ecosystem, &package.name, &is_meant);
            let (bad, holes): (Vec<Hit>, Vec<Hit>) =
                hits.into_iter().partition(|hit| hit.malicious);
            let evidence = evidence(&seen);
            if !bad.is_empty() {
                reading.findings.push(known::malicious(
                    package.shown(),
                    package.standing == Standing::Installed,
                    &bad,
                    evidence.clone(),
                ));
            }
            if !holes.is_empty() {
                reading.findings.push(known::vulnerable(package.shown(), &holes, evidence));
            }
        }
        reading.gaps.extend(known::gap(package, version, advisories, terms));
    }
    summed_up(terms, reading, files, advisories)
}

fn evidence(seen: &[Sighting]) -> Vec<Evidence> {
    let mut evidence: Vec<Evidence> = seen
        .iter()
        .take(SHOWN_MAX)
        .map(|sighting| Evidence {
            place: Some(Place::whole(&sighting.file)),
            text: told(sighting),
        })
        .collect();
    if seen.len() > SHOWN_MAX {
        let text = format!("and {} more times", seen.len() - SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    evidence
}

fn told(sighting: &Sighting) -> String {
    let came = match sighting.from_ms() {
        i64::MIN => "at an unknown time".to_owned(),
        from_ms if sighting.since_ms == Some(from_ms) => format!("at {}", minute(from_ms)),
        from_ms => format!("after {}", minute(from_ms)),
    };
    let went = sighting.gone_ms.map_or_else(
        || "not seen to go".to_owned(),
        |gone_ms| format!("gone by {}", minute(gone_ms)),
    );
    format!(
        "{} on {}: came {came}, seen {} to {}, {went}",
        sighting.standing,
        sighting.host,
        minute(sighting.first_ms),
        minute(sighting.last_ms)
    )
}

fn minute(unix_ms: i64) -> String {
    let text = rfc3339(unix_ms);
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

fn unreadable(subject: String, why: &str) -> Gap {
    Gap {
        why: Why::Unreadable,
        subject,
        place: None,
        text: why.to_owned(),
        do_first: "Look after that file: the time it was made at is not accounted for.".into(),
    }
}
