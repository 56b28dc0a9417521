//! Files that do not hold what their names promise.

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
    /// The file as a whole is meant.
    pub fn whole(what: impl Into<String>) -> Self {
        Self { line: 0, what: what.into() }
    }
}
