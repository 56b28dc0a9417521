//! Who brought a package in: the edges that locks and installed metadata
//! record, from what was asked for to what came with it.

use crate::inventory::{Package, Standing};
use std::path::Path;

/// The file or folder whose packages need each other: the lock file, or the
/// folder into which the package is installed.
pub(crate) fn file_of(package: &Package) -> &Path {
    let file = &package.place.file;
    match package.standing {
        Standing::Installed => file.parent().unwrap_or(file),
        Standing::Locked | Standing::Asked => file,
    }
}
