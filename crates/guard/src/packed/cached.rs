//! What the caches of installers hold, and what they noted of it.
//!
//! pip keeps what it fetched as answers (`http-v2`: a body in a file of its
//! own; before that `http`: head and body as one MessagePack), and wheels that
//! it built in `wheels`, each with a note of the archive that it was built
//! from. Poetry keeps both side by side. uv unpacks wheels and notes their
//! digests. A note is only as good as whoever may write to the cache.

use super::msgpack::{Reader, Value};
use super::{Content, gap, sha256_of};
use crate::copies::{self, Copied, Made};
use crate::files;
use crate::finding::Why;
use crate::installed::origin;
use crate::inventory::{Ecosystem, Hash, Package, Place, Source};
use crate::manifest::Reading;
use crate::python::artefact;
use crate::version::Version;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The largest note that is read, in bytes.
const NOTE_MAX_BYTES: u64 = 1 << 20;
/// How far into an answer of pip's older cache its body may begin, in bytes.
const HEAD_MAX_BYTES: u64 = 64 << 10;
/// Digests that a note may have; uv writes one or two.
const DIGESTS_MAX: usize = 16;

/// Returns true if uv notes at `path` what it made of a wheel or a source archive.
pub(crate) fn is_note(path: &Path) -> bool {
    let ends = path.extension().is_some_and(|ending| ending == "http" || ending == "rev");
    ends && kind_of_note(path).is_some()
}

/// What uv keeps in the folder that `path` lies in, and the parts of the path
/// below it.
fn kind_of_note(path: &Path) -> Option<(bool, Vec<&str>)> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let is_version = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let at = parts.iter().rposition(|part| {
        ["wheels-v", "sdists-v"].iter().any(|kind| part.strip_prefix(kind).is_some_and(is_version))
    })?;
    let is_wheel = parts.get(at)?.starts_with("wheels");
    Some((is_wheel, parts.get(at + 1..)?.to_vec()))
}

/// The copy that uv's note at `path` is about.
pub(super) fn note(path: &Path) -> Reading {
    let bytes = match files::met(path, NOTE_MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(why) => return gap(path, Why::Unreadable, &why),
    };
    // One of another edition of uv has no digest that is read: a gap where the
    // release is pinned, and nothing to anybody else.
    let (hashes, file) = archive_of(&bytes).unwrap_or_default();
    let Some((name, version)) = named(path, file) else { return Reading::default() };
    let copied = Copied {
        name: crate::name::pep503(&name),
        version: Version::read(Ecosystem::PyPi, &version),
        place: Place::whole(path),
        made: Made::Unpacked,
        sha256: copies::sha256(&hashes),
        tags: Vec::new(),
        rows: Vec::new(),
    };
    Reading { copies: vec![copied], ..Reading::default() }
}

/// The release that a note is about: by the name of the file that it gives, or
/// by the folders that it lies in. Sources that no lock pins have none.
fn named(path: &Path, file: Option<&str>) -> Option<(String, String)> {
    let own = |(name, version): (&str, &str)| (name.to_owned(), version.to_owned());
    if let Some(named) = file.and_then(artefact::name_and_version) {
        return Some(own(named));
    }
    let (is_wheel, below) = kind_of_note(path)?;
    match (is_wheel, below.as_slice()) {
        (true, [.., name, file]) => {
            let (stem, _) = file.rsplit_once('.')?;
            let whole = format!("{stem}.whl");
            let named = artefact::name_and_version(&whole).map(own);
            named.or_else(|| Some(own((name, file.split('-').next()?))))
        }
        // pypi/NAME/VERSION/revision.http, index/ID/NAME/VERSION/revision.http
        (false, ["pypi", name, version, _] | ["index", _, name, version, _]) => {
            own((name, version)).into()
        }
        _ => None,
    }
}

/// The digests in a note, and the name of the file: `[id, [{"Sha256": "…"}],
/// file, …]`, or the same behind a time.
fn archive_of(bytes: &[u8]) -> Option<(Vec<Hash>, Option<&str>)> {
    let mut reader = Reader::new(bytes);
    let Value::Array(mut count) = reader.next()? else { return None };
    let mut first = reader.next()?;
    if !matches!(first, Value::Text(_)) {
        // The time at which a local file was changed comes before it.
        let mut again = Reader::new(bytes.get(1..)?);
        again.skip()?;
        let mut inner = Reader::new(bytes.get(1 + again.at()..)?);
        let Value::Array(inside) = inner.next()? else { return None };
        (count, first, reader) = (inside, inner.next()?, inner);
    }
    let (Value::Text(_), 2..) = (first, count) else { return None };
    let Value::Array(digests) = reader.next()? else { return None };
    let mut hashes = Vec::new();
    for _ in 0..digests.min(DIGESTS_MAX) {
        let (Value::Map(1) | Value::Array(2)) = reader.next()? else { return None };
        let (Value::Text(algorithm), Value::Text(digest)) = (reader.next()?, reader.next()?) else {
            return None;
        };
        let (algorithm, digest) = (algorithm.to_ascii_lowercase(), digest.to_owned());
        hashes.push(Hash { algorithm, digest });
    }
    let file = match reader.next() {
        Some(Value::Text(file)) if count > 2 && digests <= DIGESTS_MAX => Some(file),
        _ => None,
    };
    Some((hashes, file))
}

