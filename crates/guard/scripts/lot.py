#!/usr/bin/env python3
"""Draws the lot on which a release is measured, and audits it.

    lot.py draw VERSION FOLDER     with a Python that has pip; once per release, never in CI
    lot.py audit VERSION FOLDER KEYMOAT

The order of `tests/lot/names.txt` is that of SHA-256 over the version and the
name, so nobody chooses. `draw` downloads by it 50 source archives, then 100
wheels of the next names, and writes what it got, with hashes, to
`tests/lot/VERSION.txt`; a name that has no such file, or none that comes within
two minutes, is named there and skipped. Nothing is built, unpacked or run.
`audit` compares the hashes, and prints findings of medium severity and more.
"""

import glob
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
LOT = os.path.join(HERE, "../../../tests/lot")
WANTED = {"sdist": 50, "wheel": 100}
SECONDS_MAX = 120
AT_A_TIME = 4
SEVERITIES = ("critical", "high", "medium")


def order(version):
    lines = open(f"{LOT}/names.txt", encoding="utf-8").read().splitlines()
    names = [line.split("\t")[0] for line in lines if line and not line.startswith("#")]
    return sorted(names, key=lambda name: hashlib.sha256(f"{version} {name}".encode()).digest())


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetched(folder, kind, name):
    """The one file that came, or nothing. noise.py stops pip before it builds anything."""
    target = f"{folder}/{kind}/{name}"
    call = f"import sys; sys.path.insert(0, {HERE!r}); import noise; noise.keep({target!r}, {kind!r}, {name!r})"
    with open(os.devnull, "w", encoding="utf-8") as null:
        try:
            subprocess.run([sys.executable, "-c", call], stdout=null, stderr=null, timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            return None
    files = glob.glob(f"{target}/*")
    return files[0] if len(files) == 1 else None


def draw(version, folder):
    names, rows, at = order(version), [f"# The lot of {version}: kind, file, SHA-256; drawn by lot.py."], 0
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for kind, wanted in WANTED.items():
            count = 0
            while count < wanted:
                some = names[at : at + wanted - count]
                at += len(some)
                for name, path in zip(some, pool.map(lambda name: fetched(folder, kind, name), some)):
                    count += path is not None
                    what = f"{kind}\t{os.path.basename(path)}\t{digest(path)}" if path else f"# no {kind}: {name}"
                    rows.append(what)
                    print(what, flush=True)
    with open(f"{LOT}/{version}.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")


def audit(version, folder, keymoat):
    rows = [line.split("\t") for line in open(f"{LOT}/{version}.txt", encoding="utf-8").read().splitlines() if line[0] != "#"]
    paths = {os.path.basename(path): path for path in glob.glob(f"{folder}/*/*/*")}
    ours = 0.0
    for kind, name, wanted in rows:
        path = paths[name]
        if digest(path) != wanted:
            sys.exit(f"{name} is not what was drawn")
        began = time.monotonic()
        done = subprocess.run([keymoat, "audit", "--json", "--no-cache", path], capture_output=True, text=True, check=False)
        ours += time.monotonic() - began
        for finding in json.loads(done.stdout)["findings"]:
            if finding["severity"] in SEVERITIES and finding["kind"] not in ("vulnerable", "malicious"):
                print(kind, name, finding["severity"], finding["rule"], finding["subject"], finding["meaning"], sep=" | ")
    print(f"{len(rows)} files; {ours:.0f} s")


if __name__ == "__main__":
    {"draw": draw, "audit": audit}[sys.argv[1]](*sys.argv[2:])
