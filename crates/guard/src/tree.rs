//! The one place that reads the disk: bounded, and never through a link that
//! it met on the way.

use crate::manifest::Format;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest lock or requirement file that is read, in bytes.
pub(crate) const FILE_MAX_BYTES: u64 = 64 << 20;
/// Entries of folders that are looked at before a walk stops.
const ENTRIES_MAX: usize = 2_000_000;
/// Folders that hold neither locks nor environments of their own.
const SKIPPED: [&str; 7] =
    [".git", ".hg", ".svn", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache"];

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files of a format that we read.
    pub(crate) manifests: Vec<(PathBuf, Format)>,
    /// Folders into which Python distributions are installed.
    pub(crate) site_dirs: Vec<PathBuf>,
    /// Files that hold packages, and whether somebody named them.
    pub(crate) archives: Vec<(PathBuf, bool)>,
    /// Folders that hold images.
    pub(crate) layouts: Vec<PathBuf>,
    /// What could not be opened, and why.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
    /// Whether the walk stopped before it was through.
    pub(crate) cut_short: bool,
}

/// Everything to audit at `path`, which is a file or a folder to walk through.
pub(crate) fn find(path: &Path, found: &mut Found) {
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(error) => {
            found.unreadable.push((path.to_owned(), reason(&error)));
            return;
        }
    };
    if kind.is_file() {
        match Format::of(path).or_else(|| by_content(path)) {
            Some(format) => found.manifests.push((path.to_owned(), format)),
            None if is_archive(path) => found.archives.push((path.to_owned(), true)),
            None => found.unreadable.push((
                path.to_owned(),
                "its name is that of no lock or requirement file that is read, and it is no archive"
                    .to_owned(),
            )),
        }
        return;
    }
    walk(path, found);
    found.manifests.sort_by(|a, b| a.0.cmp(&b.0));
    found.manifests.dedup();
    found.site_dirs.sort();
    found.site_dirs.dedup();
    found.archives.sort();
    found.layouts.sort();
}

/// The format of a file that is named outright, by what is in it.
fn by_content(path: &Path) -> Option<Format> {
    let known = path.extension().and_then(|ending| ending.to_str());
    if !matches!(known, Some("txt" | "in" | "json" | "jsonc" | "yml" | "yaml")) {
        return None;
    }
    // A file that is no text is what its name says it is, and a gap.
    Format::of_text(path, &text(path).unwrap_or_default())
}

/// Whether the file at `path` begins as an archive does.
fn is_archive(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.is_ok() && crate::archive::Shape::of(&head).is_some()
}

/// Whether a file that is met on the way may hold packages: a wheel, a source
/// archive, or what pip keeps of an answer.
fn may_hold_packages(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.extension().is_some_and(|ending| ending == "body") {
        let of_pip = path.iter().any(|part| part == "http-v2");
        return of_pip && is_archive(path);
    }
    if crate::packed::cached::is_note(path) || crate::packed::cached::body(path).is_some() {
        return true;
    }
    let ends = |with: &str| path.extension().is_some_and(|ending| ending == with);
    ends("whl")
        || (ends("gz") || ends("tgz")) && crate::python::artefact::name_and_version(name).is_some()
}

fn walk(top: &Path, found: &mut Found) {
    let mut folders = vec![top.to_owned()];
    let mut entries = 0;
    while let Some(folder) = folders.pop() {
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) => {
                found.unreadable.push((folder, reason(&error)));
                continue;
            }
        };
        if is_site_dir(&folder) {
            found.site_dirs.push(folder);
            continue;
        }
        if folder.join("oci-layout").is_file() && folder.join("index.json").is_file() {
            found.layouts.push(folder);
            continue;
        }
        let (mut inner, mut unpacked) = (Vec::new(), false);
        for entry in listing.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                found.cut_short = true;
                return;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                let name = entry.file_name();
                let name = name.to_str().unwrap_or_default();
                unpacked |= path.extension().is_some_and(|e| e == "dist-info");
                if !SKIPPED.contains(&name) {
                    inner.push(path);
                }
            } else if !kind.is_file() {
                // Nothing is read through a link, and pipes have no end.
            } else if let Some(format) = Format::of(&path) {
                found.manifests.push((path, format));
            } else if may_hold_packages(&path) {
                found.archives.push((path, false));
            }
        }
        // An unpacked wheel, as the caches of installers keep them.
        if unpacked {
            found.site_dirs.push(folder);
        } else {
            folders.extend(inner);
        }
    }
}

/// Whether distributions are installed into `folder`: by its name, as every
/// installer knows it.
fn is_site_dir(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    matches!(name, Some("site-packages" | "dist-packages"))
}

/// Whether `folder` is what uv's cache keeps of one wheel: `archive-v0/ID`.
pub(crate) fn is_cached(folder: &Path) -> bool {
    let above = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    above.is_some_and(|name| name.starts_with("archive-v"))
}

/// The bytes of a file of at most `max_bytes`.
pub(crate) fn bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("it is larger than {} MiB", max_bytes >> 20));
    }
    Ok(bytes)
}

/// The same of a file that nobody named: a pipe, or a device that a link leads
/// to, may keep its reader for ever.
pub(crate) fn met(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let kind = fs::metadata(path).map_err(|error| reason(&error))?;
    if kind.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !kind.is_file() {
        return Err("it is a pipe or a device".to_owned());
    }
    bytes(path, max_bytes)
}

/// The text of a lock or requirement file that somebody named.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    utf8(bytes(path, FILE_MAX_BYTES)?)
}

/// The text of one that nobody named.
pub(crate) fn met_text(path: &Path) -> Result<String, String> {
    utf8(met(path, FILE_MAX_BYTES)?)
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
