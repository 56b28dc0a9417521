"""The database is locked by another process: keys can still be stopped, and stay so."""

import sqlite3
import time


def lock(gateway):
    connection = sqlite3.connect(gateway.data / "keymoat.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_keys_are_blocked_and_deleted_while_the_database_is_locked(own_gateway):
    gateway = own_gateway()
    blocked, deleted, unblocked = (gateway.new_key() for _ in range(3))
    for key in (blocked, deleted, unblocked):
        assert gateway.chat(key=key).status_code == 200
    locked = lock(gateway)

    def change(path, body):
        began = time.monotonic()
        answer = gateway.post(path, body)
        assert answer.status_code == 202, answer.text
        assert time.monotonic() - began < 4
        assert "database does not answer" in answer.json()["keymoat_pending"]
        return answer.json()

    assert change("/key/block", {"key": blocked})["blocked"] is True
    assert change("/key/delete", {"keys": [deleted]})["deleted_keys"] == [deleted]
    assert change("/key/block", {"key": unblocked})["blocked"] is True
    assert gateway.chat(key=unblocked).status_code == 401
    assert change("/key/unblock", {"key": unblocked})["blocked"] is False

    def stopped(gateway):
        refused = gateway.chat(key=blocked)
        assert refused.status_code == 401 and "blocked" in refused.text
        assert gateway.chat(key=deleted).status_code == 401
        assert gateway.chat(key=unblocked).status_code == 200
        assert gateway.get("/key/info", params={"key": blocked}).json()["info"]["blocked"] is True
        assert gateway.get("/key/info", params={"key": deleted}).status_code == 404

    stopped(gateway)
    # The process dies before the database has heard of it.
    gateway.kill()
    locked.rollback()
    gateway = own_gateway()
    stopped(gateway)
    # Now the database says so itself.
    assert gateway.post("/key/unblock", {"key": blocked}).status_code == 200
    assert gateway.chat(key=blocked).status_code == 200


def test_a_key_that_was_stopped_is_stored_as_soon_as_the_database_answers(own_gateway):
    gateway = own_gateway()
    key = gateway.new_key()
    locked = lock(gateway)
    assert gateway.post("/key/block", {"key": key}).status_code == 202
    locked.rollback()
    deadline = time.monotonic() + 20
    rows = []
    while rows != [(1,)] and time.monotonic() < deadline:
        time.sleep(0.05)
        with sqlite3.connect(gateway.data / "keymoat.db") as reader:
            rows = reader.execute("SELECT blocked FROM virtual_keys").fetchall()
    assert rows == [(1,)]
    assert gateway.post("/key/unblock", {"key": key}).status_code == 202
    assert gateway.chat(key=key).status_code == 200
