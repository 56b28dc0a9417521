"""The other commands: keys and models against a running gateway, doctor, completions, check-config."""

import json
import os
import re
import shutil
import socket
import subprocess

import httpx
import pytest

from support import MASTER_KEY, binary, deployment, environment, standard_config
from test_listener import AUTHORITY, TlsFront, secure

KEY = re.compile(r"sk-[A-Za-z0-9_-]{20,}")


@pytest.fixture
def keymoat(tmp_path):
    """Runs a command: keymoat("keys", "list", …); its environment may be changed."""

    def run(*arguments, env=None, expect=0):
        command = [binary("KEYMOAT_BIN", "keymoat"), *map(str, arguments)]
        home = tmp_path / "elsewhere"
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            command, env=environment(home, env), capture_output=True, text=True, timeout=60, check=False
        )
        assert "panicked" not in done.stderr
        assert done.returncode == expect, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def ask(keymoat, gateway):
    """The same, of the common gateway."""

    def run(*arguments, env=None, expect=0):
        return keymoat(*arguments, env={"KEYMOAT_URL": gateway.url, **(env or {})}, expect=expect)

    return run


def test_a_key_from_birth_to_deletion(ask, gateway):
    limits = ["--alias", "from-the-shell", "--models", "chat-openai,openai/*", "--max-budget", "0.5"]
    limits += ["--budget-duration", "30d", "--rpm-limit", "100", "--tpm-limit", "100000"]
    limits += ["--max-parallel-requests", "4", "--duration", "7d"]
    told = ask("keys", "generate", *limits).stdout
    key = KEY.search(told).group()
    assert "shown once" in told
    assert gateway.chat(key=key).status_code == 200
    assert gateway.chat(key=key, model="chat-anthropic").status_code == 403

    row = json.loads(ask("keys", "info", key, "--json").stdout)["info"]
    assert row["models"] == ["chat-openai", "openai/*"]
    wanted = {"max_budget": 0.5, "budget_duration": "30d", "rpm_limit": 100, "tpm_limit": 100000}
    assert {name: row[name] for name in wanted} == wanted
    assert row["max_parallel_requests"] == 4 and row["expires"] and row["spend"] > 0
    shown = ask("keys", "info", key).stdout
    assert "from-the-shell" in shown and "0.5" in shown and key not in shown

    ask("keys", "update", key, "--max-budget", "0.75")
    row = json.loads(ask("keys", "info", key, "--json").stdout)["info"]
    assert (row["max_budget"], row["rpm_limit"], row["models"]) == (0.75, 100, ["chat-openai", "openai/*"])

    listed = ask("keys", "list", "--size", "100").stdout
    line = next(line for line in listed.splitlines() if "from-the-shell" in line)
    assert "active" in line and key not in listed

    ask("keys", "block", key)
    assert gateway.chat(key=key).status_code == 401
    assert "blocked" in next(x for x in ask("keys", "list", "--size", "100").stdout.splitlines() if "from-the-shell" in x)
    ask("keys", "unblock", key)
    assert gateway.chat(key=key).status_code == 200
    ask("keys", "delete", key)
    assert gateway.chat(key=key).status_code == 401
    assert "from-the-shell" not in ask("keys", "list", "--size", "100").stdout


def test_a_key_may_be_named_by_its_hash(ask, gateway):
    made = json.loads(ask("keys", "generate", "--json").stdout)
    for word, status in (("block", 401), ("unblock", 200)):
        ask("keys", word, made["token"])
        assert gateway.chat(key=made["key"]).status_code == status
    ask("keys", "delete", made["token"])


def test_a_key_is_replaced(ask, gateway):
    old = KEY.search(ask("keys", "generate", "--max-budget", "1").stdout).group()
    told = ask("keys", "regenerate", old).stdout
    new = KEY.search(told).group()
    assert "shown once" in told and new != old
    assert gateway.chat(key=old).status_code == 401
    assert gateway.chat(key=new).status_code == 200


def test_errors_say_what_to_do_and_exit_1(ask, keymoat, gateway):
    told = ask("keys", "info", "sk-nobody-has-this-one", expect=1).stderr
    assert "404" in told and "sk-nobody-has-this-one" not in told
    told = ask("keys", "generate", "--budget-duration", "soon", expect=1).stderr
    assert "budget_duration" in told
    told = ask("keys", "generate", "--max-budget", "much", expect=1).stderr
    assert "--max-budget" in told
    told = ask("keys", "list", env={"LITELLM_MASTER_KEY": "sk-not-the-master-key"}, expect=1).stderr
    assert "401" in told and "sk-not-the-master-key" not in told
    told = ask("keys", "list", env={"LITELLM_MASTER_KEY": None}, expect=1).stderr
    assert "LITELLM_MASTER_KEY" in told and "--key-file" in told
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        told = keymoat("keys", "list", "--url", url, expect=1).stderr
        assert "keymoat serve" in told
    told = keymoat("keys", "list", "--url", "not a url", expect=1).stderr
    assert "--url" in told
    keymoat("keys", expect=2)
    keymoat("keys", "generate", "--no-such-flag", expect=2)


