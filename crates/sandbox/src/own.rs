//! Confinement of this process, for a server that parses what strangers send.
//!
//! Files can be read; written and created only where the caller says; nothing can be
//! executed. Of capabilities those stay that concern its own files and low ports.
//! Threads that exist already get the filter of system calls and keep the rest of
//! their rights: call this before they start.

use crate::landlock;
use crate::report::{Protection, Report};
use crate::{privileges, sys, syscalls};
use std::path::Path;

/// CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER and
/// CAP_NET_BIND_SERVICE: a service that root starts may have files of another user.
const KEPT: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10;

/// Confines this process for good; it can write below `writable` only.
pub fn confine_this_process(writable: &[&Path], landlock_abi_max: Option<u8>) -> Report {
    let mut report = Report::default();
    let said = |error: std::io::Error| error.to_string();
    let no_new = sys::control(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop);
    report.set(Protection::NoNewPrivileges, no_new.map_err(said));
    report.set(Protection::FewCapabilities, privileges::keep_only(KEPT).map_err(said));
    report.set(Protection::NoCoreDumps, sys::forbid_core_dumps().map_err(said));
    landlock::restrict_writing(writable, landlock_abi_max, &mut report);
    report.set(Protection::Seccomp, syscalls::restrict_own());
    report
}
