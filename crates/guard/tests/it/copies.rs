//! Files and caches against locks, and copies of one release against each other.

use crate::wheels::{members, packed};
use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::{Finding, Gap, Kind, Severity, Why};
use guard::{Ask, Report};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const WHEEL: &str = "thing-1.0-py3-none-any.whl";
const TAGS: &str = "Wheel-Version: 1.0\nTag: py3-none-any\n";

/// A wheel of `thing 1.0` whose module is `text`.
fn wheel(text: &str) -> Vec<u8> {
    let files = [("thing/__init__.py", text), ("thing-1.0.dist-info/WHEEL", TAGS)];
    packed(&members("thing", "1.0", &files))
}

fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Locks `thing 1.0` to files of these digests.
fn lock(folder: &Path, digests: &[&str]) {
    let hashes: Vec<String> = digests.iter().map(|d| format!(" --hash=sha256:{d}")).collect();
    put(&folder.join("requirements.txt"), format!("thing==1.0{}\n", hashes.concat()));
}

fn audit(folder: &Path) -> Report {
    let ask = Ask { paths: vec![folder.to_owned()], terms: terms() };
    guard::audit(&ask, &Advisories::built_in())
}

fn integrity(report: &Report) -> Vec<&Finding> {
    let of_kind = report.findings.iter().filter(|f| f.kind == Kind::Integrity);
    of_kind.filter(|f| f.severity > Severity::Info).collect()
}

fn unrecorded(report: &Report) -> Vec<&Gap> {
    report.gaps.iter().filter(|gap| gap.why == Why::NoRecord).collect()
}

/// The folder of pip's and Poetry's caches for one address.
const DEEP: &str = "1a/b0/8c/4b75c4116c31f83c8f9f047231251e13cc74481cca4a78a9ce";

#[test]
fn a_file_beside_a_lock_must_be_one_that_the_lock_allows() {
    let folder = scratch("wheelhouse");
    let honest = wheel("x = 1\n");
    put(&folder.join("wheels").join(WHEEL), &honest);
    let other = "cd".repeat(32);
    lock(&folder, &[&other, &digest(&honest).to_uppercase()]);
    assert!(integrity(&audit(&folder)).is_empty(), "one of several will do, in any case");
    lock(&folder, &[&other]);
    let report = audit(&folder);
    let [found] = integrity(&report)[..] else { panic!("{:?}", report.findings) };
    assert_eq!((found.severity, found.subject.as_str()), (Severity::High, "thing 1.0"));
    assert!(found.meaning.contains("not what the lock allows"), "{found:?}");
    assert!(found.evidence[0].text.contains(digest(&honest).get(..12).unwrap()));
    assert_eq!(found.evidence[1].place.as_ref().unwrap().line, 1);
    // Another version is another release, and weak hashes say nothing.
    put(&folder.join("requirements.txt"), format!("thing==1.1 --hash=sha256:{other}\n"));
    assert!(integrity(&audit(&folder)).is_empty());
    put(
        &folder.join("requirements.txt"),
        "thing==1.0 --hash=md5:00112233445566778899aabbccddeeff\n",
    );
    let report = audit(&folder);
    assert!(integrity(&report).is_empty() && unrecorded(&report).is_empty());
    assert!(report.findings.iter().any(|f| f.subject.contains("without a strong hash")));
    put(
        &folder.join("requirements.txt"),
        format!("thing==1.0 --hash=sha512:{}\n", "ab".repeat(64)),
    );
    assert_eq!(unrecorded(&audit(&folder)).len(), 1, "what cannot be compared is a gap");
}

