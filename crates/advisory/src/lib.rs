//! Advisories in OSV's form, the versions and ranges of each ecosystem, and
//! which advisory speaks of which version.
//!
//! Read from an index ([`set`]) that is searched, not loaded; made from OSV
//! records by [`compile`]. Pure: opens no file and fetches nothing.

pub mod compile;
mod cvss;
mod ecosystem;
mod malformed;
mod matching;
pub mod name;
pub mod osv;
pub mod python;
mod rustsec;
pub mod set;
mod severity;
pub mod time;
pub mod version;
pub mod yaml;

pub use ecosystem::Ecosystem;
pub use malformed::Malformed;
pub use matching::Hit;
pub use set::{Cover, Set};
pub use severity::Severity;

use version::Version;

/// The index that is part of the program; see data/README.md.
const BUILT_IN: &str = include_str!("../data/bundle.osvl");

/// Every set of advisories at hand, asked as one.
#[derive(Debug, Default)]
pub struct Advisories {
    sets: Vec<Set>,
}

impl Advisories {
    /// None at all: whatever is asked is not covered.
    pub fn none() -> Self {
        Self::default()
    }

    /// Those that are part of the program.
    pub fn built_in() -> Self {
        let mut all = Self::none();
        if let Ok(set) = Set::read(BUILT_IN.as_bytes().into()) {
            all.add(set);
        }
        all
    }

    /// Adds `set` to those that are asked.
    pub fn add(&mut self, set: Set) {
        self.sets.push(set);
    }

    /// The sets, in the order in which they were added.
    pub fn sets(&self) -> &[Set] {
        &self.sets
    }

    /// What is known against `version` of `name` (in its normal spelling),
    /// one hit for each thing known however many records tell of it, the
    /// worst first.
    pub fn hits(&self, ecosystem: Ecosystem, name: &str, version: &Version) -> Vec<Hit> {
        matching::hits(ecosystem, &self.records(ecosystem, name), version)
    }

    /// The releases of `name` known as malicious that `admits` lets in, each
    /// with the preferred id of its record. Only releases that records list
    /// one by one, or name at the ends of a range, can be found.
    pub fn malicious_admitted(
        &self,
        ecosystem: Ecosystem,
        name: &str,
        admits: &dyn Fn(&Version) -> bool,
    ) -> Vec<(Version, String)> {
        matching::malicious_admitted(ecosystem, &self.records(ecosystem, name), admits)
    }

    /// The ids of what `version` of `name` is the first release to be free of.
    pub fn fixed_by(&self, ecosystem: Ecosystem, name: &str, version: &Version) -> Vec<String> {
        matching::fixed_by(ecosystem, &self.records(ecosystem, name), version)
    }

    /// The smallest release of `name` above `version` that records name as a
    /// fix and against which nothing is known; nothing if they name none.
    pub fn safe_after(
        &self,
        ecosystem: Ecosystem,
        name: &str,
        version: &Version,
    ) -> Option<Version> {
        matching::safe_after(ecosystem, &self.records(ecosystem, name), version)
    }

    /// How completely, and as of when, `name` is covered; `None` if no set
    /// claims to be complete for it. The newest claim counts.
    pub fn cover(&self, ecosystem: Ecosystem, name: &str) -> Option<Cover> {
        self.sets.iter().filter_map(|set| set.cover(ecosystem, name)).max_by_key(|c| c.as_of_ms)
    }

    /// The records that say what to look for in logs and on disks, each once.
    pub fn with_indicators(&self) -> Vec<osv::Record> {
        let mut records: Vec<osv::Record> =
            self.sets.iter().flat_map(Set::with_indicators).collect();
        records.sort_by(|a, b| a.id.cmp(&b.id));
        records.dedup_by(|a, b| a.id == b.id);
        records
    }

    /// The records that have `id` or an alias of it.
    pub fn with_id(&self, id: &str) -> Vec<osv::Record> {
        self.sets.iter().flat_map(|set| set.with_id(id)).collect()
    }

    fn records(&self, ecosystem: Ecosystem, name: &str) -> Vec<osv::Record> {
        self.sets.iter().flat_map(|set| set.records(ecosystem, name)).collect()
    }
}
