//! The lock files given beside the project: what each is expected to hold.

use crate::{read, shared};
use guard::manifest::Format;
use std::fs;
use std::path::Path;

/// A file, its format, and its packages as `name version` (`name` if it has
/// none); nothing where it must be refused.
type Case = (&'static str, Format, Option<&'static [&'static str]>);

const CASES: &[Case] = &[
    ("uvlock/source-git.lock", Format::UvLock, Some(&["ruff 0.8.1", "uv-lockfiles 0.1.0"])),
    ("uvlock/one-package.lock", Format::UvLock, Some(&["emoji 2.14.0", "uv-lockfiles 0.1.0"])),
    ("uvlock/no-packages.lock", Format::UvLock, Some(&[])),
    ("uvlock/not-toml.txt", Format::UvLock, None),
    ("poetrylock/one-package.lock", Format::PoetryLock, Some(&["numpy 1.23.3"])),
    ("poetrylock/one-package-with-metadata.lock", Format::PoetryLock, Some(&["emoji 2.0.0"])),
    ("poetrylock/source-git.lock", Format::PoetryLock, Some(&["ike 0.2.0"])),
    ("poetrylock/source-legacy.lock", Format::PoetryLock, Some(&["appdirs 1.4.4"])),
    ("poetrylock/empty-file.lock", Format::PoetryLock, None),
    ("poetrylock/not-toml.txt", Format::PoetryLock, None),
    ("pdmlock/git-dependency.toml", Format::PdmLock, Some(&["toml 0.10.2"])),
    ("pdmlock/two-packages.toml", Format::PdmLock, Some(&["six 1.16.0", "toml 0.10.2"])),
    ("pdmlock/not-toml.txt", Format::PdmLock, None),
    ("pipfilelock/one-package.json", Format::PipfileLock, Some(&["markupsafe 2.1.1"])),
    ("pipfilelock/empty.json", Format::PipfileLock, Some(&[])),
    ("pipfilelock/empty-file", Format::PipfileLock, None),
    ("pipfilelock/not-json.txt", Format::PipfileLock, None),
    ("pylock/not-toml.txt", Format::Pylock, None),
    ("pylock/empty.toml", Format::Pylock, None),
    (
        "requirements/with_versions.txt",
        Format::Requirements,
        Some(&[
            "asdf",
            "combination-also-valid",
            "hy-phen 1.2",
            "newspaper3k",
            "nltk 3.2.2",
            "pkg",
            "pkg-dot-name 5.0.0",
            "qwerty 0.1",
            "tabulate 0.7.7",
            "under-score 1.3",
            "yolo 1.0",
        ]),
    ),
    ("requirements/extras.txt", Format::Requirements, Some(&["celery 4.4.7", "pyjwt 2.1.0"])),
    (
        "requirements/comments.txt",
        Format::Requirements,
        Some(&["gmpy2 1", "pycrypto 1.2-alpha", "requests 1.0", "six 1.2", "sympy 1.2"]),
    ),
];

fn names(text: &str, format: Format) -> Option<Vec<String>> {
    let reading = read(format, text).ok()?;
    let mut names: Vec<String> = reading
        .packages
        .iter()
        .map(|p| p.version.as_ref().map_or(p.name.clone(), |v| format!("{} {}", p.name, v.text())))
        .collect();
    names.sort();
    Some(names)
}

#[test]
fn given_lock_files_hold_what_they_are_expected_to_hold() {
    let Some(shared) = shared() else { return };
    for (file, format, expected) in CASES {
        let path = shared.join("osv-scalibr/python").join(file);
        let text = fs::read_to_string(&path).unwrap();
        let found = names(&text, *format);
        let expected = expected.map(|names| names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(found, expected, "{file}");
    }
}

#[test]
fn given_pylocks_are_taken_or_refused_as_the_standard_says() {
    let Some(shared) = shared() else { return };
    for (file, valid) in [
        ("pip-audit-pylock/pylock.basic.toml", true),
        ("pip-audit-pylock/pylock.skipped.toml", true),
        ("pip-audit-pylock/pylock.missing-version.toml", false),
        ("pip-audit-pylock/pylock.missing-packages.toml", false),
        ("pip-audit-pylock/pylock.package-missing-name.toml", false),
        ("pip-audit-pylock/pylock.invalid.toml", false),
        ("packaging/pylock/pylock.spec-example.toml", true),
    ] {
        let text = fs::read_to_string(shared.join(file)).unwrap();
        let outcome = read(Format::Pylock, &text);
        assert_eq!(outcome.is_ok(), valid, "{file}: {outcome:?}");
    }
}

/// How many packages a text has by counting its entries, where that is easy.
fn counted(text: &str, format: Format) -> Option<usize> {
    let lines = |start: &str| text.lines().filter(|line| line.trim() == start).count();
    let count = match format {
        Format::UvLock | Format::PoetryLock | Format::PdmLock | Format::CargoLock => {
            Some(lines("[[package]]"))
        }
        Format::Pylock => Some(lines("[[packages]]")),
        _ => None,
    };
    // None at all: the entries are written in another way, or there are none.
    count.filter(|count| *count > 0)
}

#[test]
fn every_given_file_is_read_or_refused_and_its_packages_are_counted() {
    let Some(shared) = shared() else { return };
    let mut read_files = 0;
    for (folder, format) in [
        ("osv-scalibr/python/uvlock", Format::UvLock),
        ("osv-scalibr/python/poetrylock", Format::PoetryLock),
        ("osv-scalibr/python/pdmlock", Format::PdmLock),
        ("osv-scalibr/python/pipfilelock", Format::PipfileLock),
        ("osv-scalibr/python/pylock", Format::Pylock),
        ("osv-scalibr/python/pyprojecttoml", Format::Pyproject),
        ("osv-scalibr/python/requirements", Format::Requirements),
        ("osv-scalibr/javascript/packagelockjson", Format::PackageLock),
        ("osv-scalibr/rust/cargolock", Format::CargoLock),
        ("uv-requirements-txt/requirements-txt", Format::Requirements),
        ("osv-scanner/locks-requirements", Format::Requirements),
    ] {
        for path in files(&shared.join(folder)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let Ok(reading) = read(format, &text) else { continue };
            read_files += 1;
            if let Some(expected) = counted(&text, format) {
                assert_eq!(reading.packages.len(), expected, "{}", path.display());
            }
        }
    }
    assert!(read_files > 90, "{read_files}");
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found
}
