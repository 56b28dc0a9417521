//! Everything at once: places and processes in, findings by key out.

use super::advice::{self, Exposure, Lying};
use super::fingerprint::fingerprint;
use super::places::{self, Habit, Spot};
use super::processes::{self, Held};
use super::scan::{Sighting, Variables, scan};
use crate::audit::{About, Report};
use crate::files;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::Place;
use crate::machine::{Host, process};
use crate::manifest::Reading;
use base::Redactor;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The largest file that is searched, in bytes.
const FILE_MAX_BYTES: u64 = 32 << 20;
/// Processes that one key names; the rest are counted.
const PROCESSES_MAX: usize = 6;

/// Where to look for keys.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Files and folders.
    pub paths: Vec<PathBuf>,
    /// Whose homes and processes.
    pub host: Host,
    /// Whose key each variable holds.
    pub variables: Variables,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
}

/// One key, wherever it was seen.
struct Key {
    sighting: Sighting,
    places: Vec<Evidence>,
    processes: Vec<(String, String)>,
    exposure: Exposure,
    owner: String,
}

/// Searches what `ask` names. Reads files; runs nothing, connects to nothing.
pub fn survey(ask: &Ask) -> Report {
    let mut found = places::Found::default();
    places::of_homes(&ask.host, &mut found);
    for path in &ask.paths {
        places::below(path, &mut found);
    }
    found.spots.sort();
    found.spots.dedup_by(|a, b| a.path == b.path);

    let mut keys: BTreeMap<String, Key> = BTreeMap::new();
    let (mut reading, mut files) = (Reading::default(), Vec::new());
    for spot in &found.spots {
        match file(spot, &ask.variables, &mut keys) {
            Ok(0) => reading.findings.extend(spot.opens.map(|opens| store(spot, opens))),
            Ok(_) => {}
            Err(why) => reading.gaps.push(unreadable(&spot.path, why)),
        }
        files.push(spot.path.clone());
    }
    let unreadable_places = found.unreadable.into_iter().map(|(path, why)| unreadable(&path, why));
    reading.gaps.extend(unreadable_places);
    if found.cut_short {
        let text = "there are more files, or deeper folders, than one search walks through";
        reading.gaps.push(unreadable(Path::new("the rest of the tree"), text.to_owned()));
    }

    let processes = processes::survey(&ask.host, &ask.variables);
    for held in processes.held {
        running(held, &mut keys);
    }
    files.extend(processes.processes.iter().map(|process| process.path("environ")));
    reading.gaps.extend(gaps(processes.unreadable, processes.unlisted, &ask.host));

    let redactor = Redactor::new(keys.values().map(|key| &key.sighting.value));
    for (fingerprint, key) in &mut keys {
        key.owner = redactor.clean(&key.owner).into_owned();
        key.places.extend(processes_of(&key.processes));
        reading.findings.push(advice::finding(Lying {
            sighting: &key.sighting,
            fingerprint,
            places: std::mem::take(&mut key.places),
            exposure: key.exposure,
            owner: &key.owner,
        }));
    }
    Report::without_packages(About::Secrets, ask.now_ms, reading, files).cleaned(&redactor)
}

