//! Two releases of a package: what is new weighs most.
//!
//! Every attack of 2026 changed what a package does in a release that promised
//! little: a new line that runs at every start, code at import that was never
//! there, a dependency that nobody had heard of. What was there before is the
//! author's habit and counts little here.

use super::Release;
use crate::audit::{About, Report};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::Place;
use crate::judge::bad_files;
use crate::judge::conduct::{self as combine, Part};
use crate::manifest::Reading;
use crate::rule::Rule;
use pycode::fact::{Deed, Fact, When, excerpt};
use pycode::{self, Role};
use std::collections::BTreeSet;
use std::path::Path;

/// Files or modules that one finding names; the rest are counted.
const SHOWN_MAX: usize = 12;

/// What `new` does that `old` does not: folders, wheels or source archives.
pub fn diff(old: &Path, new: &Path, now_ms: i64) -> Report {
    let mut reading = Reading::default();
    let mut read = |path: &Path| match super::read(path) {
        Ok(release) => {
            let odd = release.odd.iter().map(|odd| (odd.member.clone(), odd.what.to_string()));
            for (member, why) in odd.chain(release.unread.iter().cloned()) {
                reading.gaps.push(unread(&format!("{member} in {}", path.display()), &why));
            }
            Some(release)
        }
        Err(why) => {
            reading.gaps.push(unread(&path.display().to_string(), &why));
            None
        }
    };
    let (before, after) = (read(old), read(new));
    if let (Some(before), Some(after)) = (before, after) {
        let both = Both { before: &before, after: &after, new };
        both.known_bad(&mut reading.findings);
        both.start(&mut reading.findings);
        let told = both.conduct(&mut reading.findings);
        both.deeds(&told, &mut reading.findings);
        both.needs(&mut reading.findings);
        both.files(&mut reading.findings);
        for (name, _) in after.code.iter().filter(|(_, code)| code.cut_short) {
            let why = "its code is larger or nested deeper than is followed";
            reading.gaps.push(unread(&format!("{name} in {}", new.display()), why));
        }
    }
    let files = vec![old.to_owned(), new.to_owned()];
    Report::without_packages(About::Difference, now_ms, reading, files)
}

struct Both<'r> {
    before: &'r Release,
    after: &'r Release,
    new: &'r Path,
}

