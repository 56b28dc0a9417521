//! Three answers, and that "not audited" is never taken for "clean".

use crate::{scratch, terms};
use guard::advisory::{Advisories, Set};
use guard::finding::{Severity, Why};
use guard::{Ask, Outcome, Report};
use std::fs;
use std::path::{Path, PathBuf};

const PINNED: &str =
    "thing==1.0 --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111\n";

fn set(as_of: &str) -> Advisories {
    let header = format!(
        "{{\"format\":1,\"title\":\"t\",\"records\":0,\"coverage\":[{{\"ecosystem\":\"PyPI\",\"as_of\":\"{as_of}\"}}]}}\n"
    );
    let mut all = Advisories::none();
    all.add(Set::read(header.into_bytes().into()).unwrap());
    all
}

fn audit(paths: &[PathBuf], advisories: &Advisories) -> Report {
    guard::audit(&Ask { paths: paths.to_vec(), terms: terms() }, advisories)
}

fn of_requirements(text: &str, advisories: &Advisories) -> Report {
    let folder = scratch("requirements");
    fs::write(folder.join("requirements.txt"), text).unwrap();
    audit(&[folder], advisories)
}

fn why(report: &Report) -> Vec<Why> {
    report.gaps.iter().map(|gap| gap.why).collect()
}

#[test]
fn pinned_hashed_and_covered_is_clean() {
    let report = of_requirements(PINNED, &set("2026-11-20T00:00:00Z"));
    assert_eq!((report.outcome, report.outcome.exit_code()), (Outcome::Clean, 0));
    assert!(guard::render::table(&report).starts_with("CLEAN."));
}

#[test]
fn no_advisories_stale_advisories_and_advisories_on_other_things_are_no_audit() {
    for (advisories, expected) in [
        (Advisories::none(), Why::NotCovered),
        (Advisories::built_in(), Why::NotCovered),
        (set("2026-11-01T00:00:00Z"), Why::Stale),
    ] {
        let report = of_requirements(PINNED, &advisories);
        assert_eq!((report.outcome, why(&report)), (Outcome::NotAudited, vec![expected]));
        assert_eq!(report.outcome.exit_code(), 2);
        let text = crate::unwrapped(&report);
        assert!(text.starts_with("NOT AUDITED.") && text.contains("no all-clear"), "{text}");
    }
}

#[test]
fn missing_empty_unknown_and_unreadable_are_no_audit() {
    let fresh = set("2026-11-20T00:00:00Z");
    let folder = scratch("nothing");
    let file = folder.join("uv.lock");
    for (paths, expected) in
        [(vec![folder.join("gone")], Why::Unreadable), (vec![folder.clone()], Why::Nothing)]
    {
        let report = audit(&paths, &fresh);
        assert_eq!((report.outcome, why(&report)), (Outcome::NotAudited, vec![expected]));
    }
    fs::write(folder.join("notes.md"), "x").unwrap();
    assert_eq!(why(&audit(&[folder.join("notes.md")], &fresh)), [Why::Unreadable]);
    for (bytes, line) in [(b"[[package]\n".as_slice(), 1), (b"", 0), (b"a = 1\nb = \xff\n", 0)] {
        fs::write(&file, bytes).unwrap();
        let report = audit(std::slice::from_ref(&file), &fresh);
        assert_eq!(report.outcome, Outcome::NotAudited);
        let place = report.gaps[0].place.as_ref().map_or(0, |place| place.line);
        assert_eq!(place, line, "{:?}", report.gaps);
    }
}

#[cfg(unix)]
#[test]
fn permission_denied_is_no_audit() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = scratch("denied");
    let file = folder.join("uv.lock");
    fs::write(&file, "version = 1\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&file).is_ok() {
        println!("SKIPPED: this user may read everything");
        return;
    }
    let report = audit(&[file], &set("2026-11-20T00:00:00Z"));
    assert_eq!((report.outcome, why(&report)), (Outcome::NotAudited, vec![Why::Unreadable]));
}

#[test]
fn a_floating_version_is_no_audit_and_a_range_that_lets_bad_releases_in_is_a_finding() {
    let report = of_requirements("thing>=1.0\n", &set("2026-11-20T00:00:00Z"));
    assert_eq!((report.outcome, why(&report)), (Outcome::NotAudited, vec![Why::Floating]));
    let report = of_requirements("litellm>=1.80\n", &Advisories::built_in());
    assert_eq!(report.outcome, Outcome::Affected);
    assert!(report.findings[0].evidence[0].text.contains("1.82.7, 1.82.8"));
    let report = of_requirements("litellm>=1.83\n", &Advisories::built_in());
    assert!(report.findings.is_empty());
}

