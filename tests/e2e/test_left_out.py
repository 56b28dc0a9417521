"""A configuration of which a part cannot be served: the rest is, and the part is named everywhere."""

import json
import re
import signal
import subprocess
import time

import anthropic
import openai
import pytest

from support import MASTER_KEY, binary, deployment, environment, standard_config

REASON = "the environment variable E2E_UNSET_KEY is not set"


def mixed(base):
    config = standard_config(base)
    config["model_list"] += [
        deployment("no-key", "openai", "gpt-x", base, api_key="os.environ/E2E_UNSET_KEY"),
        {"model_name": "cloud", "litellm_params": {"model": "bedrock/anthropic.claude-x", "aws_region_name": "eu"}},
        deployment("hot", "openai", "gpt-x", base, temperature="hot"),
    ]
    return config


def run(folder, *arguments):
    command = [binary("KEYMOAT_BIN", "keymoat"), *map(str, arguments)]
    return subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=60, check=False)


def test_the_rest_is_served_and_each_part_is_named(own_gateway, upstream, tmp_path):
    gateway = own_gateway(mixed(upstream.url))
    assert gateway.chat().status_code == 200
    for name in ("no-key", "cloud", "hot"):
        answer = gateway.chat(model=name)
        assert answer.status_code == 503, answer.text
        assert answer.headers["x-should-retry"] == "false"
    assert REASON in gateway.chat(model="no-key").json()["error"]["message"]
    output = gateway.output()
    assert "can be served: 6 of 9 models" in output
    assert re.search(rf"config\.yaml:\d+:\d+.*no-key.*{REASON}|no-key.*left out: {REASON}", output), output

    listed = [row["id"] for row in gateway.get("/v1/models").json()["data"]]
    assert listed[:4] == ["chat-openai", "chat-anthropic", "embed", "breaks"]
    assert not {"no-key", "cloud", "hot"} & set(listed)
    rows = gateway.get("/v1/model/info").json()["data"]
    left_out = {row["model_name"]: row["model_info"].get("left_out") for row in rows}
    assert left_out["no-key"] == REASON
    assert "bedrock" in left_out["cloud"].lower()
    assert left_out["chat-openai"] is None

    doctor = run(tmp_path, "doctor", "--offline", "--config", gateway.config_path)
    assert REASON in doctor.stdout and "can be served: 6 of 9 models" in doctor.stdout
    check = run(tmp_path, "check-config", gateway.config_path)
    assert check.returncode == 0, check.stdout
    assert check.stdout.endswith("can be served: 6 of 9 models\n")
    report = json.loads(run(tmp_path, "check-config", gateway.config_path, "--json").stdout)
    assert (report["models_served"], report["models_configured"]) == (6, 9)
    assert {each["model_group"] for each in report["left_out"]} == {"no-key", "cloud", "hot"}
    for command in (["check-config", "--strict"], ["serve", "--strict", "--port", "0", "--config"]):
        refused = run(tmp_path, *command, gateway.config_path)
        assert refused.returncode == 2, refused.stdout + refused.stderr


def test_the_official_clients_hear_the_reason_at_once(own_gateway, upstream):
    gateway = own_gateway(mixed(upstream.url))
    started = time.monotonic()
    messages = [{"role": "user", "content": "hi"}]
    with pytest.raises(openai.InternalServerError) as failed:
        client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=MASTER_KEY)
        client.chat.completions.create(model="no-key", messages=messages)
    assert failed.value.status_code == 503 and REASON in str(failed.value)
    with pytest.raises(anthropic.APIStatusError) as failed:
        client = anthropic.Anthropic(base_url=gateway.url, api_key=MASTER_KEY)
        client.messages.create(model="no-key", max_tokens=9, messages=messages)
    assert failed.value.status_code == 503 and REASON in str(failed.value)
    assert time.monotonic() - started < 2, "a client tried again what cannot change"


def test_a_reload_serves_what_a_guardrail_withheld(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["guardrails"] = [
        {"guardrail_name": "pii", "litellm_params": {"guardrail": "presidio", "mode": "pre_call", "default_on": True}}
    ]
    gateway = own_gateway(config)
    upstream.forget()
    answer = gateway.chat()
    assert answer.status_code == 503 and "guardrails" in answer.json()["error"]["message"], answer.text
    assert upstream.received() == []
    config["keymoat"] = {"accept_missing": ["guardrails"]}
    gateway.write_config(config)
    gateway.signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while gateway.chat().status_code != 200:
        assert time.monotonic() < deadline, gateway.output()
        time.sleep(0.05)


def test_addresses_that_are_not_allowed_are_refused_at_each_path(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["general_settings"]["allowed_ips"] = ["10.9.8.7"]
    config["keymoat"] = {"listen": {"trusted_proxies": ["127.0.0.1"]}}
    gateway = own_gateway(config)
    assert gateway.chat().status_code == 403
    assert gateway.get("/v1/models").status_code == 403
    assert gateway.post("/key/generate", {}).status_code == 403
    with gateway.http(headers={"x-forwarded-for": "10.9.8.7"}) as client:
        assert client.get("/v1/models").status_code == 200


def test_values_of_a_deployment_reach_the_provider_by_their_type(own_gateway, upstream):
    config = standard_config(upstream.url)
    typed = {"max_tokens": "os.environ/E2E_MAX", "temperature": "0.5", "parallel_tool_calls": "false", "stream": True}
    config["model_list"].append(deployment("typed", "openai", "gpt-typed", upstream.url, **typed))
    gateway = own_gateway(config, env={"E2E_MAX": "99"})
    upstream.forget()
    assert gateway.chat(model="typed").status_code == 200
    (sent,) = [json.loads(r["body"]) for r in upstream.received()]
    assert (sent["max_tokens"], sent["temperature"], sent["parallel_tool_calls"]) == (99, 0.5, False)
    assert "stream" not in sent
