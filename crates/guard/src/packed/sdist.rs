//! A source archive: its name and version. Building it runs its code, which
//! is why it is said.

use super::{Content, cached, files, odd, sha256_of};
use crate::archive::{self, Broken, Limits};
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::installed::packed;
use crate::inventory::{Ecosystem, Hash, Package, Place, Standing};
use crate::manifest::Reading;

/// The largest PKG-INFO that is read, in bytes.
const METADATA_MAX_BYTES: u64 = 8 << 20;

/// What the source archive that is `content` holds; nothing if it is another
/// kind of tar.
pub(super) fn read(content: &Content<'_>) -> Result<Option<Reading>, Broken> {
    let path = content.path;
    let mut described: Option<Vec<u8>> = None;
    let mut builds: Vec<(String, Vec<u8>)> = Vec::new();
    let told = files(content, &Limits::ARTEFACT, &mut |name, content| {
        let Some((_, inside)) = name.split_once('/') else { return Ok(()) };
        match inside {
            "PKG-INFO" => described = Some(archive::bytes(content, METADATA_MAX_BYTES)?),
            "setup.py" => {
                let bytes = archive::bytes(content, METADATA_MAX_BYTES)?;
                builds.push((name.to_owned(), bytes));
            }
            _ => {}
        }
        Ok(())
    })?;
    let Some(bytes) = described else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let Some((name, version)) = crate::installed::described(&text) else {
        return Err(Broken::Malformed("its PKG-INFO names no distribution and version".into()));
    };
    let mut reading = Reading::default();
    let place = Place::whole(path);
    let mut package = Package::new(Ecosystem::PyPi, name, Standing::Held, place.clone());
    package = package.at_version(version);
    let sha256 =
        sha256_of(content).map_err(|error| Broken::Unreadable(crate::tree::reason(&error)))?;
    package.hashes.extend(Hash::read(&format!("sha256:{sha256}")));
    let text = match builds.first() {
        Some((setup, _)) => format!("{setup} runs when it is built"),
        None => "its build backend runs when it is built".to_owned(),
    };
    reading.findings.push(Finding {
        severity: Severity::Low,
        kind: Kind::Origin,
        subject: package.shown(),
        evidence: vec![Evidence { place: Some(place), text }],
        meaning: "A source archive is built where it is installed: code in it, and in what it needs to build, runs before anybody has imported it.".into(),
        do_first: "Install from wheels (--only-binary :all:), or build it where there is nothing to steal.".into(),
        advisories: Vec::new(),
    });
    for (setup, bytes) in &builds {
        packed::source(&package.shown(), &path.join(setup), bytes, &mut reading);
    }
    reading.copies.extend(cached::archive(path, &package));
    reading.packages.push(package);
    odd(path, &told, &mut reading);
    Ok(Some(reading))
}
