//! A folder into which Python distributions are installed: what is there,
//! whether it is what was recorded, and what runs at every Python start.
//!
//! Read, never imported: no file here is executed, and none is trusted to say
//! what another one holds. That RECORD lists a file proves nothing about what
//! the file does; the start-up rules do not ask it.

mod cache;
mod carried;
mod chain;
mod conduct;
mod contents;
mod distribution;
mod held;
mod integrity;
mod links;
mod metadata;
pub(crate) mod packed;
mod record;
mod scripts;
mod startup;
mod walk;

pub use cache::Cache;
pub(crate) use conduct::module;
pub(crate) use distribution::direct as origin;
pub(crate) use startup::lines as pth_lines;

use crate::copies::Made;
use crate::files;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Package, Place};
use crate::manifest::Reading;
use aws_lc_rs::digest::{SHA256, digest};
use distribution::Distribution;
use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What is installed in `site`, and what is wrong with it. What `cache`
/// remembers of files that did not change is not read again.
pub(crate) fn read(site: &Path, cache: Option<&Cache>) -> Reading {
    let mut reading = Reading::default();
    let names = match names_in(site) {
        Ok(names) => names,
        Err(why) => {
            reading.gaps.push(unreadable(site, &why));
            return reading;
        }
    };
    let mut distributions: Vec<Distribution> = Vec::new();
    for name in &names {
        match distribution::read(site, name) {
            Some(Ok(distribution)) => distributions.push(distribution),
            Some(Err(gap)) => reading.gaps.push(gap),
            None => {}
        }
    }
    distribution::link(&mut distributions);
    reading.findings.extend(distribution::twice(&distributions));
    let sources = integrity::judge(site, &distributions, cache, &mut reading);
    let entries = distributions.iter().map(|distribution| {
        let file = distribution.folder.join("entry_points.txt");
        let text = files::met_text(&file).unwrap_or_default();
        (distribution.package.shown(), conduct::entry_points(&text))
    });
    let entries = entries.collect();
    let (findings, gaps) = (&mut reading.findings, &mut reading.gaps);
    conduct::judge(&sources, &entries, &startup::on_disk, findings, gaps);
    startup::judge(site, &names, &sources, &mut reading);
    let made = if files::is_cached(site) { Made::Unpacked } else { Made::Installed };
    reading.copies.extend(distributions.iter().filter_map(|d| d.copied(made)));
    reading.packages.extend(distributions.into_iter().map(|d| d.package));
    reading
}

/// What is installed in `site` and what runs at every Python start there; its
/// files are not compared with RECORD.
pub(crate) fn start_up(site: &Path) -> Reading {
    let mut reading = Reading::default();
    match names_in(site) {
        Ok(names) => {
            let read = names.iter().filter_map(|name| distribution::read(site, name));
            reading.packages.extend(read.flatten().map(|distribution| distribution.package));
            startup::judge(site, &names, &conduct::Sources::default(), &mut reading);
        }
        Err(why) => reading.gaps.push(unreadable(site, &why)),
    }
    reading
}

/// The distributions that are installed in `site`, their files unread.
pub(crate) fn distributions(site: &Path) -> (Vec<Package>, Vec<Gap>) {
    let names = match names_in(site) {
        Ok(names) => names,
        Err(why) => return (Vec::new(), vec![unreadable(site, &why)]),
    };
    let (mut packages, mut gaps) = (Vec::new(), Vec::new());
    for found in names.iter().filter_map(|name| distribution::read(site, name)) {
        match found {
            Ok(distribution) => packages.push(distribution.package),
            Err(gap) => gaps.push(gap),
        }
    }
    (packages, gaps)
}

fn names_in(folder: &Path) -> Result<Vec<String>, String> {
    let listing = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut names: Vec<String> =
        listing.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The root of the environment that `site` belongs to: files of its
/// distributions may lie in it and nowhere else.
fn prefix_of(site: &Path) -> PathBuf {
    let above = |levels: usize| site.ancestors().nth(levels).map(Path::to_owned);
    let name = |levels: usize| {
        site.ancestors()
            .nth(levels)
            .and_then(Path::file_name)
            .and_then(|n| n.to_str())
            .unwrap_or("")
    };
    let deep = name(1).starts_with("python") || name(1).starts_with("pypy");
    let levels = match (deep, name(1).eq_ignore_ascii_case("lib")) {
        (true, _) if name(2).starts_with("lib") => 3,
        (false, true) => 2,
        _ => 1,
    };
    above(levels).unwrap_or_else(|| site.to_owned())
}

/// The gap that `path` cannot be read.
pub(crate) fn unreadable(path: &Path, why: &str) -> Gap {
    Gap {
        why: Why::Unreadable,
        subject: path.display().to_string(),
        place: None,
        text: why.to_owned(),
        do_first: "Make it readable, or name another path.".into(),
    }
}

/// The name and version in a PKG-INFO.
pub(crate) fn described(text: &str) -> Option<(&str, &str)> {
    let (name, version) = metadata::name_and_version(text);
    name.zip(version)
}

/// Returns true if `text`, a WHEEL file, says that there is no compiled code.
fn is_pure(text: &str) -> bool {
    let tags: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("Tag:")).collect();
    let pure =
        text.lines().any(|line| line.replace(' ', "").eq_ignore_ascii_case("root-is-purelib:true"));
    pure && !tags.is_empty() && tags.iter().all(|tag| tag.trim().ends_with("-none-any"))
}

/// Recorded files, and the numbers of the distributions that own them.
type Owners = HashMap<PathBuf, usize>;

/// A finding about one file.
fn about(file: &Path) -> Place {
    Place::whole(file)
}

/// `path` without `.` and `..`, by its text: links are not followed.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    plain.push("..");
                }
            }
            _ => plain.push(part),
        }
    }
    plain
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal digits.
pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// `bytes` in lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |of: u8| char::from_digit(of.into(), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The SHA-256 that these hexadecimal digits are.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let digit = char::from(*digit).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    Some(bytes)
}

/// The finding that something is not as it was recorded.
fn finding(
    rule: crate::rule::Rule,
    severity: Severity,
    subject: String,
    evidence: Vec<Evidence>,
    meaning: &str,
    do_first: &str,
) -> Finding {
    Finding {
        rule,
        severity,
        kind: Kind::Integrity,
        subject,
        evidence,
        meaning: meaning.into(),
        do_first: do_first.into(),
        advisories: Vec::new(),
    }
}

/// Adds `finding` unless one like it is there: one file, one finding.
fn push_once(findings: &mut Vec<Finding>, finding: Finding) {
    if !findings.contains(&finding) {
        findings.push(finding);
    }
}
