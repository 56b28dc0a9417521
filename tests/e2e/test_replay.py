"""Recorded provider exchanges through the real binary.

Same dialect: the request arrives byte for byte but for the closed list, the
answer comes back byte for byte. Translated: the same facts. Each stream at its
original cuts, byte by byte, and at random. The recordings lie beside the
project and may be absent.
"""

import json

import pytest

import facts
from support import PLAIN, PRICE_IN, PRICE_OUT, SHARED, Gateway, Upstream

RECORDINGS = SHARED / "recordings"
# Providers that speak OpenAI chat, at any address.
CHAT = (
    "openai alibaba cerebras crusoe deepseek groq huggingface litellm-proxy mistral moonshot "
    "openai-compatible openrouter perplexity snowflake together xai zai"
).split()
FOLDERS = [("openai", f"{provider}/chat") for provider in CHAT]
FOLDERS += [("openai", "ollama/openai-chat"), ("anthropic", "anthropic/messages")]


def load():
    found = []
    for dialect, folder in FOLDERS:
        for path in sorted((RECORDINGS / folder).glob("*.json")):
            recording = json.loads(path.read_text())
            if recording["response"]["body_kind"] in ("json", "sse"):
                found.append((dialect, path, recording))
    return found


ALL = load() if RECORDINGS.is_dir() else []
if not ALL:
    print(f"SKIPPED: no recordings at {RECORDINGS}")
pytestmark = pytest.mark.skipif(not ALL, reason=f"SKIPPED: no recordings at {RECORDINGS}")


def replaying(tmp_path_factory, split):
    files = [word for _, path, _ in ALL for word in ("--replay", path)]
    upstream = Upstream(*files, "--split", split)
    models = []
    for number, (dialect, _, _) in enumerate(ALL):
        base = f"{upstream.url}/r/{number}"
        params = {"model": f"{dialect}/recorded", "api_base": base + ("/v1" if dialect == "openai" else "")}
        prices = {"input_cost_per_token": PRICE_IN, "output_cost_per_token": PRICE_OUT}
        models.append({"model_name": f"rec-{number}", "litellm_params": {**params, "api_key": "sk-x", **prices}})
    config = {
        "model_list": models,
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "litellm_settings": {"num_retries": 0, "drop_params": True},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }
    return upstream, Gateway(tmp_path_factory.mktemp("replay"), config)


@pytest.fixture(scope="module", params=["original", "bytes", "random:7"])
def replay(request, tmp_path_factory):
    upstream, gateway = replaying(tmp_path_factory, request.param)
    yield upstream, gateway
    gateway.stop()
    upstream.kill()


def request_of(dialect, recording, number):
    """The recorded request aimed at our group; a plausible one where only the answer was recorded."""
    streamed = recording["response"]["body_kind"] == "sse"
    body = (recording.get("request") or {}).get("body")
    if not isinstance(body, dict):
        body = {"messages": [{"role": "user", "content": "x"}]}
        if dialect == "anthropic":
            body["max_tokens"] = 100
    body = {**body, "model": f"rec-{number}"}
    if streamed:
        body["stream"] = True
    return body, streamed


PATH = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@pytest.mark.parametrize("number", range(len(ALL)), ids=[f"{p.parent.parent.name}-{p.stem}" for _, p, _ in ALL])
def test_same_dialect_is_byte_identical(replay, number):
    upstream, gateway = replay
    dialect, _, recording = ALL[number]
    body, streamed = request_of(dialect, recording, number)
    sent = json.dumps(body, ensure_ascii=False, separators=(", ", ":")).encode()
    upstream.forget()
    with gateway.http(headers={"content-type": "application/json"}) as client:
        answer = client.post(PATH[dialect], content=sent)
    arrived = upstream.received()[-1]
    assert arrived["path"].startswith(f"/r/{number}/")
    status = recording["response"]["status"]
    assert answer.status_code == status
    check_request(sent, arrived["body"], f"rec-{number}", dialect, streamed)
    if status != 200:
        assert answer.json()["error"]
    elif not streamed:
        assert answer.content == PLAIN.post(f"{upstream.url}/r/{number}/as-it-is").content
    else:
        check_stream(answer.content, recording["response"]["raw"], body, dialect)


def check_request(sent, arrived, group, dialect, streamed):
    """Equal but for `model`, an injected include_usage and a clamped output limit."""
    swapped = sent.replace(json.dumps(group).encode(), b'"recorded"', 1)
    if arrived == swapped:
        return
    assert dialect == "openai" and streamed, "a request changed outside of the closed list"
    before, after = json.loads(swapped), json.loads(arrived)
    assert after.pop("stream_options")["include_usage"] is True
    before.pop("stream_options", None)
    assert list(after.items()) == list(before.items())


def check_stream(got, raw, body, dialect):
    """Byte for byte, except for usage when it was only the gateway that asked."""
    asked = dialect != "openai" or (body.get("stream_options") or {}).get("include_usage")
    if asked or got == raw.encode():
        assert got == raw.encode()
        return
    text = got.decode()
    kept = [event for event in facts.events(raw) if event.get("choices") or "usage" not in event]
    got_events = facts.events(text)
    assert len(got_events) >= len(kept)
    assert all(not event.get("usage") or event.get("choices") for event in got_events)
    for wanted, event in zip(kept, got_events, strict=False):
        wanted.pop("usage", None)
        event.pop("usage", None)
        assert event == wanted


@pytest.mark.parametrize("number", range(len(ALL)), ids=[f"{p.parent.parent.name}-{p.stem}" for _, p, _ in ALL])
def test_translated_answers_state_the_same_facts(replay, number):
    _, gateway = replay
    dialect, _, recording = ALL[number]
    other = "anthropic" if dialect == "openai" else "openai"
    streamed = recording["response"]["body_kind"] == "sse"
    body = {
        "model": f"rec-{number}",
        "max_tokens": 4096,
        "stream": streamed,
        "messages": [{"role": "user", "content": "x"}],
    }
    if streamed and other == "openai":
        body["stream_options"] = {"include_usage": True}
    answer = gateway.post(PATH[other], body)
    status = recording["response"]["status"]
    raw = recording["response"].get("raw") or json.dumps(recording["response"].get("body"))
    if status != 200:
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]["message"]
        return
    assert answer.status_code == 200, answer.text
    wanted = facts.READERS[dialect, streamed](raw)
    got = facts.READERS[other, streamed](answer.text)
    for fact in ("text", "calls", "finish", "reasoning"):
        assert got[fact] == wanted[fact], fact
    if wanted["output"] is not None:
        assert got["output"] == wanted["output"]
