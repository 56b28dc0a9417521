//! From moments to durations: who had a release, and between which moments.

use super::{Entry, Inventory};
use crate::inventory::Ecosystem;
use crate::version::Version;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A release at one place of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The machine.
    pub host: String,
    /// The file or folder that held it.
    pub file: PathBuf,
    /// The version.
    pub version: String,
    /// `installed`, `locked`, `asked` or `held`.
    pub standing: String,
    /// Names of the packages in the same file that needed it.
    pub introduced_by: Vec<String>,
    /// When it was installed or uploaded, in milliseconds since 1970, where
    /// that was recorded.
    pub since_ms: Option<i64>,
    /// The last inventory of that place before the first that has it, in
    /// milliseconds since 1970: it came after this. `None`: nobody knows.
    pub absent_ms: Option<i64>,
    /// The first inventory that has it, in milliseconds since 1970.
    pub first_ms: i64,
    /// The last inventory that has it, in milliseconds since 1970.
    pub last_ms: i64,
    /// The first inventory of that place after it that does not have it, in
    /// milliseconds since 1970. `None`: it may still be there.
    pub gone_ms: Option<i64>,
}

impl Sighting {
    /// The earliest moment at which it may have been there.
    pub fn from_ms(&self) -> i64 {
        let installed = self.since_ms.filter(|_| self.standing == "installed");
        // A clock that was wrong says that it came after it was seen.
        let installed = installed.filter(|since| *since <= self.first_ms);
        installed.or(self.absent_ms).unwrap_or(i64::MIN)
    }

    /// The latest moment at which it may have been there.
    pub fn to_ms(&self) -> i64 {
        self.gone_ms.unwrap_or(i64::MAX)
    }

    /// Returns true if it may have been there at some time from `from_ms` to `to_ms`.
    pub fn may_be_within(&self, from_ms: i64, to_ms: i64) -> bool {
        self.from_ms() <= to_ms && self.to_ms() >= from_ms
    }

    /// Returns true if an inventory between `from_ms` and `to_ms` has it.
    pub fn is_seen_within(&self, from_ms: i64, to_ms: i64) -> bool {
        self.first_ms <= to_ms && self.last_ms >= from_ms
    }
}