#[test]
fn every_kind_of_lock_is_held_against_the_files_beside_it() {
    let other = "cd".repeat(32);
    let locks = [
        (
            "uv.lock",
            format!(
                "version = 1\n[[package]]\nname = \"thing\"\nversion = \"1.0\"\nsource = {{ registry = \"https://x/simple\" }}\nwheels = [\n    {{ url = \"https://x/{WHEEL}\", hash = \"sha256:{other}\", size = 1 }},\n]\n"
            ),
        ),
        (
            "poetry.lock",
            format!(
                "[[package]]\nname = \"thing\"\nversion = \"1.0\"\nfiles = [\n    {{file = \"{WHEEL}\", hash = \"sha256:{other}\"}},\n]\n[metadata]\nlock-version = \"2.0\"\n"
            ),
        ),
        (
            "pdm.lock",
            format!(
                "[metadata]\nlock_version = \"4.5.0\"\n[[package]]\nname = \"thing\"\nversion = \"1.0\"\nfiles = [\n    {{file = \"{WHEEL}\", hash = \"sha256:{other}\"}},\n]\n"
            ),
        ),
        (
            "Pipfile.lock",
            format!(
                "{{\"_meta\":{{}},\"default\":{{\"thing\":{{\"version\":\"==1.0\",\"hashes\":[\"sha256:{other}\"]}}}},\"develop\":{{}}}}"
            ),
        ),
        (
            "pylock.toml",
            format!(
                "lock-version = \"1.0\"\ncreated-by = \"x\"\n[[packages]]\nname = \"thing\"\nversion = \"1.0\"\n[[packages.wheels]]\nname = \"{WHEEL}\"\nurl = \"https://x/{WHEEL}\"\nhashes = {{ sha256 = \"{other}\" }}\n"
            ),
        ),
    ];
    for (name, text) in locks {
        let folder = scratch("locks");
        put(&folder.join(name), text);
        put(&folder.join("vendor").join(WHEEL), wheel("x = 1\n"));
        let report = audit(&folder);
        let [found] = integrity(&report)[..] else { panic!("{name}: {report:?}") };
        assert_eq!(
            (found.severity, found.subject.as_str()),
            (Severity::High, "thing 1.0"),
            "{name}"
        );
    }
}

#[test]
fn a_wheel_in_pips_caches_must_be_in_the_lock() {
    let folder = scratch("pip");
    let bytes = wheel("x = 1\n");
    put(&folder.join("cache/http-v2/a/b/c/abc.body"), &bytes);
    lock(&folder, &["cd".repeat(32).as_str()]);
    let report = audit(&folder);
    assert!(integrity(&report)[0].meaning.contains("A cache holds another file"), "{report:?}");
    lock(&folder, &[&digest(&bytes)]);
    assert!(integrity(&audit(&folder)).is_empty());
}

/// An answer in pip's cache before pip 23.3.
fn old_answer(body: &[u8]) -> Vec<u8> {
    let mut bytes = b"cc=4,\x82\xa8response\x82\xa4body\xc6".to_vec();
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(b"\xa6status\xcc\xc8\xa4vary\x80");
    bytes
}

#[test]
fn a_wheel_in_pips_older_cache_is_read_where_it_lies_in_the_answer() {
    let folder = scratch("old");
    let name = format!("abcde{}", "0".repeat(51));
    let at = folder.join("http/a/b/c/d/e");
    let bytes = wheel("import base64\nexec(base64.b64decode('cGFzcw=='))\n");
    put(&at.join(&name), old_answer(&bytes));
    put(&at.join(format!("abcde{}", "1".repeat(51))), old_answer(b"<html>"));
    lock(&folder, &["cd".repeat(32).as_str()]);
    let report = audit(&folder);
    assert!(
        integrity(&report)[0].evidence[0].text.contains(digest(&bytes).get(..12).unwrap()),
        "{report:?}"
    );
    assert!(report.findings.iter().any(|f| f.kind == Kind::Code), "its code is read");
    lock(&folder, &[&digest(&bytes)]);
    assert!(integrity(&audit(&folder)).is_empty());
    // An answer that is cut off is a gap, not a panic.
    let mut cut = old_answer(&bytes);
    cut.truncate(cut.len() / 2);
    put(&at.join(&name), cut);
    assert!(audit(&folder).gaps.iter().any(|gap| gap.why == Why::Malformed));
}

