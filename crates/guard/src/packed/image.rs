//! Container images: OCI layouts and `docker save` archives by their layers,
//! a root file system as one tar or as a folder.
//!
//! Layers are laid over each other as a runtime does it: a later layer covers
//! and takes out what earlier ones hold. Distributions that were taken out are
//! still in the image file, and are reported as held. Layers packed with zstd
//! are a gap; so is an image in which no Python package can be seen.

use super::{gap, odd};
use crate::archive::{self, Broken, Kind, Limits, Odd};
use crate::finding::{Evidence, Finding, Kind as Question, Severity, Why};
use crate::installed::packed::{self, Files, Of};
use crate::inventory::{Place, Standing};
use crate::manifest::Reading;
use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest manifest that is read, in bytes.
const MANIFEST_MAX_BYTES: u64 = 4 << 20;
/// Indexes inside indexes.
const DEPTH_MAX: usize = 4;
/// Images in one file.
const IMAGES_MAX: usize = 64;
/// Files and folders of a root file system that are looked at.
const ENTRIES_MAX: usize = 4_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default, rename = "mediaType")]
    media_type: String,
}

#[derive(Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

/// An image's layers by the names of their files, the lowest first.
type Layers = Vec<String>;

/// The image or root file system in the tar at `path`.
pub(super) fn read(path: &Path) -> Result<Option<Reading>, Broken> {
    let mut small: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    archive::each(path, &Limits::IMAGE, &mut |member, content| {
        names.insert(member.name.to_owned());
        let may_tell = matches!(member.name, "manifest.json" | "index.json")
            || member.name.starts_with("blobs/");
        if member.kind == Kind::File && may_tell && member.size <= MANIFEST_MAX_BYTES {
            small.insert(member.name.to_owned(), archive::bytes(content, MANIFEST_MAX_BYTES)?);
        }
        Ok(())
    })?;
    let open = |name: &str| small.get(name).cloned();
    let Some(images) = layers(&open)? else {
        return root_in_tar(path).map(Some);
    };
    let wanted: BTreeSet<&str> = images.iter().flatten().map(String::as_str).collect();
    let mut read: BTreeMap<String, Layer> = BTreeMap::new();
    archive::each(path, &Limits::IMAGE, &mut |member, content| {
        if wanted.contains(member.name) {
            read.insert(member.name.to_owned(), layer(member.name, member.size, content));
        }
        Ok(())
    })?;
    Ok(Some(laid_over(path, &images, &read)))
}

/// The image in the OCI layout at `folder`.
pub(crate) fn layout(folder: &Path) -> Reading {
    let file = |name: &str| -> Option<PathBuf> {
        // A digest is no path, whatever it says.
        let plain = name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        plain.then(|| folder.join(name))
    };
    let open = |name: &str| crate::files::bytes(&file(name)?, MANIFEST_MAX_BYTES).ok();
    let images = match layers(&open) {
        Ok(Some(images)) => images,
        Ok(None) => return gap(folder, Why::Malformed, "its index.json names no image"),
        Err(broken) => return gap(folder, Why::Malformed, &broken.to_string()),
    };
    let mut read = BTreeMap::new();
    for name in images.iter().flatten() {
        let Some(path) = file(name).filter(|_| !read.contains_key(name)) else { continue };
        if let Ok(mut blob) = File::open(&path) {
            let size = blob.metadata().map_or(0, |meta| meta.len());
            read.insert(name.clone(), layer(name, size, &mut blob));
        }
    }
    laid_over(folder, &images, &read)
}

/// The root file system unpacked at `root`. No link is followed on this
/// machine: an absolute one means a place below `root`.
pub(crate) fn root(root: &Path) -> Reading {
    let mut held = Files::default();
    let mut reading = Reading::default();
    let mut folders = vec![PathBuf::new()];
    let mut entries = 0_usize;
    while let Some(folder) = folders.pop() {
        let listing = match fs::read_dir(root.join(&folder)) {
            Ok(listing) => listing,
            Err(error) => {
                let why = crate::files::reason(&error);
                reading.append(gap(&root.join(&folder), Why::Unreadable, &why));
                continue;
            }
        };
        for entry in listing.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                reading.append(gap(root, Why::Unreadable, "it has more files than an image has"));
                return reading;
            }
            let inside = folder.join(entry.file_name());
            let Some(name) = inside.to_str() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                // What the kernel shows there is of this machine.
                if !(folder.as_os_str().is_empty() && matches!(name, "proc" | "sys" | "dev")) {
                    folders.push(inside);
                }
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap_or_default();
                held.link(name, &target.to_string_lossy(), false);
            } else if kind.is_file() {
                let taken = File::open(entry.path())
                    .and_then(|mut file| held.take(name, &mut file, Of::Root));
                if let Err(error) = taken {
                    let why = crate::files::reason(&error);
                    reading.append(gap(&entry.path(), Why::Unreadable, &why));
                }
            }
        }
    }
    reading.append(packed::read(root, &held, Of::Root));
    reading
}

