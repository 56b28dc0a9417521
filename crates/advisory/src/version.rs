//! Versions as each ecosystem orders them.
//!
//! Python: PEP 440, by `pep440_rs`. npm and Cargo: Semantic Versioning 2.0.
//! What is neither keeps its text: it can be equal to another, and that is all.

use crate::Ecosystem;
use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::str::FromStr as _;

/// A version as it was written, and its place in the order.
#[derive(Clone, Debug)]
pub struct Version {
    text: String,
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    Pep440(pep440_rs::Version),
    Semver(Semver),
    Unordered,
}

impl Version {
    /// `text` as a version of `ecosystem`.
    pub fn read(ecosystem: Ecosystem, text: &str) -> Self {
        let text = text.trim();
        let order = match ecosystem {
            Ecosystem::PyPi => pep440(text).map_or(Order::Unordered, Order::Pep440),
            Ecosystem::Npm | Ecosystem::CratesIo => {
                Semver::read(text).map_or(Order::Unordered, Order::Semver)
            }
        };
        Self { text: text.to_owned(), order }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if it can be compared with a range.
    pub fn is_ordered(&self) -> bool {
        !matches!(self.order, Order::Unordered)
    }

    /// The PEP 440 version, if it is one.
    pub fn as_pep440(&self) -> Option<&pep440_rs::Version> {
        match &self.order {
            Order::Pep440(version) => Some(version),
            _ => None,
        }
    }

    /// Where it stands before, at or after `bound`, the end of a range. A
    /// local version (`2.0+cu118`) stands where its public version stands,
    /// unless the bound names a local version itself: as `packaging` has it
    /// for `<=`. `None` if the two cannot be ordered.
    pub fn against(&self, bound: &Self) -> Option<Ordering> {
        match (&self.order, &bound.order) {
            (Order::Pep440(mine), Order::Pep440(theirs)) => {
                if mine.is_local() && !theirs.is_local() {
                    Some(mine.clone().without_local().cmp(theirs))
                } else {
                    Some(mine.cmp(theirs))
                }
            }
            (Order::Semver(mine), Order::Semver(theirs)) => Some(mine.cmp(theirs)),
            _ => None,
        }
    }

    /// Returns true if it is the release that `listed` names, in any spelling.
    pub fn is(&self, listed: &Self) -> bool {
        self.against(listed).map_or(self.text == listed.text, Ordering::is_eq)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        match (&self.order, &other.order) {
            (Order::Pep440(mine), Order::Pep440(theirs)) => mine == theirs,
            (Order::Semver(mine), Order::Semver(theirs)) => mine == theirs,
            _ => self.text == other.text,
        }
    }
}

impl Eq for Version {}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

/// PEP 440, with the white space around it that Python allows.
pub fn pep440(text: &str) -> Option<pep440_rs::Version> {
    // The library takes Unicode digits' neighbours by their bytes; ASCII is all the grammar has.
    let text = text.trim();
    text.is_ascii().then(|| pep440_rs::Version::from_str(text).ok()).flatten()
}

/// Semantic Versioning 2.0; build metadata is dropped, as it has no order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Semver {
    core: [u64; 3],
    pre: Vec<Identifier>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier {
    Number(u64),
    Word(String),
}

impl Semver {
    /// A leading `v` or `=` is npm's habit; one or two numbers are OSV's (`"0"`).
    fn read(text: &str) -> Option<Self> {
        let text = text.trim_start_matches(['v', '=']);
        let text = text.split_once('+').map_or(text, |(before, _)| before);
        let (core, pre) =
            text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
        let mut numbers = [0; 3];
        let mut parts = core.split('.');
        for number in &mut numbers {
            let Some(part) = parts.next() else { break };
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            *number = part.parse().ok()?;
        }
        if parts.next().is_some() {
            return None;
        }
        let mut identifiers = Vec::new();
        for part in pre.into_iter().flat_map(|pre| pre.split('.')) {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return None;
            }
            identifiers.push(match part.parse() {
                Ok(number) if !part.starts_with('+') => Identifier::Number(number),
                _ => Identifier::Word(part.to_owned()),
            });
        }
        Some(Self { core: numbers, pre: identifiers })
    }
}

impl Ord for Semver {
    fn cmp(&self, other: &Self) -> Ordering {
        self.core.cmp(&other.core).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        })
    }
}

impl PartialOrd for Semver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn py(text: &str) -> Version {
        Version::read(Ecosystem::PyPi, text)
    }

    #[test]
    fn a_local_version_stands_where_its_public_version_stands() {
        assert_eq!(py("2.0.0+cu118").against(&py("2.0.0")), Some(Ordering::Equal));
        assert_eq!(py("2.0.0+cu118").against(&py("2.0.0+cu117")), Some(Ordering::Greater));
        assert_eq!(py("2.0.0").against(&py("2.0.0+cu117")), Some(Ordering::Less));
        assert!(py("1.0").is(&py("v1.0.0")) && !py("1.0.post1").is(&py("1.0")));
    }

    #[test]
    fn what_cannot_be_ordered_is_equal_to_its_own_text_only() {
        let old = py("2004-snapshot");
        assert!(!old.is_ordered() && old.is(&py("2004-snapshot")) && !old.is(&py("2004")));
        assert_eq!(old.against(&py("1.0")), None);
    }

    #[test]
    fn semver_orders_pre_releases_as_its_section_11_says() {
        let order = [
            "0",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.10.0",
            "2.0.0",
        ];
        let versions: Vec<_> = order.iter().map(|t| Version::read(Ecosystem::Npm, t)).collect();
        for pair in versions.windows(2) {
            assert_eq!(pair[0].against(&pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert!(Version::read(Ecosystem::Npm, "v1.0.0+build").is(&versions[8]));
        for bad in ["", "1.x", "1.2.3.4", "latest", "1.0.0-", "1.0.0-a..b"] {
            assert!(!Version::read(Ecosystem::Npm, bad).is_ordered(), "{bad}");
        }
    }
}
