//! `package-lock.json` and `npm-shrinkwrap.json`: a tree of packages by name
//! (version 1) or a list by path (2 and 3; 2 has both, and the list counts).

use super::json::Json;
use super::{Malformed, Reading, format_version, full_commit, link};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Packages inside each other, in version 1.
const DEPTH_MAX: usize = 64;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    link: bool,
    dependencies: Names,
    optional_dependencies: Names,
    requires: Names,
}

/// The names in an object. Version 1 writes `requires: true` at the top and an
/// object further in; what is no object has no names.
#[derive(Default)]
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Names;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Names, E> {
                Ok(Names::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_any(Keys)
    }
}

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let json = Json::new(text);
    let members = json.members()?;
    let member = |name| members.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    let mut file = File { json, place, reading: Reading::default(), edges: Vec::new() };
    if let Some(packages) = member("packages") {
        file.list(packages)?;
    } else if let Some(dependencies) = member("dependencies") {
        file.tree(dependencies, 0)?;
    } else if member("lockfileVersion").is_none() {
        return Err(Malformed::whole("there is neither `packages` nor `dependencies` in it"));
    }
    link(&mut file.reading.packages, &file.edges);
    if let Some(version) = member("lockfileVersion") {
        let version = version.get().trim_matches('"');
        format_version(Some(version), &["1", "2", "3"], place, &mut file.reading);
    }
    Ok(file.reading)
}

struct File<'t> {
    json: Json<'t>,
    place: &'t Place,
    reading: Reading,
    edges: Vec<(String, String)>,
}

impl<'t> File<'t> {
    fn list(&mut self, packages: &'t RawValue) -> Result<(), Malformed> {
        for (path, value) in self.json.inside(packages)? {
            let entry: Entry = self.json.read(value)?;
            // The project and the members of its workspace stand outside of node_modules.
            let Some((_, last)) = path.rsplit_once("node_modules/") else { continue };
            if entry.link {
                continue;
            }
            let name = entry.name.clone().unwrap_or_else(|| last.to_owned());
            let needed = entry.dependencies.0.iter().chain(&entry.optional_dependencies.0);
            self.edges.extend(needed.map(|needed| (name.clone(), needed.clone())));
            self.push(&name, entry, value);
        }
        Ok(())
    }

    fn tree(&mut self, dependencies: &'t RawValue, depth: usize) -> Result<(), Malformed> {
        if depth > DEPTH_MAX {
            let line = self.json.line(dependencies);
            return Err(Malformed { line, what: format!("more than {DEPTH_MAX} levels") });
        }
        for (name, value) in self.json.inside(dependencies)? {
            let mut entry: Entry = self.json.read(value)?;
            let needed = std::mem::take(&mut entry.requires.0);
            self.edges.extend(needed.into_iter().map(|needed| (name.clone(), needed)));
            self.push(&name, entry, value);
            let inner = self.json.inside(value)?;
            if let Some((_, inner)) = inner.into_iter().find(|(n, _)| n == "dependencies") {
                self.tree(inner, depth + 1)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, name: &str, entry: Entry, value: &RawValue) {
        let place = self.place.at(self.json.line(value));
        let version = entry.version.unwrap_or_default();
        // An alias in version 1: "npm:real-name@1.0.0".
        let alias = version.strip_prefix("npm:").and_then(|real| real.rsplit_once('@'));
        let (name, version) = alias.unwrap_or((name, &version));
        let mut package = Package::new(Ecosystem::Npm, name, Standing::Locked, place);
        let address = entry.resolved.as_deref().unwrap_or(version);
        package.source = source(address);
        if !version.is_empty() && !version.contains([':', '/']) {
            package = package.at_version(version);
        }
        let digests = entry.integrity.as_deref().unwrap_or_default().split_whitespace();
        package.hashes = digests.filter_map(Hash::read).collect();
        self.reading.packages.push(package);
    }
}

fn source(address: &str) -> Source {
    let scheme = address.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_repository = scheme.starts_with("git")
        || matches!(scheme, "bitbucket" | "gist")
        || address.strip_suffix(".git").is_some();
    if is_repository {
        let commit = address.rsplit_once('#').and_then(|(_, commit)| full_commit(commit));
        return Source::Vcs { url: address.to_owned(), commit };
    }
    match scheme {
        "file" | "link" => Source::Path { path: address.into() },
        "http" | "https" => Source::Registry { url: Some(address.to_owned()) },
        _ => Source::registry(),
    }
}
