//! Installed environments, made here: harmless stand-ins of what was found in
//! the wild, and honest ones that must stay quiet.

use crate::terms;
use base64::Engine as _;
use guard::advisory::Advisories;
use guard::finding::{Finding, Kind, Severity, Why};
use guard::{Ask, Outcome, Report};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The shape of the launcher of March 2026; what it would decode is `pass`.
const LAUNCHER: &str = "import os, subprocess, sys; subprocess.Popen([sys.executable, \"-c\", \"import base64; exec(base64.b64decode('cGFzcw=='))\"])\n";
const PRECEDENCE: &str = "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; enabled and __import__('_distutils_hack').add_shim(); ";

/// An environment in a folder of its own, removed at the end.
pub(crate) struct Env {
    top: PathBuf,
}

impl Env {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("env-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let top = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(top.join("lib/python3.12/site-packages")).unwrap();
        fs::create_dir_all(top.join("bin")).unwrap();
        Self { top }
    }

    fn site(&self) -> PathBuf {
        self.top.join("lib/python3.12/site-packages")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.site().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Installs `files` as an honest installer would; returns its RECORD.
    pub(crate) fn install(&self, name: &str, version: &str, files: &[(&str, &str)]) -> String {
        let info = format!("{name}-{version}.dist-info");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n");
        let mut record = String::new();
        let own =
            [(format!("{info}/METADATA"), metadata), (format!("{info}/INSTALLER"), "pip\n".into())];
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        for (path, text) in files.chain(own) {
            self.write(&path, &text);
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
            let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest);
            writeln!(record, "{path},sha256={digest},{}", text.len()).unwrap();
        }
        writeln!(record, "{info}/RECORD,,").unwrap();
        self.write(&format!("{info}/RECORD"), &record);
        record
    }

    pub(crate) fn audit(&self) -> Report {
        let ask = Ask { paths: vec![self.top.clone()], terms: terms() };
        guard::audit(&ask, &Advisories::built_in())
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.top));
    }
}

/// What must be acted on.
fn serious(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.severity >= Severity::Medium).collect()
}

fn only(report: &Report) -> &Finding {
    let serious = serious(report);
    assert_eq!(serious.len(), 1, "{serious:?}");
    serious[0]
}

#[test]
fn an_honest_environment_is_quiet() {
    let env = Env::new();
    env.install(
        "setuptools",
        "99.0",
        &[
            ("distutils-precedence.pth", PRECEDENCE),
            ("setuptools/__init__.py", "x = 1\n"),
            ("../../../bin/tool", "#!/bin/sh\n"),
        ],
    );
    env.install(
        "mine",
        "0.1",
        &[
            (
                "__editable__.mine-0.1.pth",
                "import __editable___mine_0_1_finder; __editable___mine_0_1_finder.install()\n",
            ),
            ("__editable___mine_0_1_finder.py", "def install(): pass\n"),
        ],
    );
    env.write(
        "mine-0.1.dist-info/direct_url.json",
        r#"{"url":"file:///home/me/mine","dir_info":{"editable":true}}"#,
    );
    env.write("setuptools/__pycache__/__init__.cpython-312.pyc", "compiled");
    env.write("_virtualenv.pth", "import _virtualenv");
    env.write("_virtualenv.py", "x = 1\n");
    let report = env.audit();
    assert_eq!(serious(&report), Vec::<&Finding>::new());
    assert_eq!(report.packages, 2);
}

#[test]
fn a_start_up_file_is_critical_though_record_lists_it_with_the_right_hash() {
    let env = Env::new();
    env.install(
        "litellm",
        "1.82.8",
        &[("litellm_init.pth", LAUNCHER), ("litellm/__init__.py", "")],
    );
    let report = env.audit();
    assert_eq!(report.outcome, Outcome::Affected);
    let start = report.findings.iter().find(|f| f.kind == Kind::StartupCode).unwrap();
    assert_eq!((start.severity, start.subject.as_str()), (Severity::Critical, "litellm_init.pth"));
    assert!(start.meaning.contains("runs at every Python start"));
    let text = crate::unwrapped(&report);
    assert!(text.contains("litellm_init.pth runs at every Python start"), "{text}");
    assert!(text.contains("litellm 1.82.8 is MALICIOUS"), "{text}");
    assert!(!report.findings.iter().any(|f| f.kind == Kind::Integrity), "RECORD is right");
}

