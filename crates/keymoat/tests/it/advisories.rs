//! `keymoat advisories`.

use crate::victim::Victim;
use std::fs;

/// Records that claim to be a full export of the Python index.
fn export(victim: &Victim, folder: &str, records: usize, month: u32) {
    fs::create_dir_all(victim.0.join(folder)).unwrap();
    for number in 0..records {
        let text = format!(
            r#"{{"id":"X-{number}","modified":"2026-{month:02}-01T00:00:00Z","affected":[{{"package":{{"ecosystem":"PyPI","name":"p{number}"}},"versions":["1.0"]}}]}}"#
        );
        fs::write(victim.0.join(folder).join(format!("X-{number}.json")), text).unwrap();
    }
}

#[test]
fn an_export_is_taken_in_asked_by_every_audit_and_not_lost_by_a_slip() {
    let victim = Victim::new("exports");
    let status = |more: &[&str]| {
        let output = victim.run(&[&["advisories", "status"], more].concat());
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = status(&[]);
    assert!(code == 2 && told.contains("No export was taken in"), "{told}");

    export(&victim, "all", 5000, 6);
    victim.write("all/bad.json", "{");
    let told = victim.does(&["advisories", "update", "--from", "all"]);
    assert!(told.contains("5000 records, 0 withdrawn, 1 bad"), "{told}");
    assert!(told.contains("complete for: PyPI as of 2026-06-01"), "{told}");
    assert_eq!(status(&["--max-age", "36500"]).0, 0);
    let (code, told) = status(&["--max-age", "1"]);
    assert!(code == 2 && told.contains("Not fresh"), "{told}");
    let (code, json) = status(&["--max-age", "36500", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(code == 0 && json.get("fresh").unwrap() == true, "{json}");
    victim.write("pins.txt", "p4999==1.0\n");
    assert!(told_of(&victim, "pins.txt").contains("X-4999"));

    let first = victim.0.join("data/guard/advisories.osvl");
    let kept = fs::read(&first).unwrap();
    export(&victim, "one", 1, 7);
    let refused = victim.refuses(&["advisories", "update", "--from", "one"]);
    assert!(refused.contains("know less") && refused.contains("--less"), "{refused}");
    for from in ["gone", "home"] {
        let refused = victim.refuses(&["advisories", "update", "--from", from]);
        assert!(refused.contains(from), "{refused}");
    }
    assert_eq!(fs::read(&first).unwrap(), kept, "what is refused changes nothing");
    let told = victim.does(&["advisories", "update", "--from", "one", "--less"]);
    assert!(told.contains("less than before: PyPI"), "{told}");
    assert!(!told_of(&victim, "pins.txt").contains("X-4999"));

    fs::write(&first, "spoilt").unwrap();
    let output = victim.run(&["audit", "pins.txt"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(told.starts_with("NOT AUDITED") && told.contains("advisories update"), "{told}");
}

fn told_of(victim: &Victim, path: &str) -> String {
    String::from_utf8(victim.run(&["audit", path]).stdout).unwrap()
}
