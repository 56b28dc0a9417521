"""The end of a gateway: what runs is finished, nothing new begins, and it takes no longer than it may."""

import contextlib
import json
import signal
import socket
import threading
import time

import hpack
import httpx
import hyperframe.frame
import pytest

from support import MASTER_KEY, standard_config
from test_process import wait_until

AUTHORIZATION = {"authorization": f"Bearer {MASTER_KEY}"}


def stream_of(model, words=6):
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello " * words}]}


def address(gateway):
    url = httpx.URL(gateway.url)
    return url.host, url.port


def configured(upstream, **listen):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": listen}
    return config


class Streams:
    """Streams under way, each on a connection of its own."""

    def __init__(self, gateway, upstream, model, count):
        upstream.forget()
        self.texts, self.errors = [], []
        self.workers = [threading.Thread(target=self._one, args=(gateway, model)) for _ in range(count)]
        for worker in self.workers:
            worker.start()
        wait_until(lambda: len(upstream.received()) == count)

    def _one(self, gateway, model):
        try:
            self.texts.append(gateway.post("/v1/chat/completions", stream_of(model)).text)
        except httpx.TransportError as error:
            self.errors.append(error)

    def join(self):
        for worker in self.workers:
            worker.join(60)
            assert not worker.is_alive()


def refused(gateway):
    """Whether the door is shut."""
    try:
        socket.create_connection(address(gateway), timeout=5).close()
    except ConnectionError:
        return True
    return False


def test_it_drains_when_every_place_for_a_connection_is_taken(own_gateway, upstream):
    gateway = own_gateway(configured(upstream, connections_max=6, header_timeout_ms=2000))
    idle = socket.create_connection(address(gateway))
    idle.sendall(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n")
    assert idle.recv(1000).startswith(b"HTTP/1.1 200")
    silent = socket.create_connection(address(gateway))
    halfway = socket.create_connection(address(gateway))
    halfway.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ")
    streams = Streams(gateway, upstream, "openai/gpt-pause-200", 3)
    # The kernel takes it; no place is left to serve it.
    waiting = socket.create_connection(address(gateway))
    waiting.sendall(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n")
    waiting.settimeout(0.3)
    with pytest.raises(TimeoutError):
        waiting.recv(1000)

    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    wait_until(lambda: refused(gateway))
    streams.join()
    assert not streams.errors
    assert all(text.endswith("data: [DONE]\n\n") for text in streams.texts), "a stream was cut"
    assert gateway.process.wait(10) == 0
    assert time.monotonic() - began < 10
    waiting.settimeout(5)
    with contextlib.suppress(ConnectionError):
        assert waiting.recv(1000) == b"", "nobody who came too late is served"
    for end in (idle, silent, halfway, waiting):
        end.close()
    again = gateway.again()
    try:
        assert len(again.settled_records(3)) == 3, "what was served is accounted for"
    finally:
        again.kill()


def test_what_does_not_end_is_cut_and_charged_when_its_time_is_over(own_gateway, upstream):
    gateway = own_gateway(configured(upstream, drain_timeout_ms=500))
    key = gateway.new_key(max_budget=1.0)
    upstream.forget()
    ends = []

    def ask():
        try:
            ends.append(gateway.chat(key=key, model="openai/gpt-stall").status_code)
        except httpx.TransportError as error:
            ends.append(type(error))

    worker = threading.Thread(target=ask)
    worker.start()
    wait_until(lambda: upstream.received())
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    assert gateway.process.wait(20) == 0
    assert 0.4 < time.monotonic() - began < 15
    worker.join(10)
    assert ends and ends[0] != 200
    again = gateway.again()
    try:
        rows = again.settled_records(1)
        assert [row["status"] for row in rows] == ["failure"]
        assert again.spend_of(key) > 0, "it may have been billed"
    finally:
        again.kill()


def test_probes_say_503_while_new_requests_are_still_taken(own_gateway, upstream):
    gateway = own_gateway(configured(upstream, drain_delay_ms=60_000))
    with gateway.http() as client:
        assert client.get("/health/readiness").status_code == 200
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: client.get("/health/readiness").status_code == 503)
        # A balancer has not turned away yet: who still comes is served.
        assert gateway.chat().status_code == 200
        assert not refused(gateway)
        gateway.signal(signal.SIGTERM)
        wait_until(lambda: refused(gateway))
    assert gateway.process.wait(10) == 0


def frames_of(connection):
    """HTTP/2 frames as they come: httpx's own client gives up at a GOAWAY, whatever still runs."""
    read = b""
    while chunk := connection.recv(65536):
        read += chunk
        while len(read) >= 9:
            frame, length = hyperframe.frame.Frame.parse_frame_header(memoryview(read)[:9])
            if len(read) < 9 + length:
                break
            frame.parse_body(memoryview(read)[9 : 9 + length])
            read = read[9 + length :]
            yield frame


def test_http2_streams_are_finished_and_the_client_is_told_to_go(own_gateway, upstream):
    gateway = own_gateway()
    body = json.dumps(stream_of("openai/gpt-pause-200")).encode()
    head = {":method": "POST", ":scheme": "http", ":path": "/v1/chat/completions", ":authority": "x"}
    head = hpack.Encoder().encode({**head, **AUTHORIZATION, "content-type": "application/json"}.items())
    with socket.create_connection(address(gateway), timeout=20) as connection:
        request = [
            hyperframe.frame.SettingsFrame(0),
            hyperframe.frame.HeadersFrame(1, head, flags=["END_HEADERS"]),
            hyperframe.frame.DataFrame(1, body, flags=["END_STREAM"]),
        ]
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"".join(f.serialize() for f in request))
        text, farewells, ended = b"", 0, False
        for frame in frames_of(connection):
            if isinstance(frame, hyperframe.frame.DataFrame):
                if not text:
                    gateway.signal(signal.SIGTERM)
                text += frame.data
                ended |= "END_STREAM" in frame.flags
            elif isinstance(frame, hyperframe.frame.GoAwayFrame):
                assert frame.error_code == 0 and not ended
                farewells += 1
            elif isinstance(frame, hyperframe.frame.PingFrame) and "ACK" not in frame.flags:
                connection.sendall(hyperframe.frame.PingFrame(0, frame.opaque_data, flags=["ACK"]).serialize())
    assert text.endswith(b"data: [DONE]\n\n") and ended, "the stream was cut"
    assert farewells >= 1
    assert gateway.process.wait(10) == 0
    assert refused(gateway)


def test_an_interrupt_is_a_graceful_end_too(own_gateway, upstream):
    gateway = own_gateway()
    streams = Streams(gateway, upstream, "openai/gpt-pause-100", 1)
    gateway.signal(signal.SIGINT)
    streams.join()
    assert streams.texts[0].endswith("data: [DONE]\n\n")
    assert gateway.process.wait(10) == 0