/// Where in the file at `path` the body of an answer is, if pip's older cache
/// keeps one there that is an archive.
pub(crate) fn body(path: &Path) -> Option<Range<u64>> {
    if !is_old_answer(path) {
        return None;
    }
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_MAX_BYTES).read_to_end(&mut head).ok()?;
    let packed = head.strip_prefix(b"cc=4,")?;
    let mut reader = Reader::new(packed);
    enter(&mut reader, "response")?;
    enter(&mut reader, "body")?;
    let Value::Bytes(length) = reader.next()? else { return None };
    let start = reader.at();
    crate::archive::Shape::of(packed.get(start..)?)?;
    let start = u64::try_from(5 + start).ok()?;
    Some(start..start.checked_add(length)?)
}

/// Enters the map that comes next, up to the value of `key`.
fn enter(reader: &mut Reader<'_>, key: &str) -> Option<()> {
    let Value::Map(count) = reader.next()? else { return None };
    for _ in 0..count {
        if reader.next()? == Value::Text(key) {
            return Some(());
        }
        reader.skip()?;
    }
    None
}

/// Returns true if pip's older cache would keep an answer at `path`:
/// `http/a/b/c/d/e/abcde…`.
fn is_old_answer(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let mut above = path.iter().rev().skip(1).filter_map(|part| part.to_str());
    let letters = above.by_ref().take(5).collect::<Vec<_>>();
    let of_name = name.chars().take(5).map(String::from);
    is_hex(name)
        && name.len() == 56
        && letters.into_iter().rev().eq(of_name)
        && above.next() == Some("http")
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns true if `path` lies in a cache called `name` as pip and Poetry lay them out:
/// `name/ab/cd/ef/012…/file`.
fn is_under(path: &Path, name: &str) -> bool {
    let above: Vec<&str> =
        path.iter().rev().skip(1).filter_map(|part| part.to_str()).take(5).collect();
    let [rest, c, b, a, top] = above.as_slice() else { return false };
    let short = [a, b, c].iter().all(|part| part.len() == 2 && is_hex(part));
    short && rest.len() >= 32 && is_hex(rest) && *top == name
}

/// Notes what kind of copy the wheel at `path` is, of which `sha256` is the
/// digest. One that was built here cannot be in a lock: what it was built from
/// can.
pub(super) fn placed(path: &Path, sha256: &str, reading: &mut Reading) {
    let Some((made, noted)) = made(path) else {
        // Built from a repository or a folder: no lock has a digest of it.
        reading.copies.clear();
        return;
    };
    for copied in &mut reading.copies {
        copied.place = Place::whole(path);
        copied.made = made;
        copied.sha256 = noted.clone().unwrap_or_else(|| vec![sha256.to_owned()]);
    }
}

/// The copy that a source archive at `path` is.
pub(super) fn archive(path: &Path, package: &Package) -> Option<Copied> {
    let cached = is_answer(path) || is_under(path, "artifacts");
    Some(Copied {
        name: package.name.clone(),
        version: package.version.clone()?,
        place: package.place.clone(),
        made: if cached { Made::Cached } else { Made::File },
        sha256: copies::sha256(&package.hashes),
        tags: Vec::new(),
        rows: Vec::new(),
    })
}

fn is_answer(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "body") || is_old_answer(path)
}

