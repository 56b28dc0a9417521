//! Opening: what the advisories, and what we, know of a bad release.

use crate::facts::{Bound, Claim, Event, Facts, Incident, Standing, Suspect};
use crate::state::FORMAT;
use base::clock::rfc3339;
use guard::advisory::Advisories;
use guard::advisory::osv::Record;
use guard::host::hosts_of;
use guard::inventory::Ecosystem;
use guard::version::Version;
use serde::Deserialize;

/// What public reports say of attacks that we know well, by advisory.
const DOSSIERS: [(&str, &str); 1] =
    [("MAL-2026-2144", include_str!("../data/dossiers/MAL-2026-2144.json"))];

#[derive(Deserialize)]
struct Dossier {
    bad: String,
    safe: String,
    did: String,
    sources: Vec<String>,
    window: Vec<Bound>,
    timeline: Vec<Event>,
    elsewhere: Vec<String>,
}

/// What an incident is opened on.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Advisories.
    pub advisories: Vec<String>,
    /// A package of the Python index, and its bad versions.
    pub package: Option<(String, Vec<String>)>,
    /// Windows that were given.
    pub window: Vec<Bound>,
    /// True if it is only a drill.
    pub drill: bool,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// A new incident, suspected.
pub fn open(asked: &Asked, advisories: &Advisories) -> Result<Incident, String> {
    let now = rfc3339(asked.now_ms);
    let mut incident = Incident {
        format: FORMAT,
        opened_at: now.clone(),
        drill: asked.drill,
        window: asked.window.clone(),
        ..Incident::default()
    };
    for id in &asked.advisories {
        let records = advisories.with_id(id);
        if records.is_empty() {
            let name = guard::name::normal(Ecosystem::PyPi, id);
            let bad = advisories.malicious_admitted(Ecosystem::PyPi, &name, &|_| true);
            if let Some((_, of_name)) = bad.first() {
                return Err(format!(
                    "{id} is a package, and no advisory\nhint: --advisory {of_name} is about its bad releases"
                ));
            }
            return Err(format!(
                "no advisory at hand has the id {id}\nhint: give more with --advisories, or name the release with --package and --versions"
            ));
        }
        for record in &records {
            incident.suspects.extend(suspects(record));
            about(record, &mut incident);
        }
    }
    if let Some((name, versions)) = &asked.package {
        let name = guard::name::normal(Ecosystem::PyPi, name);
        for version in versions {
            if version.starts_with(['<', '>', '=', '~', '!']) {
                guard::python::Specifiers::read(version)
                    .map_err(|why| format!("--versions {version}: {why}"))?;
            } else if !Version::read(Ecosystem::PyPi, version).is_ordered() {
                return Err(format!(
                    "--versions {version}: it is no version, and no range\nhint: --versions 1.82.7 1.82.8, or --versions '>=2,<2.1'"
                ));
            }
        }
        // What is known of these very releases belongs to the incident.
        let wanted = |version: &Version| versions.iter().any(|text| text == version.text());
        let known = advisories.malicious_admitted(Ecosystem::PyPi, &name, &wanted);
        let mut ids: Vec<_> = known.iter().map(|(_, id)| id.clone()).collect();
        ids.sort();
        ids.dedup();
        for record in ids.iter().flat_map(|id| advisories.with_id(id)) {
            about(&record, &mut incident);
        }
        let ecosystem = Ecosystem::PyPi.osv().to_owned();
        let (versions, advisories) = (versions.clone(), Vec::new());
        incident.suspects.push(Suspect { ecosystem, name, versions, advisories });
    }
    // Several records tell of one package; the first one names it.
    let mut named: Vec<&Suspect> = Vec::new();
    for suspect in &incident.suspects {
        if !named.iter().any(|other| other.name == suspect.name) {
            named.push(suspect);
        }
    }
    let shown: Vec<String> = named.into_iter().map(Suspect::shown).collect();
    if shown.is_empty() {
        return Err("nothing is suspected\nhint: give --advisory ID, or --package and --versions"
            .to_owned());
    }
    incident.title = shown.join("; ");
    if incident.facts.bad.is_empty() {
        incident.facts.bad.clone_from(&incident.title);
    }
    let ms = |at: &Option<String>| at.as_deref().and_then(guard::time::unix_ms);
    for bound in &incident.window {
        if let (Some(from), Some(to)) = (ms(&bound.from), ms(&bound.to))
            && from > to
        {
            return Err("the window ends before it begins: --window-from, --window-to".to_owned());
        }
    }
    let name = incident.suspects.first().map(|s| s.name.clone()).unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
    let stamp: String = now.chars().filter(char::is_ascii_digit).take(14).collect();
    incident.id = format!("{stamp}-{name}");
    let why = "opened; nobody has looked yet".to_owned();
    incident.claims.push(Claim { at: now.clone(), standing: Standing::Suspected, why });
    let what = if asked.drill { "the drill begins" } else { "the incident is opened" };
    incident.happened(&now, what, "us");
    Ok(incident)
}

