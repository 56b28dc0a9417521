//! What the built-in advisories say of the versions that people ask about.

use guard::advisory::Advisories;
use guard::finding::Severity;
use guard::inventory::Ecosystem;
use guard::version::Version;

/// `litellm` on both axes: version, malicious, vulnerable.
pub(crate) const LITELLM: [(&str, bool, bool); 9] = [
    ("1.30.4", false, true),
    ("1.34.2", false, true),
    ("1.82.6", false, true),
    ("1.82.7", true, true),
    ("1.82.8", true, true),
    ("1.82.8rc1", true, true),
    ("1.82.8.post1", false, true),
    ("1.83.0", false, true),
    ("1.83.7", false, false),
];

fn hits(name: &str, version: &str) -> Vec<guard::advisory::Hit> {
    let version = Version::read(Ecosystem::PyPi, version);
    Advisories::built_in().hits(Ecosystem::PyPi, name, &version)
}

#[test]
fn the_built_in_index_is_whole() {
    let all = Advisories::built_in();
    let set = &all.sets()[0];
    assert_eq!(set.header().records, 358);
    assert!(set.lines() >= 358);
}

#[test]
fn litellm_is_judged_on_both_axes() {
    for (version, malicious, vulnerable) in LITELLM {
        let hits = hits("litellm", version);
        assert_eq!(hits.iter().any(|hit| hit.malicious), malicious, "{version}");
        assert_eq!(hits.iter().any(|hit| !hit.malicious), vulnerable, "{version}");
    }
}

#[test]
fn the_three_records_of_the_march_incident_are_one_hit() {
    let hits = hits("litellm", "1.82.8");
    assert_eq!(hits[0].ids, ["MAL-2026-2144", "PYSEC-2026-2", "GHSA-92x9-889m-jgmw"]);
    assert_eq!(hits[0].indicators, ["litellm.cloud"]);
    let hole = &hits[1];
    assert_eq!(hole.ids[0], "CVE-2026-42208");
    assert_eq!(hole.severity, Some(Severity::Critical));
    assert_eq!(hole.fixed_in.as_ref().unwrap().text(), "1.83.7");
}

#[test]
fn the_incidents_that_followed_are_known() {
    for (name, version) in [
        ("telnyx", "4.87.2"),
        ("xinference", "2.6.1"),
        ("lightning", "2.6.3"),
        ("guardrails-ai", "0.10.1"),
        ("mistralai", "2.4.6"),
    ] {
        assert!(hits(name, version).iter().any(|hit| hit.malicious), "{name} {version}");
    }
    assert!(hits("mistralai", "0.10.1").is_empty(), "named by mistake outside of `affected`");
    let axios = Version::read(Ecosystem::Npm, "1.14.1");
    assert!(Advisories::built_in().hits(Ecosystem::Npm, "axios", &axios)[0].malicious);
}

#[test]
fn a_range_can_be_asked_which_malicious_releases_it_lets_in() {
    let all = Advisories::built_in();
    let specifiers = guard::python::Specifiers::read(">=1.80,!=1.82.7").unwrap();
    let admits = |v: &Version| specifiers.admit(v);
    let found = all.malicious_admitted(Ecosystem::PyPi, "litellm", &admits);
    let shown: Vec<_> = found.iter().map(|(v, id)| (v.text(), id.as_str())).collect();
    assert_eq!(shown, [("1.82.8", "MAL-2026-2144")]);
}
