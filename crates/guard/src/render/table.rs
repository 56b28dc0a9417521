//! A report for somebody who was woken up by it: the answer first, then what
//! is wrong and what to do about it, the worst first, then what is not known.
//! No meaning by colour; lines fit a terminal.

use crate::audit::Report;
use crate::finding::{Evidence, Finding, Gap, Kind, Outcome, Severity, Why};
use std::fmt::Write as _;

const WIDTH: usize = 96;
const INDENT: usize = 11;
/// Lines of evidence for one finding.
const EVIDENCE_MAX: usize = 12;
/// Subjects that one kind of gap names; the rest are counted.
const GAP_SUBJECTS_MAX: usize = 12;

/// The report as text.
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    line(&mut out, &headline(report));
    line(&mut out, "");
    for finding in &report.findings {
        one(&mut out, finding);
    }
    not_audited(&mut out, &report.gaps);
    basis(&mut out, report);
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string has no way to fail.
    writeln!(out, "{text}").unwrap_or_default();
}

fn headline(report: &Report) -> String {
    let count = |kind| report.findings.iter().filter(|f| f.kind == kind).count();
    let serious = report.findings.iter().filter(|f| f.severity >= Severity::Medium).count();
    let gaps = report.gaps.len();
    match report.outcome {
        Outcome::Clean => format!(
            "CLEAN. All of {} audited; nothing is known against any of it.",
            plural(report.packages, "package")
        ),
        Outcome::NotAudited => format!(
            "NOT AUDITED. Nothing was found, but {} could not be judged: this is no all-clear.",
            plural(gaps, "thing")
        ),
        Outcome::Affected => {
            let mut text = match count(Kind::Malicious) {
                0 => format!("AFFECTED. {} to act on.", plural(serious, "finding")),
                n => format!(
                    "AFFECTED. {} MALICIOUS: act on that before anything else.",
                    plural(n, "release")
                ),
            };
            if gaps > 0 {
                write!(text, " {} more could not be judged.", plural(gaps, "thing"))
                    .unwrap_or_default();
            }
            text
        }
    }
}

fn one(out: &mut String, finding: &Finding) {
    let severity = match finding.severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "low",
        Severity::Info => "info",
    };
    let subject = &finding.subject;
    let title = match finding.kind {
        Kind::Malicious => format!("{subject} is MALICIOUS"),
        Kind::Vulnerable => format!("{subject} is vulnerable"),
        Kind::StartupCode => format!("{subject} runs at every Python start"),
        Kind::Integrity => format!("{subject} is not what was recorded"),
        Kind::Origin => format!("{subject} weakens where packages come from"),
        Kind::Pin if finding.severity >= Severity::Medium => {
            format!("{subject} lets bad releases in")
        }
        Kind::Pin | Kind::Recent => subject.clone(),
    };
    field(out, severity, &title);
    for (at, evidence) in finding.evidence.iter().take(EVIDENCE_MAX).enumerate() {
        field(out, if at == 0 { "seen" } else { "" }, &shown(evidence));
    }
    if finding.evidence.len() > EVIDENCE_MAX {
        field(out, "", &format!("and {} more, see --json", finding.evidence.len() - EVIDENCE_MAX));
    }
    field(out, "means", &finding.meaning);
    field(out, "do first", &finding.do_first);
    line(out, "");
}

fn shown(evidence: &Evidence) -> String {
    match &evidence.place {
        Some(place) => format!("{place}  {}", evidence.text),
        None => evidence.text.clone(),
    }
}

fn not_audited(out: &mut String, gaps: &[Gap]) {
    if gaps.is_empty() {
        return;
    }
    line(out, "NOT AUDITED");
    let mut rest = gaps;
    while let Some(first) = rest.first() {
        let alike = |gap: &Gap| gap.why == first.why && gap.do_first == first.do_first;
        let end = rest.iter().position(|gap| !alike(gap)).unwrap_or(rest.len());
        let (group, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = after;
        let reason = match first.why {
            Why::Unreadable => "unreadable",
            Why::Malformed => "malformed",
            Why::Nothing => "nothing",
            Why::Floating => "floating",
            Why::UnknownSource => "source",
            Why::NotCovered => "uncovered",
            Why::Stale => "stale",
            Why::NoRecord => "no record",
            Why::Unordered => "unordered",
        };
        let many = group.len() > 3;
        if many {
            let mut subjects: Vec<&str> = group.iter().map(|gap| gap.subject.as_str()).collect();
            subjects.dedup();
            let mut names =
                subjects.iter().take(GAP_SUBJECTS_MAX).copied().collect::<Vec<_>>().join(", ");
            if subjects.len() > GAP_SUBJECTS_MAX {
                write!(names, " and {} more", subjects.len() - GAP_SUBJECTS_MAX)
                    .unwrap_or_default();
            }
            field(out, reason, &format!("{}: {}", plural(group.len(), "time"), first.text));
            field(out, "", &names);
        } else {
            for gap in group {
                let place =
                    gap.place.as_ref().map(|place| format!("{place}  ")).unwrap_or_default();
                let whole =
                    gap.place.as_ref().is_some_and(|p| gap.subject == p.file.display().to_string());
                let subject = if whole { String::new() } else { format!("{}: ", gap.subject) };
                field(out, reason, &format!("{place}{subject}{}", gap.text));
            }
        }
        field(out, "do first", &first.do_first);
    }
    line(out, "");
}

fn basis(out: &mut String, report: &Report) {
    let files = plural(report.files.len(), "place");
    let packages = plural(report.packages, "package");
    field(out, "audited", &format!("{packages} in {files}, {}", report.at));
    for set in &report.advisories {
        let claims: Vec<String> = set
            .coverage
            .iter()
            .map(|claim| {
                let day = claim.as_of.split('T').next().unwrap_or_default();
                let names = claim.packages.map_or("all".into(), |n| n.to_string());
                format!("complete for {names} of {} as of {day}", claim.ecosystem)
            })
            .collect();
        let claims =
            if claims.is_empty() { "complete for nothing".into() } else { claims.join("; ") };
        let bad = if set.bad > 0 { format!(", {} unreadable", set.bad) } else { String::new() };
        let text =
            format!("{}: {}{bad}; {claims}", set.title, plural(set.records as usize, "record"));
        field(out, "advisories", &text);
    }
    if report.advisories.is_empty() {
        field(out, "advisories", "none");
    }
}

/// A label and a text that is wrapped beside it.
fn field(out: &mut String, label: &str, text: &str) {
    let mut current = String::new();
    let mut label = label;
    for word in text.split_whitespace() {
        let wide = current.chars().count() + word.chars().count() + 1;
        if !current.is_empty() && wide > WIDTH - INDENT {
            line(out, &format!("{label:<INDENT$}{current}"));
            label = "";
            current.clear();
        }
        if !current.is_empty() {
            current.push(' ');
        }
        // What files hold must not drive the terminal that shows it.
        current.extend(word.chars().map(|l| if l.is_control() { '\u{fffd}' } else { l }));
    }
    line(out, format!("{label:<INDENT$}{current}").trim_end());
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
