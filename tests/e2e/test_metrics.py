"""Metrics as a scraper sees them: exact times, states, what keys have left."""

import re

import pytest

from support import COST, deployment, standard_config


def series(gateway, metric, **labels):
    """The values of a metric's series that have these labels."""
    found = []
    for line in gateway.get("/metrics").text.splitlines():
        named = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
        if named and named[1] == metric:
            pairs = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', named[2] or ""))
            if labels.items() <= pairs.items():
                found.append(float(named[3]))
    return found


def one(gateway, metric, **labels):
    [value] = series(gateway, metric, **labels)
    return value


def test_times_are_exact_and_streams_are_told_from_whole_answers(gateway):
    key = gateway.new_key(key_alias="timed")
    labels = {"api_key_alias": "timed"}
    gateway.chat(key=key)
    assert len(gateway.settled_records(1, api_key=key)) == 1
    assert series(gateway, "litellm_llm_api_time_to_first_token_metric_count", **labels) == []
    total = one(gateway, "litellm_request_total_latency_metric_sum", **labels)
    upstream = one(gateway, "litellm_llm_api_latency_metric_sum", **labels)
    overhead = one(gateway, "litellm_overhead_latency_metric_sum", **labels)
    assert 0 < upstream < total < 1
    # Whole milliseconds would show nothing of this.
    assert 0 < overhead < total and overhead + upstream == pytest.approx(total, abs=0.01)

    gateway.chat(key=key, model="openai/gpt-pause-100", stream=True, text="hello " * 4)
    assert len(gateway.settled_records(2, api_key=key)) == 2
    streamed = {**labels, "model": "gpt-pause-100"}
    first = one(gateway, "litellm_llm_api_time_to_first_token_metric_sum", **streamed)
    upstream = one(gateway, "litellm_llm_api_latency_metric_sum", **streamed)
    assert 0 < first < upstream and upstream > 0.3


def test_what_a_key_has_left_of_its_budget_is_shown(gateway):
    key = gateway.new_key(key_alias="left", max_budget=2.5, budget_duration="30d")
    gateway.new_key(key_alias="never-used", max_budget=1.0)
    endless = gateway.new_key(key_alias="endless")
    for used in (key, key, endless):
        assert gateway.chat(key=used).status_code == 200
    labels = {"api_key_alias": "left"}
    assert one(gateway, "litellm_remaining_api_key_budget_metric", **labels) == pytest.approx(2.5 - 2 * COST)
    assert one(gateway, "litellm_api_key_max_budget_metric", **labels) == 2.5
    assert 0 < one(gateway, "litellm_api_key_budget_remaining_hours_metric", **labels) <= 31 * 24
    assert series(gateway, "litellm_remaining_api_key_budget_metric", api_key_alias="endless") == []
    gateway.post("/key/update", {"key": key, "max_budget": 5.0})
    assert gateway.chat(key=key).status_code == 200
    assert one(gateway, "litellm_api_key_max_budget_metric", **labels) == 5.0
    gateway.post("/key/delete", {"keys": [key]})
    assert series(gateway, "litellm_api_key_max_budget_metric", **labels) == []


def test_how_deployments_fare_is_shown(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["router_settings"] = {"num_retries": 1, "cooldown_time": 60}
    config["litellm_settings"] = {}
    config["model_list"] = [
        deployment("pair", "openai", "gpt-error-401", upstream.url, order=1),
        deployment("pair", "openai", "gpt-fine", upstream.url, order=2),
        deployment("alone", "openai", "gpt-error-500", upstream.url),
        deployment("unused", "openai", "gpt-unused", upstream.url),
    ]
    gateway = own_gateway(config)
    assert gateway.chat(model="pair").status_code == 200
    assert gateway.chat(model="alone").status_code == 500

    def state(model):
        return one(gateway, "litellm_deployment_state", litellm_model_name=model)

    states = {model: state(model) for model in ("gpt-error-401", "gpt-fine", "gpt-error-500", "gpt-unused")}
    assert states == {"gpt-error-401": 2, "gpt-fine": 0, "gpt-error-500": 1, "gpt-unused": 0}
    cooled = {"litellm_model_name": "gpt-error-401", "exception_status": "401"}
    assert one(gateway, "litellm_deployment_cooled_down_total", **cooled) == 1


def test_fallbacks_are_counted_by_where_they_went_and_why(gateway):
    key = gateway.new_key(key_alias="fell-back")
    assert gateway.chat(key=key, model="breaks").status_code == 200
    labels = {"api_key_alias": "fell-back", "requested_model": "breaks", "fallback_model": "chat-openai"}
    why = {"exception_status": "500", "exception_class": "InternalServerError"}
    assert one(gateway, "litellm_deployment_successful_fallbacks_total", **labels, **why) == 1
    assert series(gateway, "litellm_deployment_failed_fallbacks_total", **labels) == []


def test_a_virtual_key_does_not_see_what_the_others_spend(gateway):
    key = gateway.new_key(models=["chat-openai"])
    with gateway.http(key=key) as client:
        assert client.get("/metrics").status_code == 401
    with gateway.http(key=None) as client:
        assert client.get("/metrics").status_code == 401
    assert "litellm_spend_metric" in gateway.get("/metrics").text
