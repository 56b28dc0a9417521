//! The root of a confined command, built from nothing.
//!
//! A new tmpfs gets the places of the plan as bind mounts, and becomes the root;
//! the old root is unmounted, so that there is no mount under which it could be
//! found again. Everything is read-only, without setuid and without devices, but
//! for what is named.

use crate::devices;
use crate::error::{Error, step};
use crate::plan::Plan;
use crate::sys;
use std::ffi::CStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Directory of the new root.
const STAGE: &str = "/tmp";
/// Directory of the old root, until it is unmounted.
pub(crate) const OLD: &str = "/.old";
/// An empty file and an empty directory, mounted over what is hidden.
const EMPTY_FILE: &str = "/.empty";
const EMPTY_DIRECTORY: &str = "/.void";

/// Parts of `/proc` that stay read-only, since its root user is the machine's when
/// root runs the command.
const PROC_FIXED: [&str; 6] =
    ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi"];
/// Parts of `/proc` and `/sys` that are hidden.
const KERNEL_HIDDEN: [&str; 12] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/timer_list",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/asound",
    "/proc/kallsyms",
    "/sys/firmware",
    "/sys/kernel/debug",
    "/sys/kernel/tracing",
];

/// Builds the root and enters it; the working directory is the plan's.
pub(crate) fn build_root(plan: &Plan, terminal: Option<&Path>) -> Result<(), Error> {
    let root = Path::new("/");
    sys::mount(Path::new(""), root, None, libc::MS_REC | libc::MS_PRIVATE, None)
        .map_err(step("making mounts private"))?;
    mount_tmpfs(Path::new(STAGE), c"mode=0755")?;
    let old = Path::new(STAGE).join(".old");
    fs::create_dir(&old).map_err(step("making the new root"))?;
    sys::pivot_root(Path::new(STAGE), &old).map_err(step("entering the new root"))?;
    std::env::set_current_dir("/").map_err(step("entering the new root"))?;

    copy_links().map_err(step("copying links of the root"))?;
    make_directory(Path::new("/run")).map_err(step("/run"))?;
    for path in ["/tmp", "/var/tmp"].map(Path::new) {
        make_directory(path).map_err(step(path.display().to_string()))?;
    }
    for path in plan.scratch() {
        // That in /dev is made with the devices.
        if !path.starts_with("/dev") {
            let is_home = plan.home.as_deref() == Some(path);
            make_directory(path).map_err(step(path.display().to_string()))?;
            mount_tmpfs(path, if is_home { c"mode=0700" } else { c"mode=1777" })?;
        }
    }
    mount_kernel_files()?;
    let devices = devices::make(terminal)?;

    for path in in_order(&plan.visible) {
        if !plan.writable.iter().any(|writable| path.starts_with(writable)) {
            bind(path)?;
        }
    }
    for path in in_order(&plan.writable) {
        bind(path)?;
    }
    let pinned = pinned(plan);
    for path in pinned.iter().copied().chain(plan.fixed.iter().map(PathBuf::as_path)) {
        if fs::symlink_metadata(path).is_ok() {
            bind(path)?;
        }
    }
    let mut hidden: Vec<&Path> = plan.hidden.iter().map(PathBuf::as_path).collect();
    hidden.extend(KERNEL_HIDDEN.iter().map(Path::new));
    let hidden = hide(&hidden)?;

    sys::unmount(Path::new(OLD)).map_err(step("unmounting the old root"))?;
    fs::remove_dir(OLD).map_err(step("unmounting the old root"))?;
    restrict(plan, &pinned, &devices, &hidden)?;
    std::env::set_current_dir(&plan.work).map_err(step(plan.work.display().to_string()))
}

/// Shorter paths first, so that a place is mounted after those that hold it.
fn in_order(paths: &[PathBuf]) -> Vec<&Path> {
    let mut paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Directories between a writable tree and a fixed place in it, outermost first. As
/// mounts of their own they cannot be renamed, so that no other directory can be put
/// where the fixed place is expected.
fn pinned(plan: &Plan) -> Vec<&Path> {
    let mut pinned: Vec<&Path> = Vec::new();
    for path in &plan.fixed {
        let is_inside = |folder: &&Path| {
            plan.writable.iter().any(|tree| folder.starts_with(tree) && *folder != tree.as_path())
        };
        pinned.extend(path.ancestors().skip(1).take_while(is_inside));
    }
    pinned.sort_unstable();
    pinned.dedup();
    pinned.retain(|folder| {
        plan.fixed
            .iter()
            .any(|path| fs::symlink_metadata(in_old_root(path)).is_ok() && path.starts_with(folder))
    });
    pinned
}

pub(crate) fn mount_tmpfs(target: &Path, options: &CStr) -> Result<(), Error> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    sys::mount(Path::new("tmpfs"), target, Some(c"tmpfs"), flags, Some(options))
        .map_err(step(format!("mounting a private {}", target.display())))
}

