//! What an archive or an image holds: of every file its name, of those that
//! matter their hash, of few their content.

use super::links::Link;
use super::{plain, startup};
use crate::manifest::Format;
use aws_lc_rs::digest::{Context, SHA256};
use pycode::{Role, fact::Summary};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest content that is kept, in bytes.
const KEPT_MAX_BYTES: usize = 64 << 20;
/// The largest source that is read, in bytes: one more than is parsed.
const SOURCE_MAX_BYTES: usize = pycode::FILE_MAX_BYTES + 1;
/// The largest file of data that is kept, in bytes, and all of them together:
/// code may execute it.
const DATA_MAX_BYTES: usize = 1 << 20;
const DATA_ALL_MAX_BYTES: usize = 64 << 20;
/// All kept contents together, in bytes.
const KEPT_ALL_MAX_BYTES: usize = 512 << 20;
/// Files behind a link that are looked at.
const LINKED_MAX: usize = 100_000;
/// Links that lead to links.
const HOPS_MAX: usize = 8;

/// What an archive or an image holds, by name.
#[derive(Clone, Default)]
pub(crate) struct Files {
    pub(super) held: BTreeMap<String, Held>,
    /// Where links lead, and whether they are hard: other names of a file.
    links: BTreeMap<String, (String, bool)>,
    kept_bytes: usize,
}

/// One file, as far as it matters.
#[derive(Clone, Default)]
pub(super) struct Held {
    pub(super) sha256: Option<[u8; 32]>,
    pub(super) bytes: Option<Vec<u8>>,
    /// What it does, if it is Python source.
    pub(super) summary: Option<Arc<Summary>>,
}

/// What the files are of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// A wheel: its root is the folder that it is installed into.
    Wheel,
    /// The root of a file system.
    Root,
}

