//! What is new since an earlier lock or inventory, where news is suspicious: a
//! dependency that came with a patch release, a publisher that changed or
//! vanished, another file under the same version.

use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::{Ecosystem, Package, Source};
use crate::version::Version;
use std::collections::{BTreeMap, BTreeSet};

type Key<'p> = (Ecosystem, &'p str);

/// What `after` has and `before` had not, and should not have come like this.
pub(crate) fn judge(before: &[Package], after: &[Package]) -> Vec<Finding> {
    let mut old: BTreeMap<Key<'_>, Vec<&Package>> = BTreeMap::new();
    for package in before {
        old.entry((package.ecosystem, &package.name)).or_default().push(package);
    }
    let mut findings = Vec::new();
    for package in after.iter().filter(|package| package.source != Source::Own) {
        match old.get(&(package.ecosystem, package.name.as_str())) {
            None => findings.extend(came_with_a_patch(package, after, &old)),
            Some(known) => {
                findings.extend(published_otherwise(package, known));
                findings.extend(another_file(package, known));
            }
        }
    }
    findings.dedup();
    findings
}

/// axios 1.14.1 brought a package that nobody had seen before.
fn came_with_a_patch(
    package: &Package,
    after: &[Package],
    old: &BTreeMap<Key<'_>, Vec<&Package>>,
) -> Option<Finding> {
    let parents = after.iter().filter(|parent| {
        parent.ecosystem == package.ecosystem && package.introduced_by.contains(&parent.name)
    });
    let patched: Vec<Evidence> = parents
        .filter_map(|parent| {
            let known = old.get(&(parent.ecosystem, parent.name.as_str()))?;
            let new = parent.version.as_ref()?;
            let before = known.iter().filter_map(|known| known.version.as_ref());
            let from = before.clone().find(|before| is_patch(before, new))?;
            // Where the same release was there before, it brought nothing new.
            let same = known.iter().filter_map(|k| k.version.as_ref()).any(|before| before.is(new));
            (!same).then(|| Evidence {
                place: Some(package.place.clone()),
                text: format!(
                    "needed by {} since {} became {}",
                    parent.name,
                    from.text(),
                    new.text()
                ),
            })
        })
        .collect();
    if patched.is_empty() {
        return None;
    }
    Some(Finding {
rule: crate::rule::Rule::NewDependency,
        severity: Severity::Medium,
        kind: Kind::Recent,
        subject: format!("{} (a new dependency in a patch release)", package.shown()),
        evidence: patched,
        meaning: "Patch releases mend; they rarely need a package that was not needed before. The attack on axios in March 2026 came in this way.".into(),
        do_first: "Read what the new package does before you install it, or stay on the release before.".into(),
        advisories: Vec::new(),
    })
}

/// Returns true if `new` differs from `old` in its last part only: 1.2.3 → 1.2.4.
fn is_patch(old: &Version, new: &Version) -> bool {
    let parts = |version: &Version| -> Option<[u64; 3]> {
        let mut numbers = version.text().split('.').map(|part| {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        });
        Some([numbers.next()??, numbers.next()??, numbers.next().flatten().unwrap_or(0)])
    };
    match (parts(old), parts(new)) {
        (Some([a, b, _]), Some([c, d, _])) => a == c && b == d && !new.is(old),
        _ => false,
    }
}

fn published_otherwise(package: &Package, known: &[&Package]) -> Option<Finding> {
    let before: BTreeSet<&String> = known.iter().flat_map(|known| &known.publishers).collect();
    let now: BTreeSet<&String> = package.publishers.iter().collect();
    if before.is_empty() || now.iter().any(|publisher| before.contains(publisher)) {
        return None;
    }
    let list =
        |all: &BTreeSet<&String>| all.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ");
    let (severity, text) = if now.is_empty() {
        (Severity::High, format!("was published by {}, and nobody attests it now", list(&before)))
    } else {
        (Severity::Medium, format!("was published by {}, and is by {}", list(&before), list(&now)))
    };
    Some(Finding {
rule: crate::rule::Rule::NewPublisher,
        severity,
        kind: Kind::Origin,
        subject: package.shown(),
        evidence: vec![Evidence { place: Some(package.place.clone()), text }],
        meaning: "Who published it was recorded, and is not the same any more. Stolen tokens publish without the attestation that a project's own pipeline gives.".into(),
        do_first: "Ask the project before you install it; stay on the release before until then.".into(),
        advisories: Vec::new(),
    })
}

