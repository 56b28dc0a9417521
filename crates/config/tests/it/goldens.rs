//! Each folder of `testdata`: `config.yaml` and `env` in, `report.txt` out.
//!
//! `BLESS=1` rewrites the reports. Values with `marked-secret` in them must
//! never appear in one.

use crate::testdata;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn every_case_gives_its_report() {
    let mut cases: Vec<_> =
        std::fs::read_dir(testdata()).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 10, "cases are missing");
    let mut wrong = Vec::new();
    for case in cases {
        let variables = std::fs::read_to_string(case.join("env")).unwrap_or_default();
        let mut env: BTreeMap<String, String> = variables
            .lines()
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        env.insert("HOME".into(), "/home/someone".into());
        // A checkout keeps no modes, and a key that others may read is warned of.
        let key = case.join("tls/key.pem");
        if key.exists() {
            std::fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        }
        let loaded = config::load(&case.join("config.yaml"), &env);
        let here = format!("{}/", case.display());
        let mut report = loaded.report;
        for entry in &mut report.entries {
            entry.file = entry.file.replace(&here, "").into();
        }
        let text = report.render_text(false);
        assert!(!text.contains("marked-secret"), "{}: {text}", case.display());
        assert!(!report.render_json().contains("marked-secret"), "{}", case.display());
        assert_eq!(loaded.config.is_none(), report.has_errors(), "{}", case.display());
        let golden = case.join("report.txt");
        if crate::bless() {
            std::fs::write(&golden, &text).unwrap();
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
