"""How a gateway is started: LiteLLM's command line, and what the documentation says of it."""

import re

import yaml

from support import MASTER_KEY, PLAIN, ROOT, Process, binary, environment, standard_config
from test_process import keymoat


def test_the_start_command_of_litellm_works(upstream, tmp_path):
    config = standard_config(upstream.url)
    config["keymoat"] = {"data_dir": str(tmp_path / "data")}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    line = ["--config", str(path), "--port", "0", "--host", "localhost", "--num_workers", "2", "--detailed_debug"]
    server = Process([binary("KEYMOAT_BIN", "keymoat"), *line, "--telemetry", "False"], environment(tmp_path))
    try:
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        body = {"model": "chat-openai", "messages": [{"role": "user", "content": "hello"}]}
        answer = PLAIN.post(server.url + "/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert "--telemetry has no effect" in server.output()
        assert server.stop() == 0
    finally:
        server.kill()


def test_one_model_is_served_without_a_configuration(upstream, tmp_path):
    line = ["--model", "openai/gpt-pretend", "--alias", "mine", "--api_base", upstream.url + "/v1", "--port", "0"]
    line += ["--api_key", "os.environ/OPENAI_API_KEY"]
    env = environment(tmp_path, {"OPENAI_API_KEY": "sk-provider-openai-secret"})
    server = Process([binary("KEYMOAT_BIN", "keymoat"), *line], env)
    try:
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        for model in ("mine", "any-other-name"):
            body = {"model": model, "messages": [{"role": "user", "content": "hello"}]}
            answer = PLAIN.post(server.url + "/v1/chat/completions", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
    finally:
        server.kill()


def test_what_cannot_be_meant_here_is_refused_with_what_to_do_instead(tmp_path):
    for line, instead in [(["--health"], "keymoat doctor"), (["--config", "f", "--ssl_keyfile_path", "k"], "tls")]:
        answer = keymoat(tmp_path, *line)
        assert answer.returncode == 2 and instead in answer.stderr, answer


def test_what_the_documentation_says_of_exit_codes_is_true(tmp_path):
    """`docs/configuration.md` names the code with which check-config refuses."""
    told = re.search(r"check-config config\.yaml +.*exits with (\d)", (ROOT / "docs" / "configuration.md").read_text())
    bad = tmp_path / "bad.yaml"
    bad.write_text("model_list: 5\n")
    assert keymoat(tmp_path, "check-config", str(bad)).returncode == int(told.group(1))
    assert keymoat(tmp_path, "serve", "--port", "0", "--config", str(bad)).returncode == int(told.group(1))
    good = tmp_path / "good.yaml"
    entry = "{model: openai/gpt-4o, api_key: sk-some-key-of-ours}"
    good.write_text(f"model_list: [{{model_name: a, litellm_params: {entry}}}]\n")
    assert keymoat(tmp_path, "check-config", str(good)).returncode == 0


def test_health_calls_no_upstream(gateway, upstream):
    """As the list of differences from LiteLLM says."""
    assert "`/health` calls no upstream" in (ROOT / "docs" / "configuration.md").read_text()
    upstream.forget()
    answer = gateway.get("/health")
    assert answer.status_code == 200 and "healthy_count" in answer.json()
    assert upstream.received() == []
