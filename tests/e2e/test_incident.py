"""An incident, from open to a report, on a gateway that serves: as somebody does it who was woken up."""

import json
import os
import re
import stat
import subprocess

import pytest

from support import MASTER_KEY, PROVIDER_KEYS, binary, environment

# Keys of nobody, of the shape that real ones have.
OPENAI = "sk-proj-" + "7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy"
ANTHROPIC = "sk-ant-api03-" + "Vw4Tz8Kp1Nf6Rb3Xq9Lm2Hc7Jd5Gs0YaEuBiOxTkWn" * 2
LAUNCHER = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])\n"


def victim(home):
    """A laptop on which litellm 1.82.8 was installed: its name, its start-up file, none of its code."""
    shop = home / "src/shop"
    site = shop / ".venv/lib/python3.12/site-packages"
    own = site / "litellm-1.82.8.dist-info"
    own.mkdir(parents=True)
    (own / "METADATA").write_text("Metadata-Version: 2.1\nName: litellm\nVersion: 1.82.8\n\n")
    (own / "RECORD").write_text("litellm_init.pth,,\nlitellm-1.82.8.dist-info/METADATA,,\n")
    (site / "litellm_init.pth").write_text(LAUNCHER)
    (shop / ".env").write_text(f"OPENAI_API_KEY={OPENAI}\nANTHROPIC_API_KEY={ANTHROPIC}\n")
    (shop / "requirements.txt").write_text("litellm>=1.80\n")
    (home / ".config/sysmon").mkdir(parents=True)
    (home / ".config/sysmon/sysmon.py").write_text("")
    (home / ".ssh").mkdir()
    (home / ".ssh/id_ed25519").write_text("a private key\n")
    return shop


@pytest.fixture
def incident(own_gateway, tmp_path):
    """The gateway, and `keymoat incident …` beside it."""
    gateway = own_gateway()
    home = tmp_path / "laptop"
    home.mkdir()
    base = environment(tmp_path, {"HOME": str(home), "KEYMOAT_DATA_DIR": str(gateway.data)})

    def run(*arguments, expect=0, env=None):
        given = {**base, "KEYMOAT_URL": gateway.url, **(env or {})}
        command = [binary("KEYMOAT_BIN", "keymoat"), *map(str, arguments)]
        done = subprocess.run(command, env=given, cwd=home, capture_output=True, text=True, timeout=120, check=False)
        told = done.stdout + done.stderr
        assert "panicked" not in told
        assert done.returncode == expect, f"{arguments}: {done.returncode}\n{told}"
        for secret in [OPENAI, ANTHROPIC, MASTER_KEY, *PROVIDER_KEYS.values()]:
            assert secret not in told, arguments
        return told

    run.gateway, run.home = gateway, home
    return run


def step(plan, words):
    """The number of the step with these words, and whether it is ticked."""
    row = next(row for row in plan.splitlines() if words in row)
    number = re.match(r"- \[(.)\] (\d+)\.", row)
    return int(number.group(2)), number.group(1) == "x"


