//! What is installed against the lock that it should have been installed from.
//!
//! Compared where both were asked for and belong together: the lock lies in a
//! folder around the environment, or there is one of each. What a lock has and
//! the environment lacks says nothing: markers and extras decide on that.

use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::{Ecosystem, Package, Source, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What installers bring along themselves.
const TOOLS: [&str; 5] = ["pip", "setuptools", "wheel", "distribute", "uv"];
/// Distributions that one finding names; the rest are counted.
const SHOWN_MAX: usize = 12;

/// Adds what `sites` hold and their locks do not say.
pub(super) fn judge(packages: &[&Package], findings: &mut Vec<Finding>) {
    let python = || packages.iter().filter(|p| p.ecosystem == Ecosystem::PyPi);
    let mut locks: BTreeMap<&Path, Vec<&Package>> = BTreeMap::new();
    for package in python().filter(|p| p.standing == Standing::Locked) {
        locks.entry(&package.place.file).or_default().push(package);
    }
    let mut sites: BTreeMap<&Path, Vec<&Package>> = BTreeMap::new();
    for package in python().filter(|p| p.standing == Standing::Installed) {
        sites
            .entry(package.place.file.parent().unwrap_or(Path::new("")))
            .or_default()
            .push(package);
    }
    let alone = locks.len() == 1 && sites.len() == 1;
    for (site, installed) in &sites {
        let folder = |lock: &Path| lock.parent().map_or(0, |folder| folder.components().count());
        let around = locks
            .keys()
            .filter(|lock| alone || lock.parent().is_some_and(|folder| site.starts_with(folder)));
        // The nearest one; beside each other, each by itself may be the one.
        let nearest = around.clone().map(|lock| folder(lock)).max();
        let near: Vec<&&Path> = around.filter(|lock| Some(folder(lock)) == nearest).collect();
        if let [lock] = near.as_slice() {
            compare(lock, locks.get(**lock).map_or(&[], Vec::as_slice), installed, findings);
        }
    }
}

fn compare(lock: &Path, locked: &[&Package], installed: &[&Package], findings: &mut Vec<Finding>) {
    let mut unlocked: BTreeSet<String> = BTreeSet::new();
    for package in installed.iter().filter(|p| p.source != Source::Own) {
        let same: Vec<&&Package> = locked.iter().filter(|l| l.name == package.name).collect();
        let Some(first) = same.first() else {
            if !TOOLS.contains(&package.name.as_str()) {
                unlocked.insert(package.shown());
            }
            continue;
        };
        let of_version: Vec<&&&Package> =
            same.iter().filter(|l| l.version.is_none() || l.version == package.version).collect();
        let seen = |text: String| {
            vec![
                Evidence { place: Some(package.place.clone()), text },
                Evidence {
                    place: Some(first.place.clone()),
                    text: format!("locks {}", first.shown()),
                },
            ]
        };
        if of_version.is_empty() {
            findings.push(Finding {
                severity: Severity::Medium,
                kind: Kind::Integrity,
                subject: package.shown(),
                evidence: seen("is installed".into()),
                meaning: "Another version is installed than the lock says: somebody or something installed past the lock.".into(),
                do_first: "Make the environment anew from the lock, and find out what installed this one.".into(),
                advisories: Vec::new(),
            });
        }
        let allowed: Vec<&str> = of_version
            .iter()
            .flat_map(|l| &l.hashes)
            .filter(|hash| hash.algorithm == "sha256")
            .map(|hash| hash.digest.as_str())
            .collect();
        let other = package.hashes.iter().find(|hash| {
            hash.algorithm == "sha256"
                && !allowed.is_empty()
                && !allowed.contains(&hash.digest.as_str())
        });
        if let Some(other) = other {
            let digest: String = other.digest.chars().take(12).collect();
            findings.push(Finding {
                severity: Severity::High,
                kind: Kind::Integrity,
                subject: package.shown(),
                evidence: seen(format!("was installed from a file with SHA-256 {digest}…")),
                meaning: "It was installed from another file than any that the lock allows, under the same name and version.".into(),
                do_first: "Find that file, and compare it with one of those that the lock names. If nobody can explain it, treat the machine as compromised.".into(),
                advisories: Vec::new(),
            });
        }
    }
    if unlocked.is_empty() {
        return;
    }
    let mut evidence: Vec<Evidence> = unlocked
        .iter()
        .take(SHOWN_MAX)
        .map(|shown| Evidence { place: None, text: format!("{shown} is in no lock") })
        .collect();
    if unlocked.len() > SHOWN_MAX {
        let text = format!("and {} more", unlocked.len() - SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    findings.push(Finding {
        severity: Severity::Low,
        kind: Kind::Integrity,
        subject: format!("distributions beside {}", lock.display()),
        evidence,
        meaning: "They are installed, and the lock of this environment does not know them: nobody decided on their versions.".into(),
        do_first: "Add them to the project and lock it, or make the environment anew.".into(),
        advisories: Vec::new(),
    });
}
