//! How firmly it is fixed what would be installed, and from where.

use crate::advisory::Advisories;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::python::Specifiers;
use crate::version::Version;
use std::collections::BTreeMap;

/// Packages that one finding names; the rest are counted.
const NAMES_MAX: usize = 10;

pub(super) fn judge(
    packages: &[&Package],
    advisories: &Advisories,
    findings: &mut Vec<Finding>,
    gaps: &mut Vec<Gap>,
) {
    for package in packages {
        if package.version.is_none() && matches!(package.source, Source::Registry { .. }) {
            gaps.push(floating(package));
            findings.extend(lets_in(package, advisories));
        }
        gaps.extend(unknown_source(package));
    }
    let mut by_file: BTreeMap<&Place, Vec<&Package>> = BTreeMap::new();
    let wholes: Vec<Place> = packages.iter().map(|p| p.place.at(0)).collect();
    for (package, whole) in packages.iter().zip(&wholes) {
        let could_be_hashed = !matches!(package.standing, Standing::Installed | Standing::Held)
            && package.ecosystem == Ecosystem::PyPi
            && package.version.is_some()
            && matches!(package.source, Source::Registry { .. } | Source::Url { .. });
        if could_be_hashed {
            by_file.entry(whole).or_default().push(package);
        }
    }
    for (file, packages) in by_file {
        findings.extend(without_hash(file, &packages));
    }
}

fn floating(package: &Package) -> Gap {
    Gap {
        why: Why::Floating,
        subject: package.shown(),
        place: Some(package.place.clone()),
        text: "its version is not fixed: nobody knows which release would be installed".into(),
        do_first: "Audit the lock file that is made of it, or pin it with == and a hash.".into(),
    }
}

/// A range is a door: which known malicious releases stand before it?
fn lets_in(package: &Package, advisories: &Advisories) -> Option<Finding> {
    if package.ecosystem != Ecosystem::PyPi {
        return None;
    }
    let specifiers = Specifiers::read(package.range.as_deref().unwrap_or_default()).ok()?;
    let admits = |version: &Version| specifiers.admit(version);
    let found = advisories.malicious_admitted(package.ecosystem, &package.name, &admits);
    let (_, id) = found.first()?;
    let versions: Vec<&str> = found.iter().map(|(version, _)| version.text()).collect();
    Some(Finding {
rule: crate::rule::Rule::LetsBadIn,
        severity: Severity::Medium,
        kind: Kind::Pin,
        subject: package.shown(),
        evidence: vec![Evidence {
            place: Some(package.place.clone()),
            text: format!("lets in {}, known as malicious", versions.join(", ")),
        }],
        meaning: "Whoever installed from this file while these releases were to be had may have got one of them; a cache or a mirror may still hold them.".into(),
        do_first: "Pin a safe version, and audit the environments and caches that were made from this file.".into(),
        advisories: vec![id.clone()],
    })
}

fn unknown_source(package: &Package) -> Option<Gap> {
    let (text, do_first) = match &package.source {
        // Its file says so, once for all of them.
        Source::Registry { .. } | Source::Own | Source::Conda { .. } => return None,
        Source::Url { .. } if package.version.is_some() => return None,
        Source::Url { .. } => (
            "it is a file at an address that names no version".to_owned(),
            "Take it from the index, pinned and hashed, or audit the file.",
        ),
        Source::Vcs { commit: Some(commit), .. } => (
            format!(
                "it is built from a repository, at commit {}",
                commit.get(..12).unwrap_or(commit)
            ),
            "Read that commit, or take a release from the index: advisories speak of releases.",
        ),
        Source::Vcs { commit: None, .. } => (
            "it is built from whatever a repository holds when it is installed".to_owned(),
            "Fix the full commit, or take a release from the index.",
        ),
        Source::Path { path } => (
            format!("it is taken from {}", path.display()),
            "Audit that path too, or take a release from the index.",
        ),
    };
    Some(Gap {
        why: Why::UnknownSource,
        subject: package.shown(),
        place: Some(package.place.clone()),
        text,
        do_first: do_first.into(),
    })
}

fn without_hash(file: &Place, packages: &[&Package]) -> Option<Finding> {
    let bare: Vec<&str> = packages
        .iter()
        .filter(|package| !package.hashes.iter().any(Hash::is_strong))
        .map(|package| package.name.as_str())
        .collect();
    if bare.is_empty() {
        return None;
    }
    let mut names = bare.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    if bare.len() > NAMES_MAX {
        names = format!("{names} and {} more", bare.len() - NAMES_MAX);
    }
    Some(Finding {
rule: crate::rule::Rule::NoHash,
        severity: Severity::Low,
        kind: Kind::Pin,
        subject: format!("{} of {} pins without a strong hash", bare.len(), packages.len()),
        evidence: vec![Evidence { place: Some(file.clone()), text: names }],
        meaning: "The version is fixed, the file behind it is not: an index or a mirror can give another file under the same version, and the installer takes it.".into(),
        do_first: "Write the hashes into the file (uv export, pip-compile --generate-hashes) and install with --require-hashes.".into(),
        advisories: Vec::new(),
    })
}
