"""kill -9 in the middle of load: what a client saw the end of is on record.

Clients note the call id of each answer that they read to its end. After the
restart every one of these has its record, and the key has spent what its
records say. Under a budget even an attempt that was cut off by the kill has its
record, charged in full.
"""

import threading
import time

import httpx
import pytest

from support import COST, TLS, by_call, long_form

CLIENTS = 8
KILLS = 20 if long_form("kill") else 3


class Load:
    """Unary and streamed requests from CLIENTS clients until the gateway goes away."""

    def __init__(self, gateway, key, name):
        self.done = []
        self._stop = threading.Event()
        self._clients = [threading.Thread(target=self._run, args=(gateway.url, key, f"{name}-{n}")) for n in range(CLIENTS)]
        for client in self._clients:
            client.start()

    def join(self):
        self._stop.set()
        for client in self._clients:
            client.join()

    def _run(self, url, key, name):
        headers = {"authorization": f"Bearer {key}"}
        with httpx.Client(base_url=url, headers=headers, timeout=10, verify=TLS) as client:
            turn = 0
            while not self._stop.is_set():
                turn += 1
                call_id = f"{name}-{turn}"
                body = {
                    "model": "chat-openai" if turn % 2 else "chat-anthropic",
                    "stream": turn % 3 == 0,
                    "max_tokens": 7,
                    "messages": [{"role": "user", "content": "x"}],
                }
                try:
                    answer = client.post("/v1/chat/completions", json=body, headers={"x-litellm-call-id": call_id})
                except httpx.HTTPError:
                    return
                assert answer.status_code == 200, answer.text
                if not body["stream"] or answer.text.endswith("data: [DONE]\n\n"):
                    self.done.append(call_id)


@pytest.mark.parametrize("budget", [None, 1000.0], ids=["uncapped", "capped"])
def test_no_record_of_a_finished_request_is_missing_after_kill_9(own_gateway, upstream, budget):
    gateway = own_gateway()
    key = gateway.new_key(max_budget=budget) if budget else gateway.new_key()
    upstream.forget()
    done = set()
    for kill in range(KILLS):
        load = Load(gateway, key, f"kill{kill}")
        # Kill at a different point each time, but always in the middle of traffic.
        deadline = time.monotonic() + 20
        while len(load.done) < 40 + 7 * kill and time.monotonic() < deadline:
            time.sleep(0.002)
        gateway.kill()
        load.join()
        assert load.done, "no load before the kill"
        done |= set(load.done)

        gateway = own_gateway()
        reached = len(upstream.received())
        rows = gateway.settled_records(len(done), api_key=key)
        calls = by_call(rows)
        missing = done - set(calls)
        assert not missing, f"kill {kill}: {len(missing)} of {len(done)} records are missing"
        for call_id in done:
            assert [row["spend"] for row in calls[call_id]] == [pytest.approx(COST)]
        cut_off = [row for row in rows if row["metadata"]["ending"] == "crashed"]
        assert len(cut_off) <= CLIENTS * (kill + 1)
        # Under the name that the client gave the call, as every other record.
        assert all(call_id.startswith("kill") for call_id in by_call(cut_off))
        if budget:
            assert reached <= len(rows) <= reached + CLIENTS * (kill + 1), "an attempt without a record"
            assert all(row["spend"] > COST for row in cut_off)
        assert gateway.spend_of(key) == pytest.approx(sum(row["spend"] for row in rows), abs=1e-9)
    assert gateway.chat(key).status_code == 200
