//! Inventories kept, and what later advisories say of them.

use crate::{scratch, terms};
use guard::advisory::{Advisories, compile::Compile};
use guard::finding::{Severity, Why};
use guard::inventory::Ecosystem;
use guard::{Ask, Outcome, recorded};
use std::fs;
use std::path::{Path, PathBuf};

const T: i64 = 1_774_346_400_000; // 2026-03-24 10:00 UTC
const HOUR: i64 = 3_600_000;

/// Records what `project` asks for at `at_ms` on `host`.
fn record(folder: &Path, project: &Path, at_ms: i64, host: &str) -> PathBuf {
    let ask = Ask { paths: vec![project.to_owned()], terms: terms() };
    let report = guard::audit(&ask, &Advisories::none());
    recorded::write(folder, host, at_ms, &ask.paths, &report).unwrap()
}

fn pin(project: &Path, version: &str) {
    fs::write(project.join("requirements.txt"), format!("litellm=={version}\n")).unwrap();
}

#[test]
fn what_was_recorded_is_read_again_and_only_its_owner_may_read_it() {
    let (folder, project) = (scratch("kept").join("new/folder"), scratch("project"));
    pin(&project, "1.82.8");
    let path = record(&folder, &project, T, "build er/1");
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("2026-03-24T10-00-00") && name.ends_with("-builder1.jsonl"), "{name}");
    let again = record(&folder, &project, T, "build er/1");
    assert_ne!(path, again);
    let kept = recorded::load(&path).unwrap();
    assert_eq!((kept.header.at_ms, kept.header.host.as_str()), (T, "build er/1"));
    assert_eq!(kept.header.outcome, "not-audited");
    assert_eq!(kept.entries[0].version.as_deref(), Some("1.82.8"));
    assert_eq!((kept.entries[0].standing.as_str(), kept.entries[0].line), ("asked", 1));
    assert!(kept.entries[0].file.is_absolute());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    let left: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "nothing is left beside them");
}

#[test]
fn a_later_advisory_finds_who_had_it_and_when() {
    let (folder, project) = (scratch("kept"), scratch("project"));
    pin(&project, "1.82.6");
    record(&folder, &project, T, "build-1");
    pin(&project, "1.82.8");
    record(&folder, &project, T + HOUR, "build-1");
    record(&folder, &project, T + 2 * HOUR, "build-1");
    pin(&project, "1.83.7");
    record(&folder, &project, T + 3 * HOUR, "build-1");
    let listing = recorded::list(&folder).unwrap();
    assert_eq!(listing.inventories.len(), 4);
    let report = recorded::audit(&listing, &Advisories::built_in(), &terms());
    assert_eq!(report.outcome, Outcome::Affected);
    let worst = &report.findings[0];
    assert_eq!((worst.severity, worst.subject.as_str()), (Severity::Critical, "litellm 1.82.8"));
    assert_eq!(
        worst.evidence[0].text,
        "asked on build-1: came after 2026-03-24 10:00 UTC, seen 2026-03-24 11:00 UTC to 2026-03-24 12:00 UTC, gone by 2026-03-24 13:00 UTC"
    );
    let loaded: Vec<_> =
        listing.inventories.iter().map(|(path, _)| recorded::load(path).unwrap()).collect();
    let seen = recorded::sightings(&loaded, Ecosystem::PyPi, "litellm", &|version| {
        version.text() == "1.82.8"
    });
    assert!(seen[0].may_be_within(T + 1, T + 2) && !seen[0].may_be_within(0, T - 1));
}

#[test]
fn an_advisory_that_did_not_exist_then_is_found_now() {
    let (folder, project) = (scratch("kept"), scratch("project"));
    fs::write(project.join("requirements.txt"), "thing==1.0\n").unwrap();
    record(&folder, &project, T, "a");
    let mut compile = Compile::default();
    compile.record("x", br#"{"id":"MAL-2027-1","modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"thing"},"versions":["1.0"]}]}"#);
    let mut advisories = Advisories::none();
    advisories.add(guard::advisory::Set::read(compile.finish("t").into()).unwrap());
    let report = recorded::audit(&recorded::list(&folder).unwrap(), &advisories, &terms());
    assert_eq!(report.findings[0].advisories, ["MAL-2027-1"]);
}

#[test]
fn nothing_recorded_and_spoilt_inventories_are_no_audit() {
    let folder = scratch("kept");
    let none = recorded::list(&folder.join("gone")).unwrap();
    let report = recorded::audit(&none, &Advisories::built_in(), &terms());
    assert_eq!((report.outcome, report.gaps[0].why), (Outcome::NotAudited, Why::Nothing));
    let project = scratch("project");
    fs::write(project.join("requirements.txt"), "a==1\nb==2\n").unwrap();
    let path = record(&folder, &project, T, "a");
    let whole = fs::read_to_string(&path).unwrap();
    let line = |number: usize| whole.lines().nth(number).unwrap();
    for spoilt in [
        String::new(),
        "{}\n".to_owned(),
        format!("{}\n{}\n", line(0), line(1)),
        format!("{}\n{}\n{{\n", line(0), line(1)),
        whole.replacen("\"format\":1", "\"format\":2", 1),
    ] {
        fs::write(&path, &spoilt).unwrap();
        let listing = recorded::list(&folder).unwrap();
        let report = recorded::audit(&listing, &Advisories::built_in(), &terms());
        assert_eq!(report.outcome, Outcome::NotAudited, "{spoilt}");
        assert!(report.gaps.iter().any(|gap| gap.why == Why::Unreadable), "{spoilt}");
    }
}
