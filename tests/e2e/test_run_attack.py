"""The attack of March 2026, replayed with decoys: without Keymoat it gets everything, under `keymoat run` nothing."""

import json
import os
import subprocess
import sys

import pytest

from support import ROOT, binary, needs_namespaces

pytestmark = needs_namespaces

WAYS = [
    "post evil.test/exfil",
    "post index.test/upload",
    "raw 4444",
    "raw 22",
    "raw 8080",
    "dns",
]


@pytest.fixture(scope="module")
def attack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attack")
    # Not below a place that an ordinary user may not enter.
    program = [sys.executable, str(ROOT / "tests/e2e/internet.py"), binary("KEYMOAT_BIN", "keymoat"), str(folder)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=600, env=dict(os.environ), check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout)


def decisions(step):
    return [json.loads(line) for line in step["log"].splitlines()]


@pytest.mark.parametrize("stage", ["setup", "pth", "app"])
def test_without_protection_every_decoy_arrives_by_every_way(attack, stage):
    step = attack["plain"]["steps"][stage]
    assert step["code"] == 0, step
    for way in WAYS:
        for place, canary in attack["canaries"].items():
            assert canary in step["received"].get(way, ""), f"{stage}: {place} did not arrive by {way}: the test is blunt"
    assert f"stage={'import' if stage == 'app' else stage}-child" in step["received"]["raw 4444"]


def test_without_protection_it_stays(attack):
    assert attack["plain"]["persistence"] == [".config/systemd/user/sysmon.service", ".bashrc"]


@pytest.mark.parametrize("stage", ["setup", "install", "pth", "app"])
def test_under_run_no_decoy_arrives(attack, stage):
    received = attack["confined"]["steps"][stage]["received"]
    for place, canary in attack["canaries"].items():
        for way, text in received.items():
            assert canary not in text, f"{stage}: {place} left by {way}"
    # Of the ways, only that to the allowed index is open, and it has nothing to carry.
    ways = {way for way in received if not way.startswith("post index.test")}
    assert ways == set(), received


@pytest.mark.parametrize("stage", ["setup", "pth", "app"])
def test_every_attempt_is_in_the_decision_log(attack, stage):
    refused = [d for d in decisions(attack["confined"]["steps"][stage]) if d["verdict"] == "refused"]
    found = {(d["kind"], d["host"], d["port"]) for d in refused}
    assert ("connect", "evil.test", 443) in found
    assert ("connect", "203.0.113.66:443", 0) in found
    for port in (4444, 22, 8080, 443):
        assert ("direct", "203.0.113.66", port) in found, found
    assert ("direct", "169.254.169.254", 80) in found
    assert any(d.get("name", "").endswith(".dns.test") for d in refused if d["port"] == 53)


def test_the_honest_part_works(attack):
    steps = attack["confined"]["steps"]
    for name, step in steps.items():
        assert step["code"] == 0, f"{name}: {step['output']}{step['errors']}"
    assert steps["app"]["output"] == "the app works\n"
    assert attack["confined"]["made"] == "made by the app"


def test_nothing_stays(attack):
    assert attack["confined"]["persistence"] == []
