"""A provider that is overloaded costs nothing: its 529 and 503 leave a budget untouched.

`scripts/test --long outage` goes on for ten minutes, instead of three seconds.
"""

import concurrent.futures as futures
import time
from collections import Counter

from attack import MESSAGES, Attack, answering, gateway, provider
from support import long_form

SECONDS = 600 if long_form("outage") else 3
CLIENTS = 4


def test_an_overloaded_provider_leaves_a_budget_untouched(gateway, provider):
    def refusing(status, kind):
        body = {"type": "error", "error": {"type": kind, "message": "no"}}
        return answering(0.0, body, f"{status} Error", after_s=0.02)

    attacks = [
        Attack(gateway, provider, refusing(status, kind), "claude", path, budget=0.05)
        for status, kind in ((529, "overloaded_error"), (503, "api_error"))
        for path in (MESSAGES, "/v1/chat/completions")
    ]
    end = time.monotonic() + SECONDS

    def press(attack):
        statuses = Counter()
        while time.monotonic() < end:
            statuses[attack.ask(stream=statuses.total() % 2 == 0)] += 1
        return statuses

    with futures.ThreadPoolExecutor(CLIENTS) as pool:
        found = list(pool.map(press, attacks))
    for attack, statuses in zip(attacks, found, strict=True):
        assert statuses.total() > SECONDS and not {200, 400} & set(statuses), statuses
        # Nothing was charged and nothing is held: all of the budget can be reserved.
        assert gateway.spend_of(attack.key) == 0
        info = gateway.get(f"/key/info?key={attack.key}").json()["info"]
        assert info["spend"] == 0, info
    print(f"\n{sum(statuses.total() for statuses in found)} calls in {SECONDS} s: {found}")