fn make_directory(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// `/bin` and the like, which are links on most systems.
fn copy_links() -> io::Result<()> {
    for entry in fs::read_dir(OLD)? {
        let entry = entry?;
        if entry.file_type()?.is_symlink() {
            symlink(fs::read_link(entry.path())?, Path::new("/").join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn mount_kernel_files() -> Result<(), Error> {
    let proc = Path::new("/proc");
    make_directory(proc).map_err(step("/proc"))?;
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    sys::mount(Path::new("proc"), proc, Some(c"proc"), flags, None)
        .map_err(step("mounting /proc (a container that masks parts of it does not allow this)"))?;
    for path in PROC_FIXED.map(Path::new) {
        if path.exists() {
            sys::mount(path, path, None, libc::MS_BIND | libc::MS_REC, None)
                .map_err(step(path.display().to_string()))?;
        }
    }
    bind(Path::new("/sys"))
}

/// Path of `place` under the old root.
pub(crate) fn in_old_root(place: &Path) -> PathBuf {
    Path::new(OLD).join(place.strip_prefix("/").unwrap_or(place))
}

/// Shows `place` of the old root at the same path.
pub(crate) fn bind(place: &Path) -> Result<(), Error> {
    let failed = || format!("showing {}", place.display());
    let source = in_old_root(place);
    let kind = fs::symlink_metadata(&source).map_err(step(failed()))?;
    if fs::symlink_metadata(place).is_err() {
        let parent = if kind.is_dir() { Some(place) } else { place.parent() };
        parent.map_or(Ok(()), make_directory).map_err(step(failed()))?;
        if !kind.is_dir() {
            fs::File::create_new(place).map_err(step(failed()))?;
        }
    }
    sys::mount(&source, place, None, libc::MS_BIND | libc::MS_REC, None).map_err(step(failed()))
}

/// Mounts something empty over each of `places` that is there; returns those.
fn hide<'p>(places: &[&'p Path]) -> Result<Vec<&'p Path>, Error> {
    let failed = "making empty places";
    fs::File::create_new(EMPTY_FILE).map_err(step(failed))?;
    fs::create_dir(EMPTY_DIRECTORY).map_err(step(failed))?;
    fs::set_permissions(EMPTY_FILE, Permissions::from_mode(0o444)).map_err(step(failed))?;
    fs::set_permissions(EMPTY_DIRECTORY, Permissions::from_mode(0o555)).map_err(step(failed))?;
    let mut hidden = Vec::new();
    for place in places {
        let Ok(kind) = fs::symlink_metadata(place) else { continue };
        let empty = if kind.is_dir() { EMPTY_DIRECTORY } else { EMPTY_FILE };
        sys::mount(Path::new(empty), place, None, libc::MS_BIND, None)
            .map_err(step(format!("hiding {}", place.display())))?;
        hidden.push(*place);
    }
    fs::remove_file(EMPTY_FILE).map_err(step(failed))?;
    fs::remove_dir(EMPTY_DIRECTORY).map_err(step(failed))?;
    Ok(hidden)
}

/// Makes everything read-only but for what the plan and a command's scratch
/// directories allow.
fn restrict(
    plan: &Plan,
    pinned: &[&Path],
    devices: &[PathBuf],
    hidden: &[&Path],
) -> Result<(), Error> {
    const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    let all = READ_ONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    sys::mount_attributes(Path::new("/"), all, 0, true)
        .map_err(step("making the root read-only"))?;
    for device in devices {
        sys::mount_attributes(device, 0, libc::MOUNT_ATTR_NODEV, false)
            .map_err(step(device.display().to_string()))?;
    }
    for path in plan.scratch().into_iter().chain(["/proc", "/dev/pts"].map(Path::new)) {
        sys::mount_attributes(path, 0, READ_ONLY, false)
            .map_err(step(path.display().to_string()))?;
    }
    for path in plan.writable.iter().map(PathBuf::as_path).chain(pinned.iter().copied()) {
        // Of a file system that was read-only before, this fails, and it stays so.
        if sys::mount_attributes(path, 0, READ_ONLY, true).is_err() {
            drop(sys::mount_attributes(path, 0, READ_ONLY, false));
        }
    }
    let fixed = plan.fixed.iter().map(PathBuf::as_path);
    let fixed = fixed.filter(|path| fs::symlink_metadata(path).is_ok());
    for path in fixed.chain(hidden.iter().copied()) {
        sys::mount_attributes(path, all, 0, false).map_err(step(path.display().to_string()))?;
    }
    Ok(())
}
