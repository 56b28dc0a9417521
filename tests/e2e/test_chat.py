"""Unary conversations with the official clients, native and translated."""

import base64
import json

import pytest

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def last_request(upstream):
    sent = upstream.received()[-1]
    return sent, json.loads(sent["body"])


def test_openai_client_gets_text_finish_and_usage(openai_client, group):
    answer = openai_client.chat.completions.create(
        model=group, messages=[{"role": "user", "content": "hello"}], max_tokens=50
    )
    assert answer.choices[0].message.content == "You said: hello"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (11, 7, 18)


def test_anthropic_client_gets_text_stop_reason_and_usage(anthropic_client, group):
    answer = anthropic_client.messages.create(
        model=group, max_tokens=50, messages=[{"role": "user", "content": "hello"}]
    )
    assert [block.type for block in answer.content] == ["text"]
    assert answer.content[0].text == "You said: hello"
    assert (answer.role, answer.type, answer.stop_reason) == ("assistant", "message", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)


def test_system_and_several_turns_arrive_upstream(openai_client, upstream, group):
    openai_client.chat.completions.create(
        model=group,
        max_tokens=50,
        temperature=0.5,
        stop=["END"],
        messages=[
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
    )
    sent, body = last_request(upstream)
    assert "three" in json.dumps(body["messages"][-1])
    assert body["temperature"] == 0.5
    if group == "chat-anthropic":
        assert sent["path"].startswith("/v1/messages")
        assert "be brief" in json.dumps(body["system"])
        assert [m["role"] for m in body["messages"]] == ["user", "assistant", "user"]
        assert body["stop_sequences"] == ["END"]
        assert sent["headers"]["x-api-key"] == "sk-ant-provider-secret"
        assert "anthropic-version" in sent["headers"]
    else:
        assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant", "user"]
        assert body["stop"] == ["END"]
        assert sent["headers"]["authorization"] == "Bearer sk-provider-openai-secret"


def test_anthropic_system_arrives_upstream(anthropic_client, upstream, group):
    anthropic_client.messages.create(
        model=group, max_tokens=50, system="be brief", messages=[{"role": "user", "content": "hello"}]
    )
    _, body = last_request(upstream)
    if group == "chat-openai":
        assert body["messages"][0]["role"] in ("system", "developer")
        assert "be brief" in json.dumps(body["messages"][0])
        assert 50 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    else:
        assert "be brief" in json.dumps(body["system"])


def test_the_gateway_key_never_goes_upstream(gateway, upstream, group):
    for headers in ({"authorization": "Bearer sk-e2e-master"}, {"x-api-key": "sk-e2e-master"}, {"api-key": "sk-e2e-master"}):
        with gateway.http(key=None, headers=headers) as client:
            body = {"model": group, "messages": [{"role": "user", "content": "x"}]}
            assert client.post("/v1/chat/completions", json=body).status_code == 200
        sent, _ = last_request(upstream)
        assert "sk-e2e-master" not in json.dumps(sent["headers"])


def test_images_reach_both_dialects(openai_client, upstream, group):
    url = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
    openai_client.chat.completions.create(
        model=group,
        max_tokens=50,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is it"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            }
        ],
    )
    _, body = last_request(upstream)
    parts = body["messages"][-1]["content"]
    if group == "chat-anthropic":
        image = next(p for p in parts if p["type"] == "image")
        assert image["source"]["media_type"] == "image/png"
        assert base64.b64decode(image["source"]["data"]) == PIXEL
    else:
        assert next(p for p in parts if p["type"] == "image_url")["image_url"]["url"] == url


def test_thinking_comes_back_with_its_signature(anthropic_client):
    answer = anthropic_client.messages.create(
        model="chat-anthropic",
        max_tokens=2048,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[{"role": "user", "content": "hello"}],
    )
    assert [block.type for block in answer.content] == ["thinking", "text"]
    assert answer.content[0].signature == "c2lnbmF0dXJl"


def test_same_dialect_bytes_arrive_as_they_were_sent(gateway, upstream):
    """Spelling of numbers, order of keys, unknown fields and spaces survive."""
    sent = (
        b'{ "zzz_unknown": {"b":1,"a":[1.0,1e3,0.10]},"model":"chat-openai" ,'
        b'"messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],"seed":1395002666759424000}'
    )
    with gateway.http(headers={"content-type": "application/json"}) as client:
        assert client.post("/v1/chat/completions", content=sent).status_code == 200
    assert upstream.received()[-1]["body"] == sent.replace(b'"chat-openai"', b'"gpt-pretend"')


@pytest.mark.parametrize(
    "path",
    ["/chat/completions", "/engines/chat-openai/chat/completions", "/openai/deployments/chat-openai/chat/completions"],
)
def test_every_spelling_of_the_chat_path_works(gateway, path):
    body = {"model": "chat-openai", "messages": [{"role": "user", "content": "x"}]}
    assert gateway.post(path, body).json()["choices"][0]["message"]["content"] == "You said: x"


def test_a_failed_group_falls_back_and_says_so(gateway):
    answer = gateway.chat(model="breaks")
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"] == "You said: hello"
    assert int(answer.headers["x-litellm-attempted-fallbacks"]) >= 1
    assert answer.headers["x-litellm-model-group"] in ("breaks", "chat-openai")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_what_is_said_to_the_gateway_never_goes_upstream(gateway, upstream, group, path):
    body = {
        "model": group,
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        "num_retries": 1,
        "timeout": 30,
        "fallbacks": ["chat-openai"],
        "cache": {"no-cache": True},
        "metadata": {"tags": ["red"]},
    }
    answer = gateway.post(path, body)
    assert answer.status_code == 200, answer.text
    _, sent = last_request(upstream)
    assert not {"num_retries", "timeout", "fallbacks", "cache"} & set(sent)
    assert "red" not in str(sent)
