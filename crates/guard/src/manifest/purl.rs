//! Package URLs: `pkg:type/namespace/name@version?qualifiers#subpath`.
//!
//! Specification: package-url/purl-spec. Only types that advisories here speak
//! of are kept; names are taken as each type writes them.

use crate::inventory::Ecosystem;

/// What a package URL names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Purl {
    /// `None` for a type that no advisory here speaks of.
    pub(super) ecosystem: Option<Ecosystem>,
    pub(super) name: String,
    pub(super) version: Option<String>,
}

/// `text` as a package URL, if it is one.
pub(super) fn read(text: &str) -> Option<Purl> {
    let rest = text.trim().strip_prefix("pkg:")?.trim_start_matches('/');
    let rest = rest.split('#').next()?.split('?').next()?;
    let (kind, rest) = rest.split_once('/')?;
    // A scope's `@` is written as %40, so the last one is the version's.
    let (path, version) = match rest.rsplit_once('@') {
        Some((path, version)) if !path.is_empty() && !version.contains('/') => {
            (path, Some(decoded(version)?))
        }
        _ => (rest, None),
    };
    let path = decoded(path.trim_matches('/'))?;
    let ecosystem = match kind.to_ascii_lowercase().as_str() {
        "pypi" => Some(Ecosystem::PyPi),
        "npm" => Some(Ecosystem::Npm),
        "cargo" => Some(Ecosystem::CratesIo),
        _ => None,
    };
    let name = match ecosystem {
        Some(Ecosystem::Npm) | None => path,
        Some(_) => path.rsplit('/').next()?.to_owned(),
    };
    let version = version.filter(|version| !version.is_empty());
    (!name.is_empty()).then_some(Purl { ecosystem, name, version })
}

/// `text` with `%40` and its kin as what they stand for.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_matter_are_read_and_others_named() {
        let shown = |text| read(text).map(|p| (p.ecosystem, p.name, p.version.unwrap_or_default()));
        let some = |ecosystem, name: &str, version: &str| {
            Some((ecosystem, name.to_owned(), version.to_owned()))
        };
        let (pypi, npm) = (Some(Ecosystem::PyPi), Some(Ecosystem::Npm));
        assert_eq!(shown("pkg:pypi/litellm@1.82.8"), some(pypi, "litellm", "1.82.8"));
        assert_eq!(shown("pkg:PyPI/Thing@1.0%2Bcu118?x=y#z"), some(pypi, "Thing", "1.0+cu118"));
        assert_eq!(shown("pkg:npm/%40scope/name@1.0.0"), some(npm, "@scope/name", "1.0.0"));
        assert_eq!(shown("pkg:npm/@scope/name"), some(npm, "@scope/name", ""));
        assert_eq!(shown("pkg:deb/debian/curl@7"), some(None, "debian/curl", "7"));
        for bad in ["", "pkg:", "pkg:pypi", "pkg:pypi/", "pkg:pypi/%4", "pypi/x", "pkg:pypi/%ff"] {
            assert_eq!(shown(bad), None, "{bad}");
        }
    }
}
