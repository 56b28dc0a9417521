//! Package names as each ecosystem compares them.

use crate::Ecosystem;

/// `name` in the one spelling by which `ecosystem` tells packages apart.
///
/// Python: PEP 503, lower case, runs of `-`, `_` and `.` are one `-`. The
/// others compare names as they are written.
pub fn normal(ecosystem: Ecosystem, name: &str) -> String {
    match ecosystem {
        Ecosystem::PyPi => pep503(name),
        Ecosystem::Npm | Ecosystem::CratesIo => name.to_owned(),
    }
}

/// PEP 503: lower case, runs of `-`, `_` and `.` are one `-`.
pub fn pep503(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    let mut in_run = false;
    for letter in name.chars() {
        if matches!(letter, '-' | '_' | '.') {
            in_run = true;
            continue;
        }
        if std::mem::take(&mut in_run) {
            normal.push('-');
        }
        normal.push(letter.to_ascii_lowercase());
    }
    if in_run {
        normal.push('-');
    }
    normal
}

/// Returns true if `name` is a valid Python distribution name or extra (PEP 508):
/// ASCII letters, digits, `-`, `_`, `.`, a letter or digit at both ends.
pub fn is_valid_python(name: &str) -> bool {
    let end = |letter: Option<char>| letter.is_some_and(|l| l.is_ascii_alphanumeric());
    end(name.chars().next())
        && end(name.chars().next_back())
        && name.chars().all(|l| l.is_ascii_alphanumeric() || matches!(l, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_python_name_are_equal() {
        for spelling in ["LiteLLM", "litellm"] {
            assert_eq!(pep503(spelling), "litellm");
        }
        for spelling in ["a-b", "A_B", "a.b", "a-_.b", "a__b"] {
            assert_eq!(pep503(spelling), "a-b");
        }
        assert_eq!(normal(Ecosystem::Npm, "@Scope/a_b"), "@Scope/a_b");
    }

    #[test]
    fn names_begin_and_end_with_a_letter_or_digit() {
        assert!(is_valid_python("a") && is_valid_python("a.b-c_1"));
        for bad in ["", "-a", "a-", "a b", "ä", "."] {
            assert!(!is_valid_python(bad), "{bad}");
        }
    }
}
