"""The listener: TLS, HTTP/2, whom it believes about addresses; and TLS towards a provider."""

import asyncio
import contextlib
import http.server
import json
import re
import socket
import ssl
import threading

import httpx
import pytest

from support import MASTER_KEY, PLAIN, ROOT, deployment, standard_config
from test_process import wait_until

TESTDATA = ROOT / "crates" / "egress" / "testdata"
AUTHORITY = TESTDATA / "authority.pem"
HELLO = {"model": "chat-openai", "messages": [{"role": "user", "content": "hello"}]}


def secure(name):
    return {"cert": str(TESTDATA / f"{name}.pem"), "key": str(TESTDATA / f"{name}.key")}


def client_of(gateway, key=MASTER_KEY, kind=httpx.Client, **options):
    """Over TLS, by the name in the certificate, trusting only the test authority."""
    port = httpx.URL(gateway.url).port
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    return kind(
        base_url=f"https://localhost:{port}",
        headers={"authorization": f"Bearer {key}"} if key else {},
        verify=context,
        timeout=30,
        **options,
    )


@pytest.fixture
def tls_gateway(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"tls": secure("localhost")}}
    return own_gateway(config)


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_tls_serves_both_versions_of_http(tls_gateway, http2):
    assert tls_gateway.url.startswith("https://")
    with client_of(tls_gateway, http2=http2) as client:
        unary = client.post("/v1/chat/completions", json=HELLO)
        assert unary.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
        assert unary.status_code == 200 and unary.json()["choices"][0]["message"]["content"] == "You said: hello"
        streamed = client.post("/v1/chat/completions", json={**HELLO, "stream": True})
        assert streamed.text.endswith("data: [DONE]\n\n")
        refused = client.post("/v1/chat/completions", json=HELLO, headers={"authorization": "Bearer sk-wrong"})
        assert refused.status_code == 401
        assert client.post("/v1/messages", json={**HELLO, "max_tokens": 9}).status_code == 200
        assert client.get("/v1/models").status_code == 200
        assert client.get("/health/readiness").status_code == 200


def test_many_streams_share_one_http2_connection(tls_gateway):
    # One thread: httpx gives threads that share a connection the same stream id now and then.
    async def ask_all():
        async with client_of(
            tls_gateway, kind=httpx.AsyncClient, http2=True, limits=httpx.Limits(max_connections=1)
        ) as client:
            await client.get("/health/liveliness")

            async def ask(number):
                said = [{"role": "user", "content": f"I am {number}"}]
                body = {**HELLO, "stream": number % 2 == 0, "messages": said}
                return number, await client.post("/v1/chat/completions", json=body)

            return await asyncio.gather(*(ask(number) for number in range(20)))

    answers = asyncio.run(ask_all())
    assert len(answers) == 20
    for number, answer in answers:
        assert answer.status_code == 200 and answer.http_version == "HTTP/2"
        told = "".join(re.findall(r'"content": ?"((?:[^"\\]|\\.)*)"', answer.text))
        assert told == f"You said: I am {number}"


def test_what_is_offered_by_alpn_decides(tls_gateway):
    port = httpx.URL(tls_gateway.url).port
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    for offered, agreed in [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["h2"], "h2"), ([], None)]:
        if offered:
            context.set_alpn_protocols(offered)
        else:
            context = ssl.create_default_context(cafile=str(AUTHORITY))
        with socket.create_connection(("127.0.0.1", port)) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                assert secured.selected_alpn_protocol() == agreed
                assert secured.version() == "TLSv1.3"
                if agreed != "h2":
                    secured.sendall(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    assert secured.recv(1000).startswith(b"HTTP/1.1 200")


def test_old_tls_plain_http_and_garbage_harm_nobody(tls_gateway):
    port = httpx.URL(tls_gateway.url).port
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises((ssl.SSLError, ConnectionError)):
        old.wrap_socket(plain)
    for said in (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 3000, b"\x80" * 100):
        with socket.create_connection(("127.0.0.1", port), timeout=15) as plain:
            plain.sendall(said)
            told = b""
            with contextlib.suppress(ConnectionError):
                while more := plain.recv(1000):
                    told += more
            # An alert at most; never an answer in the clear.
            assert b"HTTP/1.1 200" not in told
    with client_of(tls_gateway) as client:
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 200


def test_plain_http2_with_prior_knowledge_is_understood(own_gateway):
    gateway = own_gateway()
    with httpx.Client(base_url=gateway.url, http1=False, http2=True, timeout=30) as client:
        answer = client.post("/v1/chat/completions", json=HELLO, headers={"authorization": f"Bearer {MASTER_KEY}"})
        assert answer.http_version == "HTTP/2" and answer.status_code == 200


def test_a_certificate_that_does_not_fit_its_key_is_refused_at_the_start(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"tls": {**secure("localhost"), "key": secure("elsewhere.test")["key"]}}}
    with pytest.raises(AssertionError, match=r"keymoat\.listen\.tls"):
        own_gateway(config)


def shown_certificate(gateway):
    url = httpx.URL(gateway.url)
    return ssl.get_server_certificate((url.host, url.port))


