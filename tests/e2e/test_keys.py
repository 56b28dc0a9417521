"""Virtual keys from birth to deletion, over LiteLLM's management API."""

import pytest

from support import MASTER_KEY


def info(gateway, wanted, **options):
    return gateway.get("/key/info", params={"key": wanted}, **options)


def test_a_new_key_works_and_echoes_what_was_asked(gateway):
    asked = {
        "models": ["chat-openai"],
        "max_budget": 1.5,
        "budget_duration": "30d",
        "rpm_limit": 10,
        "tpm_limit": 1000,
        "max_parallel_requests": 3,
        "metadata": {"team": "red"},
        "key_alias": "alias-of-a-new-key",
    }
    answer = gateway.post("/key/generate", asked).json()
    assert answer["key"].startswith("sk-")
    assert {k: answer[k] for k in asked} == asked
    assert answer["token"] and answer["token"] != answer["key"]
    assert gateway.chat(key=answer["key"]).status_code == 200


def test_key_info_shows_the_row_but_never_the_key(gateway):
    key = gateway.new_key(max_budget=2.0)
    gateway.chat(key=key)
    answer = info(gateway, key)
    row = answer.json()["info"]
    assert row["max_budget"] == 2.0
    assert row["spend"] == pytest.approx(25e-6)
    assert key not in str(row)
    own = info(gateway, key, key=key)
    assert own.status_code == 200
    assert info(gateway, MASTER_KEY, key=key).status_code in (403, 404)


def test_a_key_may_use_only_its_models(gateway):
    key = gateway.new_key(models=["chat-openai"])
    assert gateway.chat(key=key).status_code == 200
    refused = gateway.chat(key=key, model="chat-anthropic")
    assert (refused.status_code, refused.headers["x-should-retry"]) == (403, "false")
    error = refused.json()["error"]
    assert (error["type"], error["param"]) == ("key_model_access_denied", "model")
    assert "chat-anthropic" in error["message"]
    with gateway.http(key) as client:
        assert [m["id"] for m in client.get("/v1/models").json()["data"]] == ["chat-openai"]


def test_wildcards_in_a_key_match_by_provider(gateway):
    key = gateway.new_key(models=["openai/*"])
    assert gateway.chat(key=key, model="openai/gpt-any").status_code == 200
    assert gateway.chat(key=key, model="anthropic/claude-any", max_tokens=5).status_code == 403


def test_block_unblock_delete(gateway):
    key = gateway.new_key()
    assert gateway.post("/key/block", {"key": key}).status_code == 200
    blocked = gateway.chat(key=key)
    assert blocked.status_code == 401 and "blocked" in blocked.text
    assert gateway.post("/key/unblock", {"key": key}).status_code == 200
    assert gateway.chat(key=key).status_code == 200
    assert gateway.post("/key/delete", {"keys": [key]}).json()["deleted_keys"]
    assert gateway.chat(key=key).status_code == 401
    assert info(gateway, key).status_code == 404


def test_a_key_expires(gateway):
    import time

    key = gateway.new_key(duration="1s")
    assert gateway.chat(key=key).status_code == 200
    # The one clock that cannot be held from outside: wait until the status turns.
    deadline = time.monotonic() + 10
    while (answer := gateway.chat(key=key)).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "expired_key"


def test_update_changes_what_it_names_and_nothing_else(gateway):
    key = gateway.new_key(max_budget=1.0, models=["chat-openai"], metadata={"a": 1})
    assert gateway.post("/key/update", {"key": key, "max_budget": 5.0}).status_code == 200
    row = info(gateway, key).json()["info"]
    assert (row["max_budget"], row["models"], row["metadata"]) == (5.0, ["chat-openai"], {"a": 1})


def test_list_pages_through_hashes(gateway):
    keys = [gateway.new_key() for _ in range(3)]
    page = gateway.get("/key/list", params={"page": 1, "size": 2}).json()
    assert len(page["keys"]) == 2 and page["current_page"] == 1
    assert page["total_count"] >= 3 and page["total_pages"] >= 2
    assert not any(key in str(page) for key in keys)


def test_a_virtual_key_may_not_manage(gateway):
    key = gateway.new_key()
    for path, body in [("/key/generate", {}), ("/key/delete", {"keys": [key]}), ("/key/block", {"key": key})]:
        assert gateway.post(path, body, key=key).status_code in (401, 403), path


def test_unknown_keys_and_bad_fields_are_refused_with_a_reason(gateway):
    assert gateway.post("/key/block", {"key": "sk-nobody"}).status_code in (400, 404)
    for body in ({"max_budget": "much"}, {"rpm_limit": -1}, {"budget_duration": "soon"}, {"duration": "x"}):
        answer = gateway.post("/key/generate", body)
        assert answer.status_code in (400, 422), body
        assert next(iter(body)) in answer.text


def test_keys_survive_a_restart_and_do_not_lie_in_the_data_directory_in_clear(own_gateway):
    first = own_gateway()
    key = first.new_key(max_budget=1.0)
    assert first.chat(key=key).status_code == 200
    assert first.stop() == 0
    for path in first.data.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (key, MASTER_KEY, "sk-provider-openai-secret", "sk-ant-provider-secret"):
                assert secret.encode() not in content, f"{secret[:8]}… in {path.name}"
    second = own_gateway()
    assert second.chat(key=key).status_code == 200
    assert info(second, key).json()["info"]["spend"] == pytest.approx(50e-6)


def test_no_key_lies_in_the_data_directory_in_clear(gateway):
    key = gateway.new_key()
    gateway.chat(key=key)
    for path in gateway.data.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path.name
