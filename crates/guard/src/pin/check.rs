//! `keymoat pin --check`: whether a file that is there pins and hashes
//! everything that it would install.

use super::artefacts::Artefact;
use super::{Choice, Gap, Pin, PinnedFile, Unpinned, Unplanned, artefacts, plan};
use crate::advisory::Advisories;
use crate::files;
use crate::finding::Why;
use crate::inventory::{Place, Source};
use crate::manifest::{Format, requirements};
use std::path::Path;

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// How many requirements there are.
    pub count: usize,
    /// What is not exact or not hashed, and why.
    pub gaps: Vec<Gap>,
}

/// Checks `path`: a lock, or a requirement file with the files that it names.
pub fn check(
    path: &Path,
    artefacts: &[Artefact],
    choice: &Choice,
    advisories: &Advisories,
) -> Result<Checked, Unplanned> {
    if Format::of(path).is_some_and(Format::is_lock) {
        let choice = Choice { all: true, ..choice.clone() };
        let plan = plan(path, artefacts, &choice, advisories)?;
        return Ok(Checked { count: plan.pins.len(), gaps: plan.gaps });
    }
    let text =
        files::text(path).map_err(|why| Unplanned::Unreadable { path: path.to_owned(), why })?;
    let reading = requirements::read(&text, &Place::whole(path), &|other| files::text(other));
    let mut gaps: Vec<Gap> = reading
        .gaps
        .into_iter()
        .map(|gap| Gap {
            why: if gap.why == Why::Floating { Unpinned::Floating } else { Unpinned::Unreadable },
            subject: gap.subject,
            place: gap.place,
            text: gap.text,
            do_first: gap.do_first,
        })
        .collect();
    for finding in reading.findings {
        let place = finding.evidence.iter().find_map(|evidence| evidence.place.clone());
        gaps.push(Gap {
            why: Unpinned::Origin,
            subject: finding.subject,
            place,
            text: finding.meaning,
            do_first: finding.do_first,
        });
    }
    let count = reading.packages.len();
    for package in reading.packages {
        let mut pin = Pin::new(&package.name, package.place.clone());
        pin.version = package.version.as_ref().map(|version| version.text().to_owned());
        pin.source = package.source.clone();
        pin.files = package
            .hashes
            .iter()
            .map(|hash| PinnedFile { hashes: vec![hash.clone()], ..PinnedFile::default() })
            .collect();
        gaps.extend(pin.malicious(advisories));
        if pin.source == Source::Own {
            let do_first = "Install your own project by itself, with --no-deps, after this file.";
            gaps.push(pin.gap(
                Unpinned::NoFile,
                "it is your own project: pip takes no hash of it",
                do_first,
            ));
            continue;
        }
        if pin.version.is_none() && matches!(pin.source, Source::Registry { .. }) {
            let range = package.range.unwrap_or_else(|| "any version".to_owned());
            let text = format!("its version is not exact: {range}");
            let do_first = "Write ==, or make the file from a lock with `keymoat pin`.";
            gaps.push(pin.gap(Unpinned::Floating, text, do_first));
            continue;
        }
        let foreign =
            if pin.files.is_empty() { Vec::new() } else { artefacts::join(&mut pin, artefacts) };
        gaps.extend(foreign);
        gaps.extend(pin.keep_hashed(false));
    }
    gaps.sort_by(|a, b| (&a.place, a.why, &a.subject).cmp(&(&b.place, b.why, &b.subject)));
    gaps.dedup();
    Ok(Checked { count, gaps })
}
