"""A configuration that changes under a running gateway."""

import os
import signal
import time

import pytest

from support import MASTER_KEY, deployment, standard_config
from test_process import wait_until

NEW_KEY = "sk-e2e-another-master"


def status(gateway, key):
    return gateway.chat(key=key).status_code


def test_a_changed_master_key_replaces_the_old_one(own_gateway, upstream):
    config = standard_config(upstream.url)
    gateway = own_gateway(config)
    virtual = gateway.new_key()
    config["general_settings"]["master_key"] = NEW_KEY
    gateway.write_config(config)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: status(gateway, NEW_KEY) == 200)
    assert status(gateway, MASTER_KEY) == 401, "the old one opens nothing any more"
    assert gateway.post("/key/generate", {}, key=MASTER_KEY).status_code == 401
    assert status(gateway, virtual) == 200, "virtual keys do not hang on it"
    assert NEW_KEY not in gateway.output()
    assert gateway.stop() == 0
    assert NEW_KEY not in gateway.output()
    for path in gateway.data.rglob("*"):
        if path.is_file():
            assert NEW_KEY.encode() not in path.read_bytes(), path.name


def test_a_master_key_that_is_no_longer_named_stays_in_force(own_gateway, upstream):
    config = standard_config(upstream.url)
    config["general_settings"]["master_key"] = NEW_KEY
    gateway = own_gateway(config, env={"LITELLM_MASTER_KEY": None})
    assert status(gateway, NEW_KEY) == 200
    del config["general_settings"]["master_key"]
    gateway.write_config(config)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: "names no master key any more" in gateway.output())
    assert status(gateway, NEW_KEY) == 200
    assert status(gateway, MASTER_KEY) == 401
    with gateway.http(None) as client:
        assert client.get("/v1/models").status_code == 401, "nothing is ever open"


def test_a_changed_file_is_noticed_without_a_signal(own_gateway, upstream):
    config = standard_config(upstream.url)
    gateway = own_gateway(config)
    config["model_list"].append(deployment("newcomer", "openai", "gpt-new", upstream.url))
    gateway.write_config(config)
    wait_until(lambda: gateway.chat(model="newcomer").status_code == 200)
    config["model_list"].pop()
    gateway.write_config(config)
    wait_until(lambda: gateway.chat(model="newcomer").status_code == 400)


def test_an_included_file_is_watched_too(own_gateway, upstream, tmp_path):
    models = tmp_path / "models.yaml"
    models.write_text("model_list: []\n")
    config = {**standard_config(upstream.url), "include": ["models.yaml"]}
    gateway = own_gateway(config)
    entry = deployment("included", "openai", "gpt-new", upstream.url)["litellm_params"]
    lines = "".join(f"      {name}: {value}\n" for name, value in entry.items())
    models.write_text(f"model_list:\n  - model_name: included\n    litellm_params:\n{lines}")
    wait_until(lambda: gateway.chat(model="included").status_code == 200)


@pytest.mark.parametrize(
    "text,told",
    [
        ("model_list: [\n", "config.yaml:"),
        ("", "config.yaml"),
        ("model_list:\n  - model_name: a\n    litellm_params: {model: no-such-provider/x}\n", "config.yaml:3"),
        (None, "config.yaml"),
    ],
    ids=["broken", "empty", "unservable", "gone"],
)
def test_a_bad_file_keeps_the_old_one_and_a_good_one_mends_it(own_gateway, upstream, text, told):
    config = standard_config(upstream.url)
    gateway = own_gateway(config)
    before = len(gateway.output())
    if text is None:
        os.rename(gateway.config_path, gateway.config_path.with_suffix(".away"))
    else:
        gateway.config_path.write_text(text)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: told in gateway.output()[before:])
    assert "the old one stays" in gateway.output()[before:]
    assert status(gateway, MASTER_KEY) == 200
    assert gateway.chat(model="anthropic/claude-any", max_tokens=5).status_code == 200
    config["model_list"].append(deployment("newcomer", "openai", "gpt-new", upstream.url))
    gateway.write_config(config)
    gateway.signal(signal.SIGHUP)
    wait_until(lambda: gateway.chat(model="newcomer").status_code == 200)


def test_a_thousand_signals_do_no_harm(own_gateway, upstream):
    gateway = own_gateway()
    deadline = time.monotonic() + 2
    sent = 0
    while sent < 1000 and time.monotonic() < deadline:
        gateway.signal(signal.SIGHUP)
        sent += 1
    assert status(gateway, MASTER_KEY) == 200
    assert gateway.stop() == 0
