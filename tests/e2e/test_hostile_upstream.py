"""An upstream that lies: what it sends must hurt nobody but the call that it answers."""

import contextlib
import json
import socket
import threading

import pytest

from support import PROVIDER_KEYS, deployment

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "up",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
}


def http(body, status="200 OK", headers=()):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def sse(*events, end=b"data: [DONE]\n\n"):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return head + b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + end


def chunk(**delta):
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }


def last(usage=None):
    event = chunk()
    event["choices"][0]["finish_reason"] = "stop"
    return {**event, **({"usage": usage} if usage is not None else {})}


class Raw:
    """Answers each request with the bytes that stand under its model's name."""

    def __init__(self):
        self.answers, self.seen, self.connections = {}, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError, ValueError), connection, connection.makefile("rb") as read:
            while True:
                head = {}
                if not read.readline():
                    return
                while (line := read.readline().strip()) != b"":
                    name, _, value = line.partition(b":")
                    head[name.lower()] = value.strip()
                body = json.loads(read.read(int(head[b"content-length"])))
                self.seen.append(body)
                answer = self.answers[body["model"]]
                for piece in answer(body) if callable(answer) else [answer]:
                    connection.sendall(piece)
                if b"connection: close" in (b"" if callable(answer) else answer[:2000]) or callable(answer):
                    return

    def stop(self):
        self.listener.close()


@pytest.fixture
def raw():
    server = Raw()
    yield server
    server.stop()


@pytest.fixture
def gateway_to(raw, own_gateway):
    """A gateway before the liar: openai/NAME goes to it as model NAME, from both surfaces."""
    config = {
        "model_list": [
            deployment("openai/*", "openai", "*", raw.url),
            deployment("anthropic/*", "anthropic", "*", raw.url),
        ],
        "router_settings": {"disable_cooldowns": True, "num_retries": 0, "timeout": 10},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        "keymoat": {"idle_timeout_ms": 3000, "first_byte_timeout_ms": 5000},
    }
    return own_gateway(config)


def served(gateway):
    """Whether the next call is; a connection that the liar closes at this moment may be met once."""
    for _ in range(2):
        answer = gateway.chat(model="openai/good")
        if answer.status_code == 200:
            return answer.json()["choices"][0]["message"]["content"] == "fine"
    return False