impl Files {
    /// Takes in a file; of most only the name is kept. Needs the stack that
    /// [`pycode::read`] needs.
    pub(crate) fn take(&mut self, name: &str, content: &mut dyn Read, of: Of) -> io::Result<()> {
        self.links.remove(name);
        let small = of == Of::Wheel && is_small_data(name) && self.kept_bytes < DATA_ALL_MAX_BYTES;
        let mut keep = matters(name) && self.kept_bytes < KEPT_ALL_MAX_BYTES || small;
        let keep_max = if small { DATA_MAX_BYTES } else { KEPT_MAX_BYTES };
        if of == Of::Root && !keep && site_in(name).is_none() {
            self.held.insert(name.to_owned(), Held::default());
            return Ok(());
        }
        let is_source = super::contents::is_source(Path::new(name));
        let mut is_cut = false;
        let mut context = Context::new(&SHA256);
        let mut bytes = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = content.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            let read = buffer.get(..count).unwrap_or_default();
            context.update(read);
            let fits = bytes.len() + count <= SOURCE_MAX_BYTES;
            keep &= bytes.len() + count <= keep_max;
            if keep || is_source && fits {
                bytes.extend_from_slice(read);
            } else {
                is_cut |= is_source;
                bytes.clear();
            }
        }
        let summary = match (is_source, is_cut) {
            (false, _) => None,
            (true, false) => Some(Arc::new(pycode::read(Role::of(Path::new(name)), &bytes))),
            (true, true) => Some(Arc::new(Summary { cut_short: true, ..Summary::default() })),
        };
        let sha256 = context.finish().as_ref().try_into().ok();
        self.kept_bytes += if keep { bytes.len() } else { 0 };
        self.held.insert(name.to_owned(), Held { sha256, bytes: keep.then_some(bytes), summary });
        Ok(())
    }

    /// Takes in a link, symbolic or hard.
    pub(crate) fn link(&mut self, name: &str, target: &str, is_hard: bool) {
        self.held.remove(name);
        let target = if is_hard {
            format!("/{}", target.trim_start_matches("./"))
        } else {
            target.to_owned()
        };
        self.links.insert(name.to_owned(), (target, is_hard));
    }

    /// Takes out `name`, and what is below it.
    pub(crate) fn remove(&mut self, name: &str) {
        self.held.remove(name);
        self.links.remove(name);
        self.remove_below(name);
    }

    /// Takes out what is below the folder `name`.
    pub(crate) fn remove_below(&mut self, name: &str) {
        let below = if name.is_empty() { String::new() } else { format!("{name}/") };
        let gone = |names: &mut dyn Iterator<Item = &String>| -> Vec<String> {
            names.take_while(|name| name.starts_with(&below)).cloned().collect()
        };
        for name in gone(&mut self.held.range(below.clone()..).map(|(name, _)| name)) {
            self.held.remove(&name);
        }
        for name in gone(&mut self.links.range(below.clone()..).map(|(name, _)| name)) {
            self.links.remove(&name);
        }
    }

    /// The files that a later layer hides by `removed` names and `emptied` folders.
    pub(crate) fn hidden_by(&self, removed: &[String], emptied: &[String]) -> Self {
        let mut hidden = Self::default();
        let mut hide = |name: &str| {
            if let Some(held) = self.held.get(name) {
                hidden.held.insert(name.to_owned(), held.clone());
            }
        };
        for folder in removed.iter().chain(emptied) {
            hide(folder);
            self.below(folder).for_each(|(name, _)| hide(name));
        }
        hidden
    }

    /// Names of archives from which Python runs or imports.
    pub(crate) fn python_archives(&self) -> impl Iterator<Item = &str> {
        const ENDINGS: [&str; 4] = ["pex", "pyz", "pyzw", "egg"];
        let names = self.held.keys().map(String::as_str);
        names.filter(|name| {
            let path = Path::new(name);
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            let zip = ending == "zip" && {
                let lower = name.to_ascii_lowercase();
                ["site-packages", "dist-packages", "python", "lambda", "packages", "deps"]
                    .iter()
                    .any(|word| lower.contains(word))
            };
            (ENDINGS.contains(&ending) || zip || ending == "whl")
                && !name.contains("ensurepip/_bundled/")
        })
    }

    /// Puts the files of a later layer over these.
    pub(crate) fn cover(&mut self, over: Self) {
        for (name, held) in over.held {
            self.remove(&name);
            self.held.insert(name, held);
        }
        for (name, target) in over.links {
            self.held.remove(&name);
            self.links.insert(name, target);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The file called `name`, through links, which never leave these files.
    pub(super) fn get(&self, name: &str) -> Option<&Held> {
        self.held.get(&self.end(name)?)
    }

    /// Where `name` leads in the end, itself if it is no link.
    fn end(&self, name: &str) -> Option<String> {
        let mut name = name.to_owned();
        for _ in 0..HOPS_MAX {
            let Some((target, _)) = self.links.get(&name) else { return Some(name) };
            let from = Path::new(&name).parent().unwrap_or(Path::new(""));
            let to = match target.strip_prefix('/') {
                Some(absolute) => PathBuf::from(absolute),
                None => from.join(target),
            };
            plain(&to).to_str()?.clone_into(&mut name);
        }
        None
    }

    /// The symbolic links below `folder`, and the names there by which code
    /// elsewhere would be found that was not read.
    pub(super) fn links_below(&self, folder: &str) -> (Vec<Link>, Vec<&str>) {
        let below = format!("{folder}/");
        let met = self.links.range(below.clone()..);
        let (mut links, mut unread) = (Vec::new(), Vec::new());
        for (name, (_, is_hard)) in met.take_while(|(name, _)| name.starts_with(&below)) {
            let is_there = |end: &String| {
                end.is_empty() || self.held.contains_key(end) || self.below(end).next().is_some()
            };
            let end = self.end(name).filter(is_there);
            let is_folder = end.as_ref().is_some_and(|end| !self.held.contains_key(end));
            let is_code = |name: &str| super::integrity::is_code(Path::new(name));
            let is_source = |name: &str| super::contents::is_source(Path::new(name));
            let mut runs = is_code(name);
            // What lies in another such folder was read there.
            if let Some(end) = end.as_deref().filter(|end| site_in(end).is_none()) {
                let inside = || self.below(end).take(LINKED_MAX).map(|(name, _)| name);
                runs |= is_folder && inside().any(is_code);
                if is_folder && inside().any(is_source) || !is_folder && is_source(name) {
                    unread.push(name.as_str());
                }
            }
            if !is_hard {
                let path = PathBuf::from(name);
                links.push(Link { path, target: end.map(PathBuf::from), is_folder, runs });
            }
        }
        (links, unread)
    }

    /// Returns true if there is a file called `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.held.contains_key(name)
    }

    /// The content of the file called `name`, if it is kept.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.get(name)?.bytes.clone()
    }

    /// The content of the file called `name` as text, if it is kept.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let bytes = self.get(name)?.bytes.as_deref()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Names of files and links directly or deeper in the folder `folder`.
    pub(super) fn below<'f>(&'f self, folder: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let length = prefix.len();
        let held = self.held.range(prefix.clone()..).map(|(name, _)| name.as_str());
        held.take_while(move |name| name.starts_with(&prefix))
            .filter_map(move |name| Some((name, name.get(length..)?)))
    }
}

/// Returns true if code may execute such a file or build objects from it.
fn is_small_data(name: &str) -> bool {
    const ENDINGS: [&str; 22] = [
        "txt", "md", "rst", "json", "dat", "bin", "cfg", "ini", "toml", "yaml", "yml", "pkl",
        "pickle", "pt", "pth", "ckpt", "npy", "npz", "joblib", "sh", "tmpl", "pyc",
    ];
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    ending.is_none_or(|ending| ENDINGS.contains(&ending))
}

/// Returns true if the content of a file of this name is asked for later.
fn matters(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let folder = name.rsplit('/').nth(1).unwrap_or_default();
    let described = folder.ends_with(".dist-info") || folder.ends_with(".egg-info");
    let about = described
        && matches!(
            file,
            "METADATA"
                | "RECORD"
                | "PKG-INFO"
                | "direct_url.json"
                | "WHEEL"
                | "INSTALLER"
                | "entry_points.txt"
        );
    about
        || file == "PKG-INFO"
        || file.ends_with(".egg-info")
        || startup::may_start(file)
        || Format::of(Path::new(name)).is_some()
}

/// The folder that distributions are installed into and that `name` is in.
pub(super) fn site_in(name: &str) -> Option<&str> {
    let mut end = 0;
    for part in name.split('/') {
        end += part.len();
        if matches!(part, "site-packages" | "dist-packages") {
            return name.get(..end);
        }
        end += 1;
    }
    None
}