impl Both<'_> {
    fn place(&self, name: &str, line: u32) -> Place {
        let spelled = self.after.spelled.get(name).map_or(name, String::as_str);
        Place::whole(self.new.join(spelled)).at(line)
    }

    fn finding(
        &self,
        rule: Rule,
        severity: Severity,
        kind: Kind,
        what: &str,
        evidence: Vec<Evidence>,
    ) -> Finding {
        Finding {
rule,
            severity,
            kind,
            subject: format!("{what} of {}", self.after.title),
            evidence,
            meaning: String::new(),
            do_first: "Read it in the new release, and ask its authors what it is for before anybody installs it.".into(),
            advisories: Vec::new(),
        }
    }

    fn known_bad(&self, findings: &mut Vec<Finding>) {
        for (name, sha256) in &self.after.files {
            if let Some((id, what)) = bad_files::known_bad(&crate::installed::hex(sha256)) {
                findings.push(bad_files::found(self.place(name, 0), id, what));
            }
        }
    }

    /// Lines that run at every start and did not before.
    fn start(&self, findings: &mut Vec<Finding>) {
        let old: BTreeSet<&str> =
            self.before.start.values().flatten().map(String::as_str).collect();
        for (name, lines) in &self.after.start {
            let new: Vec<&String> =
                lines.iter().filter(|line| !old.contains(line.as_str())).collect();
            let Some(first) = new.first() else { continue };
            let text = new.iter().map(|line| line.as_str()).collect::<Vec<_>>().join("\n");
            let summary =
                pycode::apart(|| pycode::read(Role::Module, text.as_bytes())).unwrap_or_default();
            let parts = [Part { module: String::new(), path: Path::new(name), summary: &summary }];
            let bad = combine::at_start(&parts, &|_| None);
            let severity = if bad.is_some() { Severity::Critical } else { Severity::High };
            let because = bad.map_or("What it does is not known.", |bad| bad.because);
            let seen = format!("{} new, the first: {}", new.len(), excerpt(first));
            let evidence = vec![Evidence { place: Some(self.place(name, 0)), text: seen }];
            findings.push(Finding {
                meaning: format!("It runs at every Python start once this release is installed, and the release before had no such line. {because}"),
                ..self.finding(Rule::StartupUnknown, severity, Kind::StartupCode, name, evidence)
            });
        }
    }

    /// What adds up to something in the new release and did not in the old;
    /// gives what is told with that.
    fn conduct(&self, findings: &mut Vec<Finding>) -> BTreeSet<Deed> {
        let mut told = BTreeSet::new();
        let (old, new) = (parts(self.before), parts(self.after));
        let before: BTreeSet<(&str, Deed)> =
            self.before.at_import().map(|(n, f)| (n, f.deed)).collect();
        let names: Vec<&String> = self.after.code.keys().collect();
        let habits: BTreeSet<&str> = combine::judge(&old, &[], &|_| None)
            .into_iter()
            .map(|verdict| verdict.because)
            .collect();
        for verdict in combine::judge(&new, &[], &|_| None) {
            let of = |index: usize| names.get(index).map(|name| name.as_str()).unwrap_or_default();
            let fresh =
                verdict.evidence.iter().any(|(i, fact)| !before.contains(&(of(*i), fact.deed)));
            if !fresh && habits.contains(verdict.because) {
                continue;
            }
            let evidence = verdict.evidence.iter().take(SHOWN_MAX).map(|(index, fact)| Evidence {
                place: Some(self.place(of(*index), fact.line)),
                text: format!("{}: {}", fact.deed.verb(), fact.what),
            });
            told.extend(verdict.evidence.iter().map(|(_, fact)| fact.deed));
            let main = verdict.evidence.first().map_or("", |(index, _)| of(*index));
            let when = if main.ends_with("setup.py") { "at installation" } else { "at import" };
            findings.push(Finding {
                meaning: format!(
                    "{} It does so {when}, and the release before did not.",
                    verdict.because
                ),
                ..self.finding(verdict.rule, verdict.severity, Kind::Code, main, evidence.collect())
            });
        }
        told
    }

    /// Single things that nothing in the old release did.
    fn deeds(&self, told: &BTreeSet<Deed>, findings: &mut Vec<Finding>) {
        let old_at_import: BTreeSet<Deed> = self.before.at_import().map(|(_, f)| f.deed).collect();
        let old: BTreeSet<Deed> = self.before.facts().map(|(_, fact)| fact.deed).collect();
        let deeds: BTreeSet<Deed> = self.after.facts().map(|(_, fact)| fact.deed).collect();
        for deed in deeds.difference(told).copied() {
            let of = |at_import: bool| -> Vec<(&str, &Fact)> {
                let all = self.after.facts().filter(|(_, fact)| fact.deed == deed);
                all.filter(|(_, fact)| (fact.when == When::Import) == at_import).collect()
            };
            let (early, late) = (of(true), of(false));
            let (severity, when, seen) = if !early.is_empty() && !old_at_import.contains(&deed) {
                (weight(deed, true), "at import or installation", early)
            } else if !old.contains(&deed) && !late.is_empty() {
                (weight(deed, false), "when it is called", late)
            } else {
                continue;
            };
            let evidence = seen.iter().take(SHOWN_MAX).map(|(name, fact)| Evidence {
                place: Some(self.place(name, fact.line)),
                text: fact.what.clone(),
            });
            findings.push(Finding {
                meaning: format!(
                    "The new release {} {when}; the one before never did.",
                    deed.verb()
                ),
                ..self.finding(
                    Rule::NewConduct,
                    severity,
                    Kind::Code,
                    "new conduct",
                    evidence.collect(),
                )
            });
        }
    }

    fn needs(&self, findings: &mut Vec<Finding>) {
        let new =
            self.after.needs.iter().filter(|(name, _)| !self.before.needs.contains_key(*name));
        for (name, whole) in new {
            let optional = whole.contains("extra ==");
            let severity = if optional { Severity::Low } else { Severity::Medium };
            let evidence = vec![Evidence { place: None, text: excerpt(whole) }];
            findings.push(Finding {
                meaning: "The release before did not need it. A dependency that nobody had heard of is how harm comes in without a line of it in the package itself.".into(),
                do_first: "Look at that package first: how old it is, who publishes it, and what `keymoat audit` says of it.".into(),
                ..self.finding(Rule::NewDependency, severity, Kind::Origin, &format!("new dependency {name}"), evidence)
            });
        }
    }

    fn files(&self, findings: &mut Vec<Finding>) {
        let new: Vec<&String> =
            self.after.files.keys().filter(|name| !self.before.files.contains_key(*name)).collect();
        let gone = self.before.files.keys().filter(|name| !self.after.files.contains_key(*name));
        let changed = self.after.files.iter();
        let changed =
            changed.filter(|(n, s)| self.before.files.get(*n).is_some_and(|old| old != *s));
        let text = format!("{} new, {} changed, {} gone", new.len(), changed.count(), gone.count());
        let mut evidence = vec![Evidence { place: None, text }];
        evidence.extend(self.listed(&new));
        findings.push(Finding {
            meaning: "All of it, so that a reader knows where to look.".into(),
            do_first: "Nothing, if the rest is explained.".into(),
            ..self.finding(Rule::NewFiles, Severity::Info, Kind::Recent, "files", evidence)
        });
        let native: Vec<&String> = new.into_iter().filter(|name| is_native(name)).collect();
        if !native.is_empty() && !self.before.files.keys().any(|name| is_native(name)) {
            findings.push(Finding {
                meaning:
                    "The release before held no compiled code. It cannot be judged by reading."
                        .into(),
                ..self.finding(
                    Rule::NewConduct,
                    Severity::Medium,
                    Kind::Code,
                    "compiled code",
                    self.listed(&native),
                )
            });
        }
        let (before, after) = (roots(self.before), roots(self.after));
        let modules: Vec<&str> = after.difference(&before).map(String::as_str).collect();
        if !modules.is_empty() {
            let shown = modules.iter().take(SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
            let more = modules.len().saturating_sub(SHOWN_MAX);
            let text = if more > 0 { format!("{shown} and {more} more") } else { shown };
            findings.push(Finding {
                meaning: "Modules that no file of the release before imported.".into(),
                ..self.finding(
                    Rule::NewConduct,
                    Severity::Low,
                    Kind::Code,
                    "new imports",
                    vec![Evidence { place: None, text }],
                )
            });
        }
    }

    fn listed(&self, names: &[&String]) -> Vec<Evidence> {
        let shown = names
            .iter()
            .take(SHOWN_MAX)
            .map(|name| Evidence { place: Some(self.place(name, 0)), text: "is new".into() });
        let mut shown: Vec<Evidence> = shown.collect();
        if names.len() > SHOWN_MAX {
            let text = format!("and {} more", names.len() - SHOWN_MAX);
            shown.push(Evidence { place: None, text });
        }
        shown
    }
}