fn suspects(record: &Record) -> Vec<Suspect> {
    let one = |affected: &guard::advisory::osv::Affected| {
        let ecosystem = Ecosystem::from_osv(&affected.package.ecosystem)?;
        let mut versions = affected.versions.clone();
        for range in affected.ranges.iter().filter(|range| range.kind != "GIT") {
            let mut text = Vec::new();
            for event in &range.events {
                let parts =
                    [(">=", &event.introduced), ("<", &event.fixed), ("<=", &event.last_affected)];
                for (sign, version) in parts {
                    text.extend(version.iter().filter(|v| *v != "0").map(|v| format!("{sign}{v}")));
                }
            }
            if !text.is_empty() && versions.is_empty() {
                versions.push(text.join(","));
            }
        }
        Some(Suspect {
            ecosystem: ecosystem.osv().to_owned(),
            name: guard::name::normal(ecosystem, &affected.package.name),
            versions,
            advisories: vec![record.id.clone()],
        })
    };
    record.affected.iter().filter_map(one).collect()
}

fn about(record: &Record, incident: &mut Incident) {
    let ids = || std::iter::once(&record.id).chain(&record.aliases);
    let facts = &mut incident.facts;
    facts.sources.extend(ids().cloned());
    facts.indicators.extend(hosts_of(&|id| ids().any(|of| of == id)));
    if let Some(iocs) = &record.database_specific.iocs {
        facts.indicators.extend(iocs.domains.iter().chain(&iocs.ips).cloned());
    }
    let known = DOSSIERS.iter().find(|(id, _)| ids().any(|of| of == id));
    let known = known.and_then(|(_, text)| serde_json::from_str::<Dossier>(text).ok());
    if let Some(dossier) = known {
        let (indicators, mut sources) = (std::mem::take(&mut facts.indicators), dossier.sources);
        sources.append(&mut facts.sources);
        let Dossier { bad, safe, did, elsewhere, .. } = dossier;
        *facts = Facts { bad, safe, did, sources, elsewhere, indicators };
        for bound in dossier.window {
            if !incident.window.contains(&bound) {
                incident.window.push(bound);
            }
        }
        incident.timeline.extend(dossier.timeline);
    } else if facts.did.is_empty() {
        facts.did.clone_from(&record.summary);
    }
    facts.sources.sort();
    facts.sources.dedup();
    facts.indicators.sort();
    facts.indicators.dedup();
    incident.timeline.sort_by_key(|event| guard::time::unix_ms(&event.at));
    incident.timeline.dedup();
}

impl Suspect {
    /// `litellm 1.82.7, 1.82.8`
    pub fn shown(&self) -> String {
        let versions = match self.versions.as_slice() {
            [] => "(any version)".to_owned(),
            some => some.join(", "),
        };
        format!("{} {versions}", self.name)
    }
}
