//! What is agreed on: left alone with a reason and an end, never in silence.

use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::{Kind, Severity, Why};
use guard::inventory::Place;
use guard::policy::cooldown::{Cooldown, Tool, settings};
use guard::policy::ignore;
use guard::{Ask, Outcome, Report, render};
use std::fs;

fn audit(text: &str) -> Report {
    let folder = scratch("policy");
    fs::write(folder.join("requirements.txt"), text).unwrap();
    guard::audit(&Ask { paths: vec![folder], terms: terms() }, &Advisories::built_in())
}

fn ignoring(text: &str, entries: &str) -> Report {
    let mut report = audit(text);
    let ignore = ignore::read(entries, &Place::whole("ignore.toml"), terms().now_ms).unwrap();
    ignore.apply(&mut report);
    report
}

fn entry(id: &str, package: &str, expires: &str) -> String {
    format!(
        "[[ignore]]\nid = '{id}'\npackage = '{package}'\nreason = 'not started here'\nexpires = {expires}\n"
    )
}

fn subjects(report: &Report, kind: Kind) -> Vec<&str> {
    report.findings.iter().filter(|f| f.kind == kind).map(|f| f.subject.as_str()).collect()
}

const HOLE: &str = "CVE-2026-42208";
const PINNED: &str = "litellm==1.82.6 --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111\n";

#[test]
fn an_ignored_hole_is_told_counted_and_out_of_the_answer() {
    assert_eq!(audit(PINNED).outcome, Outcome::Affected);
    let both = entry(HOLE, "litellm==1.82.6", "2026-12-31")
        + &entry("not-covered", "litellm", "'2026-12-31'");
    let report = ignoring(PINNED, &both);
    assert_eq!((report.outcome, report.ignored.len()), (Outcome::Clean, 2), "{report:#?}");
    let text = crate::unwrapped(&report);
    assert!(
        text.starts_with("CLEAN.")
            && text.contains("2 ignored")
            && text.contains("not started here"),
        "{text}"
    );
    for machine in [render::json(&report), render::sarif(&report), render::junit(&report)] {
        assert!(machine.contains("not started here"), "{machine}");
    }
    assert!(render::cyclonedx(&report).contains("will_not_fix"));
}

#[test]
fn only_the_hole_that_is_named_is_left_alone() {
    let many = "aiohttp==3.8.0\n";
    let hits = audit(many).known[0].hits.clone();
    assert!(hits.len() > 1);
    let (gone, left) = (&hits[0].ids[0], &hits[1].ids[0]);
    let report = ignoring(many, &entry(gone, "aiohttp", "2026-12-31"));
    assert_eq!((report.ignored.len(), report.outcome), (1, Outcome::Affected));
    let finding = report.findings.iter().find(|f| f.kind == Kind::Vulnerable).unwrap();
    assert!(!finding.advisories.contains(gone) && finding.advisories.contains(left));
    // Neither the alert nor the sum of them says more than is left.
    let sarif: serde_json::Value = serde_json::from_str(&render::sarif(&report)).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let of = |id: &String| results.iter().filter(|r| r["ruleId"] == **id).collect::<Vec<_>>();
    assert!(of(gone).iter().all(|r| r["suppressions"][0]["status"] == "accepted"));
    assert!(of(left).iter().all(|r| r["suppressions"].is_null()));
    assert_eq!((of(gone).len(), of(left).len()), (1, 1));
}

#[test]
fn another_version_or_another_file_is_another_thing() {
    let other = entry(HOLE, "litellm==1.82.5", "2026-12-31");
    assert_eq!(ignoring(PINNED, &other).outcome, Outcome::Affected);
    let elsewhere = entry(HOLE, "litellm", "2026-12-31") + "path = 'dev/requirements.txt'\n";
    assert_eq!(subjects(&ignoring(PINNED, &elsewhere), Kind::Vulnerable), ["litellm 1.82.6"]);
    let here = entry(HOLE, "litellm", "2026-12-31") + "path = 'requirements.txt'\n";
    assert!(subjects(&ignoring(PINNED, &here), Kind::Vulnerable).is_empty());
}

