"""kill -9 in the middle of load: what a client saw the end of is on record.

Clients note the call id of each answer that they read to its end. After the
restart every one of these has its record; more records than that are fine
(answers that were under way).
"""

import threading
import time

import httpx

from support import COST, MASTER_KEY, TLS, long_form
from test_limits import logs

CLIENTS = 8


def load(gateway, key, done, stop):
    """Unary and streamed requests until the gateway goes away."""
    turn = 0
    with httpx.Client(base_url=gateway.url, headers={"authorization": f"Bearer {key}"}, timeout=10, verify=TLS) as client:
        while not stop.is_set():
            turn += 1
            body = {
                "model": "chat-openai" if turn % 2 else "chat-anthropic",
                "stream": turn % 3 == 0,
                "max_tokens": 7,
                "messages": [{"role": "user", "content": "x"}],
            }
            try:
                answer = client.post("/v1/chat/completions", json=body)
            except httpx.HTTPError:
                return
            finished = answer.status_code == 200 and (not body["stream"] or answer.text.endswith("data: [DONE]\n\n"))
            if finished:
                done.append(answer.headers["x-litellm-call-id"])


def all_logs(gateway, key, at_least):
    deadline = time.monotonic() + 20
    while len(rows := logs(gateway, api_key=key)) < at_least and time.monotonic() < deadline:
        time.sleep(0.1)
    return rows


def test_no_record_of_a_finished_request_is_missing_after_kill_9(own_gateway):
    gateway = own_gateway()
    key = gateway.new_key()
    done = []
    for kill in range(20 if long_form("kill") else 3):
        stop = threading.Event()
        clients = [threading.Thread(target=load, args=(gateway, key, done, stop)) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        before = len(done)
        deadline = time.monotonic() + 20
        # Kill at a different point each time, but always in the middle of traffic.
        while len(done) < before + 40 + 7 * kill and time.monotonic() < deadline:
            time.sleep(0.002)
        gateway.kill()
        stop.set()
        for client in clients:
            client.join()
        assert len(done) > before, "no load before the kill"
        gateway = own_gateway()
        rows = all_logs(gateway, key, len(done))
        ids = [row.get("litellm_call_id") or row["request_id"] for row in rows]
        missing = set(done) - set(ids)
        assert not missing, f"kill {kill}: {len(missing)} of {len(done)} records are missing"
        assert len(ids) == len(set(ids)), "a record stands twice"
    spent = gateway.get("/key/info", params={"key": key}).json()["info"]["spend"]
    assert spent >= COST * len(done) - 1e-9
    assert gateway.chat(key=MASTER_KEY).status_code == 200
