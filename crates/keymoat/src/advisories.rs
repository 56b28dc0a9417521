//! `keymoat advisories`: take exports in, say what is known.

use crate::{cli, guard_data, say};
use base::{Clock as _, SystemClock};
use guard::advisories::stored::{self, NotUpdated};
use guard::advisory::set::Header;
use guard::inventory::Ecosystem;
use guard::{Advisories, Outcome};
use std::path::PathBuf;
use std::process::ExitCode;

const DAY_MS: i64 = 24 * 3_600_000;

/// `keymoat advisories update|status`
pub(crate) fn run(advisories: &cli::Advisories) -> ExitCode {
    let outcome = match advisories {
        cli::Advisories::Update { from, less } => update(from, *less),
        cli::Advisories::Status { max_age, json } => status(*max_age, *json),
    };
    outcome.unwrap_or_else(|error| {
        say::err(&format!("keymoat: {error}"));
        ExitCode::from(Outcome::NotAudited.exit_code())
    })
}

fn update(from: &[PathBuf], less: bool) -> Result<ExitCode, String> {
    let path = guard_data::data_dir()?.join(stored::FILE);
    let now_ms = SystemClock::new().unix_ms();
    let done = stored::update(&path, from, now_ms, less).map_err(|error| match error {
        NotUpdated::Less(_) => format!(
            "{error}\nhint: nothing was changed; give all exports in one go, or --less if that is meant"
        ),
        _ => error.to_string(),
    })?;
    let Header { records, bad, .. } = done.header;
    let mut text = format!("{records} records, {} withdrawn, {bad} bad\n", done.withdrawn);
    for (name, why) in &done.bad_shown {
        text.extend([format!("  bad: {name}: {why}\n")]);
    }
    if bad > done.bad_shown.len() as u64 {
        text.extend([format!("  and {} more\n", bad - done.bad_shown.len() as u64)]);
    }
    for lost in &done.lost {
        text.extend([format!("less than before: {lost}\n")]);
    }
    text.push_str(&covers(&done.header));
    say::out(&plain(&text));
    say::err(&format!("kept in {}", path.display()));
    Ok(ExitCode::SUCCESS)
}

fn covers(header: &Header) -> String {
    if header.coverage.is_empty() {
        return "complete for: nothing. They find what they speak of; whatever they do not speak of stays not audited\n".to_owned();
    }
    let mut text = String::new();
    for claim in &header.coverage {
        let names = claim
            .names
            .as_ref()
            .map_or_else(String::new, |names| format!(", for {} packages", names.len()));
        text.extend([format!("complete for: {} as of {}{names}\n", claim.ecosystem, claim.as_of)]);
    }
    text
}

fn status(max_age_days: u32, json: bool) -> Result<ExitCode, String> {
    let mut all = Advisories::built_in();
    let stored = stored::load(&guard_data::data_dir()?.join(stored::FILE))
        .map_err(|error| error.to_string())?;
    let taken_in = stored.is_some();
    if let Some(set) = stored {
        all.add(set);
    }
    let now_ms = SystemClock::new().unix_ms();
    // A name that no set lists one by one: only a full export covers it.
    let cover = all.cover(Ecosystem::PyPi, "");
    let fresh = cover.is_some_and(|c| now_ms - c.as_of_ms <= i64::from(max_age_days) * DAY_MS);
    if json {
        let sets: Vec<&Header> = all.sets().iter().map(guard::advisory::Set::header).collect();
        let value = serde_json::json!({ "fresh": fresh, "sets": sets });
        say::out(&format!("{value:#}\n"));
    } else {
        let mut text = String::new();
        for set in all.sets() {
            let header = set.header();
            text.extend([format!(
                "{}: {} records, {} bad\n",
                header.title, header.records, header.bad
            )]);
            for line in covers(header).lines() {
                text.extend([format!("  {line}\n")]);
            }
        }
        text.push_str(match (fresh, taken_in) {
            (true, _) => "Fresh: an audit of Python packages can give an all-clear.\n",
            (false, true) => "Not fresh: an audit will say \"not audited\". Fetch a full export and run `keymoat advisories update --from FILE`.\n",
            (false, false) => "No export was taken in: an audit will say \"not audited\". Fetch a full export (all.zip of an OSV ecosystem) and run `keymoat advisories update --from FILE`.\n",
        });
        say::out(&plain(&text));
    }
    Ok(if fresh { ExitCode::SUCCESS } else { ExitCode::from(Outcome::NotAudited.exit_code()) })
}

/// What a file holds does not drive the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|l| if l.is_control() && l != '\n' { '\u{fffd}' } else { l }).collect()
}
