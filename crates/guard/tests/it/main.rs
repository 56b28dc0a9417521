//! The guard, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says what it skips"
)]

mod advisories;
mod formats;
mod packaging;
mod shared;

use guard::inventory::Place;
use guard::manifest::{Format, Malformed, Reading};
use std::path::{Path, PathBuf};

/// The data given beside the project, where it is there.
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/supply-chain");
    let found =
        [path, Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/supply-chain")]
            .into_iter()
            .find(|path| path.is_dir());
    if found.is_none() {
        println!("SKIPPED: there is no ../shared/data/supply-chain");
    }
    found
}

/// What `text` says as a file of `format` that names no other file.
fn read(format: Format, text: &str) -> Result<Reading, Malformed> {
    format.read(text, &Place::whole("the/file"), &|path| Err(format!("no {}", path.display())))
}
