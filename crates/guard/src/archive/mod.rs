//! Archives, read where they lie: ZIP (wheels, exports), tar and gzipped tar
//! (source archives, image layers).
//!
//! Members are handed on one by one, as a name and a stream. Nothing is ever
//! written to the disk, no link is followed, and everything has a limit: an
//! archive that was made to burst is refused, not endured. What is odd about a
//! member (its name leaves the archive, it stands twice, it is encrypted) is
//! told beside the rest, since whoever unpacks it may be fooled where we are
//! not. Not read: .tar.zst, .tar.bz2, .tar.xz, sparse members.

mod name;
mod section;
mod tar;
mod zip;

pub(crate) use section::Section;
pub use tar::each_in_stream;
pub use zip::each_in_bytes;

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

/// Below this many expanded bytes no ratio is held against an archive.
const RATIO_FREE_BYTES: u64 = 64 << 20;

/// How much of an archive is read before it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members, folders and links included.
    pub members_max: usize,
    /// The name of one, in bytes.
    pub name_max_bytes: usize,
    /// All members together, expanded, in bytes.
    pub expanded_max_bytes: u64,
    /// Expanded bytes for each byte of the archive.
    pub ratio_max: u64,
}

impl Limits {
    /// What no honest wheel, source archive or export reaches.
    pub const ARTEFACT: Self = Self {
        members_max: 400_000,
        name_max_bytes: 4096,
        expanded_max_bytes: 16 << 30,
        ratio_max: 200,
    };
    /// What no honest image reaches.
    pub const IMAGE: Self = Self {
        members_max: 4_000_000,
        name_max_bytes: 4096,
        expanded_max_bytes: 128 << 30,
        ratio_max: 500,
    };
}

/// How an archive is packed, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// ZIP
    Zip,
    /// Plain tar
    Tar,
    /// Anything gzipped; inside it a tar is expected
    Gzip,
}

impl Shape {
    /// The shape of what begins with `head`, of which 512 bytes are enough.
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Some(Self::Zip);
        }
        if head.starts_with(&[0x1f, 0x8b]) {
            return Some(Self::Gzip);
        }
        (head.get(257..262) == Some(b"ustar")).then_some(Self::Tar)
    }
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file, with a content.
    File,
    /// A folder.
    Folder,
    /// A link; its target is told and never followed.
    Link,
    /// A second name of the member that its target names.
    HardLink,
    /// A device, a pipe.
    Other,
}

/// One member of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Member<'m> {
    /// Its path in the archive, with `/`, without `./` before it.
    pub name: &'m str,
    /// What it is.
    pub kind: Kind,
    /// Where a link points to, as the archive has it; else empty.
    pub target: &'m str,
    /// The length of its content in bytes, as the archive declares it.
    pub size: u64,
}

/// What is odd about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Its name is absolute or climbs out of the folder it is unpacked into.
    Escapes,
    /// Another member has the same name; unpackers differ in which one wins.
    Twice,
    /// Its name is not text.
    Unnamed,
    /// Its local header calls it otherwise: unpackers differ in what they see.
    NamedTwice(String),
    /// It cannot be read without a password.
    Encrypted,
    /// It is packed in a way that is not read.
    Packed(String),
    /// Its content is not what the archive says it is, or is cut off.
    Corrupt(String),
}

impl Oddity {
    /// Returns true if the content was not read.
    pub fn hides_content(&self) -> bool {
        matches!(self, Self::Encrypted | Self::Packed(_) | Self::Corrupt(_))
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escapes => f.write_str("its name leaves the folder it is unpacked into"),
            Self::Twice => f.write_str("another member has the same name"),
            Self::Unnamed => f.write_str("its name is not text"),
            Self::NamedTwice(other) => write!(f, "another header in the file calls it `{other}`"),
            Self::Encrypted => f.write_str("it is encrypted"),
            Self::Packed(how) => write!(f, "it is packed as {how}, which is not read"),
            Self::Corrupt(why) => write!(f, "its content cannot be read: {why}"),
        }
    }
}

/// A member and what is odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    /// Its name, as far as it has one.
    pub member: String,
    /// What is odd.
    pub what: Oddity,
}

/// Why an archive was not read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It cannot be opened.
    #[error("{0}")]
    Unreadable(String),
    /// It is no archive that is read, or a spoilt one.
    #[error("{0}")]
    Malformed(String),
    /// It is larger than any honest archive.
    #[error("it is refused: {0}")]
    TooMuch(String),
}

