//! Every entry of a folder that distributions are installed into, also behind
//! links: what Python would find there.

use super::Owners;
use super::contents::is_source;
use super::integrity::{is_code, is_compiled_of};
use super::links::Link;
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Entries that are looked at.
const WALK_MAX: usize = 1_000_000;
/// Entries that are looked at behind links.
const BEHIND_MAX: usize = 100_000;
/// Folders that the kernel makes up.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// A file that no installer recorded.
pub(super) struct Stray {
    /// Where it is.
    pub(super) path: PathBuf,
    /// True if it can run, or is a link to somewhere.
    pub(super) runs: bool,
    /// True if it lies behind a link: then the link is what is told.
    pub(super) behind: bool,
}

/// What was met.
#[derive(Default)]
pub(super) struct Walked {
    /// Files that no installer recorded.
    pub(super) strays: Vec<Stray>,
    /// Links, recorded or not.
    pub(super) links: Vec<Link>,
    /// Folders that could not be listed, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// Why not all was looked at.
    pub(super) cut_short: Option<&'static str>,
}

struct Folder {
    path: PathBuf,
    /// The link that it lies behind, by its place among the links.
    behind: Option<usize>,
}

/// Walks through `site`, of whose files `recorded` are on somebody's list.
/// Behind a link each folder is walked through once, whatever leads to it, and
/// none that is in `site` itself.
pub(super) fn through(site: &Path, recorded: &Owners) -> Walked {
    let mut walked = Walked::default();
    let real = fs::canonicalize(site).unwrap_or_else(|_| site.to_owned());
    let mut behind_links: HashSet<PathBuf> = HashSet::new();
    let mut folders = vec![Folder { path: site.to_owned(), behind: None }];
    let (mut entries, mut entries_behind) = (0, 0);
    while let Some(folder) = folders.pop() {
        let listing = match fs::read_dir(&folder.path) {
            Ok(listing) => listing,
            // It went away meanwhile: nothing is there to be imported.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                walked.unreadable.push((folder.path, crate::files::reason(&error)));
                continue;
            }
        };
        for entry in listing.flatten() {
            entries += 1;
            entries_behind += usize::from(folder.behind.is_some());
            if entries > WALK_MAX {
                walked.cut_short = Some("there are more files than one audit walks through");
                share(&mut walked.links);
                return walked;
            }
            if entries_behind > BEHIND_MAX {
                walked.cut_short = Some("there are more files behind its links than are followed");
                folders.retain(|folder| folder.behind.is_none());
                entries_behind = 0;
                break;
            }
            let path = entry.path();
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                // A link to a folder above `site` leads back to it.
                let again = || fs::canonicalize(&path).is_ok_and(|path| path == real);
                if folder.behind.is_some() && again() {
                    continue;
                }
                folders.push(Folder { path, behind: folder.behind });
                continue;
            }
            let mut runs = is_code(&path);
            if let Some(link) = folder.behind.and_then(|at| walked.links.get_mut(at)) {
                link.runs |= runs;
            }
            if kind.is_ok_and(|kind| kind.is_symlink()) {
                let target = fs::canonicalize(&path).ok();
                let is_folder = target.as_ref().is_some_and(|target| target.is_dir());
                let first = target.as_ref().is_some_and(|target| {
                    let elsewhere = !target.starts_with(&real);
                    // The kernel's own folders hold no code and change as they are read.
                    let kernel = KERNEL.iter().any(|folder| target.starts_with(folder));
                    is_folder && elsewhere && !kernel && behind_links.insert(target.clone())
                });
                if first && walked.cut_short.is_none() {
                    let behind = Some(folder.behind.unwrap_or(walked.links.len()));
                    folders.push(Folder { path: path.clone(), behind });
                }
                // A link behind a link is part of what the first one leads to.
                let leads_on = is_folder || target.is_none();
                if folder.behind.is_none() {
                    walked.links.push(Link { path: path.clone(), target, is_folder, runs });
                }
                // To a folder full of code, or one day to a file.
                runs |= leads_on;
            }
            if !recorded.contains_key(&path) && !is_compiled_of(&path, recorded) {
                let behind = folder.behind.is_some();
                if !behind || is_source(&path) {
                    walked.strays.push(Stray { path, runs, behind });
                }
            }
        }
    }
    share(&mut walked.links);
    walked
}

/// Of several links to one folder, only one was walked through. The order in
/// which a disk lists its folders is nobody's.
fn share(links: &mut [Link]) {
    links.sort_by(|a, b| a.path.cmp(&b.path));
    let runs: HashSet<PathBuf> =
        links.iter().filter(|link| link.runs).filter_map(|link| link.target.clone()).collect();
    for link in links {
        link.runs |= link.target.as_ref().is_some_and(|target| runs.contains(target));
    }
}
