//! Keys that lie open, in files and processes made here; no report may hold
//! what it is about.

use crate::scratch;
use guard::finding::{Kind, Severity, Why};
use guard::host::Host;
use guard::secrets::{self, Variables};
use guard::{Outcome, Report, render};
use proptest::prelude::*;
use proptest::sample::select;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const OPENAI: &str = "sk-proj-7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy";
const MISTRAL: &str = "7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0Fa";

fn write(root: &Path, path: &str, text: &str, mode: u32) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
}

fn survey(root: &Path) -> Report {
    fs::create_dir_all(root.join("proc")).unwrap();
    secrets::survey(&secrets::Ask {
        paths: vec![root.to_owned()],
        host: Host::at(root),
        variables: Variables::new([("MISTRAL_API_KEY", "Mistral AI")]),
        now_ms: 1_795_305_600_000,
    })
}

fn every_format(report: &Report) -> Vec<String> {
    let formats = [render::table, render::json, render::sarif, render::junit, render::cyclonedx];
    let shown = formats.iter().map(|render| render(report));
    shown.chain([render::headline(report), format!("{report:?}")]).collect()
}

fn subjects(report: &Report) -> Vec<(Severity, &str)> {
    report.findings.iter().map(|f| (f.severity, f.subject.as_str())).collect()
}

#[test]
fn one_key_in_many_places_is_one_finding_with_the_command_that_replaces_it() {
    let root = scratch("secrets-many");
    write(&root, "shop/.env", &format!("OPENAI_API_KEY={OPENAI}\n"), 0o600);
    write(&root, "home/ann/.bashrc", &format!("# hi\nexport OPENAI_API_KEY={OPENAI}\n"), 0o600);
    write(&root, "proc/71/comm", "python3\n", 0o600);
    write(&root, "proc/71/environ", &format!("HOME=/home/ann\0OPENAI_API_KEY={OPENAI}\0"), 0o600);
    write(&root, "proc/72/comm", "worker\n", 0o600);
    write(&root, "proc/72/environ", &format!("OPENAI_API_KEY={OPENAI}\0"), 0o600);
    let report = survey(&root);
    assert_eq!(report.outcome, Outcome::Affected);
    let [finding] = report.findings.as_slice() else { panic!("{:?}", subjects(&report)) };
    assert_eq!((finding.kind, finding.severity), (Kind::Secret, Severity::Medium));
    assert!(finding.subject.starts_with("an OpenAI key (sk-proj-…, fingerprint "));
    let texts: Vec<&str> = finding.evidence.iter().map(|e| e.text.as_str()).collect();
    assert!(texts.contains(&"as OPENAI_API_KEY in the environment of python3 (71), worker (72)"));
    let lines = finding.evidence.iter().filter_map(|e| e.place.as_ref()).map(|p| p.line);
    assert_eq!(lines.collect::<Vec<_>>(), [2, 1]);
    let command =
        "`keymoat keys generate --alias ann-openai --max-budget 10 --budget-duration 24h`";
    assert!(finding.do_first.contains(command), "{}", finding.do_first);
    assert!(render::table(&report).contains(command), "it is to be copied, whole");
}

#[test]
fn who_else_can_read_a_key_makes_it_worse() {
    let root = scratch("secrets-worse");
    write(&root, "a/.env", &format!("MISTRAL_API_KEY={MISTRAL}"), 0o644);
    write(&root, "b/docker-compose.yml", &format!("x: {OPENAI}"), 0o600);
    write(&root, "c/.env", "LITELLM_MASTER_KEY=sk-9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEu\n", 0o600);
    write(
        &root,
        "d/.env",
        "OPENAI_API_KEY=sk-9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtByWzAa1\n",
        0o600,
    );
    write(
        &root,
        "proc/9/cmdline",
        "app\0--token\0ghp_7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuVi\0",
        0o600,
    );
    let report = survey(&root);
    let starts: Vec<_> = subjects(&report)
        .into_iter()
        .map(|(severity, subject)| (severity, subject.split(" (").next().unwrap().to_owned()))
        .collect();
    let expected = [
        (Severity::High, "a GitHub key"),
        (Severity::High, "a Mistral AI key"),
        (Severity::High, "a gateway's master key"),
        (Severity::High, "an OpenAI key"),
        (Severity::Low, "a virtual key"),
    ];
    assert_eq!(starts, expected.map(|(severity, subject)| (severity, subject.to_owned())));
}

