//! Removes secrets from text by value.
//!
//! Patterns miss; the values themselves do not. A provider that echoes a key
//! in an error message, whole or as JSON, does not leak it through us.

use crate::secret::Secret;
use memchr::memmem::Finder;
use std::borrow::Cow;

/// What stands in a secret's place.
pub const MASK: &str = "[redacted]";

/// Shorter values would match ordinary text.
const MIN_LEN: usize = 8;

/// The set of values that must never leave.
#[derive(Default)]
pub struct Redactor {
    finders: Vec<Finder<'static>>,
}

impl Redactor {
    /// Builds the set; texts under 8 bytes are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let finders = secrets
            .into_iter()
            .filter(|secret| secret.expose().len() >= MIN_LEN)
            .map(|secret| Finder::new(secret.expose()).into_owned())
            .collect();
        Self { finders }
    }

    /// Whether any value stands in `bytes`.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.finders.iter().any(|finder| finder.find(bytes).is_some())
    }

    /// `text` with every value replaced; borrowed where there is none.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.finds(text.as_bytes()) {
            return Cow::Borrowed(text);
        }
        let mut clean = text.to_owned();
        for finder in &self.finders {
            if let Ok(needle) = std::str::from_utf8(finder.needle()) {
                clean = clean.replace(needle, MASK);
            }
        }
        Cow::Owned(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::Redactor;
    use crate::secret::Secret;

    #[test]
    fn every_occurrence_goes_and_ordinary_text_stays() {
        let secrets = [Secret::new("sk-upstream-1234".into()), Secret::new("key".into())];
        let redactor = Redactor::new(&secrets);
        assert_eq!(
            redactor.clean("bad key sk-upstream-1234, sk-upstream-1234!"),
            "bad key [redacted], [redacted]!"
        );
        assert!(matches!(redactor.clean("a key"), std::borrow::Cow::Borrowed(_)));
    }
}
