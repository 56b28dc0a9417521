//! An index of advisories: text that is searched where it lies.
//!
//! A header line of JSON, then one line for each package and record, sorted by
//! bytes: `PyPI/litellm`, a tab, the record as JSON. Loading checks the order
//! and parses nothing but the header, so that 200,000 records cost little; a
//! look-up is a binary search and parses only the lines it finds.

use super::osv::Record;
use crate::Ecosystem;
use base::clock::rfc3339;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The only format there is so far.
pub(super) const FORMAT: u32 = 1;

/// What the header line says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The format of the file.
    pub format: u32,
    /// What it was made from, for people.
    pub title: String,
    /// Records read, each counted once.
    pub records: u64,
    /// What could not be read.
    #[serde(default)]
    pub bad: u64,
    /// What the file is complete for.
    pub coverage: Vec<Coverage>,
}

/// A claim to know every advisory on some packages as of some day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Coverage {
    /// OSV's name for the ecosystem.
    pub ecosystem: String,
    /// As of when, RFC 3339.
    pub as_of: String,
    /// For these names; `None` means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// As of when a package is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    /// Milliseconds since 1970.
    pub as_of_ms: i64,
}

impl Cover {
    /// The day, `2024-10-10`.
    pub fn day(self) -> String {
        rfc3339(self.as_of_ms).split('T').next().unwrap_or_default().to_owned()
    }
}

/// Why a file is not an index.
#[derive(Debug, thiserror::Error)]
pub enum NotAnIndex {
    /// Something else altogether, or cut off.
    #[error("it does not begin with an index header")]
    Header,
    /// Made by another version.
    #[error("its format is {0}; this version of keymoat reads format {FORMAT}")]
    Format(u32),
    /// Edited, or cut off: look-ups would miss lines.
    #[error("line {0} is out of order or incomplete")]
    Line(usize),
    /// A claim without a date.
    #[error("its header gives `{0}` where a date should be")]
    Date(String),
}

/// One index.
#[derive(Debug)]
pub struct Set {
    text: Cow<'static, [u8]>,
    header: Header,
    body_at: usize,
    covers: Vec<(Ecosystem, Option<Vec<String>>, i64)>,
}

impl Set {
    /// Takes `text` as an index; the order of its lines is checked, because a
    /// search over lines out of order would find too little and not say so.
    pub fn read(text: Cow<'static, [u8]>) -> Result<Self, NotAnIndex> {
        let end = text.iter().position(|b| *b == b'\n').ok_or(NotAnIndex::Header)?;
        let head = text.get(..end).ok_or(NotAnIndex::Header)?;
        let header: Header = serde_json::from_slice(head).map_err(|_| NotAnIndex::Header)?;
        if header.format != FORMAT {
            return Err(NotAnIndex::Format(header.format));
        }
        let mut covers = Vec::new();
        for claim in &header.coverage {
            let as_of = crate::time::unix_ms(&claim.as_of)
                .ok_or_else(|| NotAnIndex::Date(claim.as_of.clone()))?;
            if let Some(ecosystem) = Ecosystem::from_osv(&claim.ecosystem) {
                let mut names = claim.names.clone();
                if let Some(names) = &mut names {
                    names.sort();
                }
                covers.push((ecosystem, names, as_of));
            }
        }
        let body_at = end + 1;
        let body = text.get(body_at..).unwrap_or_default();
        let mut before: &[u8] = b"";
        for (number, line) in body.split_inclusive(|b| *b == b'\n').enumerate() {
            let whole = line.ends_with(b"}\n") && line.contains(&b'\t');
            if !whole || key_of(line) < key_of(before) {
                return Err(NotAnIndex::Line(number + 2));
            }
            before = line;
        }
        Ok(Self { text, header, body_at, covers })
    }

    /// What its header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// As of when `name` is covered, if this set claims to be complete for it.
    pub fn cover(&self, ecosystem: Ecosystem, name: &str) -> Option<Cover> {
        let claims = self.covers.iter().filter(|(of, names, _)| {
            *of == ecosystem
                && names
                    .as_ref()
                    .is_none_or(|n| n.binary_search_by(|known| known.as_str().cmp(name)).is_ok())
        });
        claims.map(|(_, _, as_of_ms)| Cover { as_of_ms: *as_of_ms }).max_by_key(|c| c.as_of_ms)
    }

    /// The records on `name`.
    pub fn records(&self, ecosystem: Ecosystem, name: &str) -> Vec<Record> {
        let body = self.text.get(self.body_at..).unwrap_or_default();
        let key = format!("{}/{name}", ecosystem.osv());
        let from = first_line_not_before(body, key.as_bytes());
        let mut found = Vec::new();
        for line in body.get(from..).unwrap_or_default().split(|b| *b == b'\n') {
            if key_of(line) != key.as_bytes() {
                break;
            }
            let json = line.get(key.len() + 1..).unwrap_or_default();
            found.extend(serde_json::from_slice::<Record>(json).ok());
        }
        found
    }

