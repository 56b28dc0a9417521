//! Files that say what is locked or asked for → [`Package`]s with their lines.
//!
//! One format, one file. A reader takes the text of a file and gives what it
//! says; it judges nothing, opens nothing and trusts nothing. Only requirement
//! files name other files, and these are opened by whoever asks.

pub mod cargo_lock;
pub(crate) mod json;
pub mod package_lock;
pub mod pdm_lock;
pub mod pipfile_lock;
pub mod pnpm_lock;
pub mod poetry_lock;
pub mod pylock;
pub mod pyproject;
pub mod requirements;
pub(crate) mod text;
pub(crate) mod toml_file;
pub mod uv_lock;
mod yaml;

use crate::finding::{Finding, Gap};
use crate::inventory::{Package, Place};
use std::collections::HashMap;
use std::path::Path;

/// What a file said.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What it locks or asks for.
    pub packages: Vec<Package>,
    /// What its own settings give away.
    pub findings: Vec<Finding>,
    /// Parts of it that could not be read.
    pub gaps: Vec<Gap>,
}

impl Reading {
    /// Adds everything that `other` said.
    pub fn append(&mut self, other: Self) {
        self.packages.extend(other.packages);
        self.findings.extend(other.findings);
        self.gaps.extend(other.gaps);
    }
}

/// Why a file is not what its name promises.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Malformed {
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: u32,
    /// What is wrong there. Quotes no more than names and versions.
    pub what: String,
}

impl Malformed {
    fn whole(what: impl Into<String>) -> Self {
        Self { line: 0, what: what.into() }
    }
}

/// A format that is known by its file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `requirements.txt` and its kin; see [`requirements`].
    Requirements,
    /// `uv.lock`
    UvLock,
    /// `poetry.lock`
    PoetryLock,
    /// `pdm.lock`
    PdmLock,
    /// `Pipfile.lock`
    PipfileLock,
    /// `pylock.toml`, `pylock.<name>.toml`
    Pylock,
    /// `pyproject.toml`
    Pyproject,
    /// `package-lock.json`, `npm-shrinkwrap.json`
    PackageLock,
    /// `pnpm-lock.yaml`
    PnpmLock,
    /// `Cargo.lock`
    CargoLock,
}

impl Format {
    /// The format of a file of this name; `None` if it has none that we read.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let has = |extension| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
        Some(match name {
            "uv.lock" => Self::UvLock,
            "poetry.lock" => Self::PoetryLock,
            "pdm.lock" => Self::PdmLock,
            "Pipfile.lock" => Self::PipfileLock,
            "pylock.toml" => Self::Pylock,
            "pyproject.toml" => Self::Pyproject,
            "package-lock.json" | "npm-shrinkwrap.json" => Self::PackageLock,
            "pnpm-lock.yaml" => Self::PnpmLock,
            "Cargo.lock" => Self::CargoLock,
            _ if name.starts_with("pylock.") && has("toml") => Self::Pylock,
            _ if has("txt") && (name.contains("requirement") || name.contains("constraint")) => {
                Self::Requirements
            }
            _ => return None,
        })
    }

    /// Whether it fixes every version, so that a looser file beside it in
    /// the same folder need not.
    pub fn is_lock(self) -> bool {
        !matches!(self, Self::Requirements | Self::Pyproject)
    }

    /// What the text of such a file says. `open` gives the text of files that
    /// it names; the error of `open` is told to people as it is.
    pub fn read(
        self,
        text: &str,
        place: &Place,
        open: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Reading, Malformed> {
        if text.trim().is_empty() && self != Self::Requirements {
            return Err(Malformed::whole("the file is empty"));
        }
        match self {
            Self::Requirements => Ok(requirements::read(text, place, open)),
            Self::UvLock => uv_lock::read(text, place),
            Self::PoetryLock => poetry_lock::read(text, place),
            Self::PdmLock => pdm_lock::read(text, place),
            Self::PipfileLock => pipfile_lock::read(text, place),
            Self::Pylock => pylock::read(text, place),
            Self::Pyproject => pyproject::read(text, place),
            Self::PackageLock => package_lock::read(text, place),
            Self::PnpmLock => pnpm_lock::read(text, place),
            Self::CargoLock => cargo_lock::read(text, place),
        }
    }
}

/// Notes in each package who needs it: `edges` are (needing, needed) names in
/// their normal spelling.
fn link(packages: &mut [Package], edges: &[(String, String)]) {
    let mut needed_by: HashMap<&str, Vec<&str>> = HashMap::new();
    for (needing, needed) in edges {
        let parents = needed_by.entry(needed).or_default();
        if !parents.contains(&needing.as_str()) {
            parents.push(needing);
        }
    }
    for package in packages {
        if let Some(parents) = needed_by.get(package.name.as_str()) {
            package.introduced_by = parents.iter().map(|parent| (*parent).to_owned()).collect();
        }
    }
}

/// The commit in `text`, if it is a whole one: 40 or 64 hexadecimal digits.
fn full_commit(text: &str) -> Option<String> {
    let whole = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    whole.then(|| text.to_ascii_lowercase())
}
