"""Caps hold by the provider's own books, whatever it reports and whenever clients leave.

The provider counts what it generates and what that costs. A test sends calls
until the budget refuses them, and compares: the provider's sum is within the
budget, and where its reports are complete the records say the same.
"""

import asyncio
import concurrent.futures as futures
import gzip
import json
import socket
import time

import pytest

from attack import (
    FIRST_CHUNK_ONLY,
    CHAT,
    IN,
    LONG_TEXT,
    MESSAGES,
    PRICES,
    Attack,
    answering,
    config,
    cost,
    gateway,
    gateway_with,
    generating,
    provider,
    streaming,
)
from collections import Counter
from counting import DONE, SSE, chunk, completion, usage
from support import Gateway, by_call

# --- clients that leave


@pytest.mark.parametrize(
    ("group", "path", "fields", "output"),
    [
        ("gpt-4o", CHAT, {}, 1000),
        ("gpt-4o", MESSAGES, {}, 1000),
        ("gpt-4o", CHAT, {"n": 2}, 2000),
        ("instruct", "/v1/completions", {}, 1000),
    ],
    ids=["chat", "messages", "two-choices", "completions"],
)
def test_hanging_up_on_streams_spends_no_more_than_the_budget(gateway, provider, group, path, fields, output):
    usd = cost(group, output)
    attack = Attack(gateway, provider, generating(usd, output), group, path, budget=usd * 8)
    attack.press(lambda: attack.leave(after_bytes=700, stream=True, **fields), calls=30)
    rows = attack.check(exact=True)
    assert {row["metadata"]["ending"] for row in rows} == {"client_gone_after"}


def test_hanging_up_on_streams_without_usage_spends_no_more_than_the_budget(gateway, provider):
    usd = cost("gpt-4o", 1000)
    attack = Attack(gateway, provider, generating(usd, 1000, reports=False), "gpt-4o", budget=usd * 8)
    attack.press(lambda: attack.leave(after_bytes=700, stream=True))
    attack.check(exact=False)


def test_hanging_up_before_the_first_byte_is_charged_as_used(gateway, provider):
    usd = cost("own", 5)
    quiet = answering(usd, completion(usage=usage(IN, 5)), after_s=0.3)
    attack = Attack(gateway, provider, quiet, budget=0.1)
    for stream in (True, False):
        attack.press(lambda: attack.leave(after_s=0.1, stream=stream), calls=8)
    assert attack.reached == 16
    attack.check(exact=True)


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_hanging_up_on_a_local_server_with_prices_spends_no_more_than_the_budget(gateway, provider, stream):
    usd = cost("local", 1000)
    whole = answering(usd, completion(usage=usage(IN, 1000)), after_s=0.3)
    attack = Attack(gateway, provider, generating(usd, 1000) if stream else whole, "local", budget=usd * 6)
    limit = {"after_bytes": 700} if stream else {"after_s": 0.05}
    attack.press(lambda: attack.leave(stream=stream, **limit), calls=60)
    attack.check(exact=False)


@pytest.mark.parametrize(
    ("group", "usd", "script", "fields"),
    [
        (
            "audio",
            IN * 2.5e-6 + 1000 * 8e-5,
            {"delta": {"audio": {"data": "QUJD" * 90}}, "completion_tokens_details": {"audio_tokens": 1000}},
            {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "pcm16"}},
        ),
        ("qwq", cost("qwq", 1000), {"delta": {"content": "a"}}, {"include_reasoning": False}),
        ("qwq", cost("qwq", 1000), {"delta": {"reasoning_details": [{"type": "x"}]}}, {}),
    ],
    ids=["audio", "reasoning-left-out", "reasoning-encrypted"],
)
def test_output_that_is_not_text_is_charged_after_a_hang_up(gateway, provider, group, usd, script, fields):
    attack = Attack(gateway, provider, generating(usd, 1000, **script), group, budget=usd * 8)
    attack.press(lambda: attack.leave(after_bytes=600, stream=True, **fields))
    attack.check(exact=True)


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"x-litellm-timeout": "0.05"}, {}),
        ({}, {"timeout": 0.05}),
        ({"x-litellm-timeout": "0.05", "x-litellm-num-retries": "10"}, {}),
    ],
    ids=["header", "body", "retries"],
)
def test_the_time_limit_of_a_client_ends_its_wait_and_is_charged_as_used(gateway, provider, headers, fields):
    usd = cost("own", 1000)
    slow = answering(usd, completion(usage=usage(IN, 1000)), after_s=0.3)
    attack = Attack(gateway, provider, slow, budget=usd * 8)
    statuses = attack.press(lambda: attack.ask(headers=headers, **fields), calls=16)
    # One attempt for each: the limit covers the retries.
    assert attack.reached == statuses[408]
    rows = attack.check(exact=True)
    assert {row["metadata"]["ending"] for row in rows} == {"timeout"}


