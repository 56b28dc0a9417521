//! conda: what is installed (`conda-meta`), locked (`conda-lock.yml`, explicit
//! lists) and asked for (`environment.yml`).
//!
//! conda builds packages itself. No advisory speaks of its builds, so a build
//! is compared by name and version with what is known of the Python release of
//! that name, and a gap says that this is all.

use super::yaml::{self, Aliases, Node};
use super::{Malformed, Reading, format_version, requirements};
use crate::finding::{Gap, Why};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use serde::Deserialize;

#[derive(Deserialize)]
struct Meta {
    name: Option<String>,
    version: Option<String>,
    sha256: Option<String>,
    #[serde(default)]
    url: String,
}

/// `conda-meta/name-1.0-build.json`
pub fn meta(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let meta: Meta = serde_json::from_str(text).map_err(|error| Malformed {
        line: u32::try_from(error.line()).unwrap_or(0),
        what: "it is not what conda writes about a package".into(),
    })?;
    let (Some(name), Some(version)) = (
        meta.name.filter(|name| !name.is_empty()),
        meta.version.filter(|version| !version.is_empty()),
    ) else {
        return Err(Malformed::whole("it names no package and version"));
    };
    let mut reading = Reading::default();
    let mut package = build(&name, &version, meta.url, Standing::Installed, place.clone());
    package.hashes.extend(meta.sha256.and_then(|sha256| Hash::read(&format!("sha256:{sha256}"))));
    reading.packages.push(package);
    Ok(reading)
}

/// `conda-lock.yml`
pub fn lock(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let root = yaml::document(text, Aliases::Refused)?;
    let Some(list) = root.get("package") else {
        return Err(Malformed::whole("there is no `package` in it"));
    };
    let mut reading = Reading::default();
    if let Some(version) = root.get("version") {
        format_version(version.text(), &["1"], place, &mut reading);
    }
    for (line, entry) in list.items() {
        let text = |key| entry.get(key).and_then(Node::text);
        let (Some(name), Some(version)) = (text("name"), text("version")) else {
            return Err(Malformed {
                line: *line,
                what: "a package without name and version".into(),
            });
        };
        let at = place.at(*line);
        let url = text("url").unwrap_or_default().to_owned();
        let mut package = if text("manager") == Some("pip") {
            Package::new(Ecosystem::PyPi, name, Standing::Locked, at).at_version(version)
        } else {
            build(name, version, url, Standing::Locked, at)
        };
        let hashes = entry.get("hash").map(Node::entries).unwrap_or_default();
        package.hashes = hashes
            .iter()
            .filter_map(|(name, _, hash)| Hash::read(&format!("{name}:{}", hash.text()?)))
            .collect();
        reading.packages.push(package);
    }
    Ok(told(reading, place))
}

/// `environment.yml`
pub fn environment(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let root = yaml::document(text, Aliases::Skipped)?;
    let mut reading = Reading::default();
    for (line, item) in root.get("dependencies").map(Node::items).unwrap_or_default() {
        let at = place.at(*line);
        if let Some(text) = item.text() {
            reading.packages.push(asked(text, at));
        }
        for (at, requirement) in item.get("pip").map(Node::items).unwrap_or_default() {
            let refuse = |_: &std::path::Path| Err("it is not looked for from here".to_owned());
            let mut read =
                requirements::read(requirement.text().unwrap_or_default(), place, &refuse);
            for package in &mut read.packages {
                package.place = place.at(*at);
            }
            reading.append(read);
        }
    }
    Ok(told(reading, place))
}

/// `@EXPLICIT` lists: an address a line, with `#md5` or `#sha256:…` behind it.
pub fn explicit(text: &str, place: &Place) -> Reading {
    let mut reading = Reading::default();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '@']) {
            continue;
        }
        let at = place.at(number);
        let (address, hash) = line.split_once('#').unwrap_or((line, ""));
        let file = address.rsplit('/').next().unwrap_or(address);
        let stem = file.strip_suffix(".conda").or_else(|| file.strip_suffix(".tar.bz2"));
        // name-version-build
        let parts = stem.and_then(|stem| {
            let (rest, _build) = stem.rsplit_once('-')?;
            rest.rsplit_once('-')
        });
        let Some((name, version)) = parts else {
            reading.gaps.push(Gap {
                why: Why::Malformed,
                subject: place.file.display().to_string(),
                place: Some(at),
                text: "it is no address of a conda package".into(),
                do_first: "Make the list anew with `conda list --explicit`.".into(),
            });
            continue;
        };
        let mut package = build(name, version, address.to_owned(), Standing::Locked, at);
        package.hashes = if hash.len() == 32 {
            Hash::read(&format!("md5:{hash}")).into_iter().collect()
        } else {
            Hash::read(hash).into_iter().collect()
        };
        reading.packages.push(package);
    }
    told(reading, place)
}

fn build(name: &str, version: &str, url: String, standing: Standing, place: Place) -> Package {
    let mut package = Package::new(Ecosystem::PyPi, name, standing, place).at_version(version);
    package.source = Source::Conda { url };
    package
}

/// `channel::name=1.0=build`, `name==1.0`, `name>=1.0`, `name`.
fn asked(text: &str, place: Place) -> Package {
    let text = text.rsplit_once("::").map_or(text, |(_, rest)| rest);
    let end = text.find(['=', '<', '>', '!', '~', ' ', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let rest = rest.trim();
    let exact = rest.strip_prefix("==").or_else(|| {
        // `=1.0=build` fixes both; `=1.0` means 1.0 and what begins with it.
        rest.strip_prefix('=').and_then(|rest| rest.split_once('=')).map(|(version, _)| version)
    });
    let exact = exact.filter(|version| !version.contains(['*', ',', '|', '<', '>']));
    let mut package = Package::new(Ecosystem::PyPi, name, Standing::Asked, place);
    package.source = Source::Conda { url: String::new() };
    if let Some(version) = exact {
        return package.at_version(version.split('=').next().unwrap_or(version));
    }
    package.range = (!rest.is_empty()).then(|| rest.to_owned());
    package
}

/// The same, with the gap that conda's own builds are.
fn told(mut reading: Reading, place: &Place) -> Reading {
    let builds =
        reading.packages.iter().filter(|p| matches!(p.source, Source::Conda { .. })).count();
    if builds > 0 {
        reading.gaps.push(gap(builds, place.clone()));
    }
    reading
}

/// The gap that `builds` of conda's own are.
pub(crate) fn gap(builds: usize, place: Place) -> Gap {
    Gap {
        why: Why::UnknownSource,
        subject: format!("{builds} conda packages"),
        place: Some(place),
        text: "no advisory speaks of conda's own builds: they were compared by name with what is known of Python's releases".into(),
        do_first: "Take Python packages from the index, or audit with the channel's own advisories.".into(),
    }
}
