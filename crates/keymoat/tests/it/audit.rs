//! `keymoat audit`: each flag does what it says, and each answer has its exit
//! code.

use crate::victim::Victim;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

/// Old advisories count: those in the binary are of 2024.
const ANY_AGE: [&str; 2] = ["--advisories-max-age", "36500"];

fn audit(victim: &Victim, arguments: &[&str]) -> (i32, String, String) {
    let output = victim.run(&[&["audit"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A wheel as it lies when it is installed, at `site`.
fn installed(victim: &Victim, site: &str, name: &str, version: &str) {
    let own = format!("{site}/{name}-{version}.dist-info");
    victim.write(&format!("{own}/METADATA"), &format!("Name: {name}\nVersion: {version}\n"));
    victim.write(&format!("{own}/RECORD"), &format!("{name}-{version}.dist-info/METADATA,,\n"));
}

#[test]
fn each_answer_has_its_words_and_its_exit_code() {
    let victim = Victim::new("answers");
    victim.write("clean.txt", "tqdm==4.66.5\n");
    victim.write("bad.txt", "litellm==1.82.7\n");
    victim.write("unknown.txt", "nobody-knows-this==1.0\n");
    victim.write("uv.lock", "[[package]\n");
    victim.write("nothing/readme", "");
    victim.write("osv/readme", "no record");
    let cases: [(i32, &str, &[&str]); 8] = [
        (0, "CLEAN", &["clean.txt"]),
        (1, "AFFECTED", &["bad.txt"]),
        (1, "AFFECTED", &["bad.txt", "gone.txt"]),
        (2, "NOT AUDITED", &["gone.txt"]),
        (2, "NOT AUDITED", &["unknown.txt"]),
        (2, "NOT AUDITED", &["uv.lock"]),
        (2, "NOT AUDITED", &["nothing"]),
        (2, "NOT AUDITED", &["clean.txt", "--advisories", "osv"]),
    ];
    for (code, words, arguments) in cases {
        let (is, told, error) = audit(&victim, &[arguments, &ANY_AGE].concat());
        let first = if told.is_empty() { &error } else { &told };
        assert_eq!(is, code, "{arguments:?}: {first}");
        assert!(first.starts_with(words), "{arguments:?}: {first}");
    }
    let (code, told, _) = audit(&victim, &["clean.txt"]);
    assert_eq!(code, 2, "what is known of 2024 is no answer today: {told}");
    assert!(told.starts_with("NOT AUDITED") && told.contains("stale"), "{told}");
    let (code, told, _) = audit(&victim, &["bad.txt", "gone.txt"]);
    assert!(code == 1 && told.contains("unreadable gone.txt"), "{told}");
}

#[test]
fn what_may_not_be_read_is_not_audited() {
    let victim = Victim::new("forbidden");
    victim.write("requirements.txt", "tqdm==4.66.5\n");
    let file = victim.0.join("requirements.txt");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = victim.command(&[&["audit", "requirements.txt"], &ANY_AGE[..]].concat());
    if fs::read(&file).is_ok() {
        // Nothing is forbidden to root: let somebody else ask.
        command.uid(65534).gid(65534);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("SKIPPED: nobody else can run the binary here: {error}");
            return;
        }
    };
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.starts_with("NOT AUDITED") && told.contains("ermission"), "{told}");
}

#[test]
fn advisories_of_ones_own_are_asked_and_their_age_counts() {
    let victim = Victim::new("own-advisories");
    victim.write("pins.txt", "house-thing==1.0\ntqdm==4.66.5\n");
    victim.write(
        "osv/OWN-1.json",
        r#"{"id": "OWN-1", "modified": "2026-01-01T00:00:00Z", "summary": "a hole of the house",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "house-thing"}, "versions": ["1.0"]}]}"#,
    );
    let (_, without, _) = audit(&victim, &["pins.txt"]);
    assert!(!without.contains("OWN-1"), "{without}");
    let (code, with, _) = audit(&victim, &["pins.txt", "--advisories", "osv"]);
    assert!(code == 1 && with.contains("OWN-1") && with.contains("a hole of the house"), "{with}");
    assert!(with.contains("stale"), "{with}");
    let (_, fresh, _) = audit(&victim, &["pins.txt", "--advisories-max-age", "36500"]);
    assert!(!fresh.contains("stale"), "{fresh}");
}

#[test]
fn what_came_lately_is_listed_and_only_that() {
    let victim = Victim::new("since");
    installed(&victim, ".venv/lib/python3.12/site-packages", "thing", "1.0");
    let (_, lately, _) = audit(&victim, &[".venv", "--since", "1"]);
    assert!(lately.contains("1 package installed "), "{lately}");
    let (_, never, _) = audit(&victim, &[".venv", "--since", "0"]);
    assert!(!never.contains("1 package installed "), "{never}");
}

#[test]
fn a_release_that_is_too_young_is_told() {
    let victim = Victim::new("cooldown");
    victim.write(
        "uv.lock",
        "version = 1\n\n[[package]]\nname = \"thing\"\nversion = \"1.0\"\nsource = { registry = \"https://index.example/simple\" }\nwheels = [{ url = \"https://index.example/thing-1.0-py3-none-any.whl\", hash = \"sha256:aa\", upload-time = \"2026-01-01T00:00:00Z\" }]\n",
    );
    let (code, young, _) = audit(&victim, &["uv.lock", "--cooldown", "36500"]);
    assert!(code == 1 && young.contains("The policy is"), "{young}");
    let (code, old, _) = audit(&victim, &["uv.lock", "--cooldown", "1"]);
    assert!(code == 2 && !old.contains("The policy is"), "{old}");
}

#[test]
fn what_is_left_alone_leaves_the_answer_and_stays_in_the_report() {
    let victim = Victim::new("ignore");
    victim.write("requirements.txt", "litellm==1.82.6\n");
    let entry = |id: &str| {
        format!(
            "[[ignore]]\nid = \"{id}\"\npackage = \"litellm==1.82.6\"\nreason = \"the proxy is not started\"\nexpires = {}\n",
            in_a_month()
        )
    };
    victim.write("ignore.toml", &entry("CVE-2026-42208"));
    victim.write("spoilt.toml", "[[ignore]]\nidea = 1\n");
    let asked = |file: &str| {
        audit(&victim, &[&["requirements.txt", "--ignore-file", file], &ANY_AGE[..]].concat())
    };
    let (code, _, _) = audit(&victim, &[&["requirements.txt"], &ANY_AGE[..]].concat());
    assert_eq!(code, 1);
    let (_, told, _) = asked("ignore.toml");
    assert!(told.contains("the proxy is not started") && told.contains("ignored"), "{told}");
    assert!(!told.contains("MEDIUM     litellm 1.82.6 is vulnerable"), "{told}");
    for file in ["spoilt.toml", "gone.toml"] {
        let (code, told, error) = asked(file);
        assert_eq!((code, told.as_str()), (2, ""), "{error}");
        assert!(error.starts_with("NOT AUDITED") && error.contains(file), "{error}");
    }
}

/// A day that is neither over nor more than a year away.
fn in_a_month() -> String {
    use base::{Clock as _, SystemClock};
    let now_ms = SystemClock::new().unix_ms();
    base::clock::rfc3339(now_ms + 30 * 24 * 3_600_000).chars().take(10).collect()
}

#[test]
fn a_fix_is_proposed_and_nothing_is_written() {
    let victim = Victim::new("fix");
    victim.write("requirements.txt", "litellm==1.82.8\n");
    let (code, diff, _) = audit(&victim, &["requirements.txt", "--fix"]);
    assert_eq!(code, 1);
    assert!(diff.contains("-litellm==1.82.8") && diff.contains("+litellm==1.83.7"), "{diff}");
    let (_, told, _) = audit(&victim, &["requirements.txt", "--fix", "--output", "fix.diff"]);
    assert_eq!((told.as_str(), victim.read("fix.diff")), ("", diff));
    assert_eq!(victim.read("requirements.txt"), "litellm==1.82.8\n");
}

#[test]
fn every_format_shows_the_bad_release_and_has_the_same_exit_code() {
    let victim = Victim::new("formats-of-audit");
    victim.write("uv.lock", &lock("1.0", "litellm").replace("0.1.0", "1.82.8"));
    let cases: [(&str, &[&str]); 7] = [
        ("table", &["AFFECTED", "CRITICAL   litellm 1.82.8 is MALICIOUS"]),
        ("json", &["\"outcome\": \"affected\"", "MAL-2026-2144"]),
        ("sarif", &["\"version\": \"2.1.0\"", "MAL-2026-2144"]),
        ("cyclonedx", &["\"specVersion\": \"1.6\"", "pkg:pypi/litellm@1.82.8", "exploitable"]),
        ("junit", &["<testsuites", "<failure", "litellm 1.82.8"]),
        ("mermaid", &["flowchart TD", "litellm 1.82.8<br/>MALICIOUS", "thing 1.0"]),
        ("dot", &["digraph audit", "litellm 1.82.8\\nMALICIOUS", "thing 1.0"]),
    ];
    for (format, words) in cases {
        let (code, told, _) = audit(&victim, &["uv.lock", "--format", format]);
        assert_eq!(code, 1, "{format}");
        for word in words {
            assert!(told.contains(word), "{format} has no {word}:\n{told}");
        }
        let file = format!("out.{format}");
        let at = ["--timestamp", "1700000000"];
        let arguments = [&["uv.lock", "--format", format, "--output", &file], &at[..]].concat();
        let (code, told, error) = audit(&victim, &arguments);
        assert_eq!((code, told.as_str()), (1, ""), "{format}");
        assert!(error.starts_with("AFFECTED. litellm 1.82.8 is MALICIOUS"), "{error}");
        let (_, again, _) = audit(&victim, &[&["uv.lock", "--format", format], &at[..]].concat());
        assert_eq!(victim.read(&file), again, "{format}: the same findings, the same bytes");
        assert!(!again.contains("T00:00:01") && again != told);
    }
    let (_, json, _) = audit(&victim, &["uv.lock", "--json", "--timestamp", "1"]);
    assert!(json.contains("1970-01-01T00:00:01"), "{json}");
    let (_, graph, _) = audit(&victim, &["uv.lock", "--graph"]);
    assert!(graph.contains("thing 1.0\n   └─ litellm 1.82.8  <- MALICIOUS"), "{graph}");
    let (_, table, _) = audit(&victim, &["uv.lock"]);
    assert!(!table.contains("└─"), "{table}");
    let (code, told, error) = audit(&victim, &["uv.lock", "--output", "no/such/folder"]);
    assert_eq!((code, told.as_str()), (2, ""));
    assert!(error.starts_with("NOT AUDITED") && error.contains("cannot be written"), "{error}");
}

#[test]
fn another_disk_is_audited_searched_and_looked_over_in_place_of_this_one() {
    let victim = Victim::new("root");
    let (code, packages, _) = audit(&victim, &["--root", "disk"]);
    assert!(code == 1 && packages.contains("litellm 1.82.8 is MALICIOUS"), "{packages}");
    let (code, none, _) = audit(&victim, &["--root", "home"]);
    assert!(code == 2 && none.starts_with("NOT AUDITED"), "{none}");

    let (code, host, _) = audit(&victim, &["--host", "--root", "disk"]);
    assert!(code == 1 && host.contains("/home/ann/.config/sysmon/sysmon.py"), "{host}");
    let (_, host, _) = audit(&victim, &["--host", "--root", "home"]);
    assert!(!host.contains("sysmon.py"), "{host}");

    let (code, secrets, _) = audit(&victim, &["--secrets", "--root", "disk"]);
    assert!(code == 1 && secrets.contains("an OpenAI key (sk-proj-…, fingerprint "), "{secrets}");
    assert!(secrets.contains("disk/home/ann/shop/.env:1 as OPENAI_API_KEY"), "{secrets}");
    assert!(secrets.contains("keymoat keys generate"), "{secrets}");
    assert!(!secrets.contains("7Qm2Zk9X"), "a value is shown");
    let (_, secrets, _) = audit(&victim, &["--secrets", "--root", "home"]);
    assert!(!secrets.contains("an OpenAI key"), "{secrets}");
}

#[test]
fn what_was_recorded_is_asked_later_with_what_is_known_then() {
    let victim = Victim::new("record");
    victim.write("requirements.txt", "house-thing==1.0\n");
    let (code, told, _) = audit(&victim, &["--recorded"]);
    assert!(code == 2 && told.contains("none was ever recorded here"), "{told}");
    let (code, _, error) = audit(&victim, &["requirements.txt", "--record"]);
    assert!(code == 2 && error.contains("recorded in "), "{error}");
    let inventories = fs::read_dir(victim.0.join("data/guard/inventories")).unwrap();
    for file in inventories {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    fs::remove_file(victim.0.join("requirements.txt")).unwrap();
    victim.write(
        "osv/OWN-1.json",
        r#"{"id": "OWN-1", "modified": "2026-01-01T00:00:00Z", "summary": "bad since today",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "house-thing"}, "versions": ["1.0"]}]}"#,
    );
    let (code, told, _) = audit(&victim, &["--recorded", "--advisories", "osv"]);
    assert!(code == 1 && told.contains("house-thing 1.0") && told.contains("OWN-1"), "{told}");
    victim.write("blocked", "");
    let output = victim
        .command(&["audit", "--record", "--advisories-max-age", "36500", "clean.txt"])
        .env("KEYMOAT_DATA_DIR", victim.0.join("blocked/data"))
        .output();
    assert_eq!(output.unwrap().status.code(), Some(2), "what is not kept is no clean answer");
}

#[test]
fn files_that_did_not_change_are_remembered_unless_that_is_unwanted() {
    let victim = Victim::new("cache");
    let site = ".venv/lib/python3.12/site-packages";
    installed(&victim, site, "thing", "1.0");
    victim.write(&format!("{site}/thing/__init__.py"), "x = 1\n");
    let cache = victim.0.join("home/.cache/keymoat/guard");
    let (_, without, _) = audit(&victim, &[".venv", "--no-cache", "--timestamp", "1"]);
    assert!(!cache.exists(), "--no-cache remembers nothing");
    let (_, with, _) = audit(&victim, &[".venv", "--timestamp", "1"]);
    assert!(cache.exists());
    assert_eq!(with, without);
}

#[test]
fn two_releases_are_compared_and_nothing_is_no_release() {
    let victim = Victim::new("diff");
    for folder in ["old", "new"] {
        victim.write(&format!("{folder}/thing/__init__.py"), "x = 1\n");
    }
    let (code, same, _) = audit(&victim, &["--diff", "old", "new"]);
    assert!(code == 0 && same.starts_with("CLEAN"), "{same}");
    victim.write(
        "new/thing_init.pth",
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'pass'])\n",
    );
    let (code, news, _) = audit(&victim, &["--diff", "old", "new"]);
    assert!(code == 1 && news.contains("thing_init.pth"), "{news}");
    let (code, back, _) = audit(&victim, &["--diff", "new", "old"]);
    assert!(code == 0, "what is gone is no news: {back}");
    fs::create_dir_all(victim.0.join("empty")).unwrap();
    for other in ["empty", "gone"] {
        let (code, told, _) = audit(&victim, &["--diff", "old", other]);
        assert!(code == 2 && told.starts_with("NOT AUDITED"), "{other}: {told}");
    }
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

#[test]
fn a_list_is_read_from_standard_input_and_a_rule_is_explained() {
    use std::io::Write as _;
    let victim = Victim::new("stdin");
    let mut child = victim
        .command(&["audit", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"litellm==1.82.8\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("litellm 1.82.8 is MALICIOUS"), "{told}");
    assert!(told.contains("Next: `keymoat incident open --advisory MAL-2026-2144`"), "{told}");
    assert!(victim.does(&["explain", "km-pth-001"]).starts_with("KM-PTH-001"));
    assert!(victim.does(&["explain"]).contains("KM-COD-001"));
    assert!(victim.refuses(&["explain", "KM-NO"]).contains("no rule has the id"));
    victim.write("home/.cache/uv/CACHEDIR.TAG", "");
    let (_, told, _) = audit(&victim, &["litellm"]);
    assert!(told.contains("Not looked at") && told.contains(".cache/uv"), "{told}");
}
