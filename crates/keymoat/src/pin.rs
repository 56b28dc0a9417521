//! `keymoat pin` and `keymoat cooldown`: the command line of `guard::pin` and
//! `guard::policy`.

use crate::cli::{Cooldown, CooldownTool, Pin, PinFormat};
use crate::{guard_data, say};
use guard::pin::{self, Choice, Gap};
use guard::policy::cooldown::{Tool, settings};
use std::path::Path;
use std::process::ExitCode;

/// All of it is pinned.
const PINNED: u8 = 0;
/// Some of it is not.
const GAPS: u8 = 1;
/// Nothing could be read or written.
const FAILED: u8 = 2;

/// `keymoat pin [FROM]`
pub(crate) fn run(ask: &Pin) -> ExitCode {
    let choice = Choice {
        extras: ask.extra.clone(),
        groups: ask.group.clone(),
        all: ask.all,
        only_wheels: ask.only_wheels,
    };
    let done = match &ask.check {
        Some(path) => check(ask, path, &choice),
        None => write(ask, &choice),
    };
    ExitCode::from(done.unwrap_or_else(|why| {
        say::err(&format!("keymoat: {why}"));
        say::err("hint: nothing was written; see `keymoat pin --help` for what is read");
        FAILED
    }))
}

/// `keymoat cooldown TOOL`
pub(crate) fn cooldown(ask: &Cooldown) -> ExitCode {
    let tool = match ask.tool {
        CooldownTool::Uv => Tool::Uv,
        CooldownTool::Pip => Tool::Pip,
        CooldownTool::Renovate => Tool::Renovate,
        CooldownTool::Dependabot => Tool::Dependabot,
    };
    say::out(&settings(tool, ask.days));
    ExitCode::SUCCESS
}

fn artefacts(ask: &Pin) -> Result<Vec<pin::artefacts::Artefact>, String> {
    let mut all = Vec::new();
    for folder in &ask.artefacts {
        all.extend(pin::artefacts::read(folder).map_err(|error| error.to_string())?);
    }
    Ok(all)
}

fn check(ask: &Pin, path: &Path, choice: &Choice) -> Result<u8, String> {
    let checked = pin::check(path, &artefacts(ask)?, choice, &guard_data::advisories()?)
        .map_err(|error| error.to_string())?;
    say::out(&pin::told(checked.count, &checked.gaps));
    Ok(if checked.gaps.is_empty() { PINNED } else { GAPS })
}

fn write(ask: &Pin, choice: &Choice) -> Result<u8, String> {
    let plan = pin::plan(&ask.from, &artefacts(ask)?, choice, &guard_data::advisories()?)
        .map_err(|error| error.to_string())?;
    let mut gaps: Vec<Gap> = plan.gaps.clone();
    let text = match ask.format {
        PinFormat::Requirements => pin::write_requirements(&plan, ask.only_wheels),
        PinFormat::Pylock => {
            let folder = ask.output.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
            let (text, more) = pin::write_pylock(&plan, folder);
            gaps.extend(more);
            text
        }
    };
    match &ask.output {
        Some(path) => say::file(path, &text)
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?,
        None => say::out(&text),
    }
    for note in &plan.notes {
        say::err(&format!("note: {note}"));
    }
    say::err(pin::told(plan.pins.len(), &gaps).trim_end());
    Ok(if gaps.is_empty() { PINNED } else { GAPS })
}
