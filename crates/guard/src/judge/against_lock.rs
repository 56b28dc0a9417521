//! What is installed against the lock that it should have been installed from.
//!
//! Compared where both were asked for and belong together: the lock lies in a
//! folder around the environment, or there is one of each. A requirement file in
//! which every line has a version and a hash is a lock, too, where no other is.
//! Where several lie beside each other, what any of them says will do.

use crate::copies;
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::{Ecosystem, Hash, Package, Source, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What installers bring along themselves.
const TOOLS: [&str; 5] = ["pip", "setuptools", "wheel", "distribute", "uv"];
/// Distributions that one finding names; the rest are counted.
const SHOWN_MAX: usize = 12;

/// Adds what `sites` hold and their locks do not say, and the other way round.
pub(super) fn judge(packages: &[&Package], findings: &mut Vec<Finding>) {
    let python = || packages.iter().filter(|p| p.ecosystem == Ecosystem::PyPi);
    let mut locks: BTreeMap<&Path, Vec<&Package>> = BTreeMap::new();
    let mut asked: BTreeMap<&Path, Vec<&Package>> = BTreeMap::new();
    for package in python() {
        let files = match package.standing {
            Standing::Locked => &mut locks,
            Standing::Asked => &mut asked,
            Standing::Installed | Standing::Held => continue,
        };
        files.entry(&package.place.file).or_default().push(package);
    }
    let fixed = |p: &&Package| p.version.is_some() && p.hashes.iter().any(Hash::is_strong);
    asked.retain(|_, lines| lines.iter().all(fixed));
    let one_alone = locks.is_empty() && asked.len() == 1;
    let real: BTreeSet<&Path> = locks.keys().copied().collect();
    // Others (`requirements-lint.txt`) are as a rule for environments of their own.
    locks.extend(
        asked.into_iter().filter(|(file, _)| one_alone || file.ends_with("requirements.txt")),
    );
    let mut sites: BTreeMap<&Path, Vec<&Package>> = BTreeMap::new();
    for package in python().filter(|p| p.standing == Standing::Installed) {
        let site = package.place.file.parent().unwrap_or(Path::new(""));
        // An unpacked wheel in a cache is of no project.
        if !crate::files::is_cached(site) {
            sites.entry(site).or_default().push(package);
        }
    }
    let alone = locks.len() == 1 && sites.len() == 1;
    for (site, installed) in &sites {
        let folder = |lock: &Path| lock.parent().map_or(0, |folder| folder.components().count());
        let around = locks
            .keys()
            .filter(|lock| alone || lock.parent().is_some_and(|folder| site.starts_with(folder)));
        let nearest = around.clone().map(|lock| folder(lock)).max();
        let mut near: Vec<&Path> =
            around.copied().filter(|lock| Some(folder(lock)) == nearest).collect();
        if near.iter().any(|lock| real.contains(lock)) {
            near.retain(|lock| real.contains(lock));
        }
        let locked: Vec<&Package> =
            near.iter().filter_map(|lock| locks.get(lock)).flatten().copied().collect();
        match near.as_slice() {
            [] => {}
            [lock] => {
                compare(lock, &locked, installed, findings);
                findings.extend(absent(lock, site, &locked, installed));
            }
            // Which of them this environment is made from, nobody says.
            [lock, ..] => compare(lock, &locked, installed, findings),
        }
    }
}

/// What the lock has and the environment lacks. Worth knowing and no more:
/// markers, extras and groups decide on that, too.
fn absent(
    lock: &Path,
    site: &Path,
    locked: &[&Package],
    installed: &[&Package],
) -> Option<Finding> {
    let there: BTreeSet<&str> = installed.iter().map(|p| p.name.as_str()).collect();
    let named: BTreeMap<&str, &&Package> = locked
        .iter()
        .filter(|p| p.source != Source::Own && !there.contains(p.name.as_str()))
        .map(|p| (p.name.as_str(), p))
        .collect();
    let any_there = locked.iter().any(|p| there.contains(p.name.as_str()));
    if named.is_empty() || !any_there {
        return None;
    }
    let mut evidence: Vec<Evidence> = named
        .values()
        .take(SHOWN_MAX)
        .map(|package| Evidence {
            place: Some(package.place.clone()),
            text: format!("locks {}, which is not installed", package.shown()),
        })
        .collect();
    if named.len() > SHOWN_MAX {
        let text = format!("and {} more", named.len() - SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    Some(Finding {
rule: crate::rule::Rule::NotLocked,
        severity: Severity::Info,
        kind: Kind::Integrity,
        subject: match named.len() {
            1 => format!("1 distribution of {} for {}", lock.display(), site.display()),
            many => format!("{many} distributions of {} for {}", lock.display(), site.display()),
        },
        evidence,
        meaning: "The lock has distributions that this environment lacks. Those for other systems, extras and groups look like this; so does an environment that was changed after it was made.".into(),
        do_first: "If they should be there, make the environment anew from the lock.".into(),
        advisories: Vec::new(),
    })
}

fn compare(lock: &Path, locked: &[&Package], installed: &[&Package], findings: &mut Vec<Finding>) {
    let mut by_name: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
    for package in locked {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut unlocked: BTreeSet<String> = BTreeSet::new();
    for package in installed.iter().filter(|p| p.source != Source::Own) {
        let same = by_name.get(package.name.as_str()).map_or(&[][..], Vec::as_slice);
        let Some(first) = same.first() else {
            if !TOOLS.contains(&package.name.as_str()) {
                unlocked.insert(package.shown());
            }
            continue;
        };
        let of_version: Vec<&&Package> =
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
rule: crate::rule::Rule::NotLocked,
                severity: Severity::Medium,
                kind: Kind::Integrity,
                subject: package.shown(),
                evidence: seen("is installed".into()),
                meaning: "Another version is installed than the lock says: somebody or something installed past the lock.".into(),
                do_first: "Make the environment anew from the lock, and find out what installed this one.".into(),
                advisories: Vec::new(),
            });
        }
        let allowed: Vec<String> =
            of_version.iter().flat_map(|l| copies::sha256(&l.hashes)).collect();
        let noted = copies::sha256(&package.hashes);
        let other = noted.iter().find(|sha256| !allowed.is_empty() && !allowed.contains(sha256));
        if let Some(other) = other {
            let digest: String = other.chars().take(12).collect();
            findings.push(Finding {
rule: crate::rule::Rule::NotAllowed,
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
rule: crate::rule::Rule::NotLocked,
        severity: Severity::Low,
        kind: Kind::Integrity,
        subject: format!("distributions beside {}", lock.display()),
        evidence,
        meaning: "They are installed, and the lock of this environment does not know them: nobody decided on their versions.".into(),
        do_first: "Add them to the project and lock it, or make the environment anew.".into(),
        advisories: Vec::new(),
    });
}
