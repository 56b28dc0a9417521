//! The smallest safe change, as a diff that a person can read and apply.

use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::fix::{Proposal, propose};
use guard::{Ask, Outcome};
use std::fs;
use std::path::{Path, PathBuf};

fn proposal(folder: &Path) -> Proposal {
    let advisories = Advisories::built_in();
    let report = guard::audit(&Ask { paths: vec![folder.to_owned()], terms: terms() }, &advisories);
    propose(&report, &advisories, &|path| fs::read_to_string(path).map_err(|e| e.to_string()))
}

fn folder(files: &[(&str, &str)]) -> PathBuf {
    let folder = scratch("fix");
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// The file after the diff, by the plainest way to read one.
fn patched(text: &str, diff: &str) -> String {
    let old: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut out, mut at) = (String::new(), 0);
    for line in diff.split_inclusive('\n').skip(2) {
        if let Some(header) = line.strip_prefix("@@ -") {
            let start: usize = header.split(',').next().unwrap().parse().unwrap();
            out.push_str(&old[at..start - 1].concat());
            at = start - 1;
            continue;
        }
        match line.split_at(1) {
            ("+", added) => out.push_str(added),
            ("-", gone) => {
                assert_eq!(old[at], gone);
                at += 1;
            }
            (" ", kept) => {
                assert_eq!(old[at], kept);
                out.push_str(kept);
                at += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    out + &old[at..].concat()
}

#[test]
fn a_pin_goes_to_the_smallest_release_against_which_nothing_is_known() {
    let text = "# pins\nhttpx==0.27.0\nlitellm==1.82.7 \\\n    --hash=sha256:8395c3268d5c5dbae1c7c6d4bb3c318c752ba4608cfcd90eb97ffb94a910eac2\nrich==13.0\n";
    let folder = folder(&[("requirements.txt", text)]);
    let found = proposal(&folder);
    let after = patched(text, &found.diff);
    assert_eq!(after, "# pins\nhttpx==0.27.0\nlitellm==1.83.7\nrich==13.0\n");
    assert!(found.notes.iter().any(|note| note.contains("hashes")), "{:?}", found.notes);
    fs::write(folder.join("requirements.txt"), after).unwrap();
    let again = guard::audit(&Ask { paths: vec![folder], terms: terms() }, &Advisories::built_in());
    assert_ne!(again.outcome, Outcome::Affected, "{:?}", again.findings);
}

#[test]
fn a_range_that_lets_bad_releases_in_is_narrowed() {
    let text = "[project]\ndependencies = [\n    \"litellm[proxy]>=1.80\",\n    \"rich\",\n]\n";
    let folder = folder(&[("pyproject.toml", text)]);
    let after = patched(text, &proposal(&folder).diff);
    assert!(after.contains("\"litellm[proxy]>=1.80,!=1.82.7,!=1.82.8\","), "{after}");
    fs::write(folder.join("pyproject.toml"), after).unwrap();
    assert!(proposal(&folder).diff.is_empty(), "once is enough");
}

#[test]
fn several_requirements_on_one_line_are_each_changed() {
    let text = "[project]\ndependencies = [\"litellm>=1.80\", \"requests==2.19.0\"]\n";
    let after = patched(text, &proposal(&folder(&[("pyproject.toml", text)])).diff);
    assert!(after.contains("\"litellm>=1.80,!=1.82.7,!=1.82.8\", \"requests==2.3"), "{after}");
}

#[test]
fn a_lock_belongs_to_its_tool_and_gets_a_command() {
    let uv = include_str!("../../testdata/formats/uv.lock").replace("VERSION", "1.82.8");
    let found = proposal(&folder(&[("uv.lock", &uv)]));
    assert!(found.diff.is_empty());
    assert!(
        found.notes[0].contains("uv lock --upgrade-package 'litellm==1.83.7'"),
        "{:?}",
        found.notes
    );
    let cargo =
        include_str!("../../testdata/formats/package-lock.json").replace("VERSION", "1.14.1");
    let found = proposal(&folder(&[("package-lock.json", &cargo)]));
    assert!(found.notes.iter().any(|note| note.contains("axios")), "{:?}", found.notes);
}

#[test]
fn where_no_safe_release_is_known_it_says_so() {
    let found = proposal(&folder(&[("requirements.txt", "telnyx==4.87.1\n")]));
    assert!(found.diff.is_empty(), "{}", found.diff);
    assert!(
        found.notes[0].contains("telnyx 4.87.1") && found.notes[0].contains("no advisory names")
    );
}

#[test]
fn nothing_bad_needs_no_change() {
    let found = proposal(&folder(&[("requirements.txt", "thing==1.0\n")]));
    assert_eq!((found.notes.len(), found.diff.as_str()), (1, ""));
    assert!(found.text().starts_with("# nothing to propose"));
}
