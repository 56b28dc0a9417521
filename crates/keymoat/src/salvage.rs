//! `keymoat ledger salvage`: what the spool set aside, and putting it in.

use crate::cli::Ledger;
use crate::{guard_data, say};
use base::{Clock as _, NanoUsd, SystemClock};
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use store::{DataDir, Salvaged};

/// Not all could be read.
const EXIT_UNREADABLE: u8 = 1;

/// `keymoat ledger …`
pub(crate) fn run(asked: Ledger) -> ExitCode {
    let Ledger::Salvage { data, import, json } = asked;
    let done = data.map_or_else(guard_data::data_dir, Ok).and_then(|path| {
        let salvaged = if import { put_in(&path) } else { read(&path) }?;
        Ok((path, salvaged))
    });
    match done {
        Ok((path, salvaged)) => {
            let shown = if json { in_json(&salvaged) } else { Ok(text(&path, &salvaged)) };
            match shown {
                Ok(shown) => say::out(&shown),
                Err(problem) => return failed(&problem),
            }
            let lost = |file: &store::SalvagedFile| file.damaged.iter().any(|part| !part.repaired);
            if salvaged.files.iter().any(lost) {
                return ExitCode::from(EXIT_UNREADABLE);
            }
            ExitCode::SUCCESS
        }
        Err(problem) => failed(&problem),
    }
}

fn failed(problem: &str) -> ExitCode {
    say::err(&format!("error: {problem}"));
    ExitCode::from(2)
}

fn read(path: &Path) -> Result<Salvaged, String> {
    if !path.is_dir() {
        let hint = "\nhint: --data names the gateway's data directory";
        return Err(format!("{} is no folder{hint}", path.display()));
    }
    store::salvage(path).map_err(|error| error.to_string())
}

fn put_in(path: &Path) -> Result<Salvaged, String> {
    // Nothing is made where nothing is.
    if !path.join("keymoat.db").is_file() {
        let hint = "\nhint: --data names the gateway's data directory";
        return Err(format!("{} holds no keymoat.db{hint}", path.display()));
    }
    let dir = DataDir::open(path).map_err(|error| error.to_string())?;
    let now_ms = SystemClock::new().unix_ms();
    store::salvage_into(&dir, now_ms).map_err(|error| error.to_string())
}

fn in_json(salvaged: &Salvaged) -> Result<String, String> {
    serde_json::to_string(salvaged).map(|json| json + "\n").map_err(|error| error.to_string())
}

fn text(path: &Path, salvaged: &Salvaged) -> String {
    let mut text = String::new();
    let mut line = |shown: String| {
        // Writing to a string has no way to fail.
        writeln!(text, "{shown}").unwrap_or_default();
    };
    if salvaged.files.is_empty() {
        line(format!("Nothing was set aside in {}.", path.display()));
    }
    for file in &salvaged.files {
        let cost = file.cost_nanousd;
        line(format!("{} ({} bytes)", file.path.display(), file.bytes));
        line(format!("  {} records can be read, ${cost} in all", file.records));
        if file.unended > 0 {
            line(format!("  {} attempts begin in it and do not end in it", file.unended));
        }
        if file.unknown > 0 {
            line(format!("  {} entries are of another version of keymoat", file.unknown));
        }
        for part in &file.damaged {
            let end = if part.repaired { "damaged in one bit, put right" } else { "unreadable" };
            line(format!("  at {}, {} bytes: {end}", part.at, part.bytes));
        }
    }
    match salvaged.imported {
        Some(done) => line(format!(
            "Put into the database: {} that were missing, {} that correct a charge for a cut-off \
             attempt; {} were there already.\nThe files stay; delete them when you no longer need \
             them.",
            done.new, done.corrected, done.known
        )),
        None if salvaged.files.iter().any(|file| file.records > 0 || file.unended > 0) => line(
            "Most of it is in the database already. Stop the gateway and add --import to put in \
             what is missing; what is there is not counted twice."
                .to_owned(),
        ),
        None => {}
    }
    let total = salvaged.files.iter().map(|file| file.cost_nanousd);
    if salvaged.files.len() > 1 {
        line(format!("${} in all files.", total.fold(NanoUsd::ZERO, NanoUsd::saturating_add)));
    }
    text
}
