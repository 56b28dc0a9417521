"""Compares our reader of Python with Python's own on every .py file below PATH.

    cargo build --release -p guard --example facts
    python3 crates/guard/scripts/syntax.py target/release/examples/facts PATH...

Calls and imports must be the same in every file that Python can parse. Exits
with 1 if one is not. A file in syntax newer than this Python is not compared.
"""

import ast
import collections
import json
import subprocess
import sys
import warnings

warnings.simplefilter("ignore")


def outline(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            func = node.func
            name = func.id if isinstance(func, ast.Name) else getattr(func, "attr", None)
            yield name or "()"
        elif isinstance(node, ast.Import):
            for name in node.names:
                yield f"import {name.name}"
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield f"from {'.' * node.level}{node.module or ''} import {name.name}"


def main():
    ours = subprocess.Popen(
        [sys.argv[1], "--outline", *sys.argv[2:]], stdout=subprocess.PIPE, text=True
    )
    same = other = skipped = 0
    for line in ours.stdout:
        path, names = json.loads(line)
        try:
            with open(path, "rb") as file:
                tree = ast.parse(file.read())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            skipped += 1
            continue
        theirs = collections.Counter(outline(tree))
        mine = collections.Counter("".join(n.split()) if n.startswith("from .") else n for n in names)
        theirs = collections.Counter(
            {("".join(n.split()) if n.startswith("from .") else n): c for n, c in theirs.items()}
        )
        if mine == theirs:
            same += 1
        else:
            other += 1
            print(path, "missing:", dict(theirs - mine), "too many:", dict(mine - theirs))
    print(f"{same} the same, {other} other, {skipped} not parsed by this Python")
    sys.exit(1 if other or ours.wait() else 0)


main()
