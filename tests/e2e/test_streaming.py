"""Streams with the official clients, native and translated."""

import json

import anthropic
import openai
import pytest


def test_openai_stream_joins_to_the_unary_answer(openai_client, group):
    chunks = list(
        openai_client.chat.completions.create(
            model=group, stream=True, max_tokens=50, messages=[{"role": "user", "content": "hello there, world"}]
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert text == "You said: hello there, world"
    assert finishes == ["stop"]
    assert [c.choices[0].delta.role for c in chunks if c.choices and c.choices[0].delta.role] == ["assistant"]
    assert all(c.usage is None for c in chunks), "usage that nobody asked for"
    assert len({c.id for c in chunks}) == 1


def test_openai_stream_ends_with_usage_when_asked(openai_client, group):
    chunks = list(
        openai_client.chat.completions.create(
            model=group,
            stream=True,
            max_tokens=50,
            stream_options={"include_usage": True},
            messages=[{"role": "user", "content": "hello"}],
        )
    )
    assert chunks[-1].choices == []
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (11, 7)
    assert sum(c.usage is not None for c in chunks) == 1


def test_usage_is_asked_for_upstream_even_when_the_client_does_not(openai_client, upstream):
    for _ in openai_client.chat.completions.create(
        model="chat-openai", stream=True, messages=[{"role": "user", "content": "hello"}]
    ):
        pass
    assert json.loads(upstream.received()[-1]["body"])["stream_options"]["include_usage"] is True


def test_anthropic_stream_follows_the_grammar(anthropic_client, group):
    with anthropic_client.messages.stream(
        model=group, max_tokens=50, messages=[{"role": "user", "content": "hello there, world"}]
    ) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert message.content[0].text == "You said: hello there, world"
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 7)
    raw = [k for k in kinds if k.startswith(("message_", "content_block_"))]
    assert (raw[0], raw[-1]) == ("message_start", "message_stop")
    assert raw.count("content_block_start") == raw.count("content_block_stop") == 1


def test_the_raw_stream_has_the_headers_and_the_end_marker(gateway, group):
    body = {"model": group, "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}
    answer = gateway.post("/v1/chat/completions", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith("data: [DONE]\n\n")
    assert answer.headers["x-litellm-call-id"]


@pytest.mark.parametrize("model", ["openai/gpt-error-in-stream", "anthropic/claude-error-in-stream"])
def test_an_error_inside_a_stream_reaches_both_clients_as_an_error(openai_client, anthropic_client, model):
    seen = []
    with pytest.raises(openai.APIError):
        for chunk in openai_client.chat.completions.create(
            model=model, stream=True, max_tokens=50, messages=[{"role": "user", "content": "x"}]
        ):
            seen.append(chunk)
    assert not any(c.choices and c.choices[0].finish_reason for c in seen), "an invented ending"
    with pytest.raises(anthropic.APIError):
        with anthropic_client.messages.stream(
            model=model, max_tokens=50, messages=[{"role": "user", "content": "x"}]
        ) as stream:
            for _ in stream:
                pass


@pytest.mark.parametrize("model", ["openai/gpt-error-first-event", "anthropic/claude-error-first-event"])
def test_an_error_as_first_event_is_a_status_and_not_a_200(gateway, model):
    body = {"model": model, "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}
    answer = gateway.post("/v1/chat/completions", body)
    assert answer.status_code >= 500, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("model", ["openai/gpt-truncate", "anthropic/claude-truncate"])
def test_a_stream_that_breaks_off_never_gets_an_ending(gateway, model):
    body = {"model": model, "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}
    text = gateway.post("/v1/chat/completions", body).text
    assert '"finish_reason":"stop"' not in text.replace(" ", "")
    assert '"error"' in text
    text = gateway.post("/v1/messages", body).text
    assert "message_stop" not in text and "event: error" in text


def test_events_arrive_one_by_one_and_not_in_a_burst(gateway):
    """The upstream pauses 150 ms between events: the first must be here long before the last."""
    import time

    body = {"model": "openai/gpt-pause-150", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    arrivals = []
    with gateway.http() as client, client.stream("POST", "/v1/chat/completions", json=body) as answer:
        for _ in answer.iter_raw():
            arrivals.append(time.monotonic())
    assert arrivals[-1] - arrivals[0] > 0.3
    assert len(arrivals) >= 3
