//! `uv.lock`: every version that any environment of a project may get.

use super::{
    Malformed, Reading, elsewhere, format_version, full_commit, link, toml_file, uv_lock_lines,
    written,
};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::name::pep503;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use toml::Spanned;

/// A package as either parser gives it.
#[derive(Default)]
pub(super) struct Entry<'t> {
    pub(super) name: Cow<'t, str>,
    /// The line that its name is on.
    pub(super) line: u32,
    pub(super) version: Option<Cow<'t, str>>,
    pub(super) source: From<'t>,
    pub(super) sdist: Option<Artefact<'t>>,
    pub(super) wheels: Vec<Artefact<'t>>,
    /// Names of what it needs, extras and groups included.
    pub(super) needed: Vec<Cow<'t, str>>,
}

#[derive(Deserialize)]
struct File {
    version: Option<toml::Value>,
    #[serde(default)]
    package: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    name: Spanned<String>,
    version: Option<String>,
    #[serde(default)]
    source: From<'static>,
    sdist: Option<Artefact<'static>>,
    #[serde(default)]
    wheels: Vec<Artefact<'static>>,
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
pub(crate) struct From<'t> {
    pub(super) registry: Option<Cow<'t, str>>,
    pub(super) git: Option<Cow<'t, str>>,
    pub(super) url: Option<Cow<'t, str>>,
    pub(super) path: Option<Cow<'t, str>>,
    pub(super) directory: Option<Cow<'t, str>>,
    pub(super) editable: Option<Cow<'t, str>>,
    pub(super) r#virtual: Option<Cow<'t, str>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Artefact<'t> {
    pub(super) url: Option<Cow<'t, str>>,
    pub(super) hash: Option<Cow<'t, str>>,
    pub(super) upload_time: Option<Cow<'t, str>>,
}

#[derive(Deserialize)]
struct Needed {
    name: String,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    read_lines(text, place).map_or_else(|| read_toml(text, place), Ok)
}

/// The same, if the file is exactly as uv writes it.
pub(super) fn read_lines(text: &str, place: &Place) -> Option<Reading> {
    uv_lock_lines::read(text).map(|entries| reading(entries, place))
}

/// The same, as any TOML.
pub(super) fn read_toml(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let entries = file.package.into_iter().map(|written| {
        let groups = written.optional_dependencies.into_values();
        let groups = groups.chain(written.dev_dependencies.into_values()).flatten();
        let needed = written.dependencies.into_iter().chain(groups);
        Entry {
            line: lines.at(written.name.span().start),
            name: written.name.into_inner().into(),
            version: written.version.map(Cow::from),
            source: written.source,
            sdist: written.sdist,
            wheels: written.wheels,
            needed: needed.map(|needed| needed.name.into()).collect(),
        }
    });
    let mut reading = reading(entries.collect(), place);
    format_version(written(file.version.as_ref()).as_deref(), &["1"], place, &mut reading);
    Ok(reading)
}

fn reading(entries: Vec<Entry<'_>>, place: &Place) -> Reading {
    let mut reading = Reading::default();
    let mut edges = Vec::new();
    for entry in entries {
        let place = place.at(entry.line);
        let mut package = Package::new(Ecosystem::PyPi, &entry.name, Standing::Locked, place);
        let registry = entry.source.registry.as_deref().unwrap_or_default().to_owned();
        let addresses = entry.sdist.iter().chain(&entry.wheels).filter_map(|a| a.url.as_deref());
        reading.findings.extend(elsewhere(&entry.name, &registry, addresses, &package.place));
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
            let needed = entry.needed.iter();
            edges.extend(needed.map(|needed| (package.name.clone(), pep503(needed))));
        }
        reading.packages.push(package);
    }
    link(&mut reading.packages, &edges);
    reading
}

impl From<'_> {
    /// Returns true if it is a project of one's own that lies at `path`.
    pub(crate) fn is_at(&self, path: &str) -> bool {
        [&self.editable, &self.r#virtual].into_iter().flatten().any(|own| own == path)
    }
}

/// The same in our own words.
pub(crate) fn source(from: From<'_>) -> Source {
    if from.editable.is_some() || from.r#virtual.is_some() {
        return Source::Own;
    }
    if let Some(git) = from.git {
        let commit = git.rsplit_once('#').and_then(|(_, commit)| full_commit(commit));
        return Source::Vcs { url: git.into_owned(), commit };
    }
    if let Some(url) = from.url {
        return Source::Url { url: url.into_owned() };
    }
    if let Some(path) = from.path.or(from.directory) {
        return Source::Path { path: path.into_owned().into() };
    }
    Source::Registry { url: from.registry.map(Cow::into_owned) }
}
