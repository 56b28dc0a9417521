//! A wheel as a file: its metadata, its RECORD, what it would run at start.

use super::{Content, cached, files, odd, sha256_of};
use crate::archive::{Broken, Limits};
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::installed::packed::{self, Files, Of};
use crate::inventory::{Hash, Place};
use crate::manifest::Reading;
use crate::name::pep503;
use crate::python::artefact;

/// What the wheel that is `content` holds; nothing if it is another kind of ZIP.
pub(super) fn read(content: &Content<'_>) -> Result<Option<Reading>, Broken> {
    let path = content.path;
    let mut held = Files::default();
    let told = files(content, &Limits::ARTEFACT, &mut |name, content| {
        held.take(name, content, Of::Wheel)
    })?;
    let mut reading = packed::read(path, &held, Of::Wheel);
    if reading.packages.is_empty() && reading.gaps.is_empty() {
        return Ok(None);
    }
    odd(path, &told, &mut reading);
    let sha256 =
        sha256_of(content).map_err(|error| Broken::Unreadable(crate::files::reason(&error)))?;
    for package in &mut reading.packages {
        package.hashes.extend(Hash::read(&format!("sha256:{sha256}")));
        package.place = Place::whole(path);
    }
    cached::placed(path, &sha256, &mut reading);
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let (Some((name, version)), Some(package)) =
        (artefact::name_and_version(file), reading.packages.first())
    {
        let inside = package.version.as_ref().map(|version| version.text().to_owned());
        let named = crate::version::Version::read(package.ecosystem, version);
        let same = pep503(name) == package.name
            && package.version.as_ref().is_some_and(|version| version.is(&named));
        if !same {
            reading.findings.push(Finding {
rule: crate::rule::Rule::NamedOtherwise,
                severity: Severity::High,
                kind: Kind::Integrity,
                subject: file.to_owned(),
                evidence: vec![Evidence {
                    place: Some(Place::whole(path)),
                    text: format!("holds {} {}", package.name, inside.unwrap_or_default()),
                }],
                meaning: "The file is named after one distribution and holds another: locks and people go by the name, installers by the content.".into(),
                do_first: "Do not install it. Compare it with the hash that the index gives.".into(),
                advisories: Vec::new(),
            });
        }
    }
    Ok(Some(reading))
}
