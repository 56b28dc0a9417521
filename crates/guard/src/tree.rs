//! Walks through folders, and says what in them is to be read. Of links that it
//! meets on the way, it follows those to environments, and to files that lie in what it
//! walks through anyway; others to what would be read are told.

use crate::files::reason;
use crate::manifest::Format;
use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Entries of folders that are looked at before a walk stops.
const ENTRIES_MAX: usize = 2_000_000;
/// Files of projects that start programs and are read.
const PROJECTS_MAX: usize = 20_000;
/// Texts of no known name that are kept, to be named where nothing else is found.
const TEXTS_MAX: usize = 200;
/// Entries of a folder behind a link by which it is known as an environment.
const LISTED_MAX: usize = 10_000;
/// Folders that hold neither locks nor environments of their own.
const SKIPPED: [&str; 7] =
    [".git", ".hg", ".svn", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache"];
/// Folders that distributions are installed into.
const SITES: [&str; 2] = ["site-packages", "dist-packages"];

/// What a walk found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Files of a format that we read.
    pub(crate) manifests: Vec<(PathBuf, Format)>,
    /// Folders into which Python distributions are installed.
    pub(crate) site_dirs: Vec<PathBuf>,
    /// Files that hold packages, and whether somebody named them.
    pub(crate) archives: Vec<(PathBuf, bool)>,
    /// Requirements that were named in the place of a path.
    pub(crate) asked: Vec<String>,
    /// Files that are known and not read.
    pub(crate) unread: Vec<PathBuf>,
    /// Texts of no known name, of which one may be a list of packages.
    pub(crate) texts: Vec<PathBuf>,
    /// Files of projects that start programs.
    pub(crate) projects: Vec<PathBuf>,
    /// Folders that hold images.
    pub(crate) layouts: Vec<PathBuf>,
    /// Links to files elsewhere that would be read, and where they lead.
    pub(crate) leaving: Vec<(PathBuf, PathBuf)>,
    /// Links by which an environment lies elsewhere, and where they lead.
    pub(crate) moved: Vec<(PathBuf, PathBuf)>,
    /// What could not be opened, and why.
    pub(crate) unreadable: Vec<(PathBuf, String)>,
    /// True if the walk stopped before it was through.
    pub(crate) cut_short: bool,
}

/// Everything to audit at `path`, which is a file or a folder to walk through.
pub(crate) fn find(path: &Path, found: &mut Found) {
    if path.as_os_str() == "-" {
        found.manifests.push((PathBuf::from("/dev/stdin"), Format::Requirements));
        return;
    }
    let kind = match fs::metadata(path) {
        Ok(kind) => kind,
        Err(_) if is_asked(path) => {
            found.asked.extend(path.to_str().map(str::to_owned));
            return;
        }
        Err(error) => {
            found.unreadable.push((path.to_owned(), reason(&error)));
            return;
        }
    };
    // A pipe that somebody named: `<(pip freeze)`.
    if !kind.is_file() && !kind.is_dir() {
        found.manifests.push((path.to_owned(), Format::Requirements));
        return;
    }
    if kind.is_file() {
        match Format::of(path).or_else(|| by_content(path)) {
            Some(format) => found.manifests.push((path.to_owned(), format)),
            None if crate::project::is_one(path) => found.projects.push(path.to_owned()),
            None if is_unread(path) => found.unread.push(path.to_owned()),
            None if is_archive(path) => found.archives.push((path.to_owned(), true)),
            None => found.unreadable.push((
                path.to_owned(),
                "its name is that of no lock or requirement file that is read, and it is no archive"
                    .to_owned(),
            )),
        }
        return;
    }
    walk(path, found);
    found.leaving.sort();
    found.moved.sort();
    found.manifests.sort_by(|a, b| a.0.cmp(&b.0));
    found.manifests.dedup();
    found.site_dirs.sort();
    found.site_dirs.dedup();
    found.archives.sort();
    found.layouts.sort();
}

/// Returns true if `path` is a lock of a tool whose locks are not read.
fn is_unread(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    matches!(
        name,
        "yarn.lock" | "bun.lock" | "bun.lockb" | "pixi.lock" | "deno.lock" | "pip-tools.lock"
    )
}

