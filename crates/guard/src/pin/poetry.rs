//! `poetry.lock` → pins. Since Poetry 2.1 a lock says for each package in
//! which groups and environments it is wanted; older ones do not.

use super::marker::{When, decided};
use super::{Choice, Pin, PinnedFile, Plan, Unpinned};
use crate::inventory::{Hash, Place, Source};
use crate::manifest::poetry_lock::{From, source};
use crate::manifest::{Malformed, toml_file};
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
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Metadata {
    lock_version: String,
    python_versions: Option<String>,
    files: BTreeMap<String, Vec<Artefact>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    name: Spanned<String>,
    version: String,
    #[serde(default)]
    optional: bool,
    python_versions: Option<String>,
    category: Option<String>,
    groups: Option<Vec<String>>,
    markers: Option<Markers>,
    source: Option<From>,
    #[serde(default)]
    files: Vec<Artefact>,
    #[serde(default)]
    dependencies: Table,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    All(String),
    ByGroup(BTreeMap<String, String>),
}

#[derive(Clone, Deserialize)]
struct Artefact {
    file: Option<String>,
    hash: Option<String>,
}

/// What the text of such a lock says is to be installed.
pub(super) fn read(text: &str, place: &Place, choice: &Choice) -> Result<Plan, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut apart: BTreeMap<String, Vec<Artefact>> = BTreeMap::new();
    for (name, files) in file.metadata.files {
        apart.entry(pep503(&name)).or_default().extend(files);
    }
    let mut via: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &file.package {
        for needed in entry.dependencies.keys() {
            via.entry(pep503(needed)).or_default().push(pep503(entry.name.get_ref()));
        }
    }
    let mut plan = Plan { requires_python: file.metadata.python_versions, ..Plan::default() };
    let says_when = file.package.iter().any(|entry| entry.groups.is_some());
    if !says_when && !file.package.is_empty() {
        let version = &file.metadata.lock_version;
        plan.notes.push(format!("this lock (version {version}) does not say in which environments a package is wanted: lines have no markers; Poetry 2.1 and later write them"));
        if file.package.iter().all(|entry| entry.category.is_none()) {
            plan.notes.push("nor does it say which packages are for development: all of them are in, but for optional ones".into());
        }
    }
    let extras: Vec<String> =
        if choice.all { file.extras.keys().cloned().collect() } else { choice.extras.clone() };
    for entry in file.package {
        let Some(when) = entry.when(choice, &extras, &file.extras) else { continue };
        let place = place.at(lines.at(entry.name.span().start));
        let mut pin = Pin::new(entry.name.get_ref(), place);
        pin.marker = when.text();
        pin.requires_python = entry.python_versions.filter(|text| text != "*");
        if when.too_long {
            pin.marker = None;
            plan.gaps.push(pin.gap(
                Unpinned::Marker,
                "the marker that says when it is wanted is too long or is none",
                "Lock anew with Poetry.",
            ));
        }
        pin.version = Some(entry.version);
        pin.source = entry.source.map_or_else(Source::registry, source);
        let files = entry.files.iter().chain(apart.get(&pin.name).into_iter().flatten());
        pin.files = files
            .map(|file| PinnedFile {
                name: file.file.clone(),
                hashes: file.hash.as_deref().and_then(Hash::read).into_iter().collect(),
                ..PinnedFile::default()
            })
            .collect();
        pin.via = via.get(&pin.name).cloned().unwrap_or_default();
        plan.pins.push(pin);
    }
    Ok(plan)
}

impl Entry {
    /// When it is wanted by what was chosen; nothing if never.
    fn when(
        &self,
        choice: &Choice,
        chosen: &[String],
        extras: &BTreeMap<String, Vec<String>>,
    ) -> Option<When> {
        let is_chosen = |group: &str| {
            choice.all
                || matches!(group, "main" | "default")
                || choice.groups.iter().any(|g| g == group)
        };
        let read = |text: &str| {
            When::read(text, &|c| decided(c, chosen, &[])).unwrap_or_else(When::unknown)
        };
        let when = match (&self.groups, &self.markers) {
            (Some(groups), markers) => {
                let mut when = When::never();
                for group in groups.iter().filter(|group| is_chosen(group)) {
                    when = when.or(&match markers {
                        None => When::always(),
                        Some(Markers::All(text)) => read(text),
                        Some(Markers::ByGroup(by)) => {
                            by.get(group).map_or_else(When::always, |text| read(text))
                        }
                    });
                }
                when
            }
            (None, _) if self.category.as_deref().is_some_and(|c| !is_chosen(c)) => When::never(),
            (None, _) => When::always(),
        };
        // Before 2.1 an optional package says no more than that; extras list what they ask for
        // directly, and what these need in turn is optional too.
        let is_left_out = self.optional && self.groups.is_none() && !choice.all && {
            let asked = chosen.iter().filter_map(|extra| extras.get(extra)).flatten();
            asked.count() == 0
        };
        (!is_left_out && !when.is_never()).then_some(when)
    }
}
