"""What an answer says, whatever its dialect: read by code that shares nothing with the gateway.

A fact sheet holds text (a refusal's words included), tool calls (name,
arguments as a value), finish, output tokens (reasoning included), reasoning
text. Streams are folded by hand.
"""

import json

FINISH = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    # Some say nothing, or an empty word, at the end of an answer that is whole.
    None: "stop",
    "": "stop",
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


def sheet(text="", calls=(), finish=None, output=None, reasoning="", refused=False, error=False):
    # Snowflake pads its lists with calls of nothing.
    calls = [(name, _arguments(arguments)) for name, arguments in calls if name]
    finish = None if error and not finish else FINISH.get(finish, finish)
    if finish == "stop":
        # OpenAI says `stop` after a call that was forced, and after a refusal.
        finish = "tool" if calls else "refusal" if refused else finish
    said = {"text": text, "calls": calls, "reasoning": reasoning}
    return {**said, "finish": finish, "output": output, "error": error}


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


def _openai_reasoning(message):
    """Mistral's stands among the content, Snowflake's in OpenRouter's details only."""
    parts = message.get("content") if isinstance(message.get("content"), list) else []
    thoughts = "".join(_text(p["thinking"]) for p in parts if p.get("type") == "thinking")
    details = "".join(d.get("text") or "" for d in message.get("reasoning_details") or [])
    return message.get("reasoning_content") or message.get("reasoning") or thoughts or details


def _openai_output(usage, before=None):
    """xAI leaves reasoning out of `completion_tokens`, but not out of the total."""
    if not usage or usage.get("completion_tokens") is None:
        return before
    said = usage["completion_tokens"]
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    apart = usage.get("total_tokens") == usage.get("prompt_tokens", 0) + said + thought
    return said + thought if apart else said


def openai_unary(body):
    choice = body["choices"][0]
    message = choice["message"]
    calls = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or []]
    if message.get("function_call"):
        calls.append((message["function_call"]["name"], message["function_call"]["arguments"]))
    refusal = message.get("refusal") or ""
    text = _text(message.get("content")) + refusal
    output = _openai_output(body.get("usage"))
    return sheet(text, calls, choice.get("finish_reason"), output, _openai_reasoning(message), bool(refusal))


def openai_stream(raw):
    text, reasoning, calls, finish, output, refused, error = "", "", {}, None, None, False, False
    for event in events(raw):
        error = error or bool(event.get("error"))
        output = _openai_output(event.get("usage"), output)
        for choice in event.get("choices") or []:
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            refused = refused or bool(delta.get("refusal"))
            text += _text(delta.get("content")) + (delta.get("refusal") or "")
            reasoning += _openai_reasoning(delta)
            for part in delta.get("tool_calls") or []:
                call = calls.setdefault(part.get("index", len(calls)), ["", ""])
                function = part.get("function") or {}
                call[0] = call[0] or function.get("name") or ""
                call[1] += function.get("arguments") or ""
            finish = choice.get("finish_reason") or finish
    return sheet(text, [tuple(calls[i]) for i in sorted(calls)], finish, output, reasoning, refused, error)


def anthropic_unary(body):
    blocks = body["content"]
    calls = [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    text = "".join(b["text"] for b in blocks if b["type"] == "text")
    reasoning = "".join(b["thinking"] for b in blocks if b["type"] == "thinking")
    text += (body.get("stop_details") or {}).get("explanation") or ""
    return sheet(text, calls, body.get("stop_reason"), body["usage"].get("output_tokens"), reasoning)


def anthropic_stream(raw):
    blocks, finish, output, error, explained = {}, None, None, False, ""
    for event in events(raw):
        kind = event.get("type")
        error = error or kind == "error"
        if kind == "content_block_start":
            blocks[event["index"]] = [event["content_block"], ""]
        elif kind == "content_block_delta":
            delta = event["delta"]
            blocks[event["index"]][1] += delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
        elif kind == "message_delta":
            finish = event["delta"].get("stop_reason") or finish
            explained = (event["delta"].get("stop_details") or {}).get("explanation") or explained
            output = (event.get("usage") or {}).get("output_tokens", output)
    ordered = [blocks[i] for i in sorted(blocks)]
    calls = [(b["name"], t or b.get("input") or "{}") for b, t in ordered if b["type"] == "tool_use"]
    text = "".join(b.get("text", "") + t for b, t in ordered if b["type"] == "text")
    reasoning = "".join(t for b, t in ordered if b["type"] == "thinking")
    return sheet(text + explained, calls, finish, output, reasoning, error=error)


READERS = {
    ("openai", False): lambda raw: openai_unary(json.loads(raw)),
    ("openai", True): openai_stream,
    ("anthropic", False): lambda raw: anthropic_unary(json.loads(raw)),
    ("anthropic", True): anthropic_stream,
}


# What a request says: atoms in order, the system's words apart.


def _atoms(body):
    """(role, kind, value) for every part of a request of either dialect."""
    yield from (("system", "text", text) for text in _texts(body.get("system")))
    for message in body.get("messages") or []:
        role, content = message["role"], message.get("content")
        if role == "tool":
            yield "user", "result", "".join(_texts(content))
            continue
        role = "system" if role == "developer" else role
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
            kind = part.get("type")
            if kind in ("text", "refusal"):
                yield role, "text", part[kind]
            elif kind == "tool_use":
                yield role, "call", (part["name"], part["input"])
            elif kind == "tool_result":
                yield role, "result", "".join(_texts(part.get("content")))
            elif kind in ("image", "image_url"):
                yield role, "image", ""
            elif kind == "document" and part["source"]["type"] == "text":
                # A text in words is said in words.
                yield role, "text", (part.get("title") or "") + part["source"]["data"]
            elif kind in ("document", "file", "document_url"):
                yield role, "document", ""
        for call in message.get("tool_calls") or []:
            yield role, "call", (call["function"]["name"], _arguments(call["function"]["arguments"]))


def _texts(content):
    if isinstance(content, str):
        return [content]
    # A tool that was found has no block at OpenAI; it is named in words.
    found = "The tool `{}` can be used."
    return [
        p["text"] if p["type"] == "text" else found.format(p["tool_name"])
        for p in content or []
        if isinstance(p, dict) and p.get("type") in ("text", "tool_reference")
    ]


def request(body):
    """System words, and atoms with neighbouring words of one role joined; white space at edges is nobody's."""
    system, atoms = "", []
    for role, kind, value in _atoms(body):
        if kind == "text" and role == "system":
            system += "".join(value.split())
        elif kind == "text" and value.strip():
            value = "".join(value.split())
            if atoms and atoms[-1][:2] == (role, "text"):
                value = atoms.pop()[2] + value
            atoms.append((role, "text", value))
        elif kind != "text":
            atoms.append((role, kind, value))
    tools = [*(tool.get("function", tool) for tool in body.get("tools") or []), *(body.get("functions") or [])]
    # Those of the client's own; a provider's server tools have types of theirs.
    tools = [tool["name"] for tool in tools if tool.get("name") and ("parameters" in tool or "input_schema" in tool)]
    return {"system": system, "atoms": atoms, "tools": tools}
