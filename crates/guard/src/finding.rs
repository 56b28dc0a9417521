//! What the guard has to say: findings, gaps, and the one outcome of both.
//!
//! A finding is something that was seen; a gap is something that could not be
//! looked at. They are never mixed: no amount of looking elsewhere makes up
//! for a gap, and a gap is not evidence of anything.

use crate::inventory::Place;
use crate::rule::Rule;
use serde::Serialize;

pub use advisory::Severity;

/// Which question a finding answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The release was made to do harm.
    Malicious,
    /// The release has a hole that others can use.
    Vulnerable,
    /// Code that runs whenever an interpreter starts.
    StartupCode,
    /// Code that does harm as soon as it is imported or installed.
    Code,
    /// What is there is not what was recorded.
    Integrity,
    /// Where it comes from can be confused or changed under way.
    Origin,
    /// What would be installed is not fixed.
    Pin,
    /// What was agreed on is not kept.
    Policy,
    /// It came very recently.
    Recent,
    /// Something that opens doors lies where others can take it.
    Secret,
    /// A trace that an attack is known to leave.
    Indicator,
    /// It starts by itself.
    Persistence,
    /// Who listens, and who talks to whom.
    Connection,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::Malicious,
        Self::Vulnerable,
        Self::StartupCode,
        Self::Code,
        Self::Integrity,
        Self::Origin,
        Self::Pin,
        Self::Policy,
        Self::Recent,
        Self::Secret,
        Self::Indicator,
        Self::Persistence,
        Self::Connection,
    ];
}

/// One thing seen, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Where, if it has a place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What was seen there.
    pub text: String,
}

/// Something that was seen and that somebody should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that it breaks: stable, unlike the texts.
    pub rule: Rule,
    /// How much it matters.
    pub severity: Severity,
    /// Which question it answers.
    pub kind: Kind,
    /// What it is about: a package and version, or a file.
    pub subject: String,
    /// What was seen, the most telling first.
    pub evidence: Vec<Evidence>,
    /// What it means, for somebody who has never met it.
    pub meaning: String,
    /// What to do first.
    pub do_first: String,
    /// Ids of the advisories it rests on, the preferred one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<String>,
}

/// Why something was not audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It cannot be opened: missing, no permission, too large.
    Unreadable,
    /// It can be opened and does not hold what its name promises.
    Malformed,
    /// Nothing was found that could be audited.
    Nothing,
    /// The version is not fixed, so nobody knows what would be installed.
    Floating,
    /// It does not come from a registry that advisories speak of.
    UnknownSource,
    /// The advisories at hand do not cover it.
    NotCovered,
    /// The advisories at hand are too old.
    Stale,
    /// Its files cannot be compared with anything.
    NoRecord,
    /// Its version cannot be ordered, so ranges cannot be compared with it.
    Unordered,
    /// Nothing says when it was uploaded, and the policy asks for that.
    Undated,
    /// It is of a kind or of a version that is not read.
    UnknownFormat,
}

impl Why {
    /// The id of such gaps, such as `KM-GAP-004`: never changed, as a rule's.
    pub fn id(self) -> &'static str {
        match self {
            Self::Unreadable => "KM-GAP-001",
            Self::Malformed => "KM-GAP-002",
            Self::Nothing => "KM-GAP-003",
            Self::Floating => "KM-GAP-004",
            Self::UnknownSource => "KM-GAP-005",
            Self::NotCovered => "KM-GAP-006",
            Self::Stale => "KM-GAP-007",
            Self::NoRecord => "KM-GAP-008",
            Self::Unordered => "KM-GAP-009",
            Self::Undated => "KM-GAP-010",
            Self::UnknownFormat => "KM-GAP-011",
        }
    }

    /// All of them, in their order.
    pub const ALL: [Self; 11] = [
        Self::Unreadable,
        Self::Malformed,
        Self::Nothing,
        Self::Floating,
        Self::UnknownSource,
        Self::NotCovered,
        Self::Stale,
        Self::NoRecord,
        Self::Unordered,
        Self::Undated,
        Self::UnknownFormat,
    ];
}

/// Something that could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Why not.
    pub why: Why,
    /// What was not audited: a file, or a package and version.
    pub subject: String,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What stood in the way.
    pub text: String,
    /// What to do about it.
    pub do_first: String,
}

/// The answer, one of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All of it was audited, and nothing of medium severity or more was found.
    Clean,
    /// Something of medium severity or more was found; there may be gaps too.
    Affected,
    /// Nothing was found, but not all of it could be audited: no answer.
    NotAudited,
}

impl Outcome {
    /// The answer that `findings` and `gaps` add up to.
    pub fn of(findings: &[Finding], gaps: &[Gap]) -> Self {
        if findings.iter().any(|finding| finding.severity >= Severity::Medium) {
            Self::Affected
        } else if gaps.is_empty() {
            Self::Clean
        } else {
            Self::NotAudited
        }
    }

    /// The exit code: 0 clean, 1 affected, 2 not audited. A command line that
    /// is not understood also exits with 2: nothing was audited.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Affected => 1,
            Self::NotAudited => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity) -> Finding {
        Finding {
            rule: Rule::NoHash,
            severity,
            kind: Kind::Pin,
            subject: String::new(),
            evidence: Vec::new(),
            meaning: String::new(),
            do_first: String::new(),
            advisories: Vec::new(),
        }
    }

    fn gap() -> Gap {
        Gap {
            why: Why::Stale,
            subject: String::new(),
            place: None,
            text: String::new(),
            do_first: String::new(),
        }
    }

    #[test]
    fn a_gap_is_never_clean_and_a_finding_outweighs_a_gap() {
        assert_eq!(Outcome::of(&[], &[]), Outcome::Clean);
        assert_eq!(Outcome::of(&[], &[gap()]), Outcome::NotAudited);
        assert_eq!(Outcome::of(&[finding(Severity::Low)], &[gap()]), Outcome::NotAudited);
        assert_eq!(Outcome::of(&[finding(Severity::Low)], &[]), Outcome::Clean);
        assert_eq!(Outcome::of(&[finding(Severity::Medium)], &[gap()]), Outcome::Affected);
    }

    #[test]
    fn no_kind_and_no_reason_is_left_out_of_the_lists() {
        let kinds: Vec<usize> = Kind::ALL.iter().map(|kind| *kind as usize).collect();
        let reasons: Vec<usize> = Why::ALL.iter().map(|why| *why as usize).collect();
        assert!(kinds.iter().copied().eq(0..kinds.len()));
        assert!(reasons.iter().copied().eq(0..reasons.len()));
        // The last one of each: whoever adds another behind it meets these lines.
        assert_eq!(Kind::Connection as usize + 1, kinds.len());
        assert_eq!(Why::UnknownFormat as usize + 1, reasons.len());
    }

    #[test]
    fn each_outcome_has_an_exit_code_of_its_own() {
        let codes =
            [Outcome::Clean, Outcome::Affected, Outcome::NotAudited].map(Outcome::exit_code);
        assert_eq!(codes, [0, 1, 2]);
    }
}
