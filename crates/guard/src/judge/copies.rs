//! Copies of releases against the locks of the same audit, and against each
//! other. Pure.
//!
//! A digest that is in any lock of the audit for that name and version will do:
//! a lock lists a file for every platform. Between copies of one build, what
//! their own RECORDs say is compared; each RECORD is compared with the files
//! beside it elsewhere.

use crate::copies::{self, Copied, Made};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::version::Version;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Copies and files that one finding names; the rest are counted.
const SHOWN_MAX: usize = 10;

/// What the locks of an audit allow for one release.
#[derive(Default)]
struct Pin<'p> {
    place: Option<&'p Place>,
    allowed: BTreeSet<String>,
    /// Strong hashes of another kind, which are not compared.
    others: usize,
}

/// What is wrong with `copies`, beside locks among `packages`.
pub(crate) fn judge(packages: &[Package], copies: &[Copied]) -> (Vec<Finding>, Vec<Gap>) {
    let (mut findings, mut gaps) = (Vec::new(), Vec::new());
    let mut releases: BTreeMap<Release<'_>, (Vec<&Copied>, Pin<'_>)> = BTreeMap::new();
    for copied in copies {
        let release = release(&copied.name, &copied.version);
        releases.entry(release).or_default().0.push(copied);
    }
    for package in packages.iter().filter(|package| is_pin(package)) {
        let Some(version) = &package.version else { continue };
        if let Some((_, pin)) = releases.get_mut(&release(&package.name, version)) {
            let other = |hash: &&Hash| hash.is_strong() && hash.algorithm != "sha256";
            pin.place.get_or_insert(&package.place);
            pin.allowed.extend(copies::sha256(&package.hashes));
            pin.others += package.hashes.iter().filter(other).count();
        }
    }
    for (copies, pin) in releases.into_values() {
        against(&pin, &copies, &mut findings, &mut gaps);
        among(&pin, &copies, &mut findings);
    }
    (findings, gaps)
}

/// A name and a version in every spelling of it; what is no version, as text.
type Release<'r> = (&'r str, Result<&'r pep440_rs::Version, &'r str>);

fn release<'r>(name: &'r str, version: &'r Version) -> Release<'r> {
    (name, version.as_pep440().ok_or(version.text()))
}

fn is_pin(package: &Package) -> bool {
    package.ecosystem == Ecosystem::PyPi
        && matches!(package.standing, Standing::Locked | Standing::Asked)
        && package.source != Source::Own
        && package.version.is_some()
        && !package.hashes.is_empty()
}

fn against(pin: &Pin<'_>, copies: &[&Copied], findings: &mut Vec<Finding>, gaps: &mut Vec<Gap>) {
    let is_strong = !pin.allowed.is_empty() || pin.others > 0;
    let mut strange: BTreeMap<Made, Vec<&Copied>> = BTreeMap::new();
    // What is installed is compared with the lock around it, elsewhere.
    let files = copies.iter().filter(|copied| copied.made != Made::Installed);
    for copied in files.filter(|_| is_strong) {
        // An unpacked wheel has no digest; the note beside it has.
        if copied.made == Made::Unpacked && !copied.rows.is_empty() {
            continue;
        }
        if pin.allowed.is_empty() {
            let text = "its lock has hashes of other kinds than SHA-256, which are not compared";
            gaps.push(gap(copied, text, "Lock it with SHA-256, as every tool does by default."));
        } else if copied.sha256.is_empty() {
            let (text, do_first) = match copied.made {
                Made::Built => (
                    "it was built here, and nothing says from which archive: it cannot be compared with the lock",
                    "Take it out of the cache, and install from the lock: it is built anew from what the lock allows.",
                ),
                _ => (
                    "its installer noted no SHA-256 of it: it cannot be compared with the lock",
                    "Take it out of the cache (`uv cache clean NAME`), and install from the lock: its hash is checked and noted then.",
                ),
            };
            gaps.push(gap(copied, text, do_first));
        } else if !copied.sha256.iter().any(|sha256| pin.allowed.contains(sha256)) {
            strange.entry(copied.made).or_default().push(copied);
        }
    }
    for (made, copies) in strange {
        findings.extend(not_allowed(made, &copies, pin));
    }
}

