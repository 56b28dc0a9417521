//! Where a bad release was, and which secrets were readable there.

use crate::facts::{Exposed, Exposure, Incident, Place, Scope, Suspect};
use base::clock::rfc3339;
use guard::advisory::Advisories;
use guard::finding::{Kind, Severity};
use guard::host::{self, Host};
use guard::inventory::{Ecosystem, Standing};
use guard::judge::Terms;
use guard::python::Specifiers;
use guard::recorded::{self, Listing};
use guard::secrets::{self, Variables};
use guard::version::Version;
use guard::{Ask, Report};
use std::path::PathBuf;

/// In place of a machine's name: the inventories are of many.
const RECORDED: &str = "recorded inventories";

/// Where to look.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The machine.
    pub host: Host,
    /// Its name, for people.
    pub host_name: String,
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// On what terms.
    pub terms: Terms,
}

/// Looks for the bad releases on disk and for the traces that attacks leave, and
/// in recorded inventories: a part for each.
pub fn scope(
    incident: &Incident,
    looked: &Looked,
    recorded: Result<&Listing, &str>,
    advisories: &Advisories,
) -> Vec<Scope> {
    let at = rfc3339(looked.terms.now_ms);
    let mut scope = Scope { of: looked.host_name.clone(), at: at.clone(), ..Scope::default() };
    let paths = looked.paths.iter().cloned().chain(looked.host.homes().iter().cloned()).collect();
    let report = guard::audit(&Ask { paths, terms: looked.terms }, advisories);
    scope.looked.push(format!(
        "{}: {} packages in {} lock files, requirement files and environments, below {}",
        looked.host_name,
        report.packages,
        report.files.len(),
        shown(&looked.paths, &looked.host)
    ));
    on_disk(incident, &looked.host_name, &report, advisories, &mut scope);
    for gap in report.gaps.iter().filter(|gap| is_blind(gap.why)) {
        scope.unknown.push(format!("on {}: {}: {}", looked.host_name, gap.subject, gap.text));
    }
    let mut past = Scope { of: RECORDED.to_owned(), at, ..Scope::default() };
    match recorded {
        Ok(listing) => in_the_past(incident, listing, advisories, &mut past),
        Err(why) => past.unknown.push(format!("recorded inventories: {why}")),
    }
    let ask =
        host::Ask { host: looked.host.clone(), paths: looked.paths.clone(), terms: looked.terms };
    let traces = host::audit(&ask, advisories);
    scope.looked.push(format!("{}: units, cron, hooks, processes and sockets", looked.host_name));
    let telling = traces
        .findings
        .iter()
        .filter(|finding| finding.severity >= Severity::Medium && finding.kind != Kind::Malicious);
    for finding in telling {
        let seen = finding.evidence.first().map(|evidence| match &evidence.place {
            Some(place) if !evidence.text.is_empty() => format!(": {place} {}", evidence.text),
            Some(place) => format!(": {place}"),
            None => format!(": {}", evidence.text),
        });
        let text =
            format!("on {}: {}{}", looked.host_name, finding.subject, seen.unwrap_or_default());
        let list = if finding.kind == Kind::Indicator { &mut scope.traces } else { &mut scope.odd };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    scope.unknown.extend(
        traces
            .gaps
            .iter()
            .map(|gap| format!("on {}: {}: {}", looked.host_name, gap.subject, gap.text)),
    );
    scope.unknown.push("other machines, CI runners, images and mirrors: nobody has looked there until `keymoat incident scope` ran there, or their disks were given with --root".to_owned());
    scope.places.dedup();
    vec![scope, past]
}

/// Returns true if a gap hides packages; one that says "no advisory" hides none here.
fn is_blind(why: guard::finding::Why) -> bool {
    use guard::finding::Why;
    matches!(why, Why::Unreadable | Why::Malformed | Why::Floating)
}

fn shown(paths: &[PathBuf], host: &Host) -> String {
    let all = paths.iter().chain(host.homes());
    all.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn on_disk(
    incident: &Incident,
    host: &str,
    report: &Report,
    advisories: &Advisories,
    scope: &mut Scope,
) {
    for package in &report.inventory {
        let Some(version) = &package.version else { continue };
        let is_bad = incident.suspects.iter().any(|suspect| {
            suspect.name == package.name
                && suspect.ecosystem == package.ecosystem.osv()
                && suspect.is_bad(package.ecosystem, version, advisories)
        });
        if is_bad {
            let standing = match package.standing {
                Standing::Installed => "installed",
                Standing::Locked => "locked",
                Standing::Asked => "asked",
                Standing::Held => "held",
            };
            scope.places.push(Place {
                host: host.to_owned(),
                file: package.place.to_string(),
                release: package.shown(),
                standing: standing.to_owned(),
                through: package.introduced_by.clone(),
                from: package
                    .since_ms
                    .filter(|_| package.standing == Standing::Installed)
                    .map(rfc3339),
                to: None,
                source: format!("the disk, {}", scope.at),
            });
        }
    }
}

fn in_the_past(incident: &Incident, listing: &Listing, advisories: &Advisories, scope: &mut Scope) {
    scope.looked.push(match listing.inventories.len() {
        0 => "no recorded inventory: of the past only what is left on disk is known".to_owned(),
        n => format!("{n} recorded inventories"),
    });
    let mut inventories = Vec::new();
    for (path, _) in &listing.inventories {
        match recorded::load(path) {
            Ok(inventory) => inventories.push(inventory),
            Err(why) => scope.unknown.push(format!("{}: {why}", path.display())),
        }
    }
    let bad = listing.bad.iter().map(|(path, why)| format!("{}: {why}", path.display()));
    scope.unknown.extend(bad);
    for suspect in &incident.suspects {
        let Some(ecosystem) = Ecosystem::from_osv(&suspect.ecosystem) else { continue };
        let is_bad = |version: &Version| suspect.is_bad(ecosystem, version, advisories);
        for seen in recorded::sightings(&inventories, ecosystem, &suspect.name, &is_bad) {
            scope.places.push(Place {
                host: seen.host.clone(),
                file: seen.file.display().to_string(),
                release: format!("{} {}", suspect.name, seen.version),
                standing: seen.standing.clone(),
                through: seen.introduced_by.clone(),
                from: Some(seen.from_ms()).filter(|ms| *ms > i64::MIN).map(rfc3339),
                to: Some(seen.to_ms()).filter(|ms| *ms < i64::MAX).map(rfc3339),
                source: format!(
                    "inventories of {} to {}",
                    rfc3339(seen.first_ms),
                    rfc3339(seen.last_ms)
                ),
            });
        }
    }
}

impl Suspect {
    /// Returns true if this version of the package is meant: by a listed version, by a
    /// range, or by an advisory.
    fn is_bad(&self, ecosystem: Ecosystem, version: &Version, advisories: &Advisories) -> bool {
        let listed = self.versions.iter().any(|text| {
            let is_range = text.starts_with(['<', '>', '=', '~', '!']);
            if is_range && ecosystem == Ecosystem::PyPi {
                return Specifiers::read(text).is_ok_and(|range| range.admit(version));
            }
            !is_range && version.is(&Version::read(ecosystem, text))
        });
        listed
            || !self.advisories.is_empty()
                && advisories
                    .hits(ecosystem, &self.name, version)
                    .iter()
                    .any(|hit| hit.ids.iter().any(|id| self.advisories.contains(id)))
    }
}

/// Which secrets were readable. `gateway`: what of a gateway's own keys was, and
/// whether any.
pub fn exposure(looked: &Looked, variables: Variables, gateway: (String, bool)) -> Exposure {
    let ask = secrets::Ask {
        paths: looked.paths.clone(),
        host: looked.host.clone(),
        variables,
        now_ms: looked.terms.now_ms,
    };
    let report = secrets::survey(&ask);
    let secrets = report.findings.iter().map(|finding| Exposed {
        what: finding.subject.clone(),
        places: finding
            .evidence
            .iter()
            .map(|evidence| match &evidence.place {
                Some(place) => format!("{place} {}", evidence.text),
                None => evidence.text.clone(),
            })
            .collect(),
        replace: if finding.severity == Severity::Info {
            finding.meaning.clone()
        } else {
            finding.do_first.clone()
        },
        is_store: finding.severity == Severity::Info,
    });
    let unread = |gap: &guard::finding::Gap| {
        format!("on {}: {}: {}", looked.host_name, gap.subject, gap.text)
    };
    let mut unknown: Vec<String> = report.gaps.iter().map(unread).collect();
    unknown.push("what was readable then and is not there now; secrets in memory, in password stores, at metadata services of a cloud, in a cluster; made-up passwords".to_owned());
    let (gateway, gateway_is_readable) = gateway;
    Exposure {
        of: looked.host_name.clone(),
        at: report.at.clone(),
        looked: vec![format!(
            "{}: {} files and processes, below {}",
            looked.host_name,
            report.files.len(),
            shown(&looked.paths, &looked.host)
        )],
        secrets: secrets.collect(),
        gateway,
        gateway_is_readable,
        unknown,
    }
}
