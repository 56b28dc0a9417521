//! `keymoat pin`: from a lock, or from what is installed and local artefacts,
//! to a file in which every version is exact and every artefact is hashed.
//!
//! Nothing is resolved, fetched or executed: what the source does not say is a
//! gap with a name. Markers are kept as they are written; the markers along
//! the paths of a lock are put together and not evaluated. The project itself
//! is left out, since its own files cannot be hashed.

pub mod artefacts;
mod check;
mod installed;
mod marker;
mod pdm;
mod pipfile;
mod poetry;
mod pylock;
mod told;
mod uv;
mod write;

pub use check::{Checked, check};
pub use told::told;
pub use write::{pylock as write_pylock, requirements as write_requirements};

use crate::advisory::Advisories;
use crate::files;
use crate::inventory::{Ecosystem, Hash, Place, Source};
use crate::manifest::{Format, Malformed};
use crate::version::Version;
use artefacts::Artefact;
use std::path::{Path, PathBuf};

/// Lock files, in the order in which a folder is searched for one.
const LOCKS: [&str; 5] = ["uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock"];

/// What of a lock is wanted.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Extras of the project.
    pub extras: Vec<String>,
    /// Dependency groups beside those that are needed to run.
    pub groups: Vec<String>,
    /// Everything that is in the lock.
    pub all: bool,
    /// Wheels only: what has none is a gap.
    pub only_wheels: bool,
}

/// What is to be installed, and what of it is not known.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What it was made from.
    pub from: PathBuf,
    /// The requirements, by name and version.
    pub pins: Vec<Pin>,
    /// What is not exact or not hashed, and why.
    pub gaps: Vec<Gap>,
    /// What whoever installs should know.
    pub notes: Vec<String>,
    /// The Pythons that the lock is for, `>=3.11`.
    pub requires_python: Option<String>,
}

/// One requirement.
#[derive(Clone, Debug)]
pub struct Pin {
    /// Its name, in the normal spelling.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// When it is wanted; `None` means always.
    pub marker: Option<String>,
    /// Where it is taken from.
    pub source: Source,
    /// The files that may be installed.
    pub files: Vec<PinnedFile>,
    /// Who needs it.
    pub via: Vec<String>,
    /// The Pythons that it runs on.
    pub requires_python: Option<String>,
    /// Where that stands.
    pub place: Place,
}

/// A file that may be installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinnedFile {
    /// Its name, where known.
    pub name: Option<String>,
    /// Its address, where known.
    pub url: Option<String>,
    /// Where it lies, if it is at hand.
    pub path: Option<PathBuf>,
    /// Its size in bytes, where known.
    pub size: Option<u64>,
    /// When it was uploaded, RFC 3339, where known.
    pub uploaded: Option<String>,
    /// Its digests.
    pub hashes: Vec<Hash>,
}

/// Why something is not pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unpinned {
    /// The release was made to do harm.
    Malicious,
    /// No digest is known.
    NoHash,
    /// Only digests that can be forged are known.
    WeakHash,
    /// There is no file to hash: a repository, a folder.
    NoFile,
    /// The version is not exact.
    Floating,
    /// Two versions are wanted at once.
    Twice,
    /// A local artefact is not the one that the lock knows.
    Differs,
    /// There is no wheel, and only wheels are wanted.
    NoWheel,
    /// It is not known when it is wanted.
    Marker,
    /// The format asks for addresses, and none is known.
    NoAddress,
    /// It could not be read.
    Unreadable,
    /// It weakens where packages come from.
    Origin,
}

/// Something that is not pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why not.
    pub why: Unpinned,
    /// What it is about.
    pub subject: String,
    /// Where it stands.
    pub place: Option<Place>,
    /// What is missing.
    pub text: String,
    /// What to do about it.
    pub do_first: String,
}

/// Why there is no plan at all.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unplanned {
    /// A file cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A file is not what its name promises.
    #[error("{place}: {}", malformed.what)]
    Malformed {
        /// Where.
        place: Place,
        /// What is wrong there.
        malformed: Malformed,
    },
    /// There is nothing to pin.
    #[error("{}: no lock file and no environment is there", .0.display())]
    Nothing(PathBuf),
}

