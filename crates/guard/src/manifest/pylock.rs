//! `pylock.toml`, the lock file that Python's installers share (PEP 751).

use super::{Malformed, Reading, elsewhere, full_commit, link, toml_file};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::name::pep503;
use crate::python::requirement::quoted;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::value::Datetime;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    lock_version: Spanned<String>,
    packages: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    version: Option<Spanned<String>>,
    index: Option<String>,
    vcs: Option<Vcs>,
    directory: Option<Directory>,
    archive: Option<Artefact>,
    sdist: Option<Artefact>,
    #[serde(default)]
    wheels: Vec<Artefact>,
    #[serde(default)]
    dependencies: Vec<Needed>,
    #[serde(default, rename = "attestation-identities")]
    identities: Vec<Identity>,
}

#[derive(Deserialize)]
struct Identity {
    kind: String,
    repository: Option<String>,
    workflow: Option<String>,
    email: Option<String>,
}

/// A repository.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Vcs {
    url: Option<String>,
    path: Option<String>,
    commit_id: Option<String>,
}

/// A folder.
#[derive(Deserialize)]
pub(crate) struct Directory {
    path: String,
    #[serde(default)]
    editable: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Artefact {
    url: Option<String>,
    path: Option<String>,
    upload_time: Option<Datetime>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Needed {
    name: Option<String>,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let version = file.lock_version.get_ref();
    if version != "1" && !version.starts_with("1.") {
        let line = lines.at(file.lock_version.span().start);
        let what = format!("lock-version `{version}` is not known; 1.x is");
        return Err(Malformed { line, what });
    }
    let mut reading = Reading::default();
    let mut edges = Vec::new();
    for entry in file.packages {
        let place = place.at(lines.at(entry.name.span().start));
        let mut package =
            Package::new(Ecosystem::PyPi, entry.name.get_ref(), Standing::Locked, place);
        if let Some(version) = &entry.version {
            package = package.at_version(version.get_ref());
            if !package.version.as_ref().is_some_and(crate::version::Version::is_ordered) {
                let line = lines.at(version.span().start);
                let what = format!("`{}` is not a version", quoted(version.get_ref()));
                return Err(Malformed { line, what });
            }
        }
        for artefact in entry.archive.iter().chain(&entry.sdist).chain(&entry.wheels) {
            package.hashes.extend(artefact.hashes.iter().map(|(algorithm, digest)| Hash {
                algorithm: algorithm.to_ascii_lowercase(),
                digest: digest.clone(),
            }));
            let uploaded = artefact.upload_time.as_ref().map(ToString::to_string);
            let uploaded = uploaded.as_deref().and_then(crate::time::unix_ms);
            package.since_ms = package.since_ms.max(uploaded);
        }
        let index = entry.index.as_deref().unwrap_or_default();
        let addresses = entry.sdist.iter().chain(&entry.wheels).filter_map(|a| a.url.as_deref());
        reading.findings.extend(elsewhere(entry.name.get_ref(), index, addresses, &package.place));
        package.publishers = entry.identities.iter().map(publisher).collect();
        let needed = entry.dependencies.iter().filter_map(|needed| needed.name.as_deref());
        edges.extend(needed.map(|name| (package.name.clone(), pep503(name))));
        let archive = entry.archive.map(|archive| (archive.url, archive.path));
        package.source = place_of_package(entry.vcs, entry.directory, archive, entry.index);
        reading.packages.push(package);
    }
    link(&mut reading.packages, &edges);
    Ok(reading)
}

/// `GitHub owner/name release.yml`
fn publisher(identity: &Identity) -> String {
    let parts = [
        Some(&identity.kind),
        identity.repository.as_ref(),
        identity.workflow.as_ref(),
        identity.email.as_ref(),
    ];
    parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Where a package comes from; of an archive its address and its path.
pub(crate) fn place_of_package(
    vcs: Option<Vcs>,
    directory: Option<Directory>,
    archive: Option<(Option<String>, Option<String>)>,
    index: Option<String>,
) -> Source {
    if let Some(vcs) = vcs {
        let url = vcs.url.or(vcs.path).unwrap_or_default();
        return Source::Vcs { url, commit: vcs.commit_id.as_deref().and_then(full_commit) };
    }
    if let Some(directory) = directory {
        let own = directory.editable || matches!(directory.path.as_str(), "." | "./");
        return if own { Source::Own } else { Source::Path { path: directory.path.into() } };
    }
    match archive {
        Some((Some(url), _)) => Source::Url { url },
        Some((None, path)) => Source::Path { path: path.unwrap_or_default().into() },
        None => Source::Registry { url: index },
    }
}
