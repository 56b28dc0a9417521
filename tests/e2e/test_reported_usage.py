"""What a provider reports of usage and cost cannot take a call past its cap."""

import asyncio
import json

import pytest

from attack import (
    CHAT,
    EMBEDDINGS,
    FIRST_CHUNK_ONLY,
    IN,
    LONG_TEXT,
    MESSAGES,
    Attack,
    answering,
    cost,
    gateway,
    gateway_with,
    provider,
    streaming,
)
from counting import DONE, MESSAGE_STOP, SSE, chunk, completion, message_delta, message_start, text_block, usage

@pytest.mark.parametrize(
    "stated",
    [
        {"cost": 0},
        {"cost": 1e-12},
        {"cost": 7.1},
        {"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.0001}},
    ],
    ids=["free", "tiny", "credits", "own-key"],
)
def test_a_cost_that_a_provider_states_does_not_replace_configured_prices(gateway, provider, stated):
    usd = cost("own", 1000)
    attack = Attack(gateway, provider, answering(usd, completion(usage=usage(IN, 1000, **stated))), budget=usd * 8)
    attack.press(attack.ask, calls=16)
    attack.check(exact=True)


def test_the_cost_of_an_own_key_at_openrouter_includes_the_other_provider(gateway, provider):
    stated = {"cost": 0.0005, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.01}}
    attack = Attack(gateway, provider, answering(0.0105, completion(usage=usage(IN, 1000, **stated))), "router")
    assert attack.ask() == 200
    rows = attack.records()
    assert [row["spend"] for row in rows] == [pytest.approx(attack.true)]
    assert rows[0]["metadata"]["cost_source"] == "provider"


ANTHROPIC_START_ONLY = [message_start(input_tokens=IN, output_tokens=1), *text_block(LONG_TEXT), message_delta(), MESSAGE_STOP]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(
    ("group", "events"),
    [
        ("claude", ANTHROPIC_START_ONLY),
        ("own", FIRST_CHUNK_ONLY),
        ("own", [chunk({"content": "x"}, x_groq={"usage": usage(IN, 1)}), chunk(finish="stop"), DONE]),
        ("own", [{**chunk(), "choices": [], "usage": usage(0, 0)}, DONE]),
    ],
    ids=["message-start", "first-chunk", "groq-first-chunk", "zeros-without-choices"],
)
def test_usage_that_comes_before_the_end_is_not_final(gateway, provider, group, path, events):
    usd = cost(group, 1000)
    attack = Attack(gateway, provider, streaming(usd, *events), group, path, budget=usd * 3.5)
    attack.press(lambda: attack.ask(stream=True), calls=12)
    rows = attack.check(exact=False)
    assert {row["metadata"]["cost_source"] for row in rows} == {"estimated"}


INCOMPLETE = {
    "no-output": {"prompt_tokens": IN},
    "output-null": {"prompt_tokens": IN, "completion_tokens": None},
    "output-zero": usage(IN, 0),
    "zeros": usage(0, 0),
    "strings": {"prompt_tokens": "10", "completion_tokens": "1000", "total_tokens": "1010"},
    "negative": usage(-5, -7),
    "objects": {"prompt_tokens": {}, "completion_tokens": []},
    "total-alone": {"total_tokens": IN + 1000},
    "total-above-its-parts": {"prompt_tokens": IN, "completion_tokens": 1, "total_tokens": IN + 1000},
}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("said", INCOMPLETE)
def test_incomplete_usage_is_not_final(gateway, provider, said, stream):
    usd = cost("own", 1000)
    end = {**chunk(), "choices": [], "usage": INCOMPLETE[said]}
    events = streaming(usd, chunk({"content": "x"}), chunk(finish="stop"), end, DONE)
    attack = Attack(
        gateway, provider, events if stream else answering(usd, completion(usage=INCOMPLETE[said])), budget=usd * 4.5
    )
    attack.press(lambda: attack.ask(stream=stream), calls=12)
    attack.check(exact=False)


@pytest.mark.parametrize("said", [usage(0, 1), {"completion_tokens": 1}], ids=["zero", "missing"])
def test_usage_without_input_is_not_final(gateway, provider, said):
    usd = cost("own", 1, input_tokens=3000)
    attack = Attack(gateway, provider, answering(usd, completion(usage=said)), budget=0.05)
    long = [{"role": "user", "content": f"script={attack.name} " + "word " * 3000}]
    attack.press(lambda: attack.ask(messages=long), calls=30)
    attack.check(exact=False)


MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "up", "stop_reason": "end_turn", "stop_sequence": None}
MESSAGE["content"] = [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    "said",
    [{"input_tokens": IN}, {"input_tokens": 0, "output_tokens": 0}, {"output_tokens": 1}],
    ids=["no-output", "zeros", "no-input"],
)
def test_incomplete_usage_of_an_anthropic_message_is_not_final(gateway, provider, said):
    usd = cost("claude", 1000)
    attack = Attack(
        gateway, provider, answering(usd, {**MESSAGE, "usage": said}), "claude", MESSAGES, budget=usd * 3.5
    )
    attack.press(attack.ask, calls=8)
    attack.check(exact=False)


THINKING = [
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "short"}},
    {"type": "content_block_stop", "index": 0},
]


@pytest.mark.parametrize("end", [[], [message_delta(), MESSAGE_STOP]], ids=["cut", "whole"])
def test_a_message_delta_before_the_end_is_not_final(gateway, provider, end):
    usd = cost("claude", 1000)
    early = [message_start(input_tokens=IN, output_tokens=1), message_delta(None, output_tokens=1)]
    attack = Attack(gateway, provider, streaming(usd, *early, *THINKING, *end), "claude", MESSAGES, budget=usd * 3.5)
    attack.press(lambda: attack.ask(stream=True), calls=8)
    attack.check(exact=False)