fn not_allowed(made: Made, copies: &[&Copied], pin: &Pin<'_>) -> Option<Finding> {
    let mut evidence: Vec<Evidence> = Vec::new();
    for copied in copies.iter().take(SHOWN_MAX) {
        let digest = short(copied.sha256.first().map_or("", String::as_str));
        let text = match made {
            Made::Built => format!("was built from a file with SHA-256 {digest}"),
            Made::Unpacked => format!("was made from a file with SHA-256 {digest}"),
            _ => format!("has the SHA-256 {digest}"),
        };
        evidence.push(Evidence { place: Some(copied.place.clone()), text });
    }
    if copies.len() > SHOWN_MAX {
        let text = format!("and {} more", copies.len() - SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    let allows = match (pin.allowed.first(), pin.allowed.len()) {
        (Some(one), 1) => format!("allows {} and no other", short(one)),
        (_, many) => format!("allows {many} files, and this is none of them"),
    };
    evidence.push(Evidence { place: pin.place.cloned(), text: allows });
    let (meaning, do_first) = match made {
        Made::File | Made::Installed => (
            "This file is not what the lock allows: it has the name and version of a pinned release and the digest of none of its files. It was changed, swapped or built elsewhere. An installer that checks hashes refuses it; any other installs it.",
            "Do not install from it. Fetch the release anew by the lock, compare the two (keymoat audit --diff), and find out who put this one here.",
        ),
        Made::Cached => (
            "A cache holds another file than the lock allows, under the name and version of a pinned release. An installer that does not check hashes may take it from there without asking the index again.",
            "Keep a copy, empty the cache (`pip cache purge`, `poetry cache clear`), and fetch the release anew by the lock. If the two differ and nobody can explain it, treat the machine as compromised.",
        ),
        Made::Built => (
            "A cache holds a wheel that was built from another source archive than the lock allows, under the name and version of a pinned release. Building it ran that archive's code.",
            "Keep a copy, take it out of the cache (`pip cache remove NAME`), and find out where the archive came from: what it ran, it ran on this machine.",
        ),
        Made::Unpacked => (
            "uv's cache holds what it unpacked from another file than the lock allows, under the name and version of a pinned release.",
            "Find out which index it came from. Take it out of the cache (`uv cache clean NAME`), and install from the lock with its hashes.",
        ),
    };
    Some(Finding {
        rule: crate::rule::Rule::NotAllowed,
        severity: Severity::High,
        kind: Kind::Integrity,
        subject: copies.first()?.shown(),
        evidence,
        meaning: meaning.into(),
        do_first: do_first.replace("NAME", &copies.first()?.name),
        advisories: Vec::new(),
    })
}

/// Copies of one build whose RECORDs differ.
fn among(pin: &Pin<'_>, copies: &[&Copied], findings: &mut Vec<Finding>) {
    let mut builds: BTreeMap<&[String], Vec<&Copied>> = BTreeMap::new();
    for copied in copies.iter().filter(|copied| !copied.rows.is_empty()) {
        builds.entry(&copied.tags).or_default().push(copied);
    }
    for (tags, mut copies) in builds {
        // A wheel that the lock allows is what the others are held against.
        copies.sort_by_key(|copied| !is_allowed(pin, copied));
        let Some((first, rest)) = copies.split_first() else { continue };
        let mut told: Vec<&[(Box<str>, [u8; 32])]> = Vec::new();
        for other in rest.iter().filter(|other| other.rows != first.rows) {
            if told.contains(&other.rows.as_slice()) {
                continue;
            }
            // A release that is spoilt so often is told often enough.
            if told.len() >= SHOWN_MAX {
                break;
            }
            told.push(&other.rows);
            findings.extend(differ(first, other, tags, is_allowed(pin, first)));
        }
    }
}

fn is_allowed(pin: &Pin<'_>, copied: &Copied) -> bool {
    matches!(copied.made, Made::File | Made::Cached)
        && copied.sha256.iter().any(|sha256| pin.allowed.contains(sha256))
}

fn differ(one: &Copied, other: &Copied, tags: &[String], is_genuine: bool) -> Option<Finding> {
    let built_here = tags.is_empty() || tags.iter().any(|tag| tag.contains("-linux_"));
    let (mut source, mut rest) = (Vec::new(), Vec::new());
    for (path, how) in differences(&one.rows, &other.rows) {
        let runs = ["py", "pth", "start"];
        let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
        let starts = path.ends_with(".dist-info/entry_points.txt");
        if starts || ending.is_some_and(|ending| runs.contains(&ending)) {
            source.push((path, how));
        } else if how == How::Differs && !built_here {
            rest.push((path, how));
        }
    }
    let severity = match (source.is_empty(), built_here) {
        (false, false) => Severity::High,
        (true, _) if rest.is_empty() => return None,
        _ => Severity::Medium,
    };
    let all: Vec<(&str, How)> = source.into_iter().chain(rest).collect();
    let at = |copied: &Copied| Some(copied.place.clone());
    let first = if is_genuine { "is a file that the lock allows" } else { "is one copy" };
    let mut evidence = vec![
        Evidence { place: at(other), text: "is not the same as the other copy".into() },
        Evidence { place: at(one), text: first.into() },
    ];
    for (path, how) in all.iter().take(SHOWN_MAX) {
        let text = match how {
            How::Differs => format!("{path} has another SHA-256 in each RECORD"),
            How::OnlyFirst => format!("{path} is only in the RECORD of {}", one.place),
            How::OnlySecond => format!("{path} is only in the RECORD of {}", other.place),
        };
        evidence.push(Evidence { place: None, text });
    }
    if all.len() > SHOWN_MAX {
        let text = format!("and {} more files", all.len() - SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    Some(Finding {
rule: crate::rule::Rule::CopiesDiffer,
        severity,
        kind: Kind::Integrity,
        subject: other.shown(),
        evidence,
        meaning: "Two copies of one release, built for the same systems, hold different files, and each has a RECORD that says so. One of them was changed together with its RECORD, or they were built apart from each other.".into(),
        do_first: "Compare both with the file that the index gives (keymoat audit --diff). If neither was built here, keep the one that differs, and make its environment anew from the genuine file.".into(),
        advisories: Vec::new(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Differs,
    OnlyFirst,
    OnlySecond,
}

/// The paths that differ between two sorted lists. A path that a list has
/// twice has the digests of both.
fn differences<'r>(
    one: &'r [(Box<str>, [u8; 32])],
    other: &'r [(Box<str>, [u8; 32])],
) -> Vec<(&'r str, How)> {
    let mut both: BTreeMap<&str, [Vec<&[u8; 32]>; 2]> = BTreeMap::new();
    for (path, sha256) in one {
        let [one, _] = both.entry(path).or_default();
        one.push(sha256);
    }
    for (path, sha256) in other {
        let [_, other] = both.entry(path).or_default();
        other.push(sha256);
    }
    let told = both.into_iter().filter_map(|(path, [one, other])| {
        let how = match (one.is_empty(), other.is_empty()) {
            (false, true) => How::OnlyFirst,
            (true, false) => How::OnlySecond,
            _ if one != other => How::Differs,
            _ => return None,
        };
        Some((path, how))
    });
    told.collect()
}

fn short(digest: &str) -> String {
    digest.chars().take(12).chain(std::iter::once('…')).collect()
}

fn gap(copied: &Copied, text: &str, do_first: &str) -> Gap {
    Gap {
        why: Why::NoRecord,
        subject: copied.shown(),
        place: Some(copied.place.clone()),
        text: text.into(),
        do_first: do_first.replace("NAME", &copied.name),
    }
}
