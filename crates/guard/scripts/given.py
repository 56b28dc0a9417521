#!/usr/bin/env python3
"""Compares testdata/given.txt with other readers of the same files.

    given.py ../../../shared/data/supply-chain

TOML and JSON locks are read by Python itself, metadata by its mail parser,
requirement files by pip, as far as pip takes them. Prints what differs, and
why where that is known; exits 1 if anything else does.
"""

import json
import re
import sys
import tomllib
from email.parser import HeaderParser
from pathlib import Path

KNOWN = {
    "osv-scalibr/javascript/packagelockjson/files.v2.json": "deps/etag is a folder of the project",
    "osv-scalibr/python/pdmlock/empty-file.toml": "an empty file is not audited",
    "osv-scalibr/python/poetrylock/empty-file.lock": "an empty file is not audited",
    "osv-scalibr/python/uvlock/empty.lock": "an empty file is not audited",
    "osv-scalibr/python/requirements/env_var.txt": "what a variable holds is not known",
    "pip-audit-pylock/pylock.missing-version.toml": "the standard asks for lock-version",
    "uv-requirements-txt/requirements-txt/constraints-a.txt": "constraints install nothing",
}


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def line(name, version):
    return f"{name} {version}" if version else name


def package_lock(data):
    def nested(dependencies):
        for name, entry in dependencies.items():
            version = entry["version"]
            if version.startswith("npm:"):
                name, version = version[4:].rsplit("@", 1)
            yield name if "/" in version or ":" in version else f"{name} {version}"
            yield from nested(entry.get("dependencies", {}))

    if "packages" not in data:
        return nested(data.get("dependencies", {}))
    return (
        line(entry.get("name") or path.split("node_modules/")[-1], entry.get("version"))
        for path, entry in data["packages"].items()
        if path and not entry.get("link")
    )


def requirements(path):
    from pip._internal.exceptions import PipError
    from pip._internal.network.session import PipSession
    from pip._internal.req.constructors import install_req_from_parsed_requirement as made
    from pip._internal.req.req_file import parse_requirements

    try:
        found = [made(each) for each in parse_requirements(str(path), session=PipSession())]
    except (PipError, RecursionError):
        return None
    exact = [re.fullmatch(r"===?([^,*]+)", str(r.specifier)) for r in found]
    return [
        line(normal(r.name), version[1] if version else ",".join(sorted(str(r.specifier).split(","), reverse=True)))
        for r, version in zip(found, exact)
    ]


def expected(name, path):
    """What another reader finds there; None if there is none."""
    kind = name.split("/")[2] if name.startswith("osv-scalibr") else name.split("/")[0]
    if kind == "requirements" or "requirements" in name.split("/")[1]:
        return requirements(path)
    text = path.read_text()
    if kind == "cargolock":
        return [line(p["name"], p["version"]) for p in tomllib.loads(text).get("package", [])]
    if kind in ("uvlock", "poetrylock", "pdmlock") or name.endswith("uv.lock"):
        return [line(normal(p["name"]), p["version"]) for p in tomllib.loads(text).get("package", [])]
    if "pylock" in name:
        return [line(normal(p["name"]), p.get("version")) for p in tomllib.loads(text)["packages"]]
    if kind == "pipfilelock":
        data = json.loads(text)
        both = [*data.get("default", {}).items(), *data.get("develop", {}).items()]
        return [line(normal(n), entry.get("version", "").lstrip("=")) for n, entry in both]
    if kind == "packagelockjson" or name.endswith("package-lock.json"):
        return package_lock(json.loads(text))
    if kind == "wheelegg" or name.startswith("packaging/metadata"):
        header = HeaderParser().parsestr(text)
        return [line(normal(header["Name"]), header["Version"])]
    return None


def main():
    given, ours, name = Path(sys.argv[1]), {}, ""
    for text in (Path(__file__).parent / "../testdata/given.txt").read_text().splitlines():
        if text.startswith("    "):
            ours[name].append(re.sub(r" \((own|repository|path|address|conda)\)$", "", text.strip()))
        else:
            name = text
            ours[name] = []
    same, other, unknown = 0, 0, 0
    for name, lines in ours.items():
        if lines == ["not read"]:
            continue
        try:
            theirs = expected(name, given / name)
            theirs = theirs and sorted(theirs)
        except (ValueError, KeyError, TypeError, AttributeError):
            theirs = ["refused"]
        if theirs is None:
            unknown += 1
        elif (theirs or []) == sorted(lines):
            same += 1
        else:
            other += name not in KNOWN
            print(name, KNOWN.get(name, f"theirs {theirs}, ours {lines}"), sep=": ")
    print(f"{same} files alike, {other} differ for no known reason, {unknown} compared with nothing")
    sys.exit(other > 0)


main()
