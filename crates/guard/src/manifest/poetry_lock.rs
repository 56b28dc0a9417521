//! `poetry.lock`, with hashes beside each package (2) or in one table (1).

use super::{Malformed, Reading, format_version, full_commit, link, toml_file, written};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::name::pep503;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::{Spanned, Table};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Entry>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// Locks of Poetry before 1.0 have none.
    #[serde(rename = "lock-version")]
    lock_version: Option<toml::Value>,
    #[serde(default)]
    files: BTreeMap<String, Vec<Artefact>>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    version: String,
    source: Option<From>,
    #[serde(default)]
    files: Vec<Artefact>,
    #[serde(default)]
    dependencies: Table,
}

/// Where a package comes from, as Poetry writes it.
#[derive(Deserialize)]
pub(crate) struct From {
    r#type: String,
    #[serde(default)]
    url: String,
    reference: Option<String>,
    resolved_reference: Option<String>,
}

#[derive(Deserialize)]
struct Artefact {
    hash: Option<String>,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut apart: BTreeMap<String, Vec<Artefact>> = BTreeMap::new();
    for (name, files) in file.metadata.files {
        apart.entry(pep503(&name)).or_default().extend(files);
    }
    let mut reading = Reading::default();
    let mut edges = Vec::new();
    for entry in file.package {
        let place = place.at(lines.at(entry.name.span().start));
        let mut package =
            Package::new(Ecosystem::PyPi, entry.name.get_ref(), Standing::Locked, place)
                .at_version(&entry.version);
        if let Some(from) = entry.source {
            package.source = source(from);
        }
        let files = entry.files.iter().chain(apart.get(&package.name).into_iter().flatten());
        package.hashes = files.filter_map(|f| Hash::read(f.hash.as_deref()?)).collect();
        edges.extend(entry.dependencies.keys().map(|name| (package.name.clone(), pep503(name))));
        reading.packages.push(package);
    }
    link(&mut reading.packages, &edges);
    if let Some(version) = written(file.metadata.lock_version.as_ref()) {
        format_version(Some(&version), &["1", "2"], place, &mut reading);
    }
    Ok(reading)
}

/// The same in our own words.
pub(crate) fn source(from: From) -> Source {
    match from.r#type.as_str() {
        "legacy" => Source::Registry { url: Some(from.url) },
        "url" => Source::Url { url: from.url },
        "directory" | "file" => Source::Path { path: from.url.into() },
        _ => {
            let revision = from.resolved_reference.or(from.reference).unwrap_or_default();
            Source::Vcs { url: from.url, commit: full_commit(&revision) }
        }
    }
}