BAD_HEADS = {
    "http-0.9": b"hello",
    "no-version": b"200 OK\r\n\r\n",
    "http-3": b"HTTP/3.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "status-words": b"HTTP/1.1 fine OK\r\n\r\n",
    "status-999": http(ANSWER, "999 What"),
    "status-000": http(ANSWER, "000 None"),
    "two-lengths": http(ANSWER).replace(b"content-length", b"content-length: 3\r\ncontent-length", 1),
    "length-and-chunks": http(ANSWER, headers=["transfer-encoding: chunked"]),
    "negative-length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
    "huge-length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
    "chunk-overflow": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "chunk-words": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "nul-in-header": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 2\r\n\r\n{}",
    "header-bomb": b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
    "long-header": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2_000_000 + b"\r\n\r\n",
    "redirect": http({}, "302 Found", ["location: http://169.254.169.254/latest/meta-data"]),
    "permanent": http({}, "308 Permanent Redirect", ["location: https://evil.example/"]),
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nabc",
    "no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not-modified": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "empty-200": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "list": http([]),
    "null": http(None),
    "deep": http(b'{"choices":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "not-utf8": http(b'{"id": "\xff\xfe", "choices": []}'),
    "proxy-auth": http({"error": {"message": "no"}}, "407 Proxy Authentication Required"),
    "early-hints": b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 50 + http(ANSWER),
    "trailing": http(ANSWER) + b"garbage after the end",
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_no_head_or_body_breaks_more_than_its_own_call(gateway_to, raw, path, stream):
    raw.answers.update({name: lambda _, answer=answer: [answer] for name, answer in BAD_HEADS.items()})
    raw.answers["good"] = http(ANSWER)
    for name in BAD_HEADS:
        body = {"model": f"openai/{name}", "max_tokens": 9, "stream": stream}
        answer = gateway_to.post(path, {**body, "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code in (200, 204, 302, 304, 308, 400, 404, 407, 408, 500, 502, 503, 999), (name, answer.status_code)
        assert "169.254" not in answer.headers.get("location", ""), name
        assert answer.status_code not in (302, 308) or "location" not in answer.headers, name
        for secret in PROVIDER_KEYS.values():
            assert secret not in answer.text + str(answer.headers), name
        assert served(gateway_to), name


def test_a_second_answer_is_never_given_to_the_next_request(gateway_to, raw):
    """Two answers to one question: the second would go to whoever comes next on that connection."""
    evil = {**ANSWER, "choices": [{**ANSWER["choices"][0], "message": {"role": "assistant", "content": "EVIL"}}]}
    raw.answers["liar"] = http(ANSWER) + http(evil)
    raw.answers["good"] = http(ANSWER)
    for _ in range(30):
        for model in ("liar", "good"):
            answer = gateway_to.chat(model=f"openai/{model}")
            assert answer.status_code in (200, 502)
            assert "EVIL" not in answer.text
    workers = [threading.Thread(target=gateway_to.chat, kwargs={"model": "openai/liar"}) for _ in range(16)]
    for worker in workers:
        worker.start()
    texts = [gateway_to.chat(model="openai/good").text for _ in range(40)]
    for worker in workers:
        worker.join()
    assert not any("EVIL" in text for text in texts)


USAGES = {
    "negative": {"prompt_tokens": -1_000_000, "completion_tokens": -5, "total_tokens": -9},
    "float": {"prompt_tokens": 11.5, "completion_tokens": 1e3, "total_tokens": 1.0},
    "huge": {"prompt_tokens": 2**64 - 1, "completion_tokens": 2**64 - 1, "total_tokens": 2**64 - 1},
    "beyond": {"prompt_tokens": 10**30, "completion_tokens": 10**30},
    "large": {"prompt_tokens": 2**62, "completion_tokens": 2**62, "total_tokens": 2**63},
    "words": {"prompt_tokens": "eleven", "completion_tokens": None},
    "list": [1, 2],
    "string": "much",
    "cached-more": {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10**9}},
    "nested": {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 10**12}},
    "own-cost": {"prompt_tokens": 5, "completion_tokens": 5, "cost": -100.0},
    "own-cost-huge": {"prompt_tokens": 5, "completion_tokens": 5, "cost": 1e300},
    "own-cost-nan": {"prompt_tokens": 5, "completion_tokens": 5, "cost": "NaN"},
}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("capped", [False, True], ids=["free", "capped"])
def test_no_usage_that_is_told_gives_money_back_or_stops_the_books(gateway_to, raw, stream, capped):
    key = gateway_to.new_key(**({"max_budget": 1000.0} if capped else {}))
    before = 0.0
    for name, usage in USAGES.items():
        whole = http({**ANSWER, "usage": usage})
        raw.answers[name] = (lambda _, u=usage: [sse(chunk(content="x"), last(u))]) if stream else whole
        answer = gateway_to.chat(key=key, model=f"openai/{name}", stream=stream, max_tokens=9)
        assert answer.status_code in (200, 400, 502), (name, answer.text)
        if answer.status_code == 400:
            # What a liar said it used is charged, and then nothing is left.
            assert capped and answer.json()["error"]["type"] == "budget_exceeded"
            break
        spend = gateway_to.spend_of(key)
        assert spend >= before, name
        before = spend
    rows = gateway_to.settled_records(1, api_key=key)
    assert all(row["spend"] >= 0 for row in rows)
    assert gateway_to.alive()


STREAMS = {
    "two-dones": sse(chunk(content="x"), last(), end=b"data: [DONE]\n\ndata: [DONE]\n\n"),
    "after-done": sse(chunk(content="x"), last(), end=b"data: [DONE]\n\n" + b'data: {"choices":[]}\n\n'),
    "only-done": sse(),
    "nothing": sse(end=b""),
    "nul": sse(chunk(content="a\x00b"), last()),
    "not-utf8": sse(end=b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\ndata: [DONE]\n\n'),
    "bom": sse(end=b"\xef\xbb\xbfdata: " + json.dumps(chunk(content="x")).encode() + b"\n\ndata: [DONE]\n\n"),
    "lone-cr": sse(chunk(content="x"), last()).replace(b"\n\n", b"\r\r"),
    "null-choices": sse({"choices": None}, {"choices": [None]}, last()),
    "index-huge": sse({**chunk(content="x"), "choices": [{"index": 2**40, "delta": {"content": "x"}}]}, last()),
    "index-negative": sse({**chunk(content="x"), "choices": [{"index": -1, "delta": {"content": "x"}}]}, last()),
    "tool-index": sse(chunk(tool_calls=[{"index": 10**9, "id": "a", "function": {"name": "f", "arguments": "{"}}]), last()),
    "tool-no-name": sse(chunk(tool_calls=[{"index": 0}]), chunk(tool_calls=[{"index": 0, "function": {}}]), last()),
    "finish-twice": sse(chunk(content="x"), last(), chunk(content="y"), last()),
    "role-twice": sse(chunk(role="assistant"), chunk(role="user", content="x"), last()),
    "error-words": sse({"error": "no"}, end=b""),
    "error-deep": sse({"error": {"message": {"a": [{}] * 50}}}, end=b""),
    "event-names": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    b"event: message_stop\ndata: {}\n\nevent: error\ndata: x\n\nid: 1\nretry: 5\n\ndata: [DONE]\n\n",
    "many-choices": sse(*[{**chunk(), "choices": [{"index": n, "delta": {"content": "x"}} for n in range(2000)]}] * 5, last()),
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_no_stream_breaks_more_than_its_own_call(gateway_to, raw, path):
    raw.answers.update({name: lambda _, answer=answer: [answer] for name, answer in STREAMS.items()})
    raw.answers["good"] = http(ANSWER)
    for name in STREAMS:
        body = {"model": f"openai/{name}", "max_tokens": 9, "stream": True}
        answer = gateway_to.post(path, {**body, "messages": [{"role": "user", "content": "hi"}]})
        assert answer.status_code in (200, 400, 500, 502, 503), (name, answer.text)
        if answer.status_code == 200 and path == "/v1/messages":
            assert answer.text.count("event: message_stop") <= 1, name
        if answer.status_code == 200 and path.endswith("completions") and name != "two-dones":
            assert answer.text.count("[DONE]") <= 1, name
        assert served(gateway_to), name


def test_an_answer_without_end_is_cut_by_time_or_size(gateway_to, raw):
    def endless(_):
        yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        for _ in range(20_000):
            yield b"10000\r\n" + b" " * 65536 + b"\r\n"

    def hints(_):
        for _ in range(100_000):
            yield b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"

    raw.answers.update(endless=endless, hints=hints)
    before = gateway_to.rss_kb()
    for model in ("endless", "hints"):
        answer = gateway_to.chat(model=f"openai/{model}")
        assert answer.status_code in (408, 502), (model, answer.text)
    assert gateway_to.rss_kb() - before < 500_000
    assert gateway_to.alive()
