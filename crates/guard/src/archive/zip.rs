//! ZIP by its central directory, as Python's `zipfile` and every installer of
//! wheels reads it; what the headers in front of the members say differently
//! is told.

use super::{Broken, Counted, Kind, Limits, Member, Odd, Oddity, Section, Tally, Visit};
use flate2::bufread::DeflateDecoder;
use rawzip::{CompressionMethod, ReaderAt, ZipArchive};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};

/// A buffer that holds any one record of the directory.
const RECORD_MAX_BYTES: usize = rawzip::MAX_CENTRAL_DIRECTORY_RECORD_SIZE;
/// The type of file in the upper half of a Unix mode: a symbolic link.
const MODE_LINK: u32 = 0o120_000;

pub(super) fn each_in_file(
    file: File,
    size: u64,
    limits: &Limits,
    visit: Visit<'_>,
) -> Result<Vec<Odd>, Broken> {
    let mut buffer = vec![0; RECORD_MAX_BYTES];
    let archive = ZipArchive::from_file(file, &mut buffer).map_err(|e| malformed(&e))?;
    each(&archive, &mut buffer, size, limits, visit)
}

pub(super) fn each_in_section(
    section: Section,
    size: u64,
    limits: &Limits,
    visit: Visit<'_>,
) -> Result<Vec<Odd>, Broken> {
    let mut buffer = vec![0; RECORD_MAX_BYTES];
    let archive = ZipArchive::from_seekable(section, &mut buffer).map_err(|e| malformed(&e))?;
    each(&archive, &mut buffer, size, limits, visit)
}

/// Visits every member of the ZIP in `bytes`; see [`super::each`].
pub fn each_in_bytes(bytes: &[u8], limits: &Limits, visit: Visit<'_>) -> Result<Vec<Odd>, Broken> {
    let mut buffer = vec![0; RECORD_MAX_BYTES];
    let archive =
        ZipArchive::from_seekable(Cursor::new(bytes), &mut buffer).map_err(|e| malformed(&e))?;
    each(&archive, &mut buffer, bytes.len() as u64, limits, visit)
}

fn each<R: ReaderAt>(
    archive: &ZipArchive<R>,
    buffer: &mut [u8],
    size: u64,
    limits: &Limits,
    visit: Visit<'_>,
) -> Result<Vec<Odd>, Broken> {
    let mut tally = Tally::new(limits, size);
    let mut local = vec![0; 2 * usize::from(u16::MAX)];
    let mut entries = archive.entries(buffer);
    while let Some(entry) = entries.next_entry().map_err(|e| malformed(&e))? {
        let raw = entry.file_path();
        let name = tally.member(raw.as_bytes())?;
        let folder = entry.is_dir();
        // The upper half of the attributes, if a Unix made the archive.
        let linked = (entry.external_attributes() >> 16) & 0o170_000 == MODE_LINK;
        let kind = match (folder, linked) {
            (true, _) => Kind::Folder,
            (_, true) => Kind::Link,
            _ => Kind::File,
        };
        if folder {
            continue;
        }
        tally.file(&name);
        if entry.flags().is_encrypted() || entry.flags().has_strong_encryption() {
            tally.odd(&name, Oddity::Encrypted);
            continue;
        }
        let method = entry.compression_method();
        let stored = method == CompressionMethod::STORE;
        if !stored && method != CompressionMethod::DEFLATE {
            tally.odd(&name, Oddity::Packed(format!("method {}", method.as_u16())));
            continue;
        }
        let corrupt = |e: rawzip::Error| Oddity::Corrupt(e.to_string());
        let found = match archive.get_entry(entry.wayfinder()) {
            Ok(found) => found,
            Err(error) => {
                tally.odd(&name, corrupt(error));
                continue;
            }
        };
        match found.local_header(&mut local) {
            Ok(header) if header.file_path().as_bytes() != raw.as_bytes() => {
                let other = String::from_utf8_lossy(header.file_path().as_bytes());
                let shown = other.chars().take(200).collect();
                tally.odd(&name, Oddity::NamedTwice(shown));
            }
            Ok(_) => {}
            Err(error) => {
                tally.odd(&name, corrupt(error));
                continue;
            }
        }
        let packed = BufReader::new(found.reader());
        let unpacked: Box<dyn Read> =
            if stored { Box::new(packed) } else { Box::new(DeflateDecoder::new(packed)) };
        let counted = Counted {
            inner: unpacked,
            expanded: &tally.expanded,
            expanded_max: tally.expanded_max,
            burst: &tally.burst,
        };
        let mut content = found.verifying_reader(counted);
        let size = entry.uncompressed_size_hint();
        let outcome = target(kind, &mut content).and_then(|target| {
            visit(&Member { name: &name, kind, target: &target, size }, &mut content)
        });
        if tally.burst.get() {
            return Err(tally.too_much());
        }
        if let Err(error) = outcome {
            tally.odd(&name, Oddity::Corrupt(error.to_string()));
        }
    }
    Ok(tally.odd)
}

/// Where a link points to: its content. Installers of wheels write it into a
/// file; others make a link.
fn target(kind: Kind, content: &mut dyn Read) -> io::Result<String> {
    if kind != Kind::Link {
        return Ok(String::new());
    }
    super::bytes(content, 4096).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn malformed(error: &rawzip::Error) -> Broken {
    Broken::Malformed(format!("it is not a whole ZIP archive: {error}"))
}
