//! The lock files given beside the project, counted apart from what the readers say.

use crate::{read, shared};
use guard::manifest::Format;
use std::fs;
use std::path::Path;

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
