//! No release younger than so many days: bad ones are found within days, by
//! others. A release that is named as the fix of an advisory is let through,
//! since waiting would keep the hole open.
//!
//! Asked of what locks and pins say, by the upload times in locks. What says no
//! time is a gap. What is installed is not asked: nothing there says when it
//! was uploaded.

use super::finding;
use crate::advisory::Advisories;
use crate::audit::Report;
use crate::finding::{Gap, Outcome, Severity, Why};
use crate::inventory::{Package, Source, Standing};
use base::clock::rfc3339;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const DAY_MS: i64 = 86_400_000;
/// Packages that a gap names; the rest are counted.
const NAMES_MAX: usize = 10;

/// A cooldown of some days.
#[derive(Clone, Copy, Debug)]
pub struct Cooldown {
    /// How old a release must be.
    pub days: u32,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Cooldown {
    /// Adds to `report` what is too young, and what has no age.
    pub fn apply(&self, report: &mut Report, advisories: &Advisories) {
        let pinned = |p: &&Package| {
            p.standing != Standing::Installed
                && p.version.is_some()
                && matches!(p.source, Source::Registry { .. } | Source::Url { .. })
        };
        let key = |p: &Package| {
            (p.ecosystem, p.name.clone(), p.version.clone().map(|v| v.text().to_owned()))
        };
        let dated: BTreeSet<_> = report
            .inventory
            .iter()
            .filter(|p| p.standing == Standing::Locked && p.since_ms.is_some())
            .map(key)
            .collect();
        let mut undated: BTreeMap<&Path, (Vec<&Package>, usize)> = BTreeMap::new();
        let mut found = Vec::new();
        for package in report.inventory.iter().filter(pinned) {
            let (without, all) = undated.entry(&package.place.file).or_default();
            *all += 1;
            match package.since_ms.filter(|_| package.standing == Standing::Locked) {
                Some(at_ms) if self.is_young(at_ms) => {
                    found.push(self.young(package, at_ms, advisories));
                }
                Some(_) => {}
                None if dated.contains(&key(package)) => {}
                None => without.push(package),
            }
        }
        let gaps = undated.into_iter().filter(|(_, (without, _))| !without.is_empty());
        report.gaps.extend(gaps.filter_map(|(_, (without, all))| undated_gap(&without, all)));
        report.findings.extend(found);
        report.outcome = Outcome::of(&report.findings, &report.gaps);
        report.sort();
    }

    fn is_young(&self, at_ms: i64) -> bool {
        at_ms > self.now_ms.saturating_sub(i64::from(self.days) * DAY_MS)
    }

    fn young(
        &self,
        package: &Package,
        at_ms: i64,
        advisories: &Advisories,
    ) -> crate::finding::Finding {
        let age = self.now_ms.saturating_sub(at_ms).div_euclid(DAY_MS);
        let day = rfc3339(at_ms);
        let day = day.get(..16).unwrap_or(&day).replace('T', " ");
        let age = match age {
            ..0 => "in the future".to_owned(),
            0 => "less than a day ago".to_owned(),
            1 => "1 day ago".to_owned(),
            days => format!("{days} days ago"),
        };
        let text = format!("its newest file was uploaded {day} UTC, {age}");
        let fixes = package
            .version
            .as_ref()
            .map(|version| advisories.fixed_by(package.ecosystem, &package.name, version));
        let fixes = fixes.unwrap_or_default();
        let subject = package.shown();
        if fixes.is_empty() {
            let mut found = finding(
                crate::rule::Rule::Cooldown,
                Severity::Medium,
                subject,
                package.place.clone(),
                text,
            );
            found.meaning = format!(
                "The policy is to take no release before it is {} days old: bad releases are usually found within days, by others.",
                self.days
            );
            found.do_first = "Lock the release before it, or wait; if you must have it now, read what changed and leave this alone with a reason in the ignore file (id \"policy\").".into();
            return found;
        }
        let mut found = finding(
            crate::rule::Rule::Cooldown,
            Severity::Info,
            subject,
            package.place.clone(),
            text,
        );
        found.meaning = format!(
            "It is the release that fixes {}: waiting would keep that hole open.",
            fixes.join(", ")
        );
        found.do_first = "Nothing; look at what else changed in it if you have the time.".into();
        found.advisories = fixes;
        found
    }
}

fn undated_gap(without: &[&Package], all: usize) -> Option<Gap> {
    let first = without.first()?;
    let names: Vec<&str> = without.iter().take(NAMES_MAX).map(|p| p.name.as_str()).collect();
    let mut names = names.join(", ");
    if without.len() > NAMES_MAX {
        names = format!("{names} and {} more", without.len() - NAMES_MAX);
    }
    let place = first.place.at(0);
    Some(Gap {
        why: Why::Undated,
        subject: place.to_string(),
        text: format!(
            "nothing says when {} of its {all} releases were uploaded: {names}",
            without.len()
        ),
        place: Some(place),
        do_first: "Audit the uv.lock or pylock.toml beside it: these two carry upload times."
            .into(),
    })
}

/// A tool that can keep a cooldown when it resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// uv, from 0.9.17.
    Uv,
    /// pip, from 26.1.
    Pip,
    /// Renovate.
    Renovate,
    /// GitHub's Dependabot.
    Dependabot,
}

/// The settings by which `tool` keeps a cooldown of `days`.
pub fn settings(tool: Tool, days: u32) -> String {
    match tool {
        Tool::Uv => format!(
            "# pyproject.toml (in uv.toml without the table's name). uv 0.9.17 and later.\n\
             # A release that fixes a hole you have comes at once with: exclude-newer-package = {{ NAME = \"0 days\" }}\n\
             [tool.uv]\n\
             exclude-newer = \"{days} days\"\n"
        ),
        Tool::Pip => format!(
            "# pip.conf (pip.ini on Windows). pip 26.1 and later; the same by hand: pip install --uploaded-prior-to P{days}D\n\
             # Knows no exception for fixes: give such a release with --uploaded-prior-to P0D, by hand, once.\n\
             [install]\n\
             uploaded-prior-to = P{days}D\n"
        ),
        Tool::Renovate => format!(
            "{{\n\
             \x20 \"$schema\": \"https://docs.renovatebot.com/renovate-schema.json\",\n\
             \x20 \"minimumReleaseAge\": \"{days} days\",\n\
             \x20 \"internalChecksFilter\": \"strict\",\n\
             \x20 \"vulnerabilityAlerts\": {{ \"minimumReleaseAge\": null }}\n\
             }}\n"
        ),
        Tool::Dependabot => format!(
            "# .github/dependabot.yml. The cooldown holds for version updates; security updates come at once.\n\
             version: 2\n\
             updates:\n\
             \x20 - package-ecosystem: \"uv\" # or pip\n\
             \x20   directory: \"/\"\n\
             \x20   schedule:\n\
             \x20     interval: \"weekly\"\n\
             \x20   cooldown:\n\
             \x20     default-days: {days}\n"
        ),
    }
}
