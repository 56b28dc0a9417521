//! One release of a package as it lies on the disk: a wheel, a source archive,
//! or a folder of either unpacked. Read where it lies, never unpacked, never
//! executed.

mod diff;

pub use diff::diff;

use crate::archive::{self, Kind, Limits, Odd};
use crate::files;
use aws_lc_rs::digest::{Context, SHA256};
use pycode::fact::{Fact, Summary, When};
use pycode::{self, Role};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest start-up or metadata file that is read, in bytes.
const SMALL_MAX_BYTES: u64 = 16 << 20;
/// Files of a folder that are looked at.
const FILES_MAX: usize = 400_000;

/// A release as it lies there.
#[derive(Default)]
pub(crate) struct Release {
    /// Its name and version, or that of its file.
    pub(crate) title: String,
    /// Every file by its path in the release, with its SHA-256.
    pub(crate) files: BTreeMap<String, [u8; 32]>,
    /// What each source file does.
    pub(crate) code: BTreeMap<String, Summary>,
    /// Lines of start-up files, by path: what runs at every Python start.
    pub(crate) start: BTreeMap<String, Vec<String>>,
    /// What it needs, as its metadata says: `name` → the whole requirement.
    pub(crate) needs: BTreeMap<String, String>,
    /// Names as the release spells them, where they are compared under others.
    pub(crate) spelled: BTreeMap<String, String>,
    /// What is odd about the archive.
    pub(crate) odd: Vec<Odd>,
    /// What could not be read, and why.
    pub(crate) unread: Vec<(String, String)>,
}

/// The release at `path`; the error says why it is none.
pub(crate) fn read(path: &Path) -> Result<Release, String> {
    let mut release = Release { title: shown(path), ..Release::default() };
    // Nesting of code is bounded, but deep.
    pycode::apart(|| {
        let kind = fs::metadata(path).map_err(|error| files::reason(&error))?;
        if kind.is_dir() {
            release.folder(path)?;
        } else {
            release.archive(path)?;
        }
        // "Nothing new" must not be what is said of a slip of the pen.
        if release.files.is_empty() && release.unread.is_empty() {
            return Err("there are no files in it to compare".to_owned());
        }
        release.settle();
        Ok(release)
    })
    .unwrap_or_else(|| Err("no thread could be started".to_owned()))
}

