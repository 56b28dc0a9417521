//! The machine, judged: known traces first, then what starts by itself and
//! stands out, then who talks to whom.

use super::indicators::{Indicator, Indicators, Trace};
use super::persistence::{self, Entry, Starter};
use super::sockets::{self, Doing, Socket};
use super::{Host, command};
use crate::advisory::Advisories;
use crate::audit::{About, Report};
use crate::files;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::installed;
use crate::inventory::Place;
use crate::judge::{self, Terms, bad_files};
use crate::machine::process::{self, Process};
use crate::manifest::Reading;
use crate::secrets;
use crate::tree::{self, Found};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The largest trace that is hashed, in bytes.
const TRACE_MAX_BYTES: u64 = 64 << 20;
/// Of a command that is shown, in characters.
const SHOWN_MAX_CHARS: usize = 160;
/// Folders for files that are soon gone.
const TEMPORARY: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// Folders below which Python environments lie, beside the homes.
const PYTHONS: [&str; 4] = ["/usr/lib", "/usr/local", "/opt", "/srv"];

/// Which machine, and on what terms.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The machine.
    pub host: Host,
    /// Projects to look at, beside those in the homes.
    pub paths: Vec<PathBuf>,
    /// What is believed, and until when.
    pub terms: Terms,
}

/// Looks the machine over. Reads files; runs nothing, connects to nothing.
pub fn audit(ask: &Ask, advisories: &Advisories) -> Report {
    let indicators = Indicators::of(advisories);
    let (mut reading, mut files) = (Reading::default(), Vec::new());
    traces(&ask.host, &indicators, &mut reading);
    starts(ask, &indicators, &mut reading, &mut files);
    processes(&ask.host, &indicators, &mut reading, &mut files);
    pythons(ask, advisories, &mut reading, &mut files);
    Report::without_packages(About::Host, ask.terms.now_ms, reading, files).asking(advisories)
}

/// Files and units that attacks are known to leave.
fn traces(host: &Host, indicators: &Indicators, reading: &mut Reading) {
    let mut seen: Vec<(PathBuf, &Indicator)> = Vec::new();
    let mut look = |path: PathBuf, indicator| {
        if fs::symlink_metadata(&path).is_ok() {
            seen.push((path, indicator));
        }
    };
    for indicator in indicators.each(Trace::File) {
        look(host.path(&indicator.value), indicator);
    }
    for indicator in indicators.each(Trace::Name) {
        for folder in TEMPORARY {
            look(host.path(folder).join(&indicator.value), indicator);
        }
    }
    for indicator in indicators.each(Trace::Unit) {
        for folder in ["/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/system"] {
            look(host.path(folder).join(&indicator.value), indicator);
        }
    }
    for home in host.homes() {
        for indicator in indicators.each(Trace::Home) {
            look(home.join(&indicator.value), indicator);
        }
        for indicator in indicators.each(Trace::Name) {
            look(home.join(&indicator.value), indicator);
        }
        for indicator in indicators.each(Trace::UserUnit) {
            for folder in [".config/systemd/user", ".local/share/systemd/user"] {
                look(home.join(folder).join(&indicator.value), indicator);
            }
        }
    }
    for (path, indicator) in seen {
        let mut text = "is there".to_owned();
        if let Ok(bytes) = files::bytes(&path, TRACE_MAX_BYTES) {
            let known = bad_files::known_bad(&installed::sha256_of(&bytes)).is_some();
            text = match (known, bytes.len()) {
                (true, _) => "is there, and its SHA-256 is the known one".to_owned(),
                (false, 0) => {
                    "is there, empty: whoever made it may have been interrupted".to_owned()
                }
                (false, _) => "is there; its SHA-256 is not one that is known".to_owned(),
            };
        }
        let shown = path.display().to_string();
        let evidence = Evidence { place: Some(Place::whole(path)), text };
        reading.findings.push(known_trace(indicator, &shown, vec![evidence]));
    }
}

/// The finding on a known trace.
fn known_trace(indicator: &Indicator, subject: &str, evidence: Vec<Evidence>) -> Finding {
    let advisory = &indicator.advisory;
    Finding {
        rule: crate::rule::Rule::Trace,
        severity: Severity::Critical,
        kind: Kind::Indicator,
        subject: subject.to_owned(),
        evidence,
        meaning: format!(
            "This is {}. Take it that what ran here read every secret that it could reach.",
            indicator.what
        ),
        do_first: format!(
            "Cut the machine off the network, and keep its disk as it is. Replace no secret from here: do it from a clean machine, once what starts by itself here is stopped. `keymoat incident open --advisory {advisory}` guides through it."
        ),
        advisories: vec![advisory.clone()],
    }
}

