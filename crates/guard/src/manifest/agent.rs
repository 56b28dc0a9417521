//! Configurations of agents and editors that start programs by themselves: MCP
//! servers, hooks, tasks. JSON, with comments where editors allow them, and
//! TOML. Any object with a `command` counts, wherever it stands.

use super::command::{self, Starts};
use super::json::Json;
use super::{Malformed, Reading};
use crate::inventory::Place;
use serde_json::value::RawValue;

/// Objects inside each other.
const DEPTH_MAX: usize = 40;

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let mut reading = Reading::default();
    if place.file.extension().is_some_and(|ending| ending == "toml") {
        let table: toml::Table = toml::from_str(text).map_err(|error| Malformed {
            line: 0,
            what: super::toml_file::told(error.message()),
        })?;
        look_in_toml(&toml::Value::Table(table), text, place, &mut reading, 0);
        return Ok(reading);
    }
    let plain = without_comments(text);
    let json = Json::new(&plain);
    let members = json.members()?;
    look(&json, &members, place, &mut reading, 0);
    Ok(reading)
}

fn look(
    json: &Json<'_>,
    members: &[(String, &RawValue)],
    place: &Place,
    reading: &mut Reading,
    depth: usize,
) {
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
    if let Some(value) = member("command") {
        let args: Vec<String> = member("args")
            .and_then(|args| serde_json::from_str(args.get()).ok())
            .unwrap_or_default();
        let at = place.at(json.line(value));
        if let Ok(command) = serde_json::from_str::<String>(value.get()) {
            started(command, args, &at, reading);
        } else if let Ok(words) = serde_json::from_str::<Vec<String>>(value.get()) {
            command::words(&words, &at, Starts::Agent, reading);
        }
    }
    if depth < DEPTH_MAX {
        for (_, value) in members {
            look_into(json, value, place, reading, depth + 1);
        }
    }
}

fn look_into(
    json: &Json<'_>,
    value: &RawValue,
    place: &Place,
    reading: &mut Reading,
    depth: usize,
) {
    if value.get().starts_with('{') {
        if let Ok(members) = json.inside(value) {
            look(json, &members, place, reading, depth);
        }
    } else if value.get().starts_with('[') && depth < DEPTH_MAX {
        for item in serde_json::from_str::<Vec<&RawValue>>(value.get()).unwrap_or_default() {
            look_into(json, item, place, reading, depth + 1);
        }
    }
}

fn look_in_toml(
    value: &toml::Value,
    text: &str,
    place: &Place,
    reading: &mut Reading,
    depth: usize,
) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        toml::Value::Array(items) => {
            for item in items {
                look_in_toml(item, text, place, reading, depth + 1);
            }
        }
        toml::Value::Table(table) => {
            if let Some(command) = table.get("command").and_then(toml::Value::as_str) {
                let args = table.get("args").and_then(toml::Value::as_array);
                let args: Vec<String> = args
                    .into_iter()
                    .flatten()
                    .filter_map(|arg| arg.as_str().map(str::to_owned))
                    .collect();
                let said = args.iter().find(|arg| !arg.starts_with('-')).map_or(command, |arg| arg);
                let line = (1_u32..).zip(text.lines()).find(|(_, line)| line.contains(said));
                let at = place.at(line.map_or(0, |(number, _)| number));
                started(command.to_owned(), args, &at, reading);
            }
            for (_, value) in table {
                look_in_toml(value, text, place, reading, depth + 1);
            }
        }
        _ => {}
    }
}

/// A program and its arguments; a program with blanks in it is a line for a shell.
fn started(program: String, args: Vec<String>, at: &Place, reading: &mut Reading) {
    if args.is_empty() && program.contains(char::is_whitespace) {
        return command::script(&program, at, Starts::Agent, reading);
    }
    let words: Vec<String> = std::iter::once(program).chain(args).collect();
    command::words(&words, at, Starts::Agent, reading);
}

/// JSON without the comments and last commas that editors allow; every line
/// stays where it is.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        if quoted {
            plain.push(letter);
            match letter {
                '\\' => plain.extend(letters.next()),
                '"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match (letter, letters.peek()) {
            ('"', _) => {
                quoted = true;
                plain.push(letter);
            }
            ('/', Some('/')) => while letters.next_if(|l| *l != '\n').is_some() {},
            ('/', Some('*')) => {
                letters.next();
                let mut before = ' ';
                for next in letters.by_ref() {
                    if next == '\n' {
                        plain.push('\n');
                    }
                    if before == '*' && next == '/' {
                        break;
                    }
                    before = next;
                }
            }
            ('}' | ']', _) => {
                let kept = plain.trim_end().len();
                if plain.get(..kept).is_some_and(|kept| kept.ends_with(',')) {
                    plain.replace_range(kept - 1..kept, " ");
                }
                plain.push(letter);
            }
            _ => plain.push(letter),
        }
    }
    plain
}
