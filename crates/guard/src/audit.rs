//! Paths in, one report out.

use crate::advisory::Advisories;
use crate::finding::{Finding, Gap, Outcome, Why};
use crate::installed;
use crate::inventory::Place;
use crate::judge::{self, Terms};
use crate::manifest::{Format, Reading};
use crate::tree::{self, Found};
use base::clock::rfc3339;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to audit, and on what terms.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// What is believed, and until when.
    pub terms: Terms,
}

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it was made, RFC 3339.
    pub at: String,
    /// The answer.
    pub outcome: Outcome,
    /// What was seen, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub gaps: Vec<Gap>,
    /// The files that were read, and the folders with installed packages.
    pub files: Vec<PathBuf>,
    /// How many packages they hold, each counted once a place.
    pub packages: usize,
    /// The advisories that were asked.
    pub advisories: Vec<AdvisorySet>,
}

/// A set of advisories that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct AdvisorySet {
    /// What it was made from.
    pub title: String,
    /// How many records it holds.
    pub records: u64,
    /// How many records could not be read when it was made.
    pub bad: u64,
    /// What it is complete for.
    pub coverage: Vec<Claim>,
}

/// What a set claims to be complete for.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// OSV's name for the ecosystem.
    pub ecosystem: String,
    /// How many packages of it; nothing means all.
    pub packages: Option<usize>,
    /// As of when, RFC 3339.
    pub as_of: String,
}

/// Audits what `ask` names. Reads files; runs nothing and connects to nothing.
pub fn audit(ask: &Ask, advisories: &Advisories) -> Report {
    let mut found = Found::default();
    for path in &ask.paths {
        tree::find(path, &mut found);
    }
    let mut reading = Reading::default();
    for (path, why) in &found.unreadable {
        reading.gaps.push(unreadable(path, why));
    }
    if found.cut_short {
        let text = "there are more files than one audit walks through".to_owned();
        reading.gaps.push(gap(
            Why::Unreadable,
            "the rest of the tree",
            None,
            text,
            "Audit its parts one by one.",
        ));
    }
    let mut files = Vec::new();
    for (path, format) in &found.manifests {
        files.push(path.clone());
        reading.append(manifest(path, *format));
    }
    if found.manifests.is_empty() && found.site_dirs.is_empty() && reading.gaps.is_empty() {
        let shown: Vec<String> = ask.paths.iter().map(|path| path.display().to_string()).collect();
        let text = "no lock file, no requirement file and no environment is there".to_owned();
        let do_first = "Name the file or folder to audit; see --help for what is read.";
        reading.gaps.push(gap(Why::Nothing, &shown.join(", "), None, text, do_first));
    }
    for site in &found.site_dirs {
        files.push(site.clone());
        reading.append(installed::read(site));
    }
    let (findings, gaps) = judge::packages(&reading.packages, advisories, &ask.terms);
    reading.findings.extend(findings);
    reading.gaps.extend(gaps);
    report(ask, reading, files, advisories)
}

fn manifest(path: &Path, format: Format) -> Reading {
    let text = match tree::text(path) {
        Ok(text) => text,
        Err(why) => return Reading { gaps: vec![unreadable(path, &why)], ..Reading::default() },
    };
    let place = Place::whole(path);
    match format.read(&text, &place, &|other| tree::text(other)) {
        Ok(reading) => reading,
        Err(malformed) => {
            let place = Some(place.at(malformed.line));
            let do_first = "Make the file anew with the tool that wrote it, and audit again.";
            let shown = path.display().to_string();
            let gap = gap(Why::Malformed, &shown, place, malformed.what, do_first);
            Reading { gaps: vec![gap], ..Reading::default() }
        }
    }
}

fn report(ask: &Ask, mut reading: Reading, files: Vec<PathBuf>, advisories: &Advisories) -> Report {
    reading.findings.sort_by(|a, b| {
        let rank = |f: &Finding| (std::cmp::Reverse(f.severity), f.kind);
        rank(a).cmp(&rank(b)).then_with(|| a.subject.cmp(&b.subject))
    });
    reading.gaps.sort_by(|a, b| (a.why, &a.subject, &a.place).cmp(&(b.why, &b.subject, &b.place)));
    let sets = advisories.sets().iter().map(|set| {
        let header = set.header();
        let coverage = header.coverage.iter().map(|claim| Claim {
            ecosystem: claim.ecosystem.clone(),
            packages: claim.names.as_ref().map(Vec::len),
            as_of: claim.as_of.clone(),
        });
        AdvisorySet {
            title: header.title.clone(),
            records: header.records,
            bad: header.bad,
            coverage: coverage.collect(),
        }
    });
    Report {
        at: rfc3339(ask.terms.now_ms),
        outcome: Outcome::of(&reading.findings, &reading.gaps),
        packages: reading.packages.len(),
        advisories: sets.collect(),
        findings: reading.findings,
        gaps: reading.gaps,
        files,
    }
}

fn unreadable(path: &Path, why: &str) -> Gap {
    let do_first = "Make it readable, or name another path.";
    gap(Why::Unreadable, &path.display().to_string(), None, why.to_owned(), do_first)
}

fn gap(why: Why, subject: &str, place: Option<Place>, text: String, do_first: &str) -> Gap {
    Gap { why, subject: subject.to_owned(), place, text, do_first: do_first.to_owned() }
}
