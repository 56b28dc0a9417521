//! Inventories that were stored with time and host, so that a question about
//! the past has an answer: who had this release, when, where?
//!
//! One audit, one file of JSON lines: a header, then a line for each package.
//! A file is written whole, readable by its owner only, and never changed.
//! An inventory is a moment, not a duration: between two of them a release may
//! have come and gone, and [`sightings`] says between which two.

mod audit;
mod sighting;

pub use audit::audit;
pub use sighting::{Sighting, sightings};

use crate::finding::Outcome;
use crate::inventory::{Ecosystem, Package, Source, Standing};
use base::clock::rfc3339;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Where inventories are kept, below keymoat's data directory.
pub const FOLDER: &str = "guard/inventories";
/// The only format there is so far.
const FORMAT: u32 = 1;
/// The largest inventory that is read, in bytes.
const FILE_MAX_BYTES: u64 = 1 << 30;

/// What is said of an inventory as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The format of the file.
    pub format: u32,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
    /// The machine it was made on.
    pub host: String,
    /// What was audited: absolute paths.
    pub paths: Vec<PathBuf>,
    /// The answer of that audit, by what was known then.
    pub outcome: String,
    /// How many packages follow.
    pub packages: usize,
    /// How many things could not be looked at: what is not in it may have been
    /// there all the same.
    pub gaps: usize,
}

/// One package at one place, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// OSV's name for the ecosystem: `PyPI`, `npm`, …
    pub ecosystem: String,
    /// Its name, in the normal spelling.
    pub name: String,
    /// Its version, where one was fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `installed`, `locked`, `asked` or `held`.
    pub standing: String,
    /// `registry`, `url`, `vcs`, `path`, `conda` or `own`.
    pub source: String,
    /// The file or folder that says so.
    pub file: PathBuf,
    /// The line in it, from 1; 0 means the file as a whole.
    #[serde(default)]
    pub line: u32,
    /// When it was installed or uploaded, in milliseconds since 1970, where
    /// that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Names of the packages in the same file that needed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub introduced_by: Vec<String>,
    /// SHA-256 of its artefacts, where the file gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sha256: Vec<String>,
}

impl Entry {
    fn of(package: &Package) -> Self {
        let source = match &package.source {
            Source::Registry { .. } => "registry",
            Source::Url { .. } => "url",
            Source::Vcs { .. } => "vcs",
            Source::Path { .. } => "path",
            Source::Conda { .. } => "conda",
            Source::Own => "own",
        };
        let standing = match package.standing {
            Standing::Installed => "installed",
            Standing::Locked => "locked",
            Standing::Asked => "asked",
            Standing::Held => "held",
        };
        let sha256 = package.hashes.iter().filter(|hash| hash.algorithm == "sha256");
        Self {
            ecosystem: package.ecosystem.osv().to_owned(),
            name: package.name.clone(),
            version: package.version.as_ref().map(|version| version.text().to_owned()),
            standing: standing.to_owned(),
            source: source.to_owned(),
            file: absolute(&package.place.file),
            line: package.place.line,
            since_ms: package.since_ms,
            introduced_by: package.introduced_by.clone(),
            sha256: sha256.map(|hash| hash.digest.to_ascii_lowercase()).collect(),
        }
    }

    /// The ecosystem, if it is one that we know.
    pub fn ecosystem(&self) -> Option<Ecosystem> {
        Ecosystem::from_osv(&self.ecosystem)
    }
}

/// An inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The file that holds it.
    pub file: PathBuf,
    /// What is said of it as a whole.
    pub header: Header,
    /// What was there.
    pub entries: Vec<Entry>,
}

/// What a folder of inventories holds.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Each file with its header, the oldest first.
    pub inventories: Vec<(PathBuf, Header)>,
    /// Files that cannot be read, and why: their time is not accounted for.
    pub bad: Vec<(PathBuf, String)>,
}

