//! `pdm.lock`, versions 2 to 4.

use super::{Malformed, Reading, format_version, full_commit, link, toml_file, written};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::name::pep503;
use crate::python::Requirement;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Entry>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    lock_version: Option<toml::Value>,
    /// By `"name version"`, before version 4 of the format.
    #[serde(default)]
    files: BTreeMap<String, Vec<Artefact>>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    version: Option<String>,
    git: Option<String>,
    hg: Option<String>,
    revision: Option<String>,
    url: Option<String>,
    path: Option<String>,
    #[serde(default)]
    files: Vec<Artefact>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Artefact {
    hash: Option<String>,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut reading = Reading::default();
    let mut edges = Vec::new();
    for entry in file.package {
        let name = entry.name.get_ref();
        let place = place.at(lines.at(entry.name.span().start));
        let mut package = Package::new(Ecosystem::PyPi, name, Standing::Locked, place);
        let apart = entry.version.as_ref().map(|version| format!("{name} {version}"));
        let apart = apart.and_then(|key| file.metadata.files.get(&key)).into_iter().flatten();
        let files = entry.files.iter().chain(apart);
        package.hashes = files.filter_map(|f| Hash::read(f.hash.as_deref()?)).collect();
        if let Some(version) = &entry.version {
            package = package.at_version(version);
        }
        let repository = entry.git.or(entry.hg);
        if let Some(source) = source(repository, entry.revision.as_deref(), entry.url, entry.path) {
            package.source = source;
        }
        let needed = entry.dependencies.iter().filter_map(|text| Requirement::read(text).ok());
        edges.extend(needed.map(|needed| (package.name.clone(), pep503(&needed.name))));
        reading.packages.push(package);
    }
    link(&mut reading.packages, &edges);
    if let Some(version) = written(file.metadata.lock_version.as_ref()) {
        format_version(Some(&version), &["2", "3", "4"], place, &mut reading);
    }
    Ok(reading)
}

/// Where a package comes from, if not from a registry.
pub(crate) fn source(
    repository: Option<String>,
    revision: Option<&str>,
    url: Option<String>,
    path: Option<String>,
) -> Option<Source> {
    if let Some(url) = repository {
        return Some(Source::Vcs { url, commit: revision.and_then(full_commit) });
    }
    url.map(|url| Source::Url { url })
        .or_else(|| path.map(|path| Source::Path { path: path.into() }))
}
