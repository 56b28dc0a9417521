//! What all TOML files share: reading with places, and tolerance for fields
//! of another shape where they do not matter.

use super::Malformed;
use super::text::Lines;
use serde::de::DeserializeOwned;

/// `text` as a `T`, and where its lines begin.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<(T, Lines), Malformed> {
    let lines = Lines::of(text);
    match toml::from_str(text) {
        Ok(value) => Ok((value, lines)),
        Err(error) => {
            let line = error.span().map_or(0, |span| lines.at(span.start));
            // Its message may show the line; what a file holds is not ours to print.
            let what = error.message().lines().next().unwrap_or("not valid TOML");
            Err(Malformed { line, what: what.to_owned() })
        }
    }
}
