//! Flags that make no sense together are refused by their names: none is
//! ignored in silence.

use crate::victim::Victim;
use std::collections::BTreeSet;

/// Every flag of `keymoat audit`, with values that mean something in the
/// folder of [`folder`].
const FLAGS: [(&str, &[&str]); 20] = [
    ("[PATH]...", &["pinned"]),
    ("--advisories", &["--advisories", "osv"]),
    ("--advisories-max-age", &["--advisories-max-age", "9"]),
    ("--compare-with", &["--compare-with", "earlier.txt"]),
    ("--cooldown", &["--cooldown", "3"]),
    ("--diff", &["--diff", "old", "new"]),
    ("--fix", &["--fix"]),
    ("--format", &["--format", "mermaid"]),
    ("--graph", &["--graph"]),
    ("--host", &["--host"]),
    ("--ignore-file", &["--ignore-file", "ignore.toml"]),
    ("--json", &["--json"]),
    ("--no-cache", &["--no-cache"]),
    ("--output", &["--output", "out.txt"]),
    ("--quiet", &["--quiet"]),
    ("--record", &["--record"]),
    ("--recorded", &["--recorded"]),
    ("--root", &["--root", "disk"]),
    ("--secrets", &["--secrets"]),
    ("--since", &["--since", "5"]),
];

/// What each mode has no use for.
const SENSELESS: [(&str, &[&str]); 8] = [
    (
        "--secrets",
        &[
            "--advisories",
            "--advisories-max-age",
            "--compare-with",
            "--cooldown",
            "--diff",
            "--fix",
            "--format",
            "--graph",
            "--host",
            "--record",
            "--recorded",
            "--since",
        ],
    ),
    (
        "--host",
        &[
            "--advisories-max-age",
            "--compare-with",
            "--cooldown",
            "--diff",
            "--fix",
            "--format",
            "--graph",
            "--record",
            "--recorded",
            "--since",
        ],
    ),
    (
        "--diff",
        &[
            "[PATH]...",
            "--advisories",
            "--advisories-max-age",
            "--compare-with",
            "--cooldown",
            "--fix",
            "--format",
            "--graph",
            "--record",
            "--recorded",
            "--root",
            "--since",
        ],
    ),
    (
        "--recorded",
        &[
            "[PATH]...",
            "--compare-with",
            "--cooldown",
            "--fix",
            "--format",
            "--graph",
            "--record",
            "--root",
            "--since",
        ],
    ),
    ("--fix", &["--format", "--graph", "--json"]),
    ("--json", &["--format", "--graph"]),
    ("--graph", &["--format"]),
    ("--root", &["[PATH]..."]),
];

fn folder(name: &str) -> Victim {
    let victim = Victim::new(name);
    victim.write("pinned/requirements.txt", "litellm==1.82.8\n");
    victim.write("earlier.txt", "litellm==1.82.6\n");
    victim.write("ignore.toml", "");
    victim.write(
        "osv/X-1.json",
        r#"{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": []}"#,
    );
    victim.write("old/a.py", "");
    victim.write("new/a.py", "");
    victim
}

/// The first line of the refusal, if it is one.
fn refusal(victim: &Victim, arguments: &[&str]) -> Option<String> {
    let output = victim.run(arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    let told = told.strip_prefix("error: ")?;
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    Some(told.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn every_two_flags_of_an_audit_mean_something_or_are_refused_by_their_names() {
    let victim = folder("pairs");
    let help = victim.does(&["audit", "--help"]);
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    // `--host-name` belongs to `--record`, and has a test of its own.
    let own = ["--help", "--timestamp", "--host-name"];
    let flags: BTreeSet<&str> =
        words.filter(|word| word.starts_with("--") && !own.contains(word)).collect();
    let known: BTreeSet<&str> = FLAGS.iter().map(|(name, _)| *name).collect();
    for flag in flags.iter().filter(|flag| !known.contains(*flag)) {
        // Other commands and values stand in the help too.
        let is_flag = help.lines().any(|line| line.trim_start().starts_with(flag));
        assert!(!is_flag, "{flag} is new: say here what it cannot be used with");
    }
    let meant = |one: &str, other: &str| {
        SENSELESS.iter().any(|(name, not)| *name == one && not.contains(&other))
    };
    for (at, (one, first)) in FLAGS.iter().enumerate() {
        for (other, second) in FLAGS.iter().skip(at + 1) {
            let mut arguments = [&["audit"], *first, *second].concat();
            let should = meant(one, other) || meant(other, one);
            // Another machine's disk is smaller than this one.
            if !should
                && [one, other].iter().any(|f| ["--host", "--secrets"].contains(f))
                && ![one, other].contains(&&"--root")
            {
                arguments.extend(["--root", "disk"]);
            }
            let refused = refusal(&victim, &arguments);
            assert_eq!(refused.is_some(), should, "{one} with {other}: {refused:?}");
            if let Some(words) = refused {
                let is_named = |flag: &str| words.contains(flag);
                assert!(is_named(one) && is_named(other), "{one} with {other}: {words}");
            }
        }
    }
}

#[test]
fn the_name_of_another_machine_goes_with_a_recording_and_is_kept() {
    let victim = folder("host-name");
    let refused = victim.refuses(&["audit", "--host-name", "laptop", "pinned"]);
    assert!(refused.contains("--record"), "{refused}");
    victim.run(&["audit", "--record", "--host-name", "laptop", "pinned"]);
    let told = victim.run(&["audit", "--recorded"]).stdout;
    let told = String::from_utf8(told).unwrap();
    assert!(told.contains("laptop"), "{told}");
}

#[test]
fn formats_are_refused_where_there_is_nothing_for_them_to_show() {
    let victim = folder("formats");
    let modes: [(&[&str], &[&str]); 4] = [
        (&["--secrets"], &["cyclonedx", "mermaid", "dot"]),
        (&["--host", "--root", "disk"], &["cyclonedx", "mermaid", "dot"]),
        (&["--diff", "old", "new"], &["cyclonedx", "mermaid", "dot"]),
        (&["--recorded"], &["mermaid", "dot"]),
    ];
    for (mode, not) in modes {
        for format in ["table", "json", "sarif", "cyclonedx", "junit", "mermaid", "dot"] {
            let refused = refusal(&victim, &[&["audit", "--format", format], mode].concat());
            assert_eq!(refused.is_some(), not.contains(&format), "{mode:?} {format}: {refused:?}");
        }
    }
}

#[test]
fn flags_of_the_other_commands_are_refused_where_they_change_nothing() {
    let victim = folder("others");
    let cases: [&[&str]; 12] = [
        &["pin", "--check", "earlier.txt", "--only-wheels"],
        &["pin", "--check", "earlier.txt", "--extra", "x"],
        &["pin", "--check", "earlier.txt", "--group", "x"],
        &["pin", "--check", "earlier.txt", "--all"],
        &["pin", "--check", "earlier.txt", "--format", "pylock"],
        &["pin", "--all", "--extra", "x"],
        &["pin", "--all", "--group", "x"],
        &["canary", "new", "--variable", "X_API_KEY"],
        &["incident", "exposure", "--advisories", "osv"],
        &["incident", "open", "--advisory", "MAL-2026-2144", "--window-source", "me"],
        &["incident", "--drill", "list"],
        &["incident", "contain", "--all", "--lift"],
    ];
    for arguments in cases {
        let refused = refusal(&victim, arguments);
        assert!(refused.is_some(), "{arguments:?} is not refused");
    }
}
