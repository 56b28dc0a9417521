//! `Cargo.lock`, versions 1 to 4.

use super::{Malformed, Reading, format_version, full_commit, link, toml_file, written};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

#[derive(Deserialize)]
struct File {
    /// Versions 1 and 2 of the format have none.
    version: Option<toml::Value>,
    #[serde(default)]
    package: Vec<Entry>,
    /// Version 1 of the format: `"checksum NAME VERSION (SOURCE)"`.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Entry {
    name: Spanned<String>,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let (file, lines) = toml_file::read::<File>(text)?;
    let mut reading = Reading::default();
    let mut edges = Vec::new();
    for entry in file.package {
        let place = place.at(lines.at(entry.name.span().start));
        let name = entry.name.get_ref();
        let from = entry.source.unwrap_or_default();
        let key = format!("checksum {name} {} ({from})", entry.version);
        let digest = entry.checksum.or_else(|| file.metadata.get(&key).cloned());
        let mut package = Package::new(Ecosystem::CratesIo, name, Standing::Locked, place)
            .at_version(&entry.version);
        package.hashes.extend(
            digest
                .filter(|digest| digest != "<none>")
                .map(|digest| Hash { algorithm: "sha256".into(), digest }),
        );
        package.source = source(&from);
        if package.source != Source::Own {
            // `name`, `name version` or `name version (source)`
            let needed = entry.dependencies.iter().filter_map(|text| text.split(' ').next());
            edges.extend(needed.map(|needed| (package.name.clone(), needed.to_owned())));
        }
        reading.packages.push(package);
    }
    link(&mut reading.packages, &edges);
    if let Some(version) = written(file.version.as_ref()) {
        format_version(Some(&version), &["1", "2", "3", "4"], place, &mut reading);
    }
    Ok(reading)
}

fn source(text: &str) -> Source {
    match text.split_once('+') {
        None => Source::Own,
        Some(("git", url)) => {
            let commit = url.rsplit_once('#').and_then(|(_, commit)| full_commit(commit));
            Source::Vcs { url: url.to_owned(), commit }
        }
        Some((_, url)) => Source::Registry { url: Some(url.to_owned()) },
    }
}
