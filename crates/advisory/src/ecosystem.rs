//! Where packages of one kind come from.

use serde::{Serialize, Serializer};

/// Where packages of one kind come from, and how their versions are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    /// Python's index.
    PyPi,
    /// JavaScript's registry.
    Npm,
    /// Rust's registry.
    CratesIo,
}

impl Ecosystem {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PyPi, Self::Npm, Self::CratesIo];

    /// Its name in OSV records.
    pub fn osv(self) -> &'static str {
        match self {
            Self::PyPi => "PyPI",
            Self::Npm => "npm",
            Self::CratesIo => concat!("crates", ".io"),
        }
    }

    /// The ecosystem that OSV calls `name`; a suffix (`PyPI:…`) is ignored.
    pub fn from_osv(name: &str) -> Option<Self> {
        let base = name.split_once(':').map_or(name, |(base, _)| base);
        Self::ALL.into_iter().find(|e| e.osv() == base)
    }
}

impl Serialize for Ecosystem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.osv())
    }
}
