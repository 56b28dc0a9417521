"""Recorded provider exchanges through the real binary.

Same dialect: the request arrives byte for byte but for the closed list, the
answer comes back byte for byte. Translated: the same facts. Each stream at its
original cuts, byte by byte, and at random. The recordings lie beside the
project and may be absent.
"""

import json
import re

import pytest

import facts
from support import PLAIN, PRICE_IN, PRICE_OUT, SHARED, Gateway, Upstream, standard_config

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
            response = recording["response"]
            # A transcription lies among Mistral's chats.
            chat = "text" not in (response.get("body") or {})
            if response["body_kind"] in ("json", "sse") and chat:
                found.append((dialect, path, recording))
    return found


def error_inside(response):
    """Whether a 200 is nothing but an error; in a stream, words may come first."""
    if response["body_kind"] == "sse":
        return False
    return response["status"] == 200 and bool((response.get("body") or {}).get("error"))


ALL = load() if RECORDINGS.is_dir() else []
if not ALL:
    print(f"SKIPPED: no recordings at {RECORDINGS}")
pytestmark = pytest.mark.skipif(not ALL, reason=f"SKIPPED: no recordings at {RECORDINGS}")


def replaying(tmp_path_factory, split):
    files = [word for _, path, _ in ALL for word in ("--replay", path)]
    upstream = Upstream(*files, "--split", split)
    models = []
    for number, (dialect, _, recording) in enumerate(ALL):
        base = f"{upstream.url}/r/{number}"
        # Anthropic's cache hints go to a provider that takes them; OpenAI does not get them.
        hints = dialect == "openai" and '"cache_control"' in json.dumps(recording.get("request"))
        provider = "openrouter" if hints else dialect
        params = {"model": f"{provider}/recorded", "api_base": base + ("/v1" if dialect == "openai" else "")}
        prices = {"input_cost_per_token": PRICE_IN, "output_cost_per_token": PRICE_OUT}
        models.append({"model_name": f"rec-{number}", "litellm_params": {**params, "api_key": "sk-x", **prices}})
    config = {
        "model_list": models,
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "litellm_settings": {"num_retries": 0, "drop_params": True},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        # The one change to an answer that is made by default.
        "keymoat": {"response_model": "upstream"},
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
    received = upstream.received()
    assert [r["path"].startswith(f"/r/{number}/") for r in received] == [True], "not exactly one call"
    check_request(sent, received[0]["body"], f"rec-{number}", dialect, body.get("stream") is True)
    response = recording["response"]
    if response["status"] != 200 or error_inside(response):
        assert answer.status_code == response["status"] or (response["status"] == 200 and answer.status_code >= 400)
        provider = PLAIN.post(f"{upstream.url}/r/{number}/as-it-is").content
        if response["status"] in (401, 403) or LEFT_OUT in answer.text:
            # It is about our credential, not about the client's key, and may repeat the former.
            assert LEFT_OUT in answer.text
            assert not any(words in answer.text for words in said(json.loads(provider)))
        else:
            assert answer.content == provider, "an error is relayed raw"
        return
    assert answer.status_code == 200
    if streamed:
        check_stream(answer.content, response["raw"].encode(), body, dialect)
    else:
        assert answer.content == PLAIN.post(f"{upstream.url}/r/{number}/as-it-is").content


ASKED = [
    (rb', ?"stream_options":\{"include_usage":true\}', b""),
    (rb'"include_usage":true,? ?', b""),
    (rb'"include_usage":true', b'"include_usage":false'),
]


def check_request(sent, arrived, group, dialect, streamed):
    """Equal but for `model` and an injected include_usage, byte for byte."""
    swapped = sent.replace(json.dumps(group).encode(), b'"recorded"', 1)
    if arrived == swapped:
        return
    assert dialect == "openai" and streamed, "a request changed outside of the closed list"
    assert swapped in [re.sub(asked, back, arrived, count=1) for asked, back in ASKED]
    assert json.loads(arrived)["stream_options"]["include_usage"] is True


def check_stream(got, raw, body, dialect):
    """Byte for byte, except for usage when it was only the gateway that asked."""
    asked = dialect != "openai" or (body.get("stream_options") or {}).get("include_usage")
    if asked or got == raw:
        assert got == raw
        return
    kept = [block for block in blocks(raw) if not is_usage_only(block)]
    assert len(blocks(got)) == len(kept)
    for wanted, block in zip(kept, blocks(got), strict=True):
        if wanted != block:
            # Equal but for `usage` and a comma.
            value, seen = facts.events(wanted.decode())[0], facts.events(block.decode())[0]
            assert value.pop("usage", "nothing") != "nothing" and "usage" not in seen
            assert list(value.items()) == list(seen.items())
            assert any(wanted == block[:at] + wanted[at : at + len(wanted) - len(block)] + block[at:] for at in range(len(block)))


def blocks(raw):
    return re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", raw)


def is_usage_only(block):
    return any(event.get("usage") and not event.get("choices") for event in facts.events(block.decode()))


@pytest.mark.parametrize("number", range(len(ALL)), ids=[f"{p.parent.parent.name}-{p.stem}" for _, p, _ in ALL])
def test_translated_answers_state_the_same_facts(replay, number):
    _, gateway = replay
    dialect, path, recording = ALL[number]
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
    response = recording["response"]
    raw = response.get("raw") or json.dumps(response.get("body"))
    if response["status"] != 200 or error_inside(response):
        assert answer.status_code == ERROR_STATUS.get(path.stem.rsplit("-", 1)[-1], response["status"]), answer.text
        error = answer.json()["error"]
        assert error["message"] and error["type"]
        assert LEFT_OUT in error["message"] or response["status"] not in (401, 403)
        for words in said(json.loads(raw)):
            assert (words in error["message"]) != (LEFT_OUT in error["message"])
        return
    assert answer.status_code == 200, answer.text
    wanted = facts.READERS[dialect, streamed](raw)
    got = facts.READERS[other, streamed](answer.text)
    assert got["error"] == wanted["error"]
    if wanted["error"]:
        assert got["finish"] is None, "an invented ending"
        wanted["finish"] = None
    for fact in ("text", "calls", "finish", "reasoning"):
        assert got[fact] == wanted[fact], fact
    if wanted["output"] is not None and not wanted["error"]:
        assert got["output"] == wanted["output"]


# What an error about the gateway's credential says in place of the provider's words.
LEFT_OUT = "Its own words are left out, since they may repeat the credential."

# Where the class says more than the recorded status: a filter's 403, an error under 200.
ERROR_STATUS = {"229dca51": 400, "cdb35ac5": 502}


def said(body):
    """The message of an error in any provider's shape."""
    error = body.get("error") if isinstance(body.get("error"), dict) else body
    message = error.get("message") or error.get("detail")
    return [message] if isinstance(message, str) else []


RECORDED_REQUESTS = [n for n, (_, _, r) in enumerate(ALL) if isinstance((r.get("request") or {}).get("body"), dict)]


@pytest.mark.parametrize("number", RECORDED_REQUESTS, ids=[ALL[n][1].stem for n in RECORDED_REQUESTS])
def test_translated_requests_say_the_same(translating, upstream, number):
    dialect, _, recording = ALL[number]
    body = recording["request"]["body"]
    group = "chat-anthropic" if dialect == "openai" else "chat-openai"
    upstream.forget()
    answer = translating.post(PATH[dialect], {**body, "model": group})
    if answer.status_code == 400:
        error = answer.json()["error"]
        assert any(word in json.dumps(body) for word in UNSPEAKABLE), error
        assert error["message"] and not upstream.received()
        return
    assert answer.status_code == 200, answer.text
    arrived = facts.request(json.loads(upstream.received()[-1]["body"]))
    # Where a schema or a form of answer has no word of its own, a tool or a sentence says it.
    shape = (body.get("response_format") or {}).get("type")
    if shape == "json_schema" and OUR_TOOL in arrived["tools"]:
        arrived["tools"].remove(OUR_TOOL)
    if shape == "json_object":
        arrived["system"] = arrived["system"].removesuffix(OUR_SENTENCE)
    assert arrived == facts.request(body)


@pytest.fixture(scope="module")
def translating(upstream, tmp_path_factory):
    config = standard_config(upstream.url)
    config["litellm_settings"]["drop_params"] = True
    gateway = Gateway(tmp_path_factory.mktemp("translating"), config)
    yield gateway
    gateway.stop()


# What the other dialect has no word for: refused with a reason, never left out.
UNSPEAKABLE = [
    "input_audio",
    "max_completion_tokens",  # beside max_tokens
    '"reasoning_effort": "default"',
]
OUR_TOOL = "keymoat_json_answer"
OUR_SENTENCE = "".join("Answer with a single JSON object and nothing else: no words around it, no code fence.".split())
