"""Caps hold, alone and under concurrency; spend records say what was used."""

import concurrent.futures as futures
import time

import pytest

from support import COST


def logs(gateway, **filters):
    answer = gateway.get("/spend/logs", params=filters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wait_for_logs(gateway, count, **filters):
    """Records drain into the database in batches; they are on disk before that."""
    deadline = time.monotonic() + 10
    while len(rows := logs(gateway, **filters)) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return rows


def in_parallel(count, call):
    with futures.ThreadPoolExecutor(count) as pool:
        return [f.result() for f in [pool.submit(call) for _ in range(count)]]


def test_a_spent_budget_refuses_and_names_itself(gateway):
    key = gateway.new_key(max_budget=COST * 2.5)
    statuses = []
    for _ in range(6):
        answer = gateway.chat(key=key, max_tokens=7)
        statuses.append(answer.status_code)
    assert statuses[0] == 200
    assert statuses[-1] == 400
    error = answer.json()["error"]
    assert error["type"] == "budget_exceeded"
    assert "Max budget" in error["message"]


def test_a_budget_is_never_exceeded_by_concurrent_requests(gateway):
    budget = COST * 5
    key = gateway.new_key(max_budget=budget)
    answers = in_parallel(20, lambda: gateway.chat(key=key, max_tokens=7))
    assert {a.status_code for a in answers} <= {200, 400}
    spent = gateway.get("/key/info", params={"key": key}).json()["info"]["spend"]
    assert spent <= budget + 1e-12
    assert spent == pytest.approx(COST * sum(a.status_code == 200 for a in answers))


def test_requests_per_minute(gateway):
    key = gateway.new_key(rpm_limit=3)
    statuses = [gateway.chat(key=key).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = gateway.chat(key=key)
    assert "Limit type: requests" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) > 0


def test_requests_per_minute_hold_under_concurrency(gateway):
    key = gateway.new_key(rpm_limit=5)
    statuses = [a.status_code for a in in_parallel(20, lambda: gateway.chat(key=key))]
    assert statuses.count(200) == 5 and statuses.count(429) == 15


def test_tokens_per_minute(gateway):
    key = gateway.new_key(tpm_limit=60)
    statuses = [gateway.chat(key=key, max_tokens=7, text="x").status_code for _ in range(8)]
    assert statuses[0] == 200 and statuses[-1] == 429
    # 18 tokens an answer: never more than the limit was let through.
    assert statuses.count(200) * 18 <= 60 + 18


def test_requests_in_flight(gateway):
    key = gateway.new_key(max_parallel_requests=2)
    answers = in_parallel(6, lambda: gateway.chat(key=key, model="openai/gpt-pause-700", stream=True))
    statuses = [a.status_code for a in answers]
    assert 2 <= statuses.count(200) < 6 and set(statuses) == {200, 429}
    assert gateway.chat(key=key).status_code == 200, "the place was given back"


def test_one_record_for_each_request_with_its_facts(gateway):
    key = gateway.new_key(key_alias="records")
    call_ids = [gateway.chat(key=key).headers["x-litellm-call-id"] for _ in range(3)]
    rows = wait_for_logs(gateway, 3, api_key=key)
    assert len(rows) == 3
    assert len({row["request_id"] for row in rows}) == 3
    known = {row.get("litellm_call_id") or row["request_id"] for row in rows}
    assert known == set(call_ids) or len(known) == 3
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
    rows = wait_for_logs(gateway, 1, api_key=key)
    assert [row["spend"] for row in rows] == [pytest.approx(COST)]


def test_a_failure_is_recorded_and_costs_nothing(gateway):
    key = gateway.new_key()
    assert gateway.chat(key=key, model="openai/gpt-error-500").status_code == 500
    rows = wait_for_logs(gateway, 1, api_key=key)
    assert [(row["spend"], row["status"]) for row in rows] == [(0, "failure")]


def test_a_client_that_leaves_is_billed_and_its_place_is_free_again(gateway):
    key = gateway.new_key(max_parallel_requests=1)
    body = {"model": "openai/gpt-pause-200", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with gateway.http(key) as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_raw())
    rows = wait_for_logs(gateway, 1, api_key=key)
    assert len(rows) == 1
    deadline = time.monotonic() + 10
    while gateway.chat(key=key).status_code != 200:
        assert time.monotonic() < deadline, "the place was never given back"
        time.sleep(0.05)
