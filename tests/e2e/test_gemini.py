"""Google's own client for Python, google-genai, against every kind of upstream: its types, its stream reader."""

import asyncio
import json

import pytest
from google import genai
from google.genai import errors, types

from support import MASTER_KEY, Gateway, deployment, standard_config

UPSTREAM_KEY = "sk-upstream-of-google"
GROUPS = ["chat-openai", "chat-anthropic", "chat-gemini"]


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    config = standard_config(upstream.url)
    config["model_list"] += [
        deployment("chat-gemini", "gemini", "gemini-2.5-flash", upstream.url, api_key=UPSTREAM_KEY),
        deployment("newer-gemini", "gemini", "gemini-3-flash-preview", upstream.url, api_key=UPSTREAM_KEY),
        deployment("limited-gemini", "gemini", "error-429", upstream.url, api_key=UPSTREAM_KEY),
        deployment("limited-openai", "openai", "error-429", upstream.url),
    ]
    server = Gateway(tmp_path_factory.mktemp("gemini"), config)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def client(gateway):
    options = types.HttpOptions(base_url=gateway.url, timeout=30_000)
    return genai.Client(api_key=MASTER_KEY, http_options=options)


@pytest.fixture(params=GROUPS)
def group(request):
    return request.param


def weather(place: str = "town") -> str:
    """Says what the weather is like."""
    return f"sunny in {place}"


WEATHER = types.FunctionDeclaration(
    name="weather",
    description="Says what the weather is like.",
    parameters_json_schema={"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
)


def test_text(client, group):
    answer = client.models.generate_content(model=group, contents="say hello")
    assert answer.text == "You said: say hello"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.candidates_token_count, usage.total_token_count) == (11, 7, 18)
    assert answer.response_id and answer.model_version


def test_a_stream_in_its_own_reader(client, group):
    chunks = list(client.models.generate_content_stream(model=group, contents="a long walk in the park"))
    assert len(chunks) > 2
    assert "".join(chunk.text or "" for chunk in chunks) == "You said: a long walk in the park"
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 18


def test_a_stream_in_its_asynchronous_reader(client, group):
    async def read():
        stream = await client.aio.models.generate_content_stream(model=group, contents="walk")
        return "".join([chunk.text or "" async for chunk in stream])

    assert asyncio.run(read()) == "You said: walk"


def test_a_stream_without_alt_sse_is_one_json_list(gateway, group):
    body = {"contents": [{"role": "user", "parts": [{"text": "walk"}]}]}
    answer = gateway.post(f"/v1beta/models/{group}:streamGenerateContent", body)
    assert answer.headers["content-type"].startswith("application/json")
    chunks = answer.json()
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part.get("text", "") for part in parts) == "You said: walk"


def test_a_tool_is_called_and_its_result_is_read(client, group):
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    asked = types.Content(role="user", parts=[types.Part(text="weather?")])
    answer = client.models.generate_content(model=group, contents=[asked], config=config)
    [call] = answer.function_calls
    assert call.name == "weather" and isinstance(call.args, dict)
    result = types.Part.from_function_response(name="weather", response={"output": "sunny"})
    told = [asked, answer.candidates[0].content, types.Content(role="user", parts=[result])]
    assert "sunny" in client.models.generate_content(model=group, contents=told, config=config).text


def test_a_tool_that_the_client_calls_by_itself(client, group):
    config = types.GenerateContentConfig(tools=[weather])
    assert "sunny" in client.models.generate_content(model=group, contents="weather?", config=config).text


def test_a_tool_is_called_in_a_stream(client, group):
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    chunks = list(client.models.generate_content_stream(model=group, contents="weather?", config=config))
    calls = [call for chunk in chunks for call in chunk.function_calls or []]
    assert [call.name for call in calls] == ["weather"]
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP


