"""Embeddings, completions, models, token counts, health and metrics."""

import openai
import pytest

from support import early_in_the_minute


@pytest.mark.parametrize("given,count", [("one", 1), (["one", "two"], 2), ([1, 2, 3], 1)])
def test_embeddings_of_a_text_a_list_and_tokens(openai_client, given, count):
    answer = openai_client.embeddings.create(model="embed", input=given)
    assert [e.embedding for e in answer.data] == [[0.25, -0.5, 1.0]] * count
    assert [e.index for e in answer.data] == list(range(count))
    assert answer.usage.prompt_tokens == 11


def test_embeddings_as_numbers(openai_client):
    answer = openai_client.embeddings.create(model="embed", input="one", encoding_format="float")
    assert answer.data[0].embedding == [0.25, -0.5, 1.0]


@pytest.mark.parametrize("path", ["/embeddings", "/v1/embeddings", "/openai/deployments/embed/embeddings"])
def test_every_spelling_of_the_embeddings_path_works(gateway, path):
    assert gateway.post(path, {"model": "embed", "input": "x"}).status_code == 200


def test_text_completions(openai_client):
    answer = openai_client.completions.create(model="chat-openai", prompt="say hello", max_tokens=5)
    assert answer.choices[0].text == "Hello"
    parts = openai_client.completions.create(model="chat-openai", prompt="say hello", max_tokens=5, stream=True)
    assert "".join(p.choices[0].text for p in parts if p.choices) == "Hello"


def test_models_lists_the_groups(openai_client):
    listed = {m.id for m in openai_client.models.list()}
    assert {"chat-openai", "chat-anthropic", "embed"} <= listed
    assert openai_client.models.retrieve("chat-openai").id == "chat-openai"


def test_model_list_without_v1_and_unknown_model(gateway):
    assert gateway.get("/models").status_code == 200
    assert gateway.get("/v1/models/no-such-model").status_code == 404


def test_model_info_shows_prices_and_hides_keys(gateway):
    for path in ("/model/info", "/v1/model/info"):
        answer = gateway.get(path)
        rows = {row["model_name"]: row for row in answer.json()["data"]}
        info = rows["chat-openai"]["model_info"]
        assert info["input_cost_per_token"] == pytest.approx(0.000001)
        assert info["id"]
        assert "secret" not in answer.text
    groups = {row["model_group"] for row in gateway.get("/model_group/info").json()["data"]}
    assert {"chat-openai", "chat-anthropic"} <= groups


def test_count_tokens(anthropic_client):
    messages = [{"role": "user", "content": "hello"}]
    answer = anthropic_client.messages.count_tokens(model="chat-anthropic", messages=messages)
    assert answer.input_tokens == 11


def test_count_tokens_for_an_openai_group_is_an_estimate_above_zero(anthropic_client):
    messages = [{"role": "user", "content": "hello " * 100}]
    answer = anthropic_client.messages.count_tokens(model="chat-openai", messages=messages)
    assert 50 <= answer.input_tokens <= 1000


def test_health_needs_no_key_except_the_live_check(gateway):
    assert gateway.get("/health/liveliness", key=None).status_code == 200
    assert gateway.get("/health/liveness", key=None).status_code == 200
    assert gateway.get("/health/readiness", key=None).status_code == 200
    assert gateway.get("/health", key=None).status_code == 401


def test_metrics_use_the_names_that_dashboards_know(gateway):
    gateway.chat()
    text = gateway.get("/metrics").text
    assert "litellm_proxy_total_requests_metric" in text
    assert "sk-" not in text


def test_metrics_count_each_request_once_and_each_attempt_once(gateway):
    early_in_the_minute()
    key = gateway.new_key(key_alias="counted", rpm_limit=3)
    gateway.chat(key)
    gateway.chat(key, model="breaks", num_retries=1)
    gateway.chat(key, model="openai/gpt-error-500")
    assert gateway.chat(key).status_code == 429
    rows = gateway.settled_records(5, api_key=key)
    assert len(rows) == 5

    def total(metric):
        lines = [line for line in gateway.get("/metrics").text.splitlines() if line.startswith(metric + "{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'api_key_alias="counted"' in line)

    assert total("litellm_proxy_total_requests_metric_total") == 3
    assert total("litellm_proxy_failed_requests_metric_total") == 1
    assert total("litellm_deployment_total_requests_total") == 5
    assert total("litellm_deployment_failure_responses_total") == 3
    # The failures cost what was held: another host's 500 may have been billed.
    assert total("litellm_spend_metric_total") == pytest.approx(sum(row["spend"] for row in rows))
    # A request that was refused before it had a call counts too, without its key.
    refused = [line for line in gateway.get("/metrics").text.splitlines() if 'exception_status="429"' in line]
    assert any(line.startswith("litellm_proxy_failed_requests_metric_total{") for line in refused)


def test_embeddings_of_a_provider_without_any_are_a_400(openai_client):
    with pytest.raises(openai.BadRequestError, match="embeddings"):
        openai_client.embeddings.create(model="chat-anthropic", input="x")


def test_response_headers_say_who_answered_and_what_it_cost(gateway):
    answer = gateway.chat(key=gateway.new_key(max_budget=1.0, rpm_limit=100, tpm_limit=100000))
    headers = answer.headers
    assert headers["x-litellm-call-id"]
    assert headers["x-litellm-model-id"]
    assert headers["x-litellm-model-group"] == "chat-openai"
    assert headers["x-litellm-model-api-base"].startswith("http://127.0.0.1")
    assert headers["x-litellm-version"]
    assert float(headers["x-litellm-response-cost"]) == pytest.approx(25e-6)
    assert float(headers["x-litellm-key-spend"]) == pytest.approx(25e-6)
    assert float(headers["x-litellm-key-max-budget"]) == 1.0
    assert headers["x-litellm-key-rpm-limit"] == "100"
    assert headers["x-litellm-key-tpm-limit"] == "100000"
    assert float(headers["x-litellm-response-duration-ms"]) > 0
    assert headers["x-litellm-attempted-retries"] == "0"
    assert headers["x-litellm-attempted-fallbacks"] == "0"


def test_a_call_id_given_by_the_client_is_kept(gateway):
    call_id = "0190a0a0-0000-7000-8000-000000000001"
    with gateway.http(headers={"x-litellm-call-id": call_id}) as client:
        body = {"model": "chat-openai", "messages": [{"role": "user", "content": "x"}]}
        assert client.post("/v1/chat/completions", json=body).headers["x-litellm-call-id"] == call_id
