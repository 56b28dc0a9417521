"""Requests that are refused before their bodies are read: every client sees the answer, every time."""

import asyncio
import collections
import http.client
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import time

import aiohttp
import httpx
import pytest

from test_listener import AUTHORITY, client_of, tls_gateway  # noqa: F401 (a fixture)

TRIES = 200
SMALL, LARGE = 2_000, 5 << 20
WRONG = {"authorization": "Bearer sk-wrong", "content-type": "application/json"}


def tries(size):
    return TRIES if size == SMALL else 40


def in_pieces(size, pause_s):
    """A body that begins a moment after its head."""
    time.sleep(pause_s)
    for at in range(0, size, 65536):
        yield b"x" * min(65536, size - at)


def outcomes(client, size, pause_s):
    seen = collections.Counter()
    for number in range(tries(size)):
        path, status = [("/v1/chat/completions", 401), ("/nowhere", 404), ("/v1/models", 405)][number % 3]
        headers = {**WRONG, "content-length": str(size)}
        try:
            answer = client.post(path, content=in_pieces(size, pause_s), headers=headers)
            seen["right" if answer.status_code == status else answer.status_code] += 1
        except httpx.TransportError as problem:
            seen[repr(problem)] += 1
    return seen


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_httpx_sees_every_refusal(gateway, size, http2):
    with httpx.Client(base_url=gateway.url, http1=not http2, http2=http2, timeout=30) as client:
        assert outcomes(client, size, 0.02 if size == SMALL else 0) == {"right": tries(size)}


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_httpx_sees_every_refusal_over_tls(tls_gateway, size, http2):  # noqa: F811
    with client_of(tls_gateway, key=None, http2=http2) as client:
        assert outcomes(client, size, 0.02 if size == SMALL else 0) == {"right": tries(size)}


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_http_client_uses_its_connection_again_after_each_refusal(gateway, size):
    url = httpx.URL(gateway.url)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=30)
    connection.connect()
    first = connection.sock
    for _ in range(tries(size)):
        connection.putrequest("POST", "/v1/chat/completions")
        for name, value in {**WRONG, "content-length": str(size)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        time.sleep(0.02 if size == SMALL else 0)
        connection.send(b"x" * size)
        answer = connection.getresponse()
        assert answer.status == 401
        answer.read()
    assert connection.sock is first, "one connection serves them all"


async def aiohttp_outcomes(url, context, size):
    async def pieces():
        await asyncio.sleep(0.02 if size == SMALL else 0)
        for at in range(0, size, 65536):
            yield b"x" * min(65536, size - at)

    seen = collections.Counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=1)) as session:
        for _ in range(tries(size)):
            try:
                headers = {**WRONG, "content-length": str(size)}
                async with session.post(url + "/v1/chat/completions", data=pieces(), headers=headers) as answer:
                    await answer.read()
                    seen[answer.status] += 1
            except aiohttp.ClientError as problem:
                seen[repr(problem)] += 1
    return seen


def by_name(gateway):
    """The URL with the name that is in its certificate."""
    return f"https://localhost:{httpx.URL(gateway.url).port}"


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_aiohttp_sees_every_refusal(gateway, size):
    assert asyncio.run(aiohttp_outcomes(gateway.url, True, size)) == {401: tries(size)}


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_aiohttp_sees_every_refusal_over_tls(tls_gateway, size):  # noqa: F811
    context = ssl.create_default_context(cafile=str(AUTHORITY))
    assert asyncio.run(aiohttp_outcomes(by_name(tls_gateway), context, size)) == {401: tries(size)}


def node_outcomes(url, size, via):
    node = shutil.which("node")
    if not node:
        pytest.skip("SKIPPED: node is not installed, so that what its clients see is not tested")
    script = pathlib.Path(__file__).with_name("early.mjs")
    pause_ms = 20 if size == SMALL else 0
    command = [node, str(script), url, str(tries(size)), str(size), str(pause_ms), via]
    env = {**os.environ, "NODE_EXTRA_CA_CERTS": str(AUTHORITY)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True, env=env)
    return json.loads(done.stdout)


@pytest.mark.parametrize("via", ["http", "fetch", "http2"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_node_sees_every_refusal(gateway, size, via):
    assert node_outcomes(gateway.url, size, via) == {"401": tries(size)}


@pytest.mark.parametrize("via", ["http", "fetch", "http2"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_node_sees_every_refusal_over_tls(tls_gateway, size, via):  # noqa: F811
    assert node_outcomes(by_name(tls_gateway), size, via) == {"401": tries(size)}


def test_curl_gets_its_refusal_instead_of_a_100(gateway):
    """`Expect: 100-continue`, as curl sends it before large bodies."""
    url = httpx.URL(gateway.url)
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-wrong\r\n"
        f"content-length: {LARGE}\r\nexpect: 100-continue\r\n\r\n"
    )
    for sends in (False, True):
        with socket.create_connection((url.host, url.port), timeout=20) as plain:
            plain.sendall(head.encode())
            told = plain.recv(4096)
            assert told.startswith(b"HTTP/1.1 401 ") and b"connection: close" in told.lower()
            if sends:
                plain.sendall(b"x" * LARGE)
            while plain.recv(4096):
                pass


def test_a_body_that_is_asked_for_comes_after_a_100(gateway):
    url = httpx.URL(gateway.url)
    body = json.dumps({"model": "chat-openai", "messages": [{"role": "user", "content": "hello"}]}).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-e2e-master\r\n"
        f"content-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port), timeout=20) as plain:
        plain.sendall(head.encode())
        assert plain.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        plain.sendall(body)
        assert plain.recv(4096).startswith(b"HTTP/1.1 200 ")