#[test]
fn a_wheel_that_was_built_here_goes_by_the_archive_that_it_was_built_from() {
    let folder = scratch("built");
    let at = folder.join("wheels").join(DEEP);
    put(&at.join(WHEEL), wheel("x = 1\n"));
    let archive = "cd".repeat(32);
    lock(&folder, &[&archive]);
    assert_eq!(unrecorded(&audit(&folder)).len(), 1, "nothing says what it was built from");
    let origin = |digest: &str| {
        format!(
            r#"{{"url":"https://x/thing-1.0.tar.gz","archive_info":{{"hash":"sha256={digest}","hashes":{{"sha256":"{digest}"}}}}}}"#
        )
    };
    put(&at.join("origin.json"), origin(&archive));
    let report = audit(&folder);
    assert!(integrity(&report).is_empty() && unrecorded(&report).is_empty(), "{report:?}");
    put(&at.join("origin.json"), origin(&"ef".repeat(32)));
    let report = audit(&folder);
    assert!(integrity(&report)[0].meaning.contains("built from another source archive"));
    put(
        &at.join("origin.json"),
        r#"{"url":"https://x/r","vcs_info":{"vcs":"git","commit_id":"00"}}"#,
    );
    let report = audit(&folder);
    assert!(integrity(&report).is_empty() && unrecorded(&report).is_empty(), "of no pin");
    // Elsewhere such a note changes nothing.
    put(&folder.join("wheelhouse").join(WHEEL), wheel("x = 1\n"));
    put(&folder.join("wheelhouse/origin.json"), origin(&archive));
    assert_eq!(integrity(&audit(&folder)).len(), 1);
}

#[test]
fn poetrys_artefacts_are_compared_and_what_it_built_goes_by_the_archive_beside_it() {
    let folder = scratch("poetry");
    let at = folder.join("artifacts").join(DEEP);
    let bytes = wheel("x = 1\n");
    put(&at.join(WHEEL), &bytes);
    lock(&folder, &[&digest(&bytes)]);
    assert!(integrity(&audit(&folder)).is_empty());
    let described = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n";
    let archive = crate::packed::gzip(&crate::packed::tar(&[("thing-1.0/PKG-INFO", described)]));
    put(&at.join("thing-1.0.tar.gz"), &archive);
    lock(&folder, &[&digest(&archive)]);
    assert!(integrity(&audit(&folder)).is_empty());
    lock(&folder, &["cd".repeat(32).as_str()]);
    assert_eq!(integrity(&audit(&folder)).len(), 2, "the archive, and what was built from it");
}

/// What uv notes of a wheel.
fn note(digest: &str) -> Vec<u8> {
    let mut bytes = b"\x95\xb0S9RImonCZ8daq1Yr\x91\x81\xa6Sha256\xd9\x40".to_vec();
    bytes.extend_from_slice(digest.as_bytes());
    bytes.extend_from_slice(b"\xbathing-1.0-py3-none-any.whl\x00\xcc\x2a and what else");
    bytes
}

#[test]
fn what_uv_noted_of_a_wheel_must_be_in_the_lock() {
    let folder = scratch("uv");
    let at = folder.join("wheels-v8/pypi/thing/1.0-py3-none-any.http");
    let digest = "cd".repeat(32);
    put(&at, note(&digest));
    lock(&folder, &[&digest]);
    let report = audit(&folder);
    assert!(integrity(&report).is_empty() && unrecorded(&report).is_empty(), "{report:?}");
    lock(&folder, &["ef".repeat(32).as_str()]);
    let report = audit(&folder);
    assert_eq!(integrity(&report)[0].severity, Severity::High);
    assert!(integrity(&report)[0].do_first.contains("uv cache clean thing"));
    put(&at, b"\x95\xb0S9RImonCZ8daq1Yr\x90\xc0");
    assert_eq!(unrecorded(&audit(&folder)).len(), 1, "noted without a digest");
    put(&at, b"\x95\xb0S9");
    assert_eq!(unrecorded(&audit(&folder)).len(), 1, "in a form that is not read");
    fs::remove_file(folder.join("requirements.txt")).unwrap();
    assert_eq!(unrecorded(&audit(&folder)).len(), 0, "pinned by nobody");
}

