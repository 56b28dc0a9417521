//! A report as a CycloneDX 1.6 bill of materials in JSON: the packages, who
//! needs whom, and what is known against them with the state of the analysis
//! (VEX).
//!
//! The same report gives the same bytes: the serial number is a digest of the
//! rest. What was not audited is told in properties, since a bill that is
//! silent about a package is read as "nothing known".

use super::place::purl;
use super::rules;
use super::sarif::{hits_of, severity_of};
use crate::advisory::Hit;
use crate::audit::{Ignored, IgnoredThing, Known, Report};
use crate::finding::{Finding, Kind, Severity};
use crate::installed::{hex, sha256_of};
use crate::inventory::{Hash, Package, Source};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The report in CycloneDX 1.6, on several lines.
pub fn cyclonedx(report: &Report) -> String {
    let mut by_purl: BTreeMap<String, Vec<&Package>> = BTreeMap::new();
    for package in report.inventory.iter().filter(|p| p.source != Source::Own) {
        by_purl.entry(purl(package)).or_default().push(package);
    }
    let components: Vec<Value> =
        by_purl.iter().map(|(purl, same)| component(report, purl, same)).collect();
    let mut bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": report.at,
            "lifecycles": [{ "phase": "operations" }],
            "tools": { "components": [{
                "type": "application",
                "name": "keymoat",
                "version": env!("CARGO_PKG_VERSION"),
            }]},
            "properties": about(report),
        },
        "components": components,
        "dependencies": dependencies(report, &by_purl),
        "vulnerabilities": vulnerabilities(report, &by_purl),
    });
    let serial = serial_number(&bill.to_string());
    if let Some(bill) = bill.as_object_mut() {
        bill.insert("serialNumber".into(), json!(serial));
    }
    serde_json::to_string_pretty(&bill).unwrap_or_default() + "\n"
}

/// A UUID (version 8: of our own making) from a digest of the bill.
fn serial_number(bill: &str) -> String {
    let hex = sha256_of(bill.as_bytes());
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let (time, clock) = (part(0, 8), part(17, 20));
    format!("urn:uuid:{time}-{}-8{}-a{clock}-{}", part(8, 12), part(13, 16), part(20, 32))
}

/// The answer, and what has no component to stand at.
fn about(report: &Report) -> Vec<Value> {
    let answer = serde_json::to_value(report.outcome).unwrap_or_default();
    let mut properties = vec![
        property("keymoat:outcome", answer.as_str().unwrap_or_default()),
        property("keymoat:exit-code", &report.outcome.exit_code().to_string()),
    ];
    for set in &report.advisories {
        let claims = set.coverage.iter().map(|claim| {
            let names = claim.packages.map_or("all".into(), |n| n.to_string());
            format!("complete for {names} of {} as of {}", claim.ecosystem, claim.as_of)
        });
        let claims: Vec<String> = claims.collect();
        let text = format!("{}: {} records; {}", set.title, set.records, claims.join("; "));
        properties.push(property("keymoat:advisories", &text));
    }
    let shown: BTreeSet<String> = report.inventory.iter().map(Package::shown).collect();
    for gap in report.gaps.iter().filter(|gap| !shown.contains(&gap.subject)) {
        let text = format!("{}: {}: {}", rules::of_gap(gap.why).reason(), gap.subject, gap.text);
        properties.push(property("keymoat:not-audited", &text));
    }
    for finding in &report.findings {
        if matches!(finding.kind, Kind::Malicious | Kind::Vulnerable) {
            continue;
        }
        let place = finding.evidence.iter().find_map(|e| e.place.as_ref());
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        let text = format!(
            "{}: {}: {}{place}",
            rules::word(finding.severity),
            rules::of_kind(finding.kind).id,
            super::table::title(finding)
        );
        properties.push(property("keymoat:finding", &text));
    }
    properties
}

fn component(report: &Report, purl: &str, same: &[&Package]) -> Value {
    let Some(first) = same.first() else { return Value::Null };
    let occurrences: Vec<Value> = same
        .iter()
        .map(|package| match package.place.line {
            0 => json!({ "location": package.place.file.display().to_string() }),
            line => {
                json!({ "location": package.place.file.display().to_string(), "line": line })
            }
        })
        .collect();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": first.name,
        "purl": purl,
        "evidence": { "occurrences": occurrences },
    });
    let Some(fields) = component.as_object_mut() else { return component };
    if let Some(version) = &first.version {
        fields.insert("version".into(), json!(version.text()));
    }
    let mut properties = Vec::new();
    let shown = first.shown();
    for gap in report.gaps.iter().filter(|gap| gap.subject == shown) {
        let text = format!("{}: {}", rules::of_gap(gap.why).reason(), gap.text);
        let property = property("keymoat:not-audited", &text);
        if !properties.contains(&property) {
            properties.push(property);
        }
    }
    let mut hashes: Vec<Hash> = Vec::new();
    for hash in same.iter().flat_map(|package| &package.hashes) {
        if !hashes.contains(hash) {
            hashes.push(hash.clone());
        }
    }
    // A release has many artefacts; a component's own digest is that of one.
    match hashes.as_slice() {
        [] => {}
        [one] if named(one).is_some() => {
            fields.insert("hashes".into(), json!([named(one)]));
        }
        many => properties.extend(many.iter().map(|hash| {
            property("keymoat:artefact-hash", &format!("{}:{}", hash.algorithm, hash.digest))
        })),
    }
    if let Some(range) = first.range.as_ref().filter(|_| first.version.is_none()) {
        properties.push(property("keymoat:range", range));
    }
    if !properties.is_empty() {
        fields.insert("properties".into(), json!(properties));
    }
    component
}

