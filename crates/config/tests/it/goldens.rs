//! Each folder of `testdata`: `config.yaml` and `env` in, `report.txt` out.
//!
//! `BLESS=1` rewrites the reports. Values with `marked-secret` in them must
//! never appear in one.

use crate::testdata;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

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
        let place = match case.join("tls").exists() {
            true => private_copy(&case),
            false => case.clone(),
        };
        let loaded = config::load(&place.join("config.yaml"), &env);
        let here = format!("{}/", place.display());
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

/// A copy of a case whose private key only its owner may read: another mode is warned
/// of, a checkout keeps none, and it may belong to somebody else.
fn private_copy(case: &Path) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("config-{}-goldens", std::process::id()));
    std::fs::create_dir_all(copy.join("tls")).unwrap();
    for name in ["config.yaml", "tls/cert.pem", "tls/key.pem"] {
        std::fs::copy(case.join(name), copy.join(name)).unwrap();
    }
    std::fs::set_permissions(copy.join("tls/key.pem"), Permissions::from_mode(0o600)).unwrap();
    copy
}