/// Stores what an audit found in `folder`; gives the new file.
pub fn write(
    folder: &Path,
    host: &str,
    at_ms: i64,
    paths: &[PathBuf],
    report: &crate::Report,
) -> Result<PathBuf, String> {
    let outcome = match report.outcome {
        Outcome::Clean => "clean",
        Outcome::Affected => "affected",
        Outcome::NotAudited => "not-audited",
    };
    let header = Header {
        format: FORMAT,
        at_ms,
        host: host.to_owned(),
        paths: paths.iter().map(|path| absolute(path)).collect(),
        outcome: outcome.to_owned(),
        packages: report.inventory.len(),
        gaps: report.gaps.len(),
    };
    let mut text = serde_json::to_string(&header).map_err(|error| error.to_string())?;
    text.push('\n');
    for package in &report.inventory {
        let line = serde_json::to_string(&Entry::of(package)).map_err(|error| error.to_string())?;
        text.push_str(&line);
        text.push('\n');
    }
    let path = free_name(folder, &header);
    crate::private::write(&path, text.as_bytes())
        .map_err(|error| format!("{}: {}", path.display(), crate::files::reason(&error)))?;
    Ok(path)
}

/// `2026-11-22T02-00-00.000Z-host.jsonl`, or with a number where that is taken.
fn free_name(folder: &Path, header: &Header) -> PathBuf {
    let is_plain = |l: &char| l.is_ascii_alphanumeric() || matches!(l, '-' | '.' | '_');
    let host: String = header.host.chars().filter(is_plain).take(60).collect();
    let stem = format!("{}-{host}", rfc3339(header.at_ms).replace(':', "-"));
    let plain = folder.join(format!("{stem}.jsonl"));
    let mut path = plain;
    let mut number = 2_u32;
    while path.exists() {
        path = folder.join(format!("{stem}-{number}.jsonl"));
        number += 1;
    }
    path
}

/// The inventories in `folder`; none if there is no such folder.
pub fn list(folder: &Path) -> Result<Listing, String> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(listing),
        Err(error) => {
            return Err(format!("{}: {}", folder.display(), crate::files::reason(&error)));
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        match header(&path) {
            Ok(header) => listing.inventories.push((path, header)),
            Err(why) => listing.bad.push((path, why)),
        }
    }
    listing.inventories.sort_by(|a, b| (a.1.at_ms, &a.0).cmp(&(b.1.at_ms, &b.0)));
    listing.bad.sort();
    Ok(listing)
}

fn header(path: &Path) -> Result<Header, String> {
    use std::io::{BufRead as _, Read as _};
    let file = fs::File::open(path).map_err(|error| crate::files::reason(&error))?;
    let mut line = Vec::new();
    let mut head = std::io::BufReader::new(file.take(1 << 20));
    head.read_until(b'\n', &mut line).map_err(|error| crate::files::reason(&error))?;
    read_header(&line)
}

fn read_header(line: &[u8]) -> Result<Header, String> {
    let header: Header =
        serde_json::from_slice(line).map_err(|_| "it is no recorded inventory".to_owned())?;
    if header.format == FORMAT {
        Ok(header)
    } else {
        let format = header.format;
        Err(format!("its format is {format}; this version of keymoat reads format {FORMAT}"))
    }
}

/// The inventory in the file at `path`.
pub fn load(path: &Path) -> Result<Inventory, String> {
    let bytes = crate::files::bytes(path, FILE_MAX_BYTES)?;
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let header = read_header(lines.next().unwrap_or_default())?;
    let mut entries = Vec::new();
    for (number, line) in (2..).zip(lines) {
        let entry = serde_json::from_slice::<Entry>(line);
        entries.push(entry.map_err(|_| format!("line {number} is no package"))?);
    }
    if entries.len() == header.packages {
        Ok(Inventory { file: path.to_owned(), header, entries })
    } else {
        let (has, says) = (entries.len(), header.packages);
        Err(format!("it holds {has} packages and says that it holds {says}"))
    }
}

/// `path` as it is reached from anywhere on this machine; links stay links.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
