"""Tool calls and structured output with the official clients, native and translated."""

import json
import re

import pytest

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
EXPECTED = {"city": "Paris", "days": 21}
OPENAI_TOOLS = [
    {"type": "function", "function": {"name": name, "description": "d", "parameters": SCHEMA}}
    for name in ("weather", "forecast")
]
ANTHROPIC_TOOLS = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in ("weather", "forecast")]
ASK = [{"role": "user", "content": "weather and forecast?"}]


def test_openai_client_gets_parallel_calls_and_returns_results(openai_client, upstream, group):
    answer = openai_client.chat.completions.create(model=group, max_tokens=50, tools=OPENAI_TOOLS, messages=ASK)
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert [c.function.name for c in choice.message.tool_calls] == ["weather", "forecast"]
    assert [json.loads(c.function.arguments) for c in choice.message.tool_calls] == [EXPECTED, EXPECTED]
    results = [
        {"role": "tool", "tool_call_id": c.id, "content": f"sunny {n}"} for n, c in enumerate(choice.message.tool_calls)
    ]
    told = [*ASK, choice.message.model_dump(exclude_none=True), *results]
    answer = openai_client.chat.completions.create(model=group, max_tokens=50, tools=OPENAI_TOOLS, messages=told)
    assert "sunny 1" in answer.choices[0].message.content
    if group == "chat-anthropic":
        messages = json.loads(upstream.received()[-1]["body"])["messages"]
        assert [m["role"] for m in messages] == ["user", "assistant", "user"]
        assert [p["type"] for p in messages[2]["content"]] == ["tool_result", "tool_result"]


def test_anthropic_client_gets_parallel_calls_and_returns_results(anthropic_client, upstream, group):
    answer = anthropic_client.messages.create(model=group, max_tokens=50, tools=ANTHROPIC_TOOLS, messages=ASK)
    calls = [b for b in answer.content if b.type == "tool_use"]
    assert answer.stop_reason == "tool_use"
    assert [(c.name, c.input) for c in calls] == [("weather", EXPECTED), ("forecast", EXPECTED)]
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": f"sunny {n}"} for n, c in enumerate(calls)]
    content = [b.model_dump(exclude_none=True) for b in answer.content]
    told = [*ASK, {"role": "assistant", "content": content}, {"role": "user", "content": results}]
    answer = anthropic_client.messages.create(model=group, max_tokens=50, tools=ANTHROPIC_TOOLS, messages=told)
    assert "sunny 1" in answer.content[0].text
    if group == "chat-openai":
        roles = [m["role"] for m in json.loads(upstream.received()[-1]["body"])["messages"]]
        assert roles == ["user", "assistant", "tool", "tool"]


def test_openai_stream_of_arguments_joins_by_index(openai_client, group):
    calls = {}
    for chunk in openai_client.chat.completions.create(
        model=group, max_tokens=50, stream=True, tools=OPENAI_TOOLS, messages=ASK
    ):
        for part in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            call = calls.setdefault(part.index, {"id": None, "name": None, "arguments": ""})
            call["id"] = call["id"] or part.id
            call["name"] = call["name"] or part.function.name
            call["arguments"] += part.function.arguments or ""
    assert sorted(calls) == [0, 1]
    assert [calls[i]["name"] for i in (0, 1)] == ["weather", "forecast"]
    assert all(calls[i]["id"] and json.loads(calls[i]["arguments"]) == EXPECTED for i in (0, 1))


def test_anthropic_stream_of_arguments_joins_by_block(anthropic_client, group):
    with anthropic_client.messages.stream(
        model=group, max_tokens=50, tools=ANTHROPIC_TOOLS, messages=ASK
    ) as stream:
        message = stream.get_final_message()
    calls = [(b.name, b.input) for b in message.content if b.type == "tool_use"]
    assert calls == [("weather", EXPECTED), ("forecast", EXPECTED)]
    assert message.stop_reason == "tool_use"


