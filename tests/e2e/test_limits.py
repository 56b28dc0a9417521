"""Caps hold, alone and under concurrency; spend records say what was used."""

import concurrent.futures as futures
import time

import pytest

from support import COST, by_call, early_in_the_minute


def in_parallel(count, call):
    with futures.ThreadPoolExecutor(count) as pool:
        return [f.result() for f in [pool.submit(call) for _ in range(count)]]


def test_a_spent_budget_refuses_and_names_itself(gateway):
    # A call needs its worst case free, which is a few times what it costs.
    key = gateway.new_key(max_budget=COST * 10)
    statuses = []
    while len(statuses) < 12 and (answer := gateway.chat(key=key, max_tokens=7)).status_code == 200:
        statuses.append(answer.status_code)
    assert 3 <= len(statuses) <= 10
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "budget_exceeded"
    assert "Max budget" in error["message"]
    assert gateway.spend_of(key) == pytest.approx(COST * len(statuses), abs=1e-12)
    assert gateway.chat(key=key, max_tokens=7).status_code == 400, "it came back by itself"
    gateway.post("/key/update", {"key": key, "max_budget": COST * 20})
    assert gateway.chat(key=key, max_tokens=7).status_code == 200


def test_a_budget_is_never_exceeded_by_concurrent_requests(gateway):
    budget = COST * 20
    key = gateway.new_key(max_budget=budget)
    answers = [a for _ in range(3) for a in in_parallel(20, lambda: gateway.chat(key=key, max_tokens=7))]
    # 429 while others hold the rest, 400 once it is spent.
    assert {200, 400} <= {a.status_code for a in answers} <= {200, 400, 429}
    answered = sum(a.status_code == 200 for a in answers)
    assert 15 <= answered <= 20
    spent = gateway.spend_of(key)
    assert spent <= budget + 1e-12
    assert spent == pytest.approx(COST * answered, abs=1e-12)
    rows = gateway.settled_records(answered, api_key=key)
    assert sum(row["spend"] for row in rows) == pytest.approx(spent, abs=1e-12)
    assert len(by_call(rows)) == answered


def test_requests_per_minute(gateway):
    early_in_the_minute()
    key = gateway.new_key(rpm_limit=3)
    statuses = [gateway.chat(key=key).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = gateway.chat(key=key)
    assert "Limit type: requests" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) > 0


def test_requests_per_minute_hold_under_concurrency(gateway):
    early_in_the_minute()
    key = gateway.new_key(rpm_limit=5)
    statuses = [a.status_code for a in in_parallel(20, lambda: gateway.chat(key=key))]
    assert statuses.count(200) == 5 and statuses.count(429) == 15


def test_tokens_per_minute(gateway):
    early_in_the_minute()
    key = gateway.new_key(tpm_limit=60)
    statuses = [gateway.chat(key=key, max_tokens=7, text="x").status_code for _ in range(8)]
    assert statuses[0] == 200 and statuses[-1] == 429
    # 18 tokens an answer: never more than the limit was let through.
    assert statuses.count(200) * 18 <= 60 + 18


def test_requests_in_flight(gateway):
    key = gateway.new_key(max_parallel_requests=2)
    for _ in range(2):
        answers = in_parallel(6, lambda: gateway.chat(key=key, model="openai/gpt-pause-400", stream=True))
        statuses = [a.status_code for a in answers]
        assert statuses.count(200) == 2 and statuses.count(429) == 4, "places were not given back, or given twice"
    assert gateway.chat(key=key).status_code == 200


def test_one_record_for_each_request_with_its_facts(gateway):
    key = gateway.new_key(key_alias="records")
    call_ids = [gateway.chat(key=key).headers["x-litellm-call-id"] for _ in range(3)]
    rows = gateway.settled_records(3, api_key=key)
    assert set(by_call(rows)) == set(call_ids) and len(rows) == 3
    for row in rows:
        assert row["spend"] == pytest.approx(COST)
        assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (11, 7, 18)
        assert row["model_group"] == "chat-openai"
        assert row["custom_llm_provider"] == "openai"
        assert row["startTime"] <= row["endTime"]
        assert key not in str(row)
        assert "hello" not in str(row), "content is nobody's business"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_streams_are_billed_like_unary_answers(gateway, group, path):
    key = gateway.new_key()
    body = {"model": group, "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}
    assert gateway.post(path, body, key).status_code == 200
    rows = gateway.settled_records(1, api_key=key)
    assert [row["spend"] for row in rows] == [pytest.approx(COST)]


def test_every_attempt_of_a_call_has_its_record(gateway):
    key = gateway.new_key()
    answer = gateway.chat(key=key, model="breaks", num_retries=1)
    assert answer.status_code == 200
    rows = gateway.settled_records(3, api_key=key)
    calls = by_call(rows)
    assert list(calls) == [answer.headers["x-litellm-call-id"]]
    attempts = calls.popitem()[1]
    told = [(row["status"], row["metadata"]["status_code"]) for row in attempts]
    assert told == [("failure", 500), ("failure", 500), ("success", 200)]
    # OpenAI's word that a 500 is free does not hold for another host.
    assert [row["spend"] > 0 for row in attempts] == [True, True, True]
    assert attempts[2]["spend"] == pytest.approx(COST)
    assert (answer.headers["x-litellm-attempted-retries"], answer.headers["x-litellm-attempted-fallbacks"]) == ("1", "1")
    assert gateway.spend_of(key) == pytest.approx(sum(row["spend"] for row in attempts))


def test_a_refusal_is_recorded_and_costs_nothing(gateway):
    key = gateway.new_key()
    assert gateway.chat(key=key, model="openai/gpt-error-404").status_code == 404
    rows = gateway.settled_records(1, api_key=key)
    assert [(row["spend"], row["status"]) for row in rows] == [(0, "failure")]


def test_a_client_that_leaves_is_billed_and_its_place_is_free_again(gateway):
    key = gateway.new_key(max_parallel_requests=1)
    body = {"model": "openai/gpt-pause-200", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with gateway.http(key) as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_raw())
    rows = gateway.settled_records(1, api_key=key)
    assert [row["metadata"]["ending"] for row in rows] == ["client_gone_after"]
    assert rows[0]["spend"] > 0
    deadline = time.monotonic() + 10
    while gateway.chat(key=key).status_code != 200:
        assert time.monotonic() < deadline, "the place was never given back"
        time.sleep(0.05)