/// What starts by itself.
fn starts(ask: &Ask, indicators: &Indicators, reading: &mut Reading, files: &mut Vec<PathBuf>) {
    let found = persistence::find(&ask.host, &ask.paths);
    let mut quiet: BTreeMap<Starter, Vec<Evidence>> = BTreeMap::new();
    for entry in &found.entries {
        let place = Place::whole(&entry.path).at(entry.line);
        let evidence = Evidence { place: Some(place), text: shown(&entry.command) };
        if let Some(indicator) = indicators.named_in(&entry.command) {
            let subject = entry.path.display().to_string();
            reading.findings.push(known_trace(indicator, &subject, vec![evidence]));
            continue;
        }
        match command::judge(&entry.command, entry.starter.starts_one()) {
            (Severity::Info, _) => {
                // Lines of profiles and hooks are many, and the files are one.
                let lines = quiet.entry(entry.starter).or_default();
                let evidence = match entry.starter {
                    Starter::Shell => continue,
                    Starter::Git => Evidence {
                        place: Some(Place::whole(&entry.path)),
                        text: "runs by itself".to_owned(),
                    },
                    _ => evidence,
                };
                if !lines.contains(&evidence) {
                    lines.push(evidence);
                }
            }
            (severity, seen) => reading.findings.push(stands_out(entry, severity, &seen, evidence)),
        }
    }
    for (starter, evidence) in quiet.into_iter().filter(|(_, evidence)| !evidence.is_empty()) {
        reading.findings.push(Finding {
            rule: crate::rule::Rule::StartsItself,
            severity: Severity::Info,
            kind: Kind::Persistence,
            subject: format!("{}: {}", starter.plural(), evidence.len()),
            evidence,
            meaning: "These start by themselves. None of them stands out.".into(),
            do_first: "If something is wrong on this machine, find the one that nobody knows."
                .into(),
            advisories: Vec::new(),
        });
    }
    reading.gaps.extend(found.unreadable.into_iter().map(|(path, why)| unreadable(&path, why)));
    files.extend(found.files);
}

fn stands_out(entry: &Entry, severity: Severity, seen: &[&str], evidence: Evidence) -> Finding {
    let traits = Evidence { place: None, text: seen.join(", ") };
    Finding {
rule: crate::rule::Rule::StartsItself,
        severity,
        kind: Kind::Persistence,
        subject: entry.path.display().to_string(),
        evidence: vec![evidence, traits],
        meaning: "It starts by itself, and does what those do who want to stay on a machine or come back to it.".into(),
        do_first: "Find out who put it there and when. If nobody knows: cut the machine off the network, keep a copy of the file, then take it out of use. Replace no secret before that, and then from a clean machine.".into(),
        advisories: Vec::new(),
    }
}

/// Running processes and their sockets.
fn processes(
    host: &Host,
    indicators: &Indicators,
    reading: &mut Reading,
    files: &mut Vec<PathBuf>,
) {
    if !host.is_machine() {
        let text = "it is no machine's disk: none of /etc, /usr, /home is below it".to_owned();
        reading.gaps.push(unreadable(&host.root, text));
    }
    if host.is_disk() {
        return;
    }
    let processes = match process::of_user(host) {
        Ok(processes) => processes,
        Err(why) => {
            let text = format!("running processes: {why}");
            reading.gaps.push(unreadable(&host.path("/proc"), text));
            return;
        }
    };
    for process in processes.iter().filter(|process| !process.is_own) {
        let Ok(Some(text)) = process.text("cmdline") else { continue };
        let line = text.replace('\0', " ");
        if let Some(indicator) = indicators.named_in(&line) {
            let evidence =
                Evidence { place: Some(Place::whole(process.path("cmdline"))), text: shown(&line) };
            let subject = format!("process {} ({})", process.pid, process.name);
            reading.findings.push(known_trace(indicator, &subject, vec![evidence]));
        }
    }
    match sockets::all(host) {
        Ok(all) => talk(&all, &processes, indicators, reading),
        Err(why) => reading.gaps.push(unreadable(&host.path("/proc/net/tcp"), why)),
    }
    files.push(host.path("/proc"));
}

