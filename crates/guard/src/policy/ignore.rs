//! The ignore file: what was looked at and is left alone, with a reason and
//! the last day on which it is.
//!
//! ```toml
//! [[ignore]]
//! id = "CVE-2026-42208"
//! package = "litellm==1.82.6"
//! reason = "the proxy is not started here"
//! expires = 2026-12-31
//! ```
//!
//! It is never looked for: whoever can write into a folder that is audited
//! must not decide what the audit leaves out. What it leaves out stays in the
//! report. An entry that is broken, over or without use is a finding.

use super::finding;
use crate::audit::{Ignored, IgnoredThing, Known, Report};
use crate::finding::{Finding, Gap, Kind, Outcome, Severity, Why};
use crate::inventory::{Ecosystem, Place};
use crate::judge::known;
use crate::manifest::Malformed;
use crate::manifest::toml_file;
use crate::name::pep503;
use crate::render::rules;
use crate::rule::Rule;
use crate::version::Version;
use serde::Deserialize;
use std::path::Path;
use toml::Spanned;

const DAY_MS: i64 = 86_400_000;
/// An entry may not run for longer than a year: what nobody looks at again is
/// not decided, it is forgotten.
const DAYS_MAX: i64 = 366;
/// CycloneDX's words for why a hole does no harm.
const JUSTIFICATIONS: [&str; 9] = [
    "code_not_present",
    "code_not_reachable",
    "requires_configuration",
    "requires_dependency",
    "requires_environment",
    "protected_by_compiler",
    "protected_at_runtime",
    "protected_at_perimeter",
    "protected_by_mitigating_control",
];
/// Kinds that stand for too much to be left alone by their name: an advisory's
/// id says which.
const TOO_WIDE: [&str; 2] = ["malicious", "vulnerable"];

/// An ignore file that was read.
#[derive(Clone, Debug)]
pub struct Ignore {
    entries: Vec<Entry>,
    /// Entries that do not count, and why not.
    problems: Vec<Finding>,
}

#[derive(Clone, Debug)]
struct Entry {
    id: String,
    package: Wanted,
    path: Option<String>,
    reason: String,
    expires: String,
    justification: Option<String>,
    place: Place,
}

