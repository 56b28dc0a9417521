"""Starts what the suites talk to: the scripted upstream and the real gateway.

Both print `listening on http://127.0.0.1:PORT`; both die with this process,
because they ask the kernel for it before they run.
"""

import ctypes
import os
import pathlib
import queue
import signal
import ssl
import subprocess
import threading
import time

import httpx
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
MASTER_KEY = "sk-e2e-master"
PROVIDER_KEYS = {"openai": "sk-provider-openai-secret", "anthropic": "sk-ant-provider-secret"}
# Dollars per token; the pretend provider always reports 11 in and 7 out.
PRICE_IN, PRICE_OUT = 0.000001, 0.000002
COST = 11 * PRICE_IN + 7 * PRICE_OUT
START_S = 20
# All is plain HTTP on loopback; one TLS context for all clients, since making one takes 100 ms.
TLS = ssl.create_default_context()
PLAIN = httpx.Client(verify=TLS, timeout=60)


def binary(variable, name):
    path = pathlib.Path(os.environ.get(variable) or ROOT / "target" / "release" / name)
    assert path.exists(), f"{path} is not there; hint: scripts/test --only e2e, or set {variable}"
    return str(path)


def _namespaces_are_refused():
    try:
        ran = subprocess.run([binary("KEYMOAT_BIN", "keymoat"), "run", "-q", "--", "true"], capture_output=True, text=True)
    except AssertionError:
        return False  # the suites say it better
    return "allows no user namespaces" in ran.stderr


# A container may forbid what a sandbox is made of.
needs_namespaces = pytest.mark.skipif(_namespaces_are_refused(), reason="this system allows no user namespaces")


def _die_with_parent():
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Process:
    """A server as a child process: its URL, its output, its end."""

    def __init__(self, command, env=None, restore_signals=True):
        self.lines = []
        self._url = queue.Queue()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=env,
            text=True,
            errors="replace",
            preexec_fn=_die_with_parent,
            restore_signals=restore_signals,
        )
        threading.Thread(target=self._read, daemon=True).start()
        try:
            self.url = self._url.get(timeout=START_S)
        except queue.Empty:
            self.url = None
        if self.url is None:
            self.kill()
            raise AssertionError(f"{command} did not start:\n" + self.output())

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if "listening on http" in line:
                self._url.put("http" + line.split("listening on http", 1)[1].split()[0].rstrip('",'))
        self._url.put(None)

    def output(self):
        return "".join(self.lines)

    def alive(self):
        return self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s=15):
        """SIGTERM, then the exit status."""
        if self.alive():
            self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("did not end on SIGTERM:\n" + self.output()) from None

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Upstream(Process):
    """`testkit-upstream`: the pretend provider, or recordings, or chaos."""

    def __init__(self, *arguments):
        super().__init__([binary("TESTKIT_UPSTREAM_BIN", "testkit-upstream"), "--port", "0", *map(str, arguments)])

    def received(self):
        """Requests so far: method, path, headers (lower-case names), body (bytes)."""
        answer = PLAIN.get(self.url + "/_testkit/received").json()
        return [
            {
                "method": r["method"],
                "path": r["path"],
                "headers": {name.lower(): value for name, value in r["headers"]},
                "body": bytes.fromhex(r["body_hex"]),
            }
            for r in answer
        ]

    def forget(self):
        PLAIN.post(self.url + "/_testkit/forget").raise_for_status()


