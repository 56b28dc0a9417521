//! Incidents on disk: one file each, readable by its owner only, replaced as a
//! whole.

use crate::facts::Incident;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The only format there is so far.
pub(super) const FORMAT: u32 = 1;
/// The largest file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 256 << 20;

/// Writes an incident down, all of it or nothing; gives the file.
pub fn save(folder: &Path, incident: &Incident) -> Result<PathBuf, String> {
    let problem = |path: &Path, error: &std::io::Error| format!("{}: {error}", path.display());
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| problem(folder, &error))?;
    let path = folder.join(format!("{}.json", incident.id));
    let draft = folder.join(format!("{}.{}.new", incident.id, std::process::id()));
    let text = serde_json::to_string_pretty(incident).map_err(|error| error.to_string())?;
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&draft, &path));
    match written {
        Ok(()) => Ok(path),
        Err(error) => {
            drop(fs::remove_file(&draft));
            Err(problem(&path, &error))
        }
    }
}

/// The incident with this id.
pub fn load(folder: &Path, id: &str) -> Result<Incident, String> {
    let is_id =
        !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !is_id || id.contains("..") {
        return Err(format!("`{id}` is no incident's id\nhint: `keymoat incident list` has them"));
    }
    let path = folder.join(format!("{id}.json"));
    let bytes = guard::files::bytes(&path, FILE_MAX_BYTES).map_err(|why| {
        format!("{}: {why}\nhint: `keymoat incident list` has them", path.display())
    })?;
    let incident: Incident = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is damaged: {error}", path.display()))?;
    if incident.format != FORMAT {
        return Err(format!(
            "{} is of format {}; this version of keymoat reads format {FORMAT}",
            path.display(),
            incident.format
        ));
    }
    Ok(incident)
}

/// Every incident, the latest first; what cannot be read is told.
pub fn list(folder: &Path) -> (Vec<Incident>, Vec<String>) {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
        match load(folder, id) {
            Ok(incident) => all.push(incident),
            Err(problem) => problems.push(problem),
        }
    }
    all.sort_by(|a, b| (&b.opened_at, &b.id).cmp(&(&a.opened_at, &a.id)));
    (all, problems)
}

/// The incident that was opened last.
pub fn latest(folder: &Path) -> Result<Incident, String> {
    let (all, problems) = list(folder);
    all.into_iter().next().ok_or_else(|| match problems.first() {
        Some(problem) => problem.clone(),
        None => "there is no incident\nhint: `keymoat incident open` begins one".to_owned(),
    })
}
