//! Families of models: the rules of `data/families.tsv`, by a part of a model's
//! name and by the version after it.
//!
//! They answer for models that the table of models does not list, and for facts
//! that it does not have. A row: the part of the name; the versions to which it
//! applies (`>=4.6`, `<3.7`, or all); flags, after a `!` if the family is known
//! *not* to have it. Rows that apply add up; of two that name a flag the later
//! counts.

use crate::table::{cell, rows};

const TABLE: &str = include_str!("../data/families.tsv");

/// The rules that apply to one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// The flags of each rule.
    flags: Vec<&'static str>,
}

impl Families {
    /// Finds the rules for a model's name.
    pub fn of(model: &str) -> Self {
        let applying = rows(TABLE).lines().filter(|row| applies(row, model));
        Self { flags: applying.map(|row| cell(row, 2)).collect() }
    }

    /// Returns what the rules say of a flag; `None` if they are silent.
    pub fn supports(&self, flag: &str) -> Option<bool> {
        let all = self.flags.iter().flat_map(|flags| flags.split(' '));
        let mut said = all.filter(|said| said.strip_prefix('!').unwrap_or(said) == flag);
        said.next_back().map(|said| !said.starts_with('!'))
    }

    /// Returns true if the rules say that the model has a flag.
    pub fn has(&self, flag: &str) -> bool {
        self.supports(flag) == Some(true)
    }
}

fn applies(row: &'static str, model: &str) -> bool {
    let part = cell(row, 0);
    let Some((_, rest)) = model.split_once(part) else { return false };
    let condition = cell(row, 1);
    if condition.is_empty() {
        return true;
    }
    let Some(version) = version(rest) else { return false };
    match (condition.strip_prefix(">="), condition.strip_prefix('<')) {
        (Some(from), _) => bound(from).is_some_and(|from| version >= from),
        (_, Some(below)) => bound(below).is_some_and(|below| version < below),
        _ => false,
    }
}

/// `4.6` → (4, 6); `3` → (3, 0).
fn bound(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The first number of what follows a family's name, and the one after it:
/// `sonnet-4-5-20250929` → (4, 5); `opus-4-20250514` → (4, 0). A date is no
/// version.
fn version(rest: &str) -> Option<(u32, u32)> {
    let mut numbers = rest
        .split(['-', '.', '@'])
        .skip_while(|word| !word.starts_with(|c: char| c.is_ascii_digit()))
        .map_while(|word| word.parse::<u32>().ok());
    let major = numbers.next().filter(|major| *major < 100)?;
    let minor = numbers.next().filter(|minor| *minor < 100).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names_old_and_new() {
        for (rest, expected) in [
            ("sonnet-4-5-20250929", Some((4, 5))),
            ("opus-4-20250514", Some((4, 0))),
            ("3-5-sonnet-20241022", Some((3, 5))),
            ("opus-4.6", Some((4, 6))),
            ("3.1-pro-preview", Some((3, 1))),
            ("mythos-preview", None),
            ("flash-latest", None),
            ("exp-1206", None),
        ] {
            assert_eq!(version(rest), expected, "{rest}");
        }
    }

    #[test]
    fn every_row_has_a_condition_and_flags_that_can_be_read() {
        for row in rows(TABLE).lines() {
            let condition = cell(row, 1);
            let number = condition.strip_prefix(">=").or_else(|| condition.strip_prefix('<'));
            assert!(condition.is_empty() || number.and_then(bound).is_some(), "{row}");
            assert!(!cell(row, 0).is_empty() && !cell(row, 2).is_empty(), "{row}");
            assert!(cell(row, 2).split(' ').all(|flag| !flag.is_empty()), "{row}");
        }
    }

    #[test]
    fn rules_of_a_family_add_up() {
        let opus = Families::of("anthropic/claude-opus-4.6");
        assert!(
            opus.has("cache_hints") && opus.has("adaptive_thinking") && opus.has("one_sampler")
        );
        assert_eq!(opus.supports("assistant_prefill"), Some(false));
        assert_eq!(opus.supports("sampling_params"), None);
        assert_eq!(Families::of("claude-3-5-sonnet-20241022").supports("reasoning"), Some(false));
        assert_eq!(Families::of("claude-3-7-sonnet-20250219").supports("reasoning"), None);
        assert!(Families::of("google/gemini-3-flash").has("thinking_levels"));
        assert!(!Families::of("gemini-2.5-pro").has("thinking_levels"));
        assert!(Families::of("gemini-2.5-pro").has("signatures"));
        assert_eq!(Families::of("gpt-4o"), Families::default());
    }
}
