//! Files that code executes or builds objects from: what is in them.

use super::part::{HARM, Open, Part, place_of};
use crate::finding::Severity;
use crate::rule::Rule;
use pycode::fact::{Deed, Fact, When};

/// The largest file that is executed or loaded and is looked into, in bytes.
const DATA_MAX_BYTES: usize = 16 << 20;

pub(super) type OfFile<'a> = (Severity, Rule, &'static str, (usize, &'a Fact));

/// What the files say that are executed as code, or from which objects are built.
pub(super) fn files_in<'a>(
    facts: &[(usize, &'a Fact)],
    parts: &[Part<'_>],
    open: Open<'_>,
) -> Option<OfFile<'a>> {
    let mut worst: Option<OfFile<'a>> = None;
    for (index, fact) in facts {
        let Some(part) = parts.get(*index) else { continue };
        let is_source = [".py", ".pyw"].iter().any(|ending| fact.what.ends_with(ending));
        let data = || {
            let content = open(&place_of(part.path, &fact.what)?)?;
            (content.len() <= DATA_MAX_BYTES).then_some(content)
        };
        let found = match fact.deed {
            Deed::ExecutesFile if !is_source => match data() {
                Some(content) => executed(&content),
                // Plug-ins of its own, by names that only the run would tell.
                None if fact.what.ends_with('\u{fffc}') => None,
                None if fact.what.contains("\u{fffc}here") => Some((
                    Severity::High,
                    "It executes a file that is no module: people and tools that look at modules do not see it.",
                )),
                None => None,
            },
            Deed::BuildsObjects => data().and_then(|content| built(&content)),
            _ => None,
        };
        let Some((severity, because)) = found else { continue };
        let rule =
            if fact.deed == Deed::BuildsObjects { Rule::BuildsObjects } else { Rule::ExecutesFile };
        if worst.as_ref().is_none_or(|worst| worst.0 < severity) {
            worst = Some((severity, rule, because, (*index, *fact)));
        }
    }
    worst
}

/// What a file does that is executed and is no module.
fn executed(content: &[u8]) -> Option<(Severity, &'static str)> {
    let Ok(text) = std::str::from_utf8(content) else {
        return Some((Severity::High, "It executes a file that nobody can read."));
    };
    let summary = pycode::apart(|| pycode::read(pycode::Role::Module, text.as_bytes()))?;
    let at_import = summary.facts.iter().filter(|fact| fact.when == When::Import);
    let deeds: Vec<Deed> = at_import.map(|fact| fact.deed).collect();
    if deeds.iter().any(|deed| HARM.contains(deed)) {
        Some((
            Severity::Critical,
            "It executes a file that is no module, and what is in it does harm.",
        ))
    } else if !deeds.is_empty() || !is_plain(text) {
        Some((
            Severity::High,
            "It executes a file that is no module: people and tools that look at modules do not see it.",
        ))
    } else {
        None
    }
}

/// Returns true if every line of `text` is empty, a comment or an assignment.
fn is_plain(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| {
        line.is_empty()
            || line.starts_with('#')
            || line.split_once('=').is_some_and(|(name, value)| {
                name.trim().chars().all(|l| l.is_alphanumeric() || l == '_') && !value.contains('(')
            })
    })
}

/// What a file does from which objects are built.
pub(crate) fn built(content: &[u8]) -> Option<(Severity, &'static str)> {
    const PICKLE: &str =
        "It holds a pickle that calls functions of the system: whoever loads it runs them.";
    const YAML: &str =
        "It names functions that a YAML reader calls when it is loaded without care.";
    let starts = |begin: &[u8]| content.starts_with(begin);
    let text = content.get(..content.len().min(1 << 20)).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    if text.contains("!!python/object/apply:") || text.contains("!!python/object/new:") {
        return Some((Severity::High, YAML));
    }
    if starts(b"PK\x03\x04") {
        return in_zip(content).then_some((Severity::High, PICKLE));
    }
    // NumPy's header comes before the pickle.
    let inside = if starts(b"\x93NUMPY") {
        let end = content.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        content.get(end..).unwrap_or_default()
    } else {
        content
    };
    pycode::pickle::harm(inside).is_some().then_some((Severity::High, PICKLE))
}

/// Returns true if a member of the ZIP `content` is a pickle that does harm.
fn in_zip(content: &[u8]) -> bool {
    crate::archive::members(content, DATA_MAX_BYTES).into_iter().any(|(name, bytes)| {
        let pickled = [".pkl", ".pickle", ".npy"].iter().any(|ending| name.ends_with(ending));
        pickled && !bytes.starts_with(b"PK\x03\x04") && built(&bytes).is_some()
    })
}
