"""Hostile and broken requests: the right status, a body that helps, and on it goes."""

import json
import socket
import time
import urllib.parse
from random import Random

import openai
import pytest

from support import MASTER_KEY, standard_config

ASK = [{"role": "user", "content": "x"}]
GOOD = json.dumps({"model": "chat-openai", "messages": ASK}).encode()
PATHS = ["/v1/chat/completions", "/v1/messages", "/v1/embeddings"]


def post(gateway, content, path="/v1/chat/completions"):
    with gateway.http(headers={"content-type": "application/json"}) as client:
        return client.post(path, content=content)


def raw(gateway, sent, timeout=15):
    """Sends bytes over a plain socket; the whole answer, or b'' when it was cut."""
    where = urllib.parse.urlsplit(gateway.url)
    with socket.create_connection((where.hostname, where.port), timeout=timeout) as connection:
        try:
            connection.sendall(sent)
        except (BrokenPipeError, ConnectionResetError):
            pass
        got = b""
        try:
            while part := connection.recv(65536):
                got += part
        except (ConnectionResetError, TimeoutError):
            pass
        return got


def head(length, extra=""):
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {MASTER_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n{extra}\r\n"
    ).encode()


def assert_helpful(answer, status=400):
    assert answer.status_code == status, (answer.status_code, answer.text[:300])
    body = answer.json()
    message = (body.get("error") or body.get("detail"))
    assert message, body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"nonsense", b'{"model":"chat-openai",}', b"[]", b"null", b'"text"', b"1", GOOD + b"}", GOOD[:-1]],
    ids=["empty", "brace", "nonsense", "comma", "array", "null", "string", "number", "trailing", "cut"],
)
def test_what_is_no_json_object_is_a_400(gateway, path, content):
    assert_helpful(post(gateway, content, path))


@pytest.mark.parametrize(
    "fields",
    [{"model": 1}, {"model": None}, {"model": ""}, {"model": ["chat-openai"]}, {"messages": "x"}, {"stream": "yes"}],
    ids=str,
)
def test_wrong_types_are_refused_or_left_to_the_provider_but_never_crash(gateway, fields):
    body = {"model": "chat-anthropic", "messages": ASK, "max_tokens": 5, **fields}
    answer = post(gateway, json.dumps(body).encode())
    assert answer.status_code in (400, 422), (fields, answer.status_code)


@pytest.mark.parametrize(
    "content",
    [
        b'{"model":"chat-openai","model":"chat-anthropic","messages":[]}',
        b'{"model":"chat-openai","mod\\u0065l":"chat-anthropic","messages":[]}',
        b'{"model":"chat-openai","Model":"chat-anthropic","messages":[]}',
        b'{"MODEL":"chat-openai","model":"chat-openai","messages":[]}',
        b'{"model":"chat-openai","stream":false,"messages":[],"stream":true}',
        b'{"model":"chat-openai","max_tokens":1,"messages":[],"max_tokens":100000}',
    ],
    ids=["twice", "escaped", "case", "upper", "stream", "max_tokens"],
)
def test_a_key_that_two_readers_could_read_differently_is_refused(gateway, upstream, content):
    before = len(upstream.received())
    assert_helpful(post(gateway, content))
    assert len(upstream.received()) == before, "it went upstream"


@pytest.mark.parametrize("opening,closing", [(b"[", b"]"), (b'{"a":', b"}")], ids=["arrays", "objects"])
@pytest.mark.parametrize("path", PATHS)
def test_a_hundred_thousand_levels_are_refused(gateway, opening, closing, path):
    depth = 100_000
    deep = opening * depth + b"1" + closing * depth
    assert_helpful(post(gateway, b'{"model":"chat-openai","messages":' + deep + b"}", path))
    assert_helpful(post(gateway, b'{"model":"chat-openai","metadata":' + deep + b',"messages":[]}', path))


def test_invalid_utf8_is_a_400(gateway):
    assert_helpful(post(gateway, GOOD.replace(b'"x"', b'"\xff\xfe"')))
    assert_helpful(post(gateway, GOOD.replace(b"chat-openai", b"chat-\xc3")))


def test_a_body_of_200_mb_is_refused_early_and_costs_no_memory(gateway):
    gateway.chat()
    before = gateway.rss_kb()
    size = 200 << 20
    got = raw(gateway, head(size) + b" " * (4 << 20))
    assert b" 413 " in got.split(b"\r\n")[0], got[:200]
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    chunked = head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    got = raw(gateway, chunked + chunk * 200 + b"0\r\n\r\n", timeout=60)
    assert got == b"" or b" 413 " in got.split(b"\r\n")[0], got[:200]
    assert gateway.rss_kb() - before < 8 << 10


@pytest.mark.parametrize("way", ["length", "chunked"])
def test_a_real_client_that_sends_200_mb_reads_the_413(gateway, way):
    body = b'{"model":"chat-openai","messages":[{"role":"user","content":"' + b"a" * (200 << 20) + b'"}]}'
    pieces = (body[at : at + (1 << 20)] for at in range(0, len(body), 1 << 20))
    answer = post(gateway, body if way == "length" else pieces)
    assert_helpful(answer, 413)
    assert "body_max_bytes" in answer.text


