//! Running processes of one user, from `/proc`.

use super::Host;
use crate::files;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// Environments and command lines are shorter, in bytes.
const TEXT_MAX_BYTES: u64 = 4 << 20;
/// "No such process."
const ESRCH: i32 = 3;
/// Names that are shown, in characters; the kernel keeps 15.
const NAME_MAX_CHARS: usize = 32;

/// A process of the user.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its number.
    pub(crate) pid: u32,
    /// What it is called.
    pub(crate) name: String,
    /// True if it is this very process.
    pub(crate) is_own: bool,
    folder: PathBuf,
}

/// The user's processes by number, or why they cannot be listed.
pub(crate) fn of_user(host: &Host) -> Result<Vec<Process>, String> {
    if host.is_disk() {
        return Ok(Vec::new());
    }
    let folder = host.path("/proc");
    let listing = fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for entry in listing.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let (Some(pid), Ok(about)) = (pid, entry.metadata()) else { continue };
        if about.uid() != host.uid {
            continue;
        }
        let folder = entry.path();
        let name = files::bytes(&folder.join("comm"), TEXT_MAX_BYTES).unwrap_or_default();
        let name = String::from_utf8_lossy(&name);
        let name = name.trim().chars().take(NAME_MAX_CHARS).collect();
        found.push(Process { pid, name, is_own: host.own_pid == Some(pid), folder });
    }
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

impl Process {
    /// Its environment or another of its texts; `None` where it has ended
    /// meanwhile or is a thread of the kernel.
    pub(crate) fn text(&self, file: &str) -> Result<Option<String>, String> {
        let mut bytes = Vec::new();
        let read = fs::File::open(self.folder.join(file))
            .and_then(|file| file.take(TEXT_MAX_BYTES).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.is_empty() => Ok(None),
            Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            // It has ended, or has no memory of its own: a thread of the kernel.
            Err(error)
                if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where one of its files is.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}
