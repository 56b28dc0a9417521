//! Every format that is read, with `litellm` in it.

use crate::advisories::LITELLM;
use crate::read;
use guard::advisory::Advisories;
use guard::inventory::{Ecosystem, Source};
use guard::manifest::Format;
use proptest::prelude::*;

/// A small file of each format, `VERSION` standing for litellm's (or axios's).
const FILES: [(Format, &str); 14] = [
    (Format::Requirements, include_str!("../../testdata/formats/requirements.txt")),
    (Format::UvLock, include_str!("../../testdata/formats/uv.lock")),
    (Format::PoetryLock, include_str!("../../testdata/formats/poetry.lock")),
    (Format::PoetryLock, include_str!("../../testdata/formats/poetry-1.lock")),
    (Format::PdmLock, include_str!("../../testdata/formats/pdm.lock")),
    (Format::PipfileLock, include_str!("../../testdata/formats/Pipfile.lock")),
    (Format::Pylock, include_str!("../../testdata/formats/pylock.toml")),
    (Format::Pyproject, include_str!("../../testdata/formats/pyproject.toml")),
    (Format::Pyproject, include_str!("../../testdata/formats/pyproject-poetry.toml")),
    (Format::PackageLock, include_str!("../../testdata/formats/package-lock.json")),
    (Format::PackageLock, include_str!("../../testdata/formats/package-lock-1.json")),
    (Format::PnpmLock, include_str!("../../testdata/formats/pnpm-lock.yaml")),
    (Format::PnpmLock, include_str!("../../testdata/formats/pnpm-lock-6.yaml")),
    (Format::CargoLock, include_str!("../../testdata/formats/Cargo.lock")),
];

fn python_files() -> impl Iterator<Item = &'static (Format, &'static str)> {
    let foreign = [Format::PackageLock, Format::PnpmLock, Format::CargoLock];
    FILES.iter().filter(move |(format, _)| !foreign.contains(format))
}

#[test]
fn litellm_is_judged_on_both_axes_in_every_format() {
    let advisories = Advisories::built_in();
    for (format, text) in python_files() {
        for (version, malicious, vulnerable) in LITELLM {
            let reading = read(*format, &text.replace("VERSION", version)).unwrap();
            assert!(reading.gaps.is_empty(), "{format:?}: {:?}", reading.gaps);
            let package = reading.packages.iter().find(|p| p.name == "litellm").unwrap();
            let found = package.version.as_ref().unwrap();
            assert_eq!(found.text(), version, "{format:?}");
            let hits = advisories.hits(Ecosystem::PyPi, "litellm", found);
            let judged =
                (hits.iter().any(|hit| hit.malicious), hits.iter().any(|hit| !hit.malicious));
            assert_eq!(judged, (malicious, vulnerable), "{format:?} {version}");
        }
    }
}

#[test]
fn the_line_is_where_the_package_stands() {
    for (format, text) in FILES {
        let text = text.replace("VERSION", "1.14.1");
        let reading = read(format, &text).unwrap();
        assert!(!reading.packages.is_empty(), "{format:?}");
        for package in &reading.packages {
            let line = text.lines().nth(package.place.line as usize - 1).unwrap();
            let near =
                format!("{line}{}", text.lines().nth(package.place.line as usize).unwrap_or(""));
            // A value in JSON begins behind its name, on the same line.
            assert!(near.to_lowercase().contains(&package.name), "{format:?} {package:?}: {line}");
        }
    }
}

#[test]
fn who_brought_a_package_in_is_known_where_the_file_says_it() {
    for (format, text) in FILES {
        let reading = read(format, &text.replace("VERSION", "1.83.7")).unwrap();
        let known =
            !matches!(format, Format::Requirements | Format::Pyproject | Format::PipfileLock);
        let name = if python_files().any(|(f, _)| *f == format) { "litellm" } else { "axios" };
        let package = reading.packages.iter().find(|p| p.name == name).unwrap();
        let expected: &[&str] = if known { &["dspy"] } else { &[] };
        assert_eq!(package.introduced_by, expected, "{format:?}");
    }
}

#[test]
fn locks_give_hashes_and_requirements_may() {
    for (format, text) in FILES {
        if format == Format::Pyproject {
            continue;
        }
        let reading = read(format, &text.replace("VERSION", "1.83.7")).unwrap();
        for package in &reading.packages {
            let own = package.source == Source::Own;
            assert_eq!(package.hashes.is_empty(), own, "{format:?} {package:?}");
            assert!(package.hashes.iter().all(guard::inventory::Hash::is_strong), "{format:?}");
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused_with_a_line() {
    for (format, text) in FILES {
        for cut in (0..text.len()).filter_map(|end| text.get(..end)) {
            if let Err(malformed) = read(format, cut) {
                assert!(
                    malformed.line as usize <= text.lines().count() + 1,
                    "{format:?} {malformed}"
                );
                assert!(!malformed.what.is_empty());
            }
        }
    }
}

#[test]
fn no_refusal_shows_a_password() {
    let secret = "https://user:hunter2@h/x";
    for (format, text) in FILES {
        for (from, to) in [("VERSION", secret), ("\n", secret), ("[", secret), ("1.14.1", secret)] {
            let shown = match read(format, &text.replacen(from, to, 3)) {
                Ok(reading) => format!("{:?}{:?}", reading.gaps, reading.findings),
                Err(malformed) => malformed.to_string(),
            };
            assert!(!shown.contains("hunter2"), "{format:?}: {shown}");
        }
    }
    let typed = format!("[[package]]\nname = 'a'\nversion = '1'\nwheels = '{secret}'\n");
    let refused = read(Format::UvLock, &typed).unwrap_err().to_string();
    assert!(!refused.contains("hunter2"), "{refused}");
}

/// A file with some of its bytes replaced, doubled or gone.
fn mutated() -> impl Strategy<Value = (Format, String)> {
    let edit = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        "[\\[\\]{}=:\"'#\\\\/@ \n\t.,a0é-]{0,4}",
    );
    (0..FILES.len(), prop::collection::vec(edit, 1..6)).prop_map(|(file, edits)| {
        let (format, text) = FILES[file];
        let mut letters: Vec<char> = text.chars().collect();
        for (from, length, with) in edits {
            let from = from.index(letters.len().max(1)).min(letters.len());
            let to = (from + length.index(12)).min(letters.len());
            letters.splice(from..to, with.chars());
        }
        (format, letters.into_iter().collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_file_never_panics((format, text) in mutated()) {
        if let Err(malformed) = read(format, &text) {
            prop_assert!(malformed.line as usize <= text.lines().count() + 1);
        }
    }
}