def test_signatures_come_back_to_the_model_that_made_them(client, gateway, upstream):
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[WEATHER])],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
    )
    chat = client.chats.create(model="newer-gemini", config=config)
    for _ in chat.send_message_stream("weather?"):
        pass
    chat.send_message(types.Part.from_function_response(name="weather", response={"output": "sunny"}))
    sent = json.loads(upstream.received()[-1]["body"])
    parts = [part for content in sent["contents"] for part in content["parts"]]
    [call] = [part for part in parts if "functionCall" in part]
    assert call["thoughtSignature"] == "c2lnbmF0dXJl"


@pytest.mark.parametrize("group", ["chat-openai", "chat-anthropic"])
def test_an_answer_of_a_schema(client, group):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    answer = client.models.generate_content(model=group, contents="a name", config=config)
    assert isinstance(json.loads(answer.text)["name"], str)


def test_settings_reach_the_upstream_in_its_own_words(client, upstream, group):
    config = types.GenerateContentConfig(
        system_instruction="be brief", temperature=0.5, max_output_tokens=77, stop_sequences=["END"]
    )
    client.models.generate_content(model=group, contents="hi", config=config)
    sent = json.loads(upstream.received()[-1]["body"])
    text = json.dumps(sent)
    assert "be brief" in text and "END" in text
    limits = [sent.get("max_tokens"), sent.get("max_completion_tokens")]
    limits.append(sent.get("generationConfig", {}).get("maxOutputTokens"))
    assert [limit for limit in limits if limit] == [77]


@pytest.mark.parametrize("group", ["limited-openai", "limited-gemini"])
def test_an_upstreams_refusal_is_googles_error(client, group):
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model=group, contents="hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
    with pytest.raises(errors.ClientError) as caught:
        list(client.models.generate_content_stream(model=group, contents="hi"))
    assert caught.value.code == 429


def test_a_wrong_key_and_a_wrong_model(client, gateway):
    options = types.HttpOptions(base_url=gateway.url)
    stranger = genai.Client(api_key="sk-nobody", http_options=options)
    with pytest.raises(errors.ClientError) as caught:
        stranger.models.generate_content(model="chat-gemini", contents="hi")
    assert caught.value.code == 401
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="no-such-model", contents="hi")
    assert caught.value.code == 404


def test_tokens_are_counted(client, group):
    assert client.models.count_tokens(model=group, contents="how many?").total_tokens > 0


def test_a_stream_without_alt_sse_is_one_array(gateway, group):
    body = {"contents": [{"role": "user", "parts": [{"text": "walk"}]}]}
    path = f"/v1beta/models/{group}:streamGenerateContent"
    answer = gateway.post(path, body)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    elements = answer.json()
    parts = [part for element in elements for part in element["candidates"][0]["content"]["parts"]]
    assert "".join(part.get("text", "") for part in parts) == "You said: walk"
    events = gateway.post(f"{path}?alt=sse", body).text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in events if line.startswith("data: ")]
    for element in elements + events:
        element.pop("responseId")
    assert elements == events


def test_a_key_in_the_query_opens_and_goes_no_further(gateway, upstream):
    key = gateway.new_key()
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    path = f"/v1beta/models/chat-gemini:generateContent?key={key}"
    assert gateway.post(path, body, key=None).status_code == 200
    sent = upstream.received()[-1]
    assert "key=" not in sent["path"] and key not in json.dumps(sent["headers"])
    assert sent["headers"]["x-goog-api-key"] == UPSTREAM_KEY
    assert key not in gateway.output()


def test_a_client_of_openai_and_one_of_anthropic_reach_google(gateway):
    chat = {"model": "chat-gemini", "messages": [{"role": "user", "content": "walk"}]}
    answer = gateway.post("/v1/chat/completions", chat).json()
    assert answer["choices"][0]["message"]["content"] == "You said: walk"
    answer = gateway.post("/v1/messages", {**chat, "max_tokens": 50}).json()
    assert answer["content"][0]["text"] == "You said: walk"
