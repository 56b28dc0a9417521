//! `keymoat pin` and `keymoat cooldown`.

use crate::victim::Victim;

const WHEEL: &str = "thing-1.0-py3-none-any.whl";

fn pin(victim: &Victim, arguments: &[&str]) -> (i32, String, String) {
    let output = victim.run(&[&["pin"], arguments].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A lock of a project that needs `thing`, with `digests` of its wheel, has
/// an extra and a group.
fn lock(digest: &str) -> String {
    let registry = "source = { registry = \"https://index.example/simple\" }";
    let wheel = |name: &str, digest: &str| {
        format!(
            "wheels = [{{ url = \"https://index.example/{name}-1.0-py3-none-any.whl\", hash = \"sha256:{digest}\" }}]\n"
        )
    };
    let package = |name: &str, digest: &str| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"1.0\"\n{registry}\n{}\n",
            wheel(name, digest)
        )
    };
    format!(
        "version = 1\nrequires-python = \">=3.11\"\n\n[[package]]\nname = \"shop\"\nversion = \"0.1\"\nsource = {{ virtual = \".\" }}\ndependencies = [{{ name = \"thing\" }}]\n\n[package.optional-dependencies]\nfast = [{{ name = \"quick\" }}]\n\n[package.dev-dependencies]\ndev = [{{ name = \"tester\" }}]\n\n{}{}{}",
        package("thing", digest),
        package("quick", &"b".repeat(64)),
        package("tester", &"c".repeat(64)),
    )
}

