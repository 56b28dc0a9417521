//! What there is to do, and in which order: isolate, remove what starts by
//! itself, replace from a clean machine, verify, open again, tell.
//!
//! The order is kept: some malware wipes the machine when the first token is
//! replaced from it, and what still runs steals the new secrets too.

pub use crate::facts::Part;
use crate::facts::{Incident, Step};
use std::fmt::Write as _;

/// The step that a freeze ticks.
const FREEZE: &str = "Freeze the virtual keys: `keymoat incident contain --all`, or --key for some; with --url where the gateway runs elsewhere. Without a gateway, tick this box";

/// Where a gateway's data were readable: what opens the gateway.
const MASTER_KEY: &str = "Give the gateway a new master key: change LITELLM_MASTER_KEY where it is set, or remove the file `master_key` from its data directory, and start it again";
/// And what the gateway holds.
const PROVIDER_KEYS: &str = "End every provider's key that the gateway's configuration and environment name, at its provider, and give the gateway new ones";

/// What stands between a step and where it applies.
const LIES: &str = " It is in ";
/// Places that a step names; the rest are counted.
const PLACES_MAX: usize = 6;

/// Where a key is, behind what to do about it.
fn places(places: &[String]) -> String {
    if places.is_empty() {
        return String::new();
    }
    let shown: Vec<&str> = places.iter().take(PLACES_MAX).map(String::as_str).collect();
    let more = places.len().saturating_sub(PLACES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{LIES}{}{more}.", shown.join(", "))
}

/// Credentials of providers that the gateway used, by its records.
fn credentials(incident: &Incident) -> Vec<String> {
    let keys = incident.usage.iter().flat_map(|usage| &usage.keys);
    let mut all: Vec<String> = keys.flat_map(|key| key.credentials.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

/// What must be done before the virtual keys are let in again, and is not.
pub fn open_before_reopening(incident: &Incident) -> Vec<u32> {
    let open = incident.steps.iter().filter(|s| s.part < Part::Reopen && s.done_at.is_none());
    open.map(|step| step.number).collect()
}

/// The first step that is open and need not wait for another.
pub fn next(incident: &Incident) -> Option<&Step> {
    incident
        .steps
        .iter()
        .find(|step| step.done_at.is_none() && waits_for(incident, step).is_empty())
}

/// Adds what there is to do by what is known now. What is there already stays,
/// with its number and whether it is done.
pub fn update(incident: &mut Incident) {
    let mut wanted: Vec<(Part, String)> = Vec::new();
    let mut hosts: Vec<String> = Vec::new();
    if let Some(scope) = &incident.scope {
        hosts = scope
            .places
            .iter()
            .filter(|p| p.standing == "installed")
            .map(|p| p.host.clone())
            .collect();
        hosts.sort();
        hosts.dedup();
        for trace in &scope.traces {
            wanted.push((
                Part::Clean,
                format!("Keep a copy of it, then take it out of use: {trace}"),
            ));
        }
        for odd in &scope.odd {
            wanted.push((
                Part::Clean,
                format!("Find out what it is. If nobody knows, keep a copy and take it out of use: {odd}"),
            ));
        }
        for place in &scope.places {
            let how = match place.standing.as_str() {
                "installed" => {
                    "Keep a copy, then remove the environment or cache, and make it anew from a clean lock"
                }
                _ => "Change it to a safe release",
            };
            wanted.push((
                Part::Clean,
                format!("{how}: {} in {} on {}", place.release, place.file, place.host),
            ));
        }
    }
    for host in &hosts {
        wanted.push((
            Part::Isolate,
            format!("Cut {host} off the network. Keep its disk and, if you can, its memory"),
        ));
    }
    wanted.push((Part::Isolate, FREEZE.into()));
    wanted.push((
        Part::Clean,
        "Look for what starts by itself on every machine of the scope: `keymoat audit --host`"
            .into(),
    ));
    if let Some(exposure) = &incident.exposure {
        for secret in &exposure.secrets {
            let text = if secret.is_store {
                format!("Replace what {} holds. {}", secret.what, secret.replace)
            } else {
                format!("Replace {}. {}{}", secret.what, secret.replace, places(&secret.places))
            };
            wanted.push((Part::Rotate, text));
            if !secret.is_store {
                let what = secret.what.trim_start_matches("an ").trim_start_matches("a ");
                wanted.push((Part::Verify, format!("The old {what} is refused: one call with it from a clean machine must answer 401 or 403")));
            }
        }
    }
    if incident.exposure.as_ref().is_some_and(|exposure| exposure.gateway_is_readable) {
        wanted.push((Part::Rotate, MASTER_KEY.into()));
        wanted.push((Part::Rotate, PROVIDER_KEYS.into()));
        for credential in credentials(incident) {
            wanted.push((
                Part::Verify,
                format!("The gateway's old credential `{credential}` is refused by its provider, and the gateway works with the new one"),
            ));
        }
    }
    wanted.push((Part::Verify, "No call with an old key in the gateway's records or at the providers after it was replaced: `keymoat incident use`, and each provider's own usage page".into()));
    wanted.push((
        Part::Reopen,
        "Let the virtual keys in again that are not replaced: `keymoat incident contain --lift`"
            .into(),
    ));
    wanted.push((
        Part::Tell,
        "Decide what is claimed: `keymoat incident claim confirmed|cleared --why TEXT`".into(),
    ));
    wanted.push((
        Part::Tell,
        "Publish: `keymoat incident report`; tell those whose secrets or data were within reach"
            .into(),
    ));
    for (part, text) in wanted {
        // Where a key lies is told behind it, and may change.
        let head = |text: &str| text.split(LIES).next().unwrap_or_default().to_owned();
        let known =
            incident.steps.iter_mut().find(|s| s.part == part && head(&s.text) == head(&text));
        if let Some(step) = known {
            step.text = text;
            continue;
        }
        // Numbers rise through the parts, and a step keeps its own.
        let first = part as u32 * 100;
        let of_part = incident.steps.iter().filter(|step| step.part == part);
        let number = of_part.map(|step| step.number).max().unwrap_or(first) + 1;
        incident.steps.push(Step { number, part, text, done_at: None });
    }
    let frozen = incident.containment.as_ref().filter(|freeze| freeze.lifted_at.is_none());
    if let (Some(freeze), Some(step)) =
        (frozen, incident.steps.iter_mut().find(|step| step.text == FREEZE))
    {
        step.done_at.get_or_insert_with(|| freeze.at.clone());
    }
    incident.steps.sort_by_key(|step| (step.part, step.number));
}

/// Marks a step as done. Refused where a part that must come first is not.
pub fn done(incident: &mut Incident, number: u32, now: &str) -> Result<String, String> {
    let step = incident.steps.iter().find(|step| step.number == number);
    let Some(step) = step else {
        return Err(format!(
            "there is no step {number}\nhint: `keymoat incident rotate` lists them"
        ));
    };
    let before: Vec<String> = waits_for(incident, step).iter().map(u32::to_string).collect();
    if !before.is_empty() {
        return Err(format!(
            "step {number} must wait for {}: {}\nwhat still runs there would take the new secrets too, and some malware wipes the machine when it sees one replaced",
            if before.len() == 1 { "step" } else { "steps" },
            before.join(", ")
        ));
    }
    let text = step.text.clone();
    if let Some(step) = incident.steps.iter_mut().find(|step| step.number == number) {
        step.done_at.get_or_insert_with(|| now.to_owned());
    }
    incident.happened(now, format!("done: {text}"), "us");
    Ok(text)
}

/// Numbers of the open steps for which `step` must wait.
fn waits_for(incident: &Incident, step: &Step) -> Vec<u32> {
    incident
        .steps
        .iter()
        .filter(|other| step.part.waits() && other.part < step.part && other.done_at.is_none())
        .filter(|other| !(step.part == Part::Verify && other.part == Part::Rotate))
        .map(|other| other.number)
        .collect()
}

/// The plan with its boxes, as Markdown.
pub fn shown(incident: &Incident) -> String {
    let mut text = String::new();
    for part in Part::ALL {
        let steps: Vec<&Step> = incident.steps.iter().filter(|step| step.part == part).collect();
        if steps.is_empty() {
            continue;
        }
        // Writing to a string has no way to fail.
        writeln!(text, "\n{}", part.title()).unwrap_or_default();
        for step in steps {
            let (mark, when) = match &step.done_at {
                Some(at) => ("x", format!(" (done {at})")),
                None => (" ", String::new()),
            };
            writeln!(text, "- [{mark}] {}. {}{when}", step.number, step.text).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Exposed, Exposure};

    #[test]
    fn nothing_is_replaced_before_it_is_isolated_and_clean() {
        let mut incident = Incident::default();
        let secret = Exposed { what: "an OpenAI key".into(), ..Exposed::default() };
        incident.exposure = Some(Exposure { secrets: vec![secret], ..Exposure::default() });
        update(&mut incident);
        let of = |incident: &Incident, part| -> Vec<u32> {
            incident.steps.iter().filter(|s| s.part == part).map(|s| s.number).collect()
        };
        let rotate = of(&incident, Part::Rotate)[0];
        let refused = done(&mut incident, rotate, "2026-01-01T00:00:00Z").unwrap_err();
        assert!(refused.contains("must wait for steps"), "{refused}");
        for number in of(&incident, Part::Isolate).into_iter().chain(of(&incident, Part::Clean)) {
            done(&mut incident, number, "2026-01-01T00:00:00Z").unwrap();
        }
        done(&mut incident, rotate, "2026-01-01T00:00:00Z").unwrap();
        let steps = incident.steps.clone();
        update(&mut incident);
        assert_eq!(steps, incident.steps, "what is there stays as it is");
        assert!(shown(&incident).contains(&format!("- [x] {rotate}. Replace an OpenAI key")));
        assert!(done(&mut incident, 99, "").is_err());
    }
}
