//! What advisories know against each version: malicious and vulnerable are two
//! findings, never one. Where they know too little, a gap.

use super::Terms;
use crate::advisory::{Advisories, Hit};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Package, Source, Standing};
use crate::version::Version;
use std::collections::BTreeMap;

/// Places of one package that are shown as evidence.
const PLACES_MAX: usize = 20;
/// Steps from what was asked for to what it brought in that are shown.
const PATH_MAX: usize = 8;

/// What to do first where a malicious release is asked for or locked.
pub(crate) const INSTALL_NOTHING: &str = "Install nothing from this file. Find every machine, image and cache that did; treat each as compromised. Then move to a safe release and audit again.";

type Key<'p> = (Ecosystem, &'p str, &'p str);

pub(super) fn judge(
    packages: &[&Package],
    advisories: &Advisories,
    terms: &Terms,
) -> (Vec<Finding>, Vec<Gap>) {
    let mut same: BTreeMap<Key<'_>, Vec<&Package>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.source != Source::Own) {
        if let Some(version) = &package.version {
            let key = (package.ecosystem, package.name.as_str(), version.text());
            same.entry(key).or_default().push(package);
        }
    }
    let (mut findings, mut gaps) = (Vec::new(), Vec::new());
    for ((ecosystem, name, _), here) in same {
        let Some((package, version)) = here.first().and_then(|p| Some((*p, p.version.as_ref()?)))
        else {
            continue;
        };
        let hits = advisories.hits(ecosystem, name, version);
        let (bad, holes): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(|hit| hit.malicious);
        if !bad.is_empty() {
            let installed = here.iter().any(|p| p.standing == Standing::Installed);
            let places = places(&here, packages);
            findings.push(malicious(package.shown(), installed, &bad, places));
        }
        if !holes.is_empty() {
            findings.push(vulnerable(package.shown(), &holes, places(&here, packages)));
        }
        gaps.extend(gap(package, version, advisories, terms));
    }
    (findings, gaps)
}

/// `finding`, made anew of some of the hits that it rests on.
pub(crate) fn of_hits(finding: &Finding, hits: &[Hit]) -> Finding {
    let places = finding.evidence.iter().filter(|evidence| evidence.place.is_some());
    let (subject, places) = (finding.subject.clone(), places.cloned().collect());
    match finding.kind {
        Kind::Malicious => Finding {
            meaning: finding.meaning.clone(),
            do_first: finding.do_first.clone(),
            ..malicious(subject, false, hits, places)
        },
        _ => vulnerable(subject, hits, places),
    }
}

/// The finding that a release was made to do harm.
pub(crate) fn malicious(
    subject: String,
    installed: bool,
    hits: &[Hit],
    mut evidence: Vec<Evidence>,
) -> Finding {
    for hit in hits {
        evidence.push(told(hit));
        if !hit.indicators.is_empty() {
            let text = format!("look for traffic to {}", defanged(&hit.indicators));
            evidence.push(Evidence { place: None, text });
        }
    }
    let meaning = if installed {
        "This release was made to do harm, and it is installed: whatever it does at import or at start, it may have done already. Every secret that was readable on this machine counts as stolen."
    } else {
        "This release was made to do harm. Whoever installed from this file while the release was to be had may have run it."
    };
    let do_first = if installed {
        "Start no Python here. Cut the machine off the network, keep its disk, look for what it left behind (services, cron, start-up files), and only then replace every secret, from a clean machine."
    } else {
        INSTALL_NOTHING
    };
    Finding {
        rule: crate::rule::Rule::MaliciousRelease,
        severity: Severity::Critical,
        kind: Kind::Malicious,
        subject,
        evidence,
        meaning: meaning.into(),
        do_first: do_first.into(),
        advisories: hits.iter().flat_map(|hit| hit.ids.clone()).collect(),
    }
}

