//! Conversations in the order that a provider demands.
//!
//! Works on the neutral model, whatever dialect the conversation came in. A
//! conversation that needs no repair is not copied.

use crate::model::{Content, Part, Role, Turn};
use std::borrow::Cow;
use std::collections::HashMap;

/// What answers a tool call that has no result.
pub(crate) const NO_RESULT: &str = "This tool call has no result.";

/// A turn and its number in the request, for errors.
pub(crate) type Placed<'r> = (usize, Cow<'r, Turn>);

/// The turns with the results of all calls of an assistant's turn right after
/// it, one for each call: a missing result is replaced by one that says so, and
/// of two results for one call the later is kept. A result whose call does not
/// precede it stays where it is: its provider says what is wrong with it.
pub(crate) fn answered(turns: &[Turn]) -> Vec<Placed<'_>> {
    let mut placed: Vec<Placed<'_>> = Vec::with_capacity(turns.len());
    let mut at = 0;
    while let Some(turn) = turns.get(at) {
        placed.push((at, Cow::Borrowed(turn)));
        let calls = calls(turn);
        if calls.is_empty() || is_answered(&calls, turns.get(at + 1)) {
            at += 1;
            continue;
        }
        let window: Vec<(usize, &Turn)> = turns
            .iter()
            .enumerate()
            .skip(at + 1)
            .take_while(|(_, turn)| turn.role != Role::Assistant)
            .collect();
        settle(&calls, at, &window, &mut placed);
        at += 1 + window.len();
    }
    placed
}

/// The ids of the calls of an assistant's turn, each once.
fn calls(turn: &Turn) -> Vec<&str> {
    let mut ids = Vec::new();
    if turn.role == Role::Assistant {
        for part in &turn.parts {
            if let Content::ToolCall { id, .. } = &part.content
                && !ids.contains(&id.as_str())
            {
                ids.push(id.as_str());
            }
        }
    }
    ids
}

fn result(part: &Part) -> Option<&str> {
    match &part.content {
        Content::ToolResult { id, .. } => Some(id),
        _ => None,
    }
}

/// Returns true if the next turn has exactly one result for each call.
fn is_answered(calls: &[&str], next: Option<&Turn>) -> bool {
    let Some(next) = next.filter(|next| next.role == Role::User) else { return false };
    let results: Vec<&str> = next.parts.iter().filter_map(result).collect();
    results.len() == calls.len() && calls.iter().all(|call| results.contains(call))
}

