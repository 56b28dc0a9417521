//! The smallest safe change: for each release that is known as malicious or
//! vulnerable, the smallest later one that advisories name as a fix and
//! against which nothing is known here.
//!
//! Files that people write get a unified diff; locks belong to the tool that
//! wrote them, so for these there is the command to run. Nothing is written,
//! and nothing is run. Hashes cannot be known without the files: those of the
//! old release are taken out, and it is said that they must be made anew.

mod diff;
mod edit;

use crate::advisory::Advisories;
use crate::audit::Report;
use crate::finding::{Finding, Kind};
use crate::inventory::{Ecosystem, Package, Source, Standing};
use crate::manifest::Format;
use crate::version::Version;
use edit::Edit;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// What is proposed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    /// What to know and to run, a line each.
    pub notes: Vec<String>,
    /// A unified diff, as `git apply` and `patch -p1` take it; empty if no file
    /// is to be edited.
    pub diff: String,
}

impl Proposal {
    /// The notes as comments, then the diff: a text that `patch` takes whole.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for note in &self.notes {
            let plain: String =
                note.chars().map(|l| if l.is_control() { '\u{fffd}' } else { l }).collect();
            // Writing to a string has no way to fail.
            writeln!(out, "# {plain}").unwrap_or_default();
        }
        out + &self.diff
    }
}

/// What to change about the findings of `report`; `open` gives the text of the
/// files in which they stand.
pub fn propose(
    report: &Report,
    advisories: &Advisories,
    open: &dyn Fn(&Path) -> Result<String, String>,
) -> Proposal {
    let mut fix = Fix { advisories, open, files: BTreeMap::new(), notes: Vec::new() };
    let mut seen = Vec::new();
    for finding in &report.findings {
        // Malicious and vulnerable are two findings on one release.
        let is_known = matches!(finding.kind, Kind::Malicious | Kind::Vulnerable | Kind::Pin);
        if !is_known || seen.contains(&&finding.subject) {
            continue;
        }
        seen.push(&finding.subject);
        let same = report.inventory.iter().filter(|p| p.shown() == finding.subject);
        for package in same.filter(|package| package.source != Source::Own) {
            match &package.version {
                Some(version) => fix.release(finding, package, version),
                None => fix.range(package),
            }
        }
    }
    fix.finished()
}

/// The text of a file that an audit has read.
pub fn open(path: &Path) -> Result<String, String> {
    crate::files::text(path)
}

struct Fix<'a> {
    advisories: &'a Advisories,
    open: &'a dyn Fn(&Path) -> Result<String, String>,
    /// What is to be done to each file: the line, and the change.
    files: BTreeMap<std::path::PathBuf, Vec<(u32, Edit)>>,
    notes: Vec<String>,
}

