//! The report, for people who were not there.

use crate::facts::{Incident, Place, Standing};
use crate::plan;
use base::NanoUsd;
use std::fmt::Write as _;

/// Rows of one table; the rest are counted.
const ROWS_MAX: usize = 200;

/// The whole state as JSON.
pub fn json(incident: &Incident) -> String {
    serde_json::to_string_pretty(incident).unwrap_or_default() + "\n"
}

/// The report as Markdown.
pub fn markdown(incident: &Incident) -> String {
    let mut out = String::new();
    if incident.drill {
        line(&mut out, "> **This is a drill.** Nothing here happened.\n");
    }
    line(&mut out, &format!("# Incident: {}\n", md(&incident.title)));
    line(&mut out, &format!("{}\n", summary(incident)));
    facts(&mut out, incident);
    window(&mut out, incident);
    scope(&mut out, incident);
    exposure(&mut out, incident);
    usage(&mut out, incident);
    contained(&mut out, incident);
    line(&mut out, "## What was done, and what is left\n");
    let steps = between_ticks(&plan::shown(incident));
    line(&mut out, if steps.is_empty() { "Nothing is planned yet." } else { steps.trim_start() });
    line(&mut out, "## Timeline (UTC)\n");
    table(
        &mut out,
        &["When", "What", "Source"],
        incident
            .timeline
            .iter()
            .map(|event| vec![time(&event.at), md(&event.what), md(&event.source)]),
    );
    unknown(&mut out, incident);
    line(&mut out, "## Revisions of the claim\n");
    table(
        &mut out,
        &["When", "Claim", "Why"],
        incident
            .claims
            .iter()
            .map(|claim| vec![time(&claim.at), word(claim.standing).to_owned(), md(&claim.why)]),
    );
    line(
        &mut out,
        &format!(
            "Incident {}, opened {}. Values of secrets are in no part of this report: fingerprints are the first digits of a hash. Names of machines, people, paths and addresses are in it: read it before you publish it.",
            incident.id,
            time(&incident.opened_at)
        ),
    );
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string has no way to fail.
    writeln!(out, "{text}").unwrap_or_default();
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Suspected => "suspected",
        Standing::Confirmed => "confirmed",
        Standing::Cleared => "cleared",
    }
}

/// Three sentences: are we affected, what was within reach, what is done.
fn summary(incident: &Incident) -> String {
    let claim = match incident.standing() {
        Standing::Confirmed => "**We were affected.**",
        Standing::Cleared => "**We were not affected**, by what was looked at.",
        Standing::Suspected => "**It is not settled whether we were affected.**",
    };
    let found = match &incident.scope {
        None => "Nobody has looked for the bad releases yet.".to_owned(),
        Some(scope) if scope.places.is_empty() => {
            "No bad release was found in what was looked at.".to_owned()
        }
        Some(scope) => {
            let installed =
                scope.places.iter().filter(|place| place.standing == "installed").count();
            format!(
                "A bad release was found in {} ({installed} of them installed).",
                plural(scope.places.len(), "place")
            )
        }
    };
    let reach = match &incident.exposure {
        None => "Which secrets were within reach has not been looked at.".to_owned(),
        Some(exposure) => {
            let stores = exposure.secrets.iter().filter(|secret| secret.is_store).count();
            let keys = plural(exposure.secrets.len() - stores, "key");
            let many = if stores == 1 { "store" } else { "stores" };
            format!("{keys} and {stores} {many} of credentials were readable there.")
        }
    };
    let frozen = match &incident.containment {
        Some(c) if c.lifted_at.is_none() => {
            format!("{} frozen since {}.", plural(c.keys.len(), "virtual key"), time(&c.at))
        }
        Some(_) => "The freeze of the virtual keys has been lifted.".to_owned(),
        None => "Nothing has been frozen.".to_owned(),
    };
    let open = incident.steps.iter().filter(|step| step.done_at.is_none()).count();
    format!("{claim} {found} {reach} {frozen} {} open.", plural(open, "step"))
}

fn facts(out: &mut String, incident: &Incident) {
    let facts = &incident.facts;
    let or = |text: &str| if text.is_empty() { "not known here".to_owned() } else { md(text) };
    line(out, "## The three facts\n");
    line(out, &format!("- **Bad:** {}", or(&facts.bad)));
    line(out, &format!("- **Safe:** {}", or(&facts.safe)));
    line(out, &format!("- **What it did:** {}", or(&facts.did)));
    if !facts.indicators.is_empty() {
        let hosts: Vec<String> = facts.indicators.iter().map(|host| defanged(host)).collect();
        line(out, &format!("- **Talks to:** {}", hosts.join(", ")));
    }
    let sources = if facts.sources.is_empty() { "us".to_owned() } else { facts.sources.join("; ") };
    line(out, &format!("\nSources: {}\n", md(&sources)));
}

