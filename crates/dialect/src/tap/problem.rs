//! What an upstream says went wrong, from any of the forms it is said in.

use crate::json::skim::{self, Skim};

/// The longest message that is kept, in bytes.
const MESSAGE_MAX_BYTES: usize = 4096;
/// The longest type or code that is kept, in bytes.
const WORD_MAX_BYTES: usize = 128;

/// An error inside an answer, in the upstream's words: to be classified, and
/// redacted before anyone sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// In words; empty where nothing was said.
    pub message: String,
    /// The `type`.
    pub kind: Option<String>,
    /// The `code`, numbers as text.
    pub code: Option<String>,
}

impl Problem {
    /// Reads the value of `error`: an object or a string.
    pub(super) fn of(raw: &[u8]) -> Self {
        let mut problem = Self::default();
        let mut skim = Skim::new(raw);
        if skim.peek() == Some(b'"') {
            if let Some(text) = skim.string() {
                problem.message = message(text);
            }
        } else {
            // What was read before the text breaks stays.
            let _partial = problem.read(&mut skim);
        }
        problem
    }

    fn read(&mut self, skim: &mut Skim<'_>) -> Option<()> {
        let mut more = skim.enter(b'{')?;
        while more {
            match skim.key()? {
                b"message" => {
                    self.message = message(skim.string_or_skip()?);
                }
                b"type" => self.kind = word(skim.raw()?),
                b"code" => self.code = word(skim.raw()?),
                _ => skim.skip()?,
            }
            more = skim.more(b'}')?;
        }
        Some(())
    }
}

fn message(raw: &[u8]) -> String {
    skim::unescape(raw, MESSAGE_MAX_BYTES).unwrap_or_else(|| {
        let start = raw.get(..MESSAGE_MAX_BYTES).unwrap_or(raw);
        String::from_utf8_lossy(start).into_owned()
    })
}

fn word(raw: &[u8]) -> Option<String> {
    if raw == b"null" || raw.len() > WORD_MAX_BYTES {
        return None;
    }
    match raw {
        [b'"', text @ .., b'"'] => skim::unescape(text, WORD_MAX_BYTES),
        [b'0'..=b'9' | b'-', ..] => std::str::from_utf8(raw).ok().map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_error_is_read() {
        let problem = |text: &str| {
            let problem = Problem::of(text.as_bytes());
            (problem.message, problem.kind, problem.code)
        };
        assert_eq!(problem(r#""no \"such\"""#), ("no \"such\"".into(), None, None));
        assert_eq!(
            problem(r#"{"message":"m","type":"t","param":null,"code":502}"#),
            ("m".into(), Some("t".into()), Some("502".into()))
        );
        assert_eq!(problem(r#"{"message":{"a":1},"code":null}"#), (String::new(), None, None));
        assert_eq!(problem(r#"{"message":"m","#), ("m".into(), None, None));
        assert_eq!(problem("7"), (String::new(), None, None));
    }

    #[test]
    fn a_long_message_is_cut() {
        let text = format!("\"{}\"", "x".repeat(10_000));
        assert_eq!(Problem::of(text.as_bytes()).message.len(), MESSAGE_MAX_BYTES);
    }
}
