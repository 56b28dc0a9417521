//! Container images and actions of pipelines that are named by something that
//! can be moved: a tag, a branch.

use super::Reading;
use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::Place;
use crate::python::requirement::quoted;

/// References that one finding names; the rest are counted.
const NAMES_MAX: usize = 10;

/// What is named in one file.
#[derive(Default)]
pub(super) struct Named {
    images: Vec<(Place, String)>,
    actions: Vec<(Place, String)>,
}

impl Named {
    pub(super) fn image(&mut self, image: &str, place: Place) {
        let varies = image.contains('$') || image.contains("{{");
        if !image.is_empty() && image != "scratch" && !varies && !image.contains("@sha256:") {
            self.images.push((place, quoted(image)));
        }
    }

    /// `owner/name@ref`; an action of the same repository is a path.
    pub(super) fn action(&mut self, action: &str, place: Place) {
        if action.starts_with("./") {
            return;
        }
        if let Some(image) = action.strip_prefix("docker://") {
            return self.image(image, place);
        }
        let fixed = action.rsplit_once('@').is_some_and(|(_, at)| super::full_commit(at).is_some());
        if !fixed {
            self.actions.push((place, quoted(action)));
        }
    }

    pub(super) fn told(self, reading: &mut Reading) {
        reading.findings.extend(finding(
            &self.images,
            "container images without a digest",
            "A tag can be moved: the next build may start from something else, and nothing in this file would show it.",
            "Name the digest behind the tag: name:tag@sha256:…",
        ));
        reading.findings.extend(finding(
            &self.actions,
            "actions without a commit",
            "A tag can be moved: in March 2026 nearly every tag of a scanner's action was moved to malicious commits, and pipelines ran them with their secrets.",
            "Name the full commit, and keep the tag as a comment behind it.",
        ));
    }
}

fn finding(
    named: &[(Place, String)],
    what: &str,
    meaning: &str,
    do_first: &str,
) -> Option<Finding> {
    if named.is_empty() {
        return None;
    }
    let mut evidence: Vec<Evidence> = named
        .iter()
        .take(NAMES_MAX)
        .map(|(place, name)| Evidence { place: Some(place.clone()), text: name.clone() })
        .collect();
    if named.len() > NAMES_MAX {
        let text = format!("and {} more", named.len() - NAMES_MAX);
        evidence.push(Evidence { place: None, text });
    }
    Some(Finding {
        rule: crate::rule::Rule::NoDigest,
        severity: Severity::Low,
        kind: Kind::Pin,
        subject: format!("{} {what}", named.len()),
        evidence,
        meaning: meaning.into(),
        do_first: do_first.into(),
        advisories: Vec::new(),
    })
}
