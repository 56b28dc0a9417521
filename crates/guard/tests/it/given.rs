//! The files given beside the project: what each one holds, in full.
//!
//! testdata/given.txt was compared with other readers of the same files, by
//! scripts/given.py, and by eye; GUARD_REWRITE=1 writes it anew, for a look at
//! what differs.

use crate::{scratch, shared, terms};
use guard::inventory::{Place, Source};
use guard::manifest::{Format, Reading};
use guard::{Advisories, Ask};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What lies in a folder of the data.
enum Holds {
    /// Files of one format, whatever their names.
    All(Format),
    /// Files that their names or their texts tell, as in an audit of each.
    Named,
    /// Metadata of installed distributions.
    Metadata,
}

const FOLDERS: &[(&str, Holds)] = &[
    ("osv-scalibr/javascript/packagelockjson", Holds::All(Format::PackageLock)),
    ("osv-scalibr/python/condameta", Holds::All(Format::CondaMeta)),
    ("osv-scalibr/python/pdmlock", Holds::All(Format::PdmLock)),
    ("osv-scalibr/python/pipfilelock", Holds::All(Format::PipfileLock)),
    ("osv-scalibr/python/poetrylock", Holds::All(Format::PoetryLock)),
    ("osv-scalibr/python/pylock", Holds::All(Format::Pylock)),
    ("osv-scalibr/python/pyprojecttoml", Holds::All(Format::Pyproject)),
    ("osv-scalibr/python/requirements", Holds::All(Format::Requirements)),
    ("osv-scalibr/python/setup", Holds::Named),
    ("osv-scalibr/python/uvlock", Holds::All(Format::UvLock)),
    ("osv-scalibr/python/wheelegg", Holds::Metadata),
    ("osv-scalibr/rust/cargolock", Holds::All(Format::CargoLock)),
    ("osv-scanner", Holds::Named),
    ("packaging/metadata", Holds::Metadata),
    ("packaging/pylock", Holds::All(Format::Pylock)),
    ("pip-audit-pylock", Holds::All(Format::Pylock)),
    ("uv-requirements-txt/requirements-txt", Holds::All(Format::Requirements)),
];

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if !path.file_name().unwrap().to_str().unwrap().starts_with("LICENSE") {
            found.push(path);
        }
    }
    found
}

/// `name version`, `name >=1` or `name`, and where it comes from if not from a registry.
fn shown(reading: &Reading) -> Vec<String> {
    let mut lines: Vec<String> = reading
        .packages
        .iter()
        .map(|p| {
            let mut line = p.name.clone();
            if let Some(version) = &p.version {
                write!(line, " {}", version.text()).unwrap();
            } else if let Some(range) = &p.range {
                write!(line, " {range}").unwrap();
            }
            match &p.source {
                Source::Registry { .. } => {}
                Source::Url { .. } => line.push_str(" (address)"),
                Source::Vcs { .. } => line.push_str(" (repository)"),
                Source::Path { .. } => line.push_str(" (path)"),
                Source::Conda { .. } => line.push_str(" (conda)"),
                Source::Own => line.push_str(" (own)"),
            }
            line
        })
        .chain(reading.gaps.iter().map(|gap| format!("? {:?}", gap.why)))
        .collect();
    lines.sort();
    lines
}

fn read(path: &Path, holds: &Holds) -> Vec<String> {
    let Ok(text) = fs::read_to_string(path) else { return vec!["not text".to_owned()] };
    let format = match holds {
        Holds::Metadata => return installed(path, &text),
        Holds::All(format) => Some(*format),
        Holds::Named => Format::of(path).or_else(|| Format::of_text(path, &text)),
    };
    let Some(format) = format else { return vec!["not read".to_owned()] };
    let open = |named: &Path| fs::read_to_string(named).map_err(|e| e.kind().to_string());
    match format.read(&text, &Place::whole(path), &open) {
        Ok(reading) => shown(&reading),
        Err(_) => vec!["refused".to_owned()],
    }
}

/// What an audit says of an environment with this metadata in it.
fn installed(path: &Path, text: &str) -> Vec<String> {
    let site = scratch("given").join("lib/python3.12/site-packages");
    let info = site.join("thing-0.dist-info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("METADATA"), text).unwrap();
    fs::write(info.join("RECORD"), "").unwrap();
    let ask = Ask { paths: vec![site.clone()], terms: terms() };
    let report = guard::audit(&ask, &Advisories::built_in());
    fs::remove_dir_all(site.ancestors().nth(2).unwrap()).unwrap();
    let mut reading = Reading::default();
    reading.packages.extend(report.inventory);
    let mut lines = shown(&reading);
    if lines.is_empty() {
        assert!(!report.gaps.is_empty(), "{} is neither read nor a gap", path.display());
        lines.push("refused".to_owned());
    }
    lines
}

#[test]
fn every_given_file_holds_what_it_is_expected_to_hold() {
    let Some(shared) = shared() else { return };
    let mut found = BTreeMap::new();
    for (folder, holds) in FOLDERS {
        for path in files_below(&shared.join(folder)) {
            let name = path.strip_prefix(&shared).unwrap().to_str().unwrap().to_owned();
            found.insert(name, read(&path, holds));
        }
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/given.txt");
    if std::env::var_os("GUARD_REWRITE").is_some() {
        let mut text = String::new();
        for (file, lines) in &found {
            writeln!(text, "{file}").unwrap();
            for line in lines {
                writeln!(text, "    {line}").unwrap();
            }
        }
        fs::write(&golden, text).unwrap();
    }
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut file = String::new();
    for line in fs::read_to_string(&golden).unwrap().lines() {
        if let Some(package) = line.strip_prefix("    ") {
            expected.get_mut(&file).unwrap().push(package.to_owned());
        } else {
            line.clone_into(&mut file);
            expected.insert(file.clone(), Vec::new());
        }
    }
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "files that nobody expected, or that are gone"
    );
    for (file, lines) in &expected {
        assert_eq!(&found[file], lines, "{file}");
    }
}

#[test]
fn given_package_urls_are_read_as_their_standard_says() {
    let Some(shared) = shared() else { return };
    let mut read_urls = 0;
    for file in files_below(&shared.join("purl")) {
        let given: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        for test in given["tests"].as_array().unwrap() {
            if test["test_type"] != "parse" {
                continue;
            }
            let (url, expected) = (test["input"].as_str().unwrap(), &test["expected_output"]);
            let bill = serde_json::json!({
                "bomFormat": "CycloneDX", "specVersion": "1.6",
                "components": [{ "type": "library", "name": "x", "purl": url }],
            });
            let reading = crate::read(Format::Sbom, &bill.to_string()).unwrap();
            if test["expected_failure"] == true {
                // What is wrong behind the version is nothing to us.
                let after = url.contains('?');
                assert!(after || reading.packages.is_empty(), "{url}: {:?}", reading.packages);
                continue;
            }
            let [package] = &reading.packages[..] else { panic!("{url}: {:?}", reading.gaps) };
            let name = match (expected["namespace"].as_str(), expected["name"].as_str()) {
                (Some(space), Some(name)) => format!("{space}/{name}"),
                (_, name) => name.unwrap().to_owned(),
            };
            assert_eq!(package.name, name, "{url}");
            let version = package.version.as_ref().map(guard::version::Version::text);
            assert_eq!(version, expected["version"].as_str(), "{url}");
            read_urls += 1;
        }
    }
    assert!(read_urls >= 14, "{read_urls}");
}