/// The same version, and not one artefact in common.
fn another_file(package: &Package, known: &[&Package]) -> Option<Finding> {
    let version = package.version.as_ref()?;
    let same = known.iter().filter(|k| k.version.as_ref().is_some_and(|v| v.is(version)));
    let sha256 = |package: &Package| -> BTreeSet<String> {
        let strong = package.hashes.iter().filter(|hash| hash.algorithm == "sha256");
        strong.map(|hash| hash.digest.to_ascii_lowercase()).collect()
    };
    let before: BTreeSet<String> = same.flat_map(|known| sha256(known)).collect();
    let now = sha256(package);
    if before.is_empty() || now.is_empty() || !now.is_disjoint(&before) {
        return None;
    }
    Some(Finding {
rule: crate::rule::Rule::OtherFiles,
        severity: Severity::High,
        kind: Kind::Integrity,
        subject: package.shown(),
        evidence: vec![Evidence {
            place: Some(package.place.clone()),
            text: "has the version that was there before, and none of its hashes".into(),
        }],
        meaning: "Under one and the same version there are other files now: a mirror, an index or the lock itself was changed. Public indexes do not allow that.".into(),
        do_first: "Install from the earlier lock. Find out where the new hashes come from.".into(),
        advisories: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Hash, Place, Standing};

    fn package(name: &str, version: &str, needed_by: &[&str]) -> Package {
        let place = Place::whole("lock");
        let mut package = Package::new(Ecosystem::Npm, name, Standing::Locked, place);
        package.introduced_by = needed_by.iter().map(|n| (*n).to_owned()).collect();
        package.at_version(version)
    }

    fn told(before: &[Package], after: &[Package]) -> Vec<(Severity, String)> {
        judge(before, after).into_iter().map(|f| (f.severity, f.subject)).collect()
    }

    #[test]
    fn a_dependency_that_comes_with_a_patch_release_is_told() {
        let before = [package("axios", "1.14.0", &[])];
        let child = |version: &str| {
            [package("axios", version, &[]), package("plain-crypto-js", "4.2.1", &["axios"])]
        };
        let found = told(&before, &child("1.14.1"));
        assert_eq!(
            found,
            [(
                Severity::Medium,
                "plain-crypto-js 4.2.1 (a new dependency in a patch release)".into()
            )]
        );
        assert!(told(&before, &child("1.15.0")).is_empty());
        assert!(told(&before, &child("1.14.0")).is_empty());
        assert!(told(&child("1.14.0"), &child("1.14.1")).is_empty());
    }

    #[test]
    fn a_publisher_that_changed_or_vanished_is_told() {
        let by = |publishers: &[&str]| {
            let mut package = package("thing", "1.0.0", &[]);
            package.publishers = publishers.iter().map(|p| (*p).to_owned()).collect();
            [package]
        };
        assert_eq!(told(&by(&["a"]), &by(&[]))[0].0, Severity::High);
        assert_eq!(told(&by(&["a"]), &by(&["b"]))[0].0, Severity::Medium);
        assert!(
            told(&by(&["a"]), &by(&["b", "a"])).is_empty()
                && told(&by(&[]), &by(&["b"])).is_empty()
        );
    }

    #[test]
    fn another_file_under_the_same_version_is_told() {
        let with = |version: &str, digests: &[&str]| {
            let mut package = package("thing", version, &[]);
            package.hashes =
                digests.iter().filter_map(|d| Hash::read(&format!("sha256:{d}"))).collect();
            [package]
        };
        assert_eq!(told(&with("1.0.0", &["aa"]), &with("1.0.0", &["bb"]))[0].0, Severity::High);
        assert!(told(&with("1.0.0", &["aa"]), &with("1.0.0", &["bb", "AA"])).is_empty());
        assert!(told(&with("1.0.0", &["aa"]), &with("1.0.1", &["bb"])).is_empty());
    }
}
