//! What people agreed on, applied to a report: what is left alone for a while
//! ([`ignore`]),and how old a release must be ([`cooldown`]).
//!
//! A policy can only add findings, or move what was seen to the side with a
//! reason and an end. It never removes anything from the report.

pub mod cooldown;
pub mod ignore;

use crate::finding::{Evidence, Finding, Kind, Severity};
use crate::inventory::Place;

fn finding(
    rule: crate::rule::Rule,
    severity: Severity,
    subject: String,
    place: Place,
    text: String,
) -> Finding {
    Finding {
        rule,
        severity,
        kind: Kind::Policy,
        subject,
        evidence: vec![Evidence { place: Some(place), text }],
        meaning: String::new(),
        do_first: String::new(),
        advisories: Vec::new(),
    }
}
