//! A part of a file as if it were a file of its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

/// The bytes of a file from one place to another.
pub(crate) struct Section {
    file: File,
    start: u64,
    length: u64,
    at: u64,
}

impl Section {
    /// `part` of the file at `path`, or all of it; what lies behind the end of
    /// the file is not there.
    pub(crate) fn open(path: &Path, part: Option<&Range<u64>>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        let start = part.map_or(0, |part| part.start.min(size));
        let end = part.map_or(size, |part| part.end.min(size));
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { file, start, length: end.saturating_sub(start), at: 0 })
    }

    /// How many bytes it has.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        let at = at.filter(|at| self.start.checked_add(*at).is_some());
        let at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.file.seek(SeekFrom::Start(self.start + at))?;
        self.at = at;
        Ok(at)
    }
}
