//! The spool's files: `0000000000000001.spool`, …, read from any place.

use crate::error::OpenError;
use crate::frame::{self, Entry, Next};
use ledger::SpendRecord;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Read at a time.
const CHUNK: usize = 256 * 1024;
/// A longer rest than this is no single torn frame of an earlier version: its
/// length was damaged.
const TORN_MAX: u64 = 64 * 1024;

/// The file of segment `number`.
pub(crate) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016x}.spool"))
}

/// The segments in `dir`, oldest first.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, OpenError> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(OpenError::io("read", dir))? {
        let name = entry.map_err(OpenError::io("read", dir))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".spool"));
        numbers.extend(number.and_then(|number| u64::from_str_radix(number, 16).ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The files that were set aside because a part of them is damaged, oldest
/// first.
pub(crate) fn set_aside(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(OpenError::io("read", dir))? {
        let path = entry.map_err(OpenError::io("read", dir))?.path();
        if path.extension().is_some_and(|extension| extension == "damaged") {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// Keeps a file of which a part is damaged, under a name that no other has.
pub(crate) fn keep_damaged(path: &Path) -> io::Result<()> {
    let mut kept = path.with_extension("damaged");
    for number in 2_u32.. {
        if !kept.exists() {
            break;
        }
        kept = path.with_extension(format!("{number}.damaged"));
    }
    fs::rename(path, kept)
}

/// Why reading stops before the end that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It does not: all was read.
    End,
    /// The last frame is cut off: its writer died.
    Torn,
}

/// More bytes than any header and what a search looks at behind it.
const LOOK_AHEAD: usize = 64;

/// Fills `space` from `at` on, as far as the file reaches.
fn read_at(file: &File, space: &mut [u8], at: u64) -> io::Result<usize> {
    let mut have = 0;
    while let Some(rest) = space.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + have as u64) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

/// Reads one segment in order.
pub(crate) struct Reader {
    file: File,
    /// How far entries have been taken.
    pub(crate) offset: u64,
    buffer: Vec<u8>,
    /// Where in `buffer` the next frame begins.
    at: usize,
}

impl Reader {
    pub(crate) fn open(dir: &Path, number: u64, offset: u64) -> io::Result<Self> {
        Self::open_file(&path_of(dir, number), offset)
    }

    pub(crate) fn open_file(path: &Path, offset: u64) -> io::Result<Self> {
        Ok(Self { file: File::open(path)?, offset, buffer: Vec::new(), at: 0 })
    }

    pub(crate) fn file_len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The next entry before `end`; a record shares what it can with `like`.
    /// Behind what is damaged, reading goes on at the next entry.
    pub(crate) fn next(
        &mut self,
        end: u64,
        like: Option<&SpendRecord>,
    ) -> io::Result<Result<Entry, Stop>> {
        loop {
            if self.offset >= end {
                return Ok(Err(Stop::End));
            }
            let bytes = self.buffer.get(self.at..).unwrap_or_default();
            let wanted = match frame::decode(bytes, like) {
                Next::Entry(entry, size) => {
                    self.skip(size as u64);
                    return Ok(Ok(entry));
                }
                Next::Incomplete { needed, sure } if self.offset + needed as u64 > end => {
                    let may_be_torn = sure || end - self.offset <= TORN_MAX;
                    return self.leap(end, may_be_torn);
                }
                Next::Incomplete { needed, .. } => needed,
                Next::Spoilt(size) if self.offset + size as u64 <= end => {
                    // Sooner than its length says if bytes are missing.
                    let next = self.find(end)?.map_or(u64::MAX, |next| next - self.offset);
                    return Ok(Ok(self.damaged(next.min(size as u64))));
                }
                Next::Spoilt(size) => size,
                Next::Damaged => {
                    let is_empty = self.is_empty(end)?;
                    return self.leap(end, is_empty);
                }
            };
            self.fill(wanted.max(CHUNK), end)?;
        }
    }

    /// Skips to the next entry. Without one, the rest is a torn end or damaged.
    fn leap(&mut self, end: u64, may_be_torn: bool) -> io::Result<Result<Entry, Stop>> {
        let next = self.find(end)?;
        if next.is_none() && may_be_torn {
            return Ok(Err(Stop::Torn));
        }
        Ok(Ok(self.damaged(next.unwrap_or(end) - self.offset)))
    }

    fn damaged(&mut self, length: u64) -> Entry {
        self.skip(length);
        Entry::Damaged(length)
    }

    fn skip(&mut self, length: u64) {
        self.offset += length;
        self.at =
            usize::try_from(length).map_or(usize::MAX, |length| self.at.saturating_add(length));
        if self.at > self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        }
    }

    /// Place of the next header that checks, or of the next entry of an earlier
    /// version, behind the present place and before `end`.
    fn find(&self, end: u64) -> io::Result<Option<u64>> {
        let mut from = self.offset + 1;
        let mut chunk = vec![0; CHUNK];
        while from < end {
            let wanted = usize::try_from(end - from).unwrap_or(CHUNK).min(CHUNK);
            let read = read_at(&self.file, chunk.get_mut(..wanted).unwrap_or_default(), from)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            for at in 0..read {
                let rest = bytes.get(at..).unwrap_or_default();
                if rest.first_chunk().is_some_and(|head| frame::header(head).is_some())
                    || self.is_earlier(rest, from + at as u64, end)?
                {
                    return Ok(Some(from + at as u64));
                }
            }
            if from + read as u64 >= end || read <= LOOK_AHEAD {
                break;
            }
            // Again from where a header may have been cut.
            from += (read - LOOK_AHEAD) as u64;
        }
        Ok(None)
    }

    fn is_earlier(&self, bytes: &[u8], at: u64, end: u64) -> io::Result<bool> {
        let Some(length) = frame::maybe_earlier(bytes) else { return Ok(false) };
        if at + length as u64 > end {
            return Ok(false);
        }
        let mut whole = vec![0; length];
        let read = read_at(&self.file, &mut whole, at)?;
        Ok(read == length && matches!(frame::decode(&whole, None), Next::Entry(..)))
    }

    /// Returns true if nothing but zeros follows: a power cut leaves them where
    /// the file had grown and its content was not on disk yet.
    fn is_empty(&self, end: u64) -> io::Result<bool> {
        let mut at = self.offset;
        let mut chunk = vec![0; CHUNK];
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = read_at(&self.file, chunk.get_mut(..wanted).unwrap_or_default(), at)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if read == 0 {
                break;
            }
            at += read as u64;
        }
        Ok(true)
    }

    /// Reads on so that `wanted` bytes from `offset` are in the buffer, or all
    /// up to `end`.
    fn fill(&mut self, wanted: usize, end: u64) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let left = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
        let mut have = self.buffer.len();
        self.buffer.resize(wanted.min(left).max(have), 0);
        let space = self.buffer.get_mut(have..).unwrap_or_default();
        let (wanted, read) = (space.len(), read_at(&self.file, space, self.offset + have as u64));
        have += read.as_ref().copied().unwrap_or_default();
        self.buffer.truncate(have);
        match read? {
            read if read < wanted => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Stop};
    use crate::frame::{Entry, encode_record};
    use base::CallId;
    use ledger::{RecordId, SpendRecord};

    /// Numbers of the records that are read, and how reading ended.
    fn read(name: &str, bytes: &[u8]) -> (Vec<u16>, Stop) {
        let path = std::env::temp_dir().join(format!("keymoat-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let mut reader = Reader::open_file(&path, 0).unwrap();
        let mut found = Vec::new();
        let stop = loop {
            match reader.next(bytes.len() as u64, None).unwrap() {
                Ok(Entry::Record(record)) => found.push(record.id.attempt),
                Ok(_) => {}
                Err(stop) => break stop,
            }
        };
        std::fs::remove_file(&path).unwrap();
        (found, stop)
    }

    fn frames(count: u16) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends, mut frame) = (Vec::new(), Vec::new(), Vec::new());
        for attempt in 0..count {
            let id = RecordId { call: CallId::new(1_774_348_740_123, [9; 10]), attempt };
            let mut record = SpendRecord::new(id, 5);
            record.model_group = "m".repeat(usize::from(attempt) * 7).into();
            encode_record(&record, &mut frame).unwrap();
            bytes.extend_from_slice(&frame);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn any_flipped_bit_costs_one_entry() {
        let (bytes, ends) = frames(5);
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let hit = ends.iter().filter(|end| **end <= bit / 8).count() as u16;
            let (found, _) = read("bits", &damaged);
            let others: Vec<u16> = (0..5).filter(|number| *number != hit).collect();
            assert_eq!(found, others, "bit {bit}");
        }
    }

    #[test]
    fn a_large_damaged_part_is_skipped() {
        let (bytes, ends) = frames(3);
        let extra = [&bytes[..ends[0]], &vec![0xa5; 900_000][..], &bytes[ends[0]..]].concat();
        assert_eq!(read("large", &extra), (vec![0, 1, 2], Stop::End));
        let end = [&bytes[..], &vec![0xa5; 900_000][..]].concat();
        assert_eq!(read("large", &end), (vec![0, 1, 2], Stop::End));
        assert_eq!(read("large", &bytes[..bytes.len() - 1]), (vec![0, 1], Stop::Torn));
    }
}
