//! Files known as malicious by what they hold, whatever they are called.

use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::{Hash, Package, Place, Standing};

const LIST: &str = include_str!("../../data/bad-files.txt");

/// The advisory on a file of this SHA-256 (64 lower-case hexadecimal digits),
/// and what the file is.
pub(crate) fn known_bad(sha256: &str) -> Option<(&'static str, &'static str)> {
    let line = LIST.lines().find(|line| !line.starts_with('#') && line.starts_with(sha256))?;
    let mut words = line.splitn(3, ' ');
    (words.next()? == sha256).then_some(())?;
    Some((words.next()?, words.next()?))
}

/// The finding that such a file is at `place`.
pub(crate) fn found(place: Place, id: &str, what: &str) -> Finding {
    Finding {
rule: crate::rule::Rule::MaliciousFile,
        severity: Severity::Critical,
        kind: Kind::Malicious,
        subject: what.to_owned(),
        evidence: vec![Evidence { place: Some(place), text: "has its SHA-256".to_owned() }],
        meaning: "This very file is known as malicious, whatever name and version stand beside it.".into(),
        do_first: "Start no Python here. Cut the machine off the network, keep its disk, and replace every secret that was readable here, from a clean machine.".into(),
        advisories: vec![id.to_owned()],
    }
}

/// Locks that name a malicious artefact by its hash.
pub(super) fn judge(packages: &[&Package], findings: &mut Vec<Finding>) {
    for package in packages {
        let sha256 = package.hashes.iter().filter(|hash: &&Hash| hash.algorithm == "sha256");
        for hash in sha256 {
            if let Some((id, what)) = known_bad(&hash.digest.to_ascii_lowercase()) {
                let mut found = found(package.place.clone(), id, what);
                if package.standing != Standing::Installed {
                    super::known::INSTALL_NOTHING.clone_into(&mut found.do_first);
                }
                findings.push(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_found_by_its_hash_and_no_prefix_is() {
        let lines: Vec<&str> = LIST.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 7);
        for line in lines {
            let hash = line.get(..64).unwrap();
            assert!(
                known_bad(hash)
                    .is_some_and(|(id, what)| id.starts_with("MAL-") && !what.is_empty())
            );
            assert!(hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase()));
        }
        assert!(known_bad("").is_none() && known_bad("8a2a").is_none());
    }
}