#[test]
fn a_start_up_file_is_critical_without_any_advisory() {
    let env = Env::new();
    env.install("never-heard-of", "1.0", &[("never.pth", LAUNCHER)]);
    assert_eq!(only(&env.audit()).severity, Severity::Critical);
}

#[test]
fn sitecustomize_is_found_here_and_beside_the_standard_library() {
    for path in ["sitecustomize.py", "../sitecustomize.py", "usercustomize/__init__.py"] {
        let env = Env::new();
        env.write(path, "import socket, subprocess\n");
        let report = env.audit();
        let start = serious(&report).into_iter().find(|f| f.kind == Kind::StartupCode);
        assert_eq!(start.unwrap().severity, Severity::Critical, "{path}");
    }
}

#[test]
fn an_edited_file_is_named() {
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/a.py", "x = 1\n"), ("thing/b.py", "y = 1\n")]);
    env.write("thing/b.py", "y = 2\n");
    let report = env.audit();
    let finding = only(&report);
    assert_eq!((finding.severity, finding.kind), (Severity::High, Kind::Integrity));
    assert_eq!(finding.subject, "thing/b.py of thing 1.0");
}

#[test]
fn an_edited_list_of_authorities_is_its_own_matter() {
    let env = Env::new();
    env.install("certifi", "2099.1.1", &[("certifi/cacert.pem", "roots\n")]);
    env.write("certifi/cacert.pem", "roots\nand mine\n");
    assert_eq!(only(&env.audit()).severity, Severity::Medium);
}

#[test]
fn what_a_wheel_smuggled_in_has_no_hash() {
    let env = Env::new();
    let record = env.install("thing", "1.0", &[("thing/a.py", "x = 1\n")]);
    env.write("thing/extra.py", "y = 1\n");
    env.write(
        "thing-1.0.dist-info/RECORD",
        &(record + "thing/extra.py,,\nthing/__pycache__/a.cpython-312.pyc,,\n"),
    );
    let report = env.audit();
    let finding = only(&report);
    assert_eq!(finding.severity, Severity::High);
    assert!(finding.subject.contains("extra.py"));
}

#[test]
fn files_that_nobody_recorded_are_found_once_a_folder() {
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/a.py", "x = 1\n")]);
    env.write("thing/late.py", "");
    env.write("thing/later.py", "");
    env.write("thing/__pycache__/orphan.cpython-312.pyc", "");
    env.write("NOTES.txt", "");
    let report = env.audit();
    assert_eq!(only(&report).evidence.len(), 3);
    let low =
        report.findings.iter().filter(|f| f.kind == Kind::Integrity && f.severity == Severity::Low);
    assert_eq!(low.count(), 1, "a text file runs nothing");
}

#[test]
fn a_path_may_leave_the_folder_but_not_the_environment() {
    let env = Env::new();
    let record = env.install("thing", "1.0", &[("../../../bin/fine", "")]);
    env.write("thing-1.0.dist-info/RECORD", &(record + "../../../../outside,,\n/etc/cron.d/x,,\n"));
    let report = env.audit();
    let found: Vec<_> = serious(&report).into_iter().map(|f| f.subject.as_str()).collect();
    assert_eq!(found, ["../../../../outside of thing 1.0", "/etc/cron.d/x of thing 1.0"]);
}

