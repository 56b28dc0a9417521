//! What the code of each distribution does at import or at installation.

use super::contents::Seen;
use crate::files;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::Place;
use crate::judge::conduct::{self as combine, Entry, Open, Part, Root, Verdict};
use pycode::fact::{Summary, excerpt};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lines of evidence for one finding.
const EVIDENCE_MAX: usize = 12;

/// A file of Python source, and what it does.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) module: String,
    pub(super) summary: Arc<Summary>,
}

/// Source files by whose they are.
pub(super) type Sources = BTreeMap<String, Vec<Source>>;

/// The source file at `path` below `site`, if it is one.
pub(super) fn source(site: &Path, path: &Path, seen: &Seen) -> Option<Source> {
    let summary = Arc::clone(seen.summary.as_ref()?);
    Some(Source { path: path.to_owned(), module: module(site, path), summary })
}

/// `a/b/__init__.py` is `a.b`; what lies elsewhere has its own name only.
pub(crate) fn module(site: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(site).unwrap_or(Path::new(path.file_name().unwrap_or_default()));
    let inside = inside.with_extension("");
    let parts: Vec<&str> = inside.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        [package @ .., "__init__"] => package.join("."),
        all => all.join("."),
    }
}

/// Adds what the code of `sources` adds up to. `entries` are what other
/// programs call in it, by owner; `open` gives the data beside it.
pub(super) fn judge(
    sources: &Sources,
    entries: &BTreeMap<String, Vec<Entry>>,
    open: Open<'_>,
    findings: &mut Vec<Finding>,
    gaps: &mut Vec<Gap>,
) {
    for (owner, sources) in sources {
        let parts: Vec<Part<'_>> = sources.iter().map(part).collect();
        let entries = entries.get(owner).map(Vec::as_slice).unwrap_or_default();
        for verdict in combine::judge(&parts, entries, open) {
            let main = verdict.evidence.first().map_or(0, |(index, _)| *index);
            let Some(main) = sources.get(main) else { continue };
            let subject = format!("{} of {owner}", shown(main));
            let when = verdict.root.words(&main.module);
            findings.push(finding(&verdict, sources, subject, &when));
        }
        gaps.extend(sources.iter().filter(|s| s.summary.cut_short).map(|s| too_much(&s.path)));
    }
}

/// A source file as it is judged.
pub(super) fn part(source: &Source) -> Part<'_> {
    Part { module: source.module.clone(), path: &source.path, summary: &source.summary }
}

/// What the entry points in `text`, an `entry_points.txt`, have called.
pub(super) fn entry_points(text: &str) -> Vec<Entry> {
    let mut group = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(named) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            named.trim().clone_into(&mut group);
            continue;
        }
        let Some((name, target)) = line.split_once('=') else { continue };
        let name = name.trim();
        let target = target.split('[').next().unwrap_or(target).trim();
        let (module, function) = match target.split_once(':') {
            Some((module, function)) => (module.trim(), Some(function.trim().to_owned())),
            None => (target, None),
        };
        let is_command = matches!(group.as_str(), "console_scripts" | "gui_scripts");
        let root = if is_command {
            Root::Command(name.to_owned())
        } else {
            Root::Hook(format!("{group}: {name}"))
        };
        found.push(Entry { module: module.to_owned(), function, root });
    }
    found
}

fn shown(source: &Source) -> String {
    match source.module.as_str() {
        "" => source.path.display().to_string(),
        module if source.summary.is_package => format!("{}/__init__.py", module.replace('.', "/")),
        module => format!("{}.py", module.replace('.', "/")),
    }
}

/// The finding that `verdict` on `sources` makes.
pub(super) fn finding(
    verdict: &Verdict<'_>,
    sources: &[Source],
    subject: String,
    when: &str,
) -> Finding {
    let mut evidence: Vec<Evidence> = Vec::new();
    for (index, fact) in &verdict.evidence {
        let Some(source) = sources.get(*index) else { continue };
        let text = match line(&source.path, fact.line) {
            Some(line) => format!("{}: {line}", fact.deed.verb()),
            None => format!("{}: {}", fact.deed.verb(), fact.what),
        };
        let place = Some(Place::whole(&source.path).at(fact.line));
        let seen = Evidence { place, text };
        if evidence.len() < EVIDENCE_MAX && !evidence.contains(&seen) {
            evidence.push(seen);
        }
    }
    let do_first = if verdict.severity == Severity::Critical {
        "Start nothing that uses it. Cut the machine off the network, keep a copy of the file, and compare it with the release's public source. If it ran, replace every secret that was readable here, from a clean machine."
    } else {
        "Read the file and compare it with the release's public source before it is used again."
    };
    Finding {
        rule: verdict.rule,
        severity: verdict.severity,
        kind: Kind::Code,
        subject,
        evidence,
        meaning: format!("{} {when}", verdict.because),
        do_first: do_first.into(),
        advisories: Vec::new(),
    }
}

/// One line of a file, cut to what helps a reader.
fn line(path: &Path, number: u32) -> Option<String> {
    let bytes = files::met(path, pycode::FILE_MAX_BYTES as u64).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?)?;
    let line = excerpt(line);
    (!line.is_empty()).then_some(line)
}

fn too_much(path: &Path) -> Gap {
    Gap {
        why: Why::Unreadable,
        subject: path.display().to_string(),
        place: Some(Place::whole(path)),
        text: "its code is larger or nested deeper than is followed".into(),
        do_first: "Read it yourself: files that are made to be unreadable are not honest.".into(),
    }
}
