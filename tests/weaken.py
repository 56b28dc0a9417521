"""Takes one defence of `keymoat run` away at a time and checks that the suites notice.

    tests/weaken.py            in a clean checkout; changes sources, builds, tests, restores
    tests/weaken.py seccomp    only those whose name holds the word

Needs what the end-to-end suites need: run it with their Python.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SANDBOX, FORWARD = "crates/sandbox/src", "crates/forward/src"
# Defence, file, text, text without it, a test that has to fail.
WEAKENED = [
    ("seccomp: address families", f"{SANDBOX}/syscalls.rs", "with(libc::SYS_socket, rule(&other)?);", "", "a vsock socket"),
    ("seccomp: netlink protocols", f"{SANDBOX}/syscalls.rs", "with(libc::SYS_socket, rule(&[netlink, not_route])?);", "drop((netlink, not_route));", "a netlink socket"),
    ("seccomp: ptrace", f"{SANDBOX}/syscalls.rs", "    libc::SYS_ptrace,\n", "", "a trace of a child"),
    ("seccomp: key rings", f"{SANDBOX}/syscalls.rs", "    libc::SYS_keyctl,\n", "", "a session's keys"),
    ("seccomp: new namespaces", f"{SANDBOX}/syscalls.rs", "with(libc::SYS_unshare, rule(&[has_bits(0, flag)?])?);", "", "a user namespace"),
    ("seccomp: io_uring and clone3", f"{SANDBOX}/syscalls.rs", "compile(absent, libc::ENOSYS)?", "compile(absent, 0)?", "a ring of requests"),
    ("capabilities dropped (as root)", f"{SANDBOX}/privileges.rs", "drop_capabilities().map_err(|error| error.to_string())", "Ok(())", "capabilities"),
    ("first process unreadable", f"{SANDBOX}/privileges.rs", "sys::control(libc::PR_SET_DUMPABLE, 0)?;", "", "/proc/1/environ"),
    ("descriptors closed", f"{SANDBOX}/init.rs", "sys::close_on_exec_from(3)", "sys::close_on_exec_from(1000)", "an inherited descriptor"),
    ("IPC namespace", f"{SANDBOX}/spawn.rs", "            | libc::CLONE_NEWIPC\n", "", "memory shared by System V"),
    ("no setuid in mounts", f"{SANDBOX}/files.rs", "let all = READ_ONLY | libc::MOUNT_ATTR_NOSUID |", "let all = READ_ONLY |", "a setuid program"),
    ("directories pinned", f"{SANDBOX}/files.rs", "    let pinned = pinned(plan);", "    let pinned: Vec<&Path> = Vec::new();", "test_hooks_of_a_project"),
    ("secrets of a project hidden", f"{FORWARD}/launch/layout.rs", "    hidden.extend(found.files.iter().cloned());", "", "a file of the project's variables"),
    ("sockets of a project hidden", f"{FORWARD}/launch/layout.rs", "    found.sockets.extend(sockets());", "    found.sockets.clear();", "a socket in the working directory"),
    ("secret variables left out", f"{FORWARD}/launch/environment.rs", "&& is_unfit(&shown, &text)", "&& is_unfit(&shown, &text) && shown.is_empty()", "no_decoy_arrives"),
    ("name in the ClientHello", f"{FORWARD}/proxy.rs", "if HostName::parse(&name).as_ref() == Ok(host) {", "if HostName::parse(&name).as_ref() == Ok(host) || !name.is_empty() {", "another name in the ClientHello"),
    ("TLS in tunnels", f"{FORWARD}/proxy.rs", 'hello.ok_or(("not TLS", None))?', "hello.unwrap_or(Hello { name: Some(host.to_string()), has_ech: false })", "plain HTTP in a tunnel"),
    ("addresses of allowed names", f"{FORWARD}/rule.rs", "self.networks.iter().any(|network| network.contains(ip))", "self.networks.is_empty() || ip.is_ipv4()", "resolves to a private address"),
    ("Host header and target", f"{FORWARD}/head.rs", "if named.next().is_some() || same != Ok((host.clone(), port)) {", "if named.next().is_some() && same != Ok((host.clone(), port)) {", "another Host header"),
    ("ports of rules", f"{FORWARD}/rule.rs", "names && port == self.port", "names && port > 0", "another port of an allowed host"),
]  # fmt: skip
SUITES = ["test_run.py", "test_run_attack.py", "test_run_bypasses.py"]


def failures(binary):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", "-rfE", *(f"tests/e2e/{suite}" for suite in SUITES)]
    ran = subprocess.run(command, cwd=ROOT, env={**os.environ, "KEYMOAT_BIN": str(binary)}, capture_output=True, text=True, check=False)
    return [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]


def main():
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    unnoticed = []
    for name, file, text, weaker, test in WEAKENED:
        if wanted not in name:
            continue
        path = ROOT / file
        source = path.read_text()
        assert source.count(text) == 1, f"{name}: {file} has the text {source.count(text)} times"
        try:
            path.write_text(source.replace(text, weaker))
            built = subprocess.run(["cargo", "build", "-q", "-p", "keymoat"], cwd=ROOT, capture_output=True, text=True, check=False)
            assert built.returncode == 0, f"{name}: {built.stderr}"
            failed = failures(target / "debug/keymoat")
        finally:
            path.write_text(source)
        hits = [line for line in failed if test in line]
        print(f"{'noticed' if hits else 'NOT NOTICED'}: {name}: {len(failed)} tests fail" + (f", such as {hits[0][:110]}" if hits else ""), flush=True)
        if not hits:
            unnoticed.append(name)
    sys.exit(f"not noticed: {', '.join(unnoticed)}" if unnoticed else 0)


if __name__ == "__main__":
    main()