/// A digest under the format's own name for it, in hexadecimal digits.
fn named(hash: &Hash) -> Option<Value> {
    let (name, bytes) = match hash.algorithm.as_str() {
        "md5" => ("MD5", 16),
        "sha1" => ("SHA-1", 20),
        "sha256" => ("SHA-256", 32),
        "sha384" => ("SHA-384", 48),
        "sha512" => ("SHA-512", 64),
        _ => return None,
    };
    let is_hex =
        hash.digest.len() == bytes * 2 && hash.digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let content = if is_hex {
        hash.digest.clone()
    } else {
        let raw = STANDARD.decode(&hash.digest).ok().filter(|raw| raw.len() == bytes)?;
        hex(&raw)
    };
    Some(json!({ "alg": name, "content": content }))
}

fn dependencies(report: &Report, by_purl: &BTreeMap<String, Vec<&Package>>) -> Vec<Value> {
    let mut in_file: BTreeMap<(&Path, &str), Vec<String>> = BTreeMap::new();
    for package in report.inventory.iter().filter(|p| p.source != Source::Own) {
        let key = (crate::graph::file_of(package), package.name.as_str());
        in_file.entry(key).or_default().push(purl(package));
    }
    let mut edges: BTreeMap<&str, BTreeSet<String>> =
        by_purl.keys().map(|purl| (purl.as_str(), BTreeSet::new())).collect();
    for package in report.inventory.iter().filter(|p| p.source != Source::Own) {
        let needed = purl(package);
        for parent in &package.introduced_by {
            let parents = in_file.get(&(crate::graph::file_of(package), parent.as_str()));
            for parent in parents.into_iter().flatten().filter(|parent| **parent != needed) {
                if let Some(needs) = edges.get_mut(parent.as_str()) {
                    needs.insert(needed.clone());
                }
            }
        }
    }
    edges
        .into_iter()
        .map(|(purl, needs)| {
            if needs.is_empty() {
                json!({ "ref": purl })
            } else {
                json!({ "ref": purl, "dependsOn": needs })
            }
        })
        .collect()
}

fn vulnerabilities(report: &Report, by_purl: &BTreeMap<String, Vec<&Package>>) -> Vec<Value> {
    let mut all = Vec::new();
    let open = report.findings.iter().map(|finding| (finding, None));
    let left = report.ignored.iter().filter_map(|ignored| match &ignored.what {
        IgnoredThing::Finding(finding) => Some((finding, Some(ignored))),
        IgnoredThing::Gap(_) => None,
    });
    for (finding, ignored) in open.chain(left) {
        for (known, hit) in hits_of(&report.known, finding) {
            let refs = by_purl.iter().filter(|(_, same)| {
                same.first().is_some_and(|package| {
                    package.ecosystem == known.ecosystem && package.shown() == known.subject
                })
            });
            for (purl, _) in refs {
                all.push(vulnerability(purl, finding, known, hit, ignored));
            }
        }
    }
    all
}

fn vulnerability(
    purl: &str,
    finding: &Finding,
    known: &Known,
    hit: &Hit,
    ignored: Option<&Ignored>,
) -> Value {
    let id = hit.ids.first().map(String::as_str).unwrap_or_default();
    let source = json!({ "name": "OSV", "url": format!("https://osv.dev/vulnerability/{id}") });
    let others: Vec<Value> =
        hit.ids.iter().skip(1).map(|id| json!({ "id": id, "source": { "name": "OSV" } })).collect();
    let severity = match severity_of(hit) {
        _ if hit.severity.is_none() && !hit.malicious => "unknown",
        severity @ (Severity::Critical | Severity::High | Severity::Medium | Severity::Low) => {
            rules::word(severity)
        }
        Severity::Info => "info",
    };
    let recommendation = match &hit.fixed_in {
        Some(version) => format!("Update to {} or later.", version.text()),
        None => finding.do_first.clone(),
    };
    let mut vulnerability = json!({
        "bom-ref": format!("{id}/{purl}"),
        "id": id,
        "source": source,
        "ratings": [{ "severity": severity, "method": "other" }],
        "recommendation": recommendation,
        "affects": [{
            "ref": purl,
            "versions": [{ "version": known.version.text(), "status": "affected" }],
        }],
        "analysis": analysis(hit, ignored),
    });
    if let Some(fields) = vulnerability.as_object_mut() {
        if !others.is_empty() {
            fields.insert("references".into(), json!(others));
        }
        if !hit.summary.is_empty() {
            fields.insert("description".into(), json!(hit.summary));
        }
        if hit.malicious {
            // CWE-506: embedded malicious code.
            fields.insert("cwes".into(), json!([506]));
        }
    }
    vulnerability
}

fn analysis(hit: &Hit, ignored: Option<&Ignored>) -> Value {
    match ignored {
        Some(ignored) => {
            let detail = format!("{} (until {})", ignored.reason, ignored.expires);
            match &ignored.justification {
                Some(why) => {
                    json!({ "state": "not_affected", "justification": why, "detail": detail })
                }
                None => {
                    json!({ "state": "exploitable", "response": ["will_not_fix"], "detail": detail })
                }
            }
        }
        None if hit.malicious => json!({
            "state": "exploitable",
            "detail": "The release was made to do harm: being there is being exploited.",
        }),
        None => json!({ "state": "in_triage" }),
    }
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}
