//! `pdm.lock` → pins.

use super::marker::When;
use super::{Choice, Pin, PinnedFile, Plan, Unpinned};
use crate::inventory::{Hash, Place, Source};
use crate::manifest::pdm_lock::source;
use crate::manifest::{Malformed, toml_file};
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
#[serde(default)]
struct Metadata {
    files: BTreeMap<String, Vec<Artefact>>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    version: Option<String>,
    requires_python: Option<String>,
    git: Option<String>,
    hg: Option<String>,
    revision: Option<String>,
    url: Option<String>,
    path: Option<String>,
    groups: Option<Vec<String>>,
    marker: Option<String>,
    #[serde(default)]
    files: Vec<Artefact>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Artefact {
    file: Option<String>,
    url: Option<String>,
    hash: Option<String>,
}

/// What the text of such a lock says is to be installed.
pub(super) fn read(text: &str, place: &Place, choice: &Choice) -> Result<Plan, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut plan = Plan::default();
    let mut via: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &file.package {
        for needed in entry.dependencies.iter().filter_map(|text| Requirement::read(text).ok()) {
            let (needed, parent) = (pep503(&needed.name), pep503(entry.name.get_ref()));
            // An entry with extras needs the entry without.
            if needed != parent {
                via.entry(needed).or_default().push(parent);
            }
        }
    }
    if file.package.iter().any(|entry| entry.groups.is_none()) {
        plan.notes.push("this lock does not say in which groups and environments a package is wanted: all are in, without markers; `pdm lock --strategy inherit_metadata` writes them".into());
    }
    let mut pins: BTreeMap<(String, Option<String>), Pin> = BTreeMap::new();
    for entry in file.package {
        let is_chosen = |group: &String| {
            choice.all
                || group == "default"
                || choice.groups.contains(group)
                || choice.extras.contains(group)
        };
        if entry.groups.as_ref().is_some_and(|groups| !groups.iter().any(is_chosen)) {
            continue;
        }
        let name = entry.name.get_ref();
        let mut pin = Pin::new(name, place.at(lines.at(entry.name.span().start)));
        pin.version.clone_from(&entry.version);
        pin.requires_python = entry.requires_python.filter(|text| text != "*");
        let apart = entry.version.as_ref().map(|version| format!("{name} {version}"));
        let apart = apart.and_then(|key| file.metadata.files.get(&key)).into_iter().flatten();
        pin.files = entry.files.iter().chain(apart).map(Artefact::pinned).collect();
        if let Some(source) =
            source(entry.git.or(entry.hg), entry.revision.as_deref(), entry.url, entry.path)
        {
            pin.source = source;
        }
        match entry.marker.as_deref().map(|text| (text, When::read(text, &|_| None))) {
            Some((_, Some(when))) => pin.marker = when.text(),
            Some((_, None)) => plan.gaps.push(pin.gap(
                Unpinned::Marker,
                "the marker that says when it is wanted is none",
                "Lock anew with PDM.",
            )),
            None => {}
        }
        if pin.source == Source::Own {
            continue;
        }
        pin.via = via.get(&pin.name).cloned().unwrap_or_default();
        // One entry for the package and one for each set of its extras.
        let key = (pin.name.clone(), pin.version.clone());
        match pins.get_mut(&key) {
            Some(same) => {
                for file in pin.files {
                    if !same.files.contains(&file) {
                        same.files.push(file);
                    }
                }
                let read = |text: &Option<String>| {
                    text.as_deref().and_then(|text| When::read(text, &|_| None))
                };
                same.marker = match (read(&same.marker), read(&pin.marker)) {
                    (Some(a), Some(b)) => a.or(&b).text(),
                    _ => None,
                };
            }
            None => {
                pins.insert(key, pin);
            }
        }
    }
    plan.pins = pins.into_values().collect();
    Ok(plan)
}

impl Artefact {
    fn pinned(&self) -> PinnedFile {
        PinnedFile {
            name: self.file.clone(),
            url: self.url.clone(),
            hashes: self.hash.as_deref().and_then(Hash::read).into_iter().collect(),
            ..PinnedFile::default()
        }
    }
}