/// What `from` (a lock, a folder with one, or an environment) says is to be
/// installed, with the digests that it and `artefacts` know.
/// A release that `advisories` know as malicious is a gap, whatever its hash.
pub fn plan(
    from: &Path,
    artefacts: &[Artefact],
    choice: &Choice,
    advisories: &Advisories,
) -> Result<Plan, Unplanned> {
    let mut plan = if from.is_dir() {
        match LOCKS.iter().map(|name| from.join(name)).find(|path| path.is_file()) {
            Some(lock) => of_lock(&lock, choice)?,
            None => installed::plan(from)?,
        }
    } else {
        of_lock(from, choice)?
    };
    let (fit, unfit): (Vec<Pin>, Vec<Pin>) = plan.pins.into_iter().partition(Pin::can_be_written);
    plan.pins = fit;
    plan.gaps.extend(unfit.into_iter().map(|pin| {
        pin.gap(
            Unpinned::Unreadable,
            "its name, version, marker or address holds what none may hold; it is left out",
            "Look at the lock: no tool writes this.",
        )
    }));
    plan.pins
        .sort_by(|a, b| (&a.name, &a.version, &a.marker).cmp(&(&b.name, &b.version, &b.marker)));
    for pin in &mut plan.pins {
        plan.gaps.extend(artefacts::join(pin, artefacts));
    }
    for at in 0..plan.pins.len() {
        let Some(pin) = plan.pins.get_mut(at) else { break };
        plan.gaps.extend(pin.keep_hashed(choice.only_wheels));
    }
    plan.gaps.extend(twice(&plan.pins));
    plan.gaps.extend(plan.pins.iter().filter_map(|pin| pin.malicious(advisories)));
    plan.gaps.sort_by(|a, b| (a.why, &a.subject).cmp(&(b.why, &b.subject)));
    plan.gaps.dedup();
    Ok(plan)
}

fn of_lock(path: &Path, choice: &Choice) -> Result<Plan, Unplanned> {
    let unreadable = |why: String| Unplanned::Unreadable { path: path.to_owned(), why };
    let text = files::text(path).map_err(unreadable)?;
    let place = Place::whole(path);
    let read = match Format::of(path) {
        Some(Format::UvLock) => uv::read,
        Some(Format::PoetryLock) => poetry::read,
        Some(Format::PdmLock) => pdm::read,
        Some(Format::PipfileLock) => pipfile::read,
        Some(Format::Pylock) => pylock::read,
        _ => {
            let why = "it is no lock of uv, Poetry, PDM, Pipenv, and no pylock.toml; to look at a requirements file, use --check";
            return Err(unreadable(why.to_owned()));
        }
    };
    let mut plan = read(&text, &place, choice)
        .map_err(|malformed| Unplanned::Malformed { place: place.at(malformed.line), malformed })?;
    path.clone_into(&mut plan.from);
    Ok(plan)
}

impl Pin {
    fn new(name: &str, place: Place) -> Self {
        Self {
            name: crate::name::pep503(name),
            version: None,
            marker: None,
            source: Source::registry(),
            files: Vec::new(),
            via: Vec::new(),
            requires_python: None,
            place,
        }
    }

    /// Returns true if all of it can stand in a file that an installer reads, and mean
    /// there what it means here: a lock that was forged must not forge that.
    fn can_be_written(&self) -> bool {
        let plain = |text: &str| !text.contains(|l: char| l.is_whitespace() || l.is_control());
        let is_version = |text: &String| plain(text) && crate::version::pep440(text).is_some();
        let is_source = match &self.source {
            Source::Registry { url } => url.as_deref().is_none_or(plain),
            Source::Url { url } | Source::Vcs { url, .. } => plain(url),
            Source::Path { .. } | Source::Conda { .. } | Source::Own => true,
        };
        crate::name::is_valid_python(&self.name)
            && self.version.as_ref().is_none_or(is_version)
            && self.marker.as_ref().is_none_or(|text| !text.contains(char::is_control))
            && is_source
    }

    /// `name 1.0`
    fn shown(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }

    fn gap(&self, why: Unpinned, text: impl Into<String>, do_first: &str) -> Gap {
        Gap {
            why,
            subject: self.shown(),
            place: Some(self.place.clone()),
            text: text.into(),
            do_first: do_first.to_owned(),
        }
    }