@pytest.mark.parametrize("way", ["unary", "stream", "before-the-answer", "time-limit"])
def test_a_call_whose_client_has_left_keeps_its_place_in_flight(gateway, provider, way):
    usd = cost("own", 100)
    script = {
        "unary": answering(usd, completion(usage=usage(IN, 100)), after_s=0.3),
        "stream": generating(usd, 100),
        "before-the-answer": answering(usd, completion(usage=usage(IN, 100)), after_s=0.3),
        "time-limit": answering(usd, completion(usage=usage(IN, 100)), after_s=0.3),
    }[way]
    attack = Attack(gateway, provider, script, max_parallel_requests=1)
    call = {
        "unary": lambda: attack.leave(after_s=0.05),
        "stream": lambda: attack.leave(after_bytes=600, stream=True),
        "before-the-answer": lambda: attack.leave(after_s=0.05, stream=True),
        "time-limit": lambda: attack.ask(headers={"x-litellm-timeout": "0.03"}),
    }[way]
    attack.press(call, calls=5, at_once=2)
    attack.records()
    assert attack.reached >= 3
    assert provider.running_max[attack.name] == 1


def test_a_call_whose_translated_stream_failed_keeps_its_place_in_flight(gateway, provider):
    async def failing_at_once(call):
        await call.head(SSE)
        error = {"error": {"message": "oops", "type": "server_error"}}
        text = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (chunk({"content": "x"}), error))
        await call.send(text)
        await asyncio.sleep(0.5)
        await call.events(chunk(finish="stop", usage=usage(IN, 100)), DONE)

    attack = Attack(gateway, provider, failing_at_once, path=MESSAGES, max_parallel_requests=1)
    attack.press(lambda: attack.ask(stream=True), calls=5, at_once=2)
    attack.records()
    assert provider.running_max[attack.name] == 1


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_an_answer_that_nobody_reads_keeps_its_place_in_flight(gateway, provider, path):
    large = completion("y" * 20_000_000, usage=usage(IN, 5))
    attack = Attack(gateway, provider, answering(0.0, large), path=path, max_parallel_requests=1)
    body = json.dumps(attack.body()).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {attack.key}\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", int(gateway.url.rsplit(":", 1)[1]))) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.sendall(head.encode() + b"content-type: application/json\r\n\r\n" + body)
        # Its head has come, and most of its body has not.
        assert client.recv(12) == b"HTTP/1.1 200"
        assert attack.ask() == 429
    attack.press(attack.ask, calls=1)
    assert attack.reached == 2


@pytest.mark.parametrize("change", ["block", "update"])
def test_a_key_that_is_changed_is_charged_for_the_calls_it_left(gateway, provider, change):
    usd = cost("own", 500)
    attack = Attack(gateway, provider, generating(usd, 500), budget=1.0)
    attack.leave(after_bytes=600, stream=True)
    fields = {"max_budget": 2.0} if change == "update" else {}
    answer = gateway.post(f"/key/{change}", {"key": attack.key, **fields})
    assert answer.status_code == 200, answer.text
    attack.check(exact=True)


# --- errors and broken answers


@pytest.mark.parametrize("status", [408, 499, 502, 524, 529])
def test_an_error_that_says_nothing_of_the_model_may_have_been_billed(gateway, provider, status):
    usd = cost("own", 1000)
    failing = answering(usd, {"error": {"message": "no"}}, f"{status} Error")
    attack = Attack(gateway, provider, failing, budget=usd * 5)
    attack.press(lambda: attack.ask(num_retries=1), calls=10)
    attack.check(exact=False)


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("way", ["status", "event", "body"])
def test_what_openai_says_of_its_errors_does_not_hold_at_another_origin(gateway, provider, status, way):
    usd = cost("own", 1000)
    error = {"error": {"message": "no", "type": "server_error", "code": status}}
    script = {
        "status": answering(usd, error, f"{status} Error"),
        "event": streaming(usd, error),
        "body": answering(usd, error),
    }[way]
    attack = Attack(gateway, provider, script, budget=usd * 4.5)
    attack.press(lambda: attack.ask(stream=way == "event"), calls=12)
    attack.check(exact=False)


