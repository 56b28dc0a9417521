//! Names that look like those of popular packages and are none of them.
//!
//! A list in the program and two measures: the same name but for separators
//! and letters that look alike, and one letter more, fewer, other or swapped.
//! A name on the list is never told, whatever else it resembles.

use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::{Ecosystem, Package, Source};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

const LIST: &str = include_str!("../../data/popular.txt");
/// Shorter names are near too many others, in letters.
const NEAR_MIN: usize = 6;
/// Places of one name that are shown.
const PLACES_MAX: usize = 5;

struct Popular {
    names: HashSet<&'static str>,
    /// By what is left when look-alikes are one letter and separators gone.
    looks: HashMap<String, &'static str>,
    /// By the name with any one letter taken out, and by itself.
    shortened: HashMap<String, Vec<&'static str>>,
}

static POPULAR: LazyLock<Popular> = LazyLock::new(|| {
    let names: Vec<&'static str> =
        LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut shortened: HashMap<String, Vec<&'static str>> = HashMap::new();
    for name in names.iter().filter(|name| name.len() >= NEAR_MIN) {
        for short in shorter(name) {
            shortened.entry(short).or_default().push(name);
        }
    }
    Popular {
        looks: names.iter().map(|name| (look(name), *name)).collect(),
        names: names.into_iter().collect(),
        shortened,
    }
});

/// Adds what is told of the names of `packages`.
pub(super) fn judge(packages: &[&Package], findings: &mut Vec<Finding>) {
    let mut told: BTreeMap<&str, (Near, Vec<&Package>)> = BTreeMap::new();
    for package in packages {
        let foreign = package.ecosystem != Ecosystem::PyPi
            || matches!(package.source, Source::Own | Source::Conda { .. } | Source::Path { .. });
        if foreign {
            continue;
        }
        if let Some((_, places)) = told.get_mut(package.name.as_str()) {
            places.push(package);
        } else if let Some(near) = near(&package.name) {
            told.insert(&package.name, (near, vec![package]));
        }
    }
    for (name, (near, places)) in told {
        let mut evidence = vec![Evidence { place: None, text: near.how().to_owned() }];
        evidence.extend(
            places.iter().take(PLACES_MAX).map(|package| Evidence {
                place: Some(package.place.clone()),
                text: package.shown(),
            }),
        );
        if places.len() > PLACES_MAX {
            let text = format!("and at {} more places", places.len() - PLACES_MAX);
            evidence.push(Evidence { place: None, text });
        }
        findings.push(Finding {
rule: crate::rule::Rule::NearName,
            severity: if near.alike { Severity::Medium } else { Severity::Info },
            kind: Kind::Origin,
            subject: format!("{name} (near {})", near.popular),
            evidence,
            meaning: "The name resembles one that many people install. Attackers register such names and wait for a slip of the finger, or for a model that makes names up.".into(),
            do_first: format!("Make sure that {name} is meant, and not {}.", near.popular),
            advisories: Vec::new(),
        });
    }
}

struct Near {
    popular: &'static str,
    /// True if an eye would take one for the other.
    alike: bool,
}

impl Near {
    fn how(&self) -> &'static str {
        if self.alike {
            "looks the same but for separators or letters that look alike"
        } else {
            "is one letter away"
        }
    }
}

/// The popular name that `name` is near to.
fn near(name: &str) -> Option<Near> {
    if POPULAR.names.contains(name) {
        return None;
    }
    if let Some(popular) = POPULAR.looks.get(&look(name)) {
        return Some(Near { popular, alike: true });
    }
    if name.len() < NEAR_MIN {
        return None;
    }
    let candidates = shorter(name).into_iter().filter_map(|short| POPULAR.shortened.get(&short));
    let found = candidates.flatten().find(|popular| is_one_away(name, popular))?;
    // Families number their members: psycopg2 beside psycopg.
    let core = |name: &str| name.trim_end_matches(|l: char| l.is_ascii_digit()).to_owned();
    (core(name) != core(found)).then_some(Near { popular: found, alike: false })
}

/// `name` without separators, its look-alikes as one letter each.
fn look(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(|letter| *letter != '-')
        .map(|letter| match letter {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            other => other,
        })
        .collect();
    plain.replace("rn", "m").replace("vv", "w")
}

/// `name`, and `name` with any one letter taken out.
fn shorter(name: &str) -> Vec<String> {
    let without = name.char_indices().map(|(at, letter)| {
        let (before, after) = name.split_at_checked(at).unwrap_or((name, ""));
        format!("{before}{}", after.get(letter.len_utf8()..).unwrap_or_default())
    });
    without.chain(std::iter::once(name.to_owned())).collect()
}

/// Returns true if one letter more, fewer or other, or two swapped, makes `a` of `b`.
fn is_one_away(a: &str, b: &str) -> bool {
    let (one, other): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same = one.iter().zip(&other).take_while(|(x, y)| x == y).count();
    let (one, other) = (one.get(same..).unwrap_or_default(), other.get(same..).unwrap_or_default());
    let same = one.iter().rev().zip(other.iter().rev()).take_while(|(x, y)| x == y).count();
    let middle = |all: &[char]| all.get(..all.len() - same).unwrap_or_default().to_vec();
    match (middle(one).as_slice(), middle(other).as_slice()) {
        ([_], [] | [_]) | ([], [_]) => true,
        ([first, second], [third, fourth]) => first == fourth && second == third,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Option<(&'static str, bool)> {
        near(name).map(|near| (near.popular, near.alike))
    }

    #[test]
    fn slips_and_look_alikes_are_told_with_the_name_they_resemble() {
        for (name, popular, alike) in [
            ("1itellm", "litellm", true),
            ("lite-llm", "litellm", true),
            ("pytorchlightning", "pytorch-lightning", true),
            ("openal", "openai", true),
            ("trarnsformers", "transformers", false),
            ("langchian", "langchain", false),
            ("requets", "requests", false),
            ("antropic", "anthropic", false),
            ("litellmm", "litellm", false),
        ] {
            assert_eq!(told(name), Some((popular, alike)), "{name}");
        }
    }

    #[test]
    fn popular_names_and_their_numbered_kin_are_quiet() {
        for name in LIST.lines().filter(|line| !line.starts_with('#')) {
            assert_eq!(told(name), None, "{name}");
            assert_eq!(name, crate::name::pep503(name));
        }
        for name in ["boto", "psycopg3", "my-own-service", "toml2", "uvx", "rags", "torch2"] {
            assert_eq!(told(name), None, "{name}");
        }
        let (mut sorted, all): (Vec<_>, Vec<_>) =
            (LIST.lines().skip(2).collect(), LIST.lines().skip(2).collect());
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), all.len(), "a name stands twice");
    }
}