def test_a_renewed_certificate_is_shown_to_new_connections(own_gateway, upstream, tmp_path):
    files = {name: tmp_path / f"listener.{name}" for name in ("cert", "key")}

    def renew(name):
        for kind, path in secure(name).items():
            files[kind].write_bytes(open(path, "rb").read())

    renew("localhost")
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"tls": {kind: str(path) for kind, path in files.items()}}}
    gateway = own_gateway(config)
    before = shown_certificate(gateway)
    with client_of(gateway) as client:
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 200
        renew("elsewhere.test")
        wait_until(lambda: shown_certificate(gateway) != before)
        assert client.post("/v1/chat/completions", json=HELLO).status_code == 200, "an open connection goes on"
    renewed = shown_certificate(gateway)
    files["key"].write_bytes(open(secure("localhost")["key"], "rb").read())
    wait_until(lambda: "the old one stays" in gateway.output())
    assert shown_certificate(gateway) == renewed, "a key of another certificate changes nothing"


def requester(gateway, call_id):
    """Whom the record of that call names as its client."""
    row = next(r for r in gateway.settled_records(1) if r["request_id"] == call_id)
    return row["requester_ip_address"]


def asked_from(gateway, source, forwarded, call_id):
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(base_url=gateway.url, transport=transport, timeout=30) as client:
        headers = [("authorization", f"Bearer {MASTER_KEY}"), ("x-litellm-call-id", call_id)]
        headers += [("x-forwarded-for", value) for value in forwarded]
        answer = client.post("/v1/chat/completions", json=HELLO, headers=headers)
        assert answer.status_code == 200, answer.text
    deadline_rows = gateway.settled_records(1)
    assert deadline_rows
    return requester(gateway, call_id)


def test_x_forwarded_for_is_believed_only_from_configured_proxies(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"trusted_proxies": ["127.0.0.2", "10.0.0.0/8"]}}
    gateway = own_gateway(config)
    forged, client = "6.6.6.6", "203.0.113.9"
    for number, (source, forwarded, expected) in enumerate(
        [
            # Nobody's proxy: what it says of others is not heard.
            ("127.0.0.1", [client], "127.0.0.1"),
            ("127.0.0.3", [client], "127.0.0.3"),
            # Ours: the nearest hop that is not ours counts, whatever stands before it.
            ("127.0.0.2", [client], client),
            ("127.0.0.2", [f"{forged}, {client}"], client),
            ("127.0.0.2", [forged, client], client),
            ("127.0.0.2", [f"{forged}, {client}, 10.1.2.3"], client),
            ("127.0.0.2", ["2001:db8::7"], "2001:db8::7"),
            # Nothing that can be read: the proxy itself.
            ("127.0.0.2", [], "127.0.0.2"),
            ("127.0.0.2", ["unknown"], "127.0.0.2"),
            ("127.0.0.2", [f"{forged}, <script>"], "127.0.0.2"),
        ]
    ):
        assert asked_from(gateway, source, forwarded, f"forwarded-{number}") == expected, (source, forwarded)


def test_without_trusted_proxies_nobody_is_believed(gateway):
    assert asked_from(gateway, "127.0.0.2", ["203.0.113.9"], "forwarded-by-nobody") == "127.0.0.2"


class TlsFront:
    """A provider behind a certificate: TLS on the outside, the pretend provider inside."""

    def __init__(self, name, inside):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certfile=secure(name)["cert"], keyfile=secure(name)["key"])
        front = self
        front.handshakes = 0

        class Relay(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                self.request = context.wrap_socket(self.request, server_side=True)
                front.handshakes += 1
                super().setup()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = PLAIN.post(inside + self.path, content=body, headers=dict(self.headers))
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """A handshake that fails is what some tests are about."""

        self.server = Server(("127.0.0.1", 0), Relay)
        self.url = f"https://localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def tls_provider(upstream):
    started = []

    def start(name):
        started.append(TlsFront(name, upstream.url))
        return started[-1]

    yield start
    for front in started:
        front.stop()


def towards(front, roots=None):
    config = standard_config(front.url)
    config["model_list"] = [deployment("chat-openai", "openai", "gpt-pretend", front.url)]
    config["litellm_settings"].pop("fallbacks")
    if roots:
        config["keymoat"] = {"egress": {"roots": roots}}
    return config


def test_a_provider_of_a_private_authority_is_reached_where_its_root_is_configured(own_gateway, tls_provider):
    front = tls_provider("localhost")
    gateway = own_gateway(towards(front, [str(AUTHORITY)]))
    for stream in (False, True):
        answer = gateway.chat(stream=stream)
        assert answer.status_code == 200, answer.text
    assert front.handshakes == 1, "one connection is used again"


def test_a_provider_whose_certificate_nobody_vouches_for_gets_no_request(own_gateway, tls_provider, upstream):
    upstream.forget()
    for front, roots in [
        (tls_provider("localhost"), None),
        (tls_provider("elsewhere.test"), [str(AUTHORITY)]),
    ]:
        gateway = own_gateway(towards(front, roots))
        answer = gateway.chat()
        assert answer.status_code >= 500, answer.text
        assert "sk-provider" not in answer.text
        gateway.kill()
    assert upstream.received() == [], "not a byte of a request, and so no key, left"


def test_logs_of_a_tls_listener_are_json_too(tls_gateway):
    with client_of(tls_gateway) as client:
        client.post("/v1/chat/completions", json=HELLO)
    assert tls_gateway.stop() == 0
    for line in tls_gateway.output().splitlines():
        if line.startswith("{"):
            json.loads(line)
