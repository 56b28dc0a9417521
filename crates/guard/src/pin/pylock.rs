//! `pylock.toml` → pins (PEP 751).

use super::marker::{When, decided};
use super::{Choice, Pin, PinnedFile, Plan, Unpinned};
use crate::inventory::{Hash, Place, Source};
use crate::manifest::pylock::{Directory, Vcs, place_of_package};
use crate::manifest::{Malformed, toml_file};
use crate::name::pep503;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::value::Datetime;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    requires_python: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    dependency_groups: Vec<String>,
    #[serde(default)]
    default_groups: Vec<String>,
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    name: Spanned<String>,
    version: Option<String>,
    marker: Option<String>,
    requires_python: Option<String>,
    index: Option<String>,
    vcs: Option<Vcs>,
    directory: Option<Directory>,
    archive: Option<Artefact>,
    sdist: Option<Artefact>,
    #[serde(default)]
    wheels: Vec<Artefact>,
    #[serde(default)]
    dependencies: Vec<Needed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Artefact {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    upload_time: Option<Datetime>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Needed {
    name: Option<String>,
}

/// What the text of such a lock says is to be installed.
pub(super) fn read(text: &str, place: &Place, choice: &Choice) -> Result<Plan, Malformed> {
    // The other reader checks what the standard demands.
    crate::manifest::pylock::read(text, place)?;
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut via: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &file.packages {
        for needed in entry.dependencies.iter().filter_map(|needed| needed.name.as_deref()) {
            via.entry(pep503(needed)).or_default().push(pep503(entry.name.get_ref()));
        }
    }
    let (extras, groups) = if choice.all {
        (file.extras, file.dependency_groups)
    } else {
        let groups = file.default_groups.iter().chain(&choice.groups).cloned().collect();
        (choice.extras.clone(), groups)
    };
    let mut plan = Plan { requires_python: file.requires_python, ..Plan::default() };
    for entry in file.packages {
        let mut pin = Pin::new(entry.name.get_ref(), place.at(lines.at(entry.name.span().start)));
        pin.version.clone_from(&entry.version);
        pin.requires_python.clone_from(&entry.requires_python);
        let when = entry
            .marker
            .as_deref()
            .map(|text| When::read(text, &|comparison| decided(comparison, &extras, &groups)));
        match when {
            Some(Some(when)) if when.is_never() => continue,
            Some(Some(when)) if !when.too_long => pin.marker = when.text(),
            Some(_) => plan.gaps.push(pin.gap(
                Unpinned::Marker,
                "the marker that says when it is wanted is too long or is none",
                "Write the file anew with the tool that made it.",
            )),
            None => {}
        }
        pin.via = via.get(&pin.name).cloned().unwrap_or_default();
        let files = entry.archive.iter().chain(&entry.sdist).chain(&entry.wheels);
        pin.files = files.map(Artefact::pinned).collect();
        let archive = entry.archive.map(|archive| (archive.url, archive.path));
        pin.source = place_of_package(entry.vcs, entry.directory, archive, entry.index);
        if pin.source != Source::Own {
            plan.pins.push(pin);
        }
    }
    Ok(plan)
}

impl Artefact {
    fn pinned(&self) -> PinnedFile {
        PinnedFile {
            name: self.name.clone(),
            url: self.url.clone(),
            path: self.path.as_ref().map(Into::into),
            size: self.size,
            uploaded: self.upload_time.as_ref().map(ToString::to_string),
            hashes: self
                .hashes
                .iter()
                .map(|(algorithm, digest)| Hash {
                    algorithm: algorithm.to_ascii_lowercase(),
                    digest: digest.clone(),
                })
                .collect(),
        }
    }
}
