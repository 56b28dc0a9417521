//! `keymoat incident`: from the command line to `incident` and back.

use crate::cli::Remote;
use crate::cli_incident::{Incident as Asked, Standing, Step, Where, Which};
use crate::keyring::{Key, Keyring};
use crate::{drill, guard_data, incident_gateway, say, survey};
use ::incident::usage::Span;
use ::incident::{self, Bound, Claim, Incident, Looked, plan, report};
use base::clock::rfc3339;
use base::{Clock as _, SystemClock};
use guard::Advisories;
use guard::judge::Terms;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HOUR_MS: i64 = 3_600_000;
/// Where incidents are kept, below keymoat's data directory.
const FOLDER: &str = "guard/incidents";

/// `keymoat incident …`
pub(crate) fn run(asked: Asked) -> ExitCode {
    let done = match (asked.step, asked.drill) {
        (Some(step), _) => run_step(step),
        (None, true) => drill::run(asked.output.as_deref()),
        (None, false) => Err("nothing to do\nhint: see keymoat incident --help".to_owned()),
    };
    match done {
        Ok(text) => {
            say::out(&text);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn run_step(step: Step) -> Result<String, String> {
    let folder = guard_data::data_dir()?.join(FOLDER);
    let now_ms = SystemClock::new().unix_ms();
    let now = rfc3339(now_ms);
    match step {
        Step::Open {
            advisory,
            package,
            versions,
            window_from,
            window_to,
            window_source,
            advisories,
        } => {
            for time in window_from.iter().chain(&window_to) {
                if guard::unix_ms(time).is_none() {
                    return Err(format!(
                        "--window-from, --window-to: `{time}` is no time\nhint: in UTC, as 2026-03-24T10:39:00Z"
                    ));
                }
            }
            let is_given = window_from.is_some() || window_to.is_some();
            let bound = Bound { from: window_from, to: window_to, source: window_source };
            let asked = incident::Asked {
                advisories: advisory,
                package: package.map(|name| (name, versions)),
                window: is_given.then_some(bound).into_iter().collect(),
                drill: false,
                now_ms,
            };
            let mut opened = incident::open(&asked, &known(&advisories)?)?;
            // Two incidents in one second are two.
            let id = opened.id.clone();
            let mut names = (2..).map(|number| format!("{id}-{number}"));
            while folder.join(format!("{}.json", opened.id)).exists() {
                opened.id = names.next().unwrap_or_default();
            }
            plan::update(&mut opened);
            let (all, _) = incident::list(&folder);
            let same = all.into_iter().find(|other| other.title == opened.title);
            let path = incident::save(&folder, &opened)?;
            let mut text = format!("{}\nKept in {}\n", status(&opened), path.display());
            if let Some(same) = same {
                text.extend([format!(
                    "There was an incident on the same before: {}. `--id {}` goes on with that one.\n",
                    same.id, same.id
                )]);
            }
            Ok(text)
        }
        Step::Scope { at, advisories, which } => change(&folder, &which, |incident| {
            let advisories = known(&advisories)?;
            let inventories = guard_data::data_dir()?.join(guard::recorded::FOLDER);
            let looked = looked(&at, now_ms);
            let parts = scope(incident, &looked, &inventories, &advisories);
            let places = parts.iter().flat_map(|part| &part.places);
            let found = places.filter(|place| place.host == looked.host_name).count();
            incident.found(parts);
            incident.happened(
                &now,
                format!(
                    "looked for the bad releases on {}: {}",
                    looked.host_name,
                    plural(found, "place")
                ),
                "us",
            );
            Ok(listed_scope(incident) + &status(incident))
        }),
        Step::Exposure { at, which } => change(&folder, &which, |incident| {
            let gateway = gateway_keys(&at)?;
            let looked = looked(&at, now_ms);
            incident.readable(incident::exposure(&looked, survey::variables(), gateway));
            let what = format!("listed the secrets that were readable on {}", looked.host_name);
            incident.happened(&now, what, "us");
            Ok(listed_exposure(incident) + &status(incident))
        }),
        Step::Use { before, data, which } => change(&folder, &which, |incident| {
            let (window, before) = spans(incident, now_ms, before);
            let data_dir = data.map_or_else(guard_data::data_dir, Ok)?;
            let mut usage =
                incident_gateway::usage(&data_dir, window, before, &incident.facts.indicators)?;
            usage.at.clone_from(&now);
            incident.usage = Some(usage);
            incident.happened(&now, "looked through the gateway's records", "us");
            Ok(status(incident))
        }),
        Step::Contain { all, key, lift, remote, which } => {
            let mut left = None;
            let text = change(&folder, &which, |incident| {
                let (text, problem) = contain(incident, all, &key, lift, &remote, &now)?;
                left = problem;
                Ok(text)
            })?;
            // What was frozen before the problem is kept, so that it can be lifted.
            left.map_or(Ok(text), Err)
        }
        Step::Rotate { done, which } => change(&folder, &which, |incident| {
            plan::update(incident);
            for number in done {
                plan::done(incident, number, &now)?;
            }
            // The list is here: what comes next is to work through it.
            let command = match plan::next(incident) {
                Some(step) if step.part != plan::Part::Tell => {
                    format!("keymoat incident rotate --done {}", step.number)
                }
                _ => next(incident),
            };
            Ok(plan::shown(incident).trim_start().to_owned() + "\n" + &next_line(&command))
        }),
        Step::Claim { standing, why, which } => change(&folder, &which, |incident| {
            let standing = match standing {
                Standing::Suspected => incident::Standing::Suspected,
                Standing::Confirmed => incident::Standing::Confirmed,
                Standing::Cleared => incident::Standing::Cleared,
            };
            if standing == incident::Standing::Cleared && incident.scope.is_none() {
                return Err("nobody has looked yet, so nothing can be cleared\nhint: `keymoat incident scope` first".to_owned());
            }
            let word = format!("{standing:?}").to_lowercase();
            incident.happened(&now, format!("claimed: {word}"), "us");
            incident.claims.push(Claim { at: now.clone(), standing, why });
            Ok(status(incident))
        }),
        Step::Report { json, output, which } => {
            let incident = find(&folder, &which)?;
            let text = if json { report::json(&incident) } else { report::markdown(&incident) };
            match output {
                None => Ok(text),
                Some(path) => {
                    say::file(&path, &text).map_err(|e| format!("{}: {e}", path.display()))?;
                    let next = next_line("keymoat incident status");
                    Ok(format!("{} holds the report.\n{next}", path.display()))
                }
            }
        }
        Step::Status { which } => find(&folder, &which).map(|incident| status(&incident)),
        Step::List => {
            let (all, problems) = incident::list(&folder);
            for problem in problems {
                say::err(&format!("warning: {problem}"));
            }
            let mut rows = vec![["ID", "OPENED", "CLAIM", "ABOUT"].map(str::to_owned).to_vec()];
            rows.extend(all.into_iter().map(|incident| {
                let claim = format!("{:?}", incident.standing()).to_lowercase();
                vec![incident.id, incident.opened_at, claim, incident.title]
            }));
            Ok(say::table(&rows))
        }
    }
}

fn find(folder: &Path, which: &Which) -> Result<Incident, String> {
    match &which.id {
        Some(id) => incident::load(folder, id),
        None => incident::latest(folder),
    }
}

/// Changes an incident, and keeps it.
fn change(
    folder: &Path,
    which: &Which,
    change: impl FnOnce(&mut Incident) -> Result<String, String>,
) -> Result<String, String> {
    let mut incident = find(folder, which)?;
    let text = change(&mut incident)?;
    plan::update(&mut incident);
    incident::save(folder, &incident)?;
    Ok(text)
}

fn known(paths: &[PathBuf]) -> Result<Advisories, String> {
    let mut advisories = guard_data::advisories()?;
    for path in paths {
        advisories.add(guard::advisories::read(path).map_err(|error| error.to_string())?);
    }
    Ok(advisories)
}

/// Where to look, and as of when.
pub(crate) fn terms(now_ms: i64) -> Terms {
    Terms { now_ms, advisory_age_max_ms: i64::MAX, recent_since_ms: now_ms }
}

fn looked(at: &Where, now_ms: i64) -> Looked {
    let host_name = match (&at.host_name, &at.root) {
        (Some(name), _) => name.clone(),
        (None, Some(root)) => root.display().to_string(),
        (None, None) => guard_data::host(),
    };
    let paths = match &at.root {
        Some(root) if at.paths == [Path::new(".")] => vec![root.clone()],
        _ => at.paths.clone(),
    };
    Looked { host: survey::machine(at.root.as_deref()), host_name, paths, terms: terms(now_ms) }
}

/// Where the bad releases were.
pub(crate) fn scope(
    incident: &Incident,
    looked: &Looked,
    inventories: &Path,
    advisories: &Advisories,
) -> Vec<incident::Scope> {
    let listing = guard::recorded::list(inventories);
    let listing = listing.as_ref().map_err(String::as_str);
    incident::scope(incident, looked, listing, advisories)
}

/// The window to look at, up to now, since what was stolen is used later; and
/// the time before it.
pub(crate) fn spans(incident: &Incident, now_ms: i64, before_hours: u32) -> (Span, Span) {
    let from = incident.widest().0.and_then(|from| guard::unix_ms(&from));
    let opened = guard::unix_ms(&incident.opened_at).unwrap_or(now_ms);
    // Where no source gives a beginning: three days, as releases are young.
    let from_ms = from.unwrap_or(opened - 72 * HOUR_MS);
    let window = Span { from_ms, to_ms: now_ms + 1 };
    (window, Span { from_ms: from_ms - i64::from(before_hours) * HOUR_MS, to_ms: from_ms })
}

/// What of the gateway's own keys was readable, why or why not; and whether.
fn gateway_keys(at: &Where) -> Result<(String, bool), String> {
    if at.root.is_some() {
        let text = "not known for a disk from elsewhere. Where a gateway keeps its data on it, count the providers' keys of its configuration as read.";
        return Ok((text.to_owned(), false));
    }
    let data_dir = guard_data::data_dir()?;
    let shown = data_dir.display();
    let is_here = data_dir.join("keymoat.db").exists() || data_dir.join("master_key").exists();
    let text = if is_here {
        format!(
            "readable. A gateway keeps its data here ({shown}) under the same user: what ran here could read its master key and whatever its configuration and environment name. Virtual keys are stored as hashes and could not be read from there. Count each provider's key of this gateway as read."
        )
    } else {
        format!(
            "none. No gateway keeps its data here under this user ({shown} holds none), so the keys that a gateway elsewhere holds for applications were not on this machine. What applications hold, virtual keys among them, is in the list above."
        )
    };
    Ok((text, is_here))
}

fn contain(
    incident: &mut Incident,
    all: bool,
    keys: &[String],
    lift: bool,
    remote: &Remote,
    now: &str,
) -> Result<(String, Option<String>), String> {
    let keyring = Keyring::open(remote)?;
    if lift {
        let Some(containment) = incident.containment.as_mut().filter(|c| c.lifted_at.is_none())
        else {
            return Err("this incident has frozen nothing that could be let in again".to_owned());
        };
        let lifted = incident_gateway::lift(containment, &keyring)?;
        let many = plural(lifted, "virtual key");
        incident.happened(now, format!("let {many} in again"), "us");
        let open = plan::open_before_reopening(incident);
        if remote.json {
            let told = json!({ "let_in": lifted, "through": keyring.place(), "open_steps": open });
            return Ok((format!("{told}\n"), None));
        }
        let mut text = format!("{many} let in again, through {}.\n", keyring.place());
        if !open.is_empty() {
            text.push_str("Steps that come before this are still open: `keymoat incident rotate` has them. `keymoat incident contain --all` freezes again.\n");
        }
        return Ok((text, None));
    }
    let named = |key: &Key, name: &String| {
        key.alias == *name || name.len() >= 8 && key.hash.starts_with(name.as_str())
    };
    let known = keyring.all()?;
    if let Some(name) = keys.iter().find(|name| !known.iter().any(|key| named(key, name))) {
        return Err(format!(
            "no virtual key has the alias or hash `{name}`; nothing was frozen\nhint: `keymoat keys list` has them"
        ));
    }
    let is_meant = |key: &Key| all || keys.iter().any(|name| named(key, name));
    if let Some(decoy) = known.iter().find(|key| !all && key.is_canary && is_meant(key)) {
        return Err(format!(
            "`{}` is a decoy, and is refused as it is; nothing was frozen",
            decoy.alias
        ));
    }
    let frozen = incident_gateway::freeze(incident, &keyring, &is_meant)?;
    let (new, held) = (frozen.new, frozen.containment.keys.len());
    let took_ms = frozen.took_ms;
    if new > 0 || incident.containment.is_none() {
        incident.containment = Some(frozen.containment);
        let what = format!("froze {}", plural(new, "virtual key"));
        incident.happened(now, what, "us");
    }
    let place = keyring.place();
    if remote.json {
        let told = json!({ "frozen": new, "held": held, "took_ms": took_ms, "through": place });
        return Ok((format!("{told}\n"), frozen.problem));
    }
    let blocked = known.iter().filter(|key| key.blocked && !key.is_canary && is_meant(key)).count();
    let mut text =
        format!("{} frozen now, in {took_ms} ms, through {place}.", plural(new, "virtual key"));
    if blocked > 0 {
        text.extend([format!(" {} refused before already.", plural(blocked, "virtual key"))]);
    }
    text.extend([format!(
        " By this incident: {held}; `keymoat incident contain --lift` lets these in again.\n{}",
        next_line(&next(incident))
    )]);
    Ok((text, frozen.problem))
}

pub(crate) fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// What the scope holds, a line each.
fn listed_scope(incident: &Incident) -> String {
    let Some(scope) = &incident.scope else { return String::new() };
    let mut text = String::new();
    for place in &scope.places {
        text.extend([format!(
            "{}  {} ({}) on {}\n",
            place.release, place.file, place.standing, place.host
        )]);
    }
    text.extend(scope.traces.iter().map(|trace| format!("trace  {trace}\n")));
    text.extend(scope.odd.iter().map(|odd| format!("look at  {odd}\n")));
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The secrets that were readable, a line each, with where they are.
fn listed_exposure(incident: &Incident) -> String {
    let secrets = incident.exposure.iter().flat_map(|exposure| &exposure.secrets);
    let mut text = String::new();
    for secret in secrets {
        text.extend([&*secret.what, "  ", &secret.places.join(", "), "\n"]);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Returns true if a gateway keeps its data here.
fn has_gateway() -> bool {
    guard_data::data_dir().is_ok_and(|folder| folder.join("keymoat.db").exists())
}

/// The command that comes next: one that can be given as it stands.
fn next(incident: &Incident) -> String {
    let own = |words: String| format!("keymoat incident {words}");
    let scope = incident.scope.as_ref();
    let open = plan::next(incident);
    // Without a gateway there is nothing to freeze and nothing to look through.
    if incident.containment.is_none() && has_gateway() {
        own("contain --all".to_owned())
    } else if scope.is_none() {
        own("scope".to_owned())
    } else if incident.exposure.is_none() {
        own("exposure".to_owned())
    } else if incident.usage.is_none() && has_gateway() {
        own("use".to_owned())
    } else if open.is_some_and(|step| step.part != plan::Part::Tell) {
        own("rotate".to_owned())
    } else if incident.claims.len() < 2 {
        let found = scope.is_some_and(|scope| {
            !scope.traces.is_empty()
                || scope.places.iter().any(|place| place.standing == "installed")
        });
        let claim = if found { "confirmed" } else { "cleared" };
        own(format!("claim {claim} --why 'what the report says'"))
    } else {
        own("report".to_owned())
    }
}

/// The line with the command that comes next.
fn next_line(command: &str) -> String {
    format!("Next: `{command}`\n")
}

/// How far an incident is, and what comes next.
fn status(incident: &Incident) -> String {
    let open = incident.steps.iter().filter(|step| step.done_at.is_none()).count();
    let looked = |is: bool, yes: String| if is { yes } else { "not looked at yet".to_owned() };
    let count = |n: usize, what: &str| plural(n, what);
    let scope = incident.scope.as_ref();
    let exposure = incident.exposure.as_ref();
    let usage = incident.usage.as_ref();
    let rows = [
        ("incident", incident.id.clone()),
        ("about", incident.title.clone()),
        ("claim", format!("{:?}", incident.standing()).to_lowercase()),
        ("bad", incident.facts.bad.clone()),
        (
            "safe",
            if incident.facts.safe.is_empty() {
                "not known here".into()
            } else {
                incident.facts.safe.clone()
            },
        ),
        (
            "scope",
            looked(
                scope.is_some(),
                count(scope.map_or(0, |s| s.places.len()), "place")
                    + ", "
                    + &count(scope.map_or(0, |s| s.traces.len()), "known trace")
                    + &format!(", {} to look at", scope.map_or(0, |s| s.odd.len())),
            ),
        ),
        (
            "exposure",
            looked(exposure.is_some(), count(exposure.map_or(0, |e| e.secrets.len()), "secret")),
        ),
        (
            "use",
            looked(
                usage.is_some(),
                count(usage.map_or(0, |u| u.keys.len()), "key")
                    + " used, "
                    + &format!("{} to look at", usage.map_or(0, |u| u.anomalies.len())),
            ),
        ),
        (
            "frozen",
            match &incident.containment {
                Some(c) if c.lifted_at.is_none() => count(c.keys.len(), "virtual key"),
                Some(_) => "lifted".to_owned(),
                None if has_gateway() => "nothing".to_owned(),
                None => "nothing: no gateway keeps its data here (`keymoat incident contain --url` asks one elsewhere)".to_owned(),
            },
        ),
        ("to do", format!("{}: `keymoat incident rotate`", plural(open, "step"))),
    ];
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    say::table(&rows) + "\n" + &next_line(&next(incident))
}
