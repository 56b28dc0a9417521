"""The process itself: the demo without configuration, checks, reload, drain."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time

import httpx
import pytest

from support import MASTER_KEY, Process, binary, deployment, environment, standard_config


def keymoat(folder, *arguments):
    env = environment(folder)
    command = [binary("KEYMOAT_BIN", "keymoat"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)


def wait_until(holds, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.05)


def test_serve_without_any_configuration_answers_the_demo(tmp_path):
    env = environment(tmp_path)
    del env["LITELLM_MASTER_KEY"]
    server = Process([binary("KEYMOAT_BIN", "keymoat"), "serve", "--port", "0"], env)
    try:
        wait_until(lambda: re.search(r"sk-[A-Za-z0-9_-]{20,}", server.output()))
        key = re.search(r"sk-[A-Za-z0-9_-]{20,}", server.output()).group()
        assert "curl" in server.output()
        for stream in (False, True):
            body = {"model": "demo", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
            headers = {"authorization": f"Bearer {key}"}
            answer = httpx.post(server.url + "/v1/chat/completions", json=body, headers=headers, timeout=10)
            assert answer.status_code == 200 and answer.text, answer.text
        assert httpx.get(server.url + "/v1/models").status_code == 401, "nothing is ever open"
        assert server.stop() == 0
        again = Process([binary("KEYMOAT_BIN", "keymoat"), "serve", "--port", "0"], env)
        assert key not in again.output(), "the master key is shown once"
        assert httpx.get(again.url + "/v1/models", headers=headers).status_code == 200
        again.stop()
    finally:
        server.kill()


def test_help_teaches(tmp_path):
    answer = keymoat(tmp_path, "--help")
    assert answer.returncode == 0
    for word in ("serve", "check-config", "doctor", "keys", "models"):
        assert word in answer.stdout


def test_check_config_names_every_key_with_line_and_column(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "model_list:\n"
        "  - model_name: a\n"
        "    litellm_params:\n"
        "      model: openai/gpt-4o\n"
        "      api_key: os.environ/E2E_OPENAI_KEY\n"
        "litellm_settings:\n"
        "  drop_params: true\n"
        "  no_such_setting: 1\n"
    )
    answer = keymoat(tmp_path, "check-config", str(path))
    told = answer.stdout + answer.stderr
    assert "exact" in told
    assert re.search(r"8:3.*no_such_setting|no_such_setting.*8:3", told), told


@pytest.mark.parametrize(
    "text,line",
    [
        ("model_list:\n  - model_name: a\n   bad: indent\n", 3),
        ("model_list: 5\n", 1),
        ("model_list:\n  - litellm_params:\n      model: openai/x\n", 2),
        ("model_list:\n  - model_name: a\n    litellm_params:\n      model: openai/x\n      rpm: many\n", 5),
        ("general_settings: {}\ngeneral_settings: {}\n", 2),
    ],
    ids=["indent", "type", "missing", "number", "duplicate"],
)
def test_a_broken_configuration_is_refused_with_its_line(tmp_path, text, line):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    for command in (["check-config", str(path)], ["serve", "--port", "0", "--config", str(path)]):
        answer = keymoat(tmp_path, *command)
        told = answer.stdout + answer.stderr
        assert answer.returncode != 0
        assert f"config.yaml:{line}:" in told, told
        assert "panicked" not in told


def test_sighup_takes_a_new_file_and_keeps_the_old_one_when_it_is_bad(own_gateway, upstream):
    config = standard_config(upstream.url)
    gateway = own_gateway(config)
    assert gateway.chat(model="newcomer").status_code == 400
    config["model_list"].append(deployment("newcomer", "openai", "gpt-new", upstream.url))
    gateway.write_config(config)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: gateway.chat(model="newcomer").status_code == 200)
    gateway.config_path.write_text("model_list: [\n")
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "config.yaml:" in gateway.output())
    assert gateway.chat(model="newcomer").status_code == 200
    assert gateway.alive()


def test_requests_under_way_survive_a_reload(own_gateway, upstream):
    gateway = own_gateway()
    texts = []
    body = {"model": "openai/gpt-pause-100", "stream": True, "messages": [{"role": "user", "content": "hello " * 5}]}
    worker = threading.Thread(target=lambda: texts.append(gateway.post("/v1/chat/completions", body).text))
    upstream.forget()
    worker.start()
    wait_until(lambda: upstream.received())
    gateway.signal(signal.SIGHUP)
    worker.join()
    assert texts[0].endswith("data: [DONE]\n\n")


def test_sigterm_drains_what_is_under_way_and_takes_nothing_new(own_gateway, upstream):
    gateway = own_gateway()
    texts = []
    body = {"model": "openai/gpt-pause-150", "stream": True, "messages": [{"role": "user", "content": "hello " * 5}]}
    worker = threading.Thread(target=lambda: texts.append(gateway.post("/v1/chat/completions", body).text))
    upstream.forget()
    worker.start()
    wait_until(lambda: upstream.received())
    gateway.signal(signal.SIGTERM)
    worker.join()
    assert texts[0].endswith("data: [DONE]\n\n"), "the stream was cut"
    assert gateway.process.wait(15) == 0
    with pytest.raises(httpx.TransportError):
        gateway.chat()


def test_logs_are_json_without_content_or_secrets(own_gateway):
    gateway = own_gateway()
    key = gateway.new_key()
    gateway.chat(key=key, text="a-very-private-prompt")
    gateway.chat(key="sk-a-wrong-but-private-key")
    assert gateway.stop() == 0
    told = gateway.output()
    for secret in (key, MASTER_KEY, "a-very-private-prompt", "sk-a-wrong-but-private-key", "sk-provider-openai-secret"):
        assert secret not in told
    for line in told.splitlines():
        if line.startswith("{"):
            json.loads(line)


def test_a_second_gateway_on_the_same_data_directory_is_refused_or_safe(own_gateway):
    first = own_gateway()
    try:
        second = own_gateway()
    except AssertionError as refused:
        assert str(first.data) in str(refused) or "lock" in str(refused)
    else:
        assert second.chat().status_code == 200
    assert first.chat().status_code == 200


def test_the_data_directory_is_nobody_elses(own_gateway):
    gateway = own_gateway()
    gateway.new_key()
    for path in [gateway.data, *pathlib.Path(gateway.data).rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"
