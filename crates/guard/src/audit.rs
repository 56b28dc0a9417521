//! Paths in, one report out.

use crate::advisory::{Advisories, Hit};
use crate::files;
use crate::finding::{Evidence, Finding, Gap, Kind, Outcome, Severity, Why};
use crate::installed::{self, Cache};
use crate::inventory::{Ecosystem, Package, Place, Source, Standing};
use crate::judge::{self, Terms};
use crate::manifest::{Format, Reading, conda};
use crate::packed;
use crate::tree::{self, Found};
use crate::version::Version;
use base::clock::rfc3339;
use serde::Serialize;
use std::collections::BTreeMap;
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
    /// What it is about.
    pub about: About,
    /// When it was made, RFC 3339.
    pub at: String,
    /// The answer.
    pub outcome: Outcome,
    /// What was seen, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub gaps: Vec<Gap>,
    /// What was seen or could not be looked at, and was agreed to be left.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Ignored>,
    /// The files that were read, and the folders with installed packages.
    pub files: Vec<PathBuf>,
    /// How many packages they hold, each counted once a place.
    pub packages: usize,
    /// What is known against releases that are there, one entry a release.
    pub known: Vec<Known>,
    /// The packages themselves, in the order in which they were read.
    #[serde(skip)]
    pub inventory: Vec<Package>,
    /// The advisories that were asked.
    pub advisories: Vec<AdvisorySet>,
}

/// Something that was seen or could not be looked at, and that an entry of the
/// ignore file takes out of the answer.
#[derive(Clone, Debug, Serialize)]
pub struct Ignored {
    /// What it is.
    #[serde(flatten)]
    pub what: IgnoredThing,
    /// Why it is left, in the words of whoever decided it.
    pub reason: String,
    /// The last day on which it is left, `2026-12-31`.
    pub expires: String,
    /// Why the hole does no harm here, in CycloneDX's words, if it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub justification: Option<String>,
    /// The entry.
    pub entry: Place,
}

/// A finding or a gap.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredThing {
    /// What was seen.
    Finding(Finding),
    /// What could not be looked at.
    Gap(Gap),
}

/// What is known against one release.
#[derive(Clone, Debug, Serialize)]
pub struct Known {
    /// Its name and version, as the findings on it have it for a subject.
    pub subject: String,
    /// Whose name and version it is.
    pub ecosystem: Ecosystem,
    /// Its name, in the normal spelling.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Each thing known, the worst first.
    pub hits: Vec<Hit>,
}

/// What a report is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// What is installed, locked or asked for.
    #[default]
    Packages,
    /// Keys that lie open.
    Secrets,
    /// A machine: what starts by itself, what talks to whom.
    Host,
    /// Two releases: what is new in the second.
    Difference,
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

/// What an audit is about to read.
#[derive(Clone, Copy, Debug)]
pub struct Step<'p> {
    /// Which one, from 1.
    pub at: usize,
    /// How many there are.
    pub of: usize,
    /// A file, or a folder with installed packages.
    pub path: &'p Path,
}

/// Audits what `ask` names. Reads files; runs nothing and connects to nothing.
pub fn audit(ask: &Ask, advisories: &Advisories) -> Report {
    audit_with(ask, advisories, None)
}

/// The same, but files that did not change since `cache` saw them are not
/// opened again. The report is the same, byte for byte.
pub fn audit_with(ask: &Ask, advisories: &Advisories, cache: Option<&Cache>) -> Report {
    audit_telling(ask, advisories, cache, &mut |_| {})
}

