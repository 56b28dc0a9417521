//! OSV records as databases publish them → an index ([`super::set`]).
//!
//! Tolerant: one bad record is counted, with its name, and costs no other.

use super::matching::can_be_evaluated;
use super::osv::Record;
use super::set::{Coverage, FORMAT, Header};
use crate::Ecosystem;
use crate::yaml::{self, Aliases, Node};
use std::collections::BTreeMap;

/// Bad records that are told by name; the rest are only counted.
const BAD_SHOWN_MAX: usize = 20;
/// A summary made from details, in characters.
const SUMMARY_MAX_CHARS: usize = 200;

/// An index in the making.
#[derive(Debug, Default)]
pub struct Compile {
    lines: Vec<String>,
    newest_ms: BTreeMap<Ecosystem, (u64, i64)>,
    /// Dates after this are not believed, in milliseconds since 1970: a record
    /// of the future would make an index look fresh for ever.
    pub newest_max_ms: Option<i64>,
    /// Records taken.
    pub records: u64,
    /// Records that were taken back by their authors, and left out.
    pub withdrawn: u64,
    /// Records that could not be used, or not wholly.
    pub bad: u64,
    /// The first of these: which, and why.
    pub bad_shown: Vec<(String, String)>,
}

impl Compile {
    /// Takes in one record; `name` is what to call it if it is bad.
    /// OSV as JSON or YAML, or one of RustSec's Markdown files.
    pub fn record(&mut self, name: &str, bytes: &[u8]) {
        let ending = name.rsplit('.').next().unwrap_or_default();
        match ending {
            "md" => self.rustsec(name, bytes),
            "yaml" | "yml" => self.yaml(name, bytes),
            _ => match serde_json::from_slice::<Record>(bytes) {
                Ok(record) => self.take(name, record),
                Err(error) => self.spoilt(name, format!("not an OSV record: {error}")),
            },
        }
    }

    fn rustsec(&mut self, name: &str, bytes: &[u8]) {
        match super::rustsec::read(&String::from_utf8_lossy(bytes)) {
            Ok(super::rustsec::Read::Record(record)) => self.take(name, *record),
            Ok(super::rustsec::Read::News) => {}
            Err(why) => self.spoilt(name, why),
        }
    }

    fn yaml(&mut self, name: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let read = yaml::document(&text, Aliases::Refused).map_err(|error| error.to_string());
        let read = read.and_then(|node| {
            serde_json::from_value::<Record>(value(&node)).map_err(|error| error.to_string())
        });
        match read {
            Ok(record) => self.take(name, record),
            Err(why) => self.spoilt(name, format!("not an OSV record: {why}")),
        }
    }

    /// Counts a record that could not even be opened.
    pub fn unreadable(&mut self, name: &str, why: String) {
        self.spoilt(name, why);
    }

    fn spoilt(&mut self, name: &str, why: String) {
        self.bad += 1;
        if self.bad_shown.len() < BAD_SHOWN_MAX {
            self.bad_shown.push((name.to_owned(), why));
        }
    }

    fn take(&mut self, name: &str, mut record: Record) {
        if record.id.is_empty() {
            self.spoilt(name, "its id is empty".into());
            return;
        }
        if record.withdrawn.is_some() {
            self.withdrawn += 1;
            return;
        }
        if record.summary.is_empty() {
            let words = record.details.split_whitespace().collect::<Vec<_>>().join(" ");
            record.summary = words.chars().take(SUMMARY_MAX_CHARS).collect();
        }
        self.records += 1;
        let modified = crate::time::unix_ms(&record.modified)
            .filter(|modified| self.newest_max_ms.is_none_or(|max| *modified <= max));
        let affected = std::mem::take(&mut record.affected);
        let mut by_package: BTreeMap<(Ecosystem, String), Vec<_>> = BTreeMap::new();
        for entry in affected {
            let Some(ecosystem) = Ecosystem::from_osv(&entry.package.ecosystem) else { continue };
            if entry.package.name.is_empty() || entry.package.name.contains(['\t', '\n']) {
                self.spoilt(name, "a package in it has no usable name".into());
                continue;
            }
            if !can_be_evaluated(ecosystem, &entry) {
                self.spoilt(name, "a range in it ends at something that is no version".into());
            }
            let key = crate::name::normal(ecosystem, &entry.package.name);
            by_package.entry((ecosystem, key)).or_default().push(entry);
        }
        for ((ecosystem, package), entries) in by_package {
            let (count, newest) = self.newest_ms.entry(ecosystem).or_insert((0, i64::MIN));
            *count += 1;
            *newest = (*newest).max(modified.unwrap_or(i64::MIN));
            record.affected = entries;
            if let Ok(json) = serde_json::to_string(&record) {
                self.lines.push(format!("{}/{package}\t{json}\n", ecosystem.osv()));
            }
        }
    }

