"""The guard's commands, where opening a socket or starting a program is death."""

import base64
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from support import binary

SEALED = Path(__file__).parent / "sealed.py"
LAUNCHER = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])\n"


def run(*arguments, data):
    environment = {"KEYMOAT_DATA_DIR": str(data), "HOME": str(data), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, str(SEALED), *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        pytest.skip("SKIPPED LOUDLY: nothing seals a process here")
    data = tmp_path_factory.mktemp("data")
    # The seal holds: or else every test here would pass for nothing.
    assert run("/bin/sh", "-c", "exec /bin/true", data=data).returncode == -31
    python = os.path.realpath(sys.executable)
    assert run(python, "-c", "import socket; socket.socket()", data=data).returncode == -31
    assert run(python, "-c", "print(1)", data=data).stdout == "1\n"
    return lambda *arguments: run(binary("KEYMOAT_BIN", "keymoat"), *arguments, data=data)


def words(text):
    """A table in one line: where it is wrapped depends on the length of paths."""
    return " ".join(text.split())


def wheel_members(name, version, files):
    own = f"{name}-{version}.dist-info"
    files = {**files, f"{own}/METADATA": f"Name: {name}\nVersion: {version}\n"}
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    return {**files, f"{own}/RECORD": "".join(rows) + f"{own}/RECORD,,\n"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Everything that an audit reads, each with something bad in it."""
    top = tmp_path_factory.mktemp("project")
    members = wheel_members("litellm", "1.82.8", {"litellm/__init__.py": "", "litellm_init.pth": LAUNCHER})
    site = top / ".venv/lib/python3.12/site-packages"
    for path, text in members.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    with zipfile.ZipFile(top / "litellm-1.82.8-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, text in members.items():
            wheel.writestr(path, text)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w:gz") as tar:
        for path, text in members.items():
            info = tarfile.TarInfo(f"usr/lib/python3.12/site-packages/{path}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    with tarfile.open(top / "image.tar", "w", format=tarfile.PAX_FORMAT) as image:
        for path, content in [
            ("manifest.json", json.dumps([{"Config": "c", "Layers": ["1/layer.tar"]}]).encode()),
            ("1/layer.tar", layer.getvalue()),
        ]:
            info = tarfile.TarInfo(path)
            info.size = len(content)
            image.addfile(info, io.BytesIO(content))
    (top / "requirements.txt").write_text("litellm==1.82.7\n")
    (top / "Dockerfile").write_text("FROM python\nRUN pip install litellm==1.82.8\n")
    (top / ".mcp.json").write_text('{"mcpServers": {"a": {"command": "uvx", "args": ["litellm@1.82.8"]}}}')
    return top


def test_an_audit_opens_no_socket_and_starts_nothing(sealed, project):
    for arguments in (["audit", project], ["audit", "--format", "sarif", project], ["audit", "--record", project]):
        done = sealed(*arguments)
        assert done.returncode == 1, (arguments, done.returncode, done.stdout, done.stderr)
    found = json.loads(sealed("audit", "--json", project).stdout)
    files = {
        Path(evidence["place"]["file"]).relative_to(project).parts[0]
        for finding in found["findings"] if finding["kind"] == "malicious"
        for evidence in finding["evidence"] if evidence.get("place")
    }
    assert files >= {".venv", "requirements.txt", "Dockerfile", ".mcp.json", "litellm-1.82.8-py3-none-any.whl"}
    assert "runs at every Python start" in json.dumps(found)
    recorded = sealed("audit", "--recorded")
    assert recorded.returncode == 1 and "litellm 1.82.8" in recorded.stdout


def test_images_and_unpacked_roots_are_read_without_unpacking(sealed, project):
    image = sealed("audit", project / "image.tar")
    assert image.returncode == 1 and "image.tar/usr/lib/python3.12/site-packages" in image.stdout
    root = sealed("audit", "--root", project / ".venv")
    assert root.returncode == 1 and "litellm 1.82.8" in root.stdout


def test_files_caches_and_links_are_held_against_the_lock(sealed, tmp_path):
    top = tmp_path / "project"
    members = wheel_members("thing", "1.0", {"thing/__init__.py": "x = 1\n"})
    cached = tmp_path / "pip" / "http-v2" / "a" / "b" / "abc.body"
    wheels = [top / "wheels" / "thing-1.0-py3-none-any.whl", cached]
    for wheel in wheels:
        wheel.parent.mkdir(parents=True)
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, text in members.items():
                archive.writestr(zipfile.ZipInfo(path), text)
    digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    (top / "requirements.txt").write_text(f"thing==1.0 --hash=sha256:{digest}\n")
    done = sealed("audit", top, tmp_path / "pip")
    assert done.returncode == 2 and "the lock allows" not in words(done.stdout), done.stdout
    (top / "requirements.txt").write_text(f"thing==1.0 --hash=sha256:{'00' * 32}\n")
    done = sealed("audit", top, tmp_path / "pip")
    assert done.returncode == 1, done.stdout
    assert "not what the lock allows" in words(done.stdout) and "A cache holds another file" in words(done.stdout), done.stdout
    (top / "requirements.txt").unlink()
    evil = tmp_path / "elsewhere" / "evil"
    evil.mkdir(parents=True)
    (evil / "__init__.py").write_text("import base64\nexec(base64.b64decode('cGFzcw=='))\n")
    site = top / ".venv/lib/python3.12/site-packages"
    for path, text in members.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    (site / "evil").symlink_to(evil)
    found = json.loads(sealed("audit", "--json", "--no-cache", top).stdout)["findings"]
    assert any(f["kind"] == "code" and f["severity"] == "critical" for f in found), found
    assert any("link out of the environment" in f["meaning"] for f in found), found


def test_advisories_are_taken_in_from_what_lies_here(sealed, tmp_path):
    assert sealed("advisories", "status").returncode == 2
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as export:
        for number in range(5_000):
            export.writestr(f"X-{number}.json", json.dumps({
                "id": f"X-{number}", "modified": "2026-01-01T00:00:00Z",
                "affected": [{"package": {"ecosystem": "PyPI", "name": f"p{number}"}, "versions": ["1.0"]}],
            }))
        export.writestr("bad.json", "{")
    done = sealed("advisories", "update", "--from", tmp_path / "all.zip")
    assert done.returncode == 0 and "5000 records, 0 withdrawn, 1 bad" in words(done.stdout), done.stdout + done.stderr
    assert "complete for: PyPI as of 2026-01-01" in words(done.stdout)
    status = json.loads(sealed("advisories", "status", "--json", "--max-age", "36500").stdout)
    assert status["fresh"] is True
    (tmp_path / "requirements.txt").write_text("p4999==1.0\n")
    assert "X-4999" in sealed("audit", tmp_path / "requirements.txt").stdout
    (tmp_path / "one.json").write_text('{"id": "Y-1", "affected": []}')
    less = sealed("advisories", "update", "--from", tmp_path / "one.json")
    assert less.returncode == 2 and "know less" in less.stderr


def test_what_cannot_be_read_is_not_audited(sealed, tmp_path):
    assert sealed("audit", tmp_path / "gone").returncode == 2
    (tmp_path / "uv.lock").write_text("[[package]\n")
    done = sealed("audit", tmp_path / "uv.lock")
    assert done.returncode == 2 and "uv.lock:1" in done.stdout
