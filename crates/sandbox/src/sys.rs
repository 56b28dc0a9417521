//! Calls into the kernel that the standard library has no name for.
//!
//! All `unsafe` of the crate is here, one wrapper for each call, and each wrapper
//! takes and returns safe types. No policy: who calls these, and in which order,
//! is decided in the modules above.

#![expect(
    unsafe_code,
    reason = "the one module that calls the kernel; every block says why it is sound"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Process id.
pub(crate) type Pid = libc::pid_t;

fn check(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Side of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The new process.
    Child,
    /// The caller, with the child's id.
    Parent(Pid),
}

/// Forks; the child is in the new namespaces that `flags` name (`CLONE_NEW…`).
/// The process must have one thread.
pub(crate) fn fork_into(flags: libc::c_int) -> io::Result<Side> {
    let flags = libc::c_long::from(flags | libc::SIGCHLD);
    // SAFETY: a null stack makes clone(2) behave as fork(2): the child has a copy
    // of all memory. The process has one thread, so no lock is held by another.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) };
    match check(pid as libc::c_int)? {
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(pid)),
    }
}

/// Returns the number of threads of this process.
pub(crate) fn threads() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// Ends the process at once, without running destructors or exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Mounts `source` of type `kind` on `target`.
pub(crate) fn mount(
    source: &Path,
    target: &Path,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let (source, target) = (c_path(source)?, c_path(target)?);
    let kind = kind.map_or(std::ptr::null(), CStr::as_ptr);
    let options = options.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a C string that lives to the end of the call.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, options.cast()) })?;
    Ok(())
}

/// Detaches the mounts at `target`.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    let target = c_path(target)?;
    // SAFETY: a C string that lives to the end of the call.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) })?;
    Ok(())
}

/// Makes `new` the root; the old root is mounted at `old`.
pub(crate) fn pivot_root(new: &Path, old: &Path) -> io::Result<()> {
    let (new, old) = (c_path(new)?, c_path(old)?);
    // SAFETY: two C strings that live to the end of the call.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) } as i32)?;
    Ok(())
}

/// Sets and clears attributes (`MOUNT_ATTR_…`) of the mount at `path`.
pub(crate) fn mount_attributes(
    path: &Path,
    set: u64,
    clear: u64,
    is_recursive: bool,
) -> io::Result<()> {
    let path = c_path(path)?;
    let attributes =
        libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    let recursive = if is_recursive { libc::AT_RECURSIVE } else { 0 };
    let flags = libc::c_long::from(recursive | libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: the kernel reads the path and the structure, whose size is given.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::c_long::from(libc::AT_FDCWD),
            path.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    check(returned as i32)?;
    Ok(())
}

/// Opens a socket.
pub(crate) fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only.
    let fd = check(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the kernel just returned it to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Opens a TCP connection to a port on the loopback, by IPv4 or else IPv6.
pub(crate) fn connect_to_loopback(port: u16) -> io::Result<OwnedFd> {
    let port = port.to_be();
    let v4 = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port,
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: reads an address of the given length; the socket is ours.
    let connected = unsafe { libc::connect(v4.as_raw_fd(), (&raw const address).cast(), length) };
    if check(connected).is_ok() {
        return Ok(v4);
    }
    let v6 = socket(libc::AF_INET6, libc::SOCK_STREAM, 0)?;
    let mut loopback = libc::in6_addr { s6_addr: [0; 16] };
    loopback.s6_addr[15] = 1;
    let address = libc::sockaddr_in6 {
        sin6_family: libc::AF_INET6 as libc::sa_family_t,
        sin6_port: port,
        sin6_flowinfo: 0,
        sin6_addr: loopback,
        sin6_scope_id: 0,
    };
    let length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
    // SAFETY: as above.
    check(unsafe { libc::connect(v6.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(v6)
}

/// Sets the interface `lo` up.
pub(crate) fn set_loopback_up() -> io::Result<()> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an `ifreq`, and this one is whole.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw const request) })?;
    Ok(())
}

/// Sends one message on a netlink route socket and reads the answer's error number.
pub(crate) fn ask_route_socket(message: &[u8]) -> io::Result<()> {
    let socket = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?;
    // SAFETY: reads `message`, whose length is given; the socket is ours.
    let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
    check(sent as i32)?;
    let mut answer = [0_u8; 512];
    // SAFETY: writes at most the length of `answer` into it.
    let length =
        unsafe { libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0) };
    check(length as i32)?;
    // nlmsghdr (16 bytes), then nlmsgerr, which begins with the negative error.
    match answer.get(16..20).map(|bytes| <[u8; 4]>::try_from(bytes).unwrap_or_default()) {
        Some(error) if length >= 20 => match i32::from_ne_bytes(error) {
            0 => Ok(()),
            number => Err(io::Error::from_raw_os_error(-number)),
        },
        _ => Err(io::Error::other("no answer from the kernel")),
    }
}