fn shown(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

impl Release {
    fn archive(&mut self, path: &Path) -> Result<(), String> {
        let odd = archive::each(path, &Limits::ARTEFACT, &mut |member, content| {
            if member.kind == Kind::File {
                self.file(member.name, content)?;
            } else if matches!(member.kind, Kind::Link | Kind::HardLink) {
                self.unread
                    .push((member.name.to_owned(), format!("it is a link to {}", member.target)));
            }
            Ok(())
        });
        self.odd = odd.map_err(|error| error.to_string())?;
        Ok(())
    }

    fn folder(&mut self, top: &Path) -> Result<(), String> {
        let mut folders = vec![top.to_owned()];
        while let Some(folder) = folders.pop() {
            let listing = fs::read_dir(&folder).map_err(|error| files::reason(&error))?;
            for entry in listing.flatten() {
                let path: PathBuf = entry.path();
                let Ok(kind) = entry.file_type() else { continue };
                let name = path.strip_prefix(top).unwrap_or(&path).to_string_lossy().into_owned();
                if kind.is_dir() {
                    if !matches!(entry.file_name().to_str(), Some("__pycache__" | ".git")) {
                        folders.push(path);
                    }
                } else if !kind.is_file() {
                    self.unread.push((name, "it is a link or no file".to_owned()));
                } else if self.files.len() >= FILES_MAX {
                    return Err("there are more files than one release has".to_owned());
                } else {
                    let read =
                        fs::File::open(&path).and_then(|mut file| self.file(&name, &mut file));
                    if let Err(error) = read {
                        self.unread.push((name, files::reason(&error)));
                    }
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, content: &mut dyn Read) -> std::io::Result<()> {
        let role = Role::of(Path::new(name));
        let small = is_start(name) || is_metadata(name);
        let mut context = Context::new(&SHA256);
        let mut held = Vec::new();
        let max = if role != Role::Data {
            pycode::FILE_MAX_BYTES as u64 + 1
        } else if small {
            SMALL_MAX_BYTES
        } else {
            0
        };
        content.take(max).read_to_end(&mut held)?;
        context.update(&held);
        let mut chunk = vec![0; 1 << 16];
        loop {
            let count = content.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            context.update(chunk.get(..count).unwrap_or_default());
        }
        let sha256 = context.finish().as_ref().try_into().map_err(std::io::Error::other)?;
        self.files.insert(name.to_owned(), sha256);
        if role != Role::Data {
            self.code.insert(name.to_owned(), pycode::read(role, &held));
        }
        let text = String::from_utf8_lossy(&held);
        if is_start(name) {
            self.start.insert(name.to_owned(), start_lines(name, &text));
        }
        if is_metadata(name) {
            self.metadata(&text);
        }
        Ok(())
    }

    fn metadata(&mut self, text: &str) {
        let header = text.lines().take_while(|line| !line.trim().is_empty());
        let (mut name, mut version) = ("", "");
        for line in header {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match field {
                "Name" if name.is_empty() => name = value,
                "Version" if version.is_empty() => version = value,
                "Requires-Dist" => {
                    let end =
                        value.find(|l: char| !(l.is_ascii_alphanumeric() || "-_.".contains(l)));
                    let needed = value.get(..end.unwrap_or(value.len())).unwrap_or(value);
                    self.needs.insert(crate::name::pep503(needed), value.to_owned());
                }
                _ => {}
            }
        }
        if !name.is_empty() && !version.is_empty() {
            self.title = format!("{} {version}", crate::name::pep503(name));
        }
    }

    /// Takes the one folder away that a source archive puts around everything,
    /// and versions out of the names of metadata folders: they always differ.
    fn settle(&mut self) {
        let tops: BTreeSet<&str> =
            self.files.keys().map(|name| name.split('/').next().unwrap_or_default()).collect();
        let top = tops.into_iter().next().map(|top| format!("{top}/"));
        let around = top.filter(|top| self.files.keys().all(|name| name.starts_with(top.as_str())));
        let is_source = self
            .files
            .keys()
            .any(|name| name.matches('/').count() == 1 && name.ends_with("/PKG-INFO"));
        let around = around.filter(|_| is_source).unwrap_or_default();
        let plain = |name: &str| {
            let name = name.strip_prefix(around.as_str()).unwrap_or(name);
            match name.split_once('/') {
                Some((first, rest)) => match first.strip_suffix(".dist-info") {
                    Some(of) => format!("{}.dist-info/{rest}", of.split('-').next().unwrap_or(of)),
                    None => name.to_owned(),
                },
                None => name.to_owned(),
            }
        };
        let names = self.files.keys().map(|name| (plain(name), name.clone()));
        self.spelled = names.filter(|(plain, name)| plain != name).collect();
        renamed(&mut self.files, &plain);
        renamed(&mut self.code, &plain);
        renamed(&mut self.start, &plain);
    }

    /// Everything that its code does, with the file.
    pub(crate) fn facts(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.code
            .iter()
            .flat_map(|(name, of)| of.facts.iter().map(move |fact| (name.as_str(), fact)))
    }

    /// What happens at import or at installation.
    pub(crate) fn at_import(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.facts().filter(|(_, fact)| fact.when == When::Import)
    }
}

fn renamed<T>(map: &mut BTreeMap<String, T>, plain: &dyn Fn(&str) -> String) {
    *map = std::mem::take(map).into_iter().map(|(name, value)| (plain(&name), value)).collect();
}

fn is_start(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    let ending = Path::new(file).extension().and_then(|e| e.to_str());
    matches!(ending, Some("pth" | "start"))
        || matches!(file, "sitecustomize.py" | "usercustomize.py")
}

fn is_metadata(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [folder, "METADATA"] => folder.ends_with(".dist-info"),
        ["PKG-INFO"] | [_, "PKG-INFO"] => true,
        _ => false,
    }
}

/// What of a start-up file is executed.
fn start_lines(name: &str, text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let pth = Path::new(name).extension().is_some_and(|e| e == "pth");
    let runs = |line: &&str| !pth || line.starts_with("import ") || line.starts_with("import\t");
    let said = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    crate::installed::pth_lines(text)
        .map(|(_, line)| line)
        .filter(said)
        .filter(runs)
        .map(str::to_owned)
        .collect()
}