/// What kind of copy a wheel at `path` is, and the digests that are noted of
/// it, if they are not its own. Nothing if it was built from what has none.
fn made(path: &Path) -> Option<(Made, Option<Vec<String>>)> {
    if is_answer(path) {
        return Some((Made::Cached, None));
    }
    if is_under(path, "wheels") {
        let noted = path.with_file_name("origin.json");
        let bytes = files::met(&noted, NOTE_MAX_BYTES).unwrap_or_default();
        return match origin(&bytes) {
            Some((Source::Url { .. }, hashes)) => {
                Some((Made::Built, Some(copies::sha256(&hashes))))
            }
            Some(_) => None,
            None => Some((Made::Built, Some(Vec::new()))),
        };
    }
    if is_under(path, "artifacts") {
        return Some(match beside(path) {
            Some(archive) => {
                let content = Content { path: &archive, part: None };
                (Made::Built, Some(sha256_of(&content).into_iter().collect()))
            }
            None => (Made::Cached, None),
        });
    }
    // sdists-v11/pypi/NAME/VERSION/ID/file.whl, and the note two folders up
    if let Some((false, _)) = kind_of_note(path) {
        let noted = ["revision.http", "revision.rev"].iter().find_map(|name| {
            let bytes = files::met(&path.parent()?.parent()?.join(name), NOTE_MAX_BYTES).ok()?;
            archive_of(&bytes).map(|(hashes, _)| copies::sha256(&hashes))
        });
        return Some((Made::Built, Some(noted.unwrap_or_default())));
    }
    Some((Made::File, None))
}

/// The source archive beside a wheel that Poetry built from it.
fn beside(wheel: &Path) -> Option<PathBuf> {
    let of_wheel = artefact::name_and_version(wheel.file_name()?.to_str()?)?;
    let same = |file: &str| {
        let named = artefact::name_and_version(file);
        file.strip_suffix(".whl").is_none()
            && named.is_some_and(|(name, version)| {
                crate::name::pep503(name) == crate::name::pep503(of_wheel.0)
                    && Version::read(Ecosystem::PyPi, version)
                        == Version::read(Ecosystem::PyPi, of_wheel.1)
            })
    };
    let listing = std::fs::read_dir(wheel.parent()?).ok()?;
    let mut found: Vec<PathBuf> = listing
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter(|entry| entry.file_name().to_str().is_some_and(same))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note of uv 0.13: id, digests, file, version, size.
    fn noted(digest: &str) -> Vec<u8> {
        let mut bytes = b"\x95\xb0S9RImonCZ8daq1Yr\x91\x81\xa6Sha256\xd9\x40".to_vec();
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(
            b"\xb8a_b-1.0-py3-none-any.whl\x00\xce\x00\x01\x13\x2a and a policy",
        );
        bytes
    }

    #[test]
    fn notes_of_uv_give_digests_and_the_file() {
        let digest = "ab".repeat(32);
        let bytes = noted(&digest);
        let (hashes, file) = archive_of(&bytes).unwrap();
        assert_eq!(copies::sha256(&hashes), std::slice::from_ref(&digest));
        assert_eq!(file, Some("a_b-1.0-py3-none-any.whl"));
        // Behind a time of two numbers, as for files that lie on the disk.
        let mut local = b"\x92\x92\x01\x02".to_vec();
        local.extend_from_slice(&bytes);
        assert_eq!(copies::sha256(&archive_of(&local).unwrap().0), [digest]);
        for bad in
            [&b""[..], b"\x95", b"\x92\x01\x02", b"\x91\xa1a", b"\xa1a", b"\x92\xa1a\x91\x01"]
        {
            assert!(archive_of(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn where_a_note_lies_says_what_it_is_about() {
        let of = |path: &str| named(Path::new(path), None);
        let pair = |name: &str, version: &str| Some((name.to_owned(), version.to_owned()));
        assert_eq!(of("/c/wheels-v8/pypi/idna/3.10-py3-none-any.http"), pair("idna", "3.10"));
        assert_eq!(of("/c/sdists-v11/pypi/docopt/0.6.2/revision.http"), pair("docopt", "0.6.2"));
        assert_eq!(
            of("/c/sdists-v11/index/ab/docopt/0.6.2/revision.http"),
            pair("docopt", "0.6.2")
        );
        assert_eq!(of("/c/sdists-v11/git/ab/cd/revision.rev"), None);
        assert!(is_note(Path::new("/c/wheels-v8/pypi/idna/3.10-py3-none-any.http")));
        assert!(!is_note(Path::new("/c/wheels-vx/a.http")) && !is_note(Path::new("/c/a.http")));
    }

    proptest::proptest! {
        #[test]
        fn no_note_panics(mut bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120), array in proptest::bool::ANY) {
            if array && let Some(first) = bytes.first_mut() {
                *first = 0x95;
            }
            let few = |(hashes, _): (Vec<Hash>, Option<&str>)| hashes.len() <= DIGESTS_MAX;
            proptest::prop_assert!(archive_of(&bytes).is_none_or(few));
            let mut whole = noted(&"ab".repeat(32));
            for (at, byte) in bytes.iter().enumerate() {
                if let Some(there) = whole.get_mut(usize::from(*byte)) {
                    *there = u8::try_from(at).unwrap_or_default();
                }
            }
            proptest::prop_assert!(archive_of(&whole).is_none_or(few));
        }
    }
}