def test_an_incident_from_open_to_a_report_that_can_be_published(incident):
    gateway = incident.gateway
    shop = victim(incident.home)
    keys = {alias: gateway.new_key(key_alias=alias, max_budget=5) for alias in ("shop", "search")}
    decoy = incident("canary", "new", "--file", incident.home / ".env.old", "--alias", "decoy")
    assert "decoy" in decoy
    stolen = re.search(r"sk-\S+", (incident.home / ".env.old").read_text()).group()
    for key in keys.values():
        assert gateway.chat(key=key).status_code == 200
    assert gateway.chat(key=stolen).status_code == 401
    gateway.settled_records(3)

    told = incident("incident", "open", "--advisory", "MAL-2026-2144")
    assert "keymoat incident contain --all" in told, "it says what comes next"
    state = next((gateway.data / "guard/incidents").glob("*.json"))
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600

    # Contain: what is frozen is refused by the gateway at once.
    told = json.loads(incident("incident", "contain", "--all", "--json"))
    assert (told["frozen"], told["held"]) == (2, 2) and told["through"].endswith(gateway.url)
    for key in keys.values():
        answer = gateway.chat(key=key)
        assert answer.status_code == 401 and "blocked" in answer.text
    assert gateway.chat().status_code == 200, "the administrator is not locked out"
    assert "0 virtual keys frozen now" in incident("incident", "contain", "--key", "shop")
    assert "is a decoy" in incident("incident", "contain", "--key", "decoy", expect=1)
    assert "nothing was frozen" in incident("incident", "contain", "--key", "nobody", expect=1)

    # Lifted: let in again; then one alone.
    assert "2 virtual keys let in again" in incident("incident", "contain", "--lift")
    assert all(gateway.chat(key=key).status_code == 200 for key in keys.values())
    assert "frozen nothing" in incident("incident", "contain", "--lift", expect=1)
    incident("incident", "contain", "--key", "shop")
    assert [gateway.chat(key=keys[alias]).status_code for alias in ("shop", "search")] == [401, 200]
    incident("incident", "contain", "--all")
    assert gateway.chat(key=keys["search"]).status_code == 401
    gateway.settled_records(7)

    assert "1 place" in incident("incident", "scope", shop.parent)
    incident("incident", "exposure", shop.parent)
    assert "used" in incident("incident", "use")

    plan = incident("incident", "rotate")
    assert step(plan, "Freeze the virtual keys")[1]
    number, _ = step(plan, "Replace an OpenAI key")
    assert "must wait" in incident("incident", "rotate", "--done", number, expect=1)
    before = [part for part in plan.split("\n\n") if part.startswith(("Isolate", "Remove"))]
    ready = [x for x in re.findall(r"- \[ \] (\d+)\.", "\n\n".join(before))]
    arguments = [word for x in ready for word in ("--done", x)]
    incident("incident", "rotate", *arguments)
    plan = incident("incident", "rotate", "--done", number)
    assert step(plan, "Replace an OpenAI key")[1]
    assert step(plan, "new master key"), "what the gateway holds lay beside the bad release"

    incident("incident", "claim", "confirmed", "--why", "it was installed in the shop's environment")
    report_file = incident.home / "incident.md"
    incident("incident", "report", "--output", report_file)
    report = report_file.read_text()
    facts = [
        "**We were affected.**",
        "litellm 1.82.7 and 1.82.8",
        "2026-03-24 10:39:00** to **2026-03-24 16:00:00",
        "contradicts the index",
        "| litellm 1.82.8 | installed |",
        "came to",  # it was installed after the window: said, and not smoothed over
        "sysmon.py",
        "litellm\\_init.pth",
        "an OpenAI key (sk-proj-…, fingerprint ",
        "an Anthropic key (sk-ant-api03-…, fingerprint ",
        "id_ed25519",
        "**The gateway's own keys:** readable",
        "decoy is a canary: it was used once, from 127.0.0.1",
        "| shop |",
        "2 virtual keys",
        "| confirmed | it was installed in the shop's environment |",
        "there is no egress log",
        "read it before you publish it",
    ]
    for fact in facts:
        assert fact in report, f"{fact} is not in:\n{report}"
    headings = re.findall(r"^## (.*)", report, re.MULTILINE)
    assert len(headings) == len(set(headings)) >= 9
    times = re.findall(r"^\| (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \|", report.split("## Timeline (UTC)")[1].split("##")[0], re.MULTILINE)
    assert len(times) > 10 and times == sorted(times)
    whole = json.loads(incident("incident", "report", "--json"))
    assert [claim["standing"] for claim in whole["claims"]] == ["suspected", "confirmed"]
    for text in (report, state.read_text()):
        for secret in [OPENAI, ANTHROPIC, MASTER_KEY, stolen, *keys.values(), *PROVIDER_KEYS.values()]:
            assert secret not in text


