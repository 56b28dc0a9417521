//! A report as JUnit XML, as CI servers show test results: a suite for each
//! file, a case for each package in it. Affected is a failure, not audited is
//! an error, ignored is skipped.

use super::{rules, table::title};
use crate::audit::{IgnoredThing, Report};
use crate::finding::{Finding, Gap, Severity};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What happened to one package or file.
#[derive(Default)]
struct Case {
    failures: Vec<(String, String)>,
    errors: Vec<(String, String)>,
    skipped: Vec<String>,
    notes: Vec<String>,
}

type Suites = BTreeMap<String, BTreeMap<String, Case>>;

/// The report as JUnit XML.
pub fn junit(report: &Report) -> String {
    let mut suites = Suites::new();
    for file in &report.files {
        suites.entry(file.display().to_string()).or_default();
    }
    for package in &report.inventory {
        let file = crate::graph::file_of(package).display().to_string();
        suites.entry(file).or_default().entry(package.shown()).or_default();
    }
    for finding in &report.findings {
        for case in cases(&mut suites, report, finding) {
            let text = told(finding);
            if finding.severity >= Severity::Medium {
                case.failures.push((title(finding), text));
            } else {
                case.notes.push(text);
            }
        }
    }
    for gap in &report.gaps {
        let message = format!("not audited ({}): {}", rules::of_gap(gap.why).reason(), gap.text);
        case_of(&mut suites, gap).errors.push((message, format!("First: {}", gap.do_first)));
    }
    for ignored in &report.ignored {
        let text = format!("ignored until {}: {}", ignored.expires, ignored.reason);
        match &ignored.what {
            IgnoredThing::Finding(finding) => {
                for case in cases(&mut suites, report, finding) {
                    case.skipped.push(format!("{}: {text}", title(finding)));
                }
            }
            IgnoredThing::Gap(gap) => case_of(&mut suites, gap).skipped.push(text.clone()),
        }
    }
    for cases in suites.values_mut().filter(|cases| cases.is_empty()) {
        cases.insert("(no packages)".to_owned(), Case::default());
    }
    written(&suites, report)
}

/// The cases that `finding` is about: those of the package at every place
/// where it was seen, or one of its own.
fn cases<'s>(suites: &'s mut Suites, report: &Report, finding: &Finding) -> Vec<&'s mut Case> {
    let mut files: Vec<String> = Vec::new();
    let on_package = report.inventory.iter().filter(|p| p.shown() == finding.subject);
    let places = on_package.map(crate::graph::file_of);
    let seen = finding.evidence.iter().filter_map(|e| e.place.as_ref()).map(|p| &*p.file);
    for file in places.chain(seen) {
        let file = file.display().to_string();
        if suites.get(&file).is_some_and(|cases| cases.contains_key(&finding.subject)) {
            files.push(file);
        } else if files.is_empty() {
            files.push(file);
            break;
        }
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        files.push("audit".to_owned());
    }
    for file in &files {
        suites.entry(file.clone()).or_default().entry(finding.subject.clone()).or_default();
    }
    suites
        .iter_mut()
        .filter(|(file, _)| files.contains(file))
        .filter_map(|(_, cases)| cases.get_mut(&finding.subject))
        .collect()
}

fn case_of<'s>(suites: &'s mut Suites, gap: &Gap) -> &'s mut Case {
    let file = gap.place.as_ref().map_or(gap.subject.clone(), |p| p.file.display().to_string());
    let file = if suites.contains_key(&file) {
        file
    } else {
        // An installed package is at its own folder, its suite at the one above.
        let above = suites.iter().find(|(_, cases)| cases.contains_key(&gap.subject));
        above.map_or(file, |(file, _)| file.clone())
    };
    suites.entry(file).or_default().entry(gap.subject.clone()).or_default()
}

fn told(finding: &Finding) -> String {
    let mut text = String::new();
    for evidence in &finding.evidence {
        let place = evidence.place.as_ref().map(|p| format!("{p}  ")).unwrap_or_default();
        // Writing to a string has no way to fail.
        writeln!(text, "{place}{}", evidence.text).unwrap_or_default();
    }
    format!("{text}{}\nFirst: {}", finding.meaning, finding.do_first)
}

fn written(suites: &Suites, report: &Report) -> String {
    let count = |of: &dyn Fn(&Case) -> bool, cases: &BTreeMap<String, Case>| {
        cases.values().filter(|case| of(case)).count()
    };
    let numbers = |cases: &BTreeMap<String, Case>| {
        [
            cases.len(),
            count(&|case| !case.failures.is_empty(), cases),
            count(&|case| case.failures.is_empty() && !case.errors.is_empty(), cases),
            count(&Case::is_skipped, cases),
        ]
    };
    let mut total = [0; 4];
    let mut body = String::new();
    for (file, cases) in suites {
        let numbers = numbers(cases);
        for (sum, number) in total.iter_mut().zip(numbers) {
            *sum += number;
        }
        let [tests, failures, errors, skipped] = numbers;
        let (name, at) = (escaped(file), report.at.trim_end_matches('Z'));
        writeln!(
            body,
            r#"  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}" time="0" timestamp="{at}">"#
        )
        .unwrap_or_default();
        for (subject, case) in cases {
            case.write(&mut body, file, subject);
        }
        body.push_str("  </testsuite>\n");
    }
    let [tests, failures, errors, skipped] = total;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"keymoat audit\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"0\">\n{body}</testsuites>\n"
    )
}

impl Case {
    fn is_skipped(&self) -> bool {
        self.failures.is_empty() && self.errors.is_empty() && !self.skipped.is_empty()
    }

    /// One kind of element a case, as the readers of this format have it.
    fn write(&self, out: &mut String, file: &str, subject: &str) {
        let (class, name) = (escaped(file), escaped(subject));
        write!(out, r#"    <testcase classname="{class}" name="{name}" time="0">"#)
            .unwrap_or_default();
        let (element, entries) = match (self.failures.as_slice(), self.errors.as_slice()) {
            ([], []) => ("", [].as_slice()),
            ([], errors) => ("error", errors),
            (failures, _) => ("failure", failures),
        };
        if let Some((message, _)) = entries.first() {
            let texts: Vec<String> =
                entries.iter().map(|(message, text)| format!("{message}\n{text}")).collect();
            let (message, text) = (escaped(message), escaped(&texts.join("\n\n")));
            write!(out, r#"<{element} message="{message}" type="{element}">{text}</{element}>"#)
                .unwrap_or_default();
        } else if self.is_skipped() {
            write!(out, r#"<skipped message="{}"/>"#, escaped(&self.skipped.join("; ")))
                .unwrap_or_default();
        }
        let mut notes = self.notes.clone();
        if !self.failures.is_empty() {
            notes.extend(self.errors.iter().map(|(message, text)| format!("{message}\n{text}")));
        }
        if !self.is_skipped() {
            notes.extend(self.skipped.iter().cloned());
        }
        if !notes.is_empty() {
            write!(out, "<system-out>{}</system-out>", escaped(&notes.join("\n\n")))
                .unwrap_or_default();
        }
        out.push_str("</testcase>\n");
    }
}

/// `text` for XML 1.0, which has no way to write most control characters.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            letter if letter.is_control() => out.push('\u{fffd}'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_that_a_file_holds_breaks_the_document() {
        assert_eq!(escaped("a<b>&\"\u{1b}\n\u{ffff}"), "a&lt;b&gt;&amp;&quot;\u{fffd}\n\u{fffd}");
    }
}
