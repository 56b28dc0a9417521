//! What a confined command may have.

use std::path::PathBuf;

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
    /// Highest Landlock ABI to use; `None` for the kernel's newest. For tests.
    pub landlock_abi_max: Option<u8>,
}
