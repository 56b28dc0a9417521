"""A disk that is full for a while: nothing that was answered is missing afterwards.

Instead of filling a disk, the process is told that no file of its may grow (RLIMIT_FSIZE).
"""

import resource
import signal

import pytest

from support import standard_config
from test_drain import stream_of
from test_process import wait_until

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
# Less than the spool and the database hold: nothing can be appended.
FULL = (1, resource.RLIM_INFINITY)


@pytest.fixture
def tight_gateway(own_gateway, upstream):
    """A gateway that meets the limit as an error, as it would a full disk, and not as a signal."""
    # Python ignores SIGXFSZ; so does what it starts, unless that is restored.
    return own_gateway(standard_config(upstream.url), restore_signals=False)


def readiness(gateway):
    answer = gateway.get("/health/readiness", key=None)
    return answer.status_code, answer.json().get("spool")


def answered_while_full(gateway, upstream):
    """A whole answer whose record the disk does not take; the key that it was for."""
    key = gateway.new_key()
    assert gateway.chat(key=key).status_code == 200
    gateway.settled_records(1, api_key=key)
    # Nothing is written before a call of a key without a budget.
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, FULL)
    told = gateway.post("/v1/chat/completions", stream_of("chat-openai"), key=key)
    assert told.status_code == 200 and "[DONE]" in told.text
    assert readiness(gateway) == (503, "unwritable")
    return key


def test_a_record_is_written_when_there_is_room_again_without_another_call(tight_gateway, upstream):
    key = answered_while_full(tight_gateway, upstream)
    assert tight_gateway.chat(key=key).status_code == 503, "nothing more is promised meanwhile"
    resource.prlimit(tight_gateway.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    wait_until(lambda: readiness(tight_gateway) == (200, None))
    tight_gateway.settled_records(2, api_key=key)
    assert tight_gateway.chat(key=key).status_code == 200


def test_a_record_that_waits_when_the_process_is_asked_to_end_is_written(tight_gateway, upstream):
    key = answered_while_full(tight_gateway, upstream)
    tight_gateway.signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in tight_gateway.output())
    resource.prlimit(tight_gateway.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    assert tight_gateway.stop() == 0
    again = tight_gateway.again()
    again.settled_records(2, api_key=key)


def test_what_no_disk_takes_is_named_and_the_exit_status_says_so(tight_gateway, upstream):
    answered_while_full(tight_gateway, upstream)
    assert tight_gateway.stop() != 0
    assert "a spend record is lost" in tight_gateway.output()