#[test]
fn a_lock_becomes_a_hashed_file_and_extras_and_groups_are_asked_for() {
    let victim = Victim::new("pin");
    victim.write("uv.lock", &lock(&"a".repeat(64)));
    let (code, text, told) = pin(&victim, &[]);
    assert_eq!(code, 0, "{told}");
    assert!(text.contains("--require-hashes") && text.contains("thing==1.0"), "{text}");
    assert!(text.contains(&format!("--hash=sha256:{}", "a".repeat(64))), "{text}");
    assert!(!text.contains("quick") && !text.contains("tester") && !text.contains("shop=="));
    for (flags, name) in [(["--extra", "fast"], "quick"), (["--group", "dev"], "tester")] {
        let (code, with, _) = pin(&victim, &flags);
        assert!(code == 0 && with.contains(&format!("{name}==1.0")), "{with}");
    }
    let (_, all, _) = pin(&victim, &["--all"]);
    assert!(all.contains("quick==1.0") && all.contains("tester==1.0"), "{all}");
    let (code, _, told) = pin(&victim, &["--extra", "fsat"]);
    assert!(code != 0 && told.contains("fsat"), "an extra that is not there is told: {told}");
    let (code, _, told) = pin(&victim, &["--group", "nope"]);
    assert!(code != 0 && told.contains("nope"), "a group that is not there is told: {told}");

    let (code, printed, _) = pin(&victim, &["-o", "pins.txt"]);
    assert_eq!((code, printed.as_str(), victim.read("pins.txt")), (0, "", text));
    let (code, told, _) = pin(&victim, &["--check", "pins.txt"]);
    assert_eq!(code, 0, "{told}");
    let (code, lock, _) = pin(&victim, &["--format", "pylock"]);
    assert!(code == 0 && lock.contains("lock-version") && lock.contains("thing"), "{lock}");
    victim.write("pylock.toml", &lock);
    let (code, again, told) = pin(&victim, &["pylock.toml"]);
    assert!(code == 0 && again.contains("thing==1.0"), "{told}");
    let (code, told, _) = pin(&victim, &["--check", "pylock.toml"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn gaps_are_named_and_artefacts_close_them_or_contradict() {
    let victim = Victim::new("pin-gaps");
    let site = ".venv/lib/python3.12/site-packages/thing-1.0.dist-info";
    victim.write(&format!("{site}/METADATA"), "Name: thing\nVersion: 1.0\n");
    victim.write(&format!("{site}/RECORD"), "");
    let (code, text, told) = pin(&victim, &[".venv"]);
    assert_eq!(code, 1, "an installed tree knows no hashes");
    assert!(text.contains("thing==1.0") && told.contains("thing"), "{text}{told}");
    victim.write(&format!("wheels/{WHEEL}"), "not really a wheel");
    let (code, text, told) = pin(&victim, &[".venv", "--artefacts", "wheels"]);
    let digest = "--hash=sha256:";
    assert!(code == 0 && text.contains(digest), "{text}{told}");

    victim.write("locked/uv.lock", &lock(&"a".repeat(64)));
    let (code, _, told) = pin(&victim, &["locked", "--artefacts", "wheels"]);
    assert!(code == 1 && told.contains(WHEEL), "one of the two is not what it seems: {told}");
    let mut sdist = lock(&"a".repeat(64)).replace("wheels = [{ url", "sdist = { url");
    sdist = sdist.replace("-py3-none-any.whl", ".tar.gz");
    for digit in ["a", "b", "c"] {
        let end = format!("{}\" }}", digit.repeat(64));
        sdist = sdist.replace(&format!("{end}]"), &end);
    }
    victim.write("source/uv.lock", &sdist);
    assert_eq!(pin(&victim, &["source"]).0, 0);
    let (code, text, told) = pin(&victim, &["source", "--only-wheels"]);
    assert!(code == 1 && told.contains("thing 1.0"), "{told}");
    assert!(text.contains("--only-binary"), "{text}");

    victim.write("loose.txt", "thing>=1\nother==2\n");
    let (code, told, _) = pin(&victim, &["--check", "loose.txt"]);
    assert!(code == 1 && told.contains("thing") && told.contains("other"), "{told}");
    victim.write(
        "bad/uv.lock",
        &lock(&"a".repeat(64)).replace("name = \"thing\"", "name = \"litellm\"").replace(
            "name = \"litellm\"\nversion = \"1.0\"",
            "name = \"litellm\"\nversion = \"1.82.8\"",
        ),
    );
    let (code, _, told) = pin(&victim, &["bad"]);
    assert!(code == 1 && told.contains("MAL-2026-2144"), "however well it is hashed: {told}");
}

#[test]
fn a_release_that_was_learnt_to_be_malicious_is_no_pin() {
    let victim = Victim::new("pin-learnt");
    victim.write("uv.lock", &lock(&"a".repeat(64)));
    victim.write(
        "osv/MAL-1.json",
        r#"{"id": "MAL-1", "modified": "2026-01-01T00:00:00Z", "summary": "does harm",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "thing"}, "versions": ["1.0"]}]}"#,
    );
    assert_eq!(pin(&victim, &[]).0, 0);
    victim.does(&["advisories", "update", "--from", "osv"]);
    let (code, _, told) = pin(&victim, &[]);
    assert!(code == 1 && told.contains("MAL-1"), "{told}");
}

#[test]
fn nothing_is_written_where_nothing_can_be_read() {
    let victim = Victim::new("pin-failed");
    victim.write("uv.lock", "[[package]\n");
    victim.write("nothing/readme", "");
    for from in ["uv.lock", "gone", "nothing", "home/.profile"] {
        let (code, text, told) = pin(&victim, &[from, "-o", "out.txt"]);
        assert_eq!((code, text.as_str()), (2, ""), "{from}: {told}");
        assert!(told.contains(from) && told.contains("hint:"), "{told}");
        assert!(!victim.0.join("out.txt").exists());
    }
    assert_eq!(pin(&victim, &["--check", "gone.txt"]).0, 2);
    victim.write("good/uv.lock", &lock(&"a".repeat(64)));
    let (code, _, told) = pin(&victim, &["good", "-o", "no/such/folder/x"]);
    assert!(code == 2 && told.contains("cannot be written"), "{told}");
    let (code, _, told) = pin(&victim, &["good", "--artefacts", "gone"]);
    assert!(code == 2 && told.contains("gone"), "{told}");
}

#[test]
fn each_tool_has_its_setting_with_the_days_that_were_asked_for() {
    let victim = Victim::new("cooldown-settings");
    let cases = [
        ("uv", "exclude-newer = \"9 days\""),
        ("pip", "uploaded-prior-to"),
        ("renovate", "\"minimumReleaseAge\": \"9 days\""),
        ("dependabot", "default-days: 9"),
    ];
    for (tool, words) in cases {
        let text = victim.does(&["cooldown", tool, "--days", "9"]);
        assert!(text.contains(words), "{tool}: {text}");
    }
    for days in ["0", "91", "x"] {
        victim.refuses(&["cooldown", "uv", "--days", days]);
    }
    victim.refuses(&["cooldown", "npm"]);
}
