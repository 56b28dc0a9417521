//! Host names as rules and requests write them.
//!
//! Strict, since two readers of one name must not disagree: what is odd is
//! refused, not repaired. Only the case of letters is ignored.

use std::fmt;

/// Letters of a name, and of one label of it (RFC 1035, 2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

/// A DNS host name in lower case: labels of letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(Box<str>);

/// Text that is no host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// An address instead of a name, in any notation.
    #[error("an IP address, not a host name")]
    Address,
    /// Empty, too long, or with characters that no host name has.
    #[error("not a host name")]
    Syntax,
}

impl HostName {
    /// Reads `text`.
    ///
    /// # Errors
    /// `text` is an address or no host name.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.starts_with('[') || text.contains(':') {
            return Err(HostError::Address);
        }
        if text.is_empty() || text.len() > NAME_MAX {
            return Err(HostError::Syntax);
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= LABEL_MAX
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let last = text.rsplit('.').next().unwrap_or_default();
        // As URL parsers and inet_aton have it: a last label that is a number makes an
        // address, also in octal, in hexadecimal, or in fewer than four parts.
        if is_number(last) {
            return Err(HostError::Address);
        }
        if !text.split('.').all(is_label) {
            return Err(HostError::Syntax);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if this name is below `parent`, by any number of labels.
    pub fn is_below(&self, parent: &str) -> bool {
        self.0.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match hex {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HostError, HostName};

    #[test]
    fn names_are_taken_in_one_spelling_only() {
        for (text, wanted) in [
            ("example.com", Ok("example.com")),
            ("Index.EXAMPLE.com", Ok("index.example.com")),
            ("localhost", Ok("localhost")),
            ("xn--bcher-kva.example", Ok("xn--bcher-kva.example")),
            ("a1.example", Ok("a1.example")),
            ("127.0.0.1", Err(HostError::Address)),
            ("2130706433", Err(HostError::Address)),
            ("0x7f000001", Err(HostError::Address)),
            ("0x7f.1", Err(HostError::Address)),
            ("0177.0.0.01", Err(HostError::Address)),
            ("127.1", Err(HostError::Address)),
            ("1.2.3.4.5", Err(HostError::Address)),
            ("[::1]", Err(HostError::Address)),
            ("::1", Err(HostError::Address)),
            ("[::ffff:10.0.0.1]", Err(HostError::Address)),
            ("", Err(HostError::Syntax)),
            (".", Err(HostError::Syntax)),
            ("example.com.", Err(HostError::Syntax)),
            ("example..com", Err(HostError::Syntax)),
            (".example.com", Err(HostError::Syntax)),
            ("exa mple.com", Err(HostError::Syntax)),
            ("example.com\0.evil", Err(HostError::Syntax)),
            ("example.com%00.evil", Err(HostError::Syntax)),
            ("ex%61mple.com", Err(HostError::Syntax)),
            ("user@example.com", Err(HostError::Syntax)),
            ("example.com/path", Err(HostError::Syntax)),
            ("example.com#evil", Err(HostError::Syntax)),
            ("example.com\\evil", Err(HostError::Syntax)),
            ("example.com?x", Err(HostError::Syntax)),
            ("exämple.com", Err(HostError::Syntax)),
            ("ｅxample.com", Err(HostError::Syntax)),
            ("example。com", Err(HostError::Syntax)),
            ("exam\u{200b}ple.com", Err(HostError::Syntax)),
            ("раypal.com", Err(HostError::Syntax)),
            ("-a.example", Err(HostError::Syntax)),
            ("a_b.example", Err(HostError::Syntax)),
            ("*.example.com", Err(HostError::Syntax)),
        ] {
            let found = HostName::parse(text);
            assert_eq!(found.as_ref().map(HostName::as_str).map_err(|e| *e), wanted, "{text:?}");
        }
        assert_eq!(HostName::parse(&"a.".repeat(127)), Err(HostError::Syntax));
        assert_eq!(HostName::parse(&format!("{}.example", "a".repeat(64))), Err(HostError::Syntax));
    }

    #[test]
    fn below_means_whole_labels() {
        let host = HostName::parse("a.example.com").unwrap();
        assert!(host.is_below("example.com"));
        assert!(!host.is_below("ample.com"));
        assert!(!HostName::parse("example.com").unwrap().is_below("example.com"));
    }
}
