//! Advisories from the disk: an index, one OSV record, or a folder of them.

use super::{Set, compile::Compile, set::NotAnIndex};
use crate::tree;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest index that is read, in bytes.
const INDEX_MAX_BYTES: u64 = 2 << 30;
/// The largest record that is read, in bytes.
const RECORD_MAX_BYTES: u64 = 32 << 20;

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

/// The advisories at `path`: an index, a file with one OSV record, or a folder
/// in which every `.json` file is one.
pub fn read(path: &Path) -> Result<Set, Unusable> {
    let unreadable = |why| Unusable::Unreadable(path.to_owned(), why);
    let kind = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    let mut compile = Compile::default();
    if kind.is_dir() {
        folder(path, &mut compile).map_err(unreadable)?;
    } else {
        let bytes = tree::bytes(path, INDEX_MAX_BYTES).map_err(unreadable)?;
        if bytes.starts_with(b"{\"format\":") {
            return Set::read(bytes.into()).map_err(|why| Unusable::Index(path.to_owned(), why));
        }
        compile.record(&path.display().to_string(), &bytes);
    }
    if compile.records + compile.withdrawn == 0 {
        let why = compile.bad_shown.first().map(|(name, why)| format!("{name}: {why}"));
        return Err(Unusable::Empty(path.to_owned(), why));
    }
    let text = compile.finish(&path.display().to_string());
    Set::read(text.into()).map_err(|why| Unusable::Index(path.to_owned(), why))
}

fn folder(top: &Path, compile: &mut Compile) -> Result<(), String> {
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = fs::read_dir(&folder).map_err(|error| error.to_string())?;
        for entry in listing.flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "json") {
                let name = path.strip_prefix(top).unwrap_or(&path).display().to_string();
                match tree::bytes(&path, RECORD_MAX_BYTES) {
                    Ok(bytes) => compile.record(&name, &bytes),
                    Err(why) => compile.unreadable(&name, why),
                }
            }
        }
    }
    Ok(())
}
