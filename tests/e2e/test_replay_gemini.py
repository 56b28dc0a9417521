"""Google's recorded exchanges through the real binary, as test_replay.py has the others'.

For Google's clients byte for byte both ways; for OpenAI's and Anthropic's with the same words, calls and counts.
"""

import json

import pytest

from support import PLAIN, PRICE_IN, PRICE_OUT, SHARED, Gateway, Upstream

RECORDINGS = SHARED / "recordings"
FOLDERS = [f"{place}/{api}" for place in ("gemini", "vertex") for api in ("generate-content", "stream-generate-content")]


def load():
    found = []
    for folder in FOLDERS:
        for path in sorted((RECORDINGS / folder).glob("*.json")):
            recording = json.loads(path.read_text())
            response = recording["response"]
            whole = response["body_kind"] == "json" and "predictions" not in response["body"]
            # A list is a stream without alt=sse, which is never asked for.
            if whole and isinstance(response["body"], dict) or response["body_kind"] == "sse":
                found.append((path, recording))
    return found


ALL = load() if RECORDINGS.is_dir() else []
if not ALL:
    print(f"SKIPPED: no recordings at {RECORDINGS}")
pytestmark = pytest.mark.skipif(not ALL, reason=f"SKIPPED: no recordings at {RECORDINGS}")
EACH = pytest.mark.parametrize("number", range(len(ALL)), ids=[f"{p.parent.parent.name}-{p.stem}" for p, _ in ALL])


@pytest.fixture(scope="module", params=["original", "bytes", "random:7"])
def replay(request, tmp_path_factory):
    files = [word for path, _ in ALL for word in ("--replay", path)]
    upstream = Upstream(*files, "--split", request.param)
    prices = {"input_cost_per_token": PRICE_IN, "output_cost_per_token": PRICE_OUT}
    models = [
        {
            "model_name": f"rec-{number}",
            "litellm_params": {
                "model": "gemini/recorded",
                "api_base": f"{upstream.url}/r/{number}",
                "api_key": "sk-x",
                **prices,
            },
        }
        for number in range(len(ALL))
    ]
    config = {
        "model_list": models,
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "litellm_settings": {"num_retries": 0, "drop_params": True},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
        "keymoat": {"response_model": "upstream"},
    }
    gateway = Gateway(tmp_path_factory.mktemp("replay"), config)
    yield upstream, gateway
    gateway.stop()
    upstream.kill()


def request_of(recording):
    body = (recording.get("request") or {}).get("body")
    if not isinstance(body, dict) or "contents" not in body:
        body = {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}
    return {name: value for name, value in body.items() if name != "model"}


@EACH
def test_googles_clients_get_googles_bytes(replay, number):
    upstream, gateway = replay
    _, recording = ALL[number]
    response = recording["response"]
    streamed = response["body_kind"] == "sse"
    sent = json.dumps(request_of(recording), ensure_ascii=False, separators=(", ", ":")).encode()
    upstream.forget()
    verb = "streamGenerateContent?alt=sse" if streamed else "generateContent"
    with gateway.http(headers={"content-type": "application/json"}) as client:
        answer = client.post(f"/v1beta/models/rec-{number}:{verb}", content=sent)
    [received] = upstream.received()
    assert received["path"] == f"/r/{number}/models/recorded:{verb}"
    assert received["body"] == sent
    assert received["headers"]["x-goog-api-key"] == "sk-x" and "authorization" not in received["headers"]
    assert answer.status_code == response["status"] or answer.status_code >= 400
    if response["status"] == 200:
        assert answer.content == PLAIN.post(f"{upstream.url}/r/{number}/as-it-is").content


def spoken(response):
    """Words, names of calls, and tokens in and out, by the plainest reading."""
    if response["body_kind"] == "sse":
        chunks = [json.loads(line[5:]) for line in response["raw"].splitlines() if line.startswith("data:")]
    else:
        chunks = [response["body"]]
    words, calls, counts = "", [], {}
    for chunk in chunks:
        for candidate in chunk.get("candidates", [])[:1]:
            for part in candidate.get("content", {}).get("parts", []):
                words += part.get("text", "") if not part.get("thought") else ""
                calls += [part["functionCall"]["name"]] if part.get("functionCall", {}).get("name") else []
        counts.update({name: count for name, count in chunk.get("usageMetadata", {}).items() if count})
    into = counts.get("promptTokenCount", 0) + counts.get("toolUsePromptTokenCount", 0)
    out = counts.get("candidatesTokenCount", 0) + counts.get("thoughtsTokenCount", 0)
    return words, calls, (into, max(out, counts.get("totalTokenCount", 0) - into))


@EACH
def test_openais_and_anthropics_clients_get_the_same_words(replay, number):
    _, gateway = replay
    _, recording = ALL[number]
    response = recording["response"]
    streamed = response["body_kind"] == "sse"
    body = {"model": f"rec-{number}", "messages": [{"role": "user", "content": "x"}], "stream": streamed}
    if response["status"] != 200:
        assert gateway.post("/v1/chat/completions", body).status_code >= 400
        return
    words, calls, (into, out) = spoken(response)
    options = {"stream_options": {"include_usage": True}} if streamed else {}
    answer = gateway.post("/v1/chat/completions", {**body, **options})
    assert answer.status_code == 200, answer.text
    if streamed:
        chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["index"] == 0]
        usage = chunks[-1]["usage"]
    else:
        deltas = [answer.json()["choices"][0]["message"]]
        usage = answer.json()["usage"]
    assert "".join(delta.get("content") or "" for delta in deltas) == words
    called = [call["function"]["name"] for delta in deltas for call in delta.get("tool_calls") or [] if call.get("id")]
    assert called == calls
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (into, out)
    answer = gateway.post("/v1/messages", {**body, "max_tokens": 100})
    assert answer.status_code == 200, answer.text
    if streamed:
        events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        assert events[-1]["type"] == "message_stop"
        texts = [event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"]
        blocks = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    else:
        blocks = answer.json()["content"]
        texts = [block.get("text", "") for block in blocks]
    assert "".join(texts) == words
    assert [block["name"] for block in blocks if block["type"] == "tool_use"] == calls
