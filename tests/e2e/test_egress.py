"""`keymoat egress`: applications behind one proxy, each with its own rules; what its logs are good for."""

import base64
import contextlib
import hashlib
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from support import ROOT, Process, binary

KEYMOAT = binary("KEYMOAT_BIN", "keymoat")
TOKENS = {"shop": "token-of-shop", "batch": "token-of-batch"}


@pytest.fixture(scope="module")
def server():
    """TLS on loopback by the name `localhost`, which swallows what it is sent and says `hello` first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    testdata = ROOT / "crates/egress/testdata"
    context.load_cert_chain(testdata / "localhost.pem", testdata / "localhost.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def talk(stream):
        with contextlib.suppress(OSError), context.wrap_socket(stream, server_side=True) as secure:
            secure.sendall(b"hello")
            while secure.recv(65536):
                pass

    def accept():
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


class Egress(Process):
    def __init__(self, folder, apps):
        self.folder, self.policy = folder, folder / "policy.toml"
        self.write(apps)
        super().__init__([KEYMOAT, "egress", "serve", "--policy", str(self.policy)])
        self.address = ("127.0.0.1", int(self.url.rsplit(":", 1)[1].rstrip(";")))

    def write(self, apps):
        text = f'listen = "127.0.0.1:0"\nlog = "{self.folder}/log"\n'
        for name, more in apps.items():
            text += f'[[app]]\nname = "{name}"\ntoken_sha256 = "{hashlib.sha256(TOKENS[name].encode()).hexdigest()}"\n{more}\n'
        self.policy.write_text(text)

    def logs(self):
        return sorted(self.folder.glob("log/*.jsonl"))

    def decisions(self):
        return [json.loads(line) for log in self.logs() for line in log.read_text().splitlines()]

    def said(self, text, timeout_s=5):
        deadline = time.monotonic() + timeout_s
        while text not in self.output() and time.monotonic() < deadline:
            time.sleep(0.02)
        return text in self.output()


@pytest.fixture
def egress(tmp_path):
    started = []

    def start(**apps):
        started.append(Egress(tmp_path, apps))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        assert "panicked" not in process.output(), process.output()


def connect(egress, target, app="shop", token=None):
    """The status of a CONNECT, and the socket."""
    stream = socket.create_connection(egress.address, timeout=10)
    head = f"CONNECT {target} HTTP/1.1\r\n"
    if app:
        credentials = base64.b64encode(f"{app}:{token or TOKENS[app]}".encode()).decode()
        head += f"Proxy-Authorization: Basic {credentials}\r\n"
    stream.sendall(head.encode() + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer and (piece := stream.recv(4096)):
        answer += piece
    return int(answer.split()[1]), stream


def secure(stream):
    context = ssl.create_default_context(cafile=str(ROOT / "crates/egress/testdata/authority.pem"))
    return context.wrap_socket(stream, server_hostname="localhost")


def allow(server, *more):
    rules = [f"localhost:{server}@127.0.0.0/8,::1", *more]
    return "allow = [" + ", ".join(f'"{rule}"' for rule in rules) + "]"


def test_each_application_has_its_own_rules(egress, server):
    proxy = egress(shop=allow(server), batch="allow = []")
    status, stream = connect(proxy, f"localhost:{server}")
    assert status == 200
    with secure(stream) as tunnel:
        assert tunnel.recv(100) == b"hello"
    assert connect(proxy, f"localhost:{server}", app="batch")[0] == 403
    assert connect(proxy, f"localhost:{server}", app=None)[0] == 407
    assert connect(proxy, f"localhost:{server}", token="wrong")[0] == 407
    assert proxy.said(f"alert: batch tried to reach localhost:{server}: not allowed")
    verdicts = [(d.get("app"), d["verdict"], d.get("reason")) for d in proxy.decisions()]
    assert ("shop", "allowed", None) in verdicts and ("batch", "refused", "not allowed") in verdicts
    assert (None, "refused", "unknown application") in verdicts


def test_a_token_is_made_for_the_policy_and_the_application(egress, server, tmp_path):
    made = subprocess.run([KEYMOAT, "egress", "token", "shop"], capture_output=True, text=True, check=True).stdout
    token = made.split("http://shop:")[1].split("@")[0]
    assert f'token_sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"' in made and len(token) == 64


@pytest.mark.parametrize("mode", ["observe", "report", "enforce"])
def test_modes(egress, server, mode):
    proxy = egress(shop=f'mode = "{mode}"\nallow = ["other.example"]')
    # An address of the loopback needs a rule in every mode; the list does not have this host.
    assert connect(proxy, f"localhost:{server}")[0] == 403
    # The name does not exist: who is asked for it at all finds that out.
    assert connect(proxy, "unknown.invalid:443")[0] == (403 if mode == "enforce" else 502)
    assert connect(proxy, "api.openai.com:443")[0] == 403
    assert connect(proxy, "93.184.216.34:443")[0] == 400


def test_a_changed_policy_cuts_what_it_no_longer_allows(egress, server):
    proxy = egress(shop=allow(server), batch=allow(server))
    tunnels = [secure(connect(proxy, f"localhost:{server}", app=app)[1]) for app in TOKENS]
    assert [tunnel.recv(100) for tunnel in tunnels] == [b"hello", b"hello"]
    proxy.write({"shop": "allow = []", "batch": allow(server)})
    proxy.signal(signal.SIGHUP)
    assert proxy.said("policy was read again")
    tunnels[0].settimeout(5)
    with contextlib.suppress(OSError):
        assert tunnels[0].recv(100) == b""
    tunnels[1].sendall(b"still there")
    assert connect(proxy, f"localhost:{server}")[0] == 403
    assert [d["reason"] for d in proxy.decisions() if d["verdict"] == "closed"] == ["policy changed"]
    proxy.policy.write_text("nonsense")
    proxy.signal(signal.SIGHUP)
    assert proxy.said("stays as it was")
    assert connect(proxy, f"localhost:{server}", app="batch")[0] == 200


def test_an_upload_budget_is_not_exceeded_over_several_tunnels(egress, server):
    proxy = egress(shop=allow(server) + "\nupload_max_bytes = 100000")
    sent = 0
    for _ in range(4):
        status, stream = connect(proxy, f"localhost:{server}")
        assert status == 200
        with contextlib.suppress(OSError), secure(stream) as tunnel:
            for _ in range(6):
                tunnel.sendall(b"x" * 10000)
                time.sleep(0.01)
            tunnel.unwrap()
    deadline = time.monotonic() + 10
    while sum(d["verdict"] == "closed" for d in proxy.decisions()) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    closed = [d for d in proxy.decisions() if d["verdict"] == "closed"]
    sent = sum(d["bytes_up"] for d in closed)
    assert 50_000 < sent <= 100_000 and any(d.get("reason") == "upload budget used up" for d in closed)


def test_a_policy_is_learnt_and_the_past_is_searched(egress, server, tmp_path):
    proxy = egress(shop=allow(server), batch="allow = []")
    with secure(connect(proxy, f"localhost:{server}")[1]) as tunnel:
        tunnel.recv(100)
    connect(proxy, "models.bad.example:443", app="batch")
    assert proxy.said("models.bad.example")
    proxy.stop()
    logs = [str(log) for log in proxy.logs()]
    learnt = subprocess.run([KEYMOAT, "egress", "learn", *logs], capture_output=True, text=True, check=True).stdout
    assert learnt.startswith(f'# shop\nallow = [\n  "localhost:{server}", # 1 connections')
    bad = tmp_path / "bad.txt"
    bad.write_text("bad[.]example\n")
    hunt = subprocess.run([KEYMOAT, "egress", "hunt", "--bad", str(bad), *logs], capture_output=True, text=True, check=False)
    assert hunt.returncode == 1 and "models.bad.example:443" in hunt.stdout and "batch" in hunt.stdout
    bad.write_text("other.example\n")
    assert subprocess.run([KEYMOAT, "egress", "hunt", "--bad", str(bad), *logs], capture_output=True, check=False).returncode == 0
    text = proxy.logs()[0].read_text()
    proxy.logs()[0].write_text(text.replace("models.bad", "models.fine", 1))
    hunt = subprocess.run([KEYMOAT, "egress", "hunt", "--bad", str(bad), *logs], capture_output=True, text=True, check=False)
    assert hunt.returncode == 2 and "continue the chain" in hunt.stderr


@pytest.mark.parametrize("policy", ["", "log = 1", 'log = "/x"\n[[app]]\nname = "a"\ntoken_sha256 = "b"', 'log = "/x"\nalow = []'])
def test_a_policy_that_is_not_understood_is_refused(tmp_path, policy):
    file = tmp_path / "policy.toml"
    file.write_text(policy)
    ran = subprocess.run([KEYMOAT, "egress", "serve", "--policy", str(file)], capture_output=True, text=True, timeout=20, check=False)
    assert ran.returncode == 2 and "policy.toml" in ran.stderr
