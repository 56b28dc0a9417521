#!/usr/bin/env python3
"""Audits popular source archives, and compares consecutive releases.

    noise.py fetch FOLDER          with a Python that has pip
    noise.py audit FOLDER KEYMOAT

`fetch` has pip resolve and download, and stops it before anything of an archive
is built or run: SDISTS as they are newest, and of PAIRS the two newest releases.
`audit` says what is found at medium or more, which should be nothing much.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

SDISTS = """
requests urllib3 certifi idna charset-normalizer numpy pandas scipy pyyaml six python-dateutil setuptools
wheel pip cryptography cffi pycparser attrs click flask django sqlalchemy aiohttp httpx anyio pydantic
fastapi starlette uvicorn jinja2 markupsafe rich typer pygments pytest tqdm boto3 botocore s3transfer
google-auth openai anthropic tiktoken langchain transformers huggingface-hub tokenizers safetensors lxml
pillow psutil protobuf grpcio simplejson ujson orjson redis celery docutils sphinx black mypy virtualenv
tox poetry-core hatchling paramiko
""".split()
PAIRS = """
openai anthropic langchain-core transformers huggingface-hub numpy pandas pydantic fastapi starlette
uvicorn httpx aiohttp requests urllib3 sqlalchemy click rich setuptools cryptography boto3 google-auth
certifi protobuf pytest black virtualenv celery redis mlflow-skinny
""".split()
PAIRS_OF_SOURCE = "requests urllib3 click rich setuptools pytest numpy anthropic fastapi celery redis httpx".split()


def keep(folder, kind, wanted):
    """Downloads one file; pip would ask a source archive for its metadata by running its build."""
    from pip._internal.cli.main import main as pip
    from pip._internal.exceptions import InstallationError
    from pip._internal.operations import prepare

    os.makedirs(folder, exist_ok=True)

    def kept(requirement, *_, **__):
        shutil.copy(requirement.local_file_path, folder)
        raise InstallationError("kept")

    prepare._get_prepared_distribution = kept
    prepare.RequirementPreparer._fetch_metadata_only = lambda *_: None
    only = "--no-binary" if kind == "sdist" else "--only-binary"
    pip(["download", "-qqq", "--disable-pip-version-check", "--no-deps", only, ":all:", "-d", folder, wanted])


def newest_two(name):
    command = [sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check", name]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("Available versions:"))
    return [version.strip() for version in line.split(":")[1].split(",")][1::-1]


def fetch(folder):
    for name in SDISTS:
        keep(f"{folder}/sdists", "sdist", name)
    for name in PAIRS:
        for at, version in enumerate(newest_two(name)):
            keep(f"{folder}/pairs/{name}-wheel/{at}", "wheel", f"{name}=={version}")
            if name in PAIRS_OF_SOURCE:
                keep(f"{folder}/pairs/{name}-sdist/{at}", "sdist", f"{name}=={version}")


def said(title, command):
    report = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    loud = [f for f in report["findings"] if f["severity"] in ("critical", "high", "medium")]
    for finding in loud:
        if finding["kind"] not in ("vulnerable", "malicious"):
            print(title, finding["severity"], finding["kind"], finding["subject"], finding["meaning"], sep=" | ")
    return report


def audit(folder, keymoat):
    started, count = time.monotonic(), 0
    for path in sorted(glob.glob(f"{folder}/sdists/*")):
        said(os.path.basename(path), [keymoat, "audit", "--json", "--no-cache", path])
        count += 1
    print(f"{count} source archives, {time.monotonic() - started:.0f} s")
    started, count = time.monotonic(), 0
    for pair in sorted(glob.glob(f"{folder}/pairs/*")):
        old, new = (glob.glob(f"{pair}/{at}/*") for at in (0, 1))
        if old and new:
            title = f"{os.path.basename(old[0])} to {os.path.basename(new[0])}"
            said(title, [keymoat, "audit", "--json", "--diff", old[0], new[0]])
            count += 1
    print(f"{count} pairs, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    {"fetch": fetch, "audit": audit}[sys.argv[1]](*sys.argv[2:])