def test_a_gateway_elsewhere_is_named_and_its_copy_is_read(incident, tmp_path):
    gateway = incident.gateway
    key = gateway.new_key(key_alias="shop")
    assert gateway.chat(key=key).status_code == 200
    gateway.settled_records(1)
    nowhere = {"KEYMOAT_URL": "http://127.0.0.1:9"}
    incident("incident", "open", "--package", "litellm", "--versions", "1.82.7", "1.82.8")
    told = incident("incident", "contain", "--all", env=nowhere, expect=1)
    assert "--url" in told and "stop it" not in told, "nobody should stop the gateway that must refuse the keys"
    assert gateway.chat(key=key).status_code == 200
    laptop = {"KEYMOAT_DATA_DIR": str(tmp_path / "laptop-data")}
    incident("incident", "open", "--package", "litellm", "--versions", "1.82.7", env=laptop)
    assert "--data" in incident("incident", "use", env=laptop, expect=1)
    assert "1 key used" in incident("incident", "use", "--data", gateway.data, env=laptop)
    incident("incident", "contain", "--all", env=laptop)
    assert gateway.chat(key=key).status_code == 401
    # The gateway ends; its database is asked in its place, and it comes back with what was done.
    gateway.stop()
    told = incident("incident", "contain", "--lift", "--url", "http://127.0.0.1:9", env=laptop, expect=1)
    assert "no database" in told
    both = {**nowhere, "KEYMOAT_DATA_DIR": str(gateway.data)}
    told = incident("incident", "contain", "--all", env=both)
    assert "the database in" in told and "0 virtual keys frozen now" in told and "1 virtual key refused before already" in told


def to_a_list(run, most):
    """Every command but the first is the one that the `Next:` line before it names; the last answer."""
    command, given = ["audit"], []
    while True:
        told = run(*command, expect=1 if command == ["audit"] else 0)
        given.append(" ".join(command))
        following = re.findall(r"^Next: `keymoat (.*)`$", told, re.MULTILINE)
        assert len(following) == 1, f"{given}: one command comes next\n{told}"
        if command == ["incident", "rotate"]:
            assert following[0].startswith("incident rotate --done ")
            assert len(given) <= most, given
            return told, given
        command = following[0].split()


def test_from_is_it_us_to_the_list_by_what_each_answer_names(incident, tmp_path):
    shop = victim(incident.home)
    incident.gateway.new_key(key_alias="shop")

    def run(*arguments, expect=0, env=None):
        command = [binary("KEYMOAT_BIN", "keymoat"), *arguments]
        base = environment(tmp_path, {"HOME": str(incident.home), "KEYMOAT_URL": incident.gateway.url, **env})
        done = subprocess.run(command, env=base, cwd=shop, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == expect, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    # With a gateway on this machine: its keys are frozen and its records looked through.
    here = {"KEYMOAT_DATA_DIR": str(incident.gateway.data)}
    plan, given = to_a_list(lambda *a, expect: run(*a, expect=expect, env=here), 7)
    assert given[2] == "incident contain --all" and given[-2] == "incident use"
    assert step(plan, "Freeze the virtual keys")[1]

    # Without one, nothing is asked that only a gateway could answer.
    alone = {"KEYMOAT_DATA_DIR": str(tmp_path / "no-gateway")}
    plan, given = to_a_list(lambda *a, expect: run(*a, expect=expect, env=alone), 5)
    assert given[-1] == "incident rotate" and not any("contain" in command for command in given)
    for words in ("Replace an OpenAI key", "Replace an Anthropic key"):
        row = next(row for row in plan.splitlines() if words in row)
        assert f"{shop}/.env:" in row or ".env:" in row, f"the file is named: {row}"

    # Each box that need not wait is named in turn, up to the report.
    for _ in range(60):
        following = re.findall(r"^Next: `keymoat (incident .*)`$", plan, re.MULTILINE)[-1]
        if following == "incident report":
            break
        words = ["claim", "confirmed", "--why", "read the report"] if " claim " in following else following.split()[1:]
        plan = run("incident", *words, env=alone)
    assert following == "incident report"
