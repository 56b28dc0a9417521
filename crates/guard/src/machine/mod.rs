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

    /// Home folders, as they are reached from here.
    pub fn homes(&self) -> &[PathBuf] {
        &self.homes
    }
}

/// The user as whom this process runs; nobody's where that is not known.
fn own_uid() -> u32 {
    fs::metadata("/proc/self").map_or(u32::MAX, |own| own.uid())
}
