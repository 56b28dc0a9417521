//! Which records speak of a version: OSV's evaluation, and which records are
//! the same thing under several ids.

use super::osv::{Affected, Event, Range, Record};
use crate::Ecosystem;
use crate::Severity;
use crate::version::Version;
use serde::Serialize;
use std::cmp::Ordering;

/// One thing known against a version, however many records tell of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hit {
    /// Every id of it, the preferred one first.
    pub ids: Vec<String>,
    /// True if the release was made to do harm.
    pub malicious: bool,
    /// The worst that any record says; `None` if none says.
    pub severity: Option<Severity>,
    /// What it is, in a line.
    pub summary: String,
    /// The nearest later version that is not affected by it, where known.
    pub fixed_in: Option<Version>,
    /// What to look for in logs and on disks: host names and addresses.
    pub indicators: Vec<String>,
}

/// See [`super::Advisories::hits`].
pub(super) fn hits(ecosystem: Ecosystem, records: &[Record], version: &Version) -> Vec<Hit> {
    let speaking: Vec<&Record> = records
        .iter()
        .filter(|record| record.withdrawn.is_none())
        .filter(|record| record.affected.iter().any(|a| speaks_of(ecosystem, record, a, version)))
        .collect();
    let mut hits: Vec<Hit> =
        same_things(&speaking).into_iter().map(|group| hit(ecosystem, &group, version)).collect();
    hits.sort_by(|a, b| {
        (b.malicious, b.severity).cmp(&(a.malicious, a.severity)).then_with(|| a.ids.cmp(&b.ids))
    });
    hits
}

/// See [`super::Advisories::malicious_admitted`].
pub(super) fn malicious_admitted(
    ecosystem: Ecosystem,
    records: &[Record],
    admits: &dyn Fn(&Version) -> bool,
) -> Vec<(Version, String)> {
    let mut found: Vec<(Version, String)> = Vec::new();
    for record in records.iter().filter(|r| r.withdrawn.is_none() && r.is_malicious()) {
        for affected in &record.affected {
            let ends = affected.ranges.iter().flat_map(|r| &r.events);
            let ends = ends.filter_map(|e| e.introduced.as_ref().or(e.last_affected.as_ref()));
            for text in affected.versions.iter().chain(ends.filter(|text| *text != "0")) {
                let version = Version::read(ecosystem, text);
                if admits(&version) && !found.iter().any(|(known, _)| *known == version) {
                    let ids = ids_of(&[record]);
                    found.push((version, ids.into_iter().next().unwrap_or_default()));
                }
            }
        }
    }
    found.sort_by(|a, b| a.0.against(&b.0).unwrap_or(Ordering::Equal));
    found
}

/// See [`super::Advisories::fixed_by`].
pub(super) fn fixed_by(ecosystem: Ecosystem, records: &[Record], version: &Version) -> Vec<String> {
    let is_fix = |record: &&Record| {
        record.withdrawn.is_none()
            && fixes(ecosystem, record).any(|fix| version.is(&fix))
            && !record.affected.iter().any(|a| speaks_of(ecosystem, record, a, version))
    };
    let fixed: Vec<&Record> = records.iter().filter(is_fix).collect();
    let ids = same_things(&fixed).into_iter().filter_map(|group| ids_of(&group).into_iter().next());
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

/// See [`super::Advisories::safe_after`].
pub(super) fn safe_after(
    ecosystem: Ecosystem,
    records: &[Record],
    version: &Version,
) -> Option<Version> {
    let records: Vec<&Record> = records.iter().filter(|r| r.withdrawn.is_none()).collect();
    let is_free = |candidate: &Version| {
        let mut affected = records.iter().flat_map(|r| r.affected.iter().map(move |a| (r, a)));
        !affected.any(|(record, affected)| speaks_of(ecosystem, record, affected, candidate))
    };
    records
        .iter()
        .flat_map(|record| fixes(ecosystem, record))
        .filter(|fix| version.against(fix) == Some(Ordering::Less) && is_free(fix))
        .reduce(|a, b| if a.against(&b) == Some(Ordering::Greater) { b } else { a })
}

/// The releases that `record` names as fixes.
fn fixes(ecosystem: Ecosystem, record: &Record) -> impl Iterator<Item = Version> {
    let ranges = record.affected.iter().flat_map(|affected| &affected.ranges);
    let events = ranges.filter(|range| range.kind != "GIT").flat_map(|range| &range.events);
    events.filter_map(|event| event.fixed.as_ref()).map(move |text| Version::read(ecosystem, text))
}

fn speaks_of(
    ecosystem: Ecosystem,
    record: &Record,
    affected: &Affected,
    version: &Version,
) -> bool {
    if affected.versions.is_empty() && affected.ranges.is_empty() {
        // A record of a package that is malicious altogether may list nothing.
        return record.is_malicious();
    }
    let listed = affected.versions.iter().any(|text| {
        // Text first: most lists are long, and most texts differ in their first bytes.
        text == version.text() || version.is(&Version::read(ecosystem, text))
    });
    listed || affected.ranges.iter().any(|range| in_range(ecosystem, range, version))
}

/// In the order in which ends at one and the same version count: what is fixed
/// and introduced there is affected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Fixed,
    Introduced,
    LastAffected,
}

