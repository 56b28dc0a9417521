//! Resources of a confined command.

use std::path::{Path, PathBuf};

/// Places and ports of a confined command. Every path is absolute and without
/// symbolic links; a place that is not there is an error.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Directory that the command starts in.
    pub work: PathBuf,
    /// The user's home: an empty private directory, under those places of it that
    /// are visible. `None` if there is none.
    pub home: Option<PathBuf>,
    /// Trees and files that can be read and executed.
    pub visible: Vec<PathBuf>,
    /// Trees and files that can be written too.
    pub writable: Vec<PathBuf>,
    /// Places inside writable trees that can only be read.
    pub fixed: Vec<PathBuf>,
    /// Places inside the trees above that are shown empty.
    pub hidden: Vec<PathBuf>,
    /// Ports on the command's loopback, each a listening socket that the caller gets.
    pub ports: Vec<u16>,
    /// True if the caller wants to connect to ports of the command.
    pub has_door: bool,
    /// Highest Landlock ABI to use; `None` for the kernel's newest. For tests.
    pub landlock_abi_max: Option<u8>,
}

/// Private directories that programs expect to write to.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

impl Plan {
    /// Directories that are private, empty and writable: those of [`SCRATCH`] and the
    /// home, unless the plan shows what is really there.
    pub(crate) fn scratch(&self) -> Vec<&Path> {
        let places = SCRATCH.iter().map(Path::new).chain(self.home.as_deref());
        let is_shown = |place: &Path| {
            self.visible.iter().chain(&self.writable).any(|tree| place.starts_with(tree))
        };
        places.filter(|place| !is_shown(place)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use std::path::Path;

    #[test]
    fn what_is_shown_is_not_private() {
        let home = Some("/home/ann".into());
        let plan = Plan { home: home.clone(), visible: vec!["/tmp".into()], ..Plan::default() };
        assert_eq!(plan.scratch(), ["/var/tmp", "/dev/shm", "/home/ann"].map(Path::new));
        let plan = Plan { home, visible: vec!["/home/ann".into()], ..Plan::default() };
        assert_eq!(plan.scratch(), ["/tmp", "/var/tmp", "/dev/shm"].map(Path::new));
    }
}
