//! YAML files whose commands run by themselves: GitHub and GitLab pipelines,
//! compose files. Read by their keys, wherever they stand: `run`, `script`,
//! `command` and their kin hold commands, `image` an image, `uses` an action.

use super::command::{self, Starts};
use super::images::Named;
use super::yaml::{self, Aliases, Node};
use super::{Malformed, Reading};
use crate::inventory::Place;

/// What the text of such a file says.
pub fn read(text: &str, place: &Place) -> Result<Reading, Malformed> {
    let root = yaml::document(text, Aliases::Skipped)?;
    let mut reading = Reading::default();
    let mut named = Named::default();
    look(&root, place, &mut reading, &mut named);
    named.told(&mut reading);
    Ok(reading)
}

/// As deep as the parser lets a document be.
fn look(node: &Node, place: &Place, reading: &mut Reading, named: &mut Named) {
    for (_, item) in node.items() {
        look(item, place, reading, named);
    }
    for (key, line, value) in node.entries() {
        let at = place.at(*line);
        match key.as_str() {
            "run" | "script" | "before_script" | "after_script" => scripts(value, &at, reading),
            "command" | "entrypoint" | "test" => started(value, &at, reading),
            "uses" => named.action(value.text().unwrap_or_default(), at.clone()),
            "image" | "container" => {
                let name = value.text().or_else(|| value.get("name").and_then(Node::text));
                named.image(name.unwrap_or_default(), at.clone());
            }
            _ => {}
        }
        look(value, place, reading, named);
    }
}

/// One script, or a list of lines of one.
fn scripts(value: &Node, at: &Place, reading: &mut Reading) {
    if let Some(text) = value.text().map(without_expressions) {
        let text = text.as_str();
        // A text of several lines begins on the line after its key.
        let first = if text.trim_end().contains('\n') { at.line + 1 } else { at.line };
        command::script(text, &at.at(first), Starts::Build, reading);
    }
    for (line, item) in value.items() {
        scripts(item, &at.at(*line), reading);
    }
}

/// `text` with GitHub's expressions as variables: `${{ matrix.v }}` → `$matrix.v`.
fn without_expressions(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${{") {
        made.push_str(before);
        let Some((inside, after)) = behind.split_once("}}") else {
            made.push_str("${{");
            rest = behind;
            continue;
        };
        made.push('$');
        made.extend(inside.trim().chars().map(|l| if l.is_ascii_alphanumeric() { l } else { '_' }));
        rest = after;
    }
    made.push_str(rest);
    made
}

/// A command as a text or as a list of words.
fn started(value: &Node, at: &Place, reading: &mut Reading) {
    if let Some(text) = value.text() {
        command::script(text, at, Starts::Build, reading);
    }
    let words: Vec<String> =
        value.items().iter().filter_map(|(_, item)| item.text()).map(str::to_owned).collect();
    command::words(&words, at, Starts::Build, reading);
}
