"""An upstream that stalls, resets, lies and sends garbage; nothing leaks.

500 requests (10,000 in the long form) through 50 connections. Each has exactly
one outcome and one record for each attempt; afterwards files, memory and
in-flight places are back.
"""

import collections
import json
import threading
import time

import httpx
import pytest

from support import Upstream, long_form, standard_config
from test_limits import logs

CONNECTIONS = 50
REQUESTS = 10_000 if long_form("chaos") else 500
MODELS = ["chat-openai", "chat-anthropic"]


def ask(client, turn):
    """One request: what became of it, in a word."""
    stream = turn % 2 == 0
    anthropic = turn % 4 >= 2
    body = {
        "model": MODELS[turn // 4 % 2],
        "stream": stream,
        "max_tokens": 7,
        "messages": [{"role": "user", "content": "x"}],
    }
    try:
        answer = client.post("/v1/messages" if anthropic else "/v1/chat/completions", json=body)
    except httpx.HTTPError as error:
        return f"client saw {type(error).__name__}"
    if answer.status_code != 200:
        assert answer.json()["error"], answer.text
        return f"status {answer.status_code}"
    if not stream:
        json.loads(answer.text)
        return "answered"
    end = "message_stop" if anthropic else "data: [DONE]"
    ended, failed = end in answer.text, '"error"' in answer.text
    # An error may be followed by [DONE], but never by an ending that looks like success.
    assert ended or failed, f"neither an end nor an error: {answer.text[-300:]!r}"
    if failed:
        assert '"finish_reason":"stop"' not in answer.text.replace(" ", "") and "message_stop" not in answer.text
        return "error in stream"
    return "answered"


@pytest.mark.parametrize("seed", [1])
def test_every_request_has_one_outcome_and_nothing_leaks(own_gateway, seed):
    upstream = Upstream("--chaos", seed)
    config = standard_config(upstream.url)
    config["litellm_settings"] |= {"request_timeout": 10}
    gateway = own_gateway(config)
    key = gateway.new_key(max_parallel_requests=CONNECTIONS)
    # Fill pools and caches first, so that what is compared is a steady state.
    with gateway.http(key) as client:
        for turn in range(40):
            ask(client, turn)
    rss_before, files_before = gateway.rss_kb(), gateway.open_files()
    outcomes, broken = collections.Counter(), []
    turns = iter(range(REQUESTS))
    lock = threading.Lock()

    def work():
        with gateway.http(key) as client:
            while True:
                with lock:
                    turn = next(turns, None)
                if turn is None:
                    return
                try:
                    outcome = ask(client, turn)
                except (AssertionError, ValueError) as error:
                    broken.append(f"{turn}: {error}")
                    continue
                with lock:
                    outcomes[outcome] += 1

    workers = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(300)
    assert not any(worker.is_alive() for worker in workers), "a connection is stuck"
    print(dict(outcomes))
    assert not broken, broken[:5]
    assert sum(outcomes.values()) == REQUESTS
    assert outcomes["answered"] > REQUESTS // 5
    assert gateway.alive() and "panicked" not in gateway.output()
    assert not [o for o in outcomes if o.startswith("status 429")], "an in-flight place leaked"

    attempts = len(upstream.received())
    deadline = time.monotonic() + 30
    while len(rows := logs(gateway, api_key=key)) < REQUESTS and time.monotonic() < deadline:
        time.sleep(0.2)
    assert REQUESTS + 40 <= len(rows), "a request without a record"
    assert len(rows) <= attempts + REQUESTS, "more records than attempts"
    while gateway.open_files() > files_before + CONNECTIONS and time.monotonic() < deadline:
        time.sleep(0.1)
    assert gateway.open_files() <= files_before + CONNECTIONS
    assert gateway.rss_kb() < rss_before * 1.5 + (32 << 10)
    upstream.kill()
