//! `uv.lock`: every version that any environment of a project may get.

use super::{Malformed, Reading, full_commit, link, toml_file};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::name::pep503;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    name: Spanned<String>,
    version: Option<String>,
    #[serde(default)]
    source: From,
    sdist: Option<Artefact>,
    #[serde(default)]
    wheels: Vec<Artefact>,
    #[serde(default)]
    dependencies: Vec<Needed>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<Needed>>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Vec<Needed>>,
}

/// Where a package comes from, as uv writes it.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct From {
    registry: Option<String>,
    git: Option<String>,
    url: Option<String>,
    path: Option<String>,
    directory: Option<String>,
    editable: Option<String>,
    r#virtual: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Artefact {
    hash: Option<String>,
    upload_time: Option<String>,
}

#[derive(Deserialize)]
struct Needed {
    name: String,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut reading = Reading::default();
    let mut edges = Vec::new();
    for entry in file.package {
        let place = place.at(lines.at(entry.name.span().start));
        let mut package =
            Package::new(Ecosystem::PyPi, entry.name.get_ref(), Standing::Locked, place);
        package.source = source(entry.source);
        if let Some(version) = &entry.version {
            package = package.at_version(version);
        }
        for artefact in entry.sdist.iter().chain(&entry.wheels) {
            package.hashes.extend(artefact.hash.as_deref().and_then(Hash::read));
            let uploaded = artefact.upload_time.as_deref().and_then(crate::time::unix_ms);
            package.since_ms = package.since_ms.max(uploaded);
        }
        // What the project itself asks for was asked for, not brought in.
        if package.source != Source::Own {
            let needed = entry.dependencies.iter();
            let needed = needed.chain(entry.optional_dependencies.values().flatten());
            let needed = needed.chain(entry.dev_dependencies.values().flatten());
            edges.extend(needed.map(|needed| (package.name.clone(), pep503(&needed.name))));
        }
        reading.packages.push(package);
    }
    link(&mut reading.packages, &edges);
    Ok(reading)
}

impl From {
    /// Whether it is a project of one's own that lies at `path`.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        [&self.editable, &self.r#virtual].into_iter().flatten().any(|own| own == path)
    }
}

/// The same in our own words.
pub(crate) fn source(from: From) -> Source {
    if from.editable.is_some() || from.r#virtual.is_some() {
        return Source::Own;
    }
    if let Some(git) = from.git {
        let commit = git.rsplit_once('#').and_then(|(_, commit)| full_commit(commit));
        return Source::Vcs { url: git, commit };
    }
    if let Some(url) = from.url {
        return Source::Url { url };
    }
    if let Some(path) = from.path.or(from.directory) {
        return Source::Path { path: path.into() };
    }
    Source::Registry { url: from.registry }
}