/// The finding that a release has holes.
pub(crate) fn vulnerable(subject: String, hits: &[Hit], mut evidence: Vec<Evidence>) -> Finding {
    evidence.extend(hits.iter().map(told));
    let severity = hits.iter().map(|hit| hit.severity.unwrap_or(Severity::Medium)).max();
    let fixed: Vec<Option<&Version>> = hits.iter().map(|hit| hit.fixed_in.as_ref()).collect();
    let open = fixed.iter().filter(|fix| fix.is_none()).count();
    let latest = fixed.into_iter().flatten().reduce(|a, b| match a.against(b) {
        Some(std::cmp::Ordering::Less) => b,
        _ => a,
    });
    let do_first = match (latest, open) {
        (Some(version), 0) => {
            format!(
                "Update to {} or later; no release before it is free of all of these.",
                version.text()
            )
        }
        (Some(version), _) => format!(
            "Update to {} or later, and read the advisories: not all of them name a release that is free of it.",
            version.text()
        ),
        (None, _) => "Read the advisory: it names no release that is free of it.".into(),
    };
    let count = match hits.len() {
        1 => "a known hole".to_owned(),
        many => format!("{many} known holes"),
    };
    Finding {
        rule: crate::rule::Rule::VulnerableRelease,
        // An advisory that does not say how bad it is may still be bad.
        severity: severity.unwrap_or(Severity::Medium).max(Severity::Low),
        kind: Kind::Vulnerable,
        subject,
        evidence,
        meaning: format!(
            "It has {count} that others can use: a defect, apart from whatever else is said of it."
        ),
        do_first,
        advisories: hits.iter().flat_map(|hit| hit.ids.clone()).collect(),
    }
}

fn told(hit: &Hit) -> Evidence {
    let ids = hit.ids.join(", ");
    let text = if hit.summary.is_empty() { ids } else { format!("{ids}: {}", hit.summary) };
    Evidence { place: None, text }
}

/// Names of hosts that no terminal turns into a link.
fn defanged(hosts: &[String]) -> String {
    hosts.iter().map(|host| host.replace('.', "[.]")).collect::<Vec<_>>().join(", ")
}

/// Where it stands, each with the path that brought it in.
fn places(here: &[&Package], all: &[&Package]) -> Vec<Evidence> {
    let shown = here.iter().take(PLACES_MAX).map(|package| {
        let path = path_to(package, all);
        let verb = match package.standing {
            Standing::Installed => "installed",
            Standing::Locked => "locked",
            Standing::Asked => "asked for",
            Standing::Held => "lies there",
        };
        let text = if path.len() > 1 {
            format!("{verb}: {}", path.join(" → "))
        } else {
            verb.to_owned()
        };
        Evidence { place: Some(package.place.clone()), text }
    });
    let mut shown: Vec<Evidence> = shown.collect();
    if here.len() > PLACES_MAX {
        let text = format!("and at {} more places", here.len() - PLACES_MAX);
        shown.push(Evidence { place: None, text });
    }
    shown
}

/// One shortest path in the same file from what was asked for to `package`.
fn path_to(package: &Package, all: &[&Package]) -> Vec<String> {
    let siblings: BTreeMap<&str, &&Package> = all
        .iter()
        .filter(|p| p.place.file == package.place.file && p.ecosystem == package.ecosystem)
        .map(|p| (p.name.as_str(), p))
        .collect();
    let mut paths = std::collections::VecDeque::from([vec![package.name.as_str()]]);
    let mut seen = std::collections::BTreeSet::from([package.name.as_str()]);
    while let Some(path) = paths.pop_front() {
        let parents = path.last().and_then(|name| siblings.get(name)).map(|p| &p.introduced_by);
        let parents = parents.map(Vec::as_slice).unwrap_or_default();
        if parents.is_empty() || path.len() >= PATH_MAX {
            return path.into_iter().rev().map(str::to_owned).collect();
        }
        for parent in parents {
            if seen.insert(parent) {
                let mut longer = path.clone();
                longer.push(parent);
                paths.push_back(longer);
            }
        }
    }
    vec![package.name.clone()]
}

/// What is not known about `package`, if anything.
pub(crate) fn gap(
    package: &Package,
    version: &Version,
    advisories: &Advisories,
    terms: &Terms,
) -> Option<Gap> {
    let gap = |why, text: String, do_first: &str| {
        Some(Gap {
            why,
            subject: package.shown(),
            place: Some(package.place.clone()),
            text,
            do_first: do_first.into(),
        })
    };
    if !version.is_ordered() {
        let text =
            "its version has no place in the order of versions, so no range says anything of it";
        return gap(
            Why::Unordered,
            text.into(),
            "Find out what it is, and pin a released version.",
        );
    }
    let export = "Fetch a full export of OSV records and take it in with `keymoat advisories update --from FILE`; `--advisories FILE` asks it for one audit.";
    match advisories.cover(package.ecosystem, &package.name) {
        None => gap(Why::NotCovered, "no set of advisories here is complete for it".into(), export),
        Some(cover) if terms.now_ms - cover.as_of_ms > terms.advisory_age_max_ms => {
            gap(Why::Stale, format!("the advisories on it are of {}", cover.day()), export)
        }
        Some(_) => None,
    }
}
