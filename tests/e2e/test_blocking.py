"""What blocks must freeze nothing: a log that nobody reads, files that do not answer."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest
import yaml

from support import MASTER_KEY, PLAIN, binary, environment, standard_config
from test_process import keymoat, wait_until

FLOOD = 4000


class FullPipe:
    """A pipe that takes no byte more."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"x" * 4096)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writer, b"x")
        os.set_blocking(self.writer, True)

    def fileno(self):
        return self.writer


class Unread:
    """A gateway whose output goes wherever it is told, and is not read on the way."""

    def __init__(self, folder, upstream, stdout, stderr):
        config = standard_config(upstream.url)
        config["keymoat"] = {"data_dir": str(folder / "data"), "log": {"format": "json"}}
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [binary("KEYMOAT_BIN", "keymoat"), "serve", "--config", str(path), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment(folder))
        wait_until(self.is_live, 20)

    def is_live(self):
        try:
            return PLAIN.get(self.url + "/health/liveliness", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def refuse(self, count):
        """So many requests with a key that nobody knows, from eight clients."""
        failed = []

        def some():
            with httpx.Client(base_url=self.url, timeout=10, headers={"authorization": "Bearer sk-wrong"}) as client:
                for _ in range(count // 8):
                    try:
                        assert client.post("/v1/chat/completions").status_code == 401
                    except (httpx.TransportError, AssertionError) as problem:
                        failed.append(problem)

        threads = [threading.Thread(target=some) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed, failed[:3]


@pytest.mark.parametrize("stdout", ["read", "full"])
def test_a_log_that_nobody_reads_freezes_nothing(tmp_path, upstream, stdout):
    full = FullPipe()
    gateway = Unread(tmp_path, upstream, full if stdout == "full" else subprocess.DEVNULL, full)
    try:
        gateway.refuse(FLOOD)
        assert gateway.is_live()
        body = {"model": "chat-openai", "messages": [{"role": "user", "content": "hello"}]}
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        answer = PLAIN.post(gateway.url + "/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        gateway.process.terminate()
        assert gateway.process.wait(15) == 0, "it ends although nobody reads its log"
    finally:
        gateway.process.kill()


def test_refusals_do_not_flood_the_log_and_none_is_uncounted(tmp_path, upstream):
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        gateway = Unread(tmp_path, upstream, subprocess.DEVNULL, stderr)
    try:
        gateway.refuse(FLOOD)
        metrics = PLAIN.get(gateway.url + "/metrics", headers={"authorization": f"Bearer {MASTER_KEY}"}).text
        assert "keymoat_log_lines_dropped_total 0.0" in metrics
        gateway.process.terminate()
        assert gateway.process.wait(15) == 0
    finally:
        gateway.process.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    refused = [line for line in lines if line.get("message") == "refused"]
    left_out = [line["lines"] for line in lines if line.get("like") == "refused"]
    assert 100 <= len(refused) < FLOOD / 2, len(refused)
    assert len(refused) + sum(left_out) == FLOOD


def included(own_gateway, upstream, tmp_path):
    models = tmp_path / "models.yaml"
    models.write_text("model_list: []\n")
    return own_gateway({**standard_config(upstream.url), "include": ["models.yaml"]}), models


def test_a_pipe_in_the_place_of_a_file_is_refused_by_name_and_freezes_nothing(own_gateway, upstream, tmp_path):
    gateway, models = included(own_gateway, upstream, tmp_path)
    models.unlink()
    os.mkfifo(models)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "named pipe" in gateway.output())
    assert "the old one stays" in gateway.output()
    started = time.monotonic()
    for _ in range(40):
        assert gateway.chat().status_code == 200
    assert gateway.get("/health/liveliness").status_code == 200
    assert time.monotonic() - started < 10
    for command in ["check-config", "doctor"]:
        arguments = [command] + (["--offline", "--config"] if command == "doctor" else []) + [str(gateway.config_path)]
        answer = keymoat(tmp_path, *arguments)
        assert answer.returncode == 2, answer
        assert "named pipe" in answer.stdout + answer.stderr
    models.unlink()
    models.write_text("model_list: []\n")
    wait_until(lambda: "was taken over" in gateway.output())
    assert gateway.stop() == 0


@pytest.mark.parametrize("main", [True, False], ids=["main", "tls"])
def test_special_files_are_refused_at_the_start(tmp_path, upstream, main):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    path = pipe
    if not main:
        path = tmp_path / "config.yaml"
        config = standard_config(upstream.url)
        config["keymoat"] = {"listen": {"tls": {"cert": str(pipe), "key": str(pipe)}}}
        path.write_text(yaml.safe_dump(config))
    for command in (["check-config", str(path)], ["serve", "--port", "0", "--config", str(path)]):
        answer = keymoat(tmp_path, *command)
        assert answer.returncode == 2, answer
        assert "named pipe (FIFO), not a regular file" in answer.stdout + answer.stderr


def test_a_change_is_noticed_with_the_same_size_and_time_stamp(own_gateway, upstream, tmp_path):
    gateway, models = included(own_gateway, upstream, tmp_path)

    def write(group):
        entry = {"model": "openai/x", "api_base": upstream.url + "/v1", "api_key": "sk-some-key-of-ours"}
        models.write_text(json.dumps({"model_list": [{"model_name": group, "litellm_params": entry}]}))
        os.utime(models, (1_700_000_000, 1_700_000_000))

    write("one")
    wait_until(lambda: gateway.chat(model="one").status_code == 200)
    write("two")
    wait_until(lambda: gateway.chat(model="two").status_code == 200)
    assert gateway.chat(model="one").status_code == 400


def test_a_file_that_was_missing_is_noticed_when_it_comes(own_gateway, upstream, tmp_path):
    """Files of a refused configuration are watched too."""
    gateway, _ = included(own_gateway, upstream, tmp_path)
    config = {**standard_config(upstream.url), "include": ["later.yaml"]}
    gateway.write_config(config)
    wait_until(lambda: "there is no such file" in gateway.output())
    (tmp_path / "later.yaml").write_text("model_list: []\n")
    wait_until(lambda: "was taken over" in gateway.output())


def test_check_config_finds_what_a_reload_would_refuse(own_gateway, upstream, tmp_path):
    config = standard_config(upstream.url)
    gateway = own_gateway(config)
    # Longer than any budget can last: found when the budget is built.
    config["litellm_settings"] |= {"max_budget": 1, "budget_duration": "40000d"}
    gateway.write_config(config)
    answer = keymoat(tmp_path, "check-config", str(gateway.config_path))
    assert answer.returncode == 2, answer.stdout
    assert "budget_duration" in answer.stdout
    answer = keymoat(tmp_path, "check-config", "--json", str(gateway.config_path))
    assert answer.returncode == 2
    assert any(entry["verdict"] == "error" for entry in json.loads(answer.stdout)["entries"])