/// The same, and tells `tell` before each file and folder that it reads.
pub fn audit_telling(
    ask: &Ask,
    advisories: &Advisories,
    cache: Option<&Cache>,
    tell: &mut dyn FnMut(&Step<'_>),
) -> Report {
    let mut found = Found::default();
    for path in &ask.paths {
        tree::find(path, &mut found);
    }
    let mut reading = Reading::default();
    for (path, why) in &found.unreadable {
        reading.gaps.push(unreadable(path, why));
    }
    for text in &found.asked {
        reading.append(asked_for(text));
    }
    reading.gaps.extend(found.unread.iter().map(|path| unread(path)));
    through_links(&found, &mut reading);
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
    let mut files: Vec<PathBuf> = Vec::new();
    let of =
        found.manifests.len() + found.site_dirs.len() + found.archives.len() + found.layouts.len();
    for (path, format) in &found.manifests {
        tell(&Step { at: files.len() + 1, of, path });
        files.push(path.clone());
        reading.append(manifest(path, *format));
    }
    reading.gaps.extend(conda_builds(&found, &reading));
    for (path, named) in &found.archives {
        tell(&Step { at: files.len() + 1, of, path });
        files.push(path.clone());
        reading.append(packed::read(path, *named));
    }
    for path in &found.projects {
        reading.append(crate::project::read(path));
    }
    for folder in &found.layouts {
        tell(&Step { at: files.len() + 1, of, path: folder });
        files.push(folder.clone());
        reading.append(packed::folder(folder, packed::image::layout));
    }
    let empty = found.manifests.is_empty() && found.site_dirs.is_empty() && found.asked.is_empty();
    let setup = found.projects.iter().filter(|path| path.ends_with("setup.py"));
    if empty {
        reading.gaps.extend(setup.map(|path| unread(path)));
    }
    if empty && files.is_empty() && reading.gaps.is_empty() {
        let shown: Vec<String> = ask.paths.iter().map(|path| path.display().to_string()).collect();
        let text = "no lock file, no requirement file and no environment is there".to_owned();
        let do_first = found.texts.iter().find(|path| is_list(path)).map_or_else(
            || "Name the file or folder to audit; see --help for what is read.".to_owned(),
            |path| format!("Name the file: `keymoat audit {}`.", path.display()),
        );
        reading.gaps.push(gap(Why::Nothing, &shown.join(", "), None, text, &do_first));
    }
    for site in &found.site_dirs {
        tell(&Step { at: files.len() + 1, of, path: site });
        files.push(site.clone());
        reading.append(installed::read(site, cache));
    }
    nothing(&mut reading, &ask.paths);
    judged(&mut reading, advisories, &ask.terms);
    summed_up(&ask.terms, reading, files, advisories)
}

/// Returns true if the file at `path` would be audited if somebody named it.
fn is_list(path: &Path) -> bool {
    let mut found = Found::default();
    tree::find(path, &mut found);
    let packages = |(path, format): &(PathBuf, Format)| {
        let reading = manifest(path, *format);
        let lines = reading.gaps.iter().filter(|gap| gap.why == Why::Malformed).count();
        reading.packages.len() > lines
    };
    found.manifests.iter().any(packages) || !found.archives.is_empty()
}

/// What is known of a requirement that was named in the place of a path.
fn asked_for(text: &str) -> Reading {
    let place = Place::whole("the command line");
    crate::manifest::requirements::read(text, &place, &|_| {
        Err("it is not read from here".to_owned())
    })
}

/// The gap that a file of a known kind is not read.
fn unread(path: &Path) -> Gap {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (text, do_first) = match name {
        "setup.py" => (
            "what it requires is computed when it runs, and nothing is run",
            "Audit what it installs: `pip freeze | keymoat audit -`, or the environment.",
        ),
        "pixi.lock" => {
            ("locks of this tool are known and not read", "Audit the environment that it makes.")
        }
        _ => (
            "locks of this tool are known and not read",
            "Audit a package-lock.json: `npm install --package-lock-only` makes one.",
        ),
    };
    gap(
        Why::UnknownFormat,
        &path.display().to_string(),
        Some(Place::whole(path)),
        text.to_owned(),
        do_first,
    )
}

/// Adds a gap if no package was seen at all: that is no audit, whatever was read.
fn nothing(reading: &mut Reading, paths: &[PathBuf]) {
    if !reading.packages.is_empty() || !reading.gaps.is_empty() {
        return;
    }
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    let text = "what is there names no package and holds none".to_owned();
    let do_first =
        "Name the lock file, the environment or the image to audit; see --help for what is read.";
    reading.gaps.push(gap(Why::Nothing, &shown.join(", "), None, text, do_first));
}

/// Audits the root file system that is unpacked at `root`, an image's tree: an
/// absolute link in it means a place below `root`, never one on this machine.
pub fn audit_root(root: &Path, terms: &Terms, advisories: &Advisories) -> Report {
    let mut reading = packed::folder(root, packed::image::root);
    let installed = reading.packages.iter().any(|p| p.standing == Standing::Installed);
    if !installed && reading.gaps.is_empty() {
        let text = "no installed Python package is below it".to_owned();
        let do_first = "Name the folder that holds the image's /usr.";
        reading.gaps.push(gap(Why::Nothing, &root.display().to_string(), None, text, do_first));
    }
    judged(&mut reading, advisories, terms);
    summed_up(terms, reading, vec![root.to_owned()], advisories)
}

/// Files behind links that lead out of what is audited.
fn left(found: &Found) -> impl Iterator<Item = Gap> {
    found.leaving.iter().map(|(link, target)| {
        let text = format!("it is a link to {}, outside of what is audited", target.display());
        let do_first = "Name that file, too, or take the link away.";
        let place = Some(Place::whole(link));
        gap(Why::Unreadable, &link.display().to_string(), place, text, do_first)
    })
}

/// Adds what the links mean that lead out of what is audited.
fn through_links(found: &Found, reading: &mut Reading) {
    reading.gaps.extend(left(found));
    for (link, target) in &found.moved {
        reading.findings.push(Finding {
rule: crate::rule::Rule::Link,
            severity: Severity::Medium,
            kind: Kind::Integrity,
            subject: link.display().to_string(),
            evidence: vec![Evidence {
                place: Some(Place::whole(link)),
                text: format!("leads to {}", target.display()),
            }],
            meaning: "A folder of this environment is a link out of it: what is installed lies elsewhere, and whoever can write there decides what Python runs here. It was audited through the link.".into(),
            do_first: "Find out who made it. Tools that make environments do not.".into(),
            advisories: Vec::new(),
        });
    }
}

/// Adds what all that was read means together.
fn judged(reading: &mut Reading, advisories: &Advisories, terms: &Terms) {
    let (findings, gaps) = judge::packages(&reading.packages, advisories, terms);
    reading.findings.extend(findings);
    reading.gaps.extend(gaps);
    let copies = std::mem::take(&mut reading.copies);
    let (findings, gaps) = judge::copies::judge(&reading.packages, &copies);
    reading.findings.extend(findings);
    reading.gaps.extend(gaps);
}

/// Adds to `report` what is suspicious about what is new in it since `before`:
/// earlier lock files or environments. What cannot be read there is a gap.
pub fn compare(report: &mut Report, before: &[PathBuf]) {
    let mut found = Found::default();
    for path in before {
        tree::find(path, &mut found);
    }
    let mut earlier = Reading::default();
    for (path, format) in &found.manifests {
        earlier.append(manifest(path, *format));
    }
    for site in &found.site_dirs {
        earlier.append(installed::read(site, None));
    }
    for (path, named) in &found.archives {
        earlier.append(packed::read(path, *named));
    }
    let unread = |gap: &Gap| matches!(gap.why, Why::Unreadable | Why::Malformed);
    report.gaps.extend(earlier.gaps.into_iter().filter(unread));
    report.gaps.extend(found.unreadable.iter().map(|(path, why)| unreadable(path, why)));
    report.gaps.extend(left(&found));
    if earlier.packages.is_empty() {
        let shown: Vec<String> = before.iter().map(|path| path.display().to_string()).collect();
        let text = "there are no packages in it to compare with".to_owned();
        report.gaps.push(gap(
            Why::Nothing,
            &shown.join(", "),
            None,
            text,
            "Name the earlier lock file.",
        ));
    }
    report.findings.extend(judge::news::judge(&earlier.packages, &report.inventory));
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report.outcome = Outcome::of(&report.findings, &report.gaps);
}

/// One gap for each folder in which conda says what it installed.
fn conda_builds(found: &Found, reading: &Reading) -> Vec<Gap> {
    let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
    let metas = found.manifests.iter().filter(|(_, format)| *format == Format::CondaMeta);
    for folder in metas.filter_map(|(path, _)| path.parent()) {
        folders.entry(folder).or_default();
    }
    for package in &reading.packages {
        let of_conda = matches!(package.source, Source::Conda { .. });
        if let Some(count) = package.place.file.parent().and_then(|folder| folders.get_mut(folder))
            && of_conda
        {
            *count += 1;
        }
    }
    let filled = folders.into_iter().filter(|(_, count)| *count > 0);
    filled.map(|(folder, count)| conda::gap(count, Place::whole(folder))).collect()
}

fn manifest(path: &Path, format: Format) -> Reading {
    let read = if format == Format::Requirements { files::any_text } else { files::text };
    let text = match read(path) {
        Ok(text) => text,
        Err(why) => return Reading { gaps: vec![unreadable(path, &why)], ..Reading::default() },
    };
    let place = Place::whole(path);
    match format.read(&text, &place, &|other| files::met_text(other)) {
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

/// The report on what was read and judged.
pub(crate) fn summed_up(
    terms: &Terms,
    reading: Reading,
    files: Vec<PathBuf>,
    advisories: &Advisories,
) -> Report {
    let mut report = Report {
        about: About::Packages,
        at: rfc3339(terms.now_ms),
        outcome: Outcome::of(&reading.findings, &reading.gaps),
        packages: reading.packages.len(),
        known: known(&reading, advisories),
        inventory: reading.packages,
        advisories: asked(advisories),
        findings: reading.findings,
        gaps: reading.gaps,
        ignored: Vec::new(),
        files,
    };
    report.sort();
    report
}

impl Report {
    /// Puts the worst first, and like beside like.
    pub(crate) fn sort(&mut self) {
        // What asks for the same stands together; holes go by the name of what has them.
        let asks = |f: &Finding| {
            if f.kind == Kind::Vulnerable {
                String::new()
            } else {
                [&*f.do_first, &*f.meaning].concat()
            }
        };
        let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.kind, asks(f), f.subject.clone());
        self.findings.sort_by_cached_key(key);
        let key = |gap: &Gap| (gap.why, gap.subject.clone(), gap.place.clone());
        self.gaps.sort_by_cached_key(key);
    }
}

/// The sets of `advisories`, as a report names them.
pub(crate) fn asked(advisories: &Advisories) -> Vec<AdvisorySet> {
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
    sets.collect()
}

/// The hits behind the findings on releases: they rest on advisories, and
/// formats for machines need these apart.
fn known(reading: &Reading, advisories: &Advisories) -> Vec<Known> {
    let is_on_release = |f: &&Finding| matches!(f.kind, Kind::Malicious | Kind::Vulnerable);
    let subjects: Vec<&str> =
        reading.findings.iter().filter(is_on_release).map(|f| f.subject.as_str()).collect();
    if subjects.is_empty() {
        return Vec::new();
    }
    let mut known: BTreeMap<(String, Ecosystem), Known> = BTreeMap::new();
    for package in &reading.packages {
        let (Some(version), subject) = (&package.version, package.shown()) else { continue };
        if package.source == Source::Own || !subjects.contains(&subject.as_str()) {
            continue;
        }
        let ecosystem = package.ecosystem;
        known.entry((subject.clone(), ecosystem)).or_insert_with(|| Known {
            subject,
            ecosystem,
            name: package.name.clone(),
            version: version.clone(),
            hits: advisories.hits(ecosystem, &package.name, version),
        });
    }
    known.into_values().filter(|known| !known.hits.is_empty()).collect()
}

fn unreadable(path: &Path, why: &str) -> Gap {
    let do_first = "Make it readable, or name another path.";
    gap(Why::Unreadable, &path.display().to_string(), None, why.to_owned(), do_first)
}

fn gap(why: Why, subject: &str, place: Option<Place>, text: String, do_first: &str) -> Gap {
    Gap { why, subject: subject.to_owned(), place, text, do_first: do_first.to_owned() }
}
