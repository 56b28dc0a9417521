//! A file of a package, as its code is judged.

use pycode::fact::{Deed, Summary};
use std::path::{Component, Path, PathBuf};

/// Gives the content of a file of the package, if it is there.
pub(crate) type Open<'o> = &'o dyn Fn(&Path) -> Option<Vec<u8>>;

/// A file of a package, as its code is named in imports.
pub(crate) struct Part<'a> {
    /// `package.module`; for a program that is run by itself, nothing.
    pub(crate) module: String,
    /// Where it is.
    pub(crate) path: &'a Path,
    /// What it does.
    pub(crate) summary: &'a Summary,
}

/// Conduct that is harm wherever it is.
pub(super) const HARM: [Deed; 5] = [
    Deed::ExecutesHidden,
    Deed::ExecutesFetched,
    Deed::ExecutesMedia,
    Deed::SendsSecrets,
    Deed::GivesShell,
];

/// The file that a path in the code of `file` names.
pub(super) fn place_of(file: &Path, named: &str) -> Option<PathBuf> {
    let named = named.strip_suffix(" (silenced)").unwrap_or(named);
    let folder = file.parent()?;
    let inside = match named.split_once("\u{fffc}here") {
        Some((_, inside)) => inside.trim_start_matches('/'),
        // What is before it is known at run time only.
        None => named.rsplit('\u{fffc}').next()?.trim_start_matches(['/', '.']),
    };
    let mut path = PathBuf::new();
    for part in folder.join(inside).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    Some(path)
}