/// Attaches a classic packet filter to `socket`.
pub(crate) fn filter_packets(
    socket: BorrowedFd<'_>,
    program: &mut [libc::sock_filter],
) -> io::Result<()> {
    let program =
        libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_mut_ptr() };
    // SAFETY: the kernel copies the program, whose length is given.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Sends descriptors with one byte over a Unix socket.
pub(crate) fn send_descriptors(socket: BorrowedFd<'_>, fds: &[RawFd]) -> io::Result<()> {
    let mut byte = [b'f'];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 16];
    let data = size_of_val(fds) as u32;
    // SAFETY: computes a number.
    let space = unsafe { libc::CMSG_SPACE(data) } as usize;
    if space > size_of_val(&control) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: all zeros is a valid `msghdr`.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = space as _;
    // SAFETY: `control` is aligned, zeroed and holds one header with `fds`, as checked
    // above; sendmsg reads what `message` points to, all of which lives here.
    let sent = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(data) as _;
        std::ptr::copy_nonoverlapping(fds.as_ptr(), libc::CMSG_DATA(header).cast(), fds.len());
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    check(sent as i32)?;
    Ok(())
}

/// Receives descriptors that [`send_descriptors`] sent; at most 16.
pub(crate) fn receive_descriptors(socket: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut byte = [0_u8];
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 16];
    // SAFETY: all zeros is a valid `msghdr`.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let mut fds = Vec::new();
    // SAFETY: recvmsg writes into the buffers of the given lengths; the headers are
    // walked by the macros that know their layout; each descriptor is new and ours.
    unsafe {
        let flags = libc::MSG_CMSG_CLOEXEC;
        let length = check(libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) as i32)?;
        if length == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS
        {
            let bytes = (*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            let data: *const RawFd = libc::CMSG_DATA(header).cast();
            for at in 0..bytes / size_of::<RawFd>() {
                fds.push(OwnedFd::from_raw_fd(data.add(at).read_unaligned()));
            }
        }
    }
    Ok(fds)
}

/// Calls prctl(2) with numbers only.
pub(crate) fn control(option: libc::c_int, argument: libc::c_ulong) -> io::Result<i32> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options that this crate uses take numbers only.
    check(unsafe { libc::prctl(option, argument, zero, zero, zero) })
}

/// _LINUX_CAPABILITY_VERSION_3, and pid 0: this thread.
const CAPABILITY_HEADER: [u32; 2] = [0x2008_0522, 0];

/// Capabilities that this thread may use.
pub(crate) fn capabilities() -> io::Result<u64> {
    let mut header = CAPABILITY_HEADER;
    let mut sets = [0_u32; 6];
    // SAFETY: the structures have the sizes that this version asks for.
    let returned =
        unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), sets.as_mut_ptr()) };
    check(returned as i32)?;
    // Effective, permitted, inheritable of the lower half, then of the upper one.
    Ok(u64::from(sets[1]) | u64::from(sets[4]) << 32)
}

/// Sets the capabilities of this thread; a program that it executes gets none.
pub(crate) fn set_capabilities(mask: u64) -> io::Result<()> {
    let zero: libc::c_ulong = 0;
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    // SAFETY: takes numbers only. Kernels before 4.3 have no ambient set.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, zero, zero, zero) };
    let (low, high) = (mask as u32, (mask >> 32) as u32);
    let header = CAPABILITY_HEADER;
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: the structures have the sizes that this version asks for.
    let returned = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    check(returned as i32)?;
    Ok(())
}

/// Forbids core dumps.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the structure.
    check(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })?;
    Ok(())
}

