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
/// A longer rest than this is no single torn frame: its length was damaged.
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

/// Why reading stops before the end that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It does not: all was read.
    End,
    /// The last frame is cut off: its writer died.
    Torn,
    /// What stands there is not a frame, or more than one frame is lost.
    Damaged,
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
        let file = File::open(path_of(dir, number))?;
        Ok(Self { file, offset, buffer: Vec::new(), at: 0 })
    }

    pub(crate) fn file_len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The next entry before `end`; a record shares what it can with `like`.
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
            let needed = match frame::decode(bytes, like) {
                Next::Entry(entry, size) => {
                    self.at += size;
                    self.offset += size as u64;
                    return Ok(Ok(entry));
                }
                Next::Incomplete(needed) if self.offset + needed as u64 > end => {
                    let torn = end - self.offset <= TORN_MAX;
                    return Ok(Err(if torn { Stop::Torn } else { Stop::Damaged }));
                }
                Next::Incomplete(needed) => needed,
                Next::Damaged => return Ok(Err(self.judge(end)?)),
            };
            self.fill(needed.max(CHUNK), end)?;
        }
    }

    /// Bytes that a power cut left as noughts, or one frame's worth of nonsense
    /// at the very end, were never acknowledged as synced. More is damage.
    fn judge(&self, end: u64) -> io::Result<Stop> {
        let mut at = self.offset;
        let mut chunk = vec![0; CHUNK];
        while at < end {
            let read = self.file.read_at(&mut chunk, at)?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if read == 0 {
                break;
            }
            if bytes.iter().any(|byte| *byte != 0) {
                return Ok(Stop::Damaged);
            }
            at += read as u64;
        }
        Ok(Stop::Torn)
    }

    /// Reads on so that `wanted` bytes from `offset` are in the buffer, or all
    /// up to `end`.
    fn fill(&mut self, wanted: usize, end: u64) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let left = usize::try_from(end - self.offset).unwrap_or(usize::MAX);
        let mut have = self.buffer.len();
        self.buffer.resize(wanted.min(left).max(have), 0);
        while let Some(space) = self.buffer.get_mut(have..).filter(|space| !space.is_empty()) {
            match self.file.read_at(space, self.offset + have as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.truncate(have);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
