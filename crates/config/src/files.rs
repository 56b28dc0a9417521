//! Reading the files that a configuration is made of, with a limit on each.

use crate::env::Env;
use crate::reader::{Field, Reader};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Certificates and keys.
const PEM_MAX_BYTES: usize = 1 << 20;

/// Up to `max_bytes` and one more of a file, so that a caller can tell that
/// there was more. The message is for people.
pub(crate) fn read_capped(path: &Path, max_bytes: usize) -> Result<Vec<u8>, String> {
    let said = |error: &std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "this process may not read it".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(|error| said(&error))?;
    Ok(bytes)
}

impl Reader<'_> {
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
        // A pipe would be waited on for ever.
        let is_special = path.metadata().is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        let bytes = if is_special {
            Err("it is not a regular file".to_owned())
        } else {
            read_capped(&path, PEM_MAX_BYTES)
        };
        let bytes = match bytes {
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
        self.read_files.push(path.clone());
        Some((path, bytes))
    }
}
