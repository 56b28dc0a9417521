//! Dockerfiles: what their commands install, what they start from.

use super::command::{self, Starts};
use super::images::Named;
use super::{Reading, shell};
use crate::inventory::Place;
use std::collections::BTreeMap;

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Reading {
    let mut reading = Reading::default();
    let mut named = Named::default();
    let mut stages: Vec<String> = Vec::new();
    let mut defaults: BTreeMap<String, String> = BTreeMap::new();
    for (line, instruction) in instructions(text) {
        let place = place.at(line);
        let (keyword, rest) = instruction.split_once([' ', '\t']).unwrap_or((&instruction, ""));
        let (keyword, rest) = match keyword.to_ascii_uppercase().as_str() {
            "ONBUILD" => {
                let (inner, rest) = rest.trim().split_once([' ', '\t']).unwrap_or((rest, ""));
                (inner.to_ascii_uppercase(), rest)
            }
            other => (other.to_owned(), rest),
        };
        let rest = rest.trim_start();
        match keyword.as_str() {
            "ARG" => {
                if let Some((name, value)) = rest.split_once('=') {
                    let value = value.trim().trim_matches(['"', '\'']);
                    defaults.insert(name.trim().to_owned(), value.to_owned());
                }
            }
            "FROM" => {
                let mut words = rest.split_whitespace().filter(|word| !word.starts_with("--"));
                let image = filled(words.next().unwrap_or_default(), &defaults);
                if !stages.contains(&image.to_ascii_lowercase()) {
                    named.image(&image, place);
                }
                if words.next().is_some_and(|word| word.eq_ignore_ascii_case("as")) {
                    stages.extend(words.next().map(str::to_ascii_lowercase));
                }
            }
            "COPY" | "ADD" => {
                let from = rest.split_whitespace().find_map(|word| word.strip_prefix("--from="));
                if let Some(image) = from.map(|image| filled(image, &defaults)) {
                    let stage = image.bytes().all(|b| b.is_ascii_digit())
                        || stages.contains(&image.to_ascii_lowercase());
                    if !stage {
                        named.image(&image, place);
                    }
                }
            }
            "RUN" | "CMD" | "ENTRYPOINT" => run(rest, &place, &mut reading),
            _ => {}
        }
    }
    named.told(&mut reading);
    reading
}

/// A command in the shell's form or as a list of words in JSON.
fn run(rest: &str, place: &Place, reading: &mut Reading) {
    let mut rest = rest;
    while let Some(after) = rest.strip_prefix("--") {
        rest = after.split_once([' ', '\t']).map_or("", |(_, rest)| rest.trim_start());
    }
    if rest.starts_with('[')
        && let Ok(words) = serde_json::from_str::<Vec<String>>(rest)
    {
        return command::words(&words, place, Starts::Build, reading);
    }
    // Lines were joined: all of it counts as the instruction's first line.
    for (_, words) in shell::commands(rest) {
        command::words(&words, place, Starts::Build, reading);
    }
}

/// Instructions with their first lines, from 1. Lines that end in `\` go on,
/// comments between them are left out, documents after `<<` belong to them.
fn instructions(text: &str) -> Vec<(u32, String)> {
    let mut found: Vec<(u32, String)> = Vec::new();
    let mut open: Option<(u32, String)> = None;
    let mut lines = (1_u32..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let trimmed = line.trim();
        if trimmed.starts_with('#') || (trimmed.is_empty() && open.is_none()) {
            continue;
        }
        let (began, mut so_far) = open.take().unwrap_or((number, String::new()));
        let goes_on = trimmed.strip_suffix(['\\', '`']);
        so_far.push_str(goes_on.unwrap_or(trimmed));
        if goes_on.is_some() {
            so_far.push(' ');
            open = Some((began, so_far));
            continue;
        }
        if let Some(end) = here_document(&so_far) {
            for (_, line) in lines.by_ref() {
                if line.trim() == end {
                    break;
                }
                so_far.push('\n');
                so_far.push_str(line);
            }
        }
        found.push((began, so_far));
    }
    found.extend(open);
    found
}

/// The word that ends the document that begins after `line`.
fn here_document(line: &str) -> Option<String> {
    let (_, word) = line.split_once("<<")?;
    let word = word.trim_start_matches('-').split_whitespace().next()?.trim_matches(['"', '\'']);
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| word.to_owned())
}

/// `image` with the defaults of arguments in the place of their names.
fn filled(image: &str, defaults: &BTreeMap<String, String>) -> String {
    let mut filled = image.to_owned();
    for (name, value) in defaults {
        filled = filled.replace(&format!("${{{name}}}"), value);
        if filled == format!("${name}") {
            filled.clone_from(value);
        }
    }
    filled
}
