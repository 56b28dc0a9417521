"""Every way out that we know, tried under `keymoat run`: none may lead anywhere."""

import json
import subprocess
import sys

import bypasses
import pytest

from support import ROOT, binary, needs_namespaces

pytestmark = needs_namespaces


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bypasses")
    program = [sys.executable, str(ROOT / "tests/e2e/outside.py"), binary("KEYMOAT_BIN", "keymoat"), str(folder)]
    ran = subprocess.run(program, capture_output=True, text=True, timeout=800, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout)


WAYS = [name for name in bypasses.TECHNIQUES if name != bypasses.CONTROL]


def test_there_are_many_ways(tried):
    assert len(WAYS) >= 150
    assert set(tried["confined"]["evidence"]) == set(bypasses.TECHNIQUES), tried["confined"]["errors"]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_out(tried, way):
    assert tried["confined"]["evidence"][way]["found"] is None


@pytest.mark.parametrize("way", [name for name in WAYS if bypasses.TECHNIQUES[name][1]])
def test_the_way_is_real(tried, way):
    assert tried["plain"]["evidence"][way]["found"], tried["plain"]["evidence"][way]


def test_the_allowed_host_is_reached(tried):
    # The first byte of a ServerHello.
    assert tried["confined"]["evidence"][bypasses.CONTROL]["found"] == str(b"\x16")


def test_nobody_outside_has_received_anything(tried):
    assert tried["confined"]["received"] == {}
    assert tried["plain"]["received"] != {}


def test_nothing_has_changed_outside(tried):
    confined = tried["confined"]
    assert confined["code"] == 0 and confined["sibling"] is None
    left = {"home/code/shop/still-alive"}  # the working directory is the command's own
    assert set(confined["changed"]) <= left and confined["gone"] == [], (confined["changed"], confined["gone"])


def test_what_passed_the_proxy_by_is_in_the_log(tried):
    decisions = [json.loads(line) for line in tried["confined"]["log"].splitlines()]
    direct = {(d["protocol"], d["host"], d["port"]) for d in decisions if d["kind"] == "direct"}
    for way in [("tcp", "203.0.113.66", 4444), ("udp", "203.0.113.53", 53), ("udp", "203.0.113.66", 9999)]:
        assert way in direct, direct
    allowed = {d["host"] for d in decisions if d["verdict"] == "allowed"}
    assert allowed == {"index.test"}