#[test]
fn a_malicious_release_is_left_alone_by_its_exact_name_and_version_only() {
    let malicious = |package: &str| {
        let report = ignoring("litellm==1.82.7\n", &entry("MAL-2026-2144", package, "2026-12-31"));
        subjects(&report, Kind::Malicious).len()
    };
    assert_eq!(malicious("*"), 1);
    assert_eq!(malicious("litellm"), 1);
    assert_eq!(malicious("litellm==1.82.8"), 1);
    assert_eq!(malicious("litellm==1.82.7"), 0);
}

#[test]
fn entries_that_are_over_endless_unexplained_or_too_wide_do_not_count_and_are_found() {
    for (broken, says) in [
        (entry(HOLE, "litellm", "2026-11-21"), "it ended on 2026-11-21"),
        (entry(HOLE, "litellm", "2030-01-01"), "more than a year"),
        (entry(HOLE, "litellm", "'soon'"), "no date"),
        (entry(HOLE, "litellm", "7"), "no end"),
        (entry(HOLE, "litellm", "2026-12-31").replace("not started here", " "), "no reason"),
        (entry("vulnerable", "litellm", "2026-12-31"), "everything of its kind"),
        (entry("malicious", "*", "2026-12-31"), "everything of its kind"),
        (entry("not-audited/malformed", "litellm", "2026-12-31"), "cannot be left alone"),
        (entry("stale", "*", "2026-12-31"), "cannot be left alone"),
        (entry("floating", "*", "2026-12-31"), "too much"),
        (entry(HOLE, "litellm", "2026-12-31") + "justification = 'because'\n", "CycloneDX"),
    ] {
        let report = ignoring(PINNED, &broken);
        assert_eq!(report.outcome, Outcome::Affected);
        let policy = report.findings.iter().find(|f| f.kind == Kind::Policy).expect(says);
        assert!(policy.evidence[0].text.contains(says), "{}: {says}", policy.evidence[0].text);
        assert_eq!(policy.severity, Severity::Medium);
        assert!(report.ignored.is_empty());
    }
    // The last day itself still counts.
    assert_eq!(ignoring(PINNED, &entry(HOLE, "litellm", "2026-11-22")).ignored.len(), 1);
}

#[test]
fn an_entry_without_use_is_found_and_fails_nothing() {
    let report = ignoring(PINNED, &entry("CVE-1999-0001", "litellm", "2026-12-31"));
    let unused: Vec<_> = report.findings.iter().filter(|f| f.kind == Kind::Policy).collect();
    assert_eq!((unused.len(), unused[0].severity), (1, Severity::Low));
    assert!(unused[0].evidence[0].place.as_ref().unwrap().line == 2);
}

#[test]
fn a_justification_becomes_vex() {
    let entry = entry(HOLE, "*", "2026-12-31") + "justification = 'code_not_reachable'\n";
    let bill: serde_json::Value =
        serde_json::from_str(&render::cyclonedx(&ignoring(PINNED, &entry))).unwrap();
    let analysis = &bill["vulnerabilities"][0]["analysis"];
    assert_eq!(analysis["state"], "not_affected");
    assert_eq!(analysis["justification"], "code_not_reachable");
}

#[test]
fn a_word_that_the_ignore_file_does_not_have_is_refused_with_its_line() {
    let read = |text: &str| ignore::read(text, &Place::whole("f"), terms().now_ms);
    assert_eq!(read("[[ignore]]\nid = 'a'\nuntil = 1\n").unwrap_err().line, 3);
    assert!(read("[[ignored]]\n").is_err() && read("[[ignore]]\npackage = 'a'\n").is_err());
    assert!(read("").is_ok());
}

