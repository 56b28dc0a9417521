//! A report for somebody who was woken up by it: the answer first, then what
//! is wrong and what to do about it, the worst first, then what is not known.
//! No meaning by colour; lines fit a terminal.

use crate::audit::{About, Ignored, IgnoredThing, Report};
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
    with_graph(report, false)
}

/// The report as text, with the paths that brought bad releases in.
pub fn table_and_graph(report: &Report) -> String {
    with_graph(report, true)
}

fn with_graph(report: &Report, has_graph: bool) -> String {
    let mut out = String::new();
    wrapped(&mut out, &headline(report));
    wrapped(&mut out, &counts(report));
    line(&mut out, "");
    for group in report.findings.chunk_by(alike) {
        together(&mut out, group);
    }
    if has_graph {
        graph(&mut out, report);
    }
    not_audited(&mut out, &report.gaps);
    ignored(&mut out, &report.ignored);
    basis(&mut out, report);
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string has no way to fail.
    writeln!(out, "{text}").unwrap_or_default();
}

/// The first line: the answer, the worst of it, and what to do first.
pub fn headline(report: &Report) -> String {
    match (report.outcome, report.findings.first()) {
        (Outcome::Affected, Some(worst)) => {
            let alike = report.findings.iter().filter(|f| f.kind == worst.kind).count() - 1;
            let others = match (alike, worst.kind) {
                (0, _) => String::new(),
                (n, Kind::Malicious) => format!(", and {n} more MALICIOUS"),
                (n, _) => format!(", and {n} more like it"),
            };
            let place = worst.evidence.iter().find_map(|evidence| evidence.place.as_ref());
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            let first = first_sentence(&worst.do_first);
            format!("AFFECTED. {}{place}{others}. First: {first}", title(worst))
        }
        (Outcome::Clean, _) if report.about != About::Packages => format!(
            "CLEAN. Nothing of medium severity or more in {}. That is what is known here, and no proof.",
            plural(report.files.len(), "place")
        ),
        (Outcome::Clean | Outcome::Affected, _) => format!(
            "CLEAN. All of {} audited; nothing is known against {}.",
            plural(report.packages, "package"),
            if report.ignored.is_empty() { "any of it" } else { "it but what is ignored" }
        ),
        (Outcome::NotAudited, _) => {
            let many = plural(report.gaps.len(), "thing");
            let first = most_frequent(&report.gaps).map(first_sentence).unwrap_or_default();
            format!(
                "NOT AUDITED. Nothing was found, but {many} could not be judged: this is no all-clear. First: {first}"
            )
        }
    }
}

/// How much of what there is, in the order in which it matters.
fn counts(report: &Report) -> String {
    let count = |kind| report.findings.iter().filter(|f| f.kind == kind).count();
    let serious = report.findings.iter().filter(|f| f.severity >= Severity::Medium).count();
    let slight = report.findings.len() - serious;
    let on_releases = [Kind::Malicious, Kind::Vulnerable];
    let others = report
        .findings
        .iter()
        .filter(|f| f.severity >= Severity::Medium && !on_releases.contains(&f.kind))
        .count();
    let counted = count(Kind::Malicious) + count(Kind::Vulnerable);
    let parts = [
        (count(Kind::Malicious), "malicious"),
        (count(Kind::Vulnerable), "vulnerable"),
        (others, if counted > 0 { "more to act on" } else { "to act on" }),
        (slight, "worth knowing"),
        (report.gaps.len(), "not audited"),
        (report.ignored.len(), "ignored"),
    ];
    let parts = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { String::new() } else { format!("{}.", parts.join(", ")) }
}

/// What to do about the largest part of `gaps`.
fn most_frequent(gaps: &[Gap]) -> Option<&str> {
    let count = |text: &str| gaps.iter().filter(|gap| gap.do_first == text).count();
    let mut texts: Vec<&str> = gaps.iter().map(|gap| gap.do_first.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    texts.into_iter().max_by_key(|text| count(text))
}

fn first_sentence(text: &str) -> &str {
    text.find(". ").and_then(|at| text.get(..=at)).unwrap_or(text)
}

/// Returns true if two findings mean the same and ask for the same.
fn alike(a: &Finding, b: &Finding) -> bool {
    let key = |f: &Finding| (f.severity, f.kind);
    key(a) == key(b) && a.rule == b.rule && a.meaning == b.meaning && a.do_first == b.do_first
}

/// Findings that are alike: each with what was seen, what to do once.
fn together(out: &mut String, group: &[Finding]) {
    for finding in group {
        one(out, finding);
    }
    let Some(first) = group.first() else { return };
    if group.len() > 1 {
        field(out, "all", &format!("{} of these mean the same and ask for the same:", group.len()));
    }
    field(out, "means", &first.meaning);
    field(out, "do first", &first.do_first);
    field(out, "rule", &format!("`keymoat explain {}`", first.rule));
    line(out, "");
}

fn one(out: &mut String, finding: &Finding) {
    let severity = match finding.severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Medium => "MEDIUM",
        Severity::Low => "low",
        Severity::Info => "info",
    };
    let title = title(finding);
    field(out, severity, &title);
    for (at, evidence) in finding.evidence.iter().take(EVIDENCE_MAX).enumerate() {
        // The title of some findings is what was seen.
        let place = evidence.place.as_ref().filter(|_| title.ends_with(&evidence.text));
        let shown = place.map_or_else(|| shown(evidence), ToString::to_string);
        field(out, if at == 0 { "seen" } else { "" }, &shown);
    }
    if finding.evidence.len() > EVIDENCE_MAX {
        field(out, "", &format!("and {} more, see --json", finding.evidence.len() - EVIDENCE_MAX));
    }
}

