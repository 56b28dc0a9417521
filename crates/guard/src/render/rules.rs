//! What every kind of finding and of gap is called and means, once, for the
//! formats in which a result points at a rule.

use crate::finding::{Kind, Severity, Why};

/// A rule, as formats for machines show it.
pub(crate) struct Rule {
    /// Its id; never changed once it was released.
    pub(crate) id: &'static str,
    /// One line.
    pub(crate) title: &'static str,
    /// What it means and what to do, for somebody who meets it first.
    pub(crate) help: &'static str,
}

/// The rule behind findings of `kind`.
pub(crate) fn of_kind(kind: Kind) -> Rule {
    let (id, title, help) = match kind {
        Kind::Malicious => (
            "malicious",
            "A release that was made to do harm",
            "Treat every machine that installed it as compromised: isolate it, remove what it left behind, then replace every secret from a clean machine.",
        ),
        Kind::Vulnerable => (
            "vulnerable",
            "A release with a known hole",
            "Update to the first release that is free of it, with the tool that wrote the file.",
        ),
        Kind::StartupCode => (
            "startup-code",
            "Code that runs at every Python start",
            "Read it before any Python is started in this environment. That RECORD lists the file proves nothing about what it does.",
        ),
        Kind::Code => (
            "code",
            "Code that does harm as soon as it is imported or installed",
            "Start nothing that uses it; read the file and compare it with the release's public source. If it ran, replace every secret that was readable, from a clean machine.",
        ),
        Kind::Integrity => (
            "integrity",
            "What is there is not what was recorded",
            "Make the environment anew from a lock file with hashes, and audit it again.",
        ),
        Kind::Origin => (
            "origin",
            "Where packages come from can be confused or changed under way",
            "Use one index, over https, with certificates that are checked.",
        ),
        Kind::Pin => (
            "pin",
            "What would be installed is not fixed",
            "Pin exact versions with strong hashes; `keymoat pin` writes such a file from a lock.",
        ),
        Kind::Policy => (
            "policy",
            "What was agreed on is not kept",
            "Wait, or decide otherwise in the open: each exception has a reason and an end.",
        ),
        Kind::Recent => (
            "recent",
            "It came very recently",
            "Bad releases are usually found within days: look at these first if something is wrong.",
        ),
        Kind::Secret => (
            "secret",
            "A key lies where others can take it",
            "Replace it by a virtual key with a daily cap; the message has the command. Then end it at its issuer.",
        ),
        Kind::Indicator => (
            "indicator",
            "A trace that an attack is known to leave",
            "Cut the machine off the network and keep its disk. Replace secrets from a clean machine, once what starts by itself is stopped.",
        ),
        Kind::Persistence => (
            "persistence",
            "It starts by itself",
            "Find out who put it there. If nobody knows, cut the machine off the network before anything else.",
        ),
        Kind::Connection => {
            ("connection", "Who listens, and who talks to whom", "Find the one that nobody knows.")
        }
    };
    Rule { id, title, help }
}

/// The rule behind gaps of this reason.
pub(crate) fn of_gap(why: Why) -> Rule {
    let (id, title) = match why {
        Why::Unreadable => ("not-audited/unreadable", "A file or folder could not be read"),
        Why::Malformed => ("not-audited/malformed", "A file does not hold what its name promises"),
        Why::Nothing => ("not-audited/nothing", "Nothing was found that could be audited"),
        Why::Floating => ("not-audited/floating", "A version is not fixed"),
        Why::UnknownSource => {
            ("not-audited/unknown-source", "A package comes from where no advisory looks")
        }
        Why::NotCovered => {
            ("not-audited/not-covered", "The advisories at hand do not cover a package")
        }
        Why::Stale => ("not-audited/stale", "The advisories at hand are too old"),
        Why::NoRecord => {
            ("not-audited/no-record", "Installed files cannot be compared with anything")
        }
        Why::Unordered => ("not-audited/unordered", "A version has no place in the order"),
        Why::Undated => ("not-audited/undated", "Nothing says when a release was uploaded"),
        Why::UnknownFormat => {
            ("not-audited/unknown-format", "A file is of a kind or version that is not read")
        }
    };
    let help = "Not audited is not clean: close the gap as the message says, and audit again.";
    Rule { id, title, help }
}

/// All of them.
pub(crate) fn all() -> Vec<Rule> {
    Kind::ALL.map(of_kind).into_iter().chain(Why::ALL.map(of_gap)).collect()
}

impl Rule {
    /// Returns true if `id` means this rule: in full, or by its last part.
    pub(crate) fn is_called(&self, id: &str) -> bool {
        id == self.id || id == self.reason()
    }

    /// The id without the family before it.
    pub(crate) fn reason(&self) -> &'static str {
        self.id.rsplit('/').next().unwrap_or(self.id)
    }
}

/// A number from 0 to 10 in the band that readers of CVSS scores expect.
pub(super) fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.0",
        Severity::Info => "0.0",
    }
}

/// In lower case, as most formats write it.
pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
        Severity::Info => "info",
    }
}