def test_the_key_file_that_serve_made_is_found(keymoat, tmp_path, upstream, own_gateway):
    config = standard_config(upstream.url)
    del config["general_settings"]["master_key"]
    gateway = own_gateway(config, env={"LITELLM_MASTER_KEY": None})
    file = gateway.data / "master_key"
    without = {"LITELLM_MASTER_KEY": None, "KEYMOAT_URL": gateway.url}
    assert "in all" in keymoat("keys", "list", "--key-file", file, env=without).stdout
    assert "in all" in keymoat("keys", "list", env={**without, "KEYMOAT_DATA_DIR": str(gateway.data)}).stdout


def test_a_gateway_behind_a_private_authority_is_asked_over_tls(keymoat, own_gateway, upstream):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"tls": secure("localhost")}}
    gateway = own_gateway(config)
    url = f"https://localhost:{httpx.URL(gateway.url).port}"
    assert "chat-openai" in keymoat("models", "--url", url, "--ca", AUTHORITY).stdout
    told = keymoat("models", "--url", url, expect=1).stderr
    assert "certificate" in told.lower()
    assert MASTER_KEY not in told


def test_models_lists_groups_with_exact_prices(ask):
    told = ask("models").stdout
    line = next(line for line in told.splitlines() if line.startswith("chat-openai"))
    assert "openai" in line and re.search(r"\b1\s+2\b", line), line
    groups = json.loads(ask("models", "--json").stdout)["data"]
    assert {"chat-openai", "chat-anthropic", "embed"} <= {group["model_group"] for group in groups}


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def doctor(keymoat, tmp_path):
    """Findings of a configuration: (verdict, about, message), and the exit status that is expected."""

    def run(config, *flags, expect=0, env=None):
        path = tmp_path / "checked.yaml"
        settings = config.setdefault("keymoat", {})
        settings.setdefault("data_dir", str(tmp_path / "checked-data"))
        settings.setdefault("listen", {}).setdefault("port", free_port())
        path.write_text(json.dumps(config))
        done = keymoat("doctor", "--config", path, "--json", *flags, expect=expect, env=env)
        findings = json.loads(done.stdout)["findings"]
        told = done.stdout + done.stderr
        assert "sk-provider" not in told and MASTER_KEY not in told
        return [(finding["verdict"], finding["about"], finding["message"]) for finding in findings]

    return run


def of(findings, about):
    return [(verdict, message) for verdict, where, message in findings if where == about]


def test_doctor_says_what_is_configured_and_reachable(doctor, upstream):
    upstream.forget()
    findings = doctor(standard_config(upstream.url))
    assert [verdict for verdict, _ in of(findings, "listener")] == ["ok"]
    # Two providers, one origin.
    reached = [message for verdict, _, message in findings if upstream.url in message and verdict == "ok"]
    assert len(reached) == 1 and "answers (501)" in reached[0]
    [asked] = upstream.received()
    assert "authorization" not in asked["headers"] and "x-api-key" not in asked["headers"], "no key is sent"
    assert not [finding for finding in findings if finding[0] == "problem"]
    upstream.forget()
    doctor(standard_config(upstream.url), "--offline")
    assert upstream.received() == []


def test_doctor_finds_what_cannot_be_reached_and_what_is_taken(doctor):
    with socket.socket() as taken, socket.socket() as closed:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        closed.bind(("127.0.0.1", 0))
        config = standard_config(f"http://127.0.0.1:{closed.getsockname()[1]}")
        config["keymoat"] = {"listen": {"port": taken.getsockname()[1]}}
        findings = doctor(config, expect=2)
    [(verdict, message)] = of(findings, "listener")
    assert verdict == "problem" and "running there already" in message
    assert [verdict for verdict, about, _ in findings if verdict == "problem"] == ["problem"] * 2


def test_doctor_names_a_variable_that_moves_a_key_to_another_host(doctor, upstream):
    config = standard_config(upstream.url)
    config["model_list"].append(
        {"model_name": "moved", "litellm_params": {"model": "groq/llama", "api_key": "sk-provider-groq"}}
    )
    env = {"GROQ_API_BASE": "https://elsewhere.example/v1"}
    moved = [finding for finding in doctor(config, "--offline", env=env) if "GROQ_API_BASE" in finding[2]]
    assert moved and moved[0][0] == "risk", moved
    assert "elsewhere.example" in moved[0][2]


