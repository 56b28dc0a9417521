//! Names and versions in the names of artefacts.

/// Endings of source archives, longest first.
const ARCHIVES: [&str; 6] = [".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip"];

/// The name and version in the file name of a wheel or a source archive; a
/// query, a fragment and folders before it are ignored.
pub fn name_and_version(address: &str) -> Option<(&str, &str)> {
    let path = address.split(['?', '#']).next()?;
    let file = path.rsplit(['/', '\\']).next()?;
    if let Some(stem) = file.strip_suffix(".whl") {
        let mut parts = stem.split('-');
        let (name, version) = (parts.next()?, parts.next()?);
        // Three tags follow, and perhaps a build number before them.
        let tags = parts.count();
        return (matches!(tags, 3 | 4) && is_version(version)).then_some((name, version));
    }
    let stem = ARCHIVES.iter().find_map(|ending| file.strip_suffix(ending))?;
    let (name, version) = stem.rsplit_once('-')?;
    (is_version(version) && super::super::name::is_valid_python(name)).then_some((name, version))
}

/// Returns true if `address` ends like a wheel or a source archive.
pub fn is_artefact(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    std::iter::once(&".whl").chain(&ARCHIVES).any(|ending| path.ends_with(ending))
}

fn is_version(text: &str) -> bool {
    // In addresses the `+` of a local version may be written as %2B.
    crate::version::pep440(&text.replace("%2B", "+")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheels_and_archives_at_addresses() {
        let wheel = "https://h/x/litellm-1.82.8-py3-none-any.whl#sha256=ab";
        assert_eq!(name_and_version(wheel), Some(("litellm", "1.82.8")));
        assert_eq!(name_and_version("a_b-1.0-1-py3-none-any.whl"), Some(("a_b", "1.0")));
        assert_eq!(name_and_version("./d/a-b-1.0.tar.gz?x"), Some(("a-b", "1.0")));
        for not in ["https://h/tags/1.26.8.zip", "a-1.0.whl", "a-b.zip", "", "a-x-py3-none-any.whl"]
        {
            assert_eq!(name_and_version(not), None, "{not}");
        }
    }
}
