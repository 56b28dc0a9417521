//! The guard, from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and says what it skips"
)]

mod advisories;
mod archive;
mod closed;
mod conduct;
mod copies;
mod environment;
mod fix;
mod formats;
mod given;
mod graph;
mod host;
mod images;
mod kinds;
mod links;
mod outcomes;
mod packaging;
mod packed;
mod pin;
mod places;
mod policy;
mod recorded;
mod release;
mod render;
mod secrets;
mod shared;
mod stored;
mod wheels;

use guard::inventory::Place;
use guard::judge::Terms;
use guard::manifest::{Format, Malformed, Reading};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// 2026-11-22, 00:00 UTC, with a week for advisories and three days for news.
fn terms() -> Terms {
    let now_ms = 1_795_305_600_000;
    let day_ms = 86_400_000;
    Terms { now_ms, advisory_age_max_ms: 7 * day_ms, recent_since_ms: now_ms - 3 * day_ms }
}

/// The report as a table in one line: where a line is wrapped depends on the
/// length of the checkout's path.
fn unwrapped(report: &guard::Report) -> String {
    guard::render::table(report).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An empty folder of this test run's own.
fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
