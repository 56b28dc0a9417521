//! The binary, from outside: an incident from `open` to a report, with nothing
//! but what `--help` says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A machine with a bad release, a key beside it and a trace; nothing of the
/// release's code.
struct Victim(PathBuf);

impl Victim {
    fn new(name: &str) -> Self {
        let folder = format!("{name}-{}", std::process::id());
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        let victim = Self(root);
        let site = "disk/home/ann/shop/.venv/lib/python3.12/site-packages/litellm-1.82.8.dist-info";
        let metadata = "Metadata-Version: 2.1\nName: litellm\nVersion: 1.82.8\n\n";
        victim.write(&format!("{site}/METADATA"), metadata);
        victim.write(
            "disk/home/ann/shop/.env",
            "OPENAI_API_KEY=sk-proj-7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy\n",
        );
        victim.write("disk/home/ann/.config/sysmon/sysmon.py", "");
        victim.write("disk/proc/net/tcp", "");
        victim.write("home/.profile", "");
        victim
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_keymoat"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", self.0.join("home"))
            .env("KEYMOAT_DATA_DIR", self.0.join("data"))
            .env("KEYMOAT_URL", "http://127.0.0.1:9")
            .output()
            .unwrap()
    }

    fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {shown}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} must be refused");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn an_incident_goes_from_open_to_a_report_that_can_be_published() {
    let victim = Victim::new("incident");
    let disk = victim.0.join("disk").display().to_string();
    let help = victim.does(&["incident", "--help"]);
    for word in ["open", "scope", "exposure", "use", "contain", "rotate", "claim", "report"] {
        assert!(help.contains(&format!("keymoat incident {word}")), "{word} is not in the help");
    }
    assert!(victim.refuses(&["incident", "status"]).contains("keymoat incident open"));
    assert!(victim.refuses(&["incident", "open", "--advisory", "MAL-0"]).contains("no advisory"));
    victim.does(&["incident", "open", "--advisory", "MAL-2026-2144"]);
    let scope = victim.does(&["incident", "scope", "--root", &disk, "--host-name", "laptop"]);
    assert!(scope.contains("1 places"), "{scope}");
    victim.does(&["incident", "exposure", "--root", &disk, "--host-name", "laptop"]);
    assert!(victim.refuses(&["incident", "use"]).contains("no gateway's database"));

    let plan = victim.does(&["incident", "rotate"]);
    let number = |line: &&str| -> u32 {
        line.trim_start_matches(|c: char| !c.is_ascii_digit())
            .split('.')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let step = |word: &str| plan.lines().find(|line| line.contains(word)).as_ref().map(number);
    let replace = step("Replace an OpenAI key").unwrap().to_string();
    let refused = victim.refuses(&["incident", "rotate", "--done", &replace]);
    assert!(refused.contains("must wait"), "{refused}");
    let first = step("Cut laptop off the network").unwrap().to_string();
    victim.does(&["incident", "rotate", "--done", &first]);
    victim.does(&["incident", "claim", "confirmed", "--why", "it was installed on one laptop"]);

    let report = victim.does(&["incident", "report"]);
    for fact in [
        "**We were affected.**",
        "litellm 1.82.7 and 1.82.8",
        "2026-03-24 10:39:00",
        "Needed by",
        "laptop",
        "an OpenAI key",
        "sysmon.py",
        "What is not known",
        "no gateway's records were looked at",
        "| suspected |",
        "| confirmed | it was installed on one laptop |",
        "[x]",
    ] {
        assert!(report.contains(fact), "{fact} is not in:\n{report}");
    }
    assert!(!report.contains("7Qm2Zk9X"), "a value is shown");
    let json = victim.does(&["incident", "report", "--json"]);
    let state: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(state.pointer("/claims/1/standing").unwrap(), "confirmed");
    assert!(!json.contains("7Qm2Zk9X"));
    assert!(victim.does(&["incident", "list"]).contains("confirmed"));
}

#[test]
fn a_drill_freezes_and_reports_and_leaves_nothing_behind() {
    let victim = Victim::new("drill");
    let shown = victim.does(&["incident", "--drill", "--output", "drill.md"]);
    assert!(shown.contains("all virtual keys frozen") && shown.contains("report"), "{shown}");
    let report = fs::read_to_string(victim.0.join("drill.md")).unwrap();
    assert!(report.starts_with("> **This is a drill.**"));
    assert!(report.contains("shop was used from 203.0.113.9, and never from there before"));
    assert!(!victim.0.join("data").exists(), "a drill keeps nothing of its own");
}

/// A lock of `thing`, and of what it needs.
fn lock(version: &str, needs: &str) -> String {
    let package = |name: &str, version: &str, more: &str| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = {{ registry = \"https://index.example/simple\" }}\n{more}\n"
        )
    };
    if needs.is_empty() {
        return format!("version = 1\n\n{}", package("thing", version, ""));
    }
    let more = format!("dependencies = [{{ name = \"{needs}\" }}]\n");
    format!("version = 1\n\n{}{}", package("thing", version, &more), package(needs, "0.1.0", ""))
}

#[test]
fn an_audit_tells_what_came_with_a_patch_release_and_misses_no_earlier_lock() {
    let victim = Victim::new("compare");
    victim.write("old/uv.lock", &lock("1.0.0", ""));
    victim.write("uv.lock", &lock("1.0.1", "quiet"));
    let told = |earlier: &str| {
        let output = victim.run(&["audit", "--compare-with", earlier, "uv.lock"]);
        String::from_utf8(output.stdout).unwrap()
    };
    let news = told("old/uv.lock");
    assert!(news.contains("needed by thing since 1.0.0 became 1.0.1"), "{news}");
    let same = told("uv.lock");
    assert!(!same.contains("needed by thing since"), "{same}");
    let missing = told("nowhere/uv.lock");
    assert!(missing.contains("nowhere/uv.lock: it is not there"), "{missing}");
}
