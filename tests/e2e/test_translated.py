"""What one provider says, read by the other's official client and sent back.

Upstream answers of our own, in forms that the polite pretend provider does not give: citations,
redacted thinking, thought signatures, long names of tools.
"""

import json

import anthropic
import openai
import pytest

from support import MASTER_KEY, PRICE_IN, PRICE_OUT, Gateway, Upstream


def event(body):
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n"


def claude_stream(*blocks, stop="end_turn"):
    """An Anthropic stream of (first form, deltas…) blocks."""
    usage = {"input_tokens": 5, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": usage}
    events = [{"type": "message_start", "message": message}]
    for index, (form, *deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": form})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": stop, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}})
    return "".join(map(event, [*events, {"type": "message_stop"}]))


def source(number):
    where = {"type": "web_search_result_location", "url": f"https://a.test/{number}", "title": f"T{number}"}
    return {"type": "citations_delta", "citation": {**where, "cited_text": "x", "encrypted_index": "e"}}


def text(*deltas):
    return ({"type": "text", "text": ""}, {"type": "text_delta", "text": "a"}, *deltas)


THOUGHT = (
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "t"},
    {"type": "signature_delta", "signature": "S"},
)
REDACTED = ({"type": "redacted_thinking", "data": "D"},)

CALL = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln+/=="}
GEMINI_WHOLE = {
    "candidates": [{"content": {"parts": [CALL], "role": "model"}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2},
}
GEMINI_STREAM = f"data: {json.dumps(GEMINI_WHOLE)}\n\n"

ANSWERS = {
    "gemini-streamed": ("gemini", GEMINI_STREAM),
    "gemini-whole": ("gemini", GEMINI_WHOLE),
    "cites": ("anthropic", claude_stream(text(source(1), source(2), source(3)))),
    "thinks": ("anthropic", claude_stream(THOUGHT, REDACTED, text())),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One group for each answer."""
    folder = tmp_path_factory.mktemp("translated")
    files = []
    for name, (_, raw) in ANSWERS.items():
        kind = "sse" if isinstance(raw, str) else "json"
        response = {"status": 200, "headers": {}, "body_kind": kind}
        response["raw" if kind == "sse" else "body"] = raw
        path = folder / f"{name}.json"
        path.write_text(json.dumps({"response": response}))
        files += ["--replay", path]
    upstream = Upstream(*files)
    models = []
    for number, (name, (dialect, _)) in enumerate(ANSWERS.items()):
        base = f"{upstream.url}/r/{number}" + ("" if dialect == "anthropic" else "/v1")
        params = {"model": f"{dialect}/scripted", "api_base": base, "api_key": "sk-x"}
        prices = {"input_cost_per_token": PRICE_IN, "output_cost_per_token": PRICE_OUT}
        models.append({"model_name": name, "litellm_params": {**params, **prices}})
    config = {
        "model_list": models,
        "router_settings": {"disable_cooldowns": True, "num_retries": 0},
        "litellm_settings": {"num_retries": 0},
        "general_settings": {"master_key": "os.environ/LITELLM_MASTER_KEY"},
    }
    server = Gateway(tmp_path_factory.mktemp("gateway"), config)
    server.upstream = upstream
    yield server
    server.stop()
    upstream.kill()


@pytest.fixture
def openai_client(gateway):
    return openai.OpenAI(base_url=gateway.url + "/v1", api_key=MASTER_KEY, max_retries=0, timeout=30)


@pytest.fixture
def anthropic_client(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, timeout=30)


HI = [{"role": "user", "content": "hi"}]


def final(client, model, **fields):
    """What OpenAI's own stream helper puts together; it demands that items of lists are numbered."""
    with client.chat.completions.stream(model=model, messages=HI, **fields) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion().choices[0].message


def test_openais_stream_helper_puts_claudes_citations_together(openai_client):
    message = final(openai_client, "cites")
    assert message.content == "a"
    sources = [note["url_citation"]["url"] for note in message.model_dump()["annotations"]]
    assert sources == [f"https://a.test/{number}" for number in (1, 2, 3)]


def test_openais_stream_helper_puts_claudes_thinking_together(openai_client):
    message = final(openai_client, "thinks").model_dump()
    blocks = [{key: block[key] for key in block if key != "index"} for block in message["thinking_blocks"]]
    assert blocks == [
        {"type": "thinking", "thinking": "t", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
    ]
    assert (message["reasoning_content"], message["content"]) == ("t", "a")


@pytest.mark.parametrize("model", ["gemini-streamed", "gemini-whole"])
def test_geminis_signature_comes_back_from_an_anthropic_client(anthropic_client, gateway, model):
    tools = [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}]
    ask = {"model": model, "max_tokens": 50, "tools": tools}
    if model == "gemini-streamed":
        with anthropic_client.messages.stream(**ask, messages=HI) as stream:
            answer = stream.get_final_message()
    else:
        answer = anthropic_client.messages.create(**ask, messages=HI)
    call = answer.content[0]
    assert (call.type, call.name) == ("tool_use", "f")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "r"}
    turn = {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]}
    told = [*HI, turn, {"role": "user", "content": [result]}]
    with anthropic_client.messages.stream(**ask, messages=told) as stream:
        stream.until_done()
    sent = json.loads(gateway.upstream.received()[-1]["body"])["contents"]
    called, answered = sent[1]["parts"][0], sent[2]["parts"][0]["functionResponse"]
    assert called["thoughtSignature"] == CALL["thoughtSignature"] and called["functionCall"]["name"] == "f"
    assert answered["name"] == "f" and answered["id"] == called["functionCall"]["id"]
