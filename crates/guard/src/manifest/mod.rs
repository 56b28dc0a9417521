//! Files that say what is locked or asked for → [`Package`]s with their lines.
//!
//! One format, one file. A reader takes the text of a file and gives what it
//! says; it judges nothing, opens nothing and trusts nothing. Only requirement
//! files name other files, and these are opened by whoever asks.

pub mod agent;
pub mod cargo_lock;
mod command;
pub mod conda;
pub mod dockerfile;
mod images;
pub(crate) mod json;
mod listing;
pub mod package_lock;
pub mod pdm_lock;
pub mod pipeline;
pub mod pipfile_lock;
pub mod pnpm_lock;
pub mod poetry_lock;
mod purl;
pub mod pylock;
pub mod pyproject;
pub mod requirements;
pub mod sbom;
mod shell;
pub(crate) mod text;
pub(crate) mod toml_file;
pub mod uv_lock;
mod uv_lock_lines;

pub use advisory::Malformed;
pub(crate) use advisory::yaml;

use crate::copies::Copied;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Package, Place};
use crate::rule::Rule;
use std::collections::{HashMap, HashSet};
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
    /// Copies of releases that can be compared with locks and each other.
    pub(crate) copies: Vec<Copied>,
}

impl Reading {
    /// Adds everything that `other` said.
    pub fn append(&mut self, other: Self) {
        self.packages.extend(other.packages);
        self.findings.extend(other.findings);
        self.gaps.extend(other.gaps);
        self.copies.extend(other.copies);
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
    /// `*.cdx.json`, `*.spdx.json` and their kin; see [`sbom`]
    Sbom,
    /// `conda-meta/*.json`
    CondaMeta,
    /// `conda-lock.yml`
    CondaLock,
    /// `environment.yml`
    CondaEnvironment,
    /// `conda list --explicit`; only by its content
    CondaExplicit,
    /// `Dockerfile` and its kin
    Dockerfile,
    /// Pipelines and compose files; see [`pipeline`]
    Pipeline,
    /// `.mcp.json` and its kin; see [`agent`]
    Agent,
}

/// Files by which agents and editors start programs, wherever they lie.
const AGENT_FILES: [&str; 9] = [
    ".mcp.json",
    "mcp.json",
    ".claude.json",
    "claude_desktop_config.json",
    "mcp_config.json",
    "mcp_settings.json",
    "cline_mcp_settings.json",
    "opencode.json",
    "opencode.jsonc",
];
/// Such files that mean nothing outside of a folder of this name.
const AGENT_FOLDERS: [(&str, &[&str]); 5] = [
    (".claude", &["settings.json", "settings.local.json"]),
    (".cursor", &["settings.json"]),
    (".gemini", &["settings.json"]),
    (".vscode", &["settings.json", "tasks.json"]),
    (".codex", &["config.toml"]),
];

impl Format {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Requirements,
        Self::UvLock,
        Self::PoetryLock,
        Self::PdmLock,
        Self::PipfileLock,
        Self::Pylock,
        Self::Pyproject,
        Self::PackageLock,
        Self::PnpmLock,
        Self::CargoLock,
        Self::Sbom,
        Self::CondaMeta,
        Self::CondaLock,
        Self::CondaEnvironment,
        Self::CondaExplicit,
        Self::Dockerfile,
        Self::Pipeline,
        Self::Agent,
    ];

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
            "conda-lock.yml" => Self::CondaLock,
            "environment.yml" | "environment.yaml" => Self::CondaEnvironment,
            "bom.json" | "sbom.json" | "spdx.json" => Self::Sbom,
            ".gitlab-ci.yml" => Self::Pipeline,
            "Dockerfile" | "Containerfile" => Self::Dockerfile,
            _ if AGENT_FILES.contains(&name) => Self::Agent,
            _ if name.starts_with("pylock.") && has("toml") => Self::Pylock,
            _ if name.ends_with(".conda-lock.yml") => Self::CondaLock,
            _ if [".cdx.json", ".cyclonedx.json", ".spdx.json"]
                .iter()
                .any(|e| name.ends_with(e)) =>
            {
                Self::Sbom
            }
            _ if name.starts_with("Dockerfile.") || has("dockerfile") => Self::Dockerfile,
            _ if (has("yml") || has("yaml"))
                && (name.starts_with("docker-compose") || name.starts_with("compose.")) =>
            {
                Self::Pipeline
            }
            _ if (has("yml") || has("yaml")) && is_in(path, &[".github", "workflows"]) => {
                Self::Pipeline
            }
            _ if has("json") && is_in(path, &["conda-meta"]) => Self::CondaMeta,
            _ if AGENT_FOLDERS
                .iter()
                .any(|(f, names)| names.contains(&name) && is_in(path, &[f])) =>
            {
                Self::Agent
            }
            _ if has("txt") && (name.contains("requirement") || name.contains("constraint")) => {
                Self::Requirements
            }
            _ => return None,
        })
    }

    /// Returns true if it fixes every version.
    pub fn is_lock(self) -> bool {
        matches!(
            self,
            Self::UvLock
                | Self::PoetryLock
                | Self::PdmLock
                | Self::PipfileLock
                | Self::Pylock
                | Self::PackageLock
                | Self::PnpmLock
                | Self::CargoLock
        )
    }

    /// The format of a file that was named outright and that its name does not
    /// tell, by its text.
    pub fn of_text(path: &Path, text: &str) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        match ending {
            "txt" | "in" => {
                let explicit = text.lines().take(20).any(|line| line.trim() == "@EXPLICIT");
                Some(if explicit { Self::CondaExplicit } else { Self::Requirements })
            }
            "json" if text.contains("\"bomFormat\"") || text.contains("\"spdxVersion\"") => {
                Some(Self::Sbom)
            }
            "json"
                if text.trim_start().starts_with('[')
                    || text.contains("\"installed\"") && text.contains("\"pip_version\"") =>
            {
                Some(Self::Requirements)
            }
            "py" if text.contains("# /// script") => Some(Self::Requirements),
            "json" if text.contains("\"lockfileVersion\"") => Some(Self::PackageLock),
            "json" | "jsonc" if text.contains("\"command\"") => Some(Self::Agent),
            "yml" | "yaml" => Some(Self::Pipeline),
            _ => None,
        }
    }

    /// What the text of such a file says. `open` gives the text of files that
    /// it names; the error of `open` is told to people as it is.
    pub fn read(
        self,
        text: &str,
        place: &Place,
        open: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Reading, Malformed> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(Malformed::whole("the file is empty"));
        }
        let conflict = (1_u32..).zip(text.lines()).find(|(_, line)| line.starts_with("<<<<<<< "));
        if let Some((line, _)) = conflict {
            let what = "a merge conflict was not resolved here (`<<<<<<<`)".to_owned();
            return Err(Malformed { line, what });
        }
        let mut reading = self.read_some(text, place, open)?;
        if self.lists_packages() && reading.packages.is_empty() && reading.gaps.is_empty() {
            reading.gaps.push(Gap {
                why: Why::Nothing,
                subject: place.file.display().to_string(),
                place: Some(place.clone()),
                text: "no package is named in it".into(),
                do_first: "See whether the tool that wrote it failed, and write it again. If there is nothing to install, leave the file out.".into(),
            });
        }
        Ok(reading)
    }

    /// Returns true if a file of this format that names no package is either
    /// broken or of a kind that is not understood.
    fn lists_packages(self) -> bool {
        !matches!(self, Self::Pyproject | Self::Dockerfile | Self::Pipeline | Self::Agent)
    }

    fn read_some(
        self,
        text: &str,
        place: &Place,
        open: &dyn Fn(&Path) -> Result<String, String>,
    ) -> Result<Reading, Malformed> {
        match self {
            Self::Requirements => {
                let listed = listing::plain(text);
                Ok(requirements::read(listed.as_deref().unwrap_or(text), place, open))
            }
            Self::UvLock => uv_lock::read(text, place),
            Self::PoetryLock => poetry_lock::read(text, place),
            Self::PdmLock => pdm_lock::read(text, place),
            Self::PipfileLock => pipfile_lock::read(text, place),
            Self::Pylock => pylock::read(text, place),
            Self::Pyproject => pyproject::read(text, place),
            Self::PackageLock => package_lock::read(text, place),
            Self::PnpmLock => pnpm_lock::read(text, place),
            Self::CargoLock => cargo_lock::read(text, place),
            Self::Sbom => sbom::read(text, place),
            Self::CondaMeta => conda::meta(text, place),
            Self::CondaLock => conda::lock(text, place),
            Self::CondaEnvironment => conda::environment(text, place),
            Self::CondaExplicit => Ok(conda::explicit(text, place)),
            Self::Dockerfile => Ok(dockerfile::read(text, place)),
            Self::Pipeline => pipeline::read(text, place),
            Self::Agent => agent::read(text, place),
        }
    }
}

