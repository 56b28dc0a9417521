//! `anthropic-beta`: what the client, the deployment and a translated body
//! need, in one list.
//!
//! Anthropic reads one list of names parted by commas. A deployment's own
//! adds to the client's: it never takes one away.

use http::{HeaderName, HeaderValue};

/// The header.
pub const NAME: HeaderName = HeaderName::from_static("anthropic-beta");

/// All that is asked for, each name once; none where nothing is.
pub fn joined<'a>(
    asked: impl Iterator<Item = &'a HeaderValue>,
    needed: &[&'static str],
) -> Option<HeaderValue> {
    let asked: Vec<&HeaderValue> = asked.collect();
    if let ([only], []) = (asked.as_slice(), needed) {
        return Some((*only).clone());
    }
    let mut names: Vec<&str> = Vec::new();
    let said = asked.iter().filter_map(|value| value.to_str().ok());
    for name in said.flat_map(|text| text.split(',')).map(str::trim).chain(needed.iter().copied()) {
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { None } else { HeaderValue::try_from(names.join(",")).ok() }
}

#[cfg(test)]
mod tests {
    use super::{HeaderValue, joined};

    #[test]
    fn every_name_stands_once_and_in_order() {
        let [a, b] = ["one, two", "two,three,"].map(HeaderValue::from_static);
        let all = joined([&a, &b].into_iter(), &["three", "four"]).unwrap();
        assert_eq!(all, "one,two,three,four");
        assert_eq!(joined([&a].into_iter(), &[]).unwrap(), "one, two", "the client's own bytes");
        assert_eq!(joined([].into_iter(), &[]), None);
        assert_eq!(joined([&HeaderValue::from_static(" ,")].into_iter(), &["x"]).unwrap(), "x");
    }
}
