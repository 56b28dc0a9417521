"""The gateway confines itself: it writes in its data directory only, and executes nothing."""

import json
import pathlib
import re
import subprocess

import pytest
import yaml

from support import binary, environment, standard_config


def status(process):
    """`/proc/PID/status` of each thread."""
    tasks = pathlib.Path(f"/proc/{process.process.pid}/task").iterdir()
    return [dict(re.findall(r"(\w+):\s+(.*)", (task / "status").read_text())) for task in tasks]


def with_sandbox(upstream, level):
    return {**standard_config(upstream.url), "keymoat": {"sandbox": level}}


@pytest.mark.parametrize("level", ["best-effort", "full"])
def test_every_thread_of_a_gateway_is_confined(own_gateway, upstream, level):
    gateway = own_gateway(with_sandbox(upstream, level))
    assert gateway.chat().status_code == 200
    threads = status(gateway)
    assert {(thread["NoNewPrivs"], thread["Seccomp"]) for thread in threads} == {("1", "2")}
    kept = 1 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 10
    assert all(int(thread["CapEff"], 16) & ~kept == 0 for thread in threads)
    assert "the gateway confines itself" in gateway.output()
    assert gateway.chat().status_code == 200 and gateway.stop() == 0


def test_it_is_off_unless_it_is_asked_for(own_gateway):
    assert "confines itself" not in own_gateway().output()


def test_forbidden_acts_fail(tmp_path):
    (tmp_path / "data.kept").write_text("kept")
    ran = subprocess.run([binary("KEYMOAT_BIN", "keymoat"), "probe-sandbox", str(tmp_path / "data")], capture_output=True, text=True, check=True, env={"TMPDIR": "/var/tmp", "HOME": str(tmp_path)})
    said = dict(line.rsplit(": ", 1) for line in ran.stdout.splitlines())
    assert said["execute a program"] == "refused" and said["write in the data directory"] == "done" and said["read elsewhere"] == "done"
    if "landlock" not in ran.stdout:
        for act in ("write elsewhere", "make a directory elsewhere", "remove elsewhere", "move out"):
            assert said[act] == "refused", ran.stdout
        assert (tmp_path / "data.kept").exists() and not (tmp_path / "data.outside").exists()


@pytest.mark.parametrize("level, says", [("best-effort", "confines itself"), ("off", "does not confine itself")])
def test_doctor_says_what_is_in_force(tmp_path, upstream, level, says):
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(with_sandbox(upstream, level)))
    ran = subprocess.run([binary("KEYMOAT_BIN", "keymoat"), "doctor", "--offline", "--json", "--config", str(config)], capture_output=True, text=True, check=False, env=environment(tmp_path))
    found = {f["about"]: f for f in json.loads(ran.stdout)["findings"]}
    assert says in found["sandbox"]["message"], ran.stdout
