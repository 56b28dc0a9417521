//! `/dev` of a confined command: the devices that every program may have, a
//! terminal system of its own, and the terminal that it was started on.

use crate::error::{Error, step};
use crate::files::{in_old_root, mount_tmpfs};
use crate::sys;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const SHARED: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];
const LINKS: [(&str, &str); 5] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
    ("/dev/ptmx", "pts/ptmx"),
];

/// Makes `/dev`; returns the mounts that must stay usable as devices.
pub(crate) fn make(terminal: Option<&Path>) -> Result<Vec<PathBuf>, Error> {
    let mut made = Vec::new();
    fs::create_dir("/dev").map_err(step("/dev"))?;
    mount_tmpfs(Path::new("/dev"), c"mode=0755")?;
    for device in SHARED.map(Path::new) {
        let source = in_old_root(device);
        if source.exists() {
            show(&source, device, &mut made)?;
        }
    }
    for (link, target) in LINKS {
        symlink(target, link).map_err(step(link))?;
    }
    fs::create_dir("/dev/shm").map_err(step("/dev/shm"))?;
    mount_tmpfs(Path::new("/dev/shm"), c"mode=1777")?;
    let terminals = Path::new("/dev/pts");
    fs::create_dir(terminals).map_err(step("/dev/pts"))?;
    let flags = libc::MS_NOSUID | libc::MS_NOEXEC;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    sys::mount(Path::new("devpts"), terminals, Some(c"devpts"), flags, Some(options))
        .map_err(step("mounting /dev/pts"))?;
    made.push(terminals.to_owned());
    if let Some(terminal) = terminal {
        // ttyname(3) finds it here.
        show(&in_old_root(terminal), Path::new("/dev/console"), &mut made)?;
    }
    Ok(made)
}

fn show(source: &Path, target: &Path, made: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = || target.display().to_string();
    fs::File::create_new(target).map_err(step(failed()))?;
    sys::mount(source, target, None, libc::MS_BIND, None).map_err(step(failed()))?;
    made.push(target.to_owned());
    Ok(())
}
