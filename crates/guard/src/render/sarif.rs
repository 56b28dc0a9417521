//! A report in SARIF 2.1.0, as code hosts show it beside the lines.
//!
//! One result for each place of each thing known, since hosts show the first
//! place of a result only. What was not audited is a result too, at `warning`:
//! hosts show no notifications, and a gap that nobody sees is taken for an
//! all-clear. It stands among the notifications as well, as the format has it.

use super::place::uri;
use super::rules::{self, Rule, score};
use crate::advisory::Hit;
use crate::audit::{IgnoredThing, Known, Report};
use crate::finding::{Finding, Gap, Kind, Severity};
use crate::installed::sha256_of;
use crate::inventory::Place;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Subjects that one result on gaps names; the rest are counted.
const SUBJECTS_MAX: usize = 12;

/// The report in SARIF 2.1.0, on several lines.
pub fn sarif(report: &Report) -> String {
    let mut run =
        Run { report, rules: BTreeMap::new(), results: Vec::new(), seen: BTreeMap::new() };
    for finding in &report.findings {
        run.finding(finding, None);
    }
    for group in groups(&report.gaps) {
        run.gaps(&group, None);
    }
    for ignored in &report.ignored {
        match &ignored.what {
            IgnoredThing::Finding(finding) => run.finding(finding, Some(&ignored.reason)),
            IgnoredThing::Gap(gap) => run.gaps(&[gap], Some(&ignored.reason)),
        }
    }
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "keymoat",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": run.rules.into_values().collect::<Vec<_>>(),
            }},
            "automationDetails": { "id": "keymoat-audit/" },
            "columnKind": "utf16CodeUnits",
            "invocations": [{
                "executionSuccessful": true,
                "endTimeUtc": report.at,
                "exitCode": report.outcome.exit_code(),
                "exitCodeDescription": super::headline(report),
                "toolExecutionNotifications": notifications(&report.gaps),
            }],
            "results": run.results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

struct Run<'r> {
    report: &'r Report,
    rules: BTreeMap<String, Value>,
    results: Vec<Value>,
    /// How often each fingerprint was given: hosts take two alike for one.
    seen: BTreeMap<String, u32>,
}

impl Run<'_> {
    fn finding(&mut self, finding: &Finding, ignored: Option<&str>) {
        let known: Vec<(&Known, &Hit)> = hits_of(&self.report.known, finding).collect();
        let places = self.places(finding);
        if known.is_empty() {
            let rule = finding.rule.explained();
            let seen: Vec<&str> = finding.evidence.iter().map(|e| e.text.as_str()).collect();
            let text = format!(
                "{}. Seen: {}. {} First: {}",
                super::table::title(finding),
                seen.join("; "),
                finding.meaning,
                finding.do_first
            );
            self.rule(rule.id, rule.title, rule.what_to_do, None, Some(finding.severity));
            // One thing seen at several places is one result.
            self.result(rule.id, &finding.subject, finding.severity, &text, &places, ignored);
            return;
        }
        for (known, hit) in known {
            let Some(id) = hit.ids.first() else { continue };
            let kind = rules::of_kind(finding.kind);
            let title = if hit.summary.is_empty() { kind.title } else { &hit.summary };
            let severity = severity_of(hit);
            let uri = format!("https://osv.dev/vulnerability/{id}");
            self.rule(id, title, kind.help, Some(&uri), Some(severity));
            let fix = match &hit.fixed_in {
                Some(version) => format!("Free of it: {} or later.", version.text()),
                None => "No release is named that is free of it.".to_owned(),
            };
            let ids = hit.ids.join(", ");
            let text = format!(
                "{}: {ids}. {} {fix} First: {}",
                super::table::title(finding),
                hit.summary,
                finding.do_first
            );
            for place in &places {
                let one = std::slice::from_ref(place);
                self.result(id, &known.name, severity, &text, one, ignored);
            }
        }
    }

    fn gaps(&mut self, group: &[&Gap], ignored: Option<&str>) {
        let Some(first) = group.first() else { return };
        let rule = rules::of_gap(first.why);
        let id = first.why.id();
        self.rule(id, rule.title, rule.help, None, None);
        let places = [place_of(first)];
        let file = places.first().map(|p| uri(&p.file)).unwrap_or_default();
        let text = text_of(group, &rule);
        self.result(id, &file, Severity::Medium, &text, &places, ignored);
    }

    fn rule(
        &mut self,
        id: &str,
        title: &str,
        help: &str,
        help_uri: Option<&str>,
        severity: Option<Severity>,
    ) {
        let mut rule = json!({
            "id": id,
            "shortDescription": { "text": title },
            "fullDescription": { "text": title },
            "help": { "text": help, "markdown": help },
            "properties": { "tags": ["security", "supply-chain"] },
        });
        if let (Some(uri), Some(rule)) = (help_uri, rule.as_object_mut()) {
            rule.insert("helpUri".into(), json!(uri));
        }
        let severity = severity.unwrap_or(Severity::Medium);
        // A rule has one severity: that of the worst result of this run.
        let before = self.rules.get(id).and_then(|r| r.pointer("/properties/security-severity"));
        let before = before.and_then(Value::as_str).unwrap_or("0.0");
        let worst = if before > score(severity) { before } else { score(severity) };
        if let Some(properties) = rule.pointer_mut("/properties").and_then(Value::as_object_mut) {
            properties.insert("security-severity".into(), json!(worst));
        }
        self.rules.insert(id.to_owned(), rule);
    }

    fn result(
        &mut self,
        rule: &str,
        subject: &str,
        severity: Severity,
        text: &str,
        places: &[Place],
        ignored: Option<&str>,
    ) {
        let file = places.first().map(|place| uri(&place.file)).unwrap_or_default();
        let hash = fingerprint(&[rule, subject, &file]);
        let count = self.seen.entry(hash.clone()).or_default();
        *count += 1;
        let locations: Vec<Value> = places.iter().map(location).collect();
        let mut result = json!({
            "ruleId": rule,
            "level": level(severity),
            "message": { "text": text },
            "locations": locations,
            "partialFingerprints": {
                "primaryLocationLineHash": format!("{hash}:{count}"),
                "keymoat/v1": format!("{hash}:{count}"),
            },
        });
        if let (Some(reason), Some(result)) = (ignored, result.as_object_mut()) {
            let suppression = json!([{
                "kind": "external", "status": "accepted", "justification": reason,
            }]);
            result.insert("suppressions".into(), suppression);
        }
        self.results.push(result);
    }

    /// Where a finding is; hosts take no result without a place.
    fn places(&self, finding: &Finding) -> Vec<Place> {
        let mut seen = BTreeSet::new();
        let places = finding.evidence.iter().filter_map(|evidence| evidence.place.clone());
        let mut places: Vec<Place> = places.filter(|place| seen.insert(place.clone())).collect();
        if places.is_empty() {
            let file = self.report.files.first().map_or(Path::new("."), |file| file.as_path());
            places.push(Place::whole(file));
        }
        places
    }
}