/// Which packages an entry is about.
#[derive(Clone, Debug)]
enum Wanted {
    Any,
    /// A name, and a version if there is one.
    Named(String, Option<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    ignore: Vec<Raw>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: Spanned<String>,
    package: Option<String>,
    path: Option<String>,
    reason: Option<String>,
    expires: Option<toml::Value>,
    justification: Option<String>,
}

/// The ignore file at `path`, read at `now_ms`, milliseconds since 1970; the
/// error names the file, and the line where there is one.
pub fn open(path: &Path, now_ms: i64) -> Result<Ignore, String> {
    let text = crate::files::text(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let place = Place::whole(path);
    read(&text, &place, now_ms)
        .map_err(|malformed| format!("{}: {}", place.at(malformed.line), malformed.what))
}

/// What the text of an ignore file says, read at `now_ms`, milliseconds since
/// 1970.
pub fn read(text: &str, place: &Place, now_ms: i64) -> Result<Ignore, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut ignore = Ignore { entries: Vec::new(), problems: Vec::new() };
    for raw in file.ignore {
        let place = place.at(lines.at(raw.id.span().start));
        let shown = match &raw.package {
            Some(package) => format!("{} on {package}", raw.id.get_ref()),
            None => raw.id.get_ref().clone(),
        };
        match entry(raw, &place, now_ms) {
            Ok(entry) => ignore.entries.push(entry),
            Err((text, do_first)) => {
                let subject = format!("ignore entry {shown}");
                let mut found =
                    finding(crate::rule::Rule::IgnoreEntry, Severity::Medium, subject, place, text);
                found.meaning = "This entry of the ignore file does not count: what it is about is reported as if it were not there.".into();
                do_first.clone_into(&mut found.do_first);
                ignore.problems.push(found);
            }
        }
    }
    Ok(ignore)
}

fn entry(raw: Raw, place: &Place, now_ms: i64) -> Result<Entry, (String, &'static str)> {
    let refused = |text: &str, do_first| Err((text.to_owned(), do_first));
    let reason = raw.reason.unwrap_or_default().trim().to_owned();
    if reason.is_empty() {
        return refused("it gives no reason", "Write down why it is left alone, in `reason`.");
    }
    let date = "Give the last day on which it counts: expires = 2026-12-31.";
    let expires = match &raw.expires {
        Some(toml::Value::String(text)) => text.clone(),
        Some(toml::Value::Datetime(date)) => date.to_string(),
        _ => return refused("it has no end", date),
    };
    let day = expires.get(..10).unwrap_or(&expires).to_owned();
    let Some(start_ms) = crate::time::unix_ms(&day) else {
        return refused("its end is no date", date);
    };
    if start_ms.saturating_add(DAY_MS) <= now_ms {
        let text = format!("it ended on {day}");
        return Err((text, "Look at it again: fix it, or decide anew with a new end."));
    }
    if start_ms - now_ms > DAYS_MAX * DAY_MS {
        let text = format!("it would run until {day}, for more than a year");
        return Err((text, "Give it an end within a year."));
    }
    if let Some(given) = &raw.justification
        && !JUSTIFICATIONS.contains(&given.as_str())
    {
        let text = format!("`{given}` is no justification that CycloneDX knows");
        return Err((text, "Use one of CycloneDX's words, such as code_not_reachable."));
    }
    let id = raw.id.into_inner();
    let of_releases = [Rule::MaliciousRelease, Rule::MaliciousFile, Rule::VulnerableRelease];
    let too_wide = Rule::called(&id).is_some_and(|rule| of_releases.contains(&rule));
    if too_wide || TOO_WIDE.contains(&id.as_str()) {
        let text = format!("`{id}` stands for everything of its kind");
        return Err((text, "Name the advisory: id = \"CVE-…\"."));
    }
    let open = UNIGNORABLE.into_iter().find(|why| is_gap(&id, *why, &rules::of_gap(*why)));
    if let Some(why) = open.map(rules::of_gap) {
        let text = format!("what is {} cannot be left alone", why.reason());
        return Err((text, "Close the gap: it says nothing of what is behind it."));
    }
    let package = match raw.package.as_deref().map(str::trim) {
        Some("*") => Wanted::Any,
        Some("") | None if raw.path.is_some() && is_rule(&id) => Wanted::Any,
        Some("") | None => {
            return refused("it names no package", "Say which: package = \"name==1.0\".");
        }
        Some(text) => match text.split_once("==") {
            Some((name, version)) => {
                Wanted::Named(name.trim().to_owned(), Some(version.trim().to_owned()))
            }
            None => Wanted::Named(text.to_owned(), None),
        },
    };
    if matches!(package, Wanted::Any) && is_rule(&id) && raw.path.is_none() {
        let text = format!("`{id}` on every package everywhere leaves out too much");
        return Err((text, "Name the package, or the file in `path`."));
    }
    let (path, justification) = (raw.path, raw.justification);
    Ok(Entry { id, package, path, reason, expires: day, justification, place: place.clone() })
}

/// Gaps behind which there may be anything.
const UNIGNORABLE: [Why; 4] = [Why::Unreadable, Why::Malformed, Why::Nothing, Why::Stale];

/// Returns true if `id` names a rule of ours, and no advisory.
fn is_rule(id: &str) -> bool {
    Rule::called(id).is_some()
        || Why::ALL.into_iter().any(|why| why.id().eq_ignore_ascii_case(id))
        || rules::all().iter().any(|rule| rule.is_called(id))
}

/// Returns true if `id` names gaps of the reason `why`, whose rule is `rule`.
fn is_gap(id: &str, why: Why, rule: &rules::Rule) -> bool {
    rule.is_called(id) || why.id().eq_ignore_ascii_case(id)
}

impl Ignore {
    /// Moves what the entries are about out of the answer of `report`, and
    /// adds what is wrong with the entries themselves.
    pub fn apply(&self, report: &mut Report) {
        let mut used = vec![false; self.entries.len()];
        let mut ignored = Vec::new();
        let mut left = Vec::new();
        for finding in std::mem::take(&mut report.findings) {
            left.extend(self.finding(finding, &report.known, &mut used, &mut ignored));
        }
        report.findings = left;
        report.gaps.retain(|gap| match self.entry_for_gap(gap, &mut used) {
            Some(entry) => {
                ignored.push(entry.ignored(IgnoredThing::Gap(gap.clone())));
                false
            }
            None => true,
        });
        report.findings.extend(self.problems.iter().cloned());
        let unused = self.entries.iter().zip(used).filter(|(_, used)| !used);
        report.findings.extend(unused.map(|(entry, _)| entry.unused()));
        report.ignored.extend(ignored);
        report.outcome = Outcome::of(&report.findings, &report.gaps);
        report.sort();
    }