class Gateway(Process):
    """`keymoat serve` on a folder that survives restarts."""

    def __init__(self, folder, config, arguments=(), env=None, **options):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.config_path = self.folder / "config.yaml"
        self.config = config
        self.write_config(config)
        command = [binary("KEYMOAT_BIN", "keymoat"), "serve", "--config", str(self.config_path), "--port", "0"]
        super().__init__([*command, *arguments], environment(self.folder, env), **options)

    def write_config(self, config):
        config = dict(config)
        config["keymoat"] = {"data_dir": str(self.data), **config.get("keymoat", {})}
        text = yaml.safe_dump(config, sort_keys=False)
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.config_path)

    def again(self):
        """A new process on the same folder."""
        return Gateway(self.folder, self.config)

    def http(self, key=MASTER_KEY, headers=None):
        authorization = {"authorization": f"Bearer {key}"} if key else {}
        headers = {**authorization, **(headers or {})}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, verify=TLS)

    def post(self, path, body, key=MASTER_KEY, **options):
        with self.http(key) as client:
            return client.post(path, json=body, **options)

    def get(self, path, key=MASTER_KEY, **options):
        with self.http(key) as client:
            return client.get(path, **options)

    def new_key(self, **fields):
        answer = self.post("/key/generate", fields)
        assert answer.status_code == 200, answer.text
        return answer.json()["key"]

    def records(self, **filters):
        """All spend records, page by page, newest first."""
        found = []
        while True:
            answer = self.get("/spend/logs", params={**filters, "offset": len(found)})
            assert answer.status_code == 200, answer.text
            found += answer.json()
            if "x-keymoat-more" not in answer.headers:
                return found

    def settled_records(self, count, **filters):
        """Waits until there are `count` records: those of clients that left come a little later."""
        deadline = time.monotonic() + 20
        while len(rows := self.records(**filters)) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return rows

    def spend_of(self, key):
        answer = self.get("/key/info", params={"key": key})
        assert answer.status_code == 200, answer.text
        return answer.json()["info"]["spend"]

    def chat(self, key=MASTER_KEY, model="chat-openai", text="hello", **fields):
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.post("/v1/chat/completions", body, key)


def by_call(rows):
    """Records of each call, by its id: attempts from 0 without a gap, none twice, one end at most."""
    calls = {}
    for row in rows:
        calls.setdefault(row["request_id"], []).append(row)
    for call_id, attempts in calls.items():
        attempts.sort(key=lambda row: row["metadata"]["attempt"])
        numbers = [row["metadata"]["attempt"] for row in attempts]
        assert numbers == list(range(len(numbers))), f"{call_id}: attempts {numbers}"
        own = {row["metadata"]["record_id"].split(".")[0] for row in attempts}
        assert len(own) == 1, f"{call_id} is the id of {len(own)} calls"
        assert all(row["status"] == "failure" for row in attempts[:-1]), f"{call_id}: an attempt after a success"
    ids = [row["metadata"]["record_id"] for row in rows]
    assert len(ids) == len(set(ids)), "a record stands twice"
    return calls


def early_in_the_minute():
    """Rates are counted by the clock's minute: a test of them must not see it turn."""
    late = time.time() % 60 - 50
    if late > 0:
        time.sleep(10 - late)


def environment(folder, extra=None):
    """A clean environment: what the gateway reads is what a test gives it; `None` takes away."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    home = pathlib.Path(folder) / "home"
    home.mkdir(exist_ok=True)
    keys = {f"E2E_{name.upper()}_KEY": value for name, value in PROVIDER_KEYS.items()}
    given = {**kept, "HOME": str(home), "LITELLM_MASTER_KEY": MASTER_KEY, **keys, **(extra or {})}
    return {name: value for name, value in given.items() if value is not None}


def deployment(group, provider, model, base, **params):
    return {
        "model_name": group,
        "litellm_params": {
            "model": f"{provider}/{model}",
            "api_base": base + ("/v1" if provider == "openai" else ""),
            "api_key": f"os.environ/E2E_{provider.upper()}_KEY",
            "input_cost_per_token": PRICE_IN,
            "output_cost_per_token": PRICE_OUT,
            **params,
        },
    }


def standard_config(base):
    """One group for each dialect, wildcards to reach any misfortune, no retries."""
    return {
        "model_list": [
            deployment("chat-openai", "openai", "gpt-pretend", base),
            deployment("chat-anthropic", "anthropic", "claude-pretend", base),
            deployment("embed", "openai", "embed-pretend", base),
            deployment("openai/*", "openai", "*", base),
            deployment("anthropic/*", "anthropic", "*", base),
            deployment("breaks", "openai", "gpt-error-500", base),
        ],
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "litellm_settings": {"num_retries": 0, "fallbacks": [{"breaks": ["chat-openai"]}]},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }


def long_form(name):
    return name in os.environ.get("KEYMOAT_LONG", "").split(",")
