"""What an answer says, whatever its dialect: read by code that shares nothing with the gateway.

A fact sheet holds text, tool calls (name, arguments as a value), finish,
output tokens, reasoning text. Streams are folded by hand.
"""

import json

FINISH = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool",
    "function_call": "tool",
    "tool_use": "tool",
    "content_filter": "refusal",
    "refusal": "refusal",
}


def sheet(text="", calls=(), finish=None, output=None, reasoning=""):
    calls = [(name, _arguments(arguments)) for name, arguments in calls]
    return {"text": text, "calls": calls, "finish": FINISH.get(finish, finish), "output": output, "reasoning": reasoning}


def _arguments(text):
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def events(raw):
    """The data of each server-sent event, as values; comments and [DONE] are left out."""
    found = []
    for block in raw.replace("\r\n", "\n").split("\n\n"):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        data = "\n".join(lines).strip()
        if data and data != "[DONE]":
            found.append(json.loads(data))
    return found


def _text(content):
    if isinstance(content, list):
        return "".join(p.get("text", "") for p in content if isinstance(p, dict) and p.get("type") == "text")
    return content or ""


def openai_unary(body):
    choice = body["choices"][0]
    message = choice["message"]
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]
    reasoning = message.get("reasoning_content") or message.get("reasoning") or ""
    output = (body.get("usage") or {}).get("completion_tokens")
    return sheet(_text(message.get("content")), calls, choice.get("finish_reason"), output, reasoning)


def openai_stream(raw):
    text, reasoning, calls, finish, output = "", "", {}, None, None
    for event in events(raw):
        output = (event.get("usage") or {}).get("completion_tokens", output)
        for choice in event.get("choices") or []:
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            text += _text(delta.get("content"))
            reasoning += delta.get("reasoning_content") or delta.get("reasoning") or ""
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part.get("index", len(calls)), ["", ""])
                function = part.get("function") or {}
                call[0] = call[0] or function.get("name") or ""
                call[1] += function.get("arguments") or ""
            finish = choice.get("finish_reason") or finish
    return sheet(text, [tuple(calls[i]) for i in sorted(calls)], finish, output, reasoning)


def anthropic_unary(body):
    blocks = body["content"]
    calls = [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    text = "".join(b["text"] for b in blocks if b["type"] == "text")
    reasoning = "".join(b["thinking"] for b in blocks if b["type"] == "thinking")
    return sheet(text, calls, body.get("stop_reason"), body["usage"].get("output_tokens"), reasoning)


def anthropic_stream(raw):
    blocks, finish, output = {}, None, None
    for event in events(raw):
        kind = event.get("type")
        if kind == "content_block_start":
            blocks[event["index"]] = [event["content_block"], ""]
        elif kind == "content_block_delta":
            delta = event["delta"]
            blocks[event["index"]][1] += delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
        elif kind == "message_delta":
            finish = event["delta"].get("stop_reason") or finish
            output = (event.get("usage") or {}).get("output_tokens", output)
    ordered = [blocks[i] for i in sorted(blocks)]
    calls = [(b["name"], t or b.get("input") or "{}") for b, t in ordered if b["type"] == "tool_use"]
    text = "".join(b.get("text", "") + t for b, t in ordered if b["type"] == "text")
    reasoning = "".join(t for b, t in ordered if b["type"] == "thinking")
    return sheet(text, calls, finish, output, reasoning)


READERS = {
    ("openai", False): lambda raw: openai_unary(json.loads(raw)),
    ("openai", True): openai_stream,
    ("anthropic", False): lambda raw: anthropic_unary(json.loads(raw)),
    ("anthropic", True): anthropic_stream,
}
