//! What files held when they were last looked at, so that a second audit of
//! the same environment need not open them again.
//!
//! An entry counts only while device, inode, size, time of change *and* time
//! of the inode's change are what they were, to the nanosecond. The last one
//! is set by the kernel at every write, rename and change of times; nobody but
//! root can choose it. What changed within [`SETTLE_MS`] of being read is not
//! kept: another write in the same tick of the clock would not show.
//!
//! A file that is cut, edited or of another version is no cache at all: the
//! last bytes are the SHA-256 of all others. That is against accidents, not
//! against somebody who may write to the folder; such a one can also replace
//! whatever program reads it.

use super::contents::Seen;
use aws_lc_rs::digest::{SHA256, digest};
use pycode::{Role, fact::Summary};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Changed with every change of what is cached or of how code is read.
const FORMAT: &str = concat!("keymoat-guard-cache 4 ", env!("CARGO_PKG_VERSION"));
/// How long ago a file must have changed to be remembered, in milliseconds.
const SETTLE_MS: i64 = 3_000;
/// The largest cache that is read, in bytes.
const FILE_MAX_BYTES: u64 = 512 << 20;

/// What tells one state of a file from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    device: u64,
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
    inode_changed: (i64, i64),
    /// One file may have several names, and its name decides how it is read.
    role: Role,
}

impl State {
    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
    pub(super) fn of(path: &Path, metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
            inode_changed: (metadata.ctime(), metadata.ctime_nsec()),
            role: Role::of(path),
        })
    }

    /// Other systems do not say when an inode changed.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Path, _: &fs::Metadata) -> Option<Self> {
        None
    }

    fn numbers(&self) -> Numbers {
        let Self { device, inode, bytes, changed, inode_changed, role: _ } = *self;
        (device, inode, bytes, changed.0, changed.1, inode_changed.0, inode_changed.1)
    }

    fn new(numbers: Numbers, role: Role) -> Self {
        let (device, inode, bytes, changed, changed_ns, inode_changed, inode_changed_ns) = numbers;
        Self {
            device,
            inode,
            bytes,
            changed: (changed, changed_ns),
            inode_changed: (inode_changed, inode_changed_ns),
            role,
        }
    }

    fn is_settled(&self, now_ms: i64) -> bool {
        let ms = |(seconds, nanos): (i64, i64)| {
            seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
        };
        ms(self.changed).max(ms(self.inode_changed)) < now_ms.saturating_sub(SETTLE_MS)
    }
}

/// A file's state, its SHA-256 in hexadecimal digits, and what it does, if it
/// is Python source. Tens of thousands are read at once: no names, no lists.
type Entry = (Numbers, Role, String, Option<Summary>);
/// A [`State`] but for the role, in order.
type Numbers = (u64, u64, u64, i64, i64, i64, i64);

/// Where what is remembered lies, and what time it is.
#[derive(Clone, Debug)]
pub struct Cache {
    /// The folder; it is made if it is not there.
    pub folder: PathBuf,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What is remembered of one environment.
#[derive(Default)]
pub(super) struct Remembered {
    known: HashMap<State, Seen>,
}

impl Remembered {
    pub(super) fn get(&self, state: &State) -> Option<Seen> {
        self.known.get(state).cloned()
    }
}

impl Cache {
    fn file(&self, site: &Path) -> PathBuf {
        let site = fs::canonicalize(site).unwrap_or_else(|_| site.to_owned());
        self.folder.join(super::sha256_of(site.as_os_str().as_encoded_bytes()))
    }

    /// What is remembered of `site`; nothing if any of it is not as it was written.
    pub(super) fn read(&self, site: &Path) -> Remembered {
        let Some(content) = content(&self.file(site)) else { return Remembered::default() };
        let known = content.into_iter().filter_map(|(numbers, role, sha256, summary)| {
            let seen = Seen { sha256: super::unhex(&sha256)?, summary: summary.map(Arc::new) };
            Some((State::new(numbers, role), seen))
        });
        Remembered { known: known.collect() }
    }

    /// Remembers `all`, replacing what was there. That it cannot be written
    /// costs time at the next audit and nothing else.
    pub(super) fn write<'a>(&self, site: &Path, all: impl Iterator<Item = (State, &'a Seen)>) {
        let settled = all.filter(|(state, _)| state.is_settled(self.now_ms));
        let content: Vec<Entry> = settled
            .map(|(state, seen)| {
                let summary = seen.summary.as_deref().cloned();
                (state.numbers(), state.role, super::hex(&seen.sha256), summary)
            })
            .collect();
        drop(self.replace(&self.file(site), &content));
    }

    fn replace(&self, path: &Path, content: &[Entry]) -> io::Result<()> {
        let mut bytes = FORMAT.as_bytes().to_vec();
        bytes.push(b'\n');
        serde_json::to_writer(&mut bytes, content)?;
        let sum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(sum.as_ref());
        fs::create_dir_all(&self.folder)?;
        // Beside its place, under a name of this process's own, then moved.
        let beside = path.with_extension(std::process::id().to_string());
        let mut file = options().open(&beside)?;
        let written = file.write_all(&bytes).and_then(|()| fs::rename(&beside, path));
        if written.is_err() {
            drop(fs::remove_file(&beside));
        }
        written
    }
}

fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

fn content(path: &Path) -> Option<Vec<Entry>> {
    let bytes = crate::files::bytes(path, FILE_MAX_BYTES).ok()?;
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
    if digest(&SHA256, body).as_ref() != sum {
        return None;
    }
    let body = body.strip_prefix(FORMAT.as_bytes())?.strip_prefix(b"\n")?;
    serde_json::from_slice(body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_just_now_is_not_remembered() {
        let of = |changed, inode_changed| State {
            device: 1,
            inode: 1,
            bytes: 1,
            changed: (changed, 0),
            inode_changed: (inode_changed, 0),
            role: Role::Data,
        };
        assert!(of(90, 90).is_settled(100_000));
        assert!(!of(90, 98).is_settled(100_000));
        assert!(!of(98, 90).is_settled(100_000));
        // A time in the future says nothing.
        assert!(!of(90, 200).is_settled(100_000));
    }
}