#[test]
fn a_machine_without_keys_is_clean_and_its_stores_are_named() {
    let root = scratch("secrets-clean");
    write(&root, "app/.env", "OPENAI_API_KEY=${OPENAI_API_KEY}\nDEBUG=1\n", 0o644);
    write(
        &root,
        "app/.env.example",
        "OPENAI_API_KEY=sk-...\nANTHROPIC_API_KEY=your-key-here\n",
        0o644,
    );
    write(&root, "app/config.yaml", "api_key: os.environ/OPENAI_API_KEY\n", 0o644);
    write(&root, "home/ann/.ssh/id_ed25519", "ENCRYPTED\n", 0o600);
    write(&root, "home/ann/.ssh/id_ed25519.pub", "ssh-ed25519 AAAA\n", 0o600);
    write(&root, "proc/1/environ", "PATH=/bin\0SHELL=/bin/sh\0", 0o600);
    let report = survey(&root);
    assert_eq!(report.outcome, Outcome::Clean, "{}", render::table(&report));
    let [store] = report.findings.as_slice() else { panic!("{:?}", subjects(&report)) };
    assert_eq!(store.severity, Severity::Info);
    assert!(store.subject.ends_with(".ssh/id_ed25519"));
    assert!(render::table(&report).starts_with("CLEAN. Nothing"));
}

#[test]
fn what_cannot_be_read_is_a_gap() {
    let root = scratch("secrets-gap");
    write(&root, "app/.env", "X=1", 0o000);
    let is_root = fs::read(root.join("app/.env")).is_ok();
    fs::create_dir_all(root.join("proc")).unwrap();
    let missing = root.join("missing");
    let report = secrets::survey(&secrets::Ask {
        paths: vec![root.clone(), missing],
        host: Host::at(&root),
        variables: Variables::default(),
        now_ms: 0,
    });
    assert_eq!(report.outcome, Outcome::NotAudited);
    assert_eq!(report.gaps.len(), if is_root { 1 } else { 2 });
    assert!(report.gaps.iter().all(|gap| gap.why == Why::Unreadable));
    fs::remove_dir_all(root.join("proc")).unwrap();
    // A disk has no processes; a folder that is no machine's is told.
    let report = survey_without_proc(&root);
    assert_eq!(report.gaps.len(), 1);
    assert!(report.gaps[0].text.starts_with("it is no machine's disk"), "{:?}", report.gaps);
    fs::create_dir_all(root.join("home/ann")).unwrap();
    assert_eq!(survey_without_proc(&root).gaps, []);
}

fn survey_without_proc(root: &Path) -> Report {
    secrets::survey(&secrets::Ask {
        paths: Vec::new(),
        host: Host::at(root),
        variables: Variables::default(),
        now_ms: 0,
    })
}

#[test]
fn a_link_that_leads_round_in_a_circle_ends() {
    let root = scratch("secrets-circle");
    fs::create_dir_all(root.join("a/b")).unwrap();
    std::os::unix::fs::symlink(&root, root.join("a/b/up")).unwrap();
    std::os::unix::fs::symlink(root.join("a/.env"), root.join("a/.env")).unwrap();
    assert_eq!(survey(&root).outcome, Outcome::Clean);
}

/// Letters that a machine would draw.
fn body() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{40}".prop_filter("drawn", |body| {
        body.bytes().collect::<std::collections::HashSet<_>>().len() > 20
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the shape, the place and the wording: no eight letters of a
    /// key leave, in any format, names of files and processes included.
    #[test]
    fn no_format_holds_any_part_of_a_value(
        body in body(),
        prefix in select(vec!["sk-proj-", "sk-", "hf_", "", "csk-"]),
        wording in select(vec![
            "MISTRAL_API_KEY=@",
            "export MISTRAL_API_KEY=\"@\"",
            "{\"MISTRAL_API_KEY\": \"@\"}",
            "curl -H 'Authorization: Bearer @'",
            "@",
            "a@@b @",
            "MISTRAL_API_KEY: @ # @",
        ]),
        named in any::<bool>(),
    ) {
        let key = format!("{prefix}{body}");
        let root = scratch("secrets-leak");
        let text = wording.replace('@', &key);
        let folder = if named { format!("app-{key}") } else { "app".to_owned() };
        write(&root, &format!("{folder}/.env"), &text, 0o644);
        write(&root, "home/ann/.zsh_history", &text, 0o600);
        write(&root, "proc/5/environ", &format!("{text}\0"), 0o600);
        write(&root, "proc/5/cmdline", &text.replace(' ', "\0"), 0o600);
        let report = survey(&root);
        let seen = report.findings.iter().any(|finding| finding.severity > Severity::Info);
        for shown in every_format(&report) {
            for part in body.as_bytes().windows(8) {
                let part = std::str::from_utf8(part).unwrap();
                prop_assert!(!seen || !shown.contains(part), "{part} of {key} in {shown}");
            }
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