/// Who had a release of `name` (in its normal spelling) that `is_meant` means:
/// one sighting for each unbroken run of inventories of one place that have
/// it, the earliest first.
pub fn sightings(
    inventories: &[Inventory],
    ecosystem: Ecosystem,
    name: &str,
    is_meant: &dyn Fn(&Version) -> bool,
) -> Vec<Sighting> {
    let mut ordered: Vec<&Inventory> = inventories.iter().collect();
    ordered.sort_by_key(|inventory| inventory.header.at_ms);
    // Runs that may still go on, by place.
    let mut open: BTreeMap<(String, PathBuf, String), Sighting> = BTreeMap::new();
    let mut done = Vec::new();
    // When each host's folders were last looked at.
    let mut looked: Vec<(&str, &[PathBuf], i64)> = Vec::new();
    for inventory in ordered {
        let header = &inventory.header;
        let covers = |file: &PathBuf| header.paths.iter().any(|path| file.starts_with(path));
        let mut here: Vec<(&Entry, String)> = Vec::new();
        for entry in inventory.entries.iter().filter(|entry| entry.name == name) {
            let Some(version) = entry.version.as_deref() else { continue };
            let meant = entry.ecosystem() == Some(ecosystem)
                && is_meant(&Version::read(ecosystem, version));
            if meant {
                here.push((entry, version.to_owned()));
            }
        }
        // What this inventory looked at and did not find is gone.
        let gone: Vec<_> = open
            .iter()
            .filter(|((host, file, version), _)| {
                *host == header.host
                    && covers(file)
                    && !here.iter().any(|(entry, seen)| entry.file == *file && seen == version)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            if let Some(mut sighting) = open.remove(&key) {
                sighting.gone_ms = Some(header.at_ms);
                done.push(sighting);
            }
        }
        for (entry, version) in here {
            let key = (header.host.clone(), entry.file.clone(), version.clone());
            let absent_ms = looked
                .iter()
                .filter(|(host, paths, _)| {
                    *host == header.host && paths.iter().any(|path| entry.file.starts_with(path))
                })
                .map(|(_, _, at_ms)| *at_ms)
                .max();
            let sighting = open.entry(key).or_insert_with(|| Sighting {
                host: header.host.clone(),
                file: entry.file.clone(),
                version,
                standing: entry.standing.clone(),
                introduced_by: entry.introduced_by.clone(),
                since_ms: entry.since_ms,
                absent_ms,
                first_ms: header.at_ms,
                last_ms: header.at_ms,
                gone_ms: None,
            });
            sighting.last_ms = header.at_ms;
        }
        looked.push((&header.host, &header.paths, header.at_ms));
    }
    done.extend(open.into_values());
    done.sort_by(|a, b| (a.first_ms, &a.host, &a.file).cmp(&(b.first_ms, &b.host, &b.file)));
    done
}

#[cfg(test)]
mod tests {
    use super::super::Header;
    use super::*;

    fn inventory(at_ms: i64, host: &str, path: &str, version: Option<&str>) -> Inventory {
        let entry = |version: &str| Entry {
            ecosystem: "PyPI".into(),
            name: "litellm".into(),
            version: Some(version.into()),
            standing: "installed".into(),
            source: "registry".into(),
            file: format!("{path}/lib/litellm-{version}.dist-info").into(),
            line: 0,
            since_ms: None,
            introduced_by: Vec::new(),
            sha256: Vec::new(),
        };
        let entries: Vec<_> = version.map(entry).into_iter().collect();
        let header = Header {
            format: 1,
            at_ms,
            host: host.into(),
            paths: vec![path.into()],
            outcome: "clean".into(),
            packages: entries.len(),
            gaps: 0,
        };
        Inventory { file: "x".into(), header, entries }
    }

    fn bad(inventories: &[Inventory]) -> Vec<Sighting> {
        let bad = Version::read(Ecosystem::PyPi, "1.82.8");
        sightings(inventories, Ecosystem::PyPi, "litellm", &|version| version.is(&bad))
    }

    #[test]
    fn a_run_of_inventories_is_one_sighting_with_the_moments_around_it() {
        let found = bad(&[
            inventory(40, "a", "/srv", Some("1.83.7")),
            inventory(10, "a", "/srv", Some("1.82.6")),
            inventory(20, "a", "/srv", Some("1.82.8")),
            inventory(30, "a", "/srv", Some("1.82.8")),
            inventory(25, "b", "/srv", None),
            inventory(35, "a", "/other", None),
        ]);
        assert_eq!(found.len(), 1);
        let times = (found[0].absent_ms, found[0].first_ms, found[0].last_ms, found[0].gone_ms);
        assert_eq!(times, (Some(10), 20, 30, Some(40)));
        assert!(found[0].may_be_within(11, 12) && !found[0].is_seen_within(11, 12));
        assert!(found[0].is_seen_within(0, 20) && found[0].may_be_within(35, 50));
        assert!(!found[0].may_be_within(41, 50) && !found[0].may_be_within(0, 9));
    }

    #[test]
    fn what_was_never_looked_at_before_or_since_is_open_at_that_end() {
        let found = bad(&[inventory(20, "a", "/srv", Some("1.82.8"))]);
        assert_eq!((found[0].absent_ms, found[0].gone_ms), (None, None));
        assert!(found[0].may_be_within(0, 1) && found[0].may_be_within(900, 901));
        let mut known = inventory(20, "a", "/srv", Some("1.82.8"));
        known.entries[0].since_ms = Some(15);
        let found = bad(&[known]);
        assert!(!found[0].may_be_within(0, 14) && found[0].may_be_within(15, 16));
    }

    #[test]
    fn a_release_that_came_back_is_two_sightings() {
        let found = bad(&[
            inventory(10, "a", "/srv", Some("1.82.8")),
            inventory(20, "a", "/srv", None),
            inventory(30, "a", "/srv", Some("1.82.8")),
        ]);
        let gone: Vec<_> = found.iter().map(|s| (s.first_ms, s.absent_ms, s.gone_ms)).collect();
        assert_eq!(gone, [(10, None, Some(20)), (30, Some(20), None)]);
    }
}
