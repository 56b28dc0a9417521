//! Reads the files that a configuration is made of: regular files only, with a
//! limit on the size of each, and a fingerprint of what was read.

use crate::env::Env;
use crate::reader::{Field, Reader};
use std::collections::hash_map::DefaultHasher;
use std::fs::{File, FileType, OpenOptions};
use std::hash::Hasher;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Maximum size of a file with certificates or a key.
pub const PEM_MAX_BYTES: usize = 1 << 20;

/// A file that a configuration was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadFile {
    /// Its path.
    pub path: PathBuf,
    /// Tells its content from any other; `None` if it could not be read.
    fingerprint: Option<u64>,
    max_bytes: usize,
}

impl ReadFile {
    /// Returns true if the file can no longer be read, can be read again, or
    /// has another content. Reads it, so time stamps play no part.
    pub fn has_changed(&self) -> bool {
        let now = read_file(&self.path, self.max_bytes);
        now.ok().map(|bytes| fingerprint(&bytes)) != self.fingerprint
    }
}

fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// Reads a regular file, up to `max_bytes` and one more byte, so that a caller
/// can tell that there was more. Does not wait for the other end of a pipe.
///
/// # Errors
/// What is wrong, for people, without the path.
pub fn read_file(path: &Path, max_bytes: usize) -> Result<Vec<u8>, String> {
    let said = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this process may not read it".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    // Opening a pipe would wait for somebody who writes to it.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file: File = match opened {
        Ok(file) => file,
        // A socket cannot be opened at all.
        Err(error) => {
            let special = path.metadata().ok().and_then(|meta| special(meta.file_type()));
            return Err(special.map_or_else(|| said(&error), str::to_owned));
        }
    };
    // Of the opened file, so that nobody can put another in its place between.
    let kind = file.metadata().map_err(|error| said(&error))?.file_type();
    if let Some(special) = special(kind) {
        return Err(special.to_owned());
    }
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|error| said(&error))?;
    Ok(bytes)
}

fn special(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("it is a directory")
    } else if kind.is_fifo() {
        Some("it is a named pipe (FIFO), not a regular file")
    } else if kind.is_socket() {
        Some("it is a socket, not a regular file")
    } else if kind.is_char_device() || kind.is_block_device() {
        Some("it is a device, not a regular file")
    } else {
        Some("it is not a regular file")
    }
}

impl Reader<'_> {
    /// Reads a file and remembers its fingerprint, also if it cannot be read.
    pub(crate) fn read_file(&mut self, path: &Path, max_bytes: usize) -> Result<Vec<u8>, String> {
        let read = read_file(path, max_bytes);
        let fingerprint = read.as_ref().ok().map(|bytes| fingerprint(bytes));
        self.read_files.push(ReadFile { path: path.to_owned(), fingerprint, max_bytes });
        read
    }

    /// The path that a field names, from the directory of the configuration or
    /// from the home directory (`~/…`).
    pub(crate) fn path(&mut self, field: &Field<'_>) -> Option<PathBuf> {
        let text = self.text(field)?;
        if let (Some(rest), Some(home)) = (text.strip_prefix("~/"), self.env.var("HOME")) {
            return Some(Path::new(&home).join(rest));
        }
        Some(self.base_dir.join(text))
    }

    /// The PEM file that a field names; an error unless it holds a `label`.
    pub(crate) fn pem(&mut self, field: &Field<'_>, label: &str) -> Option<(PathBuf, Vec<u8>)> {
        if field.is_null() {
            self.error(field, "expected the path of a PEM file, found nothing", "");
            return None;
        }
        let text = self.resolve(field)?;
        let path = self.base_dir.join(text.value);
        let bytes = match self.read_file(&path, PEM_MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(message) => {
                let hint = "a relative path starts from the directory of the configuration";
                self.error(field, message, hint);
                return None;
            }
        };
        let holds = std::str::from_utf8(&bytes).is_ok_and(|text| {
            text.lines().any(|line| {
                line.strip_prefix("-----BEGIN ")
                    .and_then(|rest| rest.trim_end().strip_suffix("-----"))
                    .is_some_and(|found| found.ends_with(label))
            })
        });
        if bytes.len() > PEM_MAX_BYTES || !holds {
            let hint = "PEM is text with a line -----BEGIN …-----";
            self.error(field, format!("this file holds no {label} as PEM"), hint);
            return None;
        }
        self.accept(field);
        Some((path, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadFile, fingerprint, read_file};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("keymoat-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn a_pipe_a_socket_a_device_and_a_directory_are_refused_at_once_and_by_name() {
        let dir = folder("special");
        let (pipe, socket) = (dir.join("pipe"), dir.join("socket"));
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, word) in [
            (pipe, "named pipe"),
            (socket, "socket"),
            (PathBuf::from("/dev/zero"), "device"),
            (dir.clone(), "directory"),
        ] {
            let message = read_file(&path, 100).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_change_shows_with_the_same_size_and_time_stamp() {
        let dir = folder("changed");
        let path = dir.join("file");
        std::fs::write(&path, "one").unwrap();
        let stamp = path.metadata().unwrap().modified().unwrap();
        let fingerprint = Some(fingerprint(b"one"));
        let seen = ReadFile { path: path.clone(), fingerprint, max_bytes: 100 };
        assert!(!seen.has_changed());
        std::fs::write(&path, "two").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(stamp).unwrap();
        assert!(seen.has_changed());
        std::fs::write(&path, "one").unwrap();
        assert!(!seen.has_changed());
        std::fs::remove_file(&path).unwrap();
        assert!(seen.has_changed());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
