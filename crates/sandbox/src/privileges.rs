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
    for capability in 0..CAPABILITIES_MAX {
        match sys::control(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability)) {
            Ok(_) => {}
            // The first number that this kernel does not know.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    sys::drop_capability_sets()
}

/// Makes this process unreadable to others of the same user, and without a core dump.
pub(crate) fn become_unreadable() -> io::Result<()> {
    sys::control(libc::PR_SET_DUMPABLE, 0)?;
    sys::forbid_core_dumps()
}
