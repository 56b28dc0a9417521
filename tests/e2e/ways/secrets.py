"""Ways to what is hidden: files, other processes, what programs share."""

import ctypes
import glob
import os
import pathlib
import signal
import struct

from . import LIBC, canary, each, given, kernel, technique

# Secrets in files.


@each(
    {
        "a file of the project's variables": "config/.env.production",
        "that file, by another way to write it": "config/../config/./.env.production",
        "that file, by the process's root": "/proc/self/root{work}/config/.env.production",
        "that file, by the process's directory": "/proc/self/cwd/config/.env.production",
        "that file, by the thread's directory": "/proc/thread-self/cwd/config/.env.production",
        "an SSH key": "{home}/.ssh/id_ed25519",
        "cloud credentials": "{home}/.aws/credentials",
        "a cluster's configuration": "{home}/.kube/config",
        "registry credentials": "{home}/.docker/config.json",
        "host passwords": "{home}/.netrc",
        "what was typed": "{home}/.bash_history",
        "another project's variables": "{home}/other/project/.env",
        "another project's variables, upwards": "../../other/project/.env",
    },
    plain=True,
)
def secret(path):
    path = path.format(home=given("HOME"), work=os.getcwd())
    return canary(pathlib.Path(path).read_text())


@technique("an SSH key, by the first process's root")
def by_first_root():
    return canary(pathlib.Path(f"/proc/1/root{given('HOME')}/.ssh/id_ed25519").read_text())


@technique("a second name for a hidden file", plain=True)
def hard_link():
    os.link("config/.env.production", "linked")
    try:
        return canary(pathlib.Path("linked").read_text())
    finally:
        os.unlink("linked")


@technique("another name for a hidden file")
def renamed():
    os.rename("config/.env.production", "config/renamed")
    return canary(pathlib.Path("config/renamed").read_text())


@technique("another name for its directory")
def renamed_directory():
    os.rename("config", "moved")
    try:
        return canary(pathlib.Path("moved/.env.production").read_text())
    finally:
        os.rename("moved", "config")


@technique("deleting the cover of a hidden file")
def deleted():
    os.unlink("config/.env.production")
    return canary(pathlib.Path("config/.env.production").read_text())


@technique("unmounting the cover of a hidden file")
def unmounted():
    kernel("umount2", os.path.abspath("config/.env.production").encode(), 2)
    return "unmounted"


@technique("the directories that lead out of the root")
def old_root():
    found = [path for path in ("/.old", "/oldroot", "/tmp/.old", "/proc/1/root/.old") if os.path.exists(path)]
    return found


@technique("a walk over all there is", plain=False)
def walk():
    for folder, folders, names in os.walk("/"):
        if folder in ("/proc", "/sys", "/usr"):
            folders.clear()
        for name in names:
            if name.endswith((".env", "id_ed25519", "credentials")) or name.startswith(".env"):
                try:
                    found = canary(pathlib.Path(folder, name).read_text(errors="replace"))
                except OSError:
                    continue
                if found:
                    return found
    return None


@each({f"the file {path}": path for path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/proc/kcore", "/proc/keys", "/proc/kallsyms", "/dev/mem", "/dev/kmsg", "/sys/kernel/debug/x", "/proc/1/mem", "/proc/1/environ")})
def system_file(path):
    with open(path, "rb") as file:
        return file.read(1)


@technique("files by their handle")
def by_handle():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    kernel("name_to_handle_at", -100, b"/usr", handle, ctypes.byref(mount), 0)
    place = os.open("/usr", os.O_RDONLY)
    return kernel("open_by_handle_at", place, handle, os.O_RDONLY) >= 0


@technique("an inherited descriptor", plain=True)
def inherited():
    for number in range(3, 64):
        try:
            found = canary(os.pread(number, 1000, 0).decode(errors="replace"))
        except OSError:
            continue
        if found:
            return found
    return None


# Other processes, and what they share.


@technique("the environment of other processes", plain=True)
def environments():
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            found = canary(pathlib.Path(path).read_text(errors="replace"))
        except OSError:
            continue
        if found and found == given("SIBLING")[::-1]:
            return found
    return None


@technique("the command lines of other processes", plain=True)
def command_lines():
    text = "".join(pathlib.Path(path).read_text(errors="replace") for path in glob.glob("/proc/[0-9]*/cmdline"))
    return given("ARGUMENT") in text


@technique("the number of a process outside", plain=True)
def outside_process():
    os.kill(int(given("SIBLING_PID")), 0)
    return "it is there"


@technique("the directory of another process", plain=True)
def other_directory():
    return os.listdir(f"/proc/{given('SIBLING_PID')}/cwd")


@technique("memory shared by System V's rules", plain=True)
def shared_memory():
    number = LIBC.shmget(int(given("SHM_KEY")), 0, 0)
    return number >= 0


@technique("memory shared by a file", plain=True)
def shared_file():
    return canary(pathlib.Path(given("SHM_FILE")).read_text())


@technique("a file in /tmp", plain=True)
def tmp_file():
    return canary(pathlib.Path(given("TMP_FILE")).read_text())


@technique("a trace of the parent")
def trace_parent():
    kernel("ptrace", 16, 1, 0, 0)
    return "attached"


@technique("a trace of a child")
def trace_child():
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        kernel("ptrace", 16, child, 0, 0)
        return "attached"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@technique("the memory of the first process")
def memory_of_first():
    vector = (ctypes.c_void_p * 2)()
    kernel("process_vm_readv", 1, vector, 1, vector, 1, 0)
    return "read"


@technique("writing into the first process")
def memory_into_first():
    vector = (ctypes.c_void_p * 2)()
    kernel("process_vm_writev", 1, vector, 1, vector, 1, 0)
    return "written"


@technique("a descriptor out of the first process")
def steal_descriptor():
    process = kernel("pidfd_open", 1, 0)
    return kernel("pidfd_getfd", process, 3, 0) >= 0


@technique("a comparison with the first process")
def compare():
    return kernel("kcmp", 1, os.getpid(), 2, 0, 0) >= 0


@technique("a session's keys")
def session_keys():
    return kernel("keyctl", 0, -3, 0) >= 0


@technique("a new key")
def new_key():
    return kernel("add_key", b"user", b"name", b"x", 1, -4) >= 0


@technique("a requested key")
def requested_key():
    return kernel("request_key", b"user", b"name", None, -3) >= 0
