//! Links in a folder that distributions are installed into, and where they
//! lead. Python follows every one of them; an installer makes hardly any.
//!
//! What is behind a link is read where the link is met, under the name by which
//! it would be imported. Here it is only judged that there is a link: whoever
//! can write to where it leads decides what is imported.

use super::distribution::Distribution;
use super::{Owners, about, finding, plain, startup};
use crate::finding::{Evidence, Finding, Severity};
use crate::inventory::Source;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Links that one finding names; the rest are counted.
const SHOWN_MAX: usize = 10;
/// Where package managers keep what nobody but they can write to.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// A link that was met.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Where it is.
    pub(super) path: PathBuf,
    /// Where it leads in the end; nothing if it leads nowhere.
    pub(super) target: Option<PathBuf>,
    /// True if it leads to a folder.
    pub(super) is_folder: bool,
    /// True if Python could run what is there.
    pub(super) runs: bool,
}

/// What a link means, by what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Means {
    /// It takes the place of what was installed, starts with Python, or is a package.
    Replaces,
    /// It leads to code.
    Code,
    /// It leads to what is no code.
    Data,
    /// It leads nowhere.
    Nowhere,
    /// Its distribution is installed for editing.
    Editable,
    /// A package manager links into its cache.
    Cache,
}

/// The environment that links are judged in.
pub(super) struct Around<'a> {
    /// Where paths are shown to be; empty where they are whole.
    pub(super) shown: &'a Path,
    /// The folder that distributions are installed into.
    pub(super) site: &'a Path,
    /// Its real path and that of its environment.
    pub(super) real: [PathBuf; 2],
    /// What is installed there.
    pub(super) distributions: &'a [Distribution],
    /// Whose each recorded file is.
    pub(super) owners: &'a Owners,
}

impl Around<'_> {
    /// Adds what `links` mean; gives those that leave the environment.
    pub(super) fn judge<'l>(
        &self,
        links: &'l [Link],
        findings: &mut Vec<Finding>,
    ) -> Vec<&'l Path> {
        let mut all: BTreeMap<Means, Vec<&Link>> = BTreeMap::new();
        for link in links {
            if let Some(means) = self.means(link) {
                all.entry(means).or_default().push(link);
            }
        }
        let told = all.values().flatten().map(|link| link.path.as_path()).collect();
        findings.extend(all.into_iter().filter_map(|(means, links)| self.finding(means, &links)));
        told
    }

    fn owner(&self, path: &Path) -> Option<&Distribution> {
        self.owners.get(path).and_then(|owner| self.distributions.get(*owner))
    }

    /// What `link` means; nothing if it stays where it is.
    fn means(&self, link: &Link) -> Option<Means> {
        let Some(target) = &link.target else { return Some(Means::Nowhere) };
        if self.real.iter().any(|inside| target.starts_with(inside)) {
            return None;
        }
        let inside = link.path.strip_prefix(self.site).unwrap_or(&link.path);
        let owner = self.owner(&link.path);
        if STORES.iter().any(|store| Path::new("/").join(target).starts_with(store))
            || is_of_cache(inside, target, owner)
        {
            return Some(Means::Cache);
        }
        // Flit links the folder that is edited, and records the link.
        let edited = |owner: &Distribution| owner.package.source == Source::Own;
        if owner.is_some_and(edited) {
            return Some(Means::Editable);
        }
        let is_top = inside.components().count() == 1;
        let name = inside.to_str().unwrap_or_default();
        let described = [".dist-info", ".egg-info"].iter().any(|ending| name.ends_with(ending));
        let starts = is_top && startup::may_start(name);
        Some(if owner.is_some() || starts || is_top && link.is_folder && link.runs {
            Means::Replaces
        } else if link.runs || is_top && described {
            Means::Code
        } else {
            Means::Data
        })
    }

    fn finding(&self, means: Means, links: &[&Link]) -> Option<Finding> {
        let (severity, meaning, do_first) = words(means);
        let first = links.first()?;
        let shown =
            |path: &Path| path.strip_prefix(self.site).unwrap_or(path).display().to_string();
        let mut evidence: Vec<Evidence> = links
            .iter()
            .take(SHOWN_MAX)
            .map(|link| Evidence {
                place: Some(about(&self.shown.join(&link.path))),
                text: match &link.target {
                    Some(target) => format!("leads to {}", target.display()),
                    None => "leads nowhere".to_owned(),
                },
            })
            .collect();
        if links.len() > SHOWN_MAX {
            let text = format!("and {} more", links.len() - SHOWN_MAX);
            evidence.push(Evidence { place: None, text });
        }
        let subject = match links {
            [_] => format!("{} in {}", shown(&first.path), self.shown.join(self.site).display()),
            many => format!("{} links in {}", many.len(), self.shown.join(self.site).display()),
        };
        Some(finding(crate::rule::Rule::Link, severity, subject, evidence, meaning, do_first))
    }
}

/// Returns true if uv or PDM made the link: to the same file of an unpacked wheel in
/// its cache.
fn is_of_cache(inside: &Path, target: &Path, owner: Option<&Distribution>) -> bool {
    let Some(owner) = owner else { return false };
    let has = |fits: fn(&str) -> bool| target.iter().any(|part| part.to_str().is_some_and(fits));
    let cached = match owner.installer.as_str() {
        "uv" => has(|part| part.starts_with("archive-v")),
        "pdm" => has(|part| part.strip_suffix(".whl.cache").is_some()),
        _ => false,
    };
    cached && target.ends_with(plain(inside))
}

/// How much it matters, what it means, and what to do first.
fn words(means: Means) -> (Severity, &'static str, &'static str) {
    match means {
        Means::Replaces => (
            Severity::High,
            "What stands in the place of an installed file, a package or a start-up file is a link out of the environment. No installer of wheels makes one: whoever can write to where it leads decides what Python runs here.",
            "Find out who made it. If nobody knows, keep a copy of both ends, and make the environment anew from a lock file with hashes.",
        ),
        Means::Code => (
            Severity::Medium,
            "A link leads out of the environment to code that Python imports as if it were installed here. No RECORD speaks of it.",
            "Find out who made it, and make sure that nobody else can write to where it leads.",
        ),
        Means::Data => (
            Severity::Low,
            "A link leads out of the environment to files that are no code.",
            "Make sure that nobody else can write to where it leads.",
        ),
        Means::Nowhere => (
            Severity::Low,
            "A link leads nowhere. Whoever can write to where it points decides what is imported here from then on.",
            "Remove it, or install its distribution anew: a cache that was emptied leaves such links behind.",
        ),
        Means::Editable => (
            Severity::Low,
            "A distribution is installed for editing, as a link to its source: nothing there is recorded or compared.",
            "Make sure that the folder is yours and that nobody else can write to it.",
        ),
        Means::Cache => (
            Severity::Low,
            "The files are links into the store of a package manager, as it makes them when it is told to (`uv --link-mode symlink`, PDM's `install.cache`, Nix). They were read through the links; but what changes in a cache changes in every environment that is linked to it, and emptying it breaks them.",
            "For environments that must not change, install with copies (`uv sync --link-mode copy`).",
        ),
    }
}