/// Installs the members of a wheel into `site`.
fn unpack(site: &Path, text: &str) {
    let files = [("thing/__init__.py", text), ("thing-1.0.dist-info/WHEEL", TAGS)];
    for (name, bytes) in members("thing", "1.0", &files) {
        put(&site.join(name), bytes);
    }
}

#[test]
fn two_copies_of_one_wheel_that_differ_are_told_though_each_record_is_right() {
    let folder = scratch("two");
    let site = folder.join("venv/lib/python3.12/site-packages");
    let cached = folder.join("uv/archive-v0/S9RImonCZ8daq1Yr");
    unpack(&site, "x = 1\n");
    unpack(&cached, "x = 1\n");
    assert!(integrity(&audit(&folder)).is_empty());
    unpack(&site, "x = 2\n");
    let report = audit(&folder);
    let [found] = integrity(&report)[..] else { panic!("{report:?}") };
    assert_eq!((found.severity, found.subject.as_str()), (Severity::High, "thing 1.0"));
    assert!(found.evidence.iter().any(|e| e.text.contains("thing/__init__.py has another")));
    // A wheel that the lock allows says which of them is the odd one.
    let genuine = wheel("x = 1\n");
    put(&folder.join("wheels").join(WHEEL), &genuine);
    lock(&folder, &[&digest(&genuine)]);
    let report = audit(&folder);
    let [found] = integrity(&report)[..] else { panic!("{report:?}") };
    assert!(found.evidence[0].place.as_ref().unwrap().file.starts_with(&site), "{found:?}");
    assert!(found.evidence[1].text.contains("the lock allows"));
}

#[test]
fn builds_for_other_systems_and_other_versions_are_no_copies_of_each_other() {
    let folder = scratch("builds");
    unpack(&folder.join("a/lib/python3.12/site-packages"), "x = 1\n");
    let other = folder.join("b/lib/python3.12/site-packages");
    unpack(&other, "x = 2\n");
    let tags = TAGS.replace("py3-none-any", "cp312-cp312-manylinux_2_17_x86_64");
    let files = [("thing/__init__.py", "x = 2\n"), ("thing-1.0.dist-info/WHEEL", tags.as_str())];
    for (name, bytes) in members("thing", "1.0", &files) {
        put(&other.join(name), bytes);
    }
    assert!(integrity(&audit(&folder)).is_empty());
}

#[test]
fn a_hashed_requirement_file_is_a_lock_and_both_directions_are_told() {
    let folder = scratch("both");
    let site = folder.join(".venv/lib/python3.12/site-packages");
    unpack(&site, "x = 1\n");
    let hash = format!("--hash=sha256:{}", "cd".repeat(32));
    put(&folder.join("requirements.txt"), format!("thing==1.1 {hash}\nelse==2.0 {hash}\n"));
    let report = audit(&folder);
    assert!(integrity(&report)[0].meaning.contains("Another version is installed"));
    let absent = report.findings.iter().find(|f| f.severity == Severity::Info).unwrap();
    assert!(absent.evidence[0].text.contains("else 2.0, which is not installed"), "{absent:?}");
    put(&folder.join("requirements.txt"), format!("else==2.0 {hash}\n"));
    assert_eq!(integrity(&audit(&folder))[0].evidence[0].text, "thing 1.0 is in no lock");
    // What is not fixed to the last line is no lock.
    put(&folder.join("requirements.txt"), format!("else==2.0 {hash}\nthing\n"));
    assert!(integrity(&audit(&folder)).is_empty());
}

#[test]
fn wheels_in_the_cache_of_uv_are_no_environments_of_the_project_around_them() {
    let folder = scratch("inside");
    unpack(&folder.join(".uv/archive-v0/S9RImonCZ8daq1Yr"), "x = 1\n");
    let hash = format!("--hash=sha256:{}", "cd".repeat(32));
    put(&folder.join("requirements.txt"), format!("thing==1.1 {hash}\n"));
    assert!(integrity(&audit(&folder)).is_empty());
}