    /// What is left of `finding`.
    fn finding(
        &self,
        finding: Finding,
        known: &[Known],
        used: &mut [bool],
        ignored: &mut Vec<Ignored>,
    ) -> Option<Finding> {
        let on_release = matches!(finding.kind, Kind::Malicious | Kind::Vulnerable);
        let hits: Vec<_> = crate::render::hits_of(known, &finding).collect();
        if !on_release || hits.is_empty() {
            let kind = rules::of_kind(finding.kind);
            let at = self.entries.iter().position(|entry| {
                (kind.is_called(&entry.id) || Rule::called(&entry.id) == Some(finding.rule))
                    && entry.is_about(&finding.subject, false)
                    && entry.is_at(&places(&finding))
            });
            return match at.and_then(|at| Some((self.entries.get(at)?, used.get_mut(at)?))) {
                Some((entry, used)) => {
                    *used = true;
                    ignored.push(entry.ignored(IgnoredThing::Finding(finding)));
                    None
                }
                None => Some(finding),
            };
        }
        let exact = finding.kind == Kind::Malicious;
        let places = places(&finding);
        let mut kept = Vec::new();
        for (_, hit) in hits {
            let at = self.entries.iter().position(|entry| {
                hit.ids.contains(&entry.id)
                    && entry.is_about(&finding.subject, exact)
                    && entry.is_at(&places)
            });
            match at.and_then(|at| Some((self.entries.get(at)?, used.get_mut(at)?))) {
                Some((entry, used)) => {
                    *used = true;
                    let one = known::of_hits(&finding, std::slice::from_ref(hit));
                    ignored.push(entry.ignored(IgnoredThing::Finding(one)));
                }
                None => kept.push(hit.clone()),
            }
        }
        (!kept.is_empty()).then(|| known::of_hits(&finding, &kept))
    }

    fn entry_for_gap(&self, gap: &Gap, used: &mut [bool]) -> Option<&Entry> {
        let rule = rules::of_gap(gap.why);
        let places: Vec<&Path> = gap.place.iter().map(|place| &*place.file).collect();
        let at = self.entries.iter().position(|entry| {
            is_gap(&entry.id, gap.why, &rule)
                && entry.is_about(&gap.subject, false)
                && entry.is_at(&places)
        })?;
        if let Some(used) = used.get_mut(at) {
            *used = true;
        }
        self.entries.get(at)
    }
}

fn places(finding: &Finding) -> Vec<&Path> {
    finding.evidence.iter().filter_map(|e| e.place.as_ref()).map(|place| &*place.file).collect()
}

impl Entry {
    /// Returns true if it speaks of `subject`, `name 1.0` or another thing by its own
    /// name; `exact` asks for the version too.
    fn is_about(&self, subject: &str, exact: bool) -> bool {
        let Wanted::Named(name, version) = &self.package else { return !exact };
        if subject == name && !exact {
            return true;
        }
        let (subject, rest) = subject.split_once(' ').unwrap_or((subject, ""));
        let same_name = subject == name || pep503(subject) == pep503(name);
        match version {
            None => same_name && !exact,
            Some(version) => {
                let same = |ecosystem| {
                    let (wanted, there) =
                        (Version::read(ecosystem, version), Version::read(ecosystem, rest));
                    wanted == there
                };
                same_name && (version == rest || same(Ecosystem::PyPi))
            }
        }
    }

    /// Returns true if every place is one that it speaks of.
    fn is_at(&self, places: &[&Path]) -> bool {
        let Some(path) = &self.path else { return true };
        let path = Path::new(path);
        let path = path.strip_prefix("./").unwrap_or(path);
        !places.is_empty() && places.iter().all(|place| place.ends_with(path))
    }

    fn ignored(&self, what: IgnoredThing) -> Ignored {
        Ignored {
            what,
            reason: self.reason.clone(),
            expires: self.expires.clone(),
            justification: self.justification.clone(),
            entry: self.place.clone(),
        }
    }

    fn unused(&self) -> Finding {
        let package = match &self.package {
            Wanted::Any => "*".to_owned(),
            Wanted::Named(name, Some(version)) => format!("{name}=={version}"),
            Wanted::Named(name, None) => name.clone(),
        };
        let subject = format!("ignore entry {} on {package}", self.id);
        let text = "nothing that was found here is what it is about".to_owned();
        let mut found = finding(
            crate::rule::Rule::IgnoreEntry,
            Severity::Low,
            subject,
            self.place.clone(),
            text,
        );
        found.meaning = "It has done its work, or it never fitted; while it stands it may leave out something that comes later.".into();
        found.do_first = "Remove the entry.".into();
        found
    }
}
