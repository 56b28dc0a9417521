//! tar, plain or gzipped, as a stream: ustar, GNU long names, pax headers.
//!
//! Read here and not by a crate: those keep a name of any length in memory,
//! and a name is as long as its sender likes. POSIX.1-2017, pax interchange
//! format; GNU tar manual, "Basic Tar Format". Ends where Python's `tarfile`
//! ends: at the first block of zeros.

use super::{Broken, Counted, Kind, Limits, Member, Odd, Oddity, Tally, Visit};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

const BLOCK: usize = 512;
/// The largest pax header that is read, in bytes.
const PAX_MAX_BYTES: u64 = 1 << 20;

/// Visits every member of the tar in `stream`, gzipped or not; `size` is the
/// length of the stream in bytes, as far as it is known, and bounds what it
/// may expand to. See [`super::each`].
pub fn each_in_stream(
    stream: Box<dyn Read + '_>,
    size: u64,
    limits: &Limits,
    visit: Visit<'_>,
) -> Result<Vec<Odd>, Broken> {
    let unreadable = |error: io::Error| Broken::Unreadable(crate::files::reason(&error));
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let gzipped = stream.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    let mut tally = Tally::new(limits, size);
    let plain: Box<dyn Read + '_> = if gzipped {
        Box::new(BufReader::with_capacity(64 << 10, MultiGzDecoder::new(stream)))
    } else {
        Box::new(stream)
    };
    let (expanded, burst) = (tally.expanded.clone(), tally.burst.clone());
    let mut plain = Counted {
        inner: plain,
        expanded: &expanded,
        expanded_max: tally.expanded_max,
        burst: &burst,
    };
    match members(&mut plain, &mut tally, visit) {
        Ok(()) => Ok(tally.odd),
        Err(_) if burst.get() => Err(tally.too_much()),
        Err(broken) => Err(broken),
    }
}

/// What headers in front of a member say about it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

fn members(stream: &mut dyn Read, tally: &mut Tally<'_>, visit: Visit<'_>) -> Result<(), Broken> {
    let mut ahead = Ahead::default();
    loop {
        let Some(header) = header(stream, tally.members)? else { return Ok(()) };
        let size = number(header.get(124..136).unwrap_or_default())
            .ok_or_else(|| malformed(tally.members, "a size is no number"))?;
        let typeflag = header.get(156).copied().unwrap_or_default();
        let long_max = tally.limits.name_max_bytes as u64;
        match typeflag {
            b'L' => ahead.name = Some(long(stream, size, long_max)?),
            b'K' => ahead.target = Some(long(stream, size, long_max)?),
            b'x' | b'X' => {
                let text = extended(stream, size, tally.members)?;
                pax(&text, &mut ahead).ok_or_else(|| malformed(tally.members, "a pax header"))?;
            }
            b'g' => {
                let text = extended(stream, size, tally.members)?;
                let mut all = Ahead::default();
                let read = pax(&text, &mut all);
                if read.is_none() || all.name.or(all.target).is_some() || all.size.is_some() {
                    return Err(malformed(tally.members, "a header that renames every member"));
                }
            }
            _ => {
                let ahead = std::mem::take(&mut ahead);
                member(stream, tally, visit, &header, typeflag, size, ahead)?;
            }
        }
    }
}

