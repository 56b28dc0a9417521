"""A client that presses calls against a cap, and the provider that counts them."""

import asyncio
import concurrent.futures as futures
import json
import socket
import struct
import time

import pytest

from collections import Counter
from counting import DONE, SSE, Books, chunk, usage
from support import Gateway

IN = 10
# Dollars per token, in and out.
PRICES = {
    "own": (1e-6, 4e-6),
    "gpt-4o": (2.5e-6, 1e-5),
    "claude": (3e-6, 1.5e-5),
    "qwq": (1.5e-7, 4e-7),
    "azure": (2.5e-6, 1e-5),
    "instruct": (1.5e-6, 2e-6),
    "router": (2.5e-6, 1e-5),
    "local": (1e-6, 4e-6),
    "embed": (2e-8, 0.0),
}
CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
LONG_TEXT = "four" * 1000


def config(base, **settings):
    def deployment(group, model, path="/v1", **params):
        params = {"model": model, "api_base": base + path, "api_key": "os.environ/E2E_OPENAI_KEY", **params}
        return {"model_name": group, "litellm_params": params}

    def priced(group):
        return dict(zip(("input_cost_per_token", "output_cost_per_token"), PRICES[group], strict=True))

    made = {
        "model_list": [
            deployment("own", "openai/own", **priced("own")),
            deployment("gpt-4o", "openai/gpt-4o"),
            deployment("audio", "openai/gpt-4o-audio-preview-2025-06-03"),
            deployment("search", "openai/gpt-4.1"),
            deployment("qwq", "deepinfra/Qwen/QwQ-32B"),
            deployment("claude", "anthropic/claude-sonnet-4-5", path=""),
            deployment("azure", "azure_ai/gpt-4o", **priced("azure")),
            deployment("router", "openrouter/openai/gpt-4o"),
            deployment("local", "hosted_vllm/own", **priced("local")),
            deployment("embed", "openai/text-embedding-3-small"),
            deployment("instruct", "text-completion-openai/gpt-3.5-turbo-instruct"),
        ],
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "litellm_settings": {"num_retries": 0},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }
    for section, values in settings.items():
        made.setdefault(section, {}).update(values)
    return made


@pytest.fixture(scope="module")
def provider():
    books = Books()
    yield books
    books.stop()


@pytest.fixture(scope="module")
def gateway(provider, tmp_path_factory):
    server = Gateway(tmp_path_factory.mktemp("caps"), config(provider.url))
    yield server
    server.kill()


@pytest.fixture
def gateway_with(provider, tmp_path):
    """Starts a gateway with settings of its own: gateway_with(section={...})."""
    started = []

    def start(**settings):
        started.append(Gateway(tmp_path, config(provider.url, **settings)))
        return started[-1]

    yield start
    for server in started:
        server.kill()
        assert "panicked" not in server.output(), server.output()[-4000:]


class Attack:
    """Calls of one key to one script of the provider."""

    def __init__(self, gateway, provider, script, group="own", path=CHAT, budget=None, **key_fields):
        self.gateway, self.provider, self.group, self.path, self.budget = gateway, provider, group, path, budget
        self.name = f"s{len(provider.scripts)}"
        provider.scripts[self.name] = script
        if budget is not None:
            key_fields["max_budget"] = budget
        self.key = gateway.new_key(**key_fields)
        self.http = gateway.http(self.key)

    def body(self, **fields):
        text = f"script={self.name}"
        if self.path == EMBEDDINGS:
            return {"model": self.group, "input": [text + " word" * 3000], **fields}
        own = {"prompt": text} if self.path.endswith("/v1/completions") else {"messages": [{"role": "user", "content": text}]}
        return {"model": self.group, "max_tokens": 1000, **own, **fields}

    def ask(self, headers=None, **fields):
        return self.http.post(self.path, json=self.body(**fields), headers=headers).status_code

    def leave(self, after_bytes=None, after_s=None, **fields):
        """Resets the connection after so much of the answer; 0 if no status had come."""
        body = json.dumps(self.body(**fields)).encode()
        head = f"POST {self.path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.key}\r\ncontent-length: {len(body)}\r\n"
        with socket.create_connection(("127.0.0.1", int(self.gateway.url.rsplit(":", 1)[1]))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.settimeout(after_s or 10)
            client.sendall(head.encode() + b"content-type: application/json\r\n\r\n" + body)
            received = b""
            try:
                while len(received) < (after_bytes or 1) and (piece := client.recv(4096)):
                    received += piece
                    if received.startswith(b"HTTP/1.1 4"):
                        break
            except TimeoutError:
                pass
        return int(received[9:12] or 0)

    def press(self, call, calls=30, at_once=8):
        """Calls until the budget refuses; while money is only held, tries again."""

        def one(_):
            for _ in range(40):
                status = 400 if spent else call()
                if status == 400:
                    spent.append(True)
                if status != 429:
                    return status
                time.sleep(0.05)
            return 429

        spent = []
        with futures.ThreadPoolExecutor(at_once) as pool:
            return Counter(pool.map(one, range(calls)))

    @property
    def true(self):
        return self.provider.true(self.name)

    @property
    def reached(self):
        return self.provider.calls.get(self.name, 0)

    def records(self):
        """The records, once each call that reached the provider has one."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            rows = self.gateway.records(api_key=self.key)
            if self.provider.is_idle(self.name) and len(rows) >= self.reached:
                break
            time.sleep(0.05)
        assert len(rows) == self.reached, f"{self.reached} calls reached the provider"
        return rows

    def check(self, exact):
        """The provider's sum is within the budget, and no more than the records say."""
        rows = self.records()
        assert self.reached > 0
        charged = sum(row["spend"] for row in rows)
        assert self.gateway.spend_of(self.key) == pytest.approx(charged, abs=1e-8)
        if self.budget is not None:
            assert self.true <= self.budget + 1e-9, f"{self.reached} calls, charged {charged}"
        if exact:
            assert charged == pytest.approx(self.true, abs=1e-8)
            assert {row["metadata"]["cost_source"] for row in rows} <= {"computed"}
        else:
            assert charged >= self.true - 1e-8
        return rows


def cost(group, output, input_tokens=IN):
    return input_tokens * PRICES[group][0] + output * PRICES[group][1]


def generating(usd, tokens, seconds=0.3, delta=None, reports=True, **details):
    """A stream that is generated to its end whether or not somebody reads it."""

    async def script(call):
        call.bill(usd)
        await call.head(SSE)
        for _ in range(10):
            await call.events(chunk(delta or {"content": "wordy " * 10}))
            await asyncio.sleep(seconds / 10)
        await call.events(chunk(finish="stop", **({"usage": usage(IN, tokens, **details)} if reports else {})), DONE)

    return script


def answering(usd, body, status="200 OK", after_s=0.0, headers=()):
    async def script(call):
        call.bill(usd)
        await asyncio.sleep(after_s)
        await call.answer(body, status, headers)

    return script


def streaming(usd, *events):
    async def script(call):
        call.bill(usd)
        await call.head(SSE)
        await call.events(*events)

    return script


FIRST_CHUNK_ONLY = [chunk({"content": "x"}, usage=usage(IN, 1)), chunk({"content": LONG_TEXT}), chunk(finish="stop"), DONE]