fn talk(all: &[Socket], processes: &[Process], indicators: &Indicators, reading: &mut Reading) {
    let holders = sockets::holders(all, processes);
    let (mut listens, mut talks) = (Vec::new(), Vec::new());
    for (at, socket) in all.iter().enumerate() {
        let holder = holders.get(&at);
        let who = match holder {
            Some(process) => format!("{} ({})", process.name, process.pid),
            None => "a process that is not yours, or in none".to_owned(),
        };
        let text = match socket.doing {
            Doing::Listens => format!("{who} listens on {}", socket.local),
            Doing::Talks => format!("{who} is connected to {}", socket.remote),
        };
        let evidence = Evidence { place: None, text };
        if let Some(indicator) = indicators.at_address(&socket.remote.ip().to_string()) {
            reading.findings.push(known_trace(indicator, &who, vec![evidence]));
            continue;
        }
        let program = holder.and_then(|process| fs::read_link(process.path("exe")).ok());
        if let Some(program) = program.filter(|program| is_loose(program)) {
            reading.findings.push(loose(&who, &program, evidence));
            continue;
        }
        let beyond = |ip: std::net::IpAddr| !ip.is_loopback();
        match socket.doing {
            Doing::Listens if beyond(socket.local.ip()) => listens.push(evidence),
            Doing::Talks if beyond(socket.remote.ip()) => talks.push(evidence),
            Doing::Listens | Doing::Talks => {}
        }
    }
    for (mut evidence, what) in [
        (listens, "sockets listen beyond this machine"),
        (talks, "connections lead out of this machine"),
    ] {
        evidence.dedup();
        if evidence.is_empty() {
            continue;
        }
        reading.findings.push(Finding {
            rule: crate::rule::Rule::Connection,
            severity: Severity::Info,
            kind: Kind::Connection,
            subject: format!("{what}: {}", evidence.len()),
            evidence,
            meaning:
                "None of them is with an address that is known as bad. Names were not looked up."
                    .into(),
            do_first: "If something is wrong on this machine, find the one that nobody knows."
                .into(),
            advisories: Vec::new(),
        });
    }
}

/// Returns true if a running program lies among temporary files, or did until it was
/// removed.
fn is_loose(program: &Path) -> bool {
    TEMPORARY.iter().any(|folder| program.starts_with(folder))
}

fn loose(who: &str, program: &Path, evidence: Evidence) -> Finding {
    Finding {
rule: crate::rule::Rule::LooseProgram,
        severity: Severity::High,
        kind: Kind::Connection,
        subject: who.to_owned(),
        evidence: vec![evidence, Evidence { place: None, text: format!("its program is {}", program.display()) }],
        meaning: "A program that lies among temporary files has the network open. Installed software does not live there; what an attacker has fetched does.".into(),
        do_first: "Find out who started it. If nobody knows: cut the machine off the network, and keep a copy of the program before you stop it.".into(),
        advisories: Vec::new(),
    }
}

/// Start-up code and malicious releases in every Python environment.
fn pythons(ask: &Ask, advisories: &Advisories, reading: &mut Reading, files: &mut Vec<PathBuf>) {
    let mut found = Found::default();
    let tops = ask.host.homes().iter().cloned().chain(PYTHONS.map(|top| ask.host.path(top)));
    for top in tops.chain(ask.paths.iter().cloned()).filter(|top| top.is_dir()) {
        tree::find(&top, &mut found);
    }
    found.site_dirs.sort();
    found.site_dirs.dedup();
    let mut packages = Vec::new();
    for site in found.site_dirs {
        let inside = installed::start_up(&site);
        reading.findings.extend(inside.findings);
        reading.gaps.extend(inside.gaps);
        packages.extend(inside.packages);
        files.push(site);
    }
    let (known, _) = judge::packages(&packages, advisories, &ask.terms);
    reading.findings.extend(known.into_iter().filter(|finding| finding.kind == Kind::Malicious));
}

fn shown(command: &str) -> String {
    let masked = secrets::masked(command.trim());
    let mut text: String = masked.chars().take(SHOWN_MAX_CHARS).collect();
    if masked.chars().count() > SHOWN_MAX_CHARS {
        text.push_str(" …");
    }
    text
}

fn unreadable(path: &Path, why: String) -> Gap {
    Gap {
        why: Why::Unreadable,
        subject: path.display().to_string(),
        place: None,
        text: why,
        do_first: "Make it readable, or look as a user who may read it.".into(),
    }
}
