//! A machine as it lies in files, below a root that may be another machine's
//! disk: its homes and its processes.

pub(crate) mod process;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Which machine is looked at.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where its `/` is.
    pub(crate) root: PathBuf,
    /// Home folders, as they are reached from here.
    pub(crate) homes: Vec<PathBuf>,
    /// Whose processes are looked at.
    pub(crate) uid: u32,
    /// This very process, if it is on that machine.
    pub(crate) own_pid: Option<u32>,
}

impl Host {
    /// This machine, and the home of whoever asks.
    pub fn here(home: Option<PathBuf>) -> Self {
        Self {
            root: PathBuf::from("/"),
            homes: home.into_iter().collect(),
            uid: own_uid(),
            own_pid: Some(std::process::id()),
        }
    }

    /// Another machine's disk, or a copy of one, mounted at `root`: all homes
    /// in it.
    pub fn at(root: &Path) -> Self {
        let mut homes = vec![root.join("root")];
        if let Ok(listing) = fs::read_dir(root.join("home")) {
            homes.extend(listing.flatten().map(|entry| entry.path()));
        }
        homes.retain(|home| home.is_dir());
        homes.sort();
        Self { root: root.to_owned(), homes, uid: own_uid(), own_pid: None }
    }

    /// Where `path`, given from `/`, lies from here.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Returns true if it is a disk on which nothing runs: its `/proc` is empty or not there.
    pub(crate) fn is_disk(&self) -> bool {
        let processes = fs::read_dir(self.path("/proc"));
        self.own_pid.is_none() && processes.map_or(true, |mut listing| listing.next().is_none())
    }

    /// Returns true if `/` holds what every machine's has.
    pub(crate) fn is_machine(&self) -> bool {
        let folders = ["/etc", "/usr", "/home", "/root", "/var", "/proc"];
        folders.iter().any(|folder| self.path(folder).is_dir())
    }

    /// Home folders, as they are reached from here.
    pub fn homes(&self) -> &[PathBuf] {
        &self.homes
    }
}

/// The user as whom this process runs; nobody's where that is not known.
fn own_uid() -> u32 {
    fs::metadata("/proc/self").map_or(u32::MAX, |own| own.uid())
}