impl Fix<'_> {
    fn note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    fn release(&mut self, finding: &Finding, package: &Package, version: &Version) {
        let (name, place) = (&package.name, &package.place);
        let Some(safe) = self.advisories.safe_after(package.ecosystem, name, version) else {
            let what = package.shown();
            let malicious = finding.kind == Kind::Malicious;
            self.note(if malicious {
                format!("{what} ({place}): no advisory names a safe release after it. Go back to the last release before it that your history has locked, and audit that.")
            } else {
                format!("{what} ({place}): no advisory names a release that is free of all that is known. Read {}.", finding.advisories.join(", "))
            });
            return;
        };
        let safe = safe.text().to_owned();
        if package.standing == Standing::Installed {
            self.note(format!(
                "{} is installed at {place}: change what it was installed from to {safe}, and make the environment anew; an update inside it leaves behind what the old release put there.",
                package.shown()
            ));
            return;
        }
        match Format::of(&place.file) {
            Some(format) if format.is_lock() => {
                let told = command(format, name, &safe);
                self.note(format!("{} ({place}) -> {safe}: {told}", package.shown()));
            }
            _ => {
                let edit = Edit::Version {
                    name: name.clone(),
                    from: version.text().to_owned(),
                    to: safe.clone(),
                };
                let hashed = !package.hashes.is_empty();
                let as_of = match self.advisories.cover(package.ecosystem, name) {
                    Some(cover) => format!("by advisories of {}", cover.day()),
                    None => "and no set of advisories here is complete for it".to_owned(),
                };
                self.note(format!(
                    "{} ({place}) -> {safe}: nothing is known against it here, {as_of}",
                    package.shown()
                ));
                self.edit(package, edit);
                if hashed {
                    self.note(format!("{name} {safe} ({place}): its hashes are not known here and must be made anew: lock it, then `keymoat pin`, or pip-compile --generate-hashes."));
                }
            }
        }
    }

    /// A range that lets malicious releases in: they are shut out one by one,
    /// which moves nothing else.
    fn range(&mut self, package: &Package) {
        if package.ecosystem != Ecosystem::PyPi || package.standing != Standing::Asked {
            return;
        }
        let Ok(range) =
            crate::python::Specifiers::read(package.range.as_deref().unwrap_or_default())
        else {
            return;
        };
        let admits = |version: &Version| range.admit(version);
        let bad = self.advisories.malicious_admitted(package.ecosystem, &package.name, &admits);
        let versions: Vec<String> =
            bad.iter().map(|(version, _)| version.text().to_owned()).collect();
        if !versions.is_empty() {
            self.edit(package, Edit::Exclude { name: package.name.clone(), versions });
        }
    }

    fn edit(&mut self, package: &Package, edit: Edit) {
        let edits = self.files.entry(package.place.file.to_path_buf()).or_default();
        edits.push((package.place.line, edit));
    }

    fn finished(mut self) -> Proposal {
        let mut diff = String::new();
        for (path, edits) in std::mem::take(&mut self.files) {
            let text = match (self.open)(&path) {
                Ok(text) => text,
                Err(why) => {
                    self.note(format!("{}: {why}", path.display()));
                    continue;
                }
            };
            let mut changes: BTreeMap<usize, diff::Change> = BTreeMap::new();
            for (line, edit) in edits {
                // Several requirements may share a line: each edit meets what is there by then.
                let block = edit::block(&text, line);
                let done = block.and_then(|(start, block)| {
                    let before = changes.get(&start).map_or(&block, |change| &change.added);
                    Some((start, block.len(), edit::apply(before, &edit)?))
                });
                match done {
                    Some((start, removed, added)) => {
                        changes.insert(start, diff::Change { start, removed, added });
                    }
                    None => self.note(format!("{}:{line}: {}, by hand: the line is not written in a way that can be edited safely", path.display(), edit.told())),
                }
            }
            let changes = changes.into_values().collect();
            diff.push_str(&diff::unified(&path, &text, changes));
        }
        if diff.is_empty() && self.notes.is_empty() {
            self.notes.push(
                "nothing to propose: no release that is malicious or vulnerable is known here"
                    .to_owned(),
            );
        }
        Proposal { notes: self.notes, diff }
    }
}

/// How the tool that wrote a lock is told to take `version` of `name`.
fn command(format: Format, name: &str, version: &str) -> String {
    match format {
        Format::UvLock => format!("uv lock --upgrade-package '{name}=={version}'"),
        Format::PoetryLock => {
            format!("poetry update {name}, and see that it comes to {version} or later")
        }
        Format::PdmLock => {
            format!("pdm update {name}, and see that it comes to {version} or later")
        }
        Format::PipfileLock => format!("pipenv upgrade '{name}=={version}'"),
        Format::PackageLock => format!(
            "npm install {name}@{version} if you ask for it yourself; else an entry in `overrides`, then npm install"
        ),
        Format::PnpmLock => format!("pnpm update {name}@{version}"),
        Format::CargoLock => format!("cargo update -p {name} --precise {version}"),
        _ => format!("make the file anew with the tool that wrote it, with {name} at {version}"),
    }
}
