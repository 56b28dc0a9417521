//! Python's `packaging` is the oracle for versions, specifiers, requirements
//! and markers: its answers are stored by scripts/vectors.py.

use guard::inventory::Ecosystem;
use guard::python::{Requirement, Specifiers, marker};
use guard::version::{Version, pep440};
use serde_json::Value;
use std::cmp::Ordering;

/// The stored answers, and those in the files that GUARD_VECTORS names.
fn oracles() -> Vec<Value> {
    let stored = include_str!("../../testdata/packaging.json").to_owned();
    let more = std::env::var_os("GUARD_VECTORS");
    if more.is_none() {
        println!("SKIPPED: answers asked for anew (GUARD_VECTORS names no file)");
    }
    let more = more.iter().flat_map(std::env::split_paths);
    let more = more.map(|path| std::fs::read_to_string(path).unwrap());
    std::iter::once(stored).chain(more).map(|t| serde_json::from_str(&t).unwrap()).collect()
}

fn rows<'v>(oracle: &'v Value, name: &str) -> &'v Vec<Value> {
    let rows = oracle[name].as_array().unwrap();
    assert!(!rows.is_empty());
    rows
}

/// A number that no distribution has: we stop at 64 bits, Python does not.
fn is_beyond_64_bits(text: &str) -> bool {
    text.split(|l: char| !l.is_ascii_digit())
        .any(|digits| !digits.is_empty() && digits.trim_start_matches('0').len() >= 20)
}

#[test]
fn versions_are_ordered_as_packaging_orders_them() {
    for oracle in oracles() {
        let ranked: Vec<(Version, i64, &str)> = rows(&oracle, "versions")
            .iter()
            .filter(|row| !is_beyond_64_bits(row[0].as_str().unwrap()))
            .map(|row| {
                let text = row[0].as_str().unwrap();
                let version = Version::read(Ecosystem::PyPi, text);
                assert!(version.is_ordered(), "{text:?} is a version");
                (version, row[1].as_i64().unwrap(), row[2].as_str().unwrap())
            })
            .collect();
        for (a, a_rank, normal) in &ranked {
            assert_eq!(&a.as_pep440().unwrap().to_string(), normal);
            for (b, b_rank, _) in &ranked {
                let ours = a.as_pep440().cmp(&b.as_pep440());
                assert_eq!(ours, a_rank.cmp(b_rank), "{} against {}", a.text(), b.text());
                assert_eq!(ours == Ordering::Equal, a == b);
            }
        }
        for text in rows(&oracle, "not_versions") {
            let text = text.as_str().unwrap();
            assert!(pep440(text).is_none(), "{text:?} is no version");
        }
    }
}

#[test]
fn specifiers_admit_what_packaging_admits() {
    for oracle in oracles() {
        let sample: Vec<&str> =
            rows(&oracle, "sample").iter().map(|v| v.as_str().unwrap()).collect();
        for row in rows(&oracle, "specifiers") {
            let text = row[0].as_str().unwrap();
            if is_beyond_64_bits(text) {
                continue;
            }
            let ours = Specifiers::read(text);
            let Some(expected) = row[1].as_str() else {
                assert!(ours.is_err(), "{text:?} is no specifier");
                continue;
            };
            let ours = ours.unwrap_or_else(|part| panic!("{text:?} is a specifier, {part:?}"));
            for (version, expected) in sample.iter().zip(expected.bytes()) {
                // `===` compares text, and no file gives a version with blanks around it.
                let blanks = text.contains("===") && version.trim() != *version;
                if is_beyond_64_bits(version) || blanks {
                    continue;
                }
                let admitted = ours.admit(&Version::read(Ecosystem::PyPi, version));
                assert_eq!(admitted, expected == b'1', "{version} in {text:?}");
            }
        }
    }
}

#[test]
fn each_version_is_held_to_each_specifier_as_packagings_own_tests_do() {
    for oracle in oracles() {
        for row in oracle["pairs"].as_array().unwrap() {
            let [text, version] = [0, 1].map(|at| row[at].as_str().unwrap());
            if is_beyond_64_bits(text) || is_beyond_64_bits(version) {
                continue;
            }
            let ours = Specifiers::read(text)
                .unwrap_or_else(|part| panic!("{text:?} is a specifier, {part:?}"));
            let admitted = ours.admit(&Version::read(Ecosystem::PyPi, version));
            assert_eq!(admitted, row[2].as_bool().unwrap(), "{version} in {text:?}");
        }
    }
}

#[test]
fn requirements_are_read_as_packaging_reads_them() {
    for oracle in oracles() {
        for row in rows(&oracle, "requirements") {
            let text = row[0].as_str().unwrap();
            if is_beyond_64_bits(text) {
                continue;
            }
            let ours = Requirement::read(text);
            let expected = &row[1];
            if expected.is_null() {
                assert!(ours.is_err(), "{text:?} is no requirement: {ours:?}");
                continue;
            }
            let ours = ours.unwrap_or_else(|why| panic!("{text:?} is a requirement: {why}"));
            assert_eq!(ours.name, expected["name"].as_str().unwrap(), "{text:?}");
            let mut extras = ours.extras.clone();
            extras.sort();
            extras.dedup();
            assert_eq!(serde_json::json!(extras), expected["extras"], "{text:?}");
            assert_eq!(ours.url.as_deref(), expected["url"].as_str(), "{text:?}");
            assert_eq!(ours.marker.is_some(), expected["marker"].as_bool().unwrap(), "{text:?}");
            let mut parts: Vec<String> =
                ours.specifiers.parts().iter().map(|part| part.to_ascii_lowercase()).collect();
            parts.sort();
            parts.dedup();
            let theirs = expected["specifiers"].as_array().unwrap();
            assert_eq!(parts.len(), theirs.len(), "{text:?}: {parts:?} and {theirs:?}");
        }
    }
}

#[test]
fn markers_are_accepted_as_packaging_accepts_them() {
    for oracle in oracles() {
        for row in rows(&oracle, "markers") {
            let text = row[0].as_str().unwrap();
            assert_eq!(marker::is_valid(text), row[1].as_bool().unwrap(), "{text:?}");
        }
    }
}
