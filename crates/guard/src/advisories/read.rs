//! Advisories from the disk: an index, one OSV record, or a folder or a ZIP of
//! them.

use crate::archive::{self, Limits};
use crate::files;
use advisory::{Set, compile::Compile, set::NotAnIndex};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest index that is read, in bytes.
const INDEX_MAX_BYTES: u64 = 2 << 30;
/// The largest record that is read, in bytes.
const RECORD_MAX_BYTES: u64 = 32 << 20;
/// How an index begins.
const INDEX_HEAD: &[u8] = b"{\"format\":";
/// What no export of all ecosystems together reaches.
const EXPORT: Limits = Limits { members_max: 8_000_000, ..Limits::ARTEFACT };

/// Why there are no advisories at a path.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be opened.
    #[error("{}: {}", .0.display(), .1)]
    Unreadable(PathBuf, String),
    /// It looks like an index and is none.
    #[error("{}: {}", .0.display(), .1)]
    Index(PathBuf, NotAnIndex),
    /// Not one record in it can be used.
    #[error("{}: no OSV record in it can be used{}", .0.display(), .1.as_ref().map(|why| format!(" ({why})")).unwrap_or_default())]
    Empty(PathBuf, Option<String>),
}

/// The advisories at `path`: an index, a file with one record, or a folder or
/// a ZIP (or a folder of ZIPs) in which every `.json`, `.yaml` and `RUSTSEC-….md` file is one.
pub fn read(path: &Path) -> Result<Set, Unusable> {
    let unreadable = |why| Unusable::Unreadable(path.to_owned(), why);
    let index = |why| Unusable::Index(path.to_owned(), why);
    if let Some(bytes) = index_bytes(path).map_err(unreadable)? {
        return Set::read(bytes.into()).map_err(index);
    }
    let mut compile = Compile::default();
    take(path, &mut compile)?;
    let text = compile.finish(&path.display().to_string());
    Set::read(text.into()).map_err(index)
}

/// Adds the records at `path`, which is no index, to `compile`.
pub(super) fn take(path: &Path, compile: &mut Compile) -> Result<(), Unusable> {
    let unreadable = |why| Unusable::Unreadable(path.to_owned(), why);
    let before = compile.records + compile.withdrawn;
    let bad_before = compile.bad_shown.len();
    let kind = fs::metadata(path).map_err(|error| unreadable(files::reason(&error)))?;
    if kind.is_dir() {
        folder(path, compile).map_err(unreadable)?;
    } else {
        let mut head = Vec::new();
        let file = fs::File::open(path).map_err(|error| unreadable(files::reason(&error)))?;
        file.take(INDEX_HEAD.len() as u64)
            .read_to_end(&mut head)
            .map_err(|error| unreadable(files::reason(&error)))?;
        if head.starts_with(b"PK") {
            zip(path, compile).map_err(unreadable)?;
        } else if head == INDEX_HEAD {
            return Err(unreadable(
                "it is an index already; give the export it was made of".into(),
            ));
        } else {
            let bytes = files::bytes(path, RECORD_MAX_BYTES).map_err(unreadable)?;
            compile.record(&path.display().to_string(), &bytes);
        }
    }
    if compile.records + compile.withdrawn > before {
        return Ok(());
    }
    let why = compile.bad_shown.get(bad_before).map(|(name, why)| format!("{name}: {why}"));
    Err(Unusable::Empty(path.to_owned(), why))
}

/// The bytes of an index; nothing if there is something else.
fn index_bytes(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let file = fs::File::open(path).map_err(|error| files::reason(&error))?;
    if file.metadata().is_ok_and(|kind| kind.is_dir()) {
        return Ok(None);
    }
    let mut head = Vec::new();
    let count = INDEX_HEAD.len() as u64;
    file.take(count).read_to_end(&mut head).map_err(|error| files::reason(&error))?;
    if head == INDEX_HEAD { files::bytes(path, INDEX_MAX_BYTES).map(Some) } else { Ok(None) }
}

/// Returns true if a file of this name holds a record.
fn is_record(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = file.rsplit_once('.').map(|(_, ending)| ending);
    match ending {
        Some("json" | "yaml") => true,
        Some("md") => file.starts_with("RUSTSEC-"),
        _ => false,
    }
}

fn zip(path: &Path, compile: &mut Compile) -> Result<(), String> {
    let odd = archive::each(path, &EXPORT, &mut |member, content| {
        if member.kind == archive::Kind::File && is_record(member.name) {
            let bytes = archive::bytes(content, RECORD_MAX_BYTES)?;
            compile.record(member.name, &bytes);
        }
        Ok(())
    })
    .map_err(|broken| broken.to_string())?;
    for odd in odd.into_iter().filter(|odd| odd.what.hides_content()) {
        compile.unreadable(&odd.member, odd.what.to_string());
    }
    Ok(())
}

fn folder(top: &Path, compile: &mut Compile) -> Result<(), String> {
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        for entry in listing.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                // A checkout keeps its own files there.
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                folders.extend((!hidden).then_some(path));
                continue;
            }
            // As other scanners keep their exports.
            if path.extension().is_some_and(|ending| ending == "zip") {
                zip(&path, compile)?;
                continue;
            }
            let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
            if is_record(&name) {
                match files::bytes(&path, RECORD_MAX_BYTES) {
                    Ok(bytes) => compile.record(&name, &bytes),
                    Err(why) => compile.unreadable(&name, why),
                }
            }
        }
    }
    Ok(())
}
