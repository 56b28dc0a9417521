"""Ways out of a sandbox: the table, and what they share."""

import ctypes
import os
import platform
import re

ATTACKER, RESOLVER = "203.0.113.66", "203.0.113.53"
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
MARK = re.compile(r"CANARY-[a-z]+-[0-9a-f]{16}")
# Names as in the kernel's tables; one number for both architectures from 424 on.
NUMBERS = {
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "clone": (56, 220), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "reboot": (169, 142), "syslog": (103, 116), "acct": (163, 89), "swapon": (167, 224),
    "fanotify_init": (300, 262), "quotactl": (179, 60), "sethostname": (170, 161), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "move_pages": (279, 239), "capset": (126, 91), "mknodat": (259, 33),
    "io_uring_setup": (425, 425), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsmount": (432, 432), "fspick": (433, 433), "pidfd_open": (434, 434), "clone3": (435, 435), "pidfd_getfd": (438, 438),
    "mount_setattr": (442, 442), "quotactl_fd": (443, 443), "open_tree_attr": (467, 467),
}  # fmt: skip
NEWUSER, NEWNS, NEWNET = 0x10000000, 0x20000, 0x40000000

TECHNIQUES = {}


def technique(name, plain=False):
    """`plain`: harmless outside, and expected to succeed there."""

    def note(function):
        assert name not in TECHNIQUES, name
        TECHNIQUES[name] = (function, plain)
        return function

    return note


def each(names, plain=False):
    """One technique for each item: the function takes the item."""

    def note(function):
        for name, item in names.items():
            technique(name, plain)(lambda item=item: function(item))
        return function

    return note


def kernel(name, *arguments):
    """A system call; its result, or an exception with the error's number."""
    number = NUMBERS[name][0 if X86 else 1]
    LIBC.syscall.restype = ctypes.c_long
    result = LIBC.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def given(name):
    return os.environ["BYPASS_" + name]


def canary(text):
    found = MARK.findall(text)
    return found and found[0]
