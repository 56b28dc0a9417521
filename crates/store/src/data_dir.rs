//! The data directory: who may see it, who uses it, the secrets made in it.
//!
//! Mode 0700, one process at a time (an advisory lock that the kernel drops
//! with the process). A secret file appears whole or not at all, mode 0600.

use crate::error::OpenError;
use base::{Secret, id};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A data directory that this process owns until it drops it.
pub struct DataDir {
    path: PathBuf,
    /// The lock lives as long as the file is open.
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing and locks it.
    ///
    /// # Errors
    /// [`OpenError::InUse`] where another process has it; [`OpenError::Io`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        private_dir(path)?;
        let lock_path = path.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(OpenError::io("create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&lock_path).ok();
                let pid = pid.map(|pid| pid.trim().to_owned()).filter(|pid| !pid.is_empty());
                return Err(OpenError::InUse { path: path.to_owned(), pid });
            }
            Err(TryLockError::Error(cause)) => {
                return Err(OpenError::Io { what: "lock", path: lock_path, cause });
            }
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(OpenError::io("write", &lock_path))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The embedded database.
    pub fn database(&self) -> PathBuf {
        self.path.join("keymoat.db")
    }

    /// The 32 bytes that virtual keys are stored with; made on first use.
    ///
    /// # Errors
    /// [`OpenError::PepperGone`] where there is a database but no pepper.
    pub fn pepper(&self) -> Result<[u8; 32], OpenError> {
        let path = self.path.join("pepper");
        if !path.exists() && self.database().exists() {
            return Err(OpenError::PepperGone { path });
        }
        let (bytes, _) = secret_file(&path, || Ok(id::random::<32>()?.to_vec()))?;
        bytes
            .try_into()
            .map_err(|_| OpenError::Damaged { path, problem: "it must hold exactly 32 bytes" })
    }

    /// The master key for who has configured none, and whether it was made just
    /// now (so that it can be shown once).
    pub fn master_key(&self) -> Result<(Secret, bool), OpenError> {
        let path = self.path.join("master_key");
        let make = || Ok(format!("sk-{}", id::hex(&id::random::<32>()?)).into_bytes());
        let (bytes, made) = secret_file(&path, make)?;
        let text = String::from_utf8(bytes).ok().map(|text| text.trim().to_owned());
        match text.filter(|text| text.starts_with("sk-") && text.len() >= 16) {
            Some(text) => Ok((Secret::new(text), made)),
            None => Err(OpenError::Damaged { path, problem: "a master key begins with sk-" }),
        }
    }
}

/// Makes a directory that only its owner may enter; shuts one that is open.
pub(crate) fn private_dir(path: &Path) -> Result<(), OpenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(OpenError::io("create", path))?;
    let mode = fs::metadata(path).map_err(OpenError::io("read", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))
            .map_err(OpenError::io("make private", path))?;
        tracing::warn!(path = %path.display(), "others could enter this directory; it is closed now");
    }
    Ok(())
}

/// Reads a secret, or makes it and says so.
pub(crate) fn secret_file(
    path: &Path,
    make: impl FnOnce() -> io::Result<Vec<u8>>,
) -> Result<(Vec<u8>, bool), OpenError> {
    match fs::read(path) {
        Ok(bytes) => {
            let mode =
                fs::metadata(path).map_err(OpenError::io("read", path))?.permissions().mode();
            if mode & 0o077 != 0 {
                fs::set_permissions(path, Permissions::from_mode(0o600))
                    .map_err(OpenError::io("make private", path))?;
                tracing::warn!(path = %path.display(), "others could read this secret; treat it as known");
            }
            Ok((bytes, false))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = make().map_err(OpenError::io("make", path))?;
            create_whole(path, &bytes).map_err(OpenError::io("create", path))?;
            Ok((bytes, true))
        }
        Err(cause) => Err(OpenError::Io { what: "read", path: path.to_owned(), cause }),
    }
}

/// Writes beside, syncs, then renames: a crash leaves all or nothing. The
/// directory's lock keeps others from doing the same.
fn create_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Makes a directory's entries outlive a power cut.
pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
