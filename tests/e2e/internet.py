"""A small internet in namespaces of its own, and an attack in it: run as a program, prints JSON.

Every address is routed to this process: an index of packages, an attacker who listens on many
ports, a resolver, a cloud's metadata service. Commands that it starts can reach these and nothing
else. Needs no privilege: without root it makes a user namespace.
"""

import ctypes
import http.server
import io
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
INDEX_ADDRESS = "93.184.216.34"  # a public address: Keymoat refuses those of documentation
LIBC = ctypes.CDLL(None, use_errno=True)
CANARIES = {
    place: f"CANARY-{place}-{os.urandom(8).hex()}"
    for place in ("environ", "dotenv", "homeenv", "ssh", "aws", "kube", "docker", "netrc", "history", "sibling", "metadata")
}


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter():
    """Network and mounts of our own; a user namespace too, if we are not root."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        call("unshare", CLONE_NEWNET | CLONE_NEWNS)
    else:
        call("unshare", CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS)
        pathlib.Path("/proc/self/setgroups").write_text("deny")
        pathlib.Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        pathlib.Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    with socket.socket() as any_socket:
        import fcntl

        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
    route = struct.pack("IHHII", 36, 24, 0x405, 1, 0)  # RTM_NEWROUTE: `local default dev lo`
    route += bytes([socket.AF_INET, 0, 0, 0, 255, 4, 254, 2]) + struct.pack("IHHI", 0, 8, 4, 1)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(route)
        assert struct.unpack("i", netlink.recv(1000)[16:20]) == (0,)


def overlay(target, text, folder):
    """Mounts a file with `text` over a file of the system, for us alone."""
    target = os.path.realpath(target)
    if os.path.exists(target):
        source = folder / pathlib.Path(target).name
        source.write_text(text)
        call("mount", os.fsencode(source), os.fsencode(target), None, MS_BIND, None)


class World:
    """What the attacker and the index have received, by channel."""

    def __init__(self, packages):
        self.received = {}
        self.packages = packages
        self.lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(HERE / "testdata/run/server.pem")
        self.serve_http(443, context)
        self.serve_http(80, None)
        for port in (4444, 22, 8080):
            self.serve_raw(port)
        self.serve_dns()

    def note(self, channel, text):
        with self.lock:
            self.received[channel] = self.received.get(channel, "") + text + "\n"

    def serve_http(self, port, context):
        world = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def reply(self, status, body=b"", kind="text/html"):
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):  # noqa: N802
                host = self.headers.get("host", "").split(":")[0]
                if host == "169.254.169.254":
                    return self.reply(200, CANARIES["metadata"].encode())
                if host != "index.test":
                    world.note(f"get {host}", self.path)
                    return self.reply(200)
                parts = self.path.strip("/").split("/")
                if parts[0] == "files":
                    return self.reply(200, world.packages[parts[1]], "application/octet-stream")
                links = [f'<a href="/files/{name}">{name}</a>' for name in world.packages if name.startswith(parts[-1])]
                return self.reply(200 if links else 404, "".join(links).encode())

            def do_POST(self):  # noqa: N802
                body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
                world.note(f"post {self.headers.get('host')}{self.path}", body)
                self.reply(200)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler, bind_and_activate=True)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve_raw(self, port):
        listener = socket.create_server(("0.0.0.0", port))

        def accept():
            while True:
                stream, _ = listener.accept()
                with stream:
                    stream.settimeout(3)
                    text = b""
                    try:
                        while piece := stream.recv(65536):
                            text += piece
                    except OSError:
                        pass
                    self.note(f"raw {port}", text.decode(errors="replace"))

        threading.Thread(target=accept, daemon=True).start()

    def serve_dns(self):
        asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        asked.bind(("0.0.0.0", 53))

        def answer():
            while True:
                message, peer = asked.recvfrom(2000)
                labels, rest = [], message[12:]
                while rest and rest[0]:
                    labels.append(rest[1 : rest[0] + 1].decode(errors="replace"))
                    rest = rest[rest[0] + 1 :]
                if len(labels) > 2 and labels[-2:] == ["dns", "test"]:
                    self.note("dns", bytes.fromhex(labels[1]).decode(errors="replace").strip("\n"))
                else:
                    self.note("dns names", ".".join(labels))
                # No such name.
                asked.sendto(message[:2] + b"\x81\x83\0\1\0\0\0\0\0\0" + message[12:], peer)

        threading.Thread(target=answer, daemon=True).start()

    def take(self):
        with self.lock:
            taken, self.received = self.received, {}
        # A canary may be cut by the pieces in which names carry it.
        return {channel: text.replace("\n", "") if channel == "dns" else text for channel, text in taken.items()}


def make_packages():
    """`poisoned`: a source archive and, under another name, a wheel that starts with Python."""
    payload = (HERE / "poison.py").read_text()
    backend = (
        "import os, zipfile\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        "    exec(open('setup.py').read(), {'__file__': os.path.abspath('poison.py')})\n"
        "    name = 'sourced-1.0-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(directory, name), 'w') as wheel:\n"
        "        wheel.writestr('sourced.py', 'def answer():\\n    return 42\\n')\n"
        "        wheel.writestr('sourced-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: sourced\\nVersion: 1.0\\n')\n"
        "        wheel.writestr('sourced-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr('sourced-1.0.dist-info/RECORD', '')\n"
        "    return name\n"
    )
    project = '[project]\nname = "sourced"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "setup.py": "import sys; sys.path.insert(0, '.'); import poison; poison.strike('setup')\n",
        "poison.py": payload,
        "backend.py": backend,
        "pyproject.toml": project,
        "PKG-INFO": "Metadata-Version: 2.1\nName: sourced\nVersion: 1.0\n",
    }
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"sourced-1.0/{name}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("poison.py", payload)
        made.writestr("started.pth", "import os, poison; poison.strike(os.environ.get('PTH_STAGE', 'pth'))\n")
        made.writestr("imported.py", "import poison\npoison.strike('import')\n\ndef answer():\n    return 42\n")
        made.writestr("started-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: started\nVersion: 1.0\n")
        made.writestr("started-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr("started-1.0.dist-info/RECORD", "")
    return {"sourced-1.0.tar.gz": archive.getvalue(), "started-1.0-py3-none-any.whl": wheel.getvalue()}


def furnish(folder):
    """A home and a project with decoys in the places where people keep secrets."""
    home, work = folder / "home", folder / "home/code/shop"
    (work / "config").mkdir(parents=True)
    for place, path in {
        "dotenv": work / "config/.env.production",
        "homeenv": home / "other/project/.env",
        "ssh": home / ".ssh/id_ed25519",
        "aws": home / ".aws/credentials",
        "kube": home / ".kube/config",
        "docker": home / ".docker/config.json",
        "netrc": home / ".netrc",
        "history": home / ".bash_history",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"SECRET={CANARIES[place]}\n")
    (work / "app.py").write_text(
        "import imported, sourced, pathlib\n"
        "assert imported.answer() == sourced.answer() == 42\n"
        "pathlib.Path('output.txt').write_text('made by the app')\n"
        "print('the app works')\n"
    )
    return home, work


def main():
    keymoat, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    packages = make_packages()
    enter()
    made = folder / "made"
    made.mkdir()
    overlay("/etc/hosts", f"127.0.0.1 localhost\n{INDEX_ADDRESS} index.test\n203.0.113.66 evil.test\n", made)
    overlay("/etc/resolv.conf", "nameserver 203.0.113.53\noptions timeout:1 attempts:1\n", made)
    world = World(packages)
    sibling = subprocess.Popen(["sleep", "600"], env={"SIBLING_SECRET": CANARIES["sibling"], "PATH": os.environ["PATH"]})
    results = {"canaries": CANARIES}
    for half in ("plain", "confined"):
        top = folder / half
        home, work = furnish(top)
        python = os.path.realpath(sys.executable)
        subprocess.run([python, "-m", "venv", "--without-pip", work / ".venv"], check=True)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "MODEL_API_KEY": CANARIES["environ"],
            "PIP_INDEX_URL": "https://index.test/simple",
            "PIP_CERT": str(HERE / "testdata/run/authority.pem"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_CACHE_DIR": "1",
        }
        log = top / "decisions.jsonl"
        own = str(work / ".venv/bin/python")
        pip = [python, "-m", "pip", "--python", own, "install", "--quiet"]
        steps = [
            ("setup", ["--profile", "install"], [*pip, "sourced"]),
            ("install", ["--profile", "install"], [*pip, "started"]),
            ("pth", [], [own, "-c", "pass"]),
            ("app", [], [own, "app.py"]),
        ]
        outcome = results[half] = {"steps": {}}
        for name, options, command in steps:
            log = top / f"{name}.jsonl"
            if half == "confined":
                command = [keymoat, "run", *options, "--log", str(log), "--", *command]
            # The import is another start of the interpreter, whose `.pth` is to stay quiet.
            stage = {"PTH_STAGE": "import", "STRUCK": ""} if name == "app" else {}
            ran = subprocess.run(
                command, cwd=work, env={**environment, **stage}, capture_output=True, text=True, timeout=240, check=False
            )
            outcome["steps"][name] = {
                "code": ran.returncode,
                "output": ran.stdout[-2000:],
                "errors": ran.stderr[-4000:],
                "received": world.take(),
                "log": log.read_text() if log.exists() else "",
            }
        outcome["persistence"] = [
            str(path.relative_to(home))
            for path in (home / ".config/systemd/user/sysmon.service", home / ".bashrc")
            if path.exists()
        ]
        made_by_app = work / "output.txt"
        outcome["made"] = made_by_app.read_text() if made_by_app.exists() else None
    sibling.kill()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