ENCRYPTED = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "AAAA"}]}


@pytest.mark.parametrize(
    ("choices", "more"),
    [
        (1, [chunk({"content": LONG_TEXT}), chunk(finish="stop")]),
        (1, [chunk(ENCRYPTED), chunk(finish="stop")]),
        (2, [chunk({"content": LONG_TEXT}, index=1), chunk(index=1, finish="stop")]),
    ],
    ids=["text", "encrypted", "second-choice"],
)
def test_output_after_a_report_of_usage_makes_the_report_partial(gateway, provider, choices, more):
    usd = cost("own", 1000)
    first = [chunk({"content": "x"}), chunk(finish="stop", usage=usage(IN, 70))]
    attack = Attack(gateway, provider, streaming(usd, *first, *more, DONE), budget=usd * 4.5)
    attack.press(lambda: attack.ask(stream=True, n=choices), calls=12)
    attack.check(exact=False)


def test_embeddings_that_report_no_tokens_are_charged(gateway, provider):
    usd = cost("embed", 0, input_tokens=3000)
    embedding = {"object": "list", "model": "up", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]}
    zero = answering(usd, {**embedding, "usage": {"prompt_tokens": 0, "total_tokens": 0}})
    attack = Attack(gateway, provider, zero, "embed", EMBEDDINGS, budget=0.001)
    attack.press(attack.ask, calls=30)
    attack.check(exact=False)


def test_an_answer_without_choices_that_reports_no_tokens_may_have_been_billed(gateway, provider):
    usd = cost("own", 1000)
    empty = answering(usd, {**completion(usage=usage(0, 0)), "choices": []})
    attack = Attack(gateway, provider, empty, budget=usd * 4.5)
    attack.press(attack.ask, calls=12)
    attack.check(exact=False)


def test_usage_that_no_model_can_have_spares_the_budget_of_the_others(gateway_with, provider):
    gateway = gateway_with(litellm_settings={"max_budget": 1000.0})
    absurd = usage(
        2**63,
        2**63,
        prompt_tokens_details={"cached_tokens": 2**62, "audio_tokens": 2**62},
        completion_tokens_details={"reasoning_tokens": 2**62, "audio_tokens": 2**62},
    )
    attack = Attack(gateway, provider, answering(0.0, completion(usage=absurd)), "gpt-4o")
    assert [attack.ask() for _ in range(3)] == [200] * 3
    rows = attack.records()
    assert {row["metadata"]["cost_source"] for row in rows} == {"out_of_bounds"}
    # The window and the output limit of the model, and no more.
    assert sum(row["spend"] for row in rows) < 3 * 1.0
    other = Attack(gateway, provider, answering(0.0, completion(usage=usage(IN, 5))))
    assert other.ask() == 200


def test_a_web_search_costs_a_key_without_a_budget_the_same(gateway, provider):
    usd = IN * 2e-6 + 3 * 8e-6 + 0.025
    found = answering(usd, completion(usage=usage(IN, 3)))
    for budget in (None, 5.0):
        attack = Attack(gateway, provider, found, "search", budget=budget)
        assert [attack.ask(web_search_options={}) for _ in range(3)] == [200] * 3
        attack.check(exact=True)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize("budget", [None, 0.05], ids=["free", "capped"])
def test_what_follows_an_error_inside_a_stream_is_charged(gateway, provider, path, budget):
    usd = cost("own", 1000)

    async def going_on(call):
        call.bill(usd)
        await call.head(SSE)
        await call.events(chunk({"content": "x"}))
        await asyncio.sleep(0.05)
        await call.events({"error": {"message": "oops", "type": "server_error"}})
        await asyncio.sleep(0.05)
        text = [chunk({"content": "four" * 100}) for _ in range(10)]
        await call.events(*text, chunk(finish="stop", usage=usage(IN, 1000)), DONE)

    attack = Attack(gateway, provider, going_on, path=path, budget=budget)
    attack.press(lambda: attack.ask(stream=True), calls=4 if budget is None else 20)
    attack.check(exact=True)


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
def test_usage_in_the_same_piece_as_an_error_is_charged(gateway, provider, path):
    usd = cost("own", 1000)
    error = {"error": {"message": "oops", "type": "server_error"}}
    events = [chunk({"content": "x"}), error, chunk(finish="stop", usage=usage(IN, 1000))]
    whole = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + DONE
    attack = Attack(gateway, provider, streaming(usd, whole), path=path)
    assert attack.ask(stream=True) == 200
    attack.check(exact=True)


@pytest.mark.parametrize("budget", [None, 0.05], ids=["free", "capped"])
def test_usage_after_an_event_of_17_megabytes_is_read(gateway, provider, budget):
    usd = cost("own", 15)
    large = b'data: {"choices":[{"index":0,"delta":{"images":["' + b"A" * 17_000_000 + b'"]}}]}\n\n'
    script = streaming(usd, chunk({"content": "x"}), large, chunk(finish="stop", usage=usage(IN, 15)), DONE)
    attack = Attack(gateway, provider, script, budget=budget)
    assert attack.ask(stream=True) == 200
    attack.check(exact=True)


def test_a_priority_tier_is_charged_at_its_price(gateway, provider):
    usd = IN * 4.25e-6 + 1000 * 1.7e-5
    attack = Attack(gateway, provider, answering(usd, completion(usage=usage(IN, 1000))), "gpt-4o", budget=usd * 6)
    attack.press(lambda: attack.ask(service_tier="priority"), calls=12)
    rows = attack.records()
    assert attack.true <= attack.budget
    assert sum(row["spend"] for row in rows) == pytest.approx(attack.true, abs=1e-6)
