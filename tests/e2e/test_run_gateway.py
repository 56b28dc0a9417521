"""`keymoat run --gateway`: model clients inside get an address and a key that lives as long as the run."""

import sys

import pytest

from support import MASTER_KEY, needs_namespaces
from test_run import place, run, variables  # noqa: F401 — `place` is a fixture

pytestmark = needs_namespaces

OPENAI = (
    "import openai, os\n"
    "answer = openai.OpenAI().chat.completions.create(model='chat-openai', messages=[{'role': 'user', 'content': 'hello'}])\n"
    "print(answer.choices[0].message.content)\n"
    "print(os.environ['OPENAI_API_KEY'])\n"
)
ANTHROPIC = (
    "import anthropic\n"
    "answer = anthropic.Anthropic().messages.create(model='chat-anthropic', max_tokens=9, messages=[{'role': 'user', 'content': 'hello'}])\n"
    "print(answer.content[0].text)\n"
)


def confined(place, gateway, code, *options):  # noqa: F811
    env = variables(place, LITELLM_MASTER_KEY=MASTER_KEY, OPENAI_API_KEY="sk-provider-secret")
    return run(place, "--gateway", gateway.url, *options, "--", sys.executable, "-c", code, env=env)


def test_clients_of_models_work_with_a_key_that_ends_with_the_run(place, gateway):  # noqa: F811
    ran = confined(place, gateway, OPENAI)
    assert ran.returncode == 0, ran.stderr
    said, key = ran.stdout.splitlines()
    assert said == "You said: hello" and key.startswith("sk-") and key != MASTER_KEY
    assert gateway.chat(key=key).status_code == 401
    ran = confined(place, gateway, ANTHROPIC)
    assert ran.stdout == "You said: hello\n", ran.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_gateway_may_be_named_in_any_way(place, gateway, host):  # noqa: F811
    gateway_url = gateway.url.replace("127.0.0.1", host)
    env = variables(place, LITELLM_MASTER_KEY=MASTER_KEY)
    ran = run(place, "--gateway", gateway_url, "--", sys.executable, "-c", OPENAI, env=env)
    assert ran.stdout.startswith("You said: hello"), ran.stderr


def test_the_key_is_limited(place, gateway):  # noqa: F811
    ran = confined(place, gateway, OPENAI, "--models", "chat-anthropic")
    assert ran.returncode != 0 and "chat-openai" in ran.stderr
    ran = confined(place, gateway, OPENAI, "--max-budget", "0.000001")
    assert ran.returncode != 0 and "budget" in ran.stderr.lower()


def test_the_masters_key_stays_outside(place, gateway):  # noqa: F811
    code = "import os; print(dict(os.environ)); os.system(\"cat /proc/*/environ /proc/*/cmdline | tr '\\\\0' ' '\")"
    ran = confined(place, gateway, code)
    assert ran.returncode == 0, ran.stderr
    assert MASTER_KEY not in ran.stdout and "sk-provider-secret" not in ran.stdout


def test_a_gateway_that_is_not_there_is_said_and_nothing_runs(place):  # noqa: F811
    env = variables(place, LITELLM_MASTER_KEY=MASTER_KEY)
    ran = run(place, "--gateway", "http://127.0.0.1:9", "--", "touch", "made", env=env)
    assert ran.returncode == 125 and "--gateway" in ran.stderr and not (place / "work/made").exists()


def test_without_a_gateway_run_says_so(place):  # noqa: F811
    assert "gateway: none" in run(place, "true").stderr