    /// A pin on a release that was made to do harm makes sure that it comes.
    fn malicious(&self, advisories: &Advisories) -> Option<Gap> {
        let version = Version::read(Ecosystem::PyPi, self.version.as_deref()?);
        let hits = advisories.hits(Ecosystem::PyPi, &self.name, &version);
        let hit = hits.iter().find(|hit| hit.malicious)?;
        let id = hit.ids.first().map(String::as_str).unwrap_or_default();
        let text = format!("this release was made to do harm ({id})");
        Some(self.gap(Unpinned::Malicious, text, "Install nothing from this. Run `keymoat audit` on the project, and lock a safe release."))
    }

    /// Drops what is not hashed strongly; what is then missing.
    fn keep_hashed(&mut self, only_wheels: bool) -> Option<Gap> {
        match &self.source {
            Source::Vcs { commit, .. } => {
                let at = commit.as_deref().map_or("no fixed commit".to_owned(), |commit| {
                    format!("commit {}", commit.get(..12).unwrap_or(commit))
                });
                let text = format!(
                    "it is built from a repository, at {at}: there is no file whose hash could be checked"
                );
                return Some(self.gap(
                    Unpinned::NoFile,
                    text,
                    "Build a wheel of it once, keep that, and pin the wheel; or take a release.",
                ));
            }
            Source::Path { path } if self.files.is_empty() => {
                let text = format!("it is taken from {}, which has no hash", path.display());
                return Some(self.gap(
                    Unpinned::NoFile,
                    text,
                    "Build a wheel of it, and give its folder with --artefacts.",
                ));
            }
            _ => {}
        }
        if self.version.is_none()
            && !matches!(self.source, Source::Url { .. } | Source::Path { .. })
        {
            return Some(self.gap(Unpinned::Floating, "its version is not known", "Lock it anew."));
        }
        let weak = self.files.iter().any(|file| !file.hashes.is_empty());
        for file in &mut self.files {
            file.hashes.retain(is_taken_by_pip);
        }
        self.files.retain(|file| !file.hashes.is_empty());
        let had_files = !self.files.is_empty();
        if only_wheels {
            self.files.retain(PinnedFile::is_wheel_or_unknown);
        }
        if !self.files.is_empty() {
            return None;
        }
        let give = "Give the folder of the wheels that you trust with --artefacts, or lock it anew with a tool that writes hashes.";
        Some(if had_files {
            self.gap(
                Unpinned::NoWheel,
                "there is a source archive and no wheel: installing it runs its build code",
                "Build a wheel of it once, in a sandbox, and give its folder with --artefacts.",
            )
        } else if weak {
            self.gap(Unpinned::WeakHash, "only hashes that can be forged are known", give)
        } else {
            self.gap(Unpinned::NoHash, "no hash of any of its files is known", give)
        })
    }
}

impl PinnedFile {
    /// Its name, or the last part of its address.
    pub(crate) fn shown_name(&self) -> Option<&str> {
        let of_url = || {
            let url = self.url.as_deref()?.split(['?', '#']).next()?;
            url.rsplit('/').next().filter(|name| !name.is_empty())
        };
        self.name.as_deref().or_else(of_url)
    }

    fn is_wheel_or_unknown(&self) -> bool {
        self.shown_name().is_none() || self.is_wheel()
    }

    pub(crate) fn is_wheel(&self) -> bool {
        let ending = self.shown_name().and_then(|name| Path::new(name).extension());
        ending.is_some_and(|ending| ending == "whl")
    }
}

/// Returns true if pip takes a hash of this kind, and it is one.
fn is_taken_by_pip(hash: &Hash) -> bool {
    let digits = match hash.algorithm.as_str() {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return false,
    };
    hash.digest.len() == digits && hash.digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Names that are wanted in two versions with nothing that keeps them apart.
fn twice(pins: &[Pin]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for pair in pins.windows(2) {
        let [a, b] = pair else { continue };
        if a.name == b.name && (a.marker.is_none() || b.marker.is_none() || a.marker == b.marker) {
            let text = format!("{} is wanted too, and no marker keeps them apart", b.shown());
            gaps.push(a.gap(Unpinned::Twice, text, "Lock again for one set of extras and groups."));
        }
    }
    gaps
}