/// Returns true if `version` lies in `range`: the last event at or before it decides.
/// A range with an end that has no place in the order is not evaluated; such
/// records are counted when an index is made.
fn in_range(ecosystem: Ecosystem, range: &Range, version: &Version) -> bool {
    if range.kind == "GIT" || !version.is_ordered() {
        return false;
    }
    let Some(mut ends) = ends(ecosystem, range) else { return false };
    ends.sort_by(|(a, a_end), (b, b_end)| match (a, b) {
        (None, None) => a_end.cmp(b_end),
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => a.against(b).unwrap_or(Ordering::Equal).then(a_end.cmp(b_end)),
    });
    let mut inside = false;
    for (at, end) in &ends {
        let place = at.as_ref().map_or(Some(Ordering::Greater), |at| version.against(at));
        match (end, place) {
            (End::Introduced, Some(Ordering::Greater | Ordering::Equal)) => inside = true,
            (End::Fixed, Some(Ordering::Greater | Ordering::Equal))
            | (End::LastAffected, Some(Ordering::Greater)) => inside = false,
            _ => {}
        }
    }
    inside
}

/// The ends of `range`, `None` standing for "before every version"; nothing if
/// one of them cannot be ordered.
fn ends(ecosystem: Ecosystem, range: &Range) -> Option<Vec<(Option<Version>, End)>> {
    let mut ends = Vec::with_capacity(range.events.len());
    for Event { introduced, fixed, last_affected } in &range.events {
        let each = [
            (introduced, End::Introduced),
            (fixed, End::Fixed),
            (last_affected, End::LastAffected),
        ];
        for (text, end) in each {
            let Some(text) = text else { continue };
            if text == "0" {
                ends.push((None, end));
                continue;
            }
            let version = Version::read(ecosystem, text);
            if !version.is_ordered() {
                return None;
            }
            ends.push((Some(version), end));
        }
    }
    Some(ends)
}

/// Returns true if every range of `affected` can be evaluated.
pub(super) fn can_be_evaluated(ecosystem: Ecosystem, affected: &Affected) -> bool {
    affected.ranges.iter().all(|range| range.kind == "GIT" || ends(ecosystem, range).is_some())
}