def test_one_call_at_a_time_and_a_forced_tool_are_honoured(openai_client, group):
    answer = openai_client.chat.completions.create(
        model=group, max_tokens=50, tools=OPENAI_TOOLS, parallel_tool_calls=False, messages=ASK
    )
    assert len(answer.choices[0].message.tool_calls) == 1
    answer = openai_client.chat.completions.create(
        model=group,
        max_tokens=50,
        tools=OPENAI_TOOLS,
        tool_choice={"type": "function", "function": {"name": "forecast"}},
        messages=ASK,
    )
    assert [c.function.name for c in answer.choices[0].message.tool_calls] == ["forecast"]


@pytest.mark.parametrize("stream", [False, True])
def test_structured_output_is_json_that_fits_the_schema(openai_client, group, stream):
    shape = {"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": SCHEMA}}
    answer = openai_client.chat.completions.create(
        model=group, max_tokens=50, response_format=shape, messages=ASK, stream=stream
    )
    if stream:
        text = "".join(c.choices[0].delta.content or "" for c in answer if c.choices)
    else:
        text = answer.choices[0].message.content
    assert json.loads(text) == EXPECTED


def test_structured_output_for_an_anthropic_client(anthropic_client, group):
    answer = anthropic_client.messages.create(
        model=group, max_tokens=50, messages=ASK, output_config={"format": {"type": "json_schema", "schema": SCHEMA}}
    )
    assert json.loads("".join(b.text for b in answer.content)) == EXPECTED


LONG = "mcp__" + "a_server_with_a_name_of_its_own__" * 4 + "read_one_file"


def test_a_long_tool_name_reaches_openai_short_and_the_client_as_its_own(anthropic_client, upstream):
    """OpenAI refuses names over 64 characters; the Anthropic client's are up to 128."""
    name = LONG[-100:]
    tools = [{"name": name, "description": "d", "input_schema": SCHEMA}, ANTHROPIC_TOOLS[0]]
    choice = {"type": "tool", "name": name}
    ask = {"model": "chat-openai", "max_tokens": 50, "tools": tools}
    answer = anthropic_client.messages.create(**ask, tool_choice=choice, messages=ASK)
    call = answer.content[0]
    assert (call.name, call.input) == (name, EXPECTED)
    with anthropic_client.messages.stream(**ask, messages=ASK) as stream:
        assert {b.name for b in stream.get_final_message().content} == {name, "weather"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "fine"}
    turn = {"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]}
    anthropic_client.messages.create(**ask, messages=[*ASK, turn, {"role": "user", "content": [result]}])
    bodies = [json.loads(r["body"]) for r in upstream.received()[-3:]]
    sent = {body["tools"][0]["function"]["name"] for body in bodies}
    assert len(sent) == 1 and all(len(short) <= 64 for short in sent), "the same in every turn"
    assert {bodies[0]["tool_choice"]["function"]["name"]} == sent
    assert {bodies[2]["messages"][1]["tool_calls"][0]["function"]["name"]} == sent


def test_a_tool_name_that_anthropic_refuses_goes_up_as_another(openai_client, upstream):
    names = [LONG, "files.read"]
    tools = [{"type": "function", "function": {"name": n, "description": "d", "parameters": SCHEMA}} for n in names]
    ask = {"model": "chat-anthropic", "max_tokens": 50, "tools": tools, "messages": ASK}
    answer = openai_client.chat.completions.create(**ask)
    assert [c.function.name for c in answer.choices[0].message.tool_calls] == names
    heard = [
        call.function.name
        for chunk in openai_client.chat.completions.create(**ask, stream=True)
        for call in (chunk.choices[0].delta.tool_calls or [] if chunk.choices else [])
        if call.function and call.function.name
    ]
    assert heard == names
    for tool in json.loads(upstream.received()[-1]["body"])["tools"]:
        assert re.fullmatch("[a-zA-Z0-9_-]{1,128}", tool["name"])
