//! Objects and lists with some of their values changed. What does not change
//! keeps its bytes.

use super::read::{Members, Raw};
use super::write::quoted;

/// A change to a member.
pub(crate) enum Change {
    None,
    Gone,
    To(String),
}

/// The object with its changes; `None` if there are none.
pub(crate) fn object(
    members: &Members<'_>,
    change: impl Fn(&str, Raw<'_>) -> Change,
) -> Option<String> {
    let mut changed = false;
    let mut written = Vec::with_capacity(members.0.len());
    for (name, value) in &members.0 {
        match change(name, *value) {
            Change::None => written.push(format!("{}:{}", quoted(name), value.text())),
            Change::Gone => changed = true,
            Change::To(value) => {
                changed = true;
                written.push(format!("{}:{value}", quoted(name)));
            }
        }
    }
    changed.then(|| format!("{{{}}}", written.join(",")))
}

/// The list with its changes; `None` if there are none.
pub(crate) fn list(
    items: &[Raw<'_>],
    change: impl Fn(Raw<'_>) -> Option<String>,
) -> Option<String> {
    let changes: Vec<Option<String>> = items.iter().map(|item| change(*item)).collect();
    if changes.iter().all(Option::is_none) {
        return None;
    }
    let written: Vec<&str> = items
        .iter()
        .zip(&changes)
        .map(|(item, change)| change.as_deref().unwrap_or(item.text()))
        .collect();
    Some(format!("[{}]", written.join(",")))
}