    /// The records that carry indicators, once for each package.
    pub(super) fn with_indicators(&self) -> Vec<Record> {
        self.holding("\"iocs\":")
    }

    /// The records whose id or alias is `id`, once for each package.
    pub(super) fn with_id(&self, id: &str) -> Vec<Record> {
        let mut found = self.holding(&format!("\"{id}\""));
        found.retain(|record| record.id == id || record.aliases.iter().any(|alias| alias == id));
        found
    }

    /// The records on the lines that hold `text`: every line is looked at, and
    /// only those are parsed.
    fn holding(&self, text: &str) -> Vec<Record> {
        let body = self.text.get(self.body_at..).unwrap_or_default();
        let lines = body.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let held = lines.filter(|line| line.contains(text));
        held.filter_map(|line| serde_json::from_str(line.split_once('\t')?.1).ok()).collect()
    }

    /// How many lines it has: one for each package of each record.
    pub fn lines(&self) -> usize {
        self.text.get(self.body_at..).unwrap_or_default().split_inclusive(|b| *b == b'\n').count()
    }
}

/// The part of a line before its tab.
fn key_of(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|b| *b == b'\t').unwrap_or(line.len());
    line.get(..end).unwrap_or_default()
}

/// The offset of the first line of `body` whose key is `key` or later.
fn first_line_not_before(body: &[u8], key: &[u8]) -> usize {
    let (mut low, mut high) = (0, body.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = body.get(..middle).unwrap_or_default();
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let line = body.get(start..).unwrap_or_default();
        if key_of(line) < key {
            let length = line.iter().position(|b| *b == b'\n').map_or(line.len(), |at| at + 1);
            low = start + length;
        } else {
            high = start;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"format":1,"title":"t","records":3,"coverage":[{"ecosystem":"PyPI","as_of":"2024-10-10T00:00:00Z","names":["b","a"]},{"ecosystem":"npm","as_of":"2026-01-01T00:00:00Z"}]}"#;

    fn set(lines: &str) -> Result<Set, NotAnIndex> {
        Set::read(Cow::Owned(format!("{HEADER}\n{lines}").into_bytes()))
    }

    fn ids(set: &Set, name: &str) -> Vec<String> {
        set.records(Ecosystem::PyPi, name).into_iter().map(|record| record.id).collect()
    }

    #[test]
    fn every_line_is_found_by_its_name_and_no_other() {
        let names = ["a", "a-b", "ab", "b", "b", "zz"];
        let numbered = names.iter().enumerate();
        let lines: Vec<_> =
            numbered.map(|(n, name)| format!("PyPI/{name}\t{{\"id\":\"X-{n}\"}}\n")).collect();
        let set = set(&lines.concat()).unwrap();
        assert_eq!(ids(&set, "a"), ["X-0"]);
        assert_eq!(ids(&set, "a-b"), ["X-1"]);
        assert_eq!(ids(&set, "ab"), ["X-2"]);
        assert_eq!(ids(&set, "b"), ["X-3", "X-4"]);
        assert_eq!(ids(&set, "zz"), ["X-5"]);
        for absent in ["", "a-", "aa", "c", "zzz", "Z"] {
            assert!(ids(&set, absent).is_empty(), "{absent}");
        }
    }

    #[test]
    fn a_file_that_would_be_searched_in_vain_is_refused() {
        assert!(matches!(set("PyPI/b\t{}\nPyPI/a\t{}\n"), Err(NotAnIndex::Line(3))));
        assert!(matches!(set("PyPI/a\t{}\nPyPI/b\t{\"id"), Err(NotAnIndex::Line(3))));
        assert!(matches!(Set::read(b"{}".as_slice().into()), Err(NotAnIndex::Header)));
        assert!(matches!(Set::read(b"".as_slice().into()), Err(NotAnIndex::Header)));
        let other = HEADER.replace("\"format\":1", "\"format\":2") + "\n";
        assert!(matches!(Set::read(other.into_bytes().into()), Err(NotAnIndex::Format(2))));
    }

    #[test]
    fn coverage_is_claimed_for_the_names_it_lists_only() {
        let set = set("").unwrap();
        assert_eq!(set.cover(Ecosystem::PyPi, "a").map(Cover::day), Some("2024-10-10".into()));
        assert_eq!(set.cover(Ecosystem::PyPi, "c"), None);
        assert!(set.cover(Ecosystem::Npm, "anything").is_some());
        assert_eq!(set.cover(Ecosystem::CratesIo, "a"), None);
    }
}