/// Returns true if `path` is no path but a requirement: `name` or `name==1.0`.
fn is_asked(path: &Path) -> bool {
    let Some(text) = path.to_str() else { return false };
    let plain = !text.contains(['/', '\\']) && !text.starts_with('.');
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let file = [
        "txt", "lock", "toml", "json", "yml", "yaml", "whl", "tar", "gz", "in", "cfg", "py", "zip",
    ];
    let named = text.contains("==") || !text.contains('.');
    plain && named && !file.contains(&ending) && crate::python::Requirement::read(text).is_ok()
}

/// The format of a file that is named outright, by what is in it.
fn by_content(path: &Path) -> Option<Format> {
    let known = path.extension().and_then(|ending| ending.to_str());
    if !matches!(known, Some("txt" | "in" | "json" | "jsonc" | "yml" | "yaml" | "py")) {
        return None;
    }
    // A file that is no text is what its name says it is, and a gap.
    let text = crate::files::any_text(path).unwrap_or_default();
    Format::of_text(path, &text)
}

/// Returns true if the file at `path` begins as an archive does.
fn is_archive(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    read.is_ok() && crate::archive::Shape::of(&head).is_some()
}

/// Returns true if a file that is met on the way may hold packages: a wheel, a source
/// archive, or what pip keeps of an answer.
fn may_hold_packages(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.extension().is_some_and(|ending| ending == "body") {
        let of_pip = path.iter().any(|part| part == "http-v2");
        return of_pip && is_archive(path);
    }
    if crate::packed::cached::is_note(path) || crate::packed::cached::body(path).is_some() {
        return true;
    }
    let ends = |with: &str| path.extension().is_some_and(|ending| ending == with);
    ends("whl")
        || (ends("gz") || ends("tgz")) && crate::python::artefact::name_and_version(name).is_some()
}

/// Returns true if a file of no known name may be a list of packages, as
/// `pip freeze > state.txt` makes one, or a script that names some.
fn may_list_packages(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    matches!(ending, "txt" | "in" | "json" | "py" | "tar" | "pex" | "pyz" | "zip")
        && fs::metadata(path).is_ok_and(|about| about.len() > 0)
}

fn walk(top: &Path, found: &mut Found) {
    let real = fs::canonicalize(top).unwrap_or_else(|_| top.to_owned());
    let mut entries = 0;
    let mut followed: HashSet<PathBuf> = HashSet::new();
    let mut tops = vec![top.to_owned()];
    while let Some(top) = tops.pop() {
        let mut links = Vec::new();
        if !walk_one(&top, &mut entries, &mut links, found) {
            found.cut_short = true;
            return;
        }
        for link in links {
            let follow = Follow { real: &real, link: &link };
            if let Some(target) = follow.lead(found)
                && followed.insert(target)
            {
                tops.push(link);
            }
        }
    }
}

/// A link that was met in the folder whose real path is `real`.
struct Follow<'l> {
    real: &'l Path,
    link: &'l Path,
}