#[test]
fn two_versions_of_one_distribution_and_a_misnamed_folder() {
    let env = Env::new();
    env.install("thing", "1.0", &[]);
    env.install("Thing", "2.0", &[]);
    env.install("other", "1.0", &[]);
    env.write("other-1.0.dist-info/METADATA", "Name: litellm\nVersion: 1.83.7\n\n");
    let report = env.audit();
    let subjects: Vec<_> = serious(&report).into_iter().map(|f| f.subject.as_str()).collect();
    assert!(subjects.iter().any(|s| s.starts_with("thing (installed 2 times)")), "{subjects:?}");
    assert!(subjects.contains(&"other-1.0"), "{subjects:?}");
}

#[test]
fn what_cannot_be_compared_or_read_is_a_gap() {
    let env = Env::new();
    env.install("bare", "1.0", &[]);
    fs::remove_file(env.site().join("bare-1.0.dist-info/RECORD")).unwrap();
    env.install("broken", "1.0", &[]);
    env.write("broken-1.0.dist-info/RECORD", "a,,\n\"b,,\n");
    env.write("nameless-1.0.dist-info/METADATA", "Summary: nothing\n");
    let report = env.audit();
    let has = |why| report.gaps.iter().any(|gap| gap.why == why);
    assert!(has(Why::NoRecord) && has(Why::Malformed));
    let line = report.gaps.iter().filter_map(|g| g.place.as_ref()).any(|p| p.line == 2);
    assert!(line, "the line of the broken RECORD");
    assert_ne!(report.outcome, Outcome::Clean);
}

