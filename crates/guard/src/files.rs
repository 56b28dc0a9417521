//! The one place that reads files: bounded.

use std::fs;
use std::io::Read as _;
use std::path::Path;

/// The largest lock or requirement file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 32 << 20;

/// Returns true if `folder` is what a cache keeps of one wheel: uv's `archive-v0/ID`,
/// PDM's `NAME.whl.cache`.
pub(crate) fn is_cached(folder: &Path) -> bool {
    let name = |folder: &Path| folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    folder.parent().and_then(name).is_some_and(|name| name.starts_with("archive-v"))
        || name(folder).is_some_and(|name| name.strip_suffix(".whl.cache").is_some())
}

/// The bytes of a file of at most `max_bytes`.
pub fn bytes(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("it is larger than {} MiB", max_bytes >> 20));
    }
    Ok(bytes)
}

/// The same of a file that nobody named: a pipe, or a device that a link leads
/// to, may keep its reader for ever.
pub(crate) fn met(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let kind = fs::metadata(path).map_err(|error| reason(&error))?;
    if kind.is_dir() {
        return Err("it is a folder".to_owned());
    }
    if !kind.is_file() {
        return Err("it is a pipe or a device".to_owned());
    }
    bytes(path, max_bytes)
}

/// The first `count` bytes of a file that nobody named.
pub(crate) fn head(path: &Path, count: u64) -> Option<Vec<u8>> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(count).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The text of a lock or requirement file that somebody named.
pub(crate) fn text(path: &Path) -> Result<String, String> {
    utf8(bytes(path, FILE_MAX_BYTES)?)
}

/// The text of one that nobody named.
pub(crate) fn met_text(path: &Path) -> Result<String, String> {
    utf8(met(path, FILE_MAX_BYTES)?)
}

/// The text of a file that somebody named, in any encoding that pip reads: with
/// a byte order mark (PowerShell writes UTF-16), with a coding line (PEP 263),
/// or in UTF-8; what is none of these is taken for Latin-1.
pub(crate) fn any_text(path: &Path) -> Result<String, String> {
    let bytes = bytes(path, FILE_MAX_BYTES)?;
    let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes
            .chunks_exact(2)
            .filter_map(|pair| Some(read([*pair.first()?, *pair.last()?])))
            .collect();
        String::from_utf16_lossy(&units)
    };
    if let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) {
        return Ok(wide(rest, u16::from_le_bytes));
    }
    if let Some(rest) = bytes.strip_prefix(&[0xfe, 0xff]) {
        return Ok(wide(rest, u16::from_be_bytes));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    })
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

pub(crate) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}