impl Follow<'_> {
    /// Adds what the link leads to, if it is to be read; gives the environment
    /// that is to be walked through behind it.
    fn lead(&self, found: &mut Found) -> Option<PathBuf> {
        let target = match fs::canonicalize(self.link) {
            Ok(target) => target,
            Err(error) => {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    found.unreadable.push((self.link.to_owned(), reason(&error)));
                }
                return None;
            }
        };
        let inside = target.strip_prefix(self.real).ok();
        if target.is_dir() {
            let walked = inside.is_some_and(|inside| !has(inside, &SKIPPED));
            // A link to a folder around it leads nowhere new.
            let folder = fs::canonicalize(self.link.with_file_name(""));
            let around = folder.is_ok_and(|folder| folder.starts_with(&target));
            return if walked || around { None } else { self.folder(target, found) };
        }
        if target.is_file() {
            self.file(target.clone(), inside, found);
        }
        None
    }

    fn folder(&self, target: PathBuf, found: &mut Found) -> Option<PathBuf> {
        let entries = match fs::read_dir(&target) {
            Ok(listing) => listing.flatten().take(LISTED_MAX).map(|entry| entry.file_name()),
            Err(error) => {
                found.unreadable.push((self.link.to_owned(), reason(&error)));
                return None;
            }
        };
        let names: Vec<PathBuf> = entries.map(PathBuf::from).collect();
        let in_environment = is_in_environment(self.link);
        let described = |name: &PathBuf| name.extension().is_some_and(|e| e == "dist-info");
        let mut sites: Vec<PathBuf> = Vec::new();
        if is_site_dir(self.link) || is_site_dir(&target) || names.iter().any(described) {
            sites.push(self.link.to_owned());
        } else if in_environment {
            // A library, or the folder of one version of Python in it.
            let near = names.iter().map(|name| self.link.join(name));
            let deeper = near.clone().flat_map(|folder| SITES.map(|site| folder.join(site)));
            sites.extend(near.chain(deeper).filter(|site| is_site_dir(site) && site.is_dir()));
        }
        let is_environment = names.iter().any(|name| {
            ["pyvenv.cfg", "conda-meta"].iter().any(|known| name.as_os_str() == *known)
        });
        if in_environment && !sites.is_empty() {
            found.moved.push((self.link.to_owned(), target.clone()));
        }
        found.site_dirs.extend(sites);
        is_environment.then_some(target)
    }

    fn file(&self, target: PathBuf, inside: Option<&Path>, found: &mut Found) {
        let format = Format::of(self.link);
        if format.is_none() && !may_hold_packages(self.link) {
            return;
        }
        let link = self.link.to_owned();
        let same =
            Format::of(&target) == format && (format.is_some() || may_hold_packages(&target));
        match (inside, format) {
            (None, _) => found.leaving.push((link, target)),
            // It is read where it lies.
            (Some(inside), _) if same && !has(inside, &SKIPPED) && !has(inside, &SITES) => {}
            (Some(_), Some(format)) => found.manifests.push((link, format)),
            (Some(_), None) => found.archives.push((link, false)),
        }
    }
}

/// Returns true if a part of `path` is one of `names`.
fn has(path: &Path, names: &[&str]) -> bool {
    path.iter().any(|part| names.iter().any(|name| part == *name))
}

/// Returns true if `link` lies in an environment of Python's: in the folder of its
/// `pyvenv.cfg`, or in its `lib`.
fn is_in_environment(link: &Path) -> bool {
    link.ancestors().skip(1).take(3).any(|folder| folder.join("pyvenv.cfg").is_file())
}

/// Walks through `top`, adding `links` that it meets to folders and files;
/// whether it came to the end.
fn walk_one(top: &Path, entries: &mut usize, links: &mut Vec<PathBuf>, found: &mut Found) -> bool {
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) => {
                found.unreadable.push((folder, reason(&error)));
                continue;
            }
        };
        if is_site_dir(&folder) {
            found.site_dirs.push(folder);
            continue;
        }
        if folder.join("oci-layout").is_file() && folder.join("index.json").is_file() {
            found.layouts.push(folder);
            continue;
        }
        let (mut inner, mut unpacked) = (Vec::new(), false);
        for entry in listing.flatten() {
            *entries += 1;
            if *entries > ENTRIES_MAX {
                return false;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let path = entry.path();
            if kind.is_dir() {
                let name = entry.file_name();
                let name = name.to_str().unwrap_or_default();
                unpacked |= path.extension().is_some_and(|e| e == "dist-info");
                if !SKIPPED.contains(&name) {
                    inner.push(path);
                }
            } else if kind.is_symlink() {
                links.push(path);
            } else if !kind.is_file() {
                // Pipes have no end.
            } else if let Some(format) = Format::of(&path) {
                if crate::project::is_one(&path) && found.projects.len() < PROJECTS_MAX {
                    found.projects.push(path.clone());
                }
                found.manifests.push((path, format));
            } else if is_unread(&path) {
                found.unread.push(path);
            } else if crate::project::is_one(&path) {
                if found.projects.len() < PROJECTS_MAX {
                    found.projects.push(path);
                }
            } else if may_hold_packages(&path) {
                found.archives.push((path, false));
            } else if may_list_packages(&path) && found.texts.len() < TEXTS_MAX {
                found.texts.push(path);
            }
        }
        // An unpacked wheel, as the caches of installers keep them.
        if unpacked {
            found.site_dirs.push(folder);
        } else {
            folders.extend(inner);
        }
    }
    true
}

/// Returns true if distributions are installed into `folder`: by its name, as every
/// installer knows it.
fn is_site_dir(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| SITES.contains(&name))
}
