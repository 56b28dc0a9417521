"""Errors: status, shape and exception class, in the client's own dialect."""

import anthropic
import openai
import pytest

ASK = [{"role": "user", "content": "x"}]
OPENAI_CLASS = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    529: openai.InternalServerError,
}
ANTHROPIC_CLASS = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
    529: anthropic.InternalServerError,
}
UPSTREAMS = ["openai/gpt", "anthropic/claude"]


@pytest.mark.parametrize("upstream_model", UPSTREAMS)
@pytest.mark.parametrize("status", OPENAI_CLASS)
@pytest.mark.parametrize("stream", [False, True])
def test_openai_client_raises_the_class_of_the_status(openai_client, upstream_model, status, stream):
    with pytest.raises(OPENAI_CLASS[status]) as raised:
        openai_client.chat.completions.create(
            model=f"{upstream_model}-error-{status}", max_tokens=50, stream=stream, messages=ASK
        )
    error = raised.value
    # Overload has no status of its own in OpenAI's dialect.
    assert error.status_code in ((503, 529) if status == 529 else (status,))
    body = error.response.json()["error"]
    assert set(body) >= {"message", "type", "param", "code"}
    if status in (401, 403):
        # What is about our credential may repeat it.
        assert "canned error" not in body["message"] and "the gateway's credential" in body["message"]
        assert error.response.headers["x-should-retry"] == "false"
        return
    # The same dialect's body comes back as the provider wrote it.
    assert upstream_model == "openai/gpt" or body["code"] == str(error.status_code)
    assert "canned error" in body["message"] or "slow down" in body["message"]


@pytest.mark.parametrize("upstream_model", UPSTREAMS)
@pytest.mark.parametrize("status", ANTHROPIC_CLASS)
def test_anthropic_client_raises_the_class_of_the_status(anthropic_client, upstream_model, status):
    with pytest.raises(ANTHROPIC_CLASS[status]) as raised:
        anthropic_client.messages.create(model=f"{upstream_model}-error-{status}", max_tokens=50, messages=ASK)
    body = raised.value.response.json()
    assert raised.value.status_code in ((503, 529) if status == 529 else (status,))
    assert body["error"]["message"]


def test_retry_after_reaches_the_client(gateway):
    answer = gateway.chat(model="openai/gpt-error-429")
    assert answer.status_code == 429
    assert float(answer.headers["retry-after"]) == 1


def test_a_proxy_page_in_html_is_never_passed_on(gateway):
    answer = gateway.chat(model="openai/gpt-error-html")
    assert answer.status_code in (500, 502, 503)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()["error"]["message"]


def test_a_reset_before_the_answer_is_a_gateway_error(gateway):
    answer = gateway.chat(model="openai/gpt-reset")
    assert answer.status_code in (500, 502, 503)
    assert answer.json()["error"]["message"]


def test_no_key_wrong_key_and_malformed_key(gateway):
    body = {"model": "chat-openai", "messages": ASK}
    none = gateway.post("/v1/chat/completions", body, key=None)
    assert none.status_code == 401
    assert "No api key passed in" in none.json()["error"]["message"]
    assert none.json()["error"]["code"] == "401"
    wrong = gateway.post("/v1/chat/completions", body, key="sk-nobody-has-this")
    assert wrong.status_code == 401
    assert wrong.json()["error"]["type"] == "token_not_found_in_db"
    assert wrong.json()["error"]["param"] == "key"
    assert "sk-nobody-has-this" not in wrong.text
    odd = gateway.post("/v1/chat/completions", body, key="nothing-like-a-key")
    assert odd.status_code == 401
    assert "expected to start with 'sk-'" in odd.json()["error"]["message"]
    for key in (None, "sk-nobody"):
        assert gateway.get("/v1/models", key=key).status_code == 401
        assert gateway.get("/spend/logs", key=key).status_code == 401
        assert gateway.post("/key/generate", {}, key=key).status_code == 401


def test_anthropic_client_with_a_wrong_key_gets_authentication_error(gateway):
    client = anthropic.Anthropic(base_url=gateway.url, api_key="sk-nobody", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model="chat-anthropic", max_tokens=5, messages=ASK)


@pytest.mark.parametrize("header", ["x-litellm-api-key", "x-api-key", "api-key", "x-goog-api-key", "ocp-apim-subscription-key"])
def test_every_header_form_of_the_key_is_accepted(gateway, header):
    with gateway.http(key=None, headers={header: "sk-e2e-master"}) as client:
        answer = client.post("/v1/chat/completions", json={"model": "chat-openai", "messages": ASK})
    assert answer.status_code == 200, answer.text


def test_unknown_model_names_the_model_and_the_way_out(gateway):
    answer = gateway.chat(model="no-such-group")
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "no-such-group" in message and "/v1/models" in message


def test_unknown_path_is_a_404_with_a_body(gateway):
    answer = gateway.get("/v1/no-such-thing")
    assert answer.status_code == 404 and answer.text


def test_wrong_method_is_refused(gateway):
    assert gateway.get("/v1/chat/completions").status_code in (404, 405)


def test_no_error_shows_a_provider_key(gateway):
    for model in ("openai/gpt-error-401", "anthropic/claude-error-401", "openai/gpt-error-html", "openai/gpt-reset"):
        answer = gateway.chat(model=model)
        for secret in ("sk-provider-openai-secret", "sk-ant-provider-secret"):
            assert secret not in answer.text
            assert secret not in str(answer.headers)
    assert "provider-openai-secret" not in gateway.output()
    assert "ant-provider-secret" not in gateway.output()


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_field_is_named(gateway, missing):
    body = {"model": "chat-anthropic", "messages": ASK, "max_tokens": 5}
    del body[missing]
    answer = gateway.post("/v1/chat/completions", body)
    assert answer.status_code in (400, 422)
    assert missing in answer.text
