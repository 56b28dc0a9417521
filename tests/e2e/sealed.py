"""Starts a program that may neither open a socket nor start another program.

    sealed.py PROGRAM [ARGUMENT]...

A seccomp filter kills the process (SIGSYS) at the first attempt of either; it
holds for every thread, and nothing can lift it. No privilege is needed. The
program itself is started by execveat on a descriptor that the filter knows.
"""

import ctypes
import os
import platform
import sys

PROGRAM_FD = 1000
KILL, ALLOW = 0x80000000, 0x7FFF0000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
AT_EMPTY_PATH = 0x1000
#            audit arch   socket socketpair execve execveat seccomp
MACHINES = {
    "x86_64": (0xC000003E, 41, 53, 59, 322, 317),
    "aarch64": (0xC00000B7, 198, 199, 221, 281, 277),
}


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.POINTER(Instruction))]


def seal(libc, machine):
    arch, socket, socketpair, execve, execveat, seccomp = machine
    # Offsets in seccomp_data: number 0, architecture 4, first argument 16.
    rules = [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, arch),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),
        (EQUAL, 6, 0, socket),
        (EQUAL, 5, 0, socketpair),
        (EQUAL, 4, 0, execve),
        (EQUAL, 0, 2, execveat),
        (LOAD, 0, 0, 16),
        (EQUAL, 0, 1, PROGRAM_FD),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, KILL),
    ]
    # What is no execveat goes on to ALLOW, execveat on another descriptor to KILL.
    filters = (Instruction * len(rules))(*[Instruction(*rule) for rule in rules])
    program = Program(len(rules), filters)
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        sys.exit("sealed: no_new_privs is refused")
    if libc.syscall(seccomp, 1, 0, ctypes.byref(program)) != 0:
        sys.exit("sealed: the filter is refused")


def main():
    machine = MACHINES.get(platform.machine())
    if machine is None:
        sys.exit(f"sealed: {platform.machine()} is not known")
    libc = ctypes.CDLL(None, use_errno=True)
    os.dup2(os.open(sys.argv[1], os.O_RDONLY), PROGRAM_FD, inheritable=False)
    arguments = [argument.encode() for argument in sys.argv[1:]]
    argv = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
    environment = [f"{name}={value}".encode() for name, value in os.environ.items()]
    envp = (ctypes.c_char_p * (len(environment) + 1))(*environment, None)
    seal(libc, machine)
    libc.syscall(machine[4], PROGRAM_FD, b"", argv, envp, AT_EMPTY_PATH)
    sys.exit(f"sealed: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
