//! `keymoat incident`, with nothing but what `--help` says.

use crate::victim::Victim;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
    assert!(scope.contains("1 place,"), "{scope}");
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

/// Opened on a release that somebody warns of.
fn opened(victim: &Victim) {
    victim.does(&["incident", "open", "--package", "litellm", "--versions", "1.82.8"]);
}

fn ids(victim: &Victim) -> Vec<String> {
    let list = victim.does(&["incident", "list"]);
    list.lines().skip(1).map(|row| row.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn what_was_found_on_one_machine_stays_when_another_is_looked_at() {
    let victim = Victim::new("machines");
    let site = "other/home/bo/.venv/lib/python3.12/site-packages/litellm-1.82.8.dist-info";
    victim.write(&format!("{site}/METADATA"), "Name: litellm\nVersion: 1.82.8\n");
    victim.write(
        "other/home/bo/.env",
        "ANTHROPIC_API_KEY=sk-ant-api03-Vw4Tz8Kp1Nf6Rb3Xq9Lm2Hc7Jd5Gs0YaEuBiOxTkWn2b4Q\n",
    );
    victim.write("other/proc/net/tcp", "");
    opened(&victim);
    for (disk, name) in [("disk", "laptop"), ("other", "server")] {
        let at = ["--root", disk, "--host-name", name];
        victim.does(&[&["incident", "scope"], &at[..]].concat());
        victim.does(&[&["incident", "exposure"], &at[..]].concat());
    }
    let report = victim.does(&["incident", "report"]);
    for fact in [
        "| laptop | litellm 1.82.8 | installed |",
        "| server | litellm 1.82.8 | installed |",
        "on laptop: ",
        "Cut laptop off",
        "Cut server off",
        "an OpenAI key",
        "an Anthropic key",
        "found in 2 places (2 of them installed)",
    ] {
        assert!(report.contains(fact), "{fact} is not in:\n{report}");
    }
    // Looked at again: what is gone there is gone, and the rest stays.
    std::fs::remove_dir_all(victim.0.join("disk/home/ann/shop/.venv")).unwrap();
    victim.does(&["incident", "scope", "--root", "disk", "--host-name", "laptop"]);
    let report = victim.does(&["incident", "report"]);
    assert!(!report.contains("| laptop | litellm"), "{report}");
    assert!(report.contains("| server | litellm 1.82.8 | installed |"), "{report}");
}

#[test]
fn two_incidents_are_two_and_each_is_named_by_its_id() {
    let victim = Victim::new("two");
    for _ in 0..3 {
        opened(&victim);
    }
    let ids = ids(&victim);
    assert_eq!(ids.len(), 3, "none takes the place of another: {ids:?}");
    let (last, first) = (ids.first().unwrap(), ids.last().unwrap());
    victim.does(&["incident", "claim", "confirmed", "--why", "the older one", "--id", first]);
    let of = |id: &str| victim.does(&["incident", "report", "--id", id]);
    assert!(of(first).contains("the older one") && !of(last).contains("the older one"));
    assert!(victim.does(&["incident", "status"]).contains(last.as_str()), "the last is meant");
    for id in ["nobody", "../../data/x", ""] {
        let refused = victim.refuses(&["incident", "status", "--id", id]);
        assert!(refused.contains("keymoat incident list"), "{refused}");
    }
    let file = format!("data/guard/incidents/{first}.json");
    let mode = fs::metadata(victim.0.join(&file)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    victim.write(&file, "{");
    assert!(victim.refuses(&["incident", "status", "--id", first]).contains("damaged"));
    let listed = victim.run(&["incident", "list"]);
    assert!(String::from_utf8(listed.stdout).unwrap().contains(last.as_str()));
    assert!(String::from_utf8(listed.stderr).unwrap().contains("damaged"), "told, and no stop");
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_way_out() {
    let victim = Victim::new("refusals");
    let open = ["incident", "open", "--package", "litellm", "--versions"];
    let cases: [(&[&str], &str); 8] = [
        (&["incident", "open"], "--advisory ID"),
        (&["incident", "open", "--package", "litellm"], "--versions"),
        (&["incident", "open", "--advisory", "MAL-0"], "--advisories"),
        (&[&open[..], &["1.82.7,1.82.8"]].concat(), "--versions 1.82.7 1.82.8"),
        (&[&open[..], &["1.82.8", "--window-from", "yesterday"]].concat(), "--window-from"),
        (
            &[
                &open[..],
                &[
                    "1.82.8",
                    "--window-from",
                    "2026-03-25T00:00:00Z",
                    "--window-to",
                    "2026-03-24T00:00:00Z",
                ],
            ]
            .concat(),
            "ends before it begins",
        ),
        (&["incident", "scope"], "keymoat incident open"),
        (&["incident", "contain", "--all"], "keymoat incident open"),
    ];
    for (arguments, words) in cases {
        let refused = victim.refuses(arguments);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
    assert!(ids(&victim).is_empty(), "what is refused leaves nothing behind");

    opened(&victim);
    let cases: [(&[&str], &str); 6] = [
        (&["incident", "claim", "cleared", "--why", "it feels so"], "nobody has looked yet"),
        (&["incident", "claim", "maybe", "--why", "x"], "suspected"),
        (&["incident", "claim", "confirmed"], "--why"),
        (&["incident", "rotate", "--done", "99"], "there is no step 99"),
        (&["incident", "contain", "--all"], "no database"),
        (&["incident", "use"], "--data"),
    ];
    for (arguments, words) in cases {
        let refused = victim.refuses(arguments);
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
    let report = victim.does(&["incident", "report"]);
    for word in ["Nobody has looked", "Not looked at yet", "No gateway's records", "suspected"] {
        assert!(
            report.contains(word),
            "a report at any time says what nobody did: {word}\n{report}"
        );
    }
    victim.does(&["incident", "scope", "--root", "home", "--host-name", "clean"]);
    victim.does(&["incident", "claim", "cleared", "--why", "none of ours had it"]);
    assert!(victim.does(&["incident", "report"]).contains("**We were not affected**"));
}

#[test]
fn keys_are_frozen_in_the_database_where_no_gateway_runs_and_only_those_are_let_in_again() {
    let victim = Victim::new("freeze");
    victim.database(&["shop", "search", "batch"]);
    opened(&victim);
    let told = victim.does(&["incident", "contain", "--key", "shop", "--key", "search"]);
    assert!(
        told.contains("2 virtual keys frozen now") && told.contains("the database in"),
        "{told}"
    );
    let told = victim.does(&["incident", "contain", "--all"]);
    assert!(
        told.contains("1 virtual key frozen now") && told.contains("By this incident: 3"),
        "{told}"
    );
    // A second incident lets in what it froze itself: nothing.
    opened(&victim);
    let told = victim.does(&["incident", "contain", "--all"]);
    assert!(told.contains("3 virtual keys refused before already"), "{told}");
    assert!(victim.does(&["incident", "contain", "--lift"]).starts_with("0 virtual keys let in"));
    let first = ids(&victim).pop().unwrap();
    let told = victim.does(&["incident", "contain", "--lift", "--id", &first]);
    assert!(told.starts_with("3 virtual keys let in again"), "{told}");
    assert!(told.contains("still open"), "what comes before it was not done: {told}");
    let report = victim.does(&["incident", "report", "--id", &first]);
    assert!(
        report.contains("They are: batch, search, shop.") && report.contains("Lifted at"),
        "{report}"
    );
    let used = victim.does(&["incident", "use", "--id", &first]);
    assert!(used.contains("0 keys used"), "{used}");
}

#[test]
fn an_incident_is_opened_on_what_was_learnt_later() {
    let victim = Victim::new("learnt");
    victim.write(
        "osv/MAL-9.json",
        r#"{"id": "MAL-9", "modified": "2026-01-01T00:00:00Z", "summary": "it <does> harm | `now`",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "house-thing"}, "versions": ["1.0"]}]}"#,
    );
    victim.write("requirements.txt", "house-thing==1.0\n");
    let open = ["incident", "open", "--advisory", "MAL-9"];
    victim.refuses(&open);
    victim.does(&[&open[..], &["--advisories", "osv"]].concat());
    victim.does(&["advisories", "update", "--from", "osv"]);
    victim.does(&open);
    let window = ["--window-from", "2026-01-02T00:00:00Z", "--window-source", "the house"];
    victim.does(&[&open[..], &window].concat());
    let told = victim.does(&["incident", "scope", "."]);
    assert!(told.contains("place, "), "{told}");
    let report = victim.does(&["incident", "report"]);
    assert!(
        report.contains("house-thing 1.0")
            && report.contains("| 2026-01-02 00:00:00 | not known | the house |"),
        "{report}"
    );
    assert!(report.contains(r"it \<does\> harm \|"), "what others wrote is no markup: {report}");
}
