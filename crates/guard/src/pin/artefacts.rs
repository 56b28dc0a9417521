//! Wheels and source archives that lie in a folder: their names, versions and
//! digests. Their insides are not looked at.

use super::{Gap, Pin, PinnedFile, Unpinned, Unplanned};
use crate::installed::hex;
use crate::inventory::{Ecosystem, Hash};
use crate::name::pep503;
use crate::python::artefact;
use crate::version::Version;
use aws_lc_rs::digest::{Context, SHA256};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Bytes that are hashed at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// A wheel or source archive at hand.
#[derive(Clone, Debug)]
pub struct Artefact {
    path: PathBuf,
    file: String,
    name: String,
    version: Version,
    sha256: String,
    size: u64,
}

/// The artefacts in `folder`, by their names; other files are left alone.
pub fn read(folder: &Path) -> Result<Vec<Artefact>, Unplanned> {
    let failed = |path: &Path, error: std::io::Error| Unplanned::Unreadable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        let path = entry.map_err(|error| failed(folder, error))?.path();
        let Some(file) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let Some((name, version)) = artefact::name_and_version(file) else { continue };
        if !path.is_file() {
            continue;
        }
        let (sha256, size) = sha256(&path).map_err(|error| failed(&path, error))?;
        found.push(Artefact {
            file: file.to_owned(),
            name: pep503(name),
            version: Version::read(Ecosystem::PyPi, version),
            sha256,
            size,
            path,
        });
    }
    found.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(found)
}

fn sha256(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = fs::File::open(path)?;
    let (mut context, mut size) = (Context::new(&SHA256), 0_u64);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((hex(context.finish().as_ref()), size));
        }
        context.update(chunk.get(..read).unwrap_or_default());
        size += read as u64;
    }
}

/// Tells `pin` what `artefacts` know of it, and what they contradict.
pub(super) fn join(pin: &mut Pin, artefacts: &[Artefact]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let Some(version) = pin.version.as_deref().map(|v| Version::read(Ecosystem::PyPi, v)) else {
        return gaps;
    };
    let hashes = pin.files.iter().flat_map(|file| &file.hashes);
    let knows_hashes = hashes.clone().any(|hash| hash.algorithm == "sha256");
    let known: Vec<String> = hashes.map(|hash| hash.digest.to_ascii_lowercase()).collect();
    for artefact in artefacts.iter().filter(|a| a.name == pin.name && a.version == version) {
        let same = |file: &&mut PinnedFile| {
            file.hashes.iter().any(|hash| hash.digest.eq_ignore_ascii_case(&artefact.sha256))
        };
        if let Some(file) = pin.files.iter_mut().find(same) {
            // Lists of bare digests do not say whose they are; this one is.
            file.name.get_or_insert_with(|| artefact.file.clone());
            file.path.get_or_insert_with(|| artefact.path.clone());
            file.size.get_or_insert(artefact.size);
        } else if knows_hashes && !known.contains(&artefact.sha256) {
            let text = format!(
                "{} has the SHA-256 {}, which the lock does not know",
                artefact.path.display(),
                artefact.sha256
            );
            let do_first = "Find out where that file comes from before anything installs it; then remove it, or lock anew.";
            gaps.push(pin.gap(Unpinned::Differs, text, do_first));
        } else {
            pin.files.push(PinnedFile {
                name: Some(artefact.file.clone()),
                path: Some(artefact.path.clone()),
                size: Some(artefact.size),
                hashes: vec![Hash { algorithm: "sha256".into(), digest: artefact.sha256.clone() }],
                ..PinnedFile::default()
            });
        }
    }
    gaps
}