def test_the_official_client_reads_the_413_too(openai_client):
    with pytest.raises(openai.APIStatusError) as raised:
        openai_client.chat.completions.create(
            model="chat-openai", messages=[{"role": "user", "content": "a" * (100 << 20)}]
        )
    assert raised.value.status_code == 413 and "body_max_bytes" in raised.value.message


def test_a_large_body_that_is_allowed_arrives_whole(gateway, upstream):
    """Spooled on its way, and every byte of it upstream."""
    text = "".join(f"{n:08d}" for n in range(1 << 20))
    answer = gateway.chat(text=text, max_tokens=5)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "You said: " + text
    upstream.forget()


@pytest.mark.parametrize(
    "extra",
    ["X-Bomb: " + "a" * (1 << 20) + "\r\n", "".join(f"X-{n}: y\r\n" for n in range(20_000))],
    ids=["long", "many"],
)
def test_header_bombs_are_refused(gateway, extra):
    got = raw(gateway, head(len(GOOD), extra) + GOOD)
    assert got == b"" or got.split(b" ")[1] in (b"400", b"431"), got[:200]


def test_conflicting_lengths_are_refused(gateway):
    for extra in ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"):
        got = raw(gateway, head(len(GOOD), extra) + GOOD)
        assert got == b"" or b" 400 " in got.split(b"\r\n")[0] + b" ", got[:200]


def test_slow_headers_are_cut_off(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"header_timeout_ms": 1000}}
    gateway = own_gateway(config)
    where = urllib.parse.urlsplit(gateway.url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
        started = time.monotonic()
        connection.recv(1024)  # the end, with or without a 408
        assert time.monotonic() - started < 20
    assert gateway.chat().status_code == 200


def test_a_body_that_stops_is_given_up(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"body_idle_timeout_ms": 500}}
    gateway = own_gateway(config)
    got = raw(gateway, head(100) + b"{")
    assert b" 408 " in got.split(b"\r\n")[0], got[:200]
    assert b"body_idle_timeout_ms" in got
    assert gateway.chat().status_code == 200


VALID = {
    "/v1/chat/completions": {
        "model": "chat-anthropic",
        "max_tokens": 5,
        "temperature": 0.5,
        "stop": ["END"],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": "auto",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "r"},
        ],
    },
    "/v1/messages": {
        "model": "chat-openai",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}],
        "tool_choice": {"type": "auto"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "t"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]},
        ],
    },
    "/v1/embeddings": {"model": "embed", "input": ["a", "b"], "encoding_format": "float"},
}
JUNK = [None, True, -1, 1e308, 2**70, "", "\x00\ud83d\ude00", "\ud83d", [], {}, [[[]]], {"type": 1}, {"type": "x"}, ["x", 1], "x" * 5000]


def places(value, path=()):
    """The path of every value inside a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, (*path, name))


def replaced(value, path, junk):
    if not path:
        return junk
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], junk)
    return copy


@pytest.mark.parametrize("path", VALID)
def test_junk_in_any_place_of_a_request_is_never_our_fault(gateway, path):
    """Translated, so that every field is read: an answer or a 400 with a reason, never a 5xx."""
    valid = VALID[path]
    assert gateway.post(path, valid).status_code == 200
    random = Random(7)
    tried = 0
    with gateway.http(headers={"content-type": "application/json"}) as client:
        for place in places(valid):
            if place in ((), ("model",)):
                continue
            for junk in random.sample(JUNK, 5):
                answer = client.post(path, content=json.dumps(replaced(valid, place, junk)).encode())
                assert answer.status_code in (200, 400, 422), (place, junk, answer.status_code, answer.text)
                if answer.status_code != 200:
                    assert answer.json()["error"]["message"], (place, junk)
                tried += 1
    assert tried >= 20


def test_a_client_cannot_move_a_request_to_another_host(gateway, upstream):
    from support import Upstream

    thief = Upstream()
    try:
        where = thief.url + "/v1"
        for body in (
            {"api_base": where},
            {"base_url": where},
            {"extra_body": {"api_base": where}},
            {"litellm_params": {"api_base": where}},
            {"api_base": where, "api_key": "sk-x"},
        ):
            post(gateway, json.dumps({"model": "chat-openai", "messages": ASK, **body}).encode())
        for name in ("x-api-base", "host", "x-forwarded-host", "openai-base-url", "x-litellm-api-base"):
            with gateway.http(headers={name: thief.url.removeprefix("http://")}) as client:
                client.post("/v1/chat/completions", json={"model": "chat-openai", "messages": ASK})
        gateway.chat(model=where)
        assert thief.received() == []
    finally:
        thief.kill()


def test_many_idle_connections_do_not_stop_the_rest(gateway):
    where = urllib.parse.urlsplit(gateway.url)
    idle = [socket.create_connection((where.hostname, where.port), timeout=10) for _ in range(200)]
    try:
        assert gateway.chat().status_code == 200
    finally:
        for connection in idle:
            connection.close()


def test_after_all_this_the_gateway_still_answers(gateway):
    assert gateway.chat().json()["choices"][0]["message"]["content"] == "You said: hello"
