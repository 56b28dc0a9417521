//! What other tools are told: structure, references, and nothing left out.

use crate::{scratch, terms, unwrapped};
use guard::advisory::Advisories;
use guard::finding::Why;
use guard::{Ask, Report, render};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A malicious and a vulnerable release by two paths, a hashless pin, a range,
/// and a file that cannot be read.
fn report() -> Report {
    report_in(scratch("render"))
}

fn report_in(folder: PathBuf) -> Report {
    let lock = include_str!("../../testdata/formats/uv.lock").replace("VERSION", "1.82.8");
    fs::write(folder.join("uv.lock"), lock).unwrap();
    fs::write(
        folder.join("requirements & \"co\".txt"),
        "litellm==1.82.7\naxon==1.0 --hash=sha256:8395c3268d5c5dbae1c7c6d4bb3c318c752ba4608cfcd90eb97ffb94a910eac2\nloose>=1\nown\u{1b}[2J\n",
    )
    .unwrap();
    fs::write(folder.join("poetry.lock"), "[[package]\n").unwrap();
    guard::audit(&Ask { paths: vec![folder], terms: terms() }, &Advisories::built_in())
}

fn sarif(report: &Report) -> Value {
    serde_json::from_str(&render::sarif(report)).unwrap()
}

fn bill(report: &Report) -> Value {
    serde_json::from_str(&render::cyclonedx(report)).unwrap()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v Vec<Value> {
    value.pointer(pointer).and_then(Value::as_array).unwrap()
}

#[test]
fn every_sarif_result_points_at_a_rule_and_a_line_and_has_a_fingerprint_of_its_own() {
    let report = report();
    let log = sarif(&report);
    assert_eq!(log["version"], "2.1.0");
    let rules: BTreeSet<&str> =
        list(&log, "/runs/0/tool/driver/rules").iter().map(|r| r["id"].as_str().unwrap()).collect();
    let results = list(&log, "/runs/0/results");
    let mut prints = BTreeSet::new();
    for result in results {
        assert!(rules.contains(result["ruleId"].as_str().unwrap()), "{result}");
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(!uri.contains([' ', '"', '&']), "{uri}");
        let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
        assert!(prints.insert(print), "twice: {print}");
    }
    for rule in list(&log, "/runs/0/tool/driver/rules") {
        let score = rule["properties"]["security-severity"].as_str().unwrap();
        assert!((0.0..=10.0).contains(&score.parse::<f64>().unwrap()));
        assert!(!rule["help"]["text"].as_str().unwrap().is_empty());
    }
    let malicious = results.iter().filter(|r| r["ruleId"] == "MAL-2026-2144");
    assert_eq!(malicious.clone().count(), 2, "one for each place");
    assert!(malicious.clone().all(|result| result["level"] == "error"));
    assert_eq!(log["runs"][0]["invocations"][0]["exitCode"], 1);
}

#[test]
fn gaps_are_sarif_results_and_notifications() {
    let log = sarif(&report());
    let results = list(&log, "/runs/0/results");
    for why in [Why::Malformed, Why::Floating, Why::NotCovered] {
        let rule = why.id();
        let shown = results.iter().find(|result| result["ruleId"] == rule).expect(rule);
        assert_eq!(shown["level"], "warning");
        assert!(shown["message"]["text"].as_str().unwrap().contains("Not audited"));
    }
    assert!(!list(&log, "/runs/0/invocations/0/toolExecutionNotifications").is_empty());
}

#[test]
fn a_fingerprint_outlives_a_moved_line_and_belongs_to_its_file() {
    let prints = |file: &Path, text: &str| -> BTreeSet<String> {
        fs::write(file, text).unwrap();
        let ask = Ask { paths: vec![file.to_owned()], terms: terms() };
        let log = sarif(&guard::audit(&ask, &Advisories::built_in()));
        let of = |r: &Value| r["partialFingerprints"]["keymoat/v1"].as_str().unwrap().to_owned();
        list(&log, "/runs/0/results").iter().map(of).collect()
    };
    let folder = scratch("moved");
    let (file, other) = (folder.join("requirements.txt"), folder.join("requirements-2.txt"));
    let before = prints(&file, "litellm==1.82.7\n");
    assert_eq!(before, prints(&file, "# one\n# two\nlitellm==1.82.7\n"));
    assert!(before.is_disjoint(&prints(&other, "litellm==1.82.7\n")));
}

#[test]
fn every_reference_in_the_bill_of_materials_is_to_something_in_it() {
    let report = report();
    let bill = bill(&report);
    assert_eq!(
        (bill["bomFormat"].as_str(), bill["specVersion"].as_str()),
        (Some("CycloneDX"), Some("1.6"))
    );
    let mut refs = BTreeSet::new();
    for component in list(&bill, "/components") {
        assert!(refs.insert(component["bom-ref"].as_str().unwrap()));
        assert_eq!(component["bom-ref"], component["purl"]);
    }
    assert!(refs.contains("pkg:pypi/litellm@1.82.8") && refs.contains("pkg:pypi/loose"));
    assert!(!refs.iter().any(|r| r.contains("service")), "the project itself is not third-party");
    for dependency in list(&bill, "/dependencies") {
        assert!(refs.contains(dependency["ref"].as_str().unwrap()));
        for needed in dependency["dependsOn"].as_array().into_iter().flatten() {
            assert!(refs.contains(needed.as_str().unwrap()));
        }
    }
    let dspy = list(&bill, "/dependencies").iter().find(|d| d["ref"] == "pkg:pypi/dspy@2.6.0");
    assert_eq!(dspy.unwrap()["dependsOn"][0], "pkg:pypi/litellm@1.82.8");
    for vulnerability in list(&bill, "/vulnerabilities") {
        assert!(refs.contains(vulnerability["affects"][0]["ref"].as_str().unwrap()));
    }
}

#[test]
fn the_bill_says_what_is_known_in_which_state_and_what_was_not_audited() {
    let bill = bill(&report());
    let known = list(&bill, "/vulnerabilities");
    let malicious = known.iter().find(|v| v["id"] == "MAL-2026-2144").unwrap();
    assert_eq!(malicious["analysis"]["state"], "exploitable");
    assert_eq!(malicious["cwes"][0], 506);
    let hole = known.iter().find(|v| v["id"] == "CVE-2026-42208").unwrap();
    assert_eq!(hole["analysis"]["state"], "in_triage");
    assert!(hole["recommendation"].as_str().unwrap().contains("1.83.7"));
    let texts = bill.to_string();
    assert!(texts.contains("keymoat:not-audited") && texts.contains("malformed"));
}

#[test]
fn one_report_gives_one_bill_and_its_serial_number_follows_what_it_says() {
    let mut report = report();
    assert_eq!(render::cyclonedx(&report), render::cyclonedx(&report));
    let serial = |report: &Report| bill(report)["serialNumber"].as_str().unwrap().to_owned();
    let before = serial(&report);
    let parts: Vec<usize> =
        before.trim_start_matches("urn:uuid:").split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12]);
    report.at = "2026-01-01T00:00:00.000Z".into();
    assert_ne!(before, serial(&report));
}