    /// The index. It claims to be complete for an ecosystem only if it holds
    /// as many records on it as a full export would, and as of its newest one:
    /// a few records in a folder say nothing about all other packages.
    pub fn finish(mut self, title: &str) -> Vec<u8> {
        self.lines.sort_unstable();
        self.lines.dedup();
        let coverage = self
            .newest_ms
            .iter()
            .filter(|(ecosystem, (count, newest))| {
                *count >= full_export_min(**ecosystem) && *newest > i64::MIN
            })
            .map(|(ecosystem, (_, newest))| Coverage {
                ecosystem: ecosystem.osv().to_owned(),
                as_of: base::clock::rfc3339(*newest),
                names: None,
            })
            .collect();
        let header = Header {
            format: FORMAT,
            title: title.to_owned(),
            records: self.records,
            bad: self.bad,
            coverage,
        };
        let mut text = serde_json::to_vec(&header).unwrap_or_default();
        text.push(b'\n');
        text.extend(self.lines.into_iter().flat_map(String::into_bytes));
        text
    }
}

/// Scalars stay text, which is all that a record has.
fn value(node: &Node) -> serde_json::Value {
    match node {
        Node::Null => serde_json::Value::Null,
        Node::Scalar(text) => text.clone().into(),
        Node::List(items) => items.iter().map(|(_, item)| value(item)).collect(),
        Node::Map(entries) => {
            let members = entries.iter().map(|(name, _, node)| (name.clone(), value(node)));
            serde_json::Value::Object(members.collect())
        }
    }
}

/// Fewer records than this are not a full export (2026: 20,000 for Python,
/// 200,000 for npm, 1,500 for Rust).
fn full_export_min(ecosystem: Ecosystem) -> u64 {
    match ecosystem {
        Ecosystem::PyPi | Ecosystem::Npm => 5_000,
        Ecosystem::CratesIo => 500,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Set;
    use crate::version::Version;

    #[test]
    fn bad_records_are_counted_and_cost_no_other() {
        let mut compile = Compile::default();
        compile.record("cut.json", b"{\"id\":\"X-1\",\"affe");
        compile.record("nameless.json", br#"{"id":"","affected":[]}"#);
        compile.record("back.json", br#"{"id":"X-2","withdrawn":"2024-01-01T00:00:00Z"}"#);
        compile.record(
            "odd.json",
            br#"{"id":"X-3","affected":[{"package":{"ecosystem":"PyPI","name":"Odd_One"},"versions":["1.0"],
                "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"the beginning"}]}]}]}"#,
        );
        assert_eq!((compile.records, compile.withdrawn, compile.bad), (1, 1, 3));
        assert_eq!(compile.bad_shown[2].0, "odd.json");
        let set = Set::read(compile.finish("test").into()).unwrap();
        assert_eq!(set.header().bad, 3);
        assert_eq!(set.records(Ecosystem::PyPi, "odd-one").len(), 1);
        assert!(Version::read(Ecosystem::PyPi, "1.0").is_ordered());
    }

    #[test]
    fn a_handful_of_records_claims_to_cover_nothing() {
        let mut compile = Compile::default();
        let one = br#"{"id":"X-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"a"}}]}"#;
        compile.record("one", one);
        let few = Set::read(compile.finish("few").into()).unwrap();
        assert_eq!(few.cover(Ecosystem::PyPi, "a"), None);
        let mut compile = Compile::default();
        for n in 0..5_000 {
            let text = String::from_utf8_lossy(one).replace("X-1", &format!("X-{n}"));
            compile.record("many", text.as_bytes());
        }
        let many = Set::read(compile.finish("many").into()).unwrap();
        assert_eq!(
            many.cover(Ecosystem::PyPi, "b").map(super::super::Cover::day),
            Some("2026-01-01".into())
        );
        assert_eq!(many.cover(Ecosystem::Npm, "b"), None);
    }
}