/// What is called for each member, with its content; what it leaves of the
/// content is skipped. An error that it hands on from the content is told as
/// [`Oddity::Corrupt`] and ends nothing.
pub type Visit<'v> = &'v mut dyn FnMut(&Member<'_>, &mut dyn Read) -> io::Result<()>;

/// Visits every member of the archive at `path`; gives what is odd about them.
pub fn each(path: &Path, limits: &Limits, visit: Visit<'_>) -> Result<Vec<Odd>, Broken> {
    let unreadable = |error: io::Error| Broken::Unreadable(crate::files::reason(&error));
    let mut file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut head = Vec::with_capacity(512);
    file.by_ref().take(512).read_to_end(&mut head).map_err(unreadable)?;
    match Shape::of(&head) {
        Some(Shape::Zip) => zip::each_in_file(file, size, limits, visit),
        Some(Shape::Tar | Shape::Gzip) => {
            let whole = head.as_slice().chain(file);
            each_in_stream(Box::new(whole), size, limits, visit)
        }
        None => Err(Broken::Malformed("it is neither a ZIP nor a tar archive".into())),
    }
}

/// The same for the archive that is `part` of the file at `path`.
pub(crate) fn each_within(
    path: &Path,
    part: &Range<u64>,
    limits: &Limits,
    visit: Visit<'_>,
) -> Result<Vec<Odd>, Broken> {
    let unreadable = |error: io::Error| Broken::Unreadable(crate::files::reason(&error));
    let open = || Section::open(path, Some(part)).map_err(unreadable);
    let mut head = Vec::with_capacity(512);
    open()?.take(512).read_to_end(&mut head).map_err(unreadable)?;
    let section = open()?;
    let size = section.length();
    match Shape::of(&head) {
        Some(Shape::Zip) => zip::each_in_section(section, size, limits, visit),
        Some(Shape::Tar | Shape::Gzip) => each_in_stream(Box::new(section), size, limits, visit),
        None => Err(Broken::Malformed("it is neither a ZIP nor a tar archive".into())),
    }
}

/// The content of a member, if it has at most `max_bytes`.
pub fn bytes(content: &mut dyn Read, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!("it is larger than {} KiB", max_bytes >> 10)));
    }
    Ok(bytes)
}

/// What was taken out of an archive so far, against its limits.
struct Tally<'l> {
    limits: &'l Limits,
    expanded_max: u64,
    expanded: Cell<u64>,
    burst: Cell<bool>,
    names: HashSet<String>,
    members: usize,
    odd: Vec<Odd>,
}

/// What is odd about members is told this often; a hostile archive has millions.
const ODD_MAX: usize = 1_000;

impl<'l> Tally<'l> {
    fn new(limits: &'l Limits, archive_bytes: u64) -> Self {
        let by_ratio = archive_bytes.saturating_mul(limits.ratio_max).max(RATIO_FREE_BYTES);
        Self {
            limits,
            expanded_max: by_ratio.min(limits.expanded_max_bytes),
            expanded: Cell::new(0),
            burst: Cell::new(false),
            names: HashSet::new(),
            members: 0,
            odd: Vec::new(),
        }
    }

    fn too_much(&self) -> Broken {
        Broken::TooMuch(format!(
            "it expands to more than {} MiB, which is more than honest archives of its size hold",
            self.expanded_max >> 20
        ))
    }

    fn odd(&mut self, member: &str, what: Oddity) {
        if self.odd.len() < ODD_MAX {
            self.odd.push(Odd { member: member.to_owned(), what });
        }
    }

    /// Takes in the next member's name as the archive has it; gives it as it
    /// is shown and compared.
    fn member(&mut self, raw: &[u8]) -> Result<String, Broken> {
        self.members += 1;
        if self.members > self.limits.members_max {
            let text = format!("it has more than {} members", self.limits.members_max);
            return Err(Broken::TooMuch(text));
        }
        if raw.len() > self.limits.name_max_bytes {
            let text = format!("a name in it has more than {} bytes", self.limits.name_max_bytes);
            return Err(Broken::TooMuch(text));
        }
        let (name, is_text) = name::read(raw);
        if !is_text {
            self.odd(&name, Oddity::Unnamed);
        }
        if name::escapes(&name) {
            self.odd(&name, Oddity::Escapes);
        }
        let name = name::plain(&name).to_owned();
        Ok(name)
    }

    /// Notes that the member called `name` is a file; links and folders may
    /// stand twice.
    fn file(&mut self, name: &str) {
        if !self.names.insert(name.to_owned()) {
            self.odd(name, Oddity::Twice);
        }
    }
}

/// A stream whose bytes count as expanded, and that ends in an error where
/// there are too many of them.
struct Counted<'t, R> {
    inner: R,
    expanded: &'t Cell<u64>,
    expanded_max: u64,
    burst: &'t Cell<bool>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let expanded = self.expanded.get().saturating_add(count as u64);
        self.expanded.set(expanded);
        if expanded > self.expanded_max {
            self.burst.set(true);
            return Err(io::Error::other("the archive expands to too much"));
        }
        Ok(count)
    }
}

/// The members of the ZIP in `bytes` that are files of at most `max_bytes`.
pub(crate) fn members(bytes: &[u8], max_bytes: usize) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut room = max_bytes;
    let read = zip::each_in_bytes(bytes, &Limits::ARTEFACT, &mut |member, content| {
        if member.kind == Kind::File && usize::try_from(member.size).is_ok_and(|s| s <= room) {
            let held = self::bytes(content, max_bytes as u64)?;
            room = room.saturating_sub(held.len());
            found.push((member.name.to_owned(), held));
        }
        Ok(())
    });
    drop(read);
    found
}
