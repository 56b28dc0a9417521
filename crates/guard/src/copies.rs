//! Copies of one release that lie about: files of it in a folder or a cache,
//! what an installer unpacked of them, what is installed.
//!
//! Kept beside the packages so that they can be compared with each other and
//! with the locks of the same audit. Pure: whoever meets a copy says what it is.

use crate::inventory::{Hash, Place};
use crate::version::Version;
use std::path::{Component, Path, PathBuf};

/// What a copy is, and with that what its digests are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Made {
    /// An artefact that lies in a folder; its own digest.
    File,
    /// An artefact in the cache of an installer; its own digest.
    Cached,
    /// A wheel that an installer built and keeps; the digest of the archive
    /// that it says it built it from.
    Built,
    /// A wheel that an installer unpacked; the digest that it noted of it.
    Unpacked,
    /// Installed; the digest that its installer noted, if any.
    Installed,
}

/// One copy.
#[derive(Clone, Debug)]
pub(crate) struct Copied {
    /// Of what, in the normal spelling.
    pub(crate) name: String,
    /// Of which release.
    pub(crate) version: Version,
    /// Where it is.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) made: Made,
    /// SHA-256 digests, in lower case; see [`Made`].
    pub(crate) sha256: Vec<String>,
    /// The tags in its WHEEL, sorted; none where nothing says.
    pub(crate) tags: Vec<String>,
    /// What its RECORD says of the files that every copy of one build has:
    /// sorted paths and SHA-256 digests.
    pub(crate) rows: Vec<(Box<str>, [u8; 32])>,
}

impl Copied {
    /// `name 1.0`.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.name, self.version.text())
    }
}

/// The SHA-256 digests among `hashes`, in lower case; what is none of 64
/// hexadecimal digits can be nobody's.
pub(crate) fn sha256(hashes: &[Hash]) -> Vec<String> {
    let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let of_sha256 = hashes.iter().filter(|hash| hash.algorithm == "sha256");
    of_sha256
        .map(|hash| hash.digest.trim().to_ascii_lowercase())
        .filter(|text| is_digest(text))
        .collect()
}

/// The rows of a RECORD that every copy of one build has, wherever it is
/// unpacked: not what installers add or move.
pub(crate) fn rows<'r>(
    rows: impl Iterator<Item = (&'r str, [u8; 32])>,
) -> Vec<(Box<str>, [u8; 32])> {
    let mut kept: Vec<(Box<str>, [u8; 32])> =
        rows.filter_map(|(path, sha256)| Some((common(path)?, sha256))).collect();
    kept.sort();
    kept.dedup();
    kept
}

/// The tags in the text of a WHEEL, sorted.
pub(crate) fn tags(wheel: &str) -> Vec<String> {
    let tags = wheel.lines().filter_map(|line| line.strip_prefix("Tag:"));
    let mut tags: Vec<String> = tags.map(|tag| tag.trim().to_owned()).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// The path of a row as it is once installed; nothing for what differs from
/// one installation to the next.
fn common(path: &str) -> Option<Box<str>> {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            Component::Normal(part) => plain.push(part),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let path = plain.to_str()?;
    let (top, inside) = path.split_once('/').unwrap_or((path, ""));
    if top.ends_with(".dist-info") {
        return (inside == "entry_points.txt").then(|| path.into());
    }
    let path = match top.strip_suffix(".data").map(|_| inside.split_once('/')) {
        None => path,
        Some(Some(("purelib" | "platlib", moved))) => moved,
        Some(_) => return None,
    };
    path.strip_suffix(".pyc").is_none().then(|| path.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_installers_add_or_move_is_no_difference() {
        let paths = [
            "a/b.py",
            "./a/../a/c.py",
            "a-1.0.data/purelib/d.py",
            "a-1.0.data/scripts/run",
            "../../../bin/run",
            "/bin/run",
            "a/../../b.py",
            "a/__pycache__/b.cpython-312.pyc",
            "a-1.0.dist-info/INSTALLER",
            "a-1.0.dist-info/entry_points.txt",
        ];
        let kept = rows(paths.iter().map(|path| (*path, [0; 32])));
        let kept: Vec<&str> = kept.iter().map(|(path, _)| &**path).collect();
        assert_eq!(kept, ["a-1.0.dist-info/entry_points.txt", "a/b.py", "a/c.py", "d.py"]);
    }

    #[test]
    fn digests_count_in_any_case_and_only_whole() {
        let of = |text: &str| sha256(&[Hash::read(text).unwrap()]);
        assert_eq!(of(&format!("sha256:{}", "AB".repeat(32))), ["ab".repeat(32)]);
        assert!(
            of("sha256:ab").is_empty() && of(&format!("sha256:{}", "zz".repeat(32))).is_empty()
        );
        assert!(of(&format!("md5:{}", "ab".repeat(16))).is_empty());
        assert_eq!(tags("Wheel-Version: 1.0\nTag: b\nTag: a\nTag: b\n"), ["a", "b"]);
    }
}
