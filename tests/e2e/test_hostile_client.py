"""A client that misuses HTTP itself: it may hurt its own connection and nothing else."""

import contextlib
import json
import resource
import socket
import time

import hpack
import httpx
import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from support import MASTER_KEY, standard_config
from test_listener import client_of, secure

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BODY = json.dumps({"model": "openai/gpt-pause-50", "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()


@pytest.fixture
def dial(gateway):
    opened = []

    def connect():
        url = httpx.URL(gateway.url)
        opened.append(socket.create_connection((url.host, url.port), timeout=20))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
    answer = gateway.chat()
    assert answer.status_code == 200, answer.text


def h2(connection, *frames):
    connection.sendall(PREFACE + SettingsFrame(0).serialize() + b"".join(f.serialize() for f in frames))


def told(connection, seconds=15):
    """All that comes until the other end closes."""
    connection.settimeout(seconds)
    read = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            read += more
    return read


def frames(read):
    found = []
    while len(read) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(read)[:9])
        if len(read) < 9 + length:
            break
        with contextlib.suppress(Exception):
            frame.parse_body(memoryview(read)[9 : 9 + length])
        read = read[9 + length :]
        found.append(frame)
    return found


def head(encoder, key=MASTER_KEY, **more):
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/v1/chat/completions",
        ":authority": "x",
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        **more,
    }
    return encoder.encode(fields.items())


def test_streams_that_are_reset_as_fast_as_they_are_opened(gateway, dial):
    key = gateway.new_key(max_parallel_requests=8, max_budget=1000.0)
    before = gateway.rss_kb()
    encoder, connection = hpack.Encoder(), dial()
    h2(connection)
    with contextlib.suppress(ConnectionError):
        for stream in range(1, 20_000, 2):
            connection.sendall(
                HeadersFrame(stream, head(encoder, key), flags=["END_HEADERS"]).serialize()
                + DataFrame(stream, BODY, flags=["END_STREAM"]).serialize()
                + RstStreamFrame(stream, error_code=8).serialize()
            )
    connection.close()
    assert gateway.rss_kb() - before < 100_000
    # No place stays taken and nothing stays held.
    deadline = time.monotonic() + 20
    while (answer := gateway.chat(key=key)).status_code == 429 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", ["continuation", "hpack", "ping", "settings", "priority", "window", "zero"])
def test_floods_of_frames_end_their_own_connection_at_most(gateway, dial, name):
    before = gateway.rss_kb()
    encoder, connection = hpack.Encoder(), dial()
    connection.settimeout(5)
    h2(connection)
    plain = head(encoder)
    if name == "continuation":
        burst = HeadersFrame(1, plain, flags=[]).serialize()
        again = ContinuationFrame(1, b"\x00\x01a\x01b" * 2000, flags=[]).serialize()
    elif name == "hpack":
        # One long field is put into the table, then named over and over.
        burst = HeadersFrame(1, plain + encoder.encode([("x", "y" * 3000)]), flags=["END_HEADERS"]).serialize()
        again = b""
        for stream in range(3, 41, 2):
            again += HeadersFrame(stream, encoder.encode([("x", "y" * 3000)]) * 8000, flags=["END_HEADERS"]).serialize()
    else:
        burst = b""
        again = {
            "ping": PingFrame(0, b"12345678"),
            "settings": SettingsFrame(0, {4: 65535}),
            "priority": PriorityFrame(1, depends_on=3),
            "window": WindowUpdateFrame(0, window_increment=1),
            "zero": DataFrame(1, b""),
        }[name].serialize() * 1000
    with contextlib.suppress(OSError):
        connection.sendall(burst)
        for _ in range(300 if name != "hpack" else 5):
            connection.sendall(again)
    assert gateway.chat().status_code == 200
    assert gateway.rss_kb() - before < 100_000, name


