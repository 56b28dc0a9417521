//! Files and packages under the names by which other tools know them.

use crate::inventory::{Ecosystem, Package};
use std::fmt::Write as _;
use std::path::{Component, Path};

/// `path` as a URI: relative where it is relative, `file:///…` where not.
pub(super) fn uri(path: &Path) -> String {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(escaped(&name.to_string_lossy(), b"")),
            Component::ParentDir => parts.push("..".into()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    let joined = parts.join("/");
    match (path.is_absolute(), joined.is_empty()) {
        (true, _) => format!("file:///{joined}"),
        (false, true) => "./".to_owned(),
        (false, false) => joined,
    }
}

/// The package URL of a package, `pkg:pypi/litellm@1.82.8`.
pub(crate) fn purl(package: &Package) -> String {
    let kind = match package.ecosystem {
        Ecosystem::PyPi => "pypi",
        Ecosystem::Npm => "npm",
        Ecosystem::CratesIo => "cargo",
    };
    // A slash parts a scope from a name and stays.
    let name = escaped(&package.name, b"/");
    match &package.version {
        Some(version) => format!("pkg:{kind}/{name}@{}", escaped(version.text(), b"")),
        None => format!("pkg:{kind}/{name}"),
    }
}

/// Everything but letters, digits, `-._~` and `kept`, percent-encoded.
fn escaped(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string has no way to fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Place, Standing};

    #[test]
    fn paths_become_uris_that_stay_relative() {
        for (path, expected) in [
            ("uv.lock", "uv.lock"),
            ("./a b/ü.txt", "a%20b/%C3%BC.txt"),
            ("../x#1.lock", "../x%231.lock"),
            ("/srv/a%/uv.lock", "file:///srv/a%25/uv.lock"),
            (".", "./"),
        ] {
            assert_eq!(uri(Path::new(path)), expected);
        }
    }

    #[test]
    fn package_urls_keep_a_scope_and_escape_the_rest() {
        let package = |ecosystem, name, version| {
            let place = Place::whole("f");
            purl(&Package::new(ecosystem, name, Standing::Locked, place).at_version(version))
        };
        assert_eq!(package(Ecosystem::PyPi, "A_b", "1.0+cu1"), "pkg:pypi/a-b@1.0%2Bcu1");
        assert_eq!(package(Ecosystem::Npm, "@s/x", "1.0.0"), "pkg:npm/%40s/x@1.0.0");
        assert_eq!(package(Ecosystem::CratesIo, "x", "1.0.0"), "pkg:cargo/x@1.0.0");
    }
}