/// Closes every descriptor from `first` on when the process executes another program.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: takes numbers only; marking a descriptor does not invalidate it.
    let returned =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(returned as i32)?;
    Ok(())
}

/// Closes the standard descriptors. Only for a process that ends soon.
pub(crate) fn close_standard() {
    for number in 0..3 {
        // SAFETY: takes a number; the process that calls this prints nothing more, and
        // opens no file that could get the number.
        unsafe { libc::close(number) };
    }
}

/// Set of signals.
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    /// Builds a set of `numbers`.
    pub(crate) fn new(numbers: &[i32]) -> Self {
        // SAFETY: all zeros is a valid value that sigemptyset then sets.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: writes to `set`; a number that is no signal is an error, ignored.
        unsafe {
            libc::sigemptyset(&raw mut set);
            for number in numbers {
                libc::sigaddset(&raw mut set, *number);
            }
        }
        Self(set)
    }

    /// Blocks the set for this thread and those that it starts; returns what was
    /// blocked before.
    pub(crate) fn block(&self) -> io::Result<Self> {
        let mut before = Self::new(&[]);
        // SAFETY: reads one set and writes the other.
        let blocked =
            unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const self.0, &raw mut before.0) };
        check(blocked)?;
        Ok(before)
    }

    /// Makes this the set of blocked signals.
    pub(crate) fn set_blocked(&self) -> io::Result<()> {
        let none = std::ptr::null_mut();
        // SAFETY: reads the set; the old mask is not asked for.
        check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, none) })?;
        Ok(())
    }

    /// Waits for a blocked signal: its number, and true if the kernel itself sent it
    /// (a terminal did, for example), false if a process did.
    pub(crate) fn wait(&self) -> io::Result<(i32, bool)> {
        // SAFETY: all zeros is a valid value that the kernel overwrites.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: reads the set, writes the information.
        let number = check(unsafe { libc::sigwaitinfo(&raw const self.0, &raw mut info) })?;
        Ok((number, info.si_code > 0))
    }
}

/// State of a child that waitpid(2) reports, as a raw status.
pub(crate) fn wait_for(pid: Pid, may_block: bool) -> io::Result<Option<(Pid, i32)>> {
    let mut status = 0;
    let flags = if may_block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: writes the status.
        match check(unsafe { libc::waitpid(pid, &raw mut status, flags) }) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((pid, status))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn send_signal(pid: Pid, number: i32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::kill(pid, number) })?;
    Ok(())
}

/// Ends this process by signal `number`, as its default action does. Returns if the
/// default action does not end a process.
pub(crate) fn die_by(number: i32) {
    let set = Signals::new(&[number]);
    // SAFETY: restores a default action and unblocks; no handler of ours is lost
    // that anything still relies on.
    unsafe {
        libc::signal(number, libc::SIG_DFL);
        libc::raise(number);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set.0, std::ptr::null_mut());
    }
}

/// Gives the terminal on standard input back to the process group of this process,
/// if it is its controlling terminal and has another foreground group.
pub(crate) fn take_terminal_back() {
    let quiet = Signals::new(&[libc::SIGTTOU]);
    // SAFETY: numbers and a set; a group that is in the background may set the
    // foreground group while SIGTTOU is blocked.
    unsafe {
        let own = libc::getpgrp();
        let foreground = libc::tcgetpgrp(0);
        if foreground >= 0 && foreground != own {
            libc::sigprocmask(libc::SIG_BLOCK, &raw const quiet.0, std::ptr::null_mut());
            libc::tcsetpgrp(0, own);
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const quiet.0, std::ptr::null_mut());
        }
    }
}

/// Effective user id.
pub(crate) fn user_id() -> u32 {
    // SAFETY: cannot fail and takes nothing.
    unsafe { libc::geteuid() }
}

/// Effective group id.
pub(crate) fn group_id() -> u32 {
    // SAFETY: cannot fail and takes nothing.
    unsafe { libc::getegid() }
}

/// Landlock ABI that the kernel offers; 0 for none.
pub(crate) fn landlock_abi() -> u8 {
    let version: libc::c_ulong = 1;
    // SAFETY: with this flag the call takes no ruleset and returns a number.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, version)
    };
    u8::try_from(abi).unwrap_or(0)
}