fn window(out: &mut String, incident: &Incident) {
    line(out, "## When it could be had (UTC)\n");
    let (from, to) = incident.widest();
    let end = |end: Option<String>| end.map_or_else(|| "not known".to_owned(), |at| time(&at));
    line(
        out,
        &format!(
            "Taken here: **{}** to **{}**, the widest that any source gives.\n",
            end(from),
            end(to)
        ),
    );
    if incident.window.is_empty() {
        line(out, "No source gives a window.\n");
        return;
    }
    table(
        out,
        &["From", "To", "Source"],
        incident
            .window
            .iter()
            .map(|bound| vec![end(bound.from.clone()), end(bound.to.clone()), md(&bound.source)]),
    );
}

fn scope(out: &mut String, incident: &Incident) {
    line(out, "## Where it was\n");
    let Some(scope) = &incident.scope else {
        line(out, "Not looked at yet.\n");
        return;
    };
    for looked in &scope.looked {
        line(out, &format!("- Looked at: {}", md(looked)));
    }
    line(out, "");
    if scope.places.is_empty() {
        line(out, "None of the bad releases was there.\n");
    } else {
        let when = |place: &Place| match (&place.from, &place.to) {
            (None, None) => "not known".to_owned(),
            (from, to) => format!(
                "{} to {}",
                from.as_deref().map_or_else(|| "not known".to_owned(), time),
                to.as_deref().map_or_else(|| "now".to_owned(), time)
            ),
        };
        let through = |place: &Place| match place.through.as_slice() {
            [] => "directly, or not recorded".to_owned(),
            some => some.join(", "),
        };
        table(
            out,
            &["Machine", "Release", "Standing", "Where", "Needed by", "There from – to", "By"],
            scope.places.iter().map(|place| {
                vec![
                    md(&place.host),
                    md(&place.release),
                    place.standing.clone(),
                    code(&place.file),
                    md(&through(place)),
                    when(place),
                    md(&place.source),
                ]
            }),
        );
    }
    if !scope.traces.is_empty() {
        line(out, "Traces that attacks are known to leave:\n");
        list(out, &scope.traces);
    }
    if !scope.odd.is_empty() {
        line(out, "What stands out beside them, and may be honest:\n");
        list(out, &scope.odd);
    }
}

fn exposure(out: &mut String, incident: &Incident) {
    line(out, "## Which secrets were readable there\n");
    let Some(exposure) = &incident.exposure else {
        line(out, "Not looked at yet: take it that all were.\n");
        return;
    };
    for looked in &exposure.looked {
        line(out, &format!("- Looked at: {}", md(looked)));
    }
    line(out, "");
    let (stores, keys): (Vec<_>, Vec<_>) = exposure.secrets.iter().partition(|s| s.is_store);
    if keys.is_empty() {
        line(out, "No key of a known shape was found.\n");
    } else {
        table(
            out,
            &["Key", "Where"],
            keys.iter().map(|secret| {
                vec![
                    md(&secret.what),
                    secret.places.iter().take(4).map(|p| md(p)).collect::<Vec<_>>().join("; "),
                ]
            }),
        );
    }
    if !stores.is_empty() {
        line(out, "Stores of credentials that were readable; what they hold counts as read:\n");
        for store in stores {
            line(out, &format!("- {}: {}", code(&store.what), md(&store.replace)));
        }
        line(out, "");
    }
    line(out, &format!("**The gateway's own keys:** {}\n", md(&exposure.gateway)));
}

fn usage(out: &mut String, incident: &Incident) {
    line(out, "## What was used\n");
    let Some(usage) = &incident.usage else {
        line(out, "No gateway's records were looked at.\n");
        return;
    };
    line(
        out,
        &format!(
            "From {} to {}, compared with the time from {}; by {}.\n",
            time(&usage.from),
            time(&usage.to),
            time(&usage.before_from),
            md(&usage.source)
        ),
    );
    if usage.anomalies.is_empty() {
        line(out, "Nothing stands out.\n");
    } else {
        line(out, "What stands out:\n");
        list(out, &usage.anomalies);
    }
    if usage.keys.is_empty() {
        line(out, "No virtual key was used in that time.\n");
        return;
    }
    table(
        out,
        &[
            "Key",
            "Calls",
            "Refused",
            "Cost",
            "First – last",
            "Models",
            "Credentials",
            "Where to",
            "From where",
        ],
        usage.keys.iter().map(|key| {
            vec![
                md(&key.key),
                key.calls.to_string(),
                key.refused.to_string(),
                format!("${}", NanoUsd(key.cost_nanousd)),
                format!("{} – {}", time(&key.first), time(&key.last)),
                some(&key.models),
                some(&key.credentials),
                some(&key.to),
                some(&key.clients),
            ]
        }),
    );
}

