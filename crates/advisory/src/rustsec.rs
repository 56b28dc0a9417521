//! RustSec's own records (Markdown with TOML in front) → OSV.
//!
//! They say which versions are patched or unaffected; OSV says which are
//! affected: the rest. Format: rustsec/advisory-db, README.

use super::osv::{Affected, Event, Name, Range, Record, Score, Specific};
use crate::Ecosystem;
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    advisory: About,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct About {
    id: String,
    package: String,
    date: String,
    #[serde(default)]
    aliases: Vec<String>,
    cvss: Option<String>,
    withdrawn: Option<String>,
    informational: Option<String>,
}

#[derive(Default, Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<String>,
    #[serde(default)]
    unaffected: Vec<String>,
}

/// What a file says.
pub(super) enum Read {
    /// A hole.
    Record(Box<Record>),
    /// News about a package (nobody looks after it) that is no hole.
    News,
}

/// The record in `text`; the error says why there is none.
pub(super) fn read(text: &str) -> Result<Read, String> {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let rest = text.strip_prefix("```toml").ok_or("it does not begin with ```toml")?;
    let (front, rest) = rest.split_once("\n```").ok_or("its TOML does not end")?;
    let file: File = toml::from_str(front)
        .map_err(|error| format!("not a RustSec record: {}", error.message()))?;
    if matches!(file.advisory.informational.as_deref(), Some("unmaintained" | "notice")) {
        return Ok(Read::News);
    }
    let mut fine = Vec::new();
    for requirement in file.versions.patched.iter().chain(&file.versions.unaffected) {
        let range = interval(requirement).ok_or_else(|| {
            let shown: String = requirement.chars().take(60).collect();
            format!("`{shown}` is no range of versions that is understood")
        })?;
        fine.push(range);
    }
    let about = file.advisory;
    let title = rest.lines().find_map(|line| line.strip_prefix("# "));
    Ok(Read::Record(Box::new(Record {
        id: about.id,
        modified: format!("{}T00:00:00Z", about.date),
        withdrawn: about.withdrawn,
        aliases: about.aliases,
        summary: title.unwrap_or_default().trim().to_owned(),
        details: String::new(),
        severity: about
            .cvss
            .map(|score| Score { kind: "CVSS_V3".to_owned(), score })
            .into_iter()
            .collect(),
        affected: vec![Affected {
            package: Name { ecosystem: Ecosystem::CratesIo.osv().to_owned(), name: about.package },
            ranges: vec![Range { kind: "SEMVER".to_owned(), events: without(fine) }],
            versions: Vec::new(),
        }],
        database_specific: Specific::default(),
    })))
}

/// A version as numbers; what follows a `-` makes it earlier, and what comes
/// right after a version without it later. Compared as Semantic Versioning does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Point(String);