FILTERED = {
    "error": {
        "code": "content_filter",
        "message": "The response was filtered due to the prompt triggering the content management policy.",
        "innererror": {"code": "ResponsibleAIPolicyViolation"},
    }
}


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_the_content_filter_of_azure_is_charged(gateway, provider, path, zipped):
    usd = cost("azure", 1000)
    body = json.dumps(FILTERED).encode()
    filtered = answering(
        usd,
        gzip.compress(body) if zipped else body,
        "400 Bad Request",
        headers=["content-encoding: gzip"] if zipped else [],
    )
    attack = Attack(gateway, provider, filtered, "azure", path, budget=usd * 4.5)
    for _ in range(8):
        assert attack.ask() == 400
    attack.check(exact=False)


@pytest.mark.parametrize("way", ["brotli", "slow"])
def test_a_refusal_of_azure_that_cannot_be_read_is_charged(gateway, provider, way):
    usd = cost("azure", 1000)

    async def slow(call):
        call.bill(usd)
        await call.head(status="400 Bad Request", headers=["content-length: 5000"])
        await call.send(json.dumps(FILTERED).encode())
        await asyncio.sleep(3)

    brotli = answering(usd, b"\x0b\x02\x80{}\x03", "400 Bad Request", headers=["content-encoding: br"])
    attack = Attack(gateway, provider, {"brotli": brotli, "slow": slow}[way], "azure", budget=usd * 2.5)
    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: attack.ask(), range(4)))
    attack.ask()
    attack.check(exact=False)


@pytest.mark.parametrize("status", [401, 403, 404, 413, 422, 429, 503, 529])
def test_refusals_and_overload_of_anthropic_are_free(gateway, provider, status):
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "no"}}
    attack = Attack(gateway, provider, answering(0.0, body, f"{status} Error"), "claude", MESSAGES, budget=0.05)
    for _ in range(3):
        attack.ask()
    attack.check(exact=False)
    assert gateway.spend_of(attack.key) == 0


async def closing(call):
    call.bill(cost("own", 1000))


BROKEN = {
    "cut": (streaming(cost("own", 1000), chunk({"content": "x"}, usage=usage(IN, 1))), True),
    "only-done": (streaming(cost("own", 1000), DONE), True),
    "error-first": (
        streaming(cost("own", 1000), {"error": {"message": "oops"}}, chunk({"content": "x"}), chunk(finish="stop"), DONE),
        True,
    ),
    "events-for-unary": (streaming(cost("own", 1000), *FIRST_CHUNK_ONLY), False),
    "empty": (answering(cost("own", 1000), b""), False),
    "no-json": (answering(cost("own", 1000), b"<html>"), False),
    "no-content": (answering(cost("own", 1000), b"", "204 No Content"), False),
    "gzip-cut": (
        answering(cost("own", 1000), gzip.compress(LONG_TEXT.encode())[:-12], headers=["content-encoding: gzip"]),
        False,
    ),
    "closed": (closing, False),
}


@pytest.mark.parametrize("way", BROKEN)
def test_a_broken_answer_may_have_been_billed(gateway, provider, way):
    script, stream = BROKEN[way]
    attack = Attack(gateway, provider, script, budget=cost("own", 1000) * 4.5)
    attack.press(lambda: attack.ask(stream=stream), calls=12)
    attack.check(exact=False)


def test_an_answer_in_gzip_is_decoded_and_charged_once(gateway, provider):
    usd = cost("own", 5)
    whole = gzip.compress(json.dumps(completion(usage=usage(IN, 5))).encode())
    attack = Attack(gateway, provider, answering(usd, whole, headers=["content-encoding: gzip"]), budget=0.05)
    assert attack.ask(num_retries=2) == 200
    attack.check(exact=True)

    async def pieces(call):
        call.bill(usd)
        await call.head(SSE, headers=["content-encoding: gzip"])
        events = [chunk({"content": "x"}), chunk(finish="stop", usage=usage(IN, 5))]
        text = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + DONE
        zipped = gzip.compress(text)
        for at in range(0, len(zipped), 7):
            await call.send(zipped[at : at + 7])

    attack = Attack(gateway, provider, pieces, budget=0.05)
    assert attack.ask(stream=True, num_retries=2) == 200
    attack.check(exact=True)