/// Searches one file; how many keys it holds.
fn file(
    spot: &Spot,
    variables: &Variables,
    keys: &mut BTreeMap<String, Key>,
) -> Result<usize, String> {
    let bytes = files::bytes(&spot.path, FILE_MAX_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    let sightings = scan(&text, variables);
    let mode = fs::metadata(&spot.path).map_or(0, |about| about.permissions().mode());
    let exposure =
        Exposure { to_all_users: mode & 0o004 != 0, is_handed_on: spot.habit == Habit::Shared };
    let count = sightings.len();
    for sighting in sightings {
        let place = Place::whole(&spot.path).at(sighting.line);
        let mut text = match &sighting.variable {
            Some(variable) => format!("as {variable}"),
            None => "in plain text".to_owned(),
        };
        if exposure.to_all_users {
            text.push_str("; every user of this machine can read the file");
        }
        let key = entry(keys, sighting, || owner_of(&spot.path));
        key.exposure.to_all_users |= exposure.to_all_users;
        key.exposure.is_handed_on |= exposure.is_handed_on;
        let evidence = Evidence { place: Some(place), text };
        if !key.places.contains(&evidence) {
            key.places.push(evidence);
        }
    }
    Ok(count)
}

fn running(held: Held, keys: &mut BTreeMap<String, Key>) {
    let Held { process, on_command_line, sighting } = held;
    let place = match (&sighting.variable, on_command_line) {
        (_, true) => "on the command line, which every user of this machine can read".to_owned(),
        (Some(variable), false) => format!("as {variable} in the environment"),
        (None, false) => "in the environment".to_owned(),
    };
    let name = if process.is_own {
        "this command itself, from your shell".to_owned()
    } else {
        format!("{} ({})", process.name, process.pid)
    };
    let key = entry(keys, sighting, || process.name.clone());
    key.exposure.to_all_users |= on_command_line;
    if !key.processes.contains(&(place.clone(), name.clone())) {
        key.processes.push((place, name));
    }
}

fn entry(
    keys: &mut BTreeMap<String, Key>,
    sighting: Sighting,
    owner: impl FnOnce() -> String,
) -> &mut Key {
    keys.entry(fingerprint(&sighting.value)).or_insert_with(|| Key {
        sighting,
        places: Vec::new(),
        processes: Vec::new(),
        exposure: Exposure::default(),
        owner: owner(),
    })
}

/// The processes that hold one key, one line for each way of holding it.
fn processes_of(processes: &[(String, String)]) -> Vec<Evidence> {
    let mut by_place: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (place, name) in processes {
        by_place.entry(place).or_default().push(name);
    }
    let line = |(place, names): (&str, Vec<&str>)| {
        let shown = names.iter().take(PROCESSES_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = match names.len().saturating_sub(PROCESSES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Evidence { place: None, text: format!("{place} of {shown}{more}") }
    };
    by_place.into_iter().map(line).collect()
}

/// A store of credentials in which no key of a known shape was seen.
fn store(spot: &Spot, opens: &str) -> Finding {
    Finding {
rule: crate::rule::Rule::KeyStore,
        severity: Severity::Info,
        kind: Kind::Secret,
        subject: spot.path.display().to_string(),
        evidence: Vec::new(),
        meaning: format!("It opens {opens}. Everything that you run can read it."),
        do_first: "Nothing now. If something hostile ran as you, what it opens is on the list of what to replace.".into(),
        advisories: Vec::new(),
    }
}

/// What a file belongs to: the folder that holds it.
fn owner_of(path: &Path) -> String {
    let folder = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    let name = folder.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
    name.unwrap_or_default().to_owned()
}

fn gaps(
    unreadable_processes: Vec<(process::Process, String)>,
    unlisted: Option<String>,
    host: &Host,
) -> Vec<Gap> {
    let unread = unreadable_processes.into_iter().map(|(process, why)| {
        let about = format!("the environment of {} ({})", process.name, process.pid);
        unreadable(Path::new(&about), why)
    });
    let unlisted =
        unlisted.map(|why| unreadable(&host.path("/proc"), format!("running processes: {why}")));
    let text = "it is no machine's disk: none of /etc, /usr, /home is below it";
    let elsewhere = (!host.is_machine()).then(|| unreadable(&host.root, text.to_owned()));
    unread.chain(unlisted).chain(elsewhere).collect()
}

fn unreadable(path: &Path, why: String) -> Gap {
    Gap {
        why: Why::Unreadable,
        subject: path.display().to_string(),
        place: None,
        text: why,
        do_first: "Make it readable, or name another path.".into(),
    }
}
