//! Privileges that a confined process gives up.

use crate::report::{Protection, Report};
use crate::sys;
use std::io;

/// More capabilities than any kernel has.
const CAPABILITIES_MAX: u32 = 64;

/// Drops every capability and forbids new privileges.
pub(crate) fn drop_all(report: &mut Report) {
    let no_new = sys::control(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop);
    report.set(Protection::NoNewPrivileges, no_new.map_err(|error| error.to_string()));
    report.set(Protection::NoCapabilities, drop_capabilities().map_err(|error| error.to_string()));
}

fn drop_capabilities() -> io::Result<()> {
    limit_bounding_set(0)?;
    sys::set_capabilities(0)
}

/// Drops every capability but those of the mask `kept`, of which those stay that this
/// process has.
pub(crate) fn keep_only(kept: u64) -> io::Result<()> {
    let held = sys::capabilities()?;
    // Without the privilege to limit the set, there is none to gain by it either.
    match limit_bounding_set(kept) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {}
        done => done?,
    }
    sys::set_capabilities(held & kept)
}

fn limit_bounding_set(kept: u64) -> io::Result<()> {
    for capability in (0..CAPABILITIES_MAX).filter(|number| kept >> number & 1 == 0) {
        match sys::control(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability)) {
            Ok(_) => {}
            // The first number that this kernel does not know.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes this process unreadable to others of the same user, and without a core dump.
pub(crate) fn become_unreadable() -> io::Result<()> {
    sys::control(libc::PR_SET_DUMPABLE, 0)?;
    sys::forbid_core_dumps()
}