# --- budgets and rates that keys share


def test_a_key_cannot_burn_the_budget_that_all_keys_share(gateway_with, provider):
    gateway = gateway_with(litellm_settings={"max_budget": 100.0})
    # An unknown key and no usable report: the whole window is held, and charged.
    broken = Attack(gateway, provider, answering(0.0, b"<html>"), "gpt-4o")
    statuses = Counter(broken.ask(max_tokens=16384, whatever=1) for _ in range(20))
    assert statuses[429] > 0, statuses
    assert sum(row["spend"] for row in broken.records()) <= 100.0 * 0.05 + 1.0
    # Those that leave before an answer are charged for what they used.
    quick = answering(cost("gpt-4o", 5), completion(usage=usage(IN, 5)), after_s=0.1)
    leaving = Attack(gateway, provider, quick, "gpt-4o")
    for _ in range(30):
        leaving.leave(after_s=0.02, stream=True, max_tokens=16384, whatever=1)
    leaving.check(exact=True)
    impatient = Attack(gateway, provider, quick, "gpt-4o")
    for _ in range(10):
        impatient.ask(headers={"x-litellm-timeout": "0.02", "x-litellm-num-retries": "10"}, max_tokens=16384, whatever=1)
    impatient.check(exact=True)
    other = Attack(gateway, provider, answering(0.0, completion(usage=usage(IN, 5))))
    assert other.ask() == 200


IMAGE = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]


@pytest.mark.parametrize("kind", ["no-output-limit", "image-by-url"])
def test_tokens_per_minute_are_exceeded_by_one_answer_at_most(gateway, provider, kind):
    used = {"no-output-limit": usage(IN, 4000), "image-by-url": usage(9000, 10)}[kind]
    attack = Attack(gateway, provider, answering(0.0, completion(usage=used), after_s=0.2), tpm_limit=10_000)
    text = {"type": "text", "text": f"script={attack.name}"}
    fields = {
        "no-output-limit": {"max_tokens": None},
        "image-by-url": {"max_tokens": 10, "messages": [{"role": "user", "content": [text, *IMAGE]}]},
    }[kind]
    fields = {name: value for name, value in fields.items() if value is not None}

    def ask():
        body = {**attack.body(), **fields}
        if kind == "no-output-limit":
            del body["max_tokens"]
        return attack.http.post(CHAT, json=body).status_code

    with futures.ThreadPoolExecutor(24) as pool:
        statuses = Counter(pool.map(lambda _: ask(), range(48)))
    assert set(statuses) == {200, 429}
    assert attack.reached * used["total_tokens"] < 10_000 + used["total_tokens"]


@pytest.mark.parametrize("way", ["unary", "stream", "zeros", "error"])
def test_tokens_per_minute_hold_without_a_report_of_usage(gateway, provider, way):
    script = {
        "unary": answering(0.0, completion()),
        "stream": streaming(0.0, chunk({"content": "x"}), chunk(finish="stop"), DONE),
        "zeros": answering(0.0, completion(usage=usage(0, 0))),
        "error": answering(0.0, {"error": {"message": "no"}}, "502 Bad Gateway"),
    }[way]
    attack = Attack(gateway, provider, script, tpm_limit=10_000)
    # Each may have generated all of it, unseen.
    for _ in range(8):
        attack.ask(stream=way == "stream", max_tokens=4000)
    assert attack.reached * 4000 <= 10_000 + 4000


# --- memory