def test_an_answer_that_is_never_taken_holds_up_nobody_else(gateway, dial):
    encoder, connection = hpack.Encoder(), dial()
    closed = SettingsFrame(0, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}).serialize()
    connection.sendall(PREFACE + closed)
    for stream in range(1, 100, 2):
        connection.sendall(
            HeadersFrame(stream, head(encoder), flags=["END_HEADERS"]).serialize()
            + DataFrame(stream, BODY, flags=["END_STREAM"]).serialize()
        )
    began = time.monotonic()
    for _ in range(10):
        assert gateway.chat().status_code == 200
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "fields",
    [
        {"transfer-encoding": "chunked"},
        {"connection": "keep-alive"},
        {"upgrade": "websocket"},
        {"te": "gzip"},
        {"content-length": "5"},
        {"content-length": "-5"},
        {"host": "elsewhere.test"},
        {"UPPER": "case"},
        {"x\r\ny": "split"},
        {"x": "split\r\ny: z"},
        {":extra": "pseudo"},
        {":path": ""},
        {":path": "no-slash"},
        {":authority": "a b"},
        {":method": "GE T"},
        {"x": "\x00"},
    ],
    ids=str,
)
def test_http2_fields_that_http1_would_read_otherwise_are_refused_or_mean_nothing(gateway, dial, upstream, fields):
    upstream.forget()
    connection = dial()
    block = b""
    plain = {
        ":method": "POST", ":scheme": "http", ":path": "/v1/chat/completions", ":authority": "x",
        "authorization": f"Bearer {MASTER_KEY}", **fields,
    }
    encoder = hpack.Encoder()
    pseudo = {name: value for name, value in plain.items() if name.startswith(":")}
    block = encoder.encode([*pseudo.items(), *((n, v) for n, v in plain.items() if n not in pseudo)])
    body = json.dumps({"model": "chat-openai", "messages": []}).encode()
    h2(connection, HeadersFrame(1, block, flags=["END_HEADERS"]), DataFrame(1, body, flags=["END_STREAM"]), PingFrame(0, b"the-end!"))
    connection.settimeout(10)
    read = b""
    with contextlib.suppress(ConnectionError):
        while not any(f.__class__.__name__ in ("RstStreamFrame", "GoAwayFrame") or "END_STREAM" in f.flags for f in frames(read)):
            more = connection.recv(65536)
            if not more:
                break
            read += more
    for request in upstream.received():
        assert request["path"] == "/v1/chat/completions"
        assert "elsewhere" not in str(request["headers"])
        assert not {"te", "upgrade", "y", "x"} & set(request["headers"])


RAW = {
    "connect": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n",
    "absolute": b"GET http://evil.example/health/liveliness HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
    "options-star": b"OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "trace": b"TRACE / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-shown\r\nconnection: close\r\n\r\n",
    "h2c": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    "websocket": b"GET /v1/realtime HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "http-1.0": b"GET /health/liveliness HTTP/1.0\r\n\r\n",
    "no-host": b"GET /health/liveliness HTTP/1.1\r\nconnection: close\r\n\r\n",
    "two-hosts": b"GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\nconnection: close\r\n\r\n",
    "folded": b"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer\r\n sk-x\r\nconnection: close\r\n\r\n",
    "space-before-colon": b"GET /v1/models HTTP/1.1\r\nhost : x\r\nconnection: close\r\n\r\n",
    "bare-lf": b"GET /health/liveliness HTTP/1.1\nhost: x\nconnection: close\n\n",
    "nul": b"GET /health\x00/liveliness HTTP/1.1\r\nhost: x\r\n\r\n",
    "long-path": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "chunk-extension": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + MASTER_KEY.encode()
    + b"\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2;" + b"a" * 300_000 + b"\r\n{}\r\n0\r\n\r\n",
    "trailer-bomb": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + MASTER_KEY.encode()
    + b"\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n{}\r\n0\r\n" + b"a: b\r\n" * 50_000 + b"\r\n",
    "two-codings": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
    "chunked-twice": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
    "expect": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
    "expect-odd": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: miracles\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
}


@pytest.mark.parametrize("name", RAW)
def test_no_odd_http1_request_is_taken_for_another(dial, name):
    connection = dial()
    connection.sendall(RAW[name])
    if name in ("connect", "h2c", "websocket", "nul", "long-path", "http-1.0"):
        connection.settimeout(15)
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = connection.recv(65536)
    else:
        answer = told(connection)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), answer[:80]
    status = answer.split(b" ")[1] if answer else b"closed"
    assert status != b"101" and not status.startswith(b"5"), answer[:200]
    assert b"sk-shown" not in answer and b"evil.example" not in answer
    if name == "connect":
        assert not status.startswith(b"2")


def test_a_thousand_requests_in_one_breath_are_answered_in_order(gateway, dial):
    before = gateway.rss_kb()
    connection = dial()
    one = b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n"
    last = b"GET /no-such-path HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    connection.sendall(one * 1000 + last)
    answers = told(connection)
    assert answers.count(b"HTTP/1.1 200 OK") == 1000
    assert answers.rfind(b"HTTP/1.1 404") > answers.rfind(b"HTTP/1.1 200")
    assert gateway.rss_kb() - before < 50_000


def test_who_reads_no_answer_is_asked_no_more_questions(gateway, dial):
    """No key is needed for this one: what waits to be written must have an end."""
    before = gateway.rss_kb()
    ask = b"GET /no-such-path HTTP/1.1\r\nhost: x\r\n\r\n" * 100
    connection = dial()
    connection.settimeout(2)
    sent, deadline = 0, time.monotonic() + 30
    with pytest.raises(TimeoutError):
        while time.monotonic() < deadline:
            sent += connection.send(ask)
    # As much as both ends' kernels hold, and no more.
    assert sent < 30_000_000
    assert gateway.rss_kb() - before < 20_000
    assert gateway.chat().status_code == 200


