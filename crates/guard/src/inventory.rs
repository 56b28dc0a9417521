//! What is installed, locked or asked for, in one shape for every source.

use crate::version::Version;
pub use advisory::Ecosystem;

use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A line in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file, as it was reached from what was asked for.
    pub file: Arc<Path>,
    /// The line, from 1; 0 means the file as a whole.
    pub line: u32,
}

impl Place {
    /// The file as a whole.
    pub fn whole(file: impl AsRef<Path>) -> Self {
        Self { file: Arc::from(file.as_ref()), line: 0 }
    }

    /// A line of the same file.
    pub fn at(&self, line: u32) -> Self {
        Self { file: Arc::clone(&self.file), line }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file: &Path = &self.file;
        write!(f, "{}", file.strip_prefix("./").unwrap_or(file).display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        Ok(())
    }
}

/// Where a package is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Source {
    /// A registry; `url` where the file names one.
    Registry {
        /// The registry's address, as the file has it.
        url: Option<String>,
    },
    /// A file at an address.
    Url {
        /// The address, as the file has it.
        url: String,
    },
    /// A repository.
    Vcs {
        /// The address, as the file has it.
        url: String,
        /// The full commit, where one is fixed.
        commit: Option<String>,
    },
    /// A file or folder that lies beside the project.
    Path {
        /// The path, as the file has it.
        path: PathBuf,
    },
    /// A build that conda made.
    Conda {
        /// The address, as the file has it; empty where it has none.
        url: String,
    },
    /// The project itself or a member of its workspace: not third-party.
    Own,
}

impl Source {
    /// A registry that is not named.
    pub fn registry() -> Self {
        Self::Registry { url: None }
    }
}

/// How firmly the version is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is there.
    Installed,
    /// A lock file says that this and nothing else will be there.
    Locked,
    /// It is asked for, and an installer would pick.
    Asked,
    /// An artefact of it lies there, or somebody else's inventory has it.
    Held,
}

/// A digest that a file gives for an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hash {
    /// `sha256`, `sha512`, …, in lower case.
    pub algorithm: String,
    /// The digest, as the file has it: hexadecimal or base64.
    pub digest: String,
}

impl Hash {
    /// `sha256:…`, `sha256=…` or `sha512-…` as lock files write them.
    pub fn read(text: &str) -> Option<Self> {
        let (algorithm, digest) = text.trim().split_once([':', '=', '-'])?;
        let named = !algorithm.is_empty() && algorithm.bytes().all(|b| b.is_ascii_alphanumeric());
        (named && !digest.is_empty())
            .then(|| Self { algorithm: algorithm.to_ascii_lowercase(), digest: digest.to_owned() })
    }

    /// Returns true if nobody can make another file with the same digest today.
    pub fn is_strong(&self) -> bool {
        matches!(
            self.algorithm.as_str(),
            "sha256" | "sha384" | "sha512" | "blake2b" | "blake2s" | "sha3256" | "sha3512"
        )
    }
}

/// One package at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Whose name and version it is.
    pub ecosystem: Ecosystem,
    /// Its name, in the normal spelling.
    pub name: String,
    /// The version, where one and only one is possible.
    pub version: Option<Version>,
    /// The versions that are allowed, where several are: `>=1,<2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// How firmly that is known.
    pub standing: Standing,
    /// Where it is taken from.
    pub source: Source,
    /// Where it says so.
    pub place: Place,
    /// Digests of its artefacts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
    /// Names of the packages in the same file that need it; none for what was
    /// asked for directly, or where the file does not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub introduced_by: Vec<String>,
    /// Who attested its artefacts, where the file says it: `GitHub owner/name`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publishers: Vec<String>,
    /// When its newest artefact was uploaded or it was installed, in
    /// milliseconds since 1970, where that is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
}

impl Package {
    /// A package from a registry, of which nothing more is known yet.
    pub fn new(ecosystem: Ecosystem, name: &str, standing: Standing, place: Place) -> Self {
        Self {
            ecosystem,
            name: crate::name::normal(ecosystem, name),
            version: None,
            range: None,
            standing,
            source: Source::registry(),
            place,
            hashes: Vec::new(),
            introduced_by: Vec::new(),
            publishers: Vec::new(),
            since_ms: None,
        }
    }

    /// The same, at exactly the version `text`.
    pub fn at_version(mut self, text: &str) -> Self {
        self.version = Some(Version::read(self.ecosystem, text));
        self
    }

    /// `name 1.0`, or `name >=1,<2`, or `name (any version)`.
    pub fn shown(&self) -> String {
        match (&self.version, &self.range) {
            (Some(version), _) => format!("{} {}", self.name, version.text()),
            (None, Some(range)) => format!("{} {range}", self.name),
            (None, None) => format!("{} (any version)", self.name),
        }
    }
}
