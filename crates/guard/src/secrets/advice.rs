//! What a key that lies open means, and what to do about it first.

use super::scan::Sighting;
use super::shape::Sort;
use crate::finding::{Evidence, Finding, Kind, Severity};

/// Where a key lies, as far as it matters for how bad that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exposure {
    /// Other users of the machine can read it.
    pub(super) to_all_users: bool,
    /// The file is of a kind that is handed on.
    pub(super) is_handed_on: bool,
}

/// What is said of one key.
pub(super) struct Lying<'a> {
    /// One of its sightings.
    pub(super) sighting: &'a Sighting,
    /// Its fingerprint.
    pub(super) fingerprint: &'a str,
    /// Where it lies, each place once.
    pub(super) places: Vec<Evidence>,
    /// The worst of these.
    pub(super) exposure: Exposure,
    /// What the place belongs to: a folder or a program.
    pub(super) owner: &'a str,
}

/// The finding on one key.
pub(super) fn finding(lying: Lying<'_>) -> Finding {
    let Lying { sighting, fingerprint, places, exposure, owner } = lying;
    let begins = match sighting.prefix {
        "" | "-----BEGIN" => String::new(),
        prefix => format!("{prefix}…, "),
    };
    let kind = if sighting.sort == Sort::Other && sighting.prefix.is_empty() { "API " } else { "" };
    let subject = format!("{} {kind}key ({begins}fingerprint {fingerprint})", sighting.whose);
    let is_open = exposure.to_all_users || exposure.is_handed_on;
    let severity = match sighting.sort {
        Sort::Virtual => Severity::Low,
        Sort::Master => Severity::High,
        _ if is_open => Severity::High,
        _ => Severity::Medium,
    };
    Finding {
        rule: crate::rule::Rule::Key,
        severity,
        kind: Kind::Secret,
        subject,
        evidence: places,
        meaning: meaning(sighting.sort, exposure),
        do_first: do_first(sighting, owner),
        advisories: Vec::new(),
    }
}

fn meaning(sort: Sort, exposure: Exposure) -> String {
    let what = match sort {
        Sort::Provider => {
            "Whoever reads it can spend on its account from anywhere, without a limit that is yours."
        }
        Sort::Cloud => "Whoever reads it is you, to that cloud, as far as the key's rights go.",
        Sort::Master => {
            "Whoever reads it rules the gateway: makes keys, lifts caps, reads what was spent."
        }
        Sort::Virtual => {
            "Whoever reads it can spend what its cap leaves, through the gateway and nowhere else; one without a cap spends without one."
        }
        Sort::Other => "Whoever reads it can use it from anywhere.",
    };
    let who = match exposure {
        Exposure { is_handed_on: true, .. } => {
            " Files of this kind are handed on: committed, built into images, mailed."
        }
        Exposure { to_all_users: true, .. } => " Every user of this machine can read it here.",
        Exposure { .. } => {
            " Everything that you run can read it here, a poisoned package too: such places are what they search first."
        }
    };
    format!("{what}{who}")
}

fn do_first(sighting: &Sighting, owner: &str) -> String {
    let name = alias(owner, &sighting.whose);
    let make =
        format!("`keymoat keys generate --alias {name} --max-budget 10 --budget-duration 24h`");
    let is_named = !sighting.prefix.is_empty();
    match sighting.sort {
        Sort::Provider => format!(
            "Replace it by a virtual key with a daily cap: {make} makes one. Put that here, point the base URL at the gateway, and give the provider's key to the gateway alone. Then end this one at its provider: it has lain open."
        ),
        Sort::Cloud => format!(
            "If it is here to call models, replace it by a virtual key with a daily cap: {make} makes one. Otherwise use credentials that end by themselves (a role, a sign-in). Then end this one: it has lain open."
        ),
        Sort::Master => format!(
            "Take it out of here, and make a new one for the gateway. Whatever needed it to call models needs a virtual key with a daily cap: {make} makes one."
        ),
        Sort::Virtual => format!(
            "Make sure that it has a daily cap: `keymoat keys info KEY` says, `keymoat keys update KEY --max-budget 10 --budget-duration 24h` sets one. If others may have read it, make a new one ({make}) and end this one with `keymoat keys delete KEY`."
        ),
        Sort::Other if is_named => {
            "Move it to where only the program that needs it can read it, and end this one at its issuer: it has lain open.".to_owned()
        }
        Sort::Other => format!(
            "If it is here to call models, replace it by a virtual key with a daily cap: {make} makes one. Then end this one at its issuer: it has lain open."
        ),
    }
}

/// A name for the key that takes the place: who uses it, and for what.
fn alias(owner: &str, whose: &str) -> String {
    let issuer = whose.split_once(' ').map_or(whose, |(_, rest)| rest);
    let mut name = String::new();
    for letter in format!("{owner}-{issuer}").chars() {
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
    }
    let name: String = name.chars().take(48).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "replacement".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::alias;

    #[test]
    fn an_alias_needs_no_quotes_in_any_shell() {
        assert_eq!(alias("My Shop/2", "an OpenAI"), "my-shop-2-openai");
        assert_eq!(alias("$(rm -rf ~)", "a Mistral AI"), "rm-rf-mistral-ai");
        assert_eq!(alias("", ""), "replacement");
    }
}