/// One member: its header has been read, its content comes next.
fn member(
    stream: &mut dyn Read,
    tally: &mut Tally<'_>,
    visit: &mut dyn FnMut(&Member<'_>, &mut dyn Read) -> io::Result<()>,
    header: &[u8],
    typeflag: u8,
    size: u64,
    ahead: Ahead,
) -> Result<(), Broken> {
    let raw = ahead.name.unwrap_or_else(|| name_in(header));
    let name = tally.member(&raw)?;
    let kind = match typeflag {
        // Old archives have no type for folders but a `/` at the end.
        b'0' | 0 | b'7' if raw.ends_with(b"/") => Kind::Folder,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'5' => Kind::Folder,
        b'2' => Kind::Link,
        b'1' => Kind::HardLink,
        _ => Kind::Other,
    };
    let target = ahead.target.unwrap_or_else(|| until_zero(header.get(157..257)));
    let (target, _) = super::name::read(&target);
    // Only files have a content, whatever the header says of a link's size.
    let has_content = !matches!(typeflag, b'1' | b'2' | b'3' | b'4' | b'5' | b'6');
    let size = if has_content { ahead.size.unwrap_or(size) } else { 0 };
    let mut content = stream.take(size);
    if kind == Kind::File {
        tally.file(&name);
    }
    if ahead.sparse || typeflag == b'S' {
        tally.odd(&name, Oddity::Packed("a sparse file".into()));
        if typeflag == b'S' {
            return Err(malformed(tally.members, "an old sparse file, whose length is not told"));
        }
    } else if kind != Kind::Other {
        let target = if matches!(kind, Kind::Link | Kind::HardLink) { &target } else { "" };
        let member = Member { name: &name, kind, target, size };
        if let Err(error) = visit(&member, &mut content) {
            tally.odd(&name, Oddity::Corrupt(error.to_string()));
        }
    }
    // What was left, and the rest of the last block.
    let left = content.limit();
    skip(stream, left.saturating_add(padding(size)), tally.members)
}

/// The next header block; `None` at the end.
fn header(stream: &mut dyn Read, members: usize) -> Result<Option<[u8; BLOCK]>, Broken> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        let room = block.get_mut(filled..).unwrap_or_default();
        match stream.read(room) {
            // An archive without its end may have had more members.
            Ok(0) => return Err(malformed(members, "it is cut off")),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(malformed(members, &error.to_string())),
        }
    }
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let given = number(block.get(148..156).unwrap_or_default());
    let sum = |byte: &u8| u64::from(*byte);
    let field: u64 = block.get(148..156).unwrap_or_default().iter().map(sum).sum();
    let whole: u64 = block.iter().map(sum).sum();
    if given == Some(whole - field + 8 * u64::from(b' ')) {
        Ok(Some(block))
    } else {
        Err(malformed(members, "a header's checksum is wrong"))
    }
}

/// An octal number, or a binary one marked by its first bit.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((first, rest)) = field.split_first()
        && *first == 0x80
    {
        let (high, low) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
        let low: [u8; 8] = low.try_into().ok()?;
        return high.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(low));
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = std::str::from_utf8(digits).ok()?.trim_matches(' ');
    if text.is_empty() {
        return Some(0);
    }
    text.bytes().all(|b| b.is_ascii_digit()).then(|| u64::from_str_radix(text, 8).ok()).flatten()
}

fn name_in(header: &[u8]) -> Vec<u8> {
    let name = until_zero(header.get(..100));
    // Only POSIX archives have a prefix; GNU's put times there.
    if header.get(257..263) != Some(b"ustar\0") {
        return name;
    }
    let mut prefix = until_zero(header.get(345..500));
    if prefix.is_empty() {
        return name;
    }
    prefix.push(b'/');
    prefix.extend(name);
    prefix
}

fn until_zero(field: Option<&[u8]>) -> Vec<u8> {
    field.unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// GNU's long name or long target.
fn long(stream: &mut dyn Read, size: u64, max: u64) -> Result<Vec<u8>, Broken> {
    // One zero ends it.
    if size > max.saturating_add(1) {
        return Err(Broken::TooMuch(format!("a name in it has more than {max} bytes")));
    }
    let mut name = whole(stream, size)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name)
}

fn extended(stream: &mut dyn Read, size: u64, members: usize) -> Result<Vec<u8>, Broken> {
    if size > PAX_MAX_BYTES {
        return Err(malformed(members, "a pax header of more than a MiB"));
    }
    whole(stream, size)
}

fn whole(stream: &mut dyn Read, size: u64) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    let cut = |error: io::Error| Broken::Malformed(error.to_string());
    stream.take(size).read_to_end(&mut bytes).map_err(cut)?;
    if bytes.len() as u64 != size {
        return Err(Broken::Malformed("it is cut off in a header".into()));
    }
    skip(stream, padding(size), 0)?;
    Ok(bytes)
}

/// The records `length key=value\n` of a pax header; `None` if they are none.
fn pax(mut text: &[u8], ahead: &mut Ahead) -> Option<()> {
    while !text.is_empty() && text != [0] {
        let space = text.iter().take(20).position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(text.get(..space)?).ok()?.parse().ok()?;
        let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
        text = text.get(length..)?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
        match key {
            b"path" => ahead.name = Some(value.to_vec()),
            b"linkpath" => ahead.target = Some(value.to_vec()),
            b"size" => ahead.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
            _ if key.starts_with(b"GNU.sparse.") => ahead.sparse = true,
            _ => {}
        }
    }
    Some(())
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn skip(stream: &mut dyn Read, count: u64, members: usize) -> Result<(), Broken> {
    match io::copy(&mut stream.take(count), &mut io::sink()) {
        // Some writers leave out the last padding: the next header says so.
        Ok(skipped) if skipped == count || count < BLOCK as u64 => Ok(()),
        Ok(_) => Err(malformed(members, "it is cut off in a member")),
        Err(error) => Err(malformed(members, &error.to_string())),
    }
}

fn malformed(members: usize, what: &str) -> Broken {
    Broken::Malformed(format!("after {members} members: {what}"))
}
