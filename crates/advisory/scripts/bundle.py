#!/usr/bin/env python3
"""Makes data/bundle.osvl, the advisories inside the binary.

    bundle.py PYPA_DIR OSSF_DIR > data/bundle.osvl

PYPA_DIR  folders of OSV YAML records, one folder a package, complete for these
          packages as of PYPA_AS_OF
OSSF_DIR  OSV JSON records that were read one by one
and the records that we wrote ourselves, in data/records.

Output: the index format of src/advisory/set.rs: a header line, then one line a
(package, record), sorted by bytes. The header claims coverage only for what is
complete: a single record says nothing about the rest of its package. Long texts and reference lists are left
out. Versions that a range covers anyway are left out too, which is checked
with `packaging`. Needs: pyyaml, packaging.
"""

import json
import re
import sys
from pathlib import Path

import yaml
from packaging.version import InvalidVersion, Version

PYPA_AS_OF = "2024-10-10T00:00:00Z"
SUMMARY_MAX_CHARS = 200
INDEX_FORMAT = 1


def one_line(text):
    text = " ".join((text or "").split())
    if len(text) <= SUMMARY_MAX_CHARS:
        return text
    head = text[:SUMMARY_MAX_CHARS]
    stop = head.rfind(". ")
    return head[: stop + 1] if stop > 60 else head.rsplit(" ", 1)[0] + " …"


def in_range(version, events):
    """OSV's rule: the last event at or before the version decides."""
    order = {"fixed": 0, "introduced": 1, "last_affected": 2}
    points = []
    for event in events:
        for kind, at in event.items():
            if kind in order:
                key = Version("0.dev0") if at == "0" else Version(at)
                points.append((key, order[kind], kind))
    inside = False
    for at, _, kind in sorted(points):
        if kind == "introduced" and version >= at:
            inside = True
        elif kind == "fixed" and version >= at:
            inside = False
        elif kind == "last_affected" and version > at:
            inside = False
    return inside


def slim(record, affected):
    ranges = [
        {"type": r["type"], "events": r["events"]}
        for r in affected.get("ranges", [])
        if r["type"] in ("ECOSYSTEM", "SEMVER")
    ]
    versions = []
    for text in affected.get("versions", []):
        try:
            parsed = Version(text)
            if parsed.local is None and any(in_range(parsed, r["events"]) for r in ranges):
                continue
        except InvalidVersion:
            pass
        versions.append(text)
    package = {k: affected["package"][k] for k in ("ecosystem", "name")}
    kept = {"package": package}
    if ranges:
        kept["ranges"] = ranges
    if versions or not ranges:
        kept["versions"] = versions
    out = {"id": record["id"]}
    for field in ("modified", "published", "withdrawn"):
        if record.get(field):
            out[field] = str(record[field])
    if record.get("aliases"):
        out["aliases"] = record["aliases"]
    out["summary"] = one_line(record.get("summary") or record.get("details"))
    if record.get("severity"):
        out["severity"] = record["severity"]
    out["affected"] = [kept]
    specific = record.get("database_specific", {})
    specific = {k: specific[k] for k in ("severity", "cwe_ids", "iocs") if k in specific}
    if specific:
        out["database_specific"] = specific
    return out


def normal(ecosystem, name):
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == "PyPI" else name


def main():
    pypa, ossf = Path(sys.argv[1]), Path(sys.argv[2])
    own = Path(__file__).resolve().parent.parent / "data" / "records"
    whole = [yaml.load(p.read_text(), yaml.BaseLoader) for p in sorted(pypa.glob("*/*.yaml"))]
    singles = [json.loads(p.read_text()) for d in (ossf, own) for p in sorted(d.glob("*.json"))]
    lines, names = [], {}
    for records, complete in ((whole, True), (singles, False)):
        for record in records:
            for affected in record["affected"]:
                package = affected["package"]
                key = (package["ecosystem"], normal(package["ecosystem"], package["name"]))
                text = json.dumps(slim(record, affected), separators=(",", ":"), ensure_ascii=False)
                lines.append(f"{key[0]}/{key[1]}\t{text}")
                if complete:
                    names[key] = PYPA_AS_OF
    coverage = []
    for (ecosystem, name), at in sorted(names.items()):
        for entry in coverage:
            if (entry["ecosystem"], entry["as_of"]) == (ecosystem, at):
                entry["names"].append(name)
                break
        else:
            coverage.append({"ecosystem": ecosystem, "as_of": at, "names": [name]})
    header = {
        "format": INDEX_FORMAT,
        "title": "built in",
        "records": len(whole) + len(singles),
        "coverage": coverage,
    }
    print(json.dumps(header, separators=(",", ":")))
    for line in sorted(lines, key=lambda text: text.encode()):
        print(line)


if __name__ == "__main__":
    main()