/// Returns true if `subject` counts more than one thing: `12 links in …`.
fn is_plural(subject: &str) -> bool {
    let first = subject.split(' ').next().unwrap_or_default();
    first == "distributions" || first != "1" && first.bytes().all(|b| b.is_ascii_digit())
}

/// What was found, in a line.
pub(super) fn title(finding: &Finding) -> String {
    let subject = &finding.subject;
    match finding.kind {
        Kind::Malicious => format!("{subject} is MALICIOUS"),
        Kind::Vulnerable => format!("{subject} is vulnerable"),
        Kind::StartupCode => format!("{subject} runs at every Python start"),
        Kind::Code if finding.severity < Severity::High => format!("{subject} is worth a look"),
        Kind::Code => format!("{subject} does what no honest package does"),
        Kind::Integrity if is_plural(subject) => format!("{subject} are not what was recorded"),
        Kind::Integrity => format!("{subject} is not what was recorded"),
        Kind::Origin => format!("{subject} weakens where packages come from"),
        Kind::Pin if finding.severity >= Severity::Medium => {
            format!("{subject} lets bad releases in")
        }
        Kind::Policy => {
            let why = finding.evidence.first().map(|e| format!(": {}", e.text));
            format!("{subject}{}", why.unwrap_or_default())
        }
        Kind::Secret if finding.severity > Severity::Info => format!("{subject} lies open"),
        Kind::Indicator => format!("{subject} is a TRACE OF AN ATTACK"),
        Kind::Persistence if finding.severity > Severity::Info => {
            format!("{subject} starts by itself")
        }
        Kind::Pin | Kind::Recent | Kind::Secret | Kind::Persistence | Kind::Connection => {
            subject.clone()
        }
    }
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
            Why::Undated => "undated",
            Why::UnknownFormat => "unknown",
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
            field(out, reason, &format!("{} times: {}", subjects.len(), first.text));
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

fn graph(out: &mut String, report: &Report) {
    line(out, "WHO BROUGHT IT IN");
    let tree = crate::graph::tree(report);
    if tree.is_empty() {
        line(out, "Nothing malicious or vulnerable is known here, so there is nobody to name.");
    }
    out.push_str(&tree);
    line(out, "");
}

fn ignored(out: &mut String, ignored: &[Ignored]) {
    if ignored.is_empty() {
        return;
    }
    line(out, "IGNORED, by an entry of the ignore file");
    for entry in ignored {
        let what = match &entry.what {
            IgnoredThing::Finding(finding) if finding.advisories.is_empty() => title(finding),
            IgnoredThing::Finding(finding) => {
                let ids: Vec<&str> =
                    finding.advisories.iter().take(1).map(String::as_str).collect();
                format!("{} ({})", title(finding), ids.join(", "))
            }
            IgnoredThing::Gap(gap) => format!("{}: {}", gap.subject, gap.text),
        };
        field(out, "until", &format!("{}  {what}: {}", entry.expires, entry.reason));
    }
    line(out, "");
}

fn basis(out: &mut String, report: &Report) {
    let files = plural(report.files.len(), "place");
    let packages = plural(report.packages, "package");
    if report.about != About::Packages {
        field(out, "searched", &format!("{files}, {}", report.at));
        return;
    }
    if report.about == About::Packages {
        field(out, "audited", &format!("{packages} in {files}, {}", report.at));
    } else {
        field(out, "searched", &format!("{files}, {}", report.at));
    }
    if report.about == About::Secrets {
        return;
    }
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

/// A text that is wrapped; nothing if it is empty.
fn wrapped(out: &mut String, text: &str) {
    for current in lines(text, WIDTH) {
        line(out, &current);
    }
}

/// A label and a text that is wrapped beside it.
fn field(out: &mut String, label: &str, text: &str) {
    let mut label = label;
    for current in lines(text, WIDTH - INDENT) {
        line(out, format!("{label:<INDENT$}{current}").trim_end());
        label = "";
    }
    if !label.is_empty() && text.trim().is_empty() {
        line(out, label);
    }
}

/// `text` in lines of at most `width` characters, but for longer words.
fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in words(text) {
        let wide = current.chars().count() + word.chars().count() + 1;
        if !current.is_empty() && wide > width {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        // What files hold must not drive the terminal that shows it.
        current.extend(word.chars().map(|l| if l.is_control() { '\u{fffd}' } else { l }));
    }
    lines.extend((!current.is_empty()).then_some(current));
    lines
}

/// The words of `text`; what stands between backticks is one, because people
/// copy it.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for (at, letter) in text.char_indices() {
        if letter == '`' {
            quoted = !quoted && text.get(at + 1..).is_some_and(|rest| rest.contains('`'));
        }
        if !letter.is_whitespace() {
            word.push(letter);
        } else if quoted {
            word.push(' ');
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_not_broken_over_lines() {
        let command = "`keymoat keys generate --alias a --max-budget 10 --budget-duration 24h`";
        let mut out = String::new();
        field(
            &mut out,
            "do first",
            &format!("{} first, then {command}, and so on.", "x ".repeat(20)),
        );
        assert!(out.lines().any(|line| line.contains(command)), "{out}");
        assert_eq!(words("a `b c` d ` e"), ["a", "`b c`", "d", "`", "e"]);
    }
}