#[test]
fn a_distribution_from_a_repository_is_not_what_advisories_speak_of() {
    let env = Env::new();
    env.install("thing", "1.0", &[]);
    env.write("thing-1.0.dist-info/direct_url.json", r#"{"url":"https://h/r","vcs_info":{"vcs":"git","commit_id":"84748be16341b76e073d117329f7f5f4ee2941ad"}}"#);
    let report = env.audit();
    assert!(
        report
            .gaps
            .iter()
            .any(|gap| gap.why == Why::UnknownSource && gap.text.contains("84748be16341"))
    );
}

#[test]
fn an_unpacked_wheel_in_a_cache_is_an_installation_too() {
    let env = Env::new();
    env.install("litellm", "1.82.8", &[("litellm_init.pth", LAUNCHER)]);
    let cache = env.top.join("cache/archive-v0/3fQx");
    fs::create_dir_all(cache.parent().unwrap()).unwrap();
    fs::rename(env.site(), &cache).unwrap();
    let report = env.audit();
    assert!(report.findings.iter().any(|f| f.kind == Kind::Malicious));
    assert!(report.findings.iter().any(|f| f.kind == Kind::StartupCode));
}

/// A cache of this test's own, long enough after the files were written.
fn cache(env: &Env) -> guard::Cache {
    use base::Clock as _;
    let now_ms = base::SystemClock::new().unix_ms() + 3_600_000;
    guard::Cache { folder: env.top.with_extension("cache"), now_ms }
}

fn audit_with(env: &Env, cache: &guard::Cache) -> String {
    let ask = Ask { paths: vec![env.top.clone()], terms: terms() };
    guard::render::json(&guard::audit_with(&ask, &Advisories::built_in(), Some(cache)))
}

fn cached(cache: &guard::Cache) -> PathBuf {
    fs::read_dir(&cache.folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn what_is_remembered_changes_no_answer() {
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/__init__.py", "import os\n"), ("thing/a.py", "x = 1\n")]);
    let cache = cache(&env);
    let whole = guard::render::json(&env.audit());
    assert_eq!(audit_with(&env, &cache), whole);
    let file = cached(&cache);
    let bytes = fs::read(&file).unwrap();
    assert_eq!(audit_with(&env, &cache), whole);
    assert_eq!(fs::read(&file).unwrap(), bytes, "nothing changed, nothing is written");
    // Cut, flipped, empty, of another kind: read anew, and replaced.
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for broken in [&bytes[..bytes.len() - 1], &flipped, b"", b"{}", &[0; 40]] {
        fs::write(&file, broken).unwrap();
        assert_eq!(audit_with(&env, &cache), whole);
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    drop(fs::remove_dir_all(&cache.folder));
}

#[test]
fn an_edit_is_seen_though_size_and_time_were_put_back() {
    let env = Env::new();
    env.install("thing", "1.0", &[("thing/a.py", "x = 1\n")]);
    let cache = cache(&env);
    audit_with(&env, &cache);
    let path = env.site().join("thing/a.py");
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    env.write("thing/a.py", "y = 2\n");
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert!(audit_with(&env, &cache).contains("thing/a.py of thing 1.0"));
    drop(fs::remove_dir_all(&cache.folder));
}

#[test]
fn a_second_name_of_a_remembered_file_is_read_for_what_it_is() {
    let env = Env::new();
    let code = "from setuptools import setup\nclass A:\n    def run(self):\n        import base64\n        exec(base64.b64decode('cGFzcw=='))\nsetup()\n";
    env.install("thing", "1.0", &[("thing/a.py", code)]);
    let cache = cache(&env);
    assert!(!audit_with(&env, &cache).contains("setup.py"));
    fs::hard_link(env.site().join("thing/a.py"), env.site().join("thing/setup.py")).unwrap();
    assert!(audit_with(&env, &cache).contains("thing/setup.py of "));
    drop(fs::remove_dir_all(&cache.folder));
}

fn lock(env: &Env, packages: &[(&str, &str, &str)]) {
    let mut text = String::from("version = 1\n");
    for (name, version, sha256) in packages {
        writeln!(text, "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = {{ registry = \"https://index.example/simple\" }}\nwheels = [{{ url = \"https://files.example/{name}-{version}-py3-none-any.whl\", hash = \"sha256:{sha256}\" }}]").unwrap();
    }
    fs::write(env.top.join("uv.lock"), text).unwrap();
}

#[test]
fn what_is_installed_is_compared_with_the_lock_around_it() {
    let (good, bad) = ("0".repeat(64), "1".repeat(64));
    let env = Env::new();
    for name in ["same", "other", "swapped", "extra", "pip"] {
        env.install(name, "1.0", &[]);
    }
    env.write(
        "swapped-1.0.dist-info/direct_url.json",
        &format!(r#"{{"url":"https://h/x.whl","archive_info":{{"hash":"sha256={bad}"}}}}"#),
    );
    env.write(
        "same-1.0.dist-info/direct_url.json",
        &format!(
            r#"{{"url":"https://h/x.whl","archive_info":{{"hashes":{{"sha256":"{good}"}}}}}}"#
        ),
    );
    lock(
        &env,
        &[
            ("same", "1.0", &good),
            ("other", "1.1", &good),
            ("swapped", "1.0", &good),
            ("absent", "1.0", &good),
        ],
    );
    let report = env.audit();
    let of = |severity| -> Vec<&str> {
        let found = report.findings.iter();
        let found = found.filter(|f| f.kind == Kind::Integrity && f.severity == severity);
        found.map(|f| f.subject.as_str()).collect()
    };
    assert_eq!(of(Severity::High), ["swapped 1.0"]);
    assert_eq!(of(Severity::Medium), ["other 1.0"]);
    let low =
        report.findings.iter().find(|f| f.subject.starts_with("distributions beside")).unwrap();
    let named: Vec<_> = low.evidence.iter().map(|seen| seen.text.as_str()).collect();
    assert_eq!(named, ["extra 1.0 is in no lock"]);
}

#[test]
fn a_lock_of_another_project_says_nothing_about_an_environment() {
    let env = Env::new();
    env.install("thing", "1.0", &[]);
    for project in ["a", "b"] {
        let folder = env.top.join(project);
        fs::create_dir_all(&folder).unwrap();
        lock(&env, &[("thing", "2.0", &"0".repeat(64))]);
        fs::rename(env.top.join("uv.lock"), folder.join("uv.lock")).unwrap();
    }
    let report = env.audit();
    assert!(!report.findings.iter().any(|f| f.kind == Kind::Integrity), "{:#?}", report.findings);
}
