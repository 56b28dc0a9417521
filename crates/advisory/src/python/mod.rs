//! Python's words for what is wanted: specifiers, markers, requirements.
//!
//! The grammar is that of Python's `packaging`, which is the oracle in the
//! tests; a text that it refuses is refused here.

pub mod artefact;
pub mod marker;
pub mod requirement;
pub mod specifier;

pub use requirement::Requirement;
pub use specifier::Specifiers;

/// The lines of `text` as `str.splitlines` counts them. pip reads requirement
/// files so, and a newer Python its `.pth` files: what stands behind a form feed
/// in a comment, or behind a carriage return, is a line of its own to them.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = |l: char| matches!(l, '\n' | '\u{b}'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some((line, after)) = rest.split_once(ends) else {
            return Some(std::mem::take(&mut rest));
        };
        let whole = rest.get(line.len()..).unwrap_or_default();
        rest = whole.strip_prefix("\r\n").unwrap_or(after);
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_end_where_splitlines_ends_them() {
        let all: Vec<&str> = lines("a\r\nb\rc\n\u{c}d\u{2028}e\u{85}\u{1d}f g\n").collect();
        assert_eq!(all, ["a", "b", "c", "", "d", "e", "", "f g"]);
        assert_eq!(lines("").count(), 0);
    }
}
