//! `Pipfile.lock` → pins: the group `default`, and others by their names.

use super::marker::When;
use super::{Choice, Pin, PinnedFile, Plan, Unpinned};
use crate::inventory::{Hash, Place, Source};
use crate::manifest::Malformed;
use crate::manifest::json::Json;
use crate::manifest::pipfile_lock::{Entry, source};

/// What the text of such a lock says is to be installed.
pub(super) fn read(text: &str, place: &Place, choice: &Choice) -> Result<Plan, Malformed> {
    let json = Json::new(text);
    let mut plan = Plan::default();
    for (group, members) in json.members()? {
        // People say `dev`, the file says `develop`.
        let is_chosen =
            choice.groups.iter().any(|g| *g == group || group.strip_suffix("elop") == Some(g));
        if group == "_meta" || !(choice.all || group == "default" || is_chosen) {
            continue;
        }
        for (name, value) in json.inside(members)? {
            let entry: Entry = json.read(value)?;
            let mut pin = Pin::new(&name, place.at(json.line(value)));
            let exact = entry.version.as_deref().and_then(|text| text.strip_prefix("=="));
            let exact = exact.filter(|exact| !exact.ends_with(".*"));
            pin.version = exact.map(|exact| exact.trim_start_matches('=').to_owned());
            match entry.markers.as_deref().map(|text| When::read(text, &|_| None)) {
                Some(Some(when)) => pin.marker = when.text(),
                Some(None) => plan.gaps.push(pin.gap(
                    Unpinned::Marker,
                    "the marker that says when it is wanted is none",
                    "Lock anew with Pipenv.",
                )),
                None => {}
            }
            // Bare digests: which is of the wheel and which of the archive is not said.
            pin.files = entry
                .hashes
                .iter()
                .filter_map(|text| Hash::read(text))
                .map(|hash| PinnedFile { hashes: vec![hash], ..PinnedFile::default() })
                .collect();
            pin.source = source(entry);
            let known = |other: &Pin| (&other.name, &other.version) == (&pin.name, &pin.version);
            if pin.source != Source::Own && !plan.pins.iter().any(known) {
                plan.pins.push(pin);
            }
        }
    }
    Ok(plan)
}
