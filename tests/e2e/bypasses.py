"""Ways out of a sandbox, each as a function: run inside `keymoat run`, and where that is harmless outside of it too.

A function returns evidence if it got out, returns nothing or fails if it did not. Nothing here does
damage: what could change the machine is tried inside only, where it has to fail.
"""

import json
import os
import signal
import sys
import tempfile

from ways import TECHNIQUES, network, power, proxied, secrets  # the modules fill the table

CONTROL = proxied.CONTROL
MODULES = (network, secrets, power, proxied)


def run_all(chosen):
    """Each technique in a process of its own; evidence by name."""
    evidence = {}
    for name, (function, _) in TECHNIQUES.items():
        if not chosen(name):
            continue
        with tempfile.TemporaryFile() as file:
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                signal.alarm(20)
                try:
                    found = function()
                    text = json.dumps({"found": str(found)[:300] if found else None})
                except BaseException as failure:
                    text = json.dumps({"found": None, "failed": f"{type(failure).__name__}: {failure}"[:300]})
                os.write(file.fileno(), text.encode())
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            file.seek(0)
            written = file.read()
            evidence[name] = json.loads(written) if written else {"found": None, "failed": f"status {status}"}
    return evidence


if __name__ == "__main__":
    plain_only = sys.argv[1] == "plain"
    json.dump(run_all(lambda name: TECHNIQUES[name][1] or not plain_only), sys.stdout)
