"""Says whether an audit of an honest environment stayed quiet.

    python3 check.py COUNTS ENVIRONMENT KEYMOAT

Three checks, counted into the file COUNTS as "passed failed": at least 100
distributions were seen, nothing of them is critical or high, and an audit that
remembers gives the same report as the one before it that read everything.
"""

import json
import os
import subprocess
import sys
import tempfile
import time


def audit(keymoat, environment, home):
    started = time.monotonic()
    # No network and no user's data: what is there is all that counts.
    run = subprocess.run(
        [keymoat, "audit", "--json", "--timestamp", "0", environment],
        env={"HOME": home, "PATH": "/nowhere"},
        stdout=subprocess.PIPE,
        check=False,
    )
    took = time.monotonic() - started
    if run.returncode not in (0, 1, 2):
        sys.exit(f"keymoat audit ended with {run.returncode}")
    return run.stdout, took


def main():
    counts, environment, keymoat = sys.argv[1:]
    with tempfile.TemporaryDirectory() as home:
        first, cold = audit(keymoat, environment, home)
        again, warm = audit(keymoat, environment, home)
    report = json.loads(first)
    loud = [f for f in report["findings"] if f["severity"] in ("critical", "high")]
    for finding in loud:
        print(json.dumps(finding, indent=2))
    checks = [
        (report["packages"] >= 100, f"{report['packages']} distributions"),
        (not loud, f"{len(loud)} critical or high findings"),
        (first == again, "the same report from memory"),
    ]
    for good, what in checks:
        print("ok  " if good else "FAIL", os.path.basename(environment), what)
    print(f"     {cold:.1f} s, then {warm:.1f} s")
    with open(counts, "a", encoding="utf-8") as file:
        good = sum(1 for passed, _ in checks if passed)
        file.write(f"{good} {len(checks) - good}\n")
    sys.exit(0 if good == len(checks) else 1)


main()
