//! What is installed → pins. An installed tree knows its versions and not the
//! files that it was installed from: without artefacts at hand each of them is
//! a gap, but for what its installer recorded with address and digest.

use super::{Pin, PinnedFile, Plan, Unplanned};
use crate::files;
use crate::installed;
use crate::inventory::{Hash, Package, Source};
use crate::tree::{self, Found};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest direct_url.json that is read, in bytes.
const RECORDED_MAX_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
struct Recorded {
    url: String,
    archive_info: Option<Archive>,
}

#[derive(Deserialize)]
struct Archive {
    hash: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// What is installed in the one environment below `folder`.
pub(super) fn plan(folder: &Path) -> Result<Plan, Unplanned> {
    let mut found = Found::default();
    tree::find(folder, &mut found);
    let site = match found.site_dirs.as_slice() {
        [site] => site.clone(),
        [] => return Err(Unplanned::Nothing(folder.to_owned())),
        [first, ..] => {
            let count = found.site_dirs.len();
            let why = format!(
                "there are {count} folders with installed packages below it; name one, such as {}",
                first.display()
            );
            return Err(Unplanned::Unreadable { path: folder.to_owned(), why });
        }
    };
    let (packages, gaps) = installed::distributions(&site);
    if let Some(gap) = gaps.first() {
        let why = format!("{}: {}", gap.subject, gap.text);
        return Err(Unplanned::Unreadable { path: site, why });
    }
    let mut plan = Plan { from: site, ..Plan::default() };
    for package in packages {
        if package.name == "pip" {
            plan.notes.push("pip itself is left out, as in `pip freeze`".into());
            continue;
        }
        if package.source == Source::Own {
            plan.notes.push(format!("{} is left out: it is installed as editable", package.name));
            continue;
        }
        plan.pins.push(pin(&package));
    }
    plan.notes.sort();
    Ok(plan)
}

fn pin(package: &Package) -> Pin {
    let mut pin = Pin::new(&package.name, package.place.clone());
    pin.version = package.version.as_ref().map(|version| version.text().to_owned());
    pin.source = package.source.clone();
    let recorded = package.place.file.join("direct_url.json");
    let recorded = files::bytes(&recorded, RECORDED_MAX_BYTES).ok();
    let recorded = recorded.and_then(|bytes| serde_json::from_slice::<Recorded>(&bytes).ok());
    if let Some(Recorded { url, archive_info: Some(archive) }) = recorded {
        let mut hashes: Vec<Hash> = archive
            .hashes
            .into_iter()
            .map(|(algorithm, digest)| Hash { algorithm, digest })
            .collect();
        hashes.extend(archive.hash.as_deref().and_then(Hash::read).filter(|_| hashes.is_empty()));
        let local = url.strip_prefix("file://").map(Into::into);
        if local.is_some() {
            // It came from this disk: what counts is its digest, not its old place.
            pin.source = Source::registry();
        }
        let name = url.split(['?', '#']).next().and_then(|url| url.rsplit('/').next());
        pin.files.push(PinnedFile {
            name: name.map(str::to_owned),
            url: local.is_none().then_some(url),
            path: local,
            hashes,
            ..PinnedFile::default()
        });
    }
    pin
}