/// Adds the turns of `window` to `placed`, the results of `calls` first.
fn settle<'r>(
    calls: &[&str],
    at: usize,
    window: &[(usize, &'r Turn)],
    placed: &mut Vec<Placed<'r>>,
) {
    let mut found: HashMap<&str, (usize, Part)> = HashMap::new();
    let mut rest: Vec<Placed<'r>> = Vec::with_capacity(window.len());
    for (number, turn) in window {
        let is_ours = |part: &Part| result(part).is_some_and(|id| calls.contains(&id));
        if turn.role != Role::User || !turn.parts.iter().any(is_ours) {
            rest.push((*number, Cow::Borrowed(turn)));
            continue;
        }
        let mut others = Vec::new();
        for part in &turn.parts {
            match result(part).filter(|id| calls.contains(id)) {
                Some(id) => {
                    let rank = found.get(id).map_or(found.len(), |(rank, _)| *rank);
                    found.insert(id, (rank, part.clone()));
                }
                None => others.push(part.clone()),
            }
        }
        if !others.is_empty() {
            let turn = Turn { role: Role::User, name: turn.name.clone(), parts: others };
            rest.push((*number, Cow::Owned(turn)));
        }
    }
    let mut results: Vec<(usize, Part)> = found.values().cloned().collect();
    results.sort_by_key(|(rank, _)| *rank);
    let missing = calls.iter().filter(|call| !found.contains_key(**call)).map(|call| stub(call));
    let parts: Vec<Part> = results.into_iter().map(|(_, part)| part).chain(missing).collect();
    let number = window.first().map_or(at, |(number, _)| *number);
    placed.push((number, Cow::Owned(Turn { role: Role::User, name: None, parts })));
    placed.extend(rest);
}

fn stub(call: &str) -> Part {
    let text = Content::Text { text: NO_RESULT.to_owned(), citations: Vec::new() };
    let parts = vec![text.into()];
    Content::ToolResult { id: call.to_owned(), parts, is_error: true }.into()
}

/// The turns with those of one role in a row made one.
pub(crate) fn alternating(turns: Vec<Placed<'_>>) -> Vec<Placed<'_>> {
    let mut merged: Vec<Placed<'_>> = Vec::with_capacity(turns.len());
    for (at, turn) in turns {
        match merged.last_mut() {
            Some((_, last)) if last.role == turn.role => {
                last.to_mut().parts.extend(turn.into_owned().parts);
            }
            _ => merged.push((at, turn)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: Role, parts: Vec<Content>) -> Turn {
        Turn { role, name: None, parts: parts.into_iter().map(Part::from).collect() }
    }

    fn text(text: &str) -> Content {
        Content::Text { text: text.to_owned(), citations: Vec::new() }
    }

    fn call(id: &str) -> Content {
        let (id, name, arguments) = (id.to_owned(), "f".to_owned(), String::new());
        Content::ToolCall { id, name, arguments, kind: crate::model::ToolKind::Function }
    }

    fn result(id: &str, words: &str) -> Content {
        Content::ToolResult { id: id.to_owned(), parts: vec![text(words).into()], is_error: false }
    }

    fn shown(turns: &[Placed<'_>]) -> Vec<String> {
        let words = |part: &Part| match &part.content {
            Content::Text { text, .. } => text.clone(),
            Content::ToolCall { id, .. } => format!("call {id}"),
            Content::ToolResult { id, parts, .. } => {
                let Content::Text { text, .. } = &parts[0].content else { unreachable!() };
                format!("{id}={text}")
            }
            _ => unreachable!(),
        };
        turns
            .iter()
            .map(|(at, turn)| {
                let parts: Vec<String> = turn.parts.iter().map(words).collect();
                format!("{at} {:?} {}", turn.role, parts.join("|"))
            })
            .collect()
    }

    #[test]
    fn results_follow_their_calls_and_each_call_has_one() {
        let turns = [
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![call("a"), call("b"), call("c")]),
            turn(Role::User, vec![result("b", "1")]),
            turn(Role::System, vec![text("note")]),
            turn(Role::User, vec![result("a", "2"), result("b", "3"), text("and?")]),
            turn(Role::Assistant, vec![call("d")]),
        ];
        let expected = [
            "0 User q",
            "1 Assistant call a|call b|call c",
            "2 User b=3|a=2|c=This tool call has no result.",
            "3 System note",
            "4 User and?",
            "5 Assistant call d",
            "5 User d=This tool call has no result.",
        ];
        assert_eq!(shown(&answered(&turns)), expected);
    }

    #[test]
    fn an_orderly_conversation_is_not_copied() {
        let turns = [
            turn(Role::User, vec![text("q")]),
            turn(Role::Assistant, vec![call("a")]),
            turn(Role::User, vec![result("a", "1"), text("and?")]),
            turn(Role::User, vec![result("lost", "2")]),
        ];
        let placed = answered(&turns);
        assert!(placed.iter().all(|(_, turn)| matches!(turn, Cow::Borrowed(_))));
        assert_eq!(placed.len(), turns.len());
    }

    #[test]
    fn turns_of_one_role_become_one() {
        let turns = [
            turn(Role::User, vec![text("a")]),
            turn(Role::User, vec![text("b")]),
            turn(Role::Assistant, vec![text("c")]),
        ];
        let merged = alternating(answered(&turns));
        assert_eq!(shown(&merged), ["0 User a|b", "2 Assistant c"]);
    }
}