/// The hits that `finding` rests on, if it rests on advisories.
pub(crate) fn hits_of<'r>(
    known: &'r [Known],
    finding: &'r Finding,
) -> impl Iterator<Item = (&'r Known, &'r Hit)> {
    let wanted = match finding.kind {
        Kind::Malicious => Some(true),
        Kind::Vulnerable => Some(false),
        _ => None,
    };
    let known = known.iter().filter(|known| known.subject == finding.subject);
    known
        .flat_map(|known| known.hits.iter().map(move |hit| (known, hit)))
        .filter(move |(_, hit)| Some(hit.malicious) == wanted)
        // An ignore file may have taken some of them out of this finding.
        .filter(|(_, hit)| hit.ids.iter().any(|id| finding.advisories.contains(id)))
}

/// How bad a hit is: a release made to do harm is critical, whatever is said.
pub(super) fn severity_of(hit: &Hit) -> Severity {
    match (hit.malicious, hit.severity) {
        (true, _) => Severity::Critical,
        (false, severity) => severity.unwrap_or(Severity::Medium).max(Severity::Low),
    }
}

/// Gaps of one reason in one file.
fn groups(gaps: &[Gap]) -> Vec<Vec<&Gap>> {
    let mut groups: BTreeMap<_, Vec<&Gap>> = BTreeMap::new();
    for gap in gaps {
        let file = place_of(gap).file;
        groups.entry((gap.why, &gap.do_first, file)).or_default().push(gap);
    }
    groups.into_values().collect()
}

/// Where a gap is; one without a place has a path for a subject.
fn place_of(gap: &Gap) -> Place {
    gap.place.clone().unwrap_or_else(|| Place::whole(Path::new(&gap.subject)))
}

fn text_of(group: &[&Gap], rule: &Rule) -> String {
    let mut subjects: Vec<&str> = group.iter().map(|gap| gap.subject.as_str()).collect();
    subjects.dedup();
    let mut names = subjects.iter().take(SUBJECTS_MAX).copied().collect::<Vec<_>>().join(", ");
    if subjects.len() > SUBJECTS_MAX {
        names = format!("{names} and {} more", subjects.len() - SUBJECTS_MAX);
    }
    let (text, first) = group.first().map(|gap| (&*gap.text, &*gap.do_first)).unwrap_or_default();
    format!("Not audited ({}): {names}: {text}. First: {first}", rule.reason())
}

fn notifications(gaps: &[Gap]) -> Vec<Value> {
    groups(gaps)
        .iter()
        .filter_map(|group| {
            let first = group.first()?;
            let rule = rules::of_gap(first.why);
            Some(json!({
                "level": "warning",
                "associatedRule": { "id": first.why.id() },
                "message": { "text": text_of(group, &rule) },
                "locations": [location(&place_of(first))],
            }))
        })
        .collect()
}

fn location(place: &Place) -> Value {
    // Hosts want a line; a file as a whole is shown at its first.
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&place.file) },
        "region": { "startLine": place.line.max(1) },
    }})
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

/// Half a SHA-256 over `parts`: the same from run to run, whatever the line.
fn fingerprint(parts: &[&str]) -> String {
    let hash = sha256_of(parts.join("\0").as_bytes());
    hash.get(..32).unwrap_or(&hash).to_owned()
}
