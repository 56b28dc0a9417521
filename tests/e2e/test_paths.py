"""How paths may be spelt, and who may call from a browser."""

import openai
import pytest

from support import MASTER_KEY, standard_config

PAGE = "https://chat.example.com"
HELLO = {"model": "chat-openai", "messages": [{"role": "user", "content": "hello"}]}
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}


def with_pages(own_gateway, upstream, *origins):
    config = standard_config(upstream.url)
    config["keymoat"] = {"listen": {"cors_origins": list(origins)}}
    return own_gateway(config)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/key/info", "/nowhere"])
def test_a_named_page_may_ask_and_read_and_no_other_may(own_gateway, upstream, path):
    gateway = with_pages(own_gateway, upstream, PAGE, "app://obsidian.md")
    with gateway.http(None) as client:
        asked = client.options(path, headers=PREFLIGHT)
        assert asked.status_code == 204, "no key comes with a preflight"
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert asked.headers["access-control-allow-headers"] == PREFLIGHT["access-control-request-headers"]
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "origin" in asked.headers["vary"].lower()
        other = client.options(path, headers={**PREFLIGHT, "origin": "https://evil.example"})
        assert other.status_code == 403 and "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("stream", [False, True])
def test_a_page_reads_answers_and_errors_with_our_headers(own_gateway, upstream, stream):
    gateway = with_pages(own_gateway, upstream, PAGE)
    headers = {"origin": PAGE}
    answer = gateway.post("/v1/chat/completions", {**HELLO, "stream": stream}, headers=headers)
    assert answer.status_code == 200
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert "x-litellm-call-id" in exposed and "content-type" not in exposed
    wrong = gateway.post("/v1/chat/completions", HELLO, key="sk-wrong", headers=headers)
    limited = gateway.post("/v1/chat/completions", HELLO, key=gateway.new_key(rpm_limit=0), headers=headers)
    for answer in (answer, wrong, limited, gateway.get("/nowhere", headers=headers)):
        assert answer.headers["access-control-allow-origin"] == PAGE, answer.status_code
        assert answer.headers["vary"] == "origin"
    assert wrong.status_code == 401 and limited.status_code == 429
    strange = gateway.post("/v1/chat/completions", HELLO, headers={"origin": "https://evil.example"})
    assert strange.status_code == 200 and "access-control-allow-origin" not in strange.headers


def test_all_pages_may_call_where_a_star_says_so(own_gateway, upstream):
    gateway = with_pages(own_gateway, upstream, "*")
    with gateway.http(None) as client:
        asked = client.options("/v1/messages", headers={**PREFLIGHT, "origin": "null"})
        assert asked.status_code == 204 and asked.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in asked.headers


def test_without_the_setting_there_is_no_cors(gateway):
    with gateway.http() as client:
        assert client.options("/v1/chat/completions", headers=PREFLIGHT).status_code == 405
        answer = client.get("/v1/models", headers={"origin": PAGE})
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "vary"]


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/v1/models"),
        ("GET", "/models"),
        ("GET", "/openai/models"),
        ("GET", "/openai/v1/models"),
        ("GET", "/v1/models/chat-openai"),
        ("GET", "/health/liveliness"),
        ("GET", "/health/readiness"),
        ("GET", "/key/list"),
        ("GET", "/model/info"),
        ("GET", "/metrics"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/chat/completions"),
        ("POST", "/openai/v1/chat/completions"),
        ("POST", "/openai/deployments/chat-openai/chat/completions"),
        ("POST", "/engines/chat-openai/chat/completions"),
        ("POST", "/v1/messages"),
    ],
)
def test_a_slash_at_the_end_means_nothing(gateway, method, path):
    body = {**HELLO, "max_tokens": 9} if method == "POST" else None
    with gateway.http() as client:
        for end in ("", "/", "//", "/?api-version=2024-10-21"):
            answer = client.request(method, path + end, json=body)
            assert answer.status_code == 200, (end, answer.text)
        assert client.get("/").status_code == 200
        assert client.get("/nowhere/").status_code == 404


def test_the_azure_client_of_openai_lists_and_calls_models(gateway):
    client = openai.AzureOpenAI(
        azure_endpoint=gateway.url, api_key=MASTER_KEY, api_version="2024-10-21", max_retries=0, timeout=30
    )
    assert "chat-openai" in [model.id for model in client.models.list()]
    assert client.models.retrieve("chat-openai").id == "chat-openai"
    answer = client.chat.completions.create(**HELLO)
    assert answer.choices[0].message.content == "You said: hello"
    pieces = client.chat.completions.create(**HELLO, stream=True)
    assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == "You said: hello"
    versioned = openai.OpenAI(base_url=gateway.url + "/openai/v1/", api_key=MASTER_KEY, max_retries=0, timeout=30)
    assert versioned.chat.completions.create(**HELLO).choices[0].message.content == "You said: hello"