/// The layers of every image that the manifests name; nothing if there are none.
fn layers(open: &dyn Fn(&str) -> Option<Vec<u8>>) -> Result<Option<Vec<Layers>>, Broken> {
    if let Some(bytes) = open("index.json") {
        let mut images = Vec::new();
        index(&bytes, open, 0, &mut images)?;
        return Ok(Some(images).filter(|images| !images.is_empty()));
    }
    let Some(bytes) = open("manifest.json") else { return Ok(None) };
    let Ok(saved) = serde_json::from_slice::<Vec<Saved>>(&bytes) else {
        return Ok(None);
    };
    Ok(Some(saved.into_iter().map(|image| image.layers).take(IMAGES_MAX).collect()))
}

fn index(
    bytes: &[u8],
    open: &dyn Fn(&str) -> Option<Vec<u8>>,
    depth: usize,
    images: &mut Vec<Layers>,
) -> Result<(), Broken> {
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|_| Broken::Malformed("an index in it is no JSON of an image".into()))?;
    if depth > DEPTH_MAX || images.len() >= IMAGES_MAX {
        return Err(Broken::TooMuch("it has indexes inside indexes without end".into()));
    }
    if !manifest.layers.is_empty() {
        // Signatures and build records look like images and hold no files.
        let tars = manifest
            .layers
            .iter()
            .filter(|layer| layer.media_type.is_empty() || layer.media_type.contains("tar"));
        images.push(tars.filter_map(|layer| blob(&layer.digest)).collect());
    }
    for inner in &manifest.manifests {
        let name = blob(&inner.digest).ok_or_else(|| {
            Broken::Malformed("an index in it names something that is no digest".into())
        })?;
        match open(&name) {
            Some(bytes) => index(&bytes, open, depth + 1, images)?,
            None => return Err(Broken::Malformed(format!("{name} is named in it and not there"))),
        }
    }
    Ok(())
}

/// The file of a digest: `sha256:…` → `blobs/sha256/…`.
fn blob(digest: &str) -> Option<String> {
    let (algorithm, digits) = digest.split_once(':')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain(algorithm) && plain(digits)).then(|| format!("blobs/{algorithm}/{digits}"))
}

/// One layer: what it holds, and what it takes out of those below it.
struct Layer {
    files: Files,
    removed: Vec<String>,
    emptied: Vec<String>,
    odd: Vec<Odd>,
    broken: Option<String>,
    /// What its content is not, if its name is a digest and it is not that.
    forged: bool,
}

fn layer(name: &str, size: u64, content: &mut dyn Read) -> Layer {
    let mut hashed = Hashed { inner: content, context: Context::new(&SHA256) };
    let mut layer = root_in_stream(&mut hashed, size);
    if let Some(digest) = name.strip_prefix("blobs/sha256/") {
        let drained = io::copy(&mut hashed, &mut io::sink());
        let found = crate::installed::hex(hashed.context.finish().as_ref());
        layer.forged = drained.is_ok() && found != digest.to_ascii_lowercase();
    }
    layer
}

