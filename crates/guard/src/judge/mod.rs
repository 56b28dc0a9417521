//! From what is there to what it means. Pure: no files, no clock.

mod against_lock;
pub(crate) mod bad_files;
pub(crate) mod conduct;
pub(crate) mod copies;
pub(crate) mod known;
pub(crate) mod loaded;
mod names;
pub(crate) mod news;
mod part;
mod pins;
mod recent;

use crate::advisory::Advisories;
use crate::finding::{Finding, Gap};
use crate::inventory::{Package, Standing};
use std::collections::HashSet;
use std::path::Path;

/// What is believed, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// Advisories older than this are stale, in milliseconds.
    pub advisory_age_max_ms: i64,
    /// What came after this is recent, in milliseconds since 1970.
    pub recent_since_ms: i64,
}

/// What is known against `packages`, how firmly they are fixed, and how old
/// they are. A range is fixed by a lock in the same folder that has its name.
pub fn packages(
    packages: &[Package],
    advisories: &Advisories,
    terms: &Terms,
) -> (Vec<Finding>, Vec<Gap>) {
    let key = |package: &'_ Package| {
        (package.place.file.parent().map(Path::to_owned), package.ecosystem, package.name.clone())
    };
    let locked: HashSet<_> =
        packages.iter().filter(|p| p.standing == Standing::Locked).map(key).collect();
    let fixed_elsewhere =
        |package: &Package| package.version.is_none() && locked.contains(&key(package));
    let judged: Vec<&Package> = packages
        .iter()
        .filter(|package| package.standing != Standing::Asked || !fixed_elsewhere(package))
        .collect();
    let (mut findings, mut gaps) = known::judge(&judged, advisories, terms);
    pins::judge(&judged, advisories, &mut findings, &mut gaps);
    against_lock::judge(&judged, &mut findings);
    bad_files::judge(&judged, &mut findings);
    names::judge(&judged, &mut findings);
    recent::judge(&judged, terms, &mut findings);
    (findings, gaps)
}
