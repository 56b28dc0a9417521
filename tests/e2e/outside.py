"""The world around the ways out: decoys, sockets and processes, in namespaces; prints JSON.

Runs `bypasses.py` twice: plainly, which shows that the ways are real, and under `keymoat run`.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import internet

ADDRESSES = {
    "index.test": internet.INDEX_ADDRESS,
    "evil.test": "203.0.113.66",
    "loop.test": "127.0.0.1",
    "loop6.test": "::1",
    "inner.test": "10.0.0.5",
    "carrier.test": "100.64.0.1",
    "meta.test": "169.254.169.254",
    "link.test": "169.254.1.1",
    "doc.test": "203.0.113.66",
    "zero.test": "0.0.0.0",
    "multi.test": "224.0.0.1",
    "ula.test": "fd00::5",
    "mapped.test": "::ffff:10.0.0.5",
    "nat64.test": "64:ff9b::a00:5",
    "six.test": "2002:a00:5::1",
}


def listen(address, text):
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()

    def answer():
        while True:
            stream, _ = server.accept()
            with stream:
                stream.sendall(text.encode())

    threading.Thread(target=answer, daemon=True).start()


def main():
    keymoat, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    internet.enter()
    made = folder / "made"
    made.mkdir()
    hosts = "".join(f"{address} {name}\n" for name, address in ADDRESSES.items())
    internet.overlay("/etc/hosts", f"127.0.0.1 localhost\n{hosts}", made)
    world = internet.World({})
    canaries = internet.CANARIES
    argument = "argument-" + os.urandom(8).hex()
    sleeper = ["sh", "-c", "sleep 600; true", argument]
    sibling = subprocess.Popen(sleeper, env={"SIBLING": canaries["sibling"], "PATH": os.environ["PATH"]}, cwd="/usr", start_new_session=True)
    key = int.from_bytes(os.urandom(3), "big") + 1
    assert internet.LIBC.shmget(key, 4096, 0o1600) >= 0
    shared = pathlib.Path(f"/dev/shm/keymoat-{os.getpid()}")
    own_tmp = pathlib.Path(f"/tmp/keymoat-{os.getpid()}")
    results = {}
    try:
        for path in (shared, own_tmp):
            path.write_text(canaries["environ"])
        tmp_socket = f"/tmp/keymoat-{os.getpid()}.sock"
        listen(tmp_socket, canaries["environ"])
        abstract = f"keymoat-{os.getpid()}"
        listen("\0" + abstract, canaries["environ"])
        inherited = made / "inherited"
        inherited.write_text(canaries["environ"])
        for half in ("plain", "confined"):
            home, work = internet.furnish(folder / half)
            for place in (".git/hooks/x", ".git/config", ".vscode/x", ".github/workflows/x", ".envrc"):
                (work / place).parent.mkdir(parents=True, exist_ok=True)
                (work / place).write_text("")
            os.chdir(work)  # paths of sockets are short
            listen("agent.sock", canaries["environ"])
            os.chdir(home)
            listen("h.sock", canaries["environ"])
            before = {path: path.read_bytes() for path in folder.joinpath(half).rglob("*") if path.is_file()}
            given = {
                "ABSTRACT": abstract,
                "HOME": str(home),
                "HOME_SOCKET": os.path.relpath(home / "h.sock", work),
                "TMP_SOCKET": tmp_socket,
                "TMP_FILE": str(own_tmp),
                "SHM_FILE": str(shared),
                "SHM_KEY": str(key),
                "SIBLING": canaries["sibling"][::-1],
                "SIBLING_PID": str(sibling.pid),
                "ARGUMENT": argument,
            }
            env = {"PATH": os.environ["PATH"], "HOME": str(home), **{f"BYPASS_{name}": value for name, value in given.items()}}
            # The key of shared memory has a name that says key; this suite wants it inside.
            program = [os.path.realpath(sys.executable), str(internet.HERE / "bypasses.py"), half]
            log = folder / f"{half}.jsonl"
            if half == "confined":
                allowed = [f"--allow={name}" for name in ADDRESSES if name != "evil.test"]
                kept = ["--env=BYPASS_SHM_KEY"]
                options = ["--log", str(log), "--read", str(internet.HERE / "bypasses.py"), "--read", str(internet.HERE / "ways"), *allowed, *kept]
                program = [keymoat, "run", *options, "--", *program]
            with open(inherited) as descriptor:
                os.set_inheritable(descriptor.fileno(), True)
                ran = subprocess.run(program, cwd=work, env=env, close_fds=False, capture_output=True, text=True, timeout=400, check=False)
            after = {path: path.read_bytes() for path in folder.joinpath(half).rglob("*") if path.is_file()}
            results[half] = {
                "code": ran.returncode,
                "errors": ran.stderr[-3000:],
                "evidence": json.loads(ran.stdout or "{}"),
                "received": world.take(),
                "changed": sorted(str(path.relative_to(folder / half)) for path in after if before.get(path) != after[path]),
                "gone": sorted(str(path.relative_to(folder / half)) for path in before if path not in after),
                "log": log.read_text() if log.exists() else "",
                "sibling": sibling.poll(),
            }
    finally:
        os.killpg(sibling.pid, signal.SIGKILL)
        for path in (shared, own_tmp, pathlib.Path(f"/tmp/keymoat-{os.getpid()}.sock")):
            path.unlink(missing_ok=True)
        # IPC_RMID
        internet.LIBC.shmctl(internet.LIBC.shmget(key, 0, 0), 0, None)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
