"""Ways to more power, into the kernel, and to stay."""

import ctypes
import errno
import fcntl
import glob
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import time

from . import LIBC, NEWNET, NEWNS, NEWUSER, X86, each, given, kernel, technique

# More power.


@each(
    {
        "a user namespace": NEWUSER,
        "a mount namespace": NEWNS,
        "a network namespace": NEWNET,
        "a user and mount namespace": NEWUSER | NEWNS,
        "a time namespace": 0x80,
        "a namespace with other flags beside it": NEWUSER | 0x400,
    }
)
def unshare(flags):
    return kernel("unshare", flags) == 0


@technique("a namespace by clone")
def clone():
    child = kernel("clone", NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "made"


@technique("a namespace by clone3")
def clone3():
    arguments = struct.pack("QQQQQQQQ", NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = kernel("clone3", ctypes.create_string_buffer(arguments), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "made"


@each({f"the first process's {kind} namespace": kind for kind in ("net", "mnt", "user", "pid", "ipc")})
def join(kind):
    place = os.open(f"/proc/1/ns/{kind}", os.O_RDONLY)
    return kernel("setns", place, 0) == 0


@technique("a namespace by a process's descriptor")
def join_by_process():
    return kernel("setns", kernel("pidfd_open", 1, 0), NEWNET) == 0


@each(
    {
        "a bind mount": lambda: kernel("mount", b"/", b"/tmp", None, 4096, None),
        "a new tmpfs": lambda: kernel("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None),
        "a new proc": lambda: kernel("mount", b"proc", b"/tmp", b"proc", 0, None),
        "a remount for writing": lambda: kernel("mount", b"", b"/", None, 32 | 4096, None),
        "another root": lambda: kernel("chroot", b"/tmp"),
        "a pivot of the root": lambda: kernel("pivot_root", b".", b"."),
        "a new file system": lambda: kernel("fsopen", b"tmpfs", 0),
        "a copy of a mount": lambda: kernel("open_tree", -100, b"/", 1),
        "a copy of a mount, by the newest call": lambda: kernel("open_tree_attr", -100, b"/", 1, None, 0),
        "a moved mount": lambda: kernel("move_mount", -100, b"/usr", -100, b"/tmp", 0),
        "a picked file system": lambda: kernel("fspick", -100, b"/", 0),
        "a mount's attributes": lambda: kernel("mount_setattr", -100, b"/", 0, ctypes.create_string_buffer(struct.pack("QQQQ", 0, 1, 0, 0)), 32),
        "quotas": lambda: kernel("quotactl", 0x80000700, b"/", 0, None),
        "programs in the kernel": lambda: kernel("bpf", 0, ctypes.create_string_buffer(128), 128),
        "performance events": lambda: kernel("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0),
        "page faults in user space": lambda: kernel("userfaultfd", 1),
        "a ring of requests": lambda: kernel("io_uring_setup", 4, ctypes.create_string_buffer(256)),
        "a module": lambda: kernel("init_module", None, 0, b""),
        "a module from a file": lambda: kernel("finit_module", -1, b"", 0),
        "a module's removal": lambda: kernel("delete_module", b"none", 0),
        "another kernel": lambda: kernel("kexec_load", 0, 0, None, 0),
        "the kernel's log": lambda: kernel("syslog", 3, ctypes.create_string_buffer(100), 100),
        "accounting": lambda: kernel("acct", b"/tmp/acct"),
        "swap": lambda: kernel("swapon", b"/tmp/none", 0),
        "all events of a file system": lambda: kernel("fanotify_init", 0, 0),
        "the machine's name": lambda: kernel("sethostname", b"x", 1),
        "pages of others": lambda: kernel("move_pages", 1, 0, None, None, None, 0),
    }
)
def privileged(call):
    call()
    return "done"


@technique("a device node")
def device_node():
    kernel("mknodat", -100, b"disk", 0o60600, os.makedev(254, 0))
    return os.open("disk", os.O_RDONLY) >= 0


@technique("the disks")
def disks():
    return [os.open(path, os.O_RDONLY) for path in glob.glob("/dev/[svnx][dvm]*")]


@technique("capabilities regained")
def capabilities():
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    kernel("capset", header, ctypes.create_string_buffer(struct.pack("6I", 1 << 21, 1 << 21, 0, 0, 0, 0)))
    return "regained"


@technique("capabilities at the start of another program")
def capabilities_after_exec():
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
    return [line for line in status.splitlines() if re.match(r"Cap(Prm|Eff|Bnd|Amb):", line) and not line.endswith("0" * 16)]


@technique("new privileges")
def new_privileges():
    return LIBC.prctl(39, 0, 0, 0, 0) != 1


@technique("a setuid program")
def setuid_program():
    for path in ("/usr/bin/su", "/usr/bin/sudo", "/usr/bin/passwd", "/usr/bin/mount", "/bin/ping"):
        if os.path.exists(path):
            source = "import os; print(os.statvfs('/usr/bin').f_flag & os.ST_NOSUID)"
            flag = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True).stdout.strip()
            return flag == "0"
    return None


@technique("another user")
def another_user():
    other = 12345 if os.getuid() == 0 else 0
    os.setuid(other)
    return os.getuid() == other


@technique("calls of the other word size")
def x32():
    if not X86:
        return None
    LIBC.syscall.restype = ctypes.c_long
    # getpid of x32: works where the kernel has it and the filter does not.
    return LIBC.syscall(ctypes.c_long(0x40000000 + 39)) > 0


@technique("a call that is newer than the filter")
def newer_call():
    LIBC.syscall.restype = ctypes.c_long
    failed = LIBC.syscall(ctypes.c_long(471), 0, 0, 0, 0)
    return failed != -1 or ctypes.get_errno() != errno.ENOSYS


@technique("typing on the terminal")
def typing():
    terminal = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(terminal, 0x5412, b"x")
    return "typed"


@technique("typing, with the upper half set")
def typing_dirty():
    number = 16 if X86 else 29
    terminal = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    LIBC.syscall.restype = ctypes.c_long
    letter = ctypes.create_string_buffer(b"x")
    return LIBC.syscall(ctypes.c_long(number), ctypes.c_long(terminal), ctypes.c_long(0x5412 | 1 << 32), letter) == 0


@technique("other terminals")
def terminals():
    return [path for path in glob.glob("/dev/pts/[0-9]*")]


# To stay, or to reach the kernel through its files.


@each(
    {
        f"writing {path}": path
        for path in (
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/kernel/modprobe",
            "/proc/sys/fs/binfmt_misc/register",
            "/proc/sysrq-trigger",
            "/proc/sys/vm/drop_caches",
            "/sys/kernel/uevent_helper",
            "/sys/power/state",
            "/sys/fs/cgroup/release_agent",
            "/sys/fs/cgroup/memory/release_agent",
            "/sys/module/kernel/parameters/panic",
            "/etc/ld.so.preload",
            "/etc/passwd",
            "/etc/hosts",
            "/etc/cron.d/x",
            "/etc/profile.d/x.sh",
            "/etc/systemd/system/x.service",
            "/var/spool/cron/x",
            "/usr/lib/python3/x.pth",
            "/usr/local/bin/x",
            "/run/x",
            "/x",
        )
    }
)
def write_system(path):
    # Opened, and not written to: opening is what has to fail.
    os.close(os.open(path, os.O_WRONLY | (0 if os.path.exists(path) else os.O_CREAT)))
    return "opened for writing"


@each(
    {
        f"staying in {path}": path
        for path in (
            "{home}/.bashrc",
            "{home}/.zshenv",
            "{home}/.profile",
            "{home}/.config/systemd/user/x.service",
            "{home}/.config/autostart/x.desktop",
            "{home}/.local/bin/git",
            "{home}/.ssh/authorized_keys",
            "{home}/.gitconfig",
            ".git/hooks/pre-commit",
            ".git/config",
            ".vscode/tasks.json",
            ".github/workflows/x.yml",
            ".envrc",
        )
    }
)
def stay(path):
    path = pathlib.Path(path.format(home=given("HOME")))
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write("# CANARY-stayed-0123456789abcdef\n")
    # A private home takes it and forgets it; the test looks into the real one.
    return None


@technique("a process that stays behind")
def stay_behind():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in range(600):
                pathlib.Path("still-alive").write_text(str(time.time()))
                time.sleep(0.05)
        os._exit(0)
    return None
