//! Exports taken in: whole, dated, counted, never for less than what is there.

use crate::packed::zip;
use crate::scratch;
use guard::advisories::stored::{NotUpdated, load, update};
use guard::inventory::Ecosystem;
use guard::version::Version;
use guard::{Advisories, advisory};
use std::fs;
use std::path::PathBuf;

const NOW_MS: i64 = 1_795_305_600_000;

fn record(id: &str, name: &str, modified: &str) -> String {
    format!(
        r#"{{"id":"{id}","modified":"{modified}","affected":[{{"package":{{"ecosystem":"PyPI","name":"{name}"}},"versions":["1.0"]}}]}}"#
    )
}

/// A full export: as many records as one has.
fn export(newest: &str) -> PathBuf {
    let texts: Vec<(String, String)> = (0..5_000)
        .map(|n| {
            let id = format!("PYSEC-2026-{n}");
            (format!("{id}.json"), record(&id, &format!("p{n}"), newest))
        })
        .collect();
    let members: Vec<(&str, &[u8])> =
        texts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let path = scratch("export").join("all.zip");
    fs::write(&path, zip(&members)).unwrap();
    path
}

fn cover(path: &std::path::Path, name: &str) -> Option<String> {
    let mut all = Advisories::none();
    all.add(load(path).unwrap()?);
    all.cover(Ecosystem::PyPi, name).map(advisory::Cover::day)
}

#[test]
fn an_export_is_taken_in_once_and_covers_every_name() {
    let kept = scratch("data").join("guard/advisories.osvl");
    assert!(load(&kept).unwrap().is_none());
    let done = update(&kept, &[export("2026-11-21T00:00:00Z")], NOW_MS, false).unwrap();
    assert_eq!((done.header.records, done.header.bad, done.withdrawn), (5_000, 0, 0));
    assert_eq!(cover(&kept, "anything").as_deref(), Some("2026-11-21"));
    let mut all = Advisories::none();
    all.add(load(&kept).unwrap().unwrap());
    let version = Version::read(Ecosystem::PyPi, "1.0.0");
    assert_eq!(all.hits(Ecosystem::PyPi, "p4999", &version)[0].ids, ["PYSEC-2026-4999"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // The index itself can be asked too, and is no export.
    assert!(guard::advisories::read(&kept).is_ok());
    assert!(matches!(
        update(&kept, std::slice::from_ref(&kept), NOW_MS, false),
        Err(NotUpdated::Unusable(_))
    ));
}

#[test]
fn what_knows_less_is_refused_and_changes_nothing() {
    let kept = scratch("data").join("advisories.osvl");
    update(&kept, &[export("2026-11-21T00:00:00Z")], NOW_MS, false).unwrap();
    let before = fs::read(&kept).unwrap();
    let one = scratch("one").join("x.json");
    fs::write(&one, record("X-1", "thing", "2026-11-21T00:00:00Z")).unwrap();
    let older = export("2026-10-01T00:00:00Z");
    for less in [&one, &older] {
        let refused = update(&kept, std::slice::from_ref(less), NOW_MS, false);
        assert!(matches!(&refused, Err(NotUpdated::Less(lost)) if lost.len() == 1), "{refused:?}");
        assert_eq!(fs::read(&kept).unwrap(), before);
    }
    let done = update(&kept, &[older], NOW_MS, true).unwrap();
    assert!(done.lost[0].contains("2026-10-01"), "{:?}", done.lost);
    let gone = update(&kept, &[PathBuf::from("gone")], NOW_MS, true);
    assert!(matches!(gone, Err(NotUpdated::Unusable(_))));
    assert!(load(&kept).is_ok());
}

#[test]
fn a_record_of_the_future_does_not_make_an_index_fresh() {
    let kept = scratch("data").join("advisories.osvl");
    let future = scratch("future").join("x.json");
    fs::write(&future, record("X-1", "thing", "2099-01-01T00:00:00Z")).unwrap();
    let old = export("2026-10-01T00:00:00Z");
    update(&kept, &[old, future], NOW_MS, false).unwrap();
    assert_eq!(cover(&kept, "anything").as_deref(), Some("2026-10-01"));
}

#[test]
fn bad_records_are_counted_and_records_of_other_spellings_are_read() {
    let folder = scratch("mixed");
    fs::create_dir_all(folder.join(".git")).unwrap();
    fs::create_dir_all(folder.join("vulns/thing")).unwrap();
    fs::write(folder.join(".git/x.json"), "{").unwrap();
    fs::write(folder.join("bad.json"), "{").unwrap();
    fs::write(folder.join("README.md"), "# Not a record").unwrap();
    let yaml = "id: PYSEC-2026-9\nmodified: \"2026-01-02T03:04:05Z\"\nwithdrawn: null\naffected:\n- package:\n    name: thing\n    ecosystem: PyPI\n  ranges:\n  - type: ECOSYSTEM\n    events:\n    - introduced: \"0\"\n    - fixed: 1.5\n";
    fs::write(folder.join("vulns/thing/PYSEC-2026-9.yaml"), yaml).unwrap();
    let rust = "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"crate\"\ndate = \"2026-01-02\"\n[versions]\npatched = [\">= 1.2\"]\n```\n# Title\n";
    fs::write(folder.join("RUSTSEC-2026-0001.md"), rust).unwrap();
    let packed = zip(&[("a.json", b"{}"), ("b.json", record("X-2", "zipped", "").as_bytes())]);
    fs::write(folder.join("all.zip"), packed).unwrap();
    let kept = scratch("data").join("advisories.osvl");
    let done = update(&kept, &[folder], NOW_MS, false).unwrap();
    assert_eq!((done.header.records, done.header.bad), (3, 2), "{:?}", done.bad_shown);
    assert!(done.header.coverage.is_empty());
    let mut all = Advisories::none();
    all.add(load(&kept).unwrap().unwrap());
    let hits = |ecosystem, name, version| {
        all.hits(ecosystem, name, &Version::read(ecosystem, version)).len()
    };
    assert_eq!(
        (hits(Ecosystem::PyPi, "thing", "1.4"), hits(Ecosystem::PyPi, "thing", "1.5")),
        (1, 0)
    );
    assert_eq!(
        (hits(Ecosystem::CratesIo, "crate", "1.1.9"), hits(Ecosystem::CratesIo, "crate", "1.2.0")),
        (1, 0)
    );
    assert_eq!(hits(Ecosystem::PyPi, "zipped", "1.0"), 1);
}

#[test]
fn given_rustsec_records_are_all_understood() {
    let Some(shared) = crate::shared() else { return };
    let kept = scratch("data").join("advisories.osvl");
    let done = update(&kept, &[shared.join("rustsec-advisories")], NOW_MS, false).unwrap();
    assert!(done.header.records > 40, "{}", done.header.records);
    assert_eq!(done.header.bad, 0, "{:?}", done.bad_shown);
    let done = update(&kept, &[shared.join("pypa-advisories")], NOW_MS, false).unwrap();
    assert_eq!(
        (done.header.records + done.withdrawn, done.header.bad),
        (347, 0),
        "{:?}",
        done.bad_shown
    );
}
