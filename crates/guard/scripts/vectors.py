#!/usr/bin/env python3
"""Asks Python's `packaging` for the answers that our tests compare with.

    vectors.py > testdata/packaging.json
    vectors.py --from PACKAGING_ARCHIVE > elsewhere.json
    vectors.py --random SEED > elsewhere.json

The values are made here by crossing every part that a version, a specifier, a
requirement or a marker can have. With --from, the tests in packaging's own
source archive are run instead, and every text that they hand to a class of
packaging is asked about, every version against the specifier that they hold
it to, and every string literal of theirs; with --random, values that are put
together and spoilt by chance. Set GUARD_VECTORS to such files and
the same tests run over them.
"""

import ast
import contextlib
import functools
import io
import itertools
import json
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

import packaging
from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

PARTS = (
    ("", "1!"),
    ("0", "1", "1.0", "1.1", "1.10", "2.0.0", "1.0.1"),
    ("", "a1", "b2", "rc1", "rc10"),
    ("", ".post1", ".post2"),
    ("", ".dev0", ".dev3"),
    ("", "+local", "+local.1", "+1", "+abc.2"),
)
SPELLINGS = [
    "v1.0", " 1.0 ", "1.0-1", "1.0.POST1", "1.0_a_1", "1.0alpha", "1.0-BETA.2", "1.0c1", "1.0pre3",
    "1.0preview4", "1.0-r5", "1.0rev6", "01.02.03", "1.0+Foo_Bar-1", "1.0.dev", "1.0a", "1.0.post",
    "", "x", "1.", "1..0", "1.0+", "1.0+a+b", "1.0.x", "1,0", "1.0 b1", "1.0-", "!1", "1!", "1.0--1",
    "1.0+_foobar", "1.0+foo&asd", "1.82.8.post1", "1.82.8rc1", "2024.1.1", "1.0\n", "٣.0", "1.0𝟘",
    "18446744073709551615", "20240101000000",
]
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "~=", "===")
OPERANDS = (
    "1", "1.0", "1.0.0", "1.1", "1.0a1", "1.0rc1", "1.0.post1", "1.0.dev0", "1.0+local", "1!1.0",
    "1.*", "1.0.*", "1.1a1.*", "1.0.dev0.*", "1.0+local.*", "2.0.0", "x",
)
MORE_SPECIFIERS = [
    "", ">=1,<2", ">=1.0,!=1.0.1", " >= 1.0 , < 2 ", ">=1,", ",", "==1 ==2", "=1.0", "=>1.0", "~1.0",
    "1.0", ">=", "==1.0;", "<=2.0.0,>1.0.post1,!=1.1.*",
]
REQUIREMENTS = [
    "a", "A.b_c-d", "name>=1", "name >= 1 , < 2", "name[x]", "name[x,y]==1.0", "name [ x , y ] == 1.0",
    "name[]", "name[x", "name[x,]", "name(>=1)", "name (>=1,<2)", "name (>=1", "name @ https://h/x.whl",
    "name@https://h/x.whl", "name[x] @ git+https://h/r@main#egg=a", "name @ file:///x ; os_name=='a'",
    "name @ https://h/x.whl;os_name=='a'", "name @", "-name", "name-", "name_", ".name", "na me", "",
    "name==1.0;python_version<'3'", "name==1.0 ; python_version < '3' and os_name == 'nt'",
    "name==1.0;", "name;", "name ; extra == 'x'", "name===any.thing", "name==1.*", "name~=1",
    "name>1.*", "name==1.0+local", "name>=1.0+local", "name 1.0", "name=1.0", "name==1.0 extra",
    "name[x]>=1;python_version in '3.8 3.9'", "name>=1,", "name>=1,,<2", "näme", "name[ä]", "name==1.0#c",
    "name[x y]", "name[1x]", "name[x-]", "name; python_version", "name==1.0,>=0.9;(os_name=='a')",
    "name==*", "name == 1.0.dev1.*", "n", "0", "name\t>=\t1", "name\n", "name<2!1", "name>=1 (<2)",
    "name==\n1.0", "name==\x1c1.0", "name\n==1.0", "name==1.0\n,<2", "name==1.0,\n<2", "name ==1.0\x1f",
]
MARKERS = [
    "os_name == 'nt'", "os_name=='nt'", "'nt' == os_name", "os_name == \"nt\"", "os_name == 'nt\"",
    "python_version >= '3.8' and python_version < '4'", "(os_name == 'a' or os_name == 'b') and extra == 'c'",
    "os_name == 'a' or", "and os_name == 'a'", "os_name", "os_name == nt", "unknown == 'a'", "os.name == 'a'",
    "python_implementation == 'CPython'", "platform.version == 'x'", "sys.platform == 'linux'",
    "sys_platform not in 'win32 darwin'", "sys_platform notin 'x'", "os_name is 'x'", "os_name === 'x'",
    "python_full_version ~= '3.8.1'", "((os_name == 'a'))", "(os_name == 'a'", "os_name == 'a')",
    "os_name == 'a' xor os_name == 'b'", "'a' == 'b'", "os_name == os_name", "", "()", "extra == 'x'",
    "platform_python_implementation=='CPython'", "implementation_name != 'pypy'", "os_name > 'a'",
    "os_name not  in 'x'", "os_name == 'a' and os_name == 'b' or os_name == 'c'", "os_name == 'a' # c",
    "'dev' in dependency_groups", "'x' in extras", "python_version=='3.8'and os_name=='a'", "os_name == ''",
    "os_name == 'a'os_name == 'b'", "not os_name == 'a'",
]


