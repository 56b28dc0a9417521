//! What the guard keeps in keymoat's data directory.

use crate::cli::Audit;
use config::Env as _;
use guard::advisories::stored;
use guard::judge::Terms;
use guard::{Advisories, Report};
use std::path::PathBuf;

/// The advisories in the binary and those that were taken in.
pub(crate) fn advisories() -> Result<Advisories, String> {
    let mut all = Advisories::built_in();
    // Without a place for data nothing can have been taken in.
    let Ok(folder) = data_dir() else { return Ok(all) };
    let set = stored::load(&folder.join(stored::FILE))
        .map_err(|error| format!("{error}\nhint: run `keymoat advisories update` again"))?;
    if let Some(set) = set {
        all.add(set);
    }
    Ok(all)
}

/// What is known today against what was recorded.
pub(crate) fn recorded(advisories: &Advisories, terms: &Terms) -> Result<Report, String> {
    let listing = guard::recorded::list(&data_dir()?.join(guard::recorded::FOLDER))?;
    Ok(guard::recorded::audit(&listing, advisories, terms))
}

/// Records what an audit found; gives the file.
pub(crate) fn store(audit: &Audit, report: &Report, now_ms: i64) -> Result<PathBuf, String> {
    let folder = data_dir()?.join(guard::recorded::FOLDER);
    let root = audit.root.clone().map(|root| vec![root]);
    let paths = root.as_ref().unwrap_or(&audit.paths);
    let host = audit.host_name.clone().unwrap_or_else(host);
    guard::recorded::write(&folder, &host, now_ms, paths, report)
        .map_err(|error| format!("the inventory could not be recorded: {error}"))
}

/// Where keymoat keeps what it has to keep, as `keymoat serve` finds it.
pub(crate) fn data_dir() -> Result<PathBuf, String> {
    let config = config::defaults(&config::ProcessEnv).config;
    let found = config.map(|config| config.settings.data_dir);
    found.ok_or_else(|| "there is no place for data; hint: set KEYMOAT_DATA_DIR".to_owned())
}

/// Where files are remembered that did not change, as other programs of this
/// user do; nothing if the user has no such place.
pub(crate) fn cache(now_ms: i64) -> Option<guard::Cache> {
    let env = config::ProcessEnv;
    let home = || env.var("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = env.var("XDG_CACHE_HOME").map(PathBuf::from).filter(|f| f.is_absolute());
    let folder = folder.or_else(home).filter(|folder| folder.is_absolute())?;
    Some(guard::Cache { folder: folder.join("keymoat/guard"), now_ms })
}

/// This machine's name.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.map(|name| name.trim().to_owned()).unwrap_or_default();
    if name.is_empty() { "unknown".to_owned() } else { name }
}