#[test]
fn junit_has_a_case_a_package_and_its_sums_add_up() {
    let report = report();
    let xml = render::junit(&report);
    assert!(!xml.contains('\u{1b}') && xml.starts_with("<?xml"));
    let count = |what: &str| xml.matches(what).count();
    let sum = |name: &str| {
        let (_, rest) = xml.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().parse::<usize>().unwrap()
    };
    assert_eq!((sum("tests"), sum("failures")), (count("<testcase "), count("<failure ")));
    assert_eq!(sum("errors"), count("<error "));
    assert!(xml.contains(r#"name="litellm 1.82.8""#) && xml.contains(r#"name="dspy 2.6.0""#));
    assert!(xml.contains("&quot;co&quot;"), "names of files are escaped");
    assert!(xml.contains("<failure message=\"litellm 1.82.8 is MALICIOUS\""));
}

#[test]
fn the_first_line_says_the_answer_the_worst_and_what_to_do() {
    let line = render::headline(&report());
    assert!(line.starts_with("AFFECTED. litellm 1.82."), "{line}");
    assert!(line.contains("MALICIOUS") && line.contains("First: Install nothing"), "{line}");
}

#[test]
fn what_asks_for_the_same_is_told_what_to_do_once() {
    let top = scratch("same");
    // The length of the path decides where a line is wrapped.
    for length in 1..90 {
        let folder = top.join("x".repeat(length));
        fs::create_dir(&folder).unwrap();
        let report = report_in(folder);
        let malicious =
            report.findings.iter().filter(|f| f.kind == guard::finding::Kind::Malicious);
        assert_eq!(malicious.count(), 3);
        let text = unwrapped(&report);
        assert!(text.contains("2 of these mean the same"), "{text}");
        assert_eq!(text.matches("was made to do harm").count(), 1, "{text}");
        assert_eq!(text.matches(" is MALICIOUS seen").count(), 3, "{text}");
    }
}

#[test]
fn findings_that_ask_for_the_same_stand_together() {
    let report = report();
    let mut asked: Vec<&str> = report
        .findings
        .iter()
        .filter(|f| f.kind == guard::finding::Kind::Malicious)
        .map(|f| f.do_first.as_str())
        .collect();
    let all = asked.len();
    asked.dedup();
    let runs = asked.len();
    asked.sort_unstable();
    asked.dedup();
    assert!(all > 1 && runs == asked.len(), "{asked:?}");
}
