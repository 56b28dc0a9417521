//! Why the store could not be opened, for the person who starts the gateway.

use ledger::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// Every variant names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("cannot {what} {}: {cause}", path.display())]
    Io {
        /// `create`, `read`, …
        what: &'static str,
        /// What it was tried on.
        path: PathBuf,
        /// The system's words.
        cause: io::Error,
    },
    /// Two processes on one data directory would spend one budget twice.
    #[error(
        "the data directory {} is in use by another keymoat process{}: stop it, or give this one \
         a directory of its own",
        path.display(), pid.as_deref().map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Who holds it, as far as known.
        pid: Option<String>,
    },
    /// Keys in the database can only be checked with the pepper they were
    /// stored with.
    #[error(
        "{} is missing, but the database beside it exists: without this file no virtual key can \
         be checked. Restore it from a backup, or move the database away to start anew",
        path.display()
    )]
    PepperGone {
        /// Where it should be.
        path: PathBuf,
    },
    /// A file of ours that does not hold what we wrote.
    #[error("{} is damaged: {problem}. Restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The database was made by a newer or a changed version.
    #[error("the database {} does not fit this version of keymoat: {problem}", path.display())]
    Schema {
        /// The database.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// The database refused.
    #[error("cannot open the database {}: {cause}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Its words.
        cause: String,
    },
    /// What the last process left could not be put into the database.
    #[error("cannot put what the last run left in {} into the database: {cause}", path.display())]
    Replay {
        /// The spool.
        path: PathBuf,
        /// Why.
        cause: StoreError,
    },
}

impl OpenError {
    /// For `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io { what, path, cause }
    }
}