/// Adds a gap unless the format version `found` begins with one of `known`, the
/// major versions that are read. What can be read of the file is read all the
/// same.
fn format_version(found: Option<&str>, known: &[&str], place: &Place, reading: &mut Reading) {
    let major = found.map(|version| version.split('.').next().unwrap_or(version));
    if major.is_some_and(|major| known.contains(&major)) {
        return;
    }
    let known = known.join(", ");
    let text = match found {
        Some(version) => {
            let version = crate::python::requirement::quoted(version);
            format!(
                "format version `{version}` is not known (known: {known}), so parts of it may have been missed"
            )
        }
        None => format!("it does not say which format version it has (known: {known})"),
    };
    reading.gaps.push(Gap {
        why: Why::UnknownFormat,
        subject: place.file.display().to_string(),
        place: Some(place.clone()),
        text,
        do_first: "Audit it with a newer Keymoat, or audit what its tool exports: `uv export`, `poetry export`, `pip freeze`.".into(),
    });
}

/// The finding that files of the package `name`, which a lock takes from
/// `registry`, have addresses of another place.
fn elsewhere<'a>(
    name: &str,
    registry: &str,
    addresses: impl Iterator<Item = &'a str>,
    place: &Place,
) -> Option<Finding> {
    // The public index keeps its files under another name.
    const PUBLIC: (&str, &str) = (concat!("pypi", ".org"), concat!("python", "hosted.org"));
    let host = |address: &str| -> Option<String> {
        let rest = address.split_once("://")?.1;
        let host = rest.split(['/', '?', '#']).next()?.rsplit('@').next()?;
        Some(host.split(':').next()?.to_ascii_lowercase())
    };
    let domain = |host: &str| {
        let parts: Vec<&str> = host.rsplit('.').take(2).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join(".")
    };
    let from = host(registry).map(|host| domain(&host));
    let mut seen: Vec<Evidence> = Vec::new();
    for address in addresses {
        let Some(to) = host(address) else { continue };
        let loopback = matches!(to.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        let plain = address.starts_with("http://") && !loopback;
        let other = from.as_deref().is_some_and(|from| {
            let public = from == PUBLIC.0 && domain(&to) == PUBLIC.1;
            domain(&to) != from && !public
        });
        if plain || other {
            let why = if plain { "over plain http" } else { "which is not where its registry is" };
            let seen_here = Evidence {
                place: Some(place.clone()),
                text: format!("a file comes from {to}, {why}"),
            };
            if !seen.contains(&seen_here) && seen.len() < 4 {
                seen.push(seen_here);
            }
        }
    }
    if seen.is_empty() {
        return None;
    }
    Some(Finding {
        rule: Rule::Elsewhere,
        severity: Severity::Medium,
        kind: Kind::Origin,
        subject: name.to_owned(),
        evidence: seen,
        meaning: "A lock can name any address for a package, and its hash with it: whoever changed the lock decides what is installed, and a reader sees a name and a version that look right.".into(),
        do_first: "Make the lock again from the project's own requirements, and compare the addresses. Mirrors are named as the registry, not file by file.".into(),
        advisories: Vec::new(),
    })
}

/// The text of a version that may be written as a number or as a text.
fn written(value: Option<&toml::Value>) -> Option<String> {
    Some(match value? {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        _ => "of an unknown kind".to_owned(),
    })
}

/// Returns true if `path` lies in folders of these names, the nearest last.
fn is_in(path: &Path, folders: &[&str]) -> bool {
    let above = path.ancestors().skip(1).map(|folder| folder.file_name().and_then(|n| n.to_str()));
    folders.iter().rev().zip(above).all(|(name, folder)| folder == Some(name))
}

/// Notes in each package who needs it: `edges` are (needing, needed) names in
/// their normal spelling.
fn link(packages: &mut [Package], edges: &[(String, String)]) {
    let mut needed_by: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut known = HashSet::new();
    for (needing, needed) in edges {
        if known.insert((needing, needed)) {
            needed_by.entry(needed).or_default().push(needing);
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