/// Records that share an id or an alias, directly or through others.
fn same_things<'r>(records: &[&'r Record]) -> Vec<Vec<&'r Record>> {
    let mut groups: Vec<(Vec<&'r str>, Vec<&'r Record>)> = Vec::new();
    for &record in records {
        let mut ids: Vec<&str> =
            std::iter::once(&record.id).chain(&record.aliases).map(String::as_str).collect();
        let mut members = vec![record];
        let (linked, apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|(known, _)| known.iter().any(|id| ids.contains(id)));
        groups = apart;
        for (known, others) in linked {
            ids.extend(known);
            members.splice(0..0, others);
        }
        groups.push((ids, members));
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Every id of `records`, the one that says most first.
fn ids_of(records: &[&Record]) -> Vec<String> {
    let rank = |id: &str| {
        ["MAL-", "CVE-", "PYSEC-", "RUSTSEC-", "GHSA-"]
            .iter()
            .position(|prefix| id.starts_with(prefix))
            .unwrap_or(usize::MAX)
    };
    let mut ids: Vec<String> = records
        .iter()
        .flat_map(|record| std::iter::once(&record.id).chain(&record.aliases))
        .cloned()
        .collect();
    ids.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    ids.dedup();
    ids
}

fn hit(ecosystem: Ecosystem, group: &[&Record], version: &Version) -> Hit {
    let malicious = group.iter().any(|record| record.is_malicious());
    let texts = group.iter().map(|record| record.summary.as_str());
    let mut fixed: Vec<Version> = Vec::new();
    for record in group {
        let ranges = record.affected.iter().flat_map(|affected| &affected.ranges);
        let ends = ranges.filter(|r| r.kind != "GIT").flat_map(|range| &range.events);
        for text in ends.filter_map(|event| event.fixed.as_ref()) {
            let candidate = Version::read(ecosystem, text);
            let later = version.against(&candidate) == Some(Ordering::Less);
            let free =
                |r: &&Record| !r.affected.iter().any(|a| speaks_of(ecosystem, r, a, &candidate));
            if later && group.iter().all(free) {
                fixed.push(candidate);
            }
        }
    }
    let indicators = group.iter().filter_map(|r| r.database_specific.iocs.as_ref());
    let mut indicators: Vec<String> =
        indicators.flat_map(|i| i.domains.iter().chain(&i.ips)).cloned().collect();
    indicators.sort();
    indicators.dedup();
    Hit {
        ids: ids_of(group),
        malicious,
        severity: group.iter().filter_map(|record| record.severity()).max(),
        summary: texts
            .max_by_key(|text| (!text.is_empty(), std::cmp::Reverse(text.len())))
            .unwrap_or_default()
            .to_owned(),
        fixed_in: fixed
            .into_iter()
            .reduce(|a, b| if a.against(&b) == Some(Ordering::Greater) { b } else { a }),
        indicators,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Record {
        serde_json::from_str(text).unwrap()
    }

    fn ids(records: &[Record], version: &str) -> Vec<String> {
        let version = Version::read(Ecosystem::PyPi, version);
        let hits = hits(Ecosystem::PyPi, records, &version);
        hits.into_iter().map(|hit| hit.ids.join(" ")).collect()
    }

    fn with_events(events: &str) -> Record {
        record(&format!(
            r#"{{"id":"X-1","affected":[{{"ranges":[{{"type":"ECOSYSTEM","events":{events}}}]}}]}}"#
        ))
    }

    #[test]
    fn events_in_any_order_and_several_pairs() {
        let r = [with_events(
            r#"[{"fixed":"3.0"},{"introduced":"2.0"},{"introduced":"0"},{"fixed":"1.5"}]"#,
        )];
        let affected = |v| !ids(&r, v).is_empty();
        assert!(affected("0.0.1.dev0") && affected("1.4.99") && affected("2.0") && affected("2.9"));
        assert!(affected("3.0rc1"), "before 3.0 in the order, whatever a resolver would pick");
        assert!(!affected("1.5") && !affected("2.0rc1") && !affected("3.0") && !affected("9"));
    }

    #[test]
    fn last_affected_is_inside_and_its_post_release_is_not() {
        let r = [with_events(r#"[{"introduced":"1.82.7"},{"last_affected":"1.82.8"}]"#)];
        assert!(!ids(&r, "1.82.8").is_empty() && !ids(&r, "1.82.8rc1").is_empty());
        assert!(!ids(&r, "1.82.8+local").is_empty());
        assert!(ids(&r, "1.82.8.post1").is_empty() && ids(&r, "1.82.6").is_empty());
    }

    #[test]
    fn withdrawn_records_and_commit_ranges_speak_of_nothing() {
        let taken_back =
            r#"{"id":"X-1","withdrawn":"2024-01-01T00:00:00Z","affected":[{"versions":["1.0"]}]}"#;
        let commits = r#"{"id":"X-2","affected":[{"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}"#;
        assert!(ids(&[record(taken_back), record(commits)], "1.0").is_empty());
    }

    #[test]
    fn records_linked_by_aliases_are_one_hit() {
        let linked = [
            record(r#"{"id":"PYSEC-1","aliases":["CVE-1"],"affected":[{"versions":["1.0"]}]}"#),
            record(r#"{"id":"GHSA-2","aliases":["CVE-9"],"affected":[{"versions":["1.0"]}]}"#),
            record(
                r#"{"id":"GHSA-1","aliases":["CVE-1","MAL-1"],"affected":[{"versions":["1.0"]}]}"#,
            ),
        ];
        assert_eq!(ids(&linked, "1.0.0"), ["MAL-1 CVE-1 PYSEC-1 GHSA-1", "CVE-9 GHSA-2"]);
    }

    #[test]
    fn a_fix_that_another_range_takes_back_is_not_offered() {
        let r = [with_events(
            r#"[{"introduced":"0"},{"fixed":"1.5"},{"introduced":"1.5"},{"fixed":"2.0"}]"#,
        )];
        let hits = hits(Ecosystem::PyPi, &r, &Version::read(Ecosystem::PyPi, "1.0"));
        assert_eq!(hits[0].fixed_in.as_ref().map(Version::text), Some("2.0"));
    }

    #[test]
    fn a_malicious_record_without_versions_means_all_of_them() {
        let all =
            [record(r#"{"id":"MAL-1","affected":[{"package":{"ecosystem":"npm","name":"x"}}]}"#)];
        assert_eq!(ids(&all, "0.0.1"), ["MAL-1"]);
        let none =
            [record(r#"{"id":"CVE-1","affected":[{"package":{"ecosystem":"npm","name":"x"}}]}"#)];
        assert!(ids(&none, "0.0.1").is_empty());
    }
}