def test_a_stream_is_not_held_back_by_the_next_question(gateway, dial):
    connection = dial()
    body = BODY.replace(b"pause-50", b"pause-300")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {MASTER_KEY}\r\n"
    connection.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    connection.sendall(b"GET /no-such-path HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    read = b""
    while b"data: " not in read:
        read += connection.recv(65536)
    assert b"[DONE]" not in read, "it came in pieces"
    read += told(connection)
    assert read.index(b"[DONE]") < read.index(b"HTTP/1.1 404")


@pytest.mark.parametrize("path", ["/engines/openai%2f{}/chat/completions", "/openai/deployments/openai%2f{}/chat/completions"])
def test_a_name_in_the_path_is_no_longer_than_one_in_the_body(gateway, path):
    body = {"messages": [{"role": "user", "content": "hello"}]}
    for length, status in [(900, 200), (1100, 400), (20_000, 400)]:
        answer = gateway.post(path.format("a" * length), body)
        assert answer.status_code == status, answer.text
        told_long = gateway.post("/v1/chat/completions", {**body, "model": "openai/" + "a" * length})
        assert told_long.status_code == status, told_long.text


PATHS = [
    "/openai/deployments/%2e%2e%2f/chat/completions",
    "/openai/deployments/..%2f..%2fkey%2fgenerate/chat/completions",
    "/openai/deployments/%ff%fe/chat/completions",
    "/openai/deployments//chat/completions",
    "/engines/%00/chat/completions",
    "/engines/" + "a" * 5000 + "/completions",
    "//v1/chat/completions",
    "/v1//chat/completions",
    "/v1/chat/completions/",
    "/v1/chat/completions/../../key/generate",
    "/V1/CHAT/COMPLETIONS",
    "/v1/chat/completions;x=1",
    "/v1/chat/completions%00",
    "/v1/models/%ff",
    "/v1/models/..%2f..%2fetc%2fpasswd",
    "/key/%2e%2e/regenerate",
    "/key//regenerate",
    "/key/info?key=%ff%fe",
    "/key/list?page=99999999999999999999",
    "/spend/logs?start_date=2026-99-99",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_odd_paths_open_no_other_door(gateway, path):
    virtual = gateway.new_key(models=["chat-openai"])
    url = httpx.URL(gateway.url)
    for method in ("GET", "POST"):
        for key in (virtual, None):
            authorization = f"authorization: Bearer {key}\r\n" if key else ""
            with socket.create_connection((url.host, url.port), timeout=20) as connection:
                body = b'{"model": "chat-anthropic", "messages": []}'
                connection.sendall(
                    f"{method} {path} HTTP/1.1\r\nhost: x\r\n{authorization}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                    + body
                )
                answer = told(connection)
            status = int(answer.split(b" ")[1])
            assert 400 <= status < 500, (method, path, answer[:300])


def endless_http2_head():
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/v1/chat/completions"), (":authority", "x")]
    block = hpack.Encoder().encode([*fields, ("x", "y" * 60_000)], huffman=False)
    pieces = [block[at : at + 15_000] for at in range(0, 60_000, 15_000)]
    first = HeadersFrame(1, pieces[0], flags=[])
    rest = [ContinuationFrame(1, piece, flags=[]) for piece in pieces[1:]]
    return PREFACE + b"".join(frame.serialize() for frame in [SettingsFrame(0), first, *rest])


UNFINISHED = {
    "http1": b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 60_000,
    "http2": endless_http2_head(),
    # A ClientHello of 60,000 bytes, of which two records come.
    "tls": b"\x16\x03\x01\x40\x00\x01\x00\xea\x60\x03\x03" + b"y" * 16_374 + b"\x16\x03\x01\x40\x00" + b"y" * 16_384,
}


@pytest.mark.parametrize("kind", UNFINISHED)
def test_unfinished_heads_of_many_connections_share_their_memory(own_gateway, upstream, kind):
    """60 KB of a head, or 32 KB of a handshake, that never end, a thousand times, by somebody without a key."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * count), hard))
    config = standard_config(upstream.url)
    if kind == "tls":
        config["keymoat"] = {"listen": {"tls": secure("localhost")}}
    gateway = own_gateway(config)
    url = httpx.URL(gateway.url)
    held = []

    def is_served():
        if kind != "tls":
            return gateway.chat().status_code == 200
        with client_of(gateway) as client:
            return client.get("/health/liveliness").status_code == 200

    try:
        assert is_served()
        before = gateway.rss_kb()
        for _ in range(count):
            held.append(socket.create_connection((url.host, url.port), timeout=5))
            # The connection is closed where there is no room for it.
            with contextlib.suppress(ConnectionError):
                held[-1].sendall(UNFINISHED[kind])
        grown = gateway.rss_kb() - before
        assert grown < 45_000, f"{grown} kB, of {len(UNFINISHED[kind])} kB that were sent"
        assert is_served(), "others are served"
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
