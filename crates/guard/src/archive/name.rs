//! Names of members: as text, without what says nothing, and whether they
//! would leave the folder they are unpacked into.

/// The name as text with `/` between its parts, and whether it was text.
pub(super) fn read(raw: &[u8]) -> (String, bool) {
    match std::str::from_utf8(raw) {
        Ok(text) if !text.is_empty() && !text.contains('\0') => (text.to_owned(), true),
        _ => (String::from_utf8_lossy(raw).replace('\0', "\u{fffd}"), false),
    }
}

/// `name` without `./` before it and without a `/` at its end.
pub(super) fn plain(name: &str) -> &str {
    let mut name = name;
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    name.trim_end_matches('/')
}

/// Returns true if `name` is absolute or climbs, on any system: `\` separates on one,
/// and a drive letter begins a path there.
pub(super) fn escapes(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    let drive = name.as_bytes().get(1) == Some(&b':')
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    name.starts_with(['/', '\\']) || drive || parts.any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_are_known_on_every_system() {
        for leaves in ["/etc/x", "../x", "a/../../x", "a/..", "\\x", "a\\..\\x", "C:x", "c:/x"] {
            assert!(escapes(leaves), "{leaves}");
        }
        for stays in ["a/b", "a..b", "...", "./a", "a/.b", "ab:c"] {
            assert!(!escapes(stays), "{stays}");
        }
    }

    #[test]
    fn what_says_nothing_is_left_out() {
        assert_eq!((plain("././a/b/"), plain("."), plain("a")), ("a/b", ".", "a"));
        assert!(!read(b"a\0b").1 && !read(b"\xff").1 && !read(b"").1 && read("ü".as_bytes()).1);
    }
}
