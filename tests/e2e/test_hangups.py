"""One key that hangs up before the first byte does not take a shared budget from the others.

`scripts/test --long hangups` makes 1,250 such calls, instead of 60.
"""

import concurrent.futures as futures

from attack import IN, Attack, answering, cost, gateway_with, provider
from counting import completion, usage
from support import long_form

CALLS = 1250 if long_form("hangups") else 60


def test_hang_ups_before_the_first_byte_leave_the_others_served(gateway_with, provider):
    gateway = gateway_with(litellm_settings={"max_budget": 1000.0})
    answer = answering(cost("gpt-4o", 5), completion(usage=usage(IN, 5)), after_s=0.1)
    leaving = Attack(gateway, provider, answer, "gpt-4o")
    # An unknown key of the body holds the model's whole window.
    ask = {"stream": True, "max_tokens": 16384, "whatever": 1}
    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: leaving.leave(after_s=0.025, **ask), range(CALLS)))
    rows = leaving.check(exact=True)
    assert leaving.reached > CALLS / 4
    charged = sum(row["spend"] for row in rows)
    assert charged < 1.0
    for group in ("gpt-4o", "own"):
        other = Attack(gateway, provider, answering(0.0, completion(usage=usage(IN, 5))), group)
        assert other.ask() == 200
    print(f"\n{CALLS} hang-ups: {leaving.reached} reached the provider, ${charged:.4f} charged, ${leaving.true:.4f} true")