/// A lock of uv with litellm at `version`, uploaded at `at`, and an old neighbour.
fn locked(version: &str, at: &str) -> Report {
    let folder = scratch("cooldown");
    let entry = |name: &str, version: &str, at: &str| {
        let wheel = format!("{{ url = 'u', hash = 'sha256:11'{at} }}");
        format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = {{ registry = 'x' }}\nwheels = [{wheel}]\n"
        )
    };
    let time =
        |at: &str| if at.is_empty() { String::new() } else { format!(", upload-time = '{at}'") };
    let lock = format!(
        "version = 1\n{}{}",
        entry("litellm", version, &time(at)),
        entry("old", "1.0", &time("2025-01-01T00:00:00Z"))
    );
    fs::write(folder.join("uv.lock"), lock).unwrap();
    let mut report =
        guard::audit(&Ask { paths: vec![folder], terms: terms() }, &Advisories::built_in());
    Cooldown { days: 7, now_ms: terms().now_ms }.apply(&mut report, &Advisories::built_in());
    report
}

#[test]
fn a_release_that_is_too_young_is_found_and_its_age_is_told() {
    let policy = |at: &str| subjects(&locked("1.84.0", at), Kind::Policy).len();
    assert_eq!(policy("2026-11-20T10:00:00Z"), 1);
    assert_eq!(policy("2026-11-15T00:00:01Z"), 1, "seven days and not a second less");
    assert_eq!(policy("2026-11-15T00:00:00Z"), 0);
    assert_eq!(policy("2026-12-24T00:00:00Z"), 1, "a time in the future is no age");
    let report = locked("1.84.0", "2026-11-20T10:00:00Z");
    assert_eq!(
        (report.outcome, report.findings[0].severity),
        (Outcome::Affected, Severity::Medium)
    );
    let line = render::headline(&report);
    assert!(line.contains("litellm 1.84.0") && line.contains("1 day ago"), "{line}");
}

#[test]
fn the_release_that_fixes_a_hole_is_let_through_and_a_malicious_one_never() {
    let report = locked("1.83.7", "2026-11-21T00:00:00Z");
    let policy = report.findings.iter().find(|f| f.kind == Kind::Policy).unwrap();
    assert_eq!((policy.severity, policy.advisories[0].as_str()), (Severity::Info, HOLE));
    assert_ne!(report.outcome, Outcome::Affected);
    let report = locked("1.82.8", "2026-11-21T00:00:00Z");
    let policy = report.findings.iter().find(|f| f.kind == Kind::Policy).unwrap();
    assert_eq!(policy.severity, Severity::Medium);
}

#[test]
fn what_says_no_upload_time_is_a_gap_once_a_file() {
    let report = locked("1.83.7", "");
    let undated: Vec<_> = report.gaps.iter().filter(|g| g.why == Why::Undated).collect();
    assert_eq!(undated.len(), 1);
    assert!(undated[0].text.contains("1 of its 2") && undated[0].text.contains("litellm"));
}

#[test]
fn a_young_release_can_be_left_alone_by_name_and_version() {
    let mut report = locked("1.84.0", "2026-11-20T10:00:00Z");
    let entries = entry("policy", "litellm==1.84.0", "2026-12-31");
    ignore::read(&entries, &Place::whole("f"), terms().now_ms).unwrap().apply(&mut report);
    assert!(subjects(&report, Kind::Policy).is_empty());
    assert_eq!(report.ignored.len(), 1);
}

#[test]
fn each_tool_is_told_the_same_number_of_days() {
    for tool in [Tool::Uv, Tool::Pip, Tool::Renovate, Tool::Dependabot] {
        assert!(settings(tool, 11).contains("11"), "{tool:?}");
    }
    let renovate: serde_json::Value = serde_json::from_str(&settings(Tool::Renovate, 11)).unwrap();
    assert_eq!(renovate["minimumReleaseAge"], "11 days");
    let uv: toml::Table = settings(Tool::Uv, 11).parse().unwrap();
    assert_eq!(uv["tool"]["uv"]["exclude-newer"].as_str(), Some("11 days"));
}
