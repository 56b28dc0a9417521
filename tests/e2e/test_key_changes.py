"""Keys that change while they are used: aliases, replacement, budgets given later; refusals that say whose."""

import signal
import threading

import pytest

from support import COST, standard_config
from test_process import wait_until


def info(gateway, key):
    answer = gateway.get("/key/info", params={"key": key})
    assert answer.status_code == 200, answer.text
    return answer.json()["info"]


def test_a_key_has_names_of_its_own_for_models(gateway):
    aliases = {"gpt-4": "chat-openai", "claude-*": "never", "nothing": "no-such-group"}
    key = gateway.new_key(models=["chat-openai"], aliases=aliases)
    answer = gateway.chat(key=key, model="gpt-4")
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-litellm-model-group"] == "chat-openai"
    assert info(gateway, key)["aliases"] == aliases
    [row] = gateway.settled_records(1, api_key=key)
    assert row["model_group"] == "chat-openai"
    # Neither of its two names was given.
    assert gateway.chat(key=key, model="claude-*").status_code == 403
    assert gateway.chat(key=key, model="nothing").status_code == 403
    # Nobody else has them.
    assert gateway.chat(key=gateway.new_key(), model="gpt-4").status_code == 400
    assert gateway.chat(model="gpt-4").status_code == 400


def test_either_name_of_an_alias_gives_the_model(gateway):
    key = gateway.new_key(models=["gpt-4"], aliases={"gpt-4": "chat-anthropic", "gone": "no-such-group"})
    assert gateway.chat(key=key, model="gpt-4", max_tokens=9).status_code == 200
    assert gateway.chat(key=key, model="chat-anthropic", max_tokens=9).status_code == 403
    body = {"model": "gpt-4", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for path in ("/v1/messages", "/openai/deployments/gpt-4/chat/completions"):
        assert gateway.post(path, body, key=key).status_code == 200, path
    assert gateway.post("/key/update", {"key": key, "models": [], "aliases": {}}).status_code == 200
    assert gateway.chat(key=key, model="gpt-4").status_code == 400


def running(gateway, upstream, key, model="openai/gpt-pause-200"):
    """A stream of that key, under way; its text once it has ended."""
    texts = []
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello " * 4}]}
    worker = threading.Thread(target=lambda: texts.append(gateway.post("/v1/chat/completions", body, key).text))
    upstream.forget()
    worker.start()
    wait_until(lambda: upstream.received())

    def ended():
        worker.join(30)
        assert texts[0].endswith("data: [DONE]\n\n")

    return ended


# A lifetime budget counts all that was spent, a window what is spent in it.
@pytest.mark.parametrize(
    "window, calls", [({}, 2), ({"budget_duration": "30d"}, 1)], ids=["for-ever", "monthly"]
)
def test_a_budget_given_later_counts_calls_that_are_under_way(gateway, upstream, window, calls):
    key = gateway.new_key()
    assert gateway.chat(key=key).status_code == 200
    ended = running(gateway, upstream, key)
    # Less than the calls that count will have cost.
    budget = (calls - 0.5) * COST
    assert gateway.post("/key/update", {"key": key, "max_budget": budget, **window}).status_code == 200
    ended()
    assert info(gateway, key)["spend"] == pytest.approx(calls * COST)
    refused = gateway.chat(key=key)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["type"] == "budget_exceeded"
    assert error["message"].startswith("Budget has been exceeded! Current cost: 0.0000")
    assert "this key's own" in error["message"]
    assert ("resets at 20" if window else "does not reset") in error["message"]


def test_a_replaced_key_pays_for_the_calls_of_the_old_one(own_gateway, upstream):
    gateway = own_gateway()
    keys = []
    for fields in ({}, {"max_budget": 1.0}):
        old = gateway.new_key(**fields)
        assert gateway.chat(key=old).status_code == 200
        ended = running(gateway, upstream, old)
        answer = gateway.post("/key/regenerate", {"key": old})
        assert answer.status_code == 200, answer.text
        new = answer.json()["key"]
        assert gateway.chat(key=old).status_code == 401
        assert gateway.chat(key=new).status_code == 200
        ended()
        keys.append(new)
        if not fields:
            assert info(gateway, new)["spend"] == pytest.approx(3 * COST)
        gateway.settled_records(2, api_key=old)
    assert gateway.stop() == 0
    again = own_gateway()
    for key in keys:
        assert info(again, key)["spend"] == pytest.approx(3 * COST), "the database knows it too"


def test_a_spent_budget_of_the_whole_proxy_says_so(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["litellm_settings"].update(max_budget=10 * COST, budget_duration="30d")
    gateway = own_gateway(config)
    key = gateway.new_key(max_budget=100.0)
    answers = [gateway.chat(key=key, max_tokens=7) for _ in range(10)]
    assert answers[0].status_code == 200
    refused = answers[-1]
    assert refused.status_code == 400 and "the whole proxy's" in refused.text and "resets at" in refused.text


def test_a_cap_on_the_whole_proxys_calls_holds_for_all_keys(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["general_settings"]["max_parallel_requests"] = 1
    gateway = own_gateway(config)
    first, second = gateway.new_key(), gateway.new_key()
    ended = running(gateway, upstream, first)
    refused = gateway.chat(key=second, model="chat-anthropic", max_tokens=5)
    assert refused.status_code == 429 and "whole proxy" in refused.text, refused.text
    ended()
    assert gateway.chat(key=second).status_code == 200


def test_a_reload_in_the_middle_loses_no_charge(own_gateway, upstream):
    gateway = own_gateway()
    key = gateway.new_key(max_budget=1.0)
    ended = running(gateway, upstream, key)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "taken over" in gateway.output())
    ended()
    assert info(gateway, key)["spend"] == pytest.approx(COST)