@pytest.mark.parametrize("coding", ["plain", "gzip"])
def test_streams_that_nobody_reads_share_what_they_hold(gateway_with, provider, coding):
    gateway = gateway_with()
    large = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"a" * 15_000_000 + b'"}}]}\n\n'
    sent = gzip.compress(large) if coding == "gzip" else large

    async def script(call):
        await call.head(SSE, headers=["content-encoding: gzip"] if coding == "gzip" else [])
        await call.send(sent)
        await asyncio.sleep(4)

    attack = Attack(gateway, provider, script)
    body = json.dumps(attack.body(stream=True)).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {attack.key}\r\ncontent-length: {len(body)}\r\n"
    before, most, clients = gateway.rss_kb(), 0, []
    for _ in range(120):
        client = socket.create_connection(("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        client.sendall(head.encode() + b"content-type: application/json\r\n\r\n" + body)
        clients.append(client)
        time.sleep(0.05)
        most = max(most, gateway.rss_kb())
    for client in clients:
        client.close()
    # 128 MiB for the events of all streams, and as much again on their way.
    assert most - before < 320_000


# --- time and crashes


def drip(kind, piece, first=b""):
    async def script(call):
        await call.head(kind)
        await call.send(first)
        for _ in range(100):
            await call.send(piece)
            await asyncio.sleep(0.1)

    return script


DRIPS = {
    "not-events": drip("application/json", b" "),
    "text": drip("text/plain", b"x"),
    "comments": drip(SSE, b": hi\n\n"),
    "roles": drip(SSE, b'data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}\n\n'),
    "one-event": drip(SSE, b"a", b'data: {"choices":[{"index":0,"delta":{"content":"'),
    "comments-after-text": drip(SSE, b": hi\n\n", b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'),
    "text-for-ever": drip(SSE, b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'),
}


def test_an_answer_that_drips_ends_within_its_limits(gateway_with, provider):
    limits = {"idle_timeout_ms": 2000, "first_byte_timeout_ms": 2000, "stream_max_ms": 3000, "drain": {"max_ms": 1000}}
    gateway = gateway_with(router_settings={"timeout": 2, "stream_timeout": 2}, keymoat=limits)
    calls = [
        (way, stream, Attack(gateway, provider, script, path=path))
        for way, script in DRIPS.items()
        for stream in (True, False)
        for path in (CHAT, MESSAGES)
    ]

    def timed(call):
        way, stream, attack = call
        began = time.monotonic()
        attack.ask(stream=stream)
        return way, stream, attack.path, round(time.monotonic() - began, 1)

    with futures.ThreadPoolExecutor(len(calls)) as pool:
        times = list(pool.map(timed, calls))
    assert [took for took in times if took[-1] > 6] == []


def test_a_crash_loses_no_call_and_charges_those_that_were_read_on(provider, tmp_path):
    usd = cost("own", 300)
    gateway = Gateway(tmp_path, config(provider.url))
    try:
        whole = Attack(gateway, provider, answering(usd, completion(usage=usage(IN, 300)), after_s=0.02), budget=0.05)
        left = Attack(gateway, provider, generating(usd, 300, seconds=2.0), budget=0.05)
        finished = [whole.http.post(CHAT, json=whole.body()) for _ in range(10)]
        assert {answer.status_code for answer in finished} == {200}
        for _ in range(4):
            assert left.leave(after_bytes=600, stream=True) == 200
        gateway.kill()
        gateway = whole.gateway = left.gateway = gateway.again()
        calls = by_call(whole.records())
        assert {answer.headers["x-litellm-call-id"] for answer in finished} <= set(calls)
        whole.check(exact=True)
        left.check(exact=False)
    finally:
        gateway.kill()


def test_nothing_stays_held_after_clients_left_and_providers_failed(gateway, provider):
    scripts = [
        generating(cost("own", 100), 100, seconds=0.1),
        answering(cost("own", 100), completion(usage=usage(IN, 100)), after_s=0.1),
        answering(0.0, {"error": {"message": "no"}}, "429 Too Many Requests"),
        BROKEN["cut"][0],
        BROKEN["error-first"][0],
        closing,
    ]
    turns = iter(range(1000))

    async def any_of_them(call):
        await scripts[next(turns) % len(scripts)](call)

    attack = Attack(gateway, provider, any_of_them, budget=1.0, max_parallel_requests=12)

    def call(number):
        attack.path = (CHAT, MESSAGES)[number // 2 % 2]
        if number % 3 == 0:
            attack.leave(after_s=0.05, stream=number % 2 == 0)
        else:
            attack.ask(stream=number % 2 == 0, num_retries=number % 2)

    with futures.ThreadPoolExecutor(10) as pool:
        list(pool.map(call, range(90)))
    attack.records()
    rest = 1.0 - gateway.spend_of(attack.key)
    attack.path = CHAT
    provider.scripts[attack.name] = answering(0.0, completion(usage=usage(IN, 1)), after_s=0.5)
    with futures.ThreadPoolExecutor(12) as pool:
        assert Counter(pool.map(lambda _: attack.ask(max_tokens=5), range(12))) == {200: 12}
    assert attack.ask(max_tokens=int(rest * 0.97 / PRICES["own"][1])) == 200