impl Point {
    fn order(&self) -> crate::version::Version {
        crate::version::Version::read(Ecosystem::CratesIo, &self.0)
    }

    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().against(&other.order()).unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// From a version on, up to and without another; `None` is no end.
type Interval = (Option<Point>, Option<Point>);

/// `>= 1.2, < 1.3`, `^1.2.3`, `~1.2`, `=1.2.3`, `1.2.3`, `<= 1.2.3`.
fn interval(requirement: &str) -> Option<Interval> {
    let (mut from, mut to): Interval = (None, None);
    for part in requirement.split(',') {
        let part = part.trim();
        let digits = part.find(|l: char| l.is_ascii_digit())?;
        let (operator, version) = part.split_at_checked(digits)?;
        let whole = full(version.trim())?;
        let [major, minor, patch] = numbers(&whole)?;
        let given = version.split(['-', '+']).next()?.split('.').count();
        let next = |major: u64, minor: u64, patch: u64| Point(format!("{major}.{minor}.{patch}-0"));
        let after = || Some(Point(format!("{major}.{minor}.{}-0", patch.checked_add(1)?)));
        let at = Some(Point(whole.clone()));
        let (low, high) = match operator.trim() {
            ">=" => (at, None),
            // What comes next after a version is its next patch.
            ">" => (after(), None),
            "<" => (None, at),
            "<=" => (None, after()),
            "=" if given == 3 => (at, after()),
            "=" | "~" if given <= 1 => (at, Some(next(major.checked_add(1)?, 0, 0))),
            "=" | "~" => (at, Some(next(major, minor.checked_add(1)?, 0))),
            "^" | "" => {
                let end = if major > 0 || given == 1 {
                    next(major.checked_add(1)?, 0, 0)
                } else if minor > 0 || given == 2 {
                    next(0, minor.checked_add(1)?, 0)
                } else {
                    next(0, 0, patch.checked_add(1)?)
                };
                (at, Some(end))
            }
            _ => return None,
        };
        from = low.or(from);
        to = high.or(to);
    }
    Some((from, to))
}

/// `1` and `1.2` with what is missing as zeros.
fn full(version: &str) -> Option<String> {
    let (core, rest) = match version.find(['-', '+']) {
        Some(at) => version.split_at_checked(at)?,
        None => (version, ""),
    };
    let rest = rest.split('+').next().unwrap_or_default();
    let whole = match core.split('.').count() {
        1 => format!("{core}.0.0{rest}"),
        2 => format!("{core}.0{rest}"),
        3 => format!("{core}{rest}"),
        _ => return None,
    };
    crate::version::Version::read(Ecosystem::CratesIo, &whole).is_ordered().then_some(whole)
}

fn numbers(whole: &str) -> Option<[u64; 3]> {
    let core = whole.split('-').next()?;
    let mut parts = core.split('.').map(str::parse::<u64>);
    Some([parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?])
}

/// What is left of all versions when `fine` ones are taken out.
fn without(mut fine: Vec<Interval>) -> Vec<Event> {
    use std::cmp::Ordering;
    fine.sort_by(|a, b| match (&a.0, &b.0) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => a.cmp(b),
    });
    let introduced = |at: String| Event { introduced: Some(at), ..Event::default() };
    let mut events = Vec::new();
    // Where the affected part goes on from; `None` once nothing is left.
    let mut from = Some(Point("0.0.0-0".to_owned()));
    for (low, high) in fine {
        let Some(start) = &from else { break };
        if let Some(low) = low.filter(|low| start.cmp(low) == Ordering::Less) {
            events.push(introduced(start.0.clone()));
            events.push(Event { fixed: Some(low.0), ..Event::default() });
        }
        from = match high {
            None => None,
            Some(high) if start.cmp(&high) == Ordering::Less => Some(high),
            Some(_) => from,
        };
    }
    events.extend(from.map(|from| introduced(from.0)));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;
    use crate::{Advisories, Set, compile::Compile};

    fn affected(versions: &str, asked: &[&str]) -> Vec<bool> {
        let text = format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"thing\"\ndate = \"2026-01-02\"\n[versions]\n{versions}\n```\n\n# A hole\n"
        );
        let mut compile = Compile::default();
        compile.record("x.md", text.as_bytes());
        assert_eq!((compile.records, compile.bad), (1, 0), "{:?}", compile.bad_shown);
        let mut all = Advisories::none();
        all.add(Set::read(compile.finish("t").into()).unwrap());
        let hits = |version: &&str| {
            let version = Version::read(Ecosystem::CratesIo, version);
            !all.hits(Ecosystem::CratesIo, "thing", &version).is_empty()
        };
        asked.iter().map(hits).collect()
    }

    #[test]
    fn what_is_neither_patched_nor_unaffected_is_affected() {
        let asked = ["0.1.0", "1.0.0-alpha", "1.0.0", "1.5.0", "1.5.1", "1.6.0", "2.0.0"];
        let of = |versions| affected(versions, &asked);
        assert_eq!(of("patched = []"), [true; 7]);
        assert_eq!(of("patched = [\">= 1.5.1\"]"), [true, true, true, true, false, false, false]);
        assert_eq!(
            of("patched = [\">= 1.5.1, < 1.6.0\", \">= 2\"]\nunaffected = [\"< 1.0.0-alpha\"]"),
            [false, true, true, true, false, true, false]
        );
        assert_eq!(
            of("patched = [\"^1.5.1\", \">=3\"]"),
            [true, true, true, true, false, false, true]
        );
        assert_eq!(
            of("patched = []\nunaffected = [\"=1.5.0\", \"=1.5.1\", \"<= 1.0.0\"]"),
            [false, false, false, false, false, true, true]
        );
        assert_eq!(of("unaffected = [\"> 1.5.0\"]"), [true, true, true, true, false, false, false]);
    }

    #[test]
    fn what_is_not_understood_is_bad_and_news_is_no_hole() {
        let file = |versions: &str, more: &str| {
            read(&format!(
                "```toml\n[advisory]\nid = \"R\"\npackage = \"p\"\ndate = \"2026-01-02\"\n{more}\n[versions]\n{versions}\n```\n"
            ))
        };
        assert!(file("patched = [\"around 1.0\"]", "").is_err());
        assert!(file("patched = [\"!= 1.0\"]", "").is_err());
        assert!(matches!(file("patched = []", "informational = \"unmaintained\""), Ok(Read::News)));
        assert!(matches!(file("patched = []", "informational = \"unsound\""), Ok(Read::Record(_))));
        assert!(read("# No front").is_err() && read("```toml\n[advisory]\n").is_err());
    }
}