# Those of its tests that are about what the guard reads. The property tests
# among the rest ask for values by chance, as --random does.
SUITES = ("version", "specifiers", "ranges", "requirements", "markers")


def literals(tree):
    """Every string literal of a folder of tests."""
    found = set()
    for path in sorted(Path(tree).glob("tests/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
                found.add(node.value)
    return found


class Listening:
    """What is handed to packaging's classes while its tests run."""

    def __init__(self):
        self.texts = {Version: set(), SpecifierSet: set(), Requirement: set(), Marker: set()}
        self.pairs = set()

    def made(self, kind, original):
        @functools.wraps(original)
        def listening(made, text="", *args, **kwargs):
            if isinstance(text, str):
                self.texts[kind].add(text)
            return original(made, text, *args, **kwargs)
        return listening

    def held(self, original):
        @functools.wraps(original)
        def listening(specifier, version, *args, **kwargs):
            if isinstance(version, (str, Version)):
                self.pairs.add((str(specifier), str(version)))
            return original(specifier, version, *args, **kwargs)
        return listening

    def start(self):
        for kind in (Version, Requirement, Marker):
            kind.__init__ = self.made(kind, kind.__init__)
        for kind in (Specifier, SpecifierSet):
            kind.__init__ = self.made(SpecifierSet, kind.__init__)
            kind.contains = self.held(kind.contains)
            kind.__contains__ = self.held(kind.__contains__)


def run(archive):
    """Runs the tests of a source archive: the texts by kind, and the pairs."""
    import pytest

    listening = Listening()
    with tempfile.TemporaryDirectory() as folder:
        shutil.unpack_archive(archive, folder)
        (tree,) = Path(folder).iterdir()
        if tree.name != f"packaging-{packaging.__version__}":
            sys.exit(f"{archive} is not of packaging {packaging.__version__}, which is installed")
        before = {kind: dict(vars(kind)) for kind in (Version, Specifier, SpecifierSet, Requirement, Marker)}
        listening.start()
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            status = pytest.main([
                "-q", "-p", "no:cacheprovider", f"--rootdir={tree}", "-c", str(tree / "pyproject.toml"),
                *(str(tree / "tests" / f"test_{suite}.py") for suite in SUITES),
            ])
        for kind, kept in before.items():
            for name in ("__init__", "contains", "__contains__"):
                if name in kept:
                    setattr(kind, name, kept[name])
        lines = said.getvalue().splitlines()
        print(*(lines[-1:] if status == 0 else lines[-40:]), sep="\n", file=sys.stderr)
        if status != 0:
            sys.exit("packaging's own tests fail, so that what they ask is not all known")
        for kind in listening.texts:
            listening.texts[kind] |= literals(tree)
    return listening


LETTERS = "0123456789.!+-_*abcdevrpost ,;<>=~()[]@'\"#\t\nxé"


def spoilt(chance, text):
    """One in three with a letter replaced, put in or taken out."""
    if chance.random() > 0.3:
        return text
    at = chance.randint(0, len(text))
    return text[:at] + chance.choice(["", *LETTERS]) + text[at + chance.randint(0, 1):]


def made_up(seed, count=1500):
    """Versions, specifiers, requirements and markers by chance."""
    chance = random.Random(seed)

    def some(*parts):
        return "".join(chance.choice(part) if not isinstance(part, str) else part for part in parts)

    def number():
        return str(chance.choice([0, 1, 2, 10, 2026, chance.randint(0, 10**chance.randint(1, 15))]))

    def version():
        release = ".".join(number() for _ in range(chance.randint(1, 5)))
        pre = some(["", "", "a", "b", "rc", ".alpha-", "_beta", "c", "-pre.", "PREVIEW"]) + ""
        return (
            some(["", "", "v", " "]) + some(["", "", number() + "!"]) + release
            + (pre + number() if pre else "")
            + some(["", "", ".post" + number(), "-" + number(), ".rev" + number(), "post"])
            + some(["", "", ".dev" + number(), "DEV"]) + some(["", "", "+local." + number(), "+A_b-1"])
            + some(["", "", " "])
        )

    def specifier():
        one = lambda: some(OPERATORS[:-1], ["", " "]) + version() + some(["", "", "", ".*"])  # noqa: E731
        return some([",", " , "]).join(one() for _ in range(chance.randint(1, 3)))

    def marker(depth=0):
        if depth < 3 and chance.random() < 0.4:
            inner = marker(depth + 1) + some([" and ", " or "]) + marker(depth + 1)
            return f"({inner})" if chance.random() < 0.5 else inner
        names = ["os_name", "sys_platform", "python_version", "extra", "platform.machine", "unknown"]
        quote = chance.choice("'\"")
        value = quote + chance.choice(["linux", "3.8", "", "a b", version()]) + quote
        sides = [chance.choice(names), some([" "], OPERATORS + ("in", "not in", "is"), [" "]), value]
        return "".join(sides if chance.random() < 0.8 else reversed(sides))

    def requirement():
        name = some(["a", "Name", "a.b_c-d", "x-", "1"]) + some(["", "", "[x]", "[x, y]", "[]"])
        wanted = some(["", specifier(), " (" + specifier() + ")", " @ https://h/x.whl", "@git+https://h/r"])
        return name + wanted + some(["", "", " ; " + marker(), ";" + marker()])

    make = lambda value: sorted({spoilt(chance, value()) for _ in range(count)})  # noqa: E731
    return make(version), make(specifier), make(requirement), make(marker)


def ask(make, error, text):
    try:
        return make(text)
    except error:
        return None


def is_answered(text):
    """Not where Python itself refuses the number, or JSON the letters."""
    return not re.search(r"\d{4300}|[\ud800-\udfff]", text)


def held(pairs):
    """Each specifier and version, and whether the one lets the other in."""
    found = []
    for specifier, version in sorted(pairs):
        made = ask(SpecifierSet, InvalidSpecifier, specifier)
        if made is not None and ask(Version, InvalidVersion, version) is not None:
            found.append([specifier, version, made.contains(version, prereleases=True)])
    return found


def main():
    pairs = set()
    if sys.argv[1:2] == ["--from"]:
        heard = run(sys.argv[2])
        versions, specifiers, requirements, markers = (
            sorted(filter(is_answered, heard.texts[kind]))
            for kind in (Version, SpecifierSet, Requirement, Marker)
        )
        asked = {"versions": versions, "specifiers": specifiers, "requirements": requirements, "markers": markers}
        print(*(f"{len(texts)} {what}" for what, texts in asked.items()), sep=", ", file=sys.stderr)
        pairs = {pair for pair in heard.pairs if all(map(is_answered, pair))}
    elif sys.argv[1:2] == ["--random"]:
        versions, specifiers, requirements, markers = made_up(sys.argv[2])
    else:
        versions = ["".join(p) for p in itertools.product(*PARTS)][::7] + SPELLINGS
        specifiers = [o + v for o in OPERATORS for v in OPERANDS] + MORE_SPECIFIERS
        requirements, markers = REQUIREMENTS, MARKERS
    parsed = [(t, ask(Version, InvalidVersion, t)) for t in versions]
    valid = sorted((v, t) for t, v in parsed if v is not None)
    ranks, rank, last = [], 0, None
    for version, text in valid:
        rank += int(last is not None and version != last)
        last = version
        ranks.append([text, rank, str(version)])
    sample = [t for _, t in valid[:: max(1, len(valid) // 150)]] + ["1.0", "1.0.1", "1.0.post1", "1.0rc1"]
    asked = []
    for text in specifiers:
        made = ask(SpecifierSet, InvalidSpecifier, text)
        if made is None:
            asked.append([text, None])
        else:
            inside = [int(made.contains(v, prereleases=True)) for v in sample]
            asked.append([text, "".join(map(str, inside))])
    wanted = []
    for text in requirements:
        made = ask(Requirement, InvalidRequirement, text)
        wanted.append([text, made and {
            "name": made.name,
            "extras": sorted(made.extras),
            "specifiers": sorted(map(str, made.specifier)),
            "url": made.url,
            "marker": made.marker is not None,
        }])
    json.dump({
        "versions": ranks,
        "not_versions": [t for t, v in parsed if v is None],
        "sample": sample,
        "specifiers": asked,
        "requirements": wanted,
        "pairs": held(pairs),
        "markers": [[t, ask(Marker, InvalidMarker, t) is not None] for t in markers],
    }, sys.stdout, indent=None, separators=(",", ":"))


if __name__ == "__main__":
    main()
