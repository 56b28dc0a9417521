//! `keymoat incident`, with nothing but what `--help` says.

use crate::victim::Victim;
use std::fs;

#[test]
fn an_incident_goes_from_open_to_a_report_that_can_be_published() {
    let victim = Victim::new("incident");
    let disk = victim.0.join("disk").display().to_string();
    let help = victim.does(&["incident", "--help"]);
    for word in ["open", "scope", "exposure", "use", "contain", "rotate", "claim", "report"] {
        assert!(help.contains(&format!("keymoat incident {word}")), "{word} is not in the help");
    }
    assert!(victim.refuses(&["incident", "status"]).contains("keymoat incident open"));
    assert!(victim.refuses(&["incident", "open", "--advisory", "MAL-0"]).contains("no advisory"));
    victim.does(&["incident", "open", "--advisory", "MAL-2026-2144"]);
    let scope = victim.does(&["incident", "scope", "--root", &disk, "--host-name", "laptop"]);
    assert!(scope.contains("1 places"), "{scope}");
    victim.does(&["incident", "exposure", "--root", &disk, "--host-name", "laptop"]);
    assert!(victim.refuses(&["incident", "use"]).contains("no gateway's database"));

    let plan = victim.does(&["incident", "rotate"]);
    let number = |line: &&str| -> u32 {
        line.trim_start_matches(|c: char| !c.is_ascii_digit())
            .split('.')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let step = |word: &str| plan.lines().find(|line| line.contains(word)).as_ref().map(number);
    let replace = step("Replace an OpenAI key").unwrap().to_string();
    let refused = victim.refuses(&["incident", "rotate", "--done", &replace]);
    assert!(refused.contains("must wait"), "{refused}");
    let first = step("Cut laptop off the network").unwrap().to_string();
    victim.does(&["incident", "rotate", "--done", &first]);
    victim.does(&["incident", "claim", "confirmed", "--why", "it was installed on one laptop"]);

    let report = victim.does(&["incident", "report"]);
    for fact in [
        "**We were affected.**",
        "litellm 1.82.7 and 1.82.8",
        "2026-03-24 10:39:00",
        "Needed by",
        "laptop",
        "an OpenAI key",
        "sysmon.py",
        "What is not known",
        "no gateway's records were looked at",
        "| suspected |",
        "| confirmed | it was installed on one laptop |",
        "[x]",
    ] {
        assert!(report.contains(fact), "{fact} is not in:\n{report}");
    }
    assert!(!report.contains("7Qm2Zk9X"), "a value is shown");
    let json = victim.does(&["incident", "report", "--json"]);
    let state: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(state.pointer("/claims/1/standing").unwrap(), "confirmed");
    assert!(!json.contains("7Qm2Zk9X"));
    assert!(victim.does(&["incident", "list"]).contains("confirmed"));
}

#[test]
fn a_drill_freezes_and_reports_and_leaves_nothing_behind() {
    let victim = Victim::new("drill");
    let shown = victim.does(&["incident", "--drill", "--output", "drill.md"]);
    assert!(shown.contains("all virtual keys frozen") && shown.contains("report"), "{shown}");
    let report = fs::read_to_string(victim.0.join("drill.md")).unwrap();
    assert!(report.starts_with("> **This is a drill.**"));
    assert!(report.contains("shop was used from 203.0.113.9, and never from there before"));
    assert!(!victim.0.join("data").exists(), "a drill keeps nothing of its own");
}
