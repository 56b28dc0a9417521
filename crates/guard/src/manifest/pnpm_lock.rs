//! `pnpm-lock.yaml`, formats 5, 6 and 9.
//!
//! The keys of `packages` carry name and version, in three spellings:
//! `/name/1.0.0_peer@2` (5), `/name@1.0.0(peer@2)` (6), `name@1.0.0` (9).

use super::yaml::{self, Node};
use super::{Malformed, Reading, format_version, full_commit, link};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::python::requirement::quoted;

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let root = yaml::read(text)?;
    let Some(version) = root.get("lockfileVersion") else {
        return Err(Malformed::whole("there is no `lockfileVersion` in it"));
    };
    let mut reading = Reading::default();
    format_version(version.text(), &["5", "6", "9"], place, &mut reading);
    let mut edges = Vec::new();
    // Format 9 keeps what each package needs apart from what it is.
    for part in ["packages", "snapshots"] {
        for (key, line, entry) in root.get(part).map(Node::entries).unwrap_or_default() {
            let Some((name, version)) = name_and_version(key, entry) else {
                let what = format!("`{}` is no name and version", quoted(key));
                return Err(Malformed { line: *line, what });
            };
            for needed in ["dependencies", "optionalDependencies"] {
                let needed = entry.get(needed).map(Node::entries).unwrap_or_default();
                edges.extend(needed.iter().map(|(needed, _, _)| (name.clone(), needed.clone())));
            }
            if part == "packages" {
                reading.packages.push(package(&name, &version, entry, place.at(*line)));
            }
        }
    }
    link(&mut reading.packages, &edges);
    Ok(reading)
}

fn package(name: &str, version: &str, entry: &Node, place: Place) -> Package {
    let mut package = Package::new(Ecosystem::Npm, name, Standing::Locked, place);
    let resolution = entry.get("resolution");
    let text = |key| resolution.and_then(|r| r.get(key)).and_then(Node::text);
    package.hashes = text("integrity").and_then(Hash::read).into_iter().collect();
    let repository = text("repo").or_else(|| version.starts_with("git").then_some(version));
    if let Some(url) = repository {
        let commit = text("commit").or_else(|| version.rsplit_once('#').map(|(_, commit)| commit));
        package.source = Source::Vcs { url: url.to_owned(), commit: commit.and_then(full_commit) };
    } else if let Some(path) = version.strip_prefix("file:") {
        package.source = Source::Path { path: path.into() };
    } else if version.contains("://") {
        package.source = Source::Url { url: version.to_owned() };
    } else if let Some(url) = text("tarball") {
        package.source = Source::Url { url: url.to_owned() };
    }
    let written = entry.get("version").and_then(Node::text);
    match written.or_else(|| (!version.contains([':', '/'])).then_some(version)) {
        Some(version) => package.at_version(version),
        None => package,
    }
}

fn name_and_version(key: &str, entry: &Node) -> Option<(String, String)> {
    let key = key.split_once('(').map_or(key, |(before, _)| before);
    let written = |part| entry.get(part).and_then(Node::text);
    let own = || Some((written("name")?.to_owned(), written("version")?.to_owned()));
    let bare = key.strip_prefix('/').unwrap_or(key);
    // The `@` that begins a scope separates nothing.
    let from = usize::from(bare.starts_with('@'));
    let at = bare.get(from..)?.find('@').map(|at| at + from);
    let path_style = |bare: &str| {
        let (name, version) = bare.rsplit_once('/')?;
        let version = version.split_once('_').map_or(version, |(before, _)| before);
        let numbered = version.starts_with(|l: char| l.is_ascii_digit());
        (numbered && !name.is_empty()).then(|| (name.to_owned(), version.to_owned()))
    };
    // In format 5 an `@` stands behind the version, in the names of peers.
    let peer = |at: usize| bare.get(..at).is_some_and(|before| path_style(before).is_some());
    match at {
        Some(at) if !peer(at) => Some((bare.get(..at)?.to_owned(), bare.get(at + 1..)?.to_owned())),
        _ => path_style(bare),
    }
    .filter(|(name, version)| !name.is_empty() && !version.is_empty())
    .or_else(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_three_formats() {
        let none = Node::Map(Vec::new());
        let read = |key| name_and_version(key, &none).map(|(n, v)| format!("{n} {v}"));
        for (key, expected) in [
            ("/axios/1.14.1", "axios 1.14.1"),
            ("/@scope/a-b/1.0.0_react@18.0.0", "@scope/a-b 1.0.0"),
            ("/axios@1.14.1(debug@4.0.0)", "axios 1.14.1"),
            ("/@scope/a@1.0.0", "@scope/a 1.0.0"),
            ("axios@1.14.1", "axios 1.14.1"),
            ("@scope/a@1.0.0(x@1)(y@2)", "@scope/a 1.0.0"),
            ("a@file:../a", "a file:../a"),
        ] {
            assert_eq!(read(key).as_deref(), Some(expected), "{key}");
        }
        for bad in ["", "/", "axios", "@scope/a", "@"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
