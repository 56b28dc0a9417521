//! System calls that a confined command is refused.
//!
//! A list of what is refused, not of what is allowed: the commands are other
//! people's programs. It closes ways around the other walls (new namespaces,
//! mounts, other address families, io_uring, which seccomp does not see into),
//! ways into other processes, and large parts of the kernel that no ordinary
//! program calls. Calls newer than this list, and those of the x32 interface,
//! do not exist for the command; calls of another architecture end it.

use libc::c_long;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// The newest call that was looked at (Linux 6.18). All architectures share the
/// numbers from 424 on; x32 has its calls above 0x40000000.
const NEWEST_CALL: u32 = 470;

/// Calls that fail with EPERM, whatever their arguments.
const REFUSED: &[c_long] = &[
    // Other mounts, another root.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    467, // open_tree_attr
    libc::SYS_quotactl,
    443, // quotactl_fd
    // Other namespaces. unshare and clone are refused by their flags.
    libc::SYS_setns,
    // Files by handle, past the directories that lead to them.
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_vhangup,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Keys of the kernel's key rings outlive the command.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The machine's clock and name.
    libc::SYS_clock_settime,
    libc::SYS_settimeofday,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Calls that programs can do without: they fail with ENOSYS, as on a kernel that
/// lacks them. The arguments of clone3 cannot be checked, so the C library is made to
/// use clone.
const ABSENT: &[c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Flags of clone and unshare that make a namespace.
const NEW_NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
    0x80, // CLONE_NEWTIME
];

/// Address families of sockets; every other one is refused. vsock and others reach
/// out of a network namespace.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Requests by which a program types on its own terminal.
const TYPING: [u32; 2] = [0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */];

/// Installs the filters on this thread, which must have `no_new_privs`.
pub(crate) fn restrict() -> Result<(), String> {
    for program in programs(&[]).map_err(|error| error.to_string())? {
        seccompiler::apply_filter(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Installs the filters on all threads of this process, and one by which it executes
/// no other program.
pub(crate) fn restrict_own() -> Result<(), String> {
    let programs = programs(&[libc::SYS_execve, libc::SYS_execveat]);
    for program in programs.map_err(|error| error.to_string())? {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The filters, with `more` calls that are refused.
fn programs(more: &[c_long]) -> Result<[BpfProgram; 3], BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(more).map(|call| (*call, Vec::new())).collect();
    let mut with = |call: c_long, rule: SeccompRule| rules.entry(call).or_default().push(rule);
    for flag in NEW_NAMESPACES {
        let flag = flag as u64;
        // CLONE_NEWTIME has the bits of a signal's number in clone, where it is invalid.
        if flag != 0x80 {
            with(libc::SYS_clone, rule(&[has_bits(0, flag)?])?);
        }
        with(libc::SYS_unshare, rule(&[has_bits(0, flag)?])?);
    }
    let other: Result<Vec<_>, _> =
        FAMILIES.iter().map(|family| compare(0, SeccompCmpOp::Ne, *family as u64)).collect();
    let other = other?;
    with(libc::SYS_socket, rule(&other)?);
    with(libc::SYS_socketpair, rule(&other)?);
    // Of netlink, only what lists interfaces and routes.
    let netlink = compare(0, SeccompCmpOp::Eq, libc::AF_NETLINK as u64)?;
    let not_route = compare(2, SeccompCmpOp::Ne, libc::NETLINK_ROUTE as u64)?;
    with(libc::SYS_socket, rule(&[netlink, not_route])?);
    // Raw packets inside IP.
    for family in [libc::AF_INET, libc::AF_INET6] {
        let family = compare(0, SeccompCmpOp::Eq, family as u64)?;
        let raw = SeccompCmpOp::MaskedEq(0xf);
        let raw = compare(1, raw, libc::SOCK_RAW as u64)?;
        with(libc::SYS_socket, rule(&[family, raw])?);
    }
    for request in TYPING {
        with(libc::SYS_ioctl, rule(&[compare(1, SeccompCmpOp::Eq, u64::from(request))?])?);
    }
    let absent = ABSENT.iter().map(|call| (*call, Vec::new())).collect();
    Ok([known_calls_only(), compile(rules, libc::EPERM)?, compile(absent, libc::ENOSYS)?])
}

fn compare(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    // The kernel reads 32 bits of these arguments, whatever the upper half holds.
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn has_bits(argument: u8, bits: u64) -> Result<SeccompCondition, BackendError> {
    compare(argument, SeccompCmpOp::MaskedEq(bits), bits)
}

fn rule(conditions: &[SeccompCondition]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.to_vec())
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, error: i32) -> Result<BpfProgram, BackendError> {
    let refuse = SeccompAction::Errno(error as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture())?;
    filter.try_into()
}

const fn architecture() -> TargetArch {
    if cfg!(target_arch = "aarch64") { TargetArch::aarch64 } else { TargetArch::x86_64 }
}

/// Filter by which calls above [`NEWEST_CALL`] do not exist.
fn known_calls_only() -> BpfProgram {
    let code = |code: u32, jt, jf, k| seccompiler::sock_filter { code: code as u16, jt, jf, k };
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    vec![
        // The number is the first word of seccomp_data.
        code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        code(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 0, 1, NEWEST_CALL),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, absent),
        code(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filters_compile() {
        for program in super::programs(&[]).unwrap() {
            assert!(!program.is_empty());
        }
    }
}
