//! What all TOML files share: reading with places, and tolerance for fields
//! of another shape where they do not matter.

use super::Malformed;
use super::text::Lines;
use serde::de::DeserializeOwned;

/// `text` as a `T`, and where its lines begin.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<(T, Lines), Malformed> {
    let lines = Lines::of(text);
    match toml::from_str(text) {
        Ok(value) => Ok((value, lines)),
        Err(error) => {
            let line = error.span().map_or(0, |span| lines.at(span.start));
            Err(Malformed { line, what: told(error.message()) })
        }
    }
}

/// The parser's first words: it may go on to show a value, and a value may be
/// an address with a password in it.
pub(crate) fn told(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let shown = first.split("://").next().unwrap_or_default();
    if shown.is_empty() { "not valid TOML".to_owned() } else { shown.to_owned() }
}