fn contained(out: &mut String, incident: &Incident) {
    line(out, "## What was frozen\n");
    let Some(containment) = &incident.containment else {
        line(out, "Nothing.\n");
        return;
    };
    line(
        out,
        &format!(
            "{} at {}, in {} ms, through {}.",
            plural(containment.keys.len(), "virtual key"),
            time(&containment.at),
            containment.took_ms,
            md(&containment.place)
        ),
    );
    if let Some(at) = &containment.lifted_at {
        line(out, &format!("Lifted at {}.", time(at)));
    }
    let mut names: Vec<String> = containment.keys.iter().map(|key| md(&key.name)).collect();
    names.sort_unstable();
    names.truncate(ROWS_MAX);
    if !names.is_empty() {
        line(out, &format!("\nThey are: {}.", names.join(", ")));
    }
    line(out, "");
}

fn unknown(out: &mut String, incident: &Incident) {
    line(out, "## What is not known\n");
    let outside = outside(incident);
    let mut all: Vec<&str> = outside.iter().map(String::as_str).collect();
    all.extend(incident.scope.iter().flat_map(|s| &s.unknown).map(String::as_str));
    all.extend(incident.exposure.iter().flat_map(|e| &e.unknown).map(String::as_str));
    all.extend(incident.usage.iter().flat_map(|u| &u.unknown).map(String::as_str));
    all.extend(incident.facts.elsewhere.iter().map(String::as_str));
    if incident.usage.is_none() {
        all.push("what was used: no gateway's records were looked at");
    }
    let mut told = std::collections::BTreeSet::new();
    all.retain(|text| told.insert(*text));
    for text in all.iter().take(ROWS_MAX) {
        line(out, &format!("- {}", md(text)));
    }
    if all.len() > ROWS_MAX {
        line(out, &format!("- and {} more, in the JSON", all.len() - ROWS_MAX));
    }
    line(out, "");
}

fn table(out: &mut String, heading: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    line(out, &format!("| {} |", heading.join(" | ")));
    line(out, &format!("|{}", "---|".repeat(heading.len())));
    let mut more = 0;
    for (at, row) in rows.enumerate() {
        if at < ROWS_MAX {
            line(out, &format!("| {} |", row.join(" | ")));
        } else {
            more += 1;
        }
    }
    if more > 0 {
        line(out, &format!("\nand {more} more, in the JSON"));
    }
    line(out, "");
}

fn list(out: &mut String, texts: &[String]) {
    for text in texts.iter().take(ROWS_MAX) {
        line(out, &format!("- {}", md(text)));
    }
    if texts.len() > ROWS_MAX {
        line(out, &format!("- and {} more, in the JSON", texts.len() - ROWS_MAX));
    }
    line(out, "");
}

/// Releases that came outside of the window that is taken here: the window, or
/// the times of the files, cannot be the whole truth.
fn outside(incident: &Incident) -> Vec<String> {
    let ms = |text: &String| guard::time::unix_ms(text);
    let (from, to) = incident.widest();
    let places = incident.scope.iter().flat_map(|scope| &scope.places);
    let told = places.filter_map(|place| {
        let came = place.from.as_ref()?;
        let at = ms(came)?;
        let early = from.as_ref().and_then(ms).is_some_and(|from| at < from);
        let late = to.as_ref().and_then(ms).is_some_and(|to| at > to);
        let when = if early { "before that window" } else { "after that window" };
        (early || late).then(|| {
            format!(
                "{} came to {} on {} at {}, {when}: from a cache, a mirror or a copy, or the times of its files were set",
                place.release, place.file, place.host, came
            )
        })
    });
    told.collect()
}

/// As [`md`], but what stands between backticks stays as it is.
fn between_ticks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for row in text.lines() {
        let box_end = row.find("] ").filter(|_| row.starts_with("- [")).map_or(0, |at| at + 2);
        let (mark, row) = row.split_at_checked(box_end).unwrap_or(("", row));
        out.push_str(mark);
        let parts: Vec<&str> = row.split('`').collect();
        // An odd tick would open a span that nobody closes.
        let is_even = parts.len() % 2 == 1;
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                out.push_str(if is_even { "`" } else { "'" });
            }
            if at % 2 == 1 && is_even { out.push_str(part) } else { out.push_str(&md(part)) }
        }
        out.push('\n');
    }
    out
}

fn some(texts: &[String]) -> String {
    let shown: Vec<String> = texts.iter().take(5).map(|text| md(text)).collect();
    match texts.len().saturating_sub(5) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `2026-03-24 10:39:00`
fn time(text: &str) -> String {
    let plain = text.split(['.', 'Z']).next().unwrap_or(text);
    md(&plain.replacen('T', " ", 1))
}

/// Names of files and the like must not become markup, nor lines of their own.
fn md(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '<' | '>' | '[' | ']' | '\\' | '#' => {
                safe.push('\\');
                safe.push(letter);
            }
            letter if letter.is_control() => safe.push(' '),
            letter => safe.push(letter),
        }
    }
    safe
}

fn code(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() || c == '`' || c == '|' { ' ' } else { c })
        .collect();
    format!("`{plain}`")
}

/// So that nobody follows it by a slip.
fn defanged(host: &str) -> String {
    match host.rsplit_once('.') {
        Some((start, end)) => md(&format!("{start}[.]{end}")),
        None => md(host),
    }
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