#[test]
fn a_lock_beside_it_fixes_the_names_it_has_and_no_others() {
    let folder = scratch("project");
    fs::write(
        folder.join("pyproject.toml"),
        "[project]\ndependencies = ['litellm>=1.80', 'loose']\n",
    )
    .unwrap();
    fs::write(
        folder.join("uv.lock"),
        "version = 1\n[[package]]\nname = 'litellm'\nversion = '1.83.7'\nsource = { registry = 'x' }\n",
    )
    .unwrap();
    let report = audit(&[folder], &set("2026-11-20T00:00:00Z"));
    let floating: Vec<_> = report.gaps.iter().filter(|g| g.why == Why::Floating).collect();
    assert_eq!(floating.len(), 1);
    assert!(floating[0].subject.starts_with("loose"));
}

#[test]
fn sources_that_no_advisory_speaks_of_are_no_audit() {
    for text in [
        "thing @ git+https://h/r@84748be16341b76e073d117329f7f5f4ee2941ad\n",
        "thing @ https://h/archive/main.zip\n",
        "./vendored/thing\n",
    ] {
        let report = of_requirements(text, &set("2026-11-20T00:00:00Z"));
        assert_eq!(
            (report.outcome, why(&report)),
            (Outcome::NotAudited, vec![Why::UnknownSource]),
            "{text}"
        );
    }
}

#[test]
fn a_malicious_artefact_is_known_by_its_hash_under_any_name() {
    let text = "harmless==9.9 --hash=sha256:d2a0d5f564628773b6af7b9c11f6b86531a875bd2d186d7081ab62748a800ebb\n";
    let report = of_requirements(text, &set("2026-11-20T00:00:00Z"));
    assert_eq!(report.findings[0].severity, Severity::Critical);
    assert_eq!(report.findings[0].advisories, ["MAL-2026-2144"]);
}

#[test]
fn what_was_uploaded_in_the_last_days_is_listed_and_fails_nothing() {
    let folder = scratch("recent");
    let lock = "version = 1\n[[package]]\nname = 'thing'\nversion = '1.0'\nsource = { registry = 'x' }\nwheels = [{ url = 'u', hash = 'sha256:11', upload-time = '2026-11-20T10:00:00Z' }]\n";
    fs::write(folder.join("uv.lock"), lock).unwrap();
    let report = audit(&[folder], &set("2026-11-20T00:00:00Z"));
    assert_eq!(report.outcome, Outcome::Clean);
    assert!(report.findings[0].evidence[0].text.contains("2026-11-20 10:00 UTC"));
}

#[test]
fn json_carries_the_answer_the_exit_code_and_the_gaps() {
    let report = of_requirements("litellm==1.82.7\n", &Advisories::built_in());
    let json: serde_json::Value = serde_json::from_str(&guard::render::json(&report)).unwrap();
    assert_eq!(json["outcome"], "affected");
    assert_eq!(json["exit_code"], 1);
    assert_eq!(json["findings"][0]["kind"], "malicious");
    assert_eq!(json["findings"][0]["evidence"][0]["place"]["line"], 1);
    assert_eq!(json["gaps"][0]["why"], "not-covered");
}

#[test]
fn what_a_file_holds_does_not_drive_the_terminal() {
    let report = of_requirements("thing\u{1b}[2J==1.0\n", &Advisories::none());
    assert!(!guard::render::table(&report).contains('\u{1b}'));
}

#[test]
fn advisories_are_read_from_files_folders_and_indexes_and_their_absence_is_told() {
    let folder = scratch("records");
    assert!(guard::advisories::read(&folder).is_err(), "an empty folder");
    assert!(guard::advisories::read(Path::new("gone")).is_err());
    let record = r#"{"id":"X-1","modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"thing"},"versions":["1.0"]}]}"#;
    fs::create_dir(folder.join("inner")).unwrap();
    fs::write(folder.join("inner/x.json"), record).unwrap();
    fs::write(folder.join("bad.json"), "{").unwrap();
    let index = folder.join("index");
    let built_in = concat!(env!("CARGO_MANIFEST_DIR"), "/../advisory/data/bundle.osvl");
    for (path, bad) in [(folder.clone(), 1), (folder.join("inner/x.json"), 0)] {
        let set = guard::advisories::read(&path).unwrap();
        assert_eq!((set.header().records, set.header().bad), (1, bad));
        let mut all = Advisories::none();
        all.add(set);
        assert!(!of_requirements(PINNED, &all).findings.is_empty());
    }
    assert_eq!(guard::advisories::read(Path::new(built_in)).unwrap().header().records, 358);
    fs::write(&index, "{\"format\":1,\"cut").unwrap();
    assert!(guard::advisories::read(&index).is_err());
}
