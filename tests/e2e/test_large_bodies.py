"""Large bodies of one client hold up nobody else, wherever they are scanned, translated or waited for."""

import concurrent.futures as futures
import json
import socket
import statistics
import threading
import time

import httpx
import pytest

from support import MASTER_KEY, Upstream, deployment, standard_config

MIB = 1 << 20
HEADERS = {"authorization": f"Bearer {MASTER_KEY}", "content-type": "application/json"}


def body_of(model, mib):
    """Text with escapes and letters that are not ASCII, as a conversation over code has."""
    line = 'if (text === "grün") {\n\treturn `\\u00e9` + \'"\';\n}\n'
    text = line * (mib * MIB // len(line.encode()))
    return json.dumps({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": text}]}).encode()


@pytest.fixture
def one_worker(own_gateway, upstream):
    """A gateway with one worker, and a provider of their own for small requests."""
    small = Upstream()
    config = standard_config(upstream.url)
    config["model_list"].append(deployment("small", "openai", "gpt-pretend", small.url))
    config["keymoat"] = {"workers": 1}
    yield own_gateway(config)
    small.kill()


@pytest.mark.parametrize("model", ["chat-openai", "chat-anthropic"], ids=["same-dialect", "translated"])
def test_large_requests_do_not_delay_small_ones(one_worker, model):
    large = body_of(model, 16)
    end = time.monotonic() + 4
    sent, waits = [], []

    def press():
        with httpx.Client(base_url=one_worker.url, headers=HEADERS, timeout=180) as client:
            while time.monotonic() < end:
                sent.append(client.post("/v1/chat/completions", content=large).status_code)

    presses = [threading.Thread(target=press) for _ in range(2)]
    for thread in presses:
        thread.start()
    with httpx.Client(base_url=one_worker.url, headers=HEADERS, timeout=180) as client:
        small = {"model": "small", "messages": [{"role": "user", "content": "x"}]}
        while time.monotonic() < end:
            begun = time.monotonic()
            assert client.post("/v1/chat/completions", json=small).status_code == 200
            waits.append(time.monotonic() - begun)
    for thread in presses:
        thread.join()
    assert len(sent) >= 2 and set(sent) == {200}, sent
    # Clients and providers share this machine's cores with the gateway, and a body of this
    # size keeps a worker busy for seconds in a debug build.
    assert len(waits) >= 20 and statistics.median(waits) < 0.1 and max(waits) < 2, sorted(waits)[-5:]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_whole_answers_that_nobody_reads_keep_their_places(own_gateway, path):
    """Eight clients that read nothing of a long answer hold all eight places of their key."""
    gateway = own_gateway()
    key = gateway.new_key(max_parallel_requests=8)
    # The pretend provider says all of it again.
    body = body_of("chat-openai", 8)
    url = httpx.URL(gateway.url)
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    clients = []

    def status():
        return gateway.http(key).post(path, content=body, headers={"content-type": "application/json"}).status_code

    try:
        for _ in range(8):
            client = socket.create_connection((url.host, url.port))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(head.encode() + body)
            clients.append(client)
        for client in clients:
            assert client.recv(15) == b"HTTP/1.1 200 OK"
        with futures.ThreadPoolExecutor(4) as pool:
            assert set(pool.map(lambda _: status(), range(8))) == {429}
    finally:
        for client in clients:
            client.close()
    deadline = time.monotonic() + 20
    while (last := status()) == 429 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert last == 200
