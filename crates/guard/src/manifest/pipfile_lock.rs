//! `Pipfile.lock`: JSON; each member but `_meta` is a group of packages.

use super::json::Json;
use super::{Malformed, Reading, format_version, full_commit};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use serde::Deserialize;

/// A package, as Pipenv writes it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Entry {
    pub(crate) version: Option<String>,
    pub(crate) hashes: Vec<String>,
    pub(crate) markers: Option<String>,
    git: Option<String>,
    r#ref: Option<String>,
    path: Option<String>,
    file: Option<String>,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let json = Json::new(text);
    let mut reading = Reading::default();
    for (group, members) in json.members()? {
        if group == "_meta" {
            let meta = json.inside(members)?;
            let spec = meta.iter().find(|(name, _)| name == "pipfile-spec");
            if let Some((_, spec)) = spec {
                let spec = spec.get().trim_matches('"');
                format_version(Some(spec), &["6"], place, &mut reading);
            }
            continue;
        }
        for (name, value) in json.inside(members)? {
            let entry: Entry = json.read(value)?;
            let place = place.at(json.line(value));
            let mut package = Package::new(Ecosystem::PyPi, &name, Standing::Locked, place);
            package.hashes = entry.hashes.iter().filter_map(|text| Hash::read(text)).collect();
            match entry.version.as_deref().map(|text| (text, text.strip_prefix("=="))) {
                Some((_, Some(exact))) if !exact.ends_with(".*") => {
                    package = package.at_version(exact.trim_start_matches('='));
                }
                Some(("*", _)) | None => {}
                Some((range, _)) => package.range = Some(range.to_owned()),
            }
            package.source = source(entry);
            reading.packages.push(package);
        }
    }
    Ok(reading)
}

/// Where it comes from.
pub(crate) fn source(entry: Entry) -> Source {
    if let Some(url) = entry.git {
        return Source::Vcs { url, commit: entry.r#ref.as_deref().and_then(full_commit) };
    }
    if let Some(url) = entry.file {
        return Source::Url { url };
    }
    match entry.path.as_deref() {
        Some("." | "./") => Source::Own,
        Some(path) => Source::Path { path: path.into() },
        None => Source::registry(),
    }
}
