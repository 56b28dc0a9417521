//! A source archive: its name and version, and what its code would do. Building
//! it runs some of that, which is why it is said.
//!
//! Which files its backend would install is not known without running it, so
//! all of them are judged, tests too.

use super::{Content, cached, files, odd, sha256_of};
use crate::archive::{Broken, Limits};
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::installed::packed::{self, Files, Of};
use crate::inventory::{Ecosystem, Hash, Package, Place, Standing};
use crate::manifest::Reading;

/// What the source archive that is `content` holds; nothing if it is another
/// kind of tar.
pub(super) fn read(content: &Content<'_>) -> Result<Option<Reading>, Broken> {
    let path = content.path;
    let mut held = Files::default();
    let mut top = String::new();
    let told = files(content, &Limits::ARTEFACT, &mut |name, content| {
        let Some((folder, inside)) = name.split_once('/') else { return Ok(()) };
        if top.is_empty() {
            folder.clone_into(&mut top);
        }
        if folder == top { held.take(inside, content, Of::Wheel) } else { Ok(()) }
    })?;
    let Some(text) = held.text("PKG-INFO") else { return Ok(None) };
    let Some((name, version)) = crate::installed::described(&text) else {
        return Err(Broken::Malformed("its PKG-INFO names no distribution and version".into()));
    };
    let mut reading = Reading::default();
    let place = Place::whole(path);
    let mut package = Package::new(Ecosystem::PyPi, name, Standing::Held, place.clone());
    package = package.at_version(version);
    let sha256 =
        sha256_of(content).map_err(|error| Broken::Unreadable(crate::files::reason(&error)))?;
    package.hashes.extend(Hash::read(&format!("sha256:{sha256}")));
    let text = if held.has("setup.py") {
        "its setup.py runs when it is built"
    } else {
        "its build backend runs when it is built"
    };
    reading.findings.push(Finding {
rule: crate::rule::Rule::Builds,
        severity: Severity::Low,
        kind: Kind::Origin,
        subject: package.shown(),
        evidence: vec![Evidence { place: Some(place), text: text.to_owned() }],
        meaning: "A source archive is built where it is installed: code in it, and in what it needs to build, runs before anybody has imported it.".into(),
        do_first: "Install from wheels (--only-binary :all:), or build it where there is nothing to steal.".into(),
        advisories: Vec::new(),
    });
    packed::source_archive(&path.join(&top), &held, &package.shown(), &mut reading);
    reading.copies.extend(cached::archive(path, &package));
    reading.packages.push(package);
    odd(path, &told, &mut reading);
    Ok(Some(reading))
}