/// How much it weighs that a package does this for the first time.
fn weight(deed: Deed, at_import: bool) -> Severity {
    match deed {
        Deed::ExecutesHidden | Deed::ExecutesFetched | Deed::ExecutesMedia if at_import => {
            Severity::Critical
        }
        Deed::SendsSecrets if at_import => Severity::Critical,
        Deed::ExecutesHidden
        | Deed::ExecutesFetched
        | Deed::ExecutesMedia
        | Deed::Encoded
        | Deed::Disguises => Severity::High,
        Deed::Spawns | Deed::ReadsEnvironment if at_import => Severity::Medium,
        _ if at_import => Severity::High,
        Deed::SendsSecrets
        | Deed::Persists
        | Deed::ReadsSecrets
        | Deed::Talks
        | Deed::SpawnsShell => Severity::Medium,
        _ => Severity::Low,
    }
}

fn parts(release: &Release) -> Vec<Part<'_>> {
    let module = |name: &str| crate::installed::module(Path::new(""), Path::new(name));
    release
        .code
        .iter()
        .map(|(name, summary)| Part { module: module(name), path: Path::new(name), summary })
        .collect()
}

/// First names of the modules that are imported.
fn roots(release: &Release) -> BTreeSet<String> {
    let all = release.code.values().flat_map(|code| &code.imports);
    all.filter(|module| !module.starts_with('.'))
        .filter_map(|module| module.split('.').next().map(str::to_owned))
        .collect()
}

fn is_native(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["so", "pyd", "dll", "dylib", "exe", "node", "wasm"].contains(&ending)
}

fn unread(subject: &str, why: &str) -> Gap {
    Gap {
        why: Why::Unreadable,
        subject: subject.to_owned(),
        place: None,
        text: why.to_owned(),
        do_first: "Compare that part by hand, or get the release anew from its source.".into(),
    }
}
