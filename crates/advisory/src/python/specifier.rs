//! Version specifiers, `>=1.0,!=1.3.*,<2` (PEP 440), as `packaging` reads them
//! and with pre-releases let in: what matters here is which versions a range
//! could ever mean, not which one a resolver would like best.

use crate::version::pep440;
use pep440_rs::Version;
use std::fmt;

/// Several specifiers that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Specifiers(Vec<Specifier>);

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Specifier {
    operator: Operator,
    text: String,
    /// Absent for `===`, which compares text.
    version: Option<Version>,
    /// `==1.0.*`
    is_prefix: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Exactly,
    Equal,
    NotEqual,
    Compatible,
    AtMost,
    AtLeast,
    Below,
    Above,
}

/// Longest first, so that `===` is not read as `==`.
const OPERATORS: [(&str, Operator); 8] = [
    ("===", Operator::Exactly),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("~=", Operator::Compatible),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Below),
    (">", Operator::Above),
];

impl Specifiers {
    /// `text`, comparisons separated by commas; empty means any version.
    /// The error is the part that is none.
    pub fn read(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(trim).filter(|part| !part.is_empty());
        let read = |part| Specifier::read(part).ok_or_else(|| part.to_owned());
        Ok(Self(parts.map(read).collect::<Result<_, _>>()?))
    }

    /// Returns true if any version will do.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if `version` satisfies all of them.
    pub fn admit(&self, version: &crate::version::Version) -> bool {
        self.0.iter().all(|specifier| match (&specifier.version, version.as_pep440()) {
            (None, _) => specifier.text.eq_ignore_ascii_case(version.text()),
            (Some(bound), Some(candidate)) => specifier.admits(bound, candidate),
            (Some(_), None) => false,
        })
    }

    /// The one version that can satisfy them: of `==1.0` or `===1.0` without a
    /// wildcard. Other comparisons beside it can only exclude it too.
    pub fn exact(&self) -> Option<&str> {
        self.0.iter().find_map(|s| {
            let exact = matches!(s.operator, Operator::Exactly)
                || (matches!(s.operator, Operator::Equal) && !s.is_prefix);
            exact.then_some(s.text.as_str())
        })
    }

    /// Each of them, as it was written but for white space.
    pub fn parts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for Specifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join(","))
    }
}

impl fmt::Display for Specifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS.iter().find(|(_, operator)| *operator == self.operator);
        let star = if self.is_prefix { ".*" } else { "" };
        write!(f, "{}{}{star}", sign.map_or("", |(sign, _)| sign), self.text)
    }
}

impl Specifier {
    fn read(part: &str) -> Option<Self> {
        let (rest, operator) =
            OPERATORS.iter().find_map(|(sign, op)| Some((part.strip_prefix(sign)?, *op)))?;
        let text = trim(rest);
        if operator == Operator::Exactly {
            let plain = !text.contains(|l: char| l.is_whitespace() || matches!(l, ';' | ')'));
            return plain.then(|| Self {
                operator,
                text: text.to_owned(),
                version: None,
                is_prefix: false,
            });
        }
        let (text, is_prefix) = match text.strip_suffix(".*") {
            Some(head) => (head, true),
            None => (text, false),
        };
        if text.contains(char::is_whitespace) {
            return None;
        }
        let version = pep440(text)?;
        let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
        let release_only = !version.any_prerelease() && !version.is_post() && !version.is_local();
        if is_prefix && !(equality && release_only) || version.is_local() && !equality {
            return None;
        }
        if operator == Operator::Compatible && version.release().len() < 2 {
            return None;
        }
        Some(Self { operator, text: text.to_owned(), version: Some(version), is_prefix })
    }

    fn admits(&self, bound: &Version, candidate: &Version) -> bool {
        let public = || candidate.clone().without_local();
        match self.operator {
            Operator::Exactly => false,
            Operator::Equal => self.is_equal(candidate, bound),
            Operator::NotEqual => !self.is_equal(candidate, bound),
            Operator::AtMost => public() <= *bound,
            Operator::AtLeast => public() >= *bound,
            Operator::Compatible => {
                let fixed = bound.release().len().saturating_sub(1);
                public() >= *bound
                    && has_prefix(
                        candidate,
                        bound.epoch(),
                        bound.release().get(..fixed).unwrap_or_default(),
                    )
            }
            Operator::Below => *candidate < lowest_excluded(bound),
            Operator::Above => match (bound.dev(), bound.post()) {
                (Some(dev), _) => *candidate >= bound.clone().with_dev(Some(dev.saturating_add(1))),
                (None, Some(post)) => {
                    let next = bound.clone().with_post(Some(post.saturating_add(1)));
                    *candidate >= next.with_dev(Some(0))
                }
                (None, None) => candidate > bound && !is_of_family(candidate, bound),
            },
        }
    }

    fn is_equal(&self, candidate: &Version, bound: &Version) -> bool {
        if self.is_prefix {
            return has_prefix(candidate, bound.epoch(), bound.release());
        }
        if bound.is_local() {
            candidate == bound
        } else {
            candidate.clone().without_local() == *bound
        }
    }
}

/// The first version that `<bound` does not admit: the earliest pre-release of
/// a bound that is none itself.
fn lowest_excluded(bound: &Version) -> Version {
    if bound.any_prerelease() { bound.clone() } else { bound.clone().with_dev(Some(0)) }
}

/// Returns true if `candidate` is `bound` itself or a post-release or local version of it.
fn is_of_family(candidate: &Version, bound: &Version) -> bool {
    candidate.epoch() == bound.epoch()
        && candidate.pre() == bound.pre()
        && candidate.only_release() == bound.only_release()
}

/// White space as Python has it, which includes four ASCII separators.
pub(super) fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Returns true if the release numbers of `version` begin with `prefix`, as if both
/// went on with zeros.
fn has_prefix(version: &Version, epoch: u64, prefix: &[u64]) -> bool {
    let mine = version.release().iter().chain(std::iter::repeat(&0));
    version.epoch() == epoch && mine.zip(prefix).all(|(mine, theirs)| mine == theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_exact_version_is_a_pin() {
        let exact = |text| Specifiers::read(text).unwrap().exact().map(str::to_owned);
        assert_eq!(exact("==1.0").as_deref(), Some("1.0"));
        assert_eq!(exact(">=0.9, == 1.0").as_deref(), Some("1.0"));
        for floating in ["", ">=1.0", "==1.*", "~=1.0", "<=1.0,>=1.0"] {
            assert_eq!(exact(floating), None, "{floating}");
        }
    }

    #[test]
    fn the_part_that_is_wrong_is_named() {
        assert_eq!(Specifiers::read(">=1, =>2"), Err("=>2".into()));
    }
}