def test_doctor_finds_what_is_risky(doctor, upstream, tmp_path):
    open_dir = tmp_path / "open-to-all"
    open_dir.mkdir()
    open_dir.chmod(0o755)
    config = standard_config(upstream.url)
    config["model_list"].append(
        {
            "model_name": "unpriced",
            "litellm_params": {"model": "openai/nobody-knows-me", "api_base": upstream.url, "api_key": "sk-x"},
        }
    )
    config["keymoat"] = {"data_dir": str(open_dir), "listen": {"host": "0.0.0.0"}}
    findings = doctor(config, "--offline", env={"LITELLM_MASTER_KEY": "sk-short"})
    risks = {about: message for verdict, about, message in findings if verdict == "risk"}
    assert "TLS" in risks["listener"]
    assert "20 characters" in risks["master key"] and "sk-short" not in str(findings)
    assert "chmod 700" in risks["data directory"]
    assert "no known price" in risks["unpriced"]


def test_doctor_trusts_the_configured_roots(doctor, tls_provider_url):
    config = standard_config(tls_provider_url)
    assert any("certificate" in message.lower() for verdict, _, message in doctor(config, expect=2) if verdict == "problem")
    config["keymoat"]["egress"] = {"roots": [str(AUTHORITY)]}
    assert not [finding for finding in doctor(config) if finding[0] == "problem"]


@pytest.fixture
def tls_provider_url(upstream):
    front = TlsFront("localhost", upstream.url)
    yield front.url
    front.stop()


def test_doctor_reports_a_broken_file_and_exits_2(keymoat, tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("model_list: 5\n")
    told = keymoat("doctor", "--config", path, expect=2).stdout
    assert "broken.yaml:1:" in told and "1 problems" in told
    assert keymoat("doctor", "--offline", env={"PORT": str(free_port())}).stdout, "the demo needs no file"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_completions_are_made_for_every_shell(keymoat, shell):
    script = keymoat("completions", shell).stdout
    for word in ("serve", "check-config", "doctor", "max-budget"):
        assert word in script
    if shell in ("bash", "zsh", "fish") and shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=20)


def test_bash_completes_what_was_begun(keymoat):
    script = keymoat("completions", "bash").stdout
    asked = 'COMP_WORDS=(keymoat ke); COMP_CWORD=1; _keymoat keymoat ke keymoat; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script + "\n" + asked], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.strip() == "keys"


def test_an_unknown_shell_or_command_is_a_mistake_of_use(keymoat):
    assert "possible values" in keymoat("completions", "csh", expect=2).stderr
    assert "Usage" in keymoat("no-such-command", expect=2).stderr
    assert "Usage" in keymoat(expect=2).stderr
    assert re.match(r"keymoat \d", keymoat("--version").stdout)


def test_every_command_explains_itself(keymoat):
    for command in ("serve", "check-config", "keys", "models", "doctor", "audit", "completions"):
        assert "Usage" in keymoat(command, "--help").stdout


@pytest.mark.parametrize(
    "text,exits,verdict",
    [
        ("model_list: []\n", 0, None),
        ("litellm_settings:\n  drop_params: true\n", 0, "exact"),
        ("litellm_settings:\n  no_such_setting: 1\n", 0, "unsupported"),
        ("litellm_settings:\n  drop_params: perhaps\n", 2, "error"),
        ("model_list: [\n", 2, "error"),
    ],
    ids=["nothing", "exact", "unsupported", "wrong", "broken"],
)
def test_check_config_exits_2_only_where_it_cannot_be_served(keymoat, tmp_path, text, exits, verdict):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    report = json.loads(keymoat("check-config", path, "--json", expect=exits).stdout)
    verdicts = {entry["verdict"] for entry in report["entries"]}
    assert verdict is None or verdict in verdicts, report


def test_check_config_of_no_file_exits_2_and_names_it(keymoat, tmp_path):
    done = keymoat("check-config", tmp_path / "missing.yaml", expect=2)
    assert "missing.yaml" in done.stdout + done.stderr


def test_check_config_shows_no_secret(keymoat, tmp_path):
    path = tmp_path / "config.yaml"
    entry = deployment("a", "openai", "gpt", "http://127.0.0.1:1")
    entry["litellm_params"]["api_key"] = "sk-written-into-the-file"
    path.write_text(json.dumps({"model_list": [entry], "general_settings": {"master_key": "sk-in-the-file-too-0000000"}}))
    for flags in ([], ["--json"]):
        done = keymoat("check-config", path, *flags)
        assert "sk-written" not in done.stdout + done.stderr
        assert "sk-in-the-file" not in done.stdout + done.stderr


def test_a_closed_pipe_is_no_crash():
    command = f"{binary('KEYMOAT_BIN', 'keymoat')} completions bash | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=False, env=os.environ)
    assert "panicked" not in done.stderr
