"""An upstream that stalls, resets, lies and sends garbage; nothing leaks.

500 requests (10,000 in the long form) through 50 connections, with retries and
without. Each has exactly one outcome, and the records say the same; afterwards
files, memory, money and in-flight places are back.
"""

import collections
import concurrent.futures as futures
import json
import threading
import time

import httpx
import pytest

from support import COST, Upstream, by_call, deployment, long_form, standard_config

CONNECTIONS = 50
REQUESTS = 10_000 if long_form("chaos") else 500
WARM_UP = 100
MODELS = ["chat-openai", "chat-anthropic"]
# What RSS may grow by from one run to the next: allocators keep some, a leak grows with the requests.
RSS_MARGIN_KB = 16 << 10


def ask(client, turn):
    """One request: what became of it, in a word."""
    stream = turn % 2 == 0
    anthropic = turn % 4 >= 2
    body = {
        "model": MODELS[turn // 4 % 2],
        "stream": stream,
        "max_tokens": 7,
        "messages": [{"role": "user", "content": "x"}],
        "num_retries": turn // 8 % 2,
    }
    path = "/v1/messages" if anthropic else "/v1/chat/completions"
    # A broken connection to the *gateway* is no outcome that a client may see.
    answer = client.post(path, json=body, headers={"x-litellm-call-id": f"chaos-{turn}"})
    if answer.status_code != 200:
        # The spoiled upstream's own error says nothing, and is relayed as it is.
        assert answer.text == '{"error":{}}' or answer.json()["error"]["message"], answer.text
        assert answer.headers["x-litellm-call-id"] == f"chaos-{turn}"
        return f"status {answer.status_code}"
    if not stream:
        json.loads(answer.text)
        return "answered"
    text = answer.text.replace(" ", "")
    end = "event:message_stop" if anthropic else "data:[DONE]"
    if '"error"' not in text:
        assert end in text, f"neither an end nor an error: {answer.text[-300:]!r}"
        return "answered"
    # An error may be followed by the upstream's own [DONE], but an end never by an error.
    assert "message_stop" not in text and "[DONE]" not in text[: text.index('"error"')]
    # The upstream may break after its last word; it must have been the last word.
    assert '"finish_reason":"stop"' not in text or '"Yousaid:"' in text
    return "error in stream"


class Load:
    """Requests `first` to `last` over CONNECTIONS connections at once."""

    def __init__(self, gateway, key, first, last):
        self.outcomes = {}
        self.broken = []
        self._turns = iter(range(first, last))
        self._lock = threading.Lock()
        workers = [threading.Thread(target=self._work, args=(gateway, key)) for _ in range(CONNECTIONS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(300)
        assert not any(worker.is_alive() for worker in workers), "a connection is stuck"
        assert not self.broken, self.broken[:5]
        assert len(self.outcomes) == last - first

    def _work(self, gateway, key):
        with gateway.http(key) as client:
            while True:
                with self._lock:
                    turn = next(self._turns, None)
                if turn is None:
                    return
                try:
                    outcome = ask(client, turn)
                except (AssertionError, ValueError, KeyError, httpx.HTTPError) as error:
                    self.broken.append(f"{turn}: {error!r}")
                    continue
                with self._lock:
                    self.outcomes[f"chaos-{turn}"] = outcome


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert holds()


def all_places_are_free(gateway, key, places):
    """As many slow streams at once as the key has places, and no more."""
    def one():
        return gateway.chat(key=key, model="steady/gpt-pause-250", stream=True).status_code

    with futures.ThreadPoolExecutor(places + 10) as pool:
        statuses = collections.Counter(f.result() for f in [pool.submit(one) for _ in range(places + 10)])
    assert statuses == {200: places, 429: 10}


@pytest.mark.parametrize("seed", [1])
def test_every_request_has_one_outcome_and_nothing_leaks(own_gateway, upstream, seed):
    spoiled = Upstream("--chaos", seed)
    config = standard_config(spoiled.url)
    config["litellm_settings"] |= {"request_timeout": 10}
    steady = deployment("steady/*", "openai", "*", upstream.url)
    config["model_list"].append(steady)
    gateway = own_gateway(config)
    budget = 1000.0
    key = gateway.new_key(max_parallel_requests=CONNECTIONS, max_budget=budget)
    # Fill pools and caches first, so that what is compared is a steady state.
    outcomes = Load(gateway, key, 0, WARM_UP).outcomes
    all_places_are_free(gateway, key, CONNECTIONS)
    files_before, rss_before = gateway.open_files(), gateway.rss_kb()
    outcomes |= Load(gateway, key, WARM_UP, WARM_UP + REQUESTS).outcomes
    rss_after = gateway.rss_kb()
    counts = collections.Counter(outcomes.values())
    print(dict(counts), f"RSS {rss_before} kB before, {rss_after} kB after")
    assert counts["answered"] > len(outcomes) // 5
    assert not [o for o in counts if o.startswith("status 4")], "an in-flight place leaked, or the caller was blamed"

    rows = gateway.settled_records(len(outcomes) + CONNECTIONS, api_key=key)
    calls = by_call(rows)
    spent = gateway.spend_of(key)
    assert spent == pytest.approx(sum(row["spend"] for row in rows), abs=1e-9)
    calls = {call_id: attempts for call_id, attempts in calls.items() if call_id.startswith("chaos-")}
    assert set(calls) == set(outcomes), "not one call for each request"
    for call_id, attempts in calls.items():
        answered = outcomes[call_id] == "answered"
        assert (attempts[-1]["status"] == "success") == answered, (call_id, outcomes[call_id], attempts[-1])
        retries = int(call_id.removeprefix("chaos-")) // 8 % 2
        assert len(attempts) <= 1 + retries
        assert answered or outcomes[call_id] == "error in stream" or len(attempts) == 1 + retries, "no retry"
    # Every attempt that reached the upstream has its record; one that broke before may have one more.
    made = sum(len(attempts) for attempts in calls.values())
    assert 0 <= made - len(spoiled.received()) <= made // 20

    # What the key spent is what its records say (above), and nothing more is held.
    assert spent >= COST * counts["answered"] * 0.5
    gateway.post("/key/update", {"key": key, "max_budget": spent + COST * 8})
    assert gateway.chat(key=key, model="steady/gpt", max_tokens=7).status_code == 200, "money is still held"
    gateway.post("/key/update", {"key": key, "max_budget": budget})
    all_places_are_free(gateway, key, CONNECTIONS)
    all_places_are_free(gateway, key, CONNECTIONS)

    # Each of the two pools may keep a second connection for each place; one leaked by each failed
    # attempt would be more.
    leaks_would_show = 2 * CONNECTIONS
    print(f"{made - counts['answered']} failed attempts, {gateway.open_files()} files, {files_before} before")
    assert made - counts["answered"] > leaks_would_show
    wait_until(lambda: gateway.open_files() <= files_before + leaks_would_show)
    assert rss_after - rss_before < RSS_MARGIN_KB
    spoiled.kill()