fn root_in_stream(content: &mut dyn Read, size: u64) -> Layer {
    let (mut files, mut removed, mut emptied) = (Files::default(), Vec::new(), Vec::new());
    let mut magic = [0; 4];
    let mut filled = 0;
    while filled < magic.len() {
        match content.read(magic.get_mut(filled..).unwrap_or_default()) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    if magic == [0x28, 0xb5, 0x2f, 0xfd] {
        let broken = Some("it is packed with zstd, which is not read".to_owned());
        return Layer { files, removed, emptied, odd: Vec::new(), broken, forged: false };
    }
    let head = magic.get(..filled).unwrap_or_default();
    let whole = Box::new(head.chain(content));
    let outcome = archive::each_in_stream(whole, size, &Limits::IMAGE, &mut |member, content| {
        let (folder, file) = member.name.rsplit_once('/').unwrap_or(("", member.name));
        if file == ".wh..wh..opq" {
            emptied.push(folder.to_owned());
        } else if let Some(gone) = file.strip_prefix(".wh.") {
            let name = if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
            removed.push(name);
        } else {
            match member.kind {
                Kind::File => files.take(member.name, content, Of::Root)?,
                Kind::Link => files.link(member.name, member.target, false),
                Kind::HardLink => files.link(member.name, member.target, true),
                Kind::Folder | Kind::Other => {}
            }
        }
        Ok(())
    });
    let (odd, broken) = match outcome {
        Ok(odd) => (odd, None),
        Err(broken) => (Vec::new(), Some(broken.to_string())),
    };
    Layer { files, removed, emptied, odd, broken, forged: false }
}

fn root_in_tar(path: &Path) -> Result<Reading, Broken> {
    let unreadable = |error: io::Error| Broken::Unreadable(crate::files::reason(&error));
    let mut file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let layer = root_in_stream(&mut file, size);
    if let Some(broken) = layer.broken {
        return Err(Broken::Malformed(broken));
    }
    let mut reading = packed::read(path, &layer.files, Of::Root);
    odd(path, &layer.odd, &mut reading);
    if reading.packages.is_empty() && reading.gaps.is_empty() {
        let why = "it is neither a source archive nor an image, and no packages are in it";
        reading.append(gap(path, Why::Nothing, why));
    } else {
        unseen(path, &layer.files, &mut reading);
    }
    Ok(reading)
}

/// Every image with its layers over each other.
fn laid_over(path: &Path, images: &[Layers], read: &BTreeMap<String, Layer>) -> Reading {
    let mut reading = Reading::default();
    for (number, names) in images.iter().enumerate() {
        let mut whole = Files::default();
        for name in names {
            let shown = path.join(name);
            let Some(layer) = read.get(name) else {
                reading.append(gap(&shown, Why::Unreadable, "the layer is named and not there"));
                continue;
            };
            if let Some(broken) = &layer.broken {
                reading.append(gap(&shown, Why::Malformed, broken));
            }
            if layer.forged {
                reading.findings.push(forged(&shown));
            }
            odd(&shown, &layer.odd, &mut reading);
            let hidden = whole.hidden_by(&layer.removed, &layer.emptied);
            below_layers(&shown, &hidden, &mut reading);
            for folder in &layer.emptied {
                whole.remove_below(folder);
            }
            for name in &layer.removed {
                whole.remove(name);
            }
            whole.cover(layer.files.clone());
        }
        let shown = if images.len() > 1 {
            path.join(format!("image-{}", number + 1))
        } else {
            path.to_owned()
        };
        let mut read = packed::read(&shown, &whole, Of::Root);
        if whole.is_empty() && names.is_empty() {
            read.append(gap(&shown, Why::Nothing, "the image has no layers with files"));
        } else {
            unseen(&shown, &whole, &mut read);
        }
        reading.append(read);
    }
    reading
}

/// Adds the distributions that a layer takes out of those below it: they are
/// still in the image file.
fn below_layers(layer: &Path, hidden: &Files, reading: &mut Reading) {
    let mut read = packed::read(layer, hidden, Of::Root);
    for package in &mut read.packages {
        package.standing = Standing::Held;
    }
    reading.packages.append(&mut read.packages);
}

/// Adds a gap for archives that hold Python packages of their own, and one if no
/// installed Python package was seen.
fn unseen(shown: &Path, files: &Files, reading: &mut Reading) {
    let archives: Vec<&str> = files.python_archives().take(20).collect();
    for name in &archives {
        let text = "it is an archive that Python runs or imports from, and was not opened";
        let mut found = gap(&shown.join(name), Why::Unreadable, text);
        for gap in &mut found.gaps {
            gap.do_first = "Take it out of the image, and audit it by its name.".into();
        }
        reading.append(found);
    }
    let installed = reading.packages.iter().any(|p| p.standing == Standing::Installed);
    if !installed && archives.is_empty() {
        let mut found = gap(shown, Why::Nothing, "no installed Python package was seen in it");
        for gap in &mut found.gaps {
            gap.do_first = "If the program in it is not Python, audit its lock file instead. If it is, say where its packages are: unpack the image and name the folder.".into();
        }
        reading.append(found);
    }
}

fn forged(layer: &Path) -> Finding {
    Finding {
rule: crate::rule::Rule::ForgedLayer,
        severity: Severity::High,
        kind: Question::Integrity,
        subject: layer.display().to_string(),
        evidence: vec![Evidence {
            place: Some(Place::whole(layer)),
            text: "its SHA-256 is not the one that it is named after".into(),
        }],
        meaning: "The layer was changed after the image was made: whoever checks only the manifest sees nothing of it.".into(),
        do_first: "Do not run the image. Fetch it anew by its digest.".into(),
        advisories: Vec::new(),
    }
}

/// A stream whose bytes are hashed on their way.
struct Hashed<'c> {
    inner: &'c mut dyn Read,
    context: Context,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.context.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}
