//! Which protections are active.

use std::fmt;

/// One protection of a confined command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// User namespace: no privilege outside it.
    UserNamespace,
    /// Mount namespace with a root of its own.
    OwnRoot,
    /// PID and IPC namespaces: no other process is visible.
    OwnProcesses,
    /// Network namespace: a loopback and nothing else.
    OwnNetwork,
    /// Packets to other addresses are seen and reported.
    Attempts,
    /// Every capability dropped, in all sets.
    NoCapabilities,
    /// Every capability dropped but those for own files and low ports.
    FewCapabilities,
    /// No core dumps.
    NoCoreDumps,
    /// `no_new_privs`: setuid and file capabilities give nothing.
    NoNewPrivileges,
    /// Landlock restricts files.
    LandlockFiles,
    /// Landlock restricts renames and links between directories (ABI 2).
    LandlockRefer,
    /// Landlock restricts truncation (ABI 3).
    LandlockTruncate,
    /// Landlock restricts `ioctl` on devices (ABI 5).
    LandlockDevices,
    /// Landlock restricts signals and abstract sockets (ABI 6).
    LandlockScope,
    /// seccomp refuses dangerous system calls.
    Seccomp,
    /// Inherited descriptors above standard error are closed.
    Descriptors,
}

/// Every protection, in the order in which they are listed.
pub(crate) const ALL: [(Protection, &str); 16] = [
    (Protection::UserNamespace, "user namespace"),
    (Protection::OwnRoot, "own root"),
    (Protection::OwnProcesses, "own processes"),
    (Protection::OwnNetwork, "own network"),
    (Protection::Attempts, "attempts seen"),
    (Protection::NoCapabilities, "no capabilities"),
    (Protection::FewCapabilities, "few capabilities"),
    (Protection::NoCoreDumps, "no core dumps"),
    (Protection::NoNewPrivileges, "no new privileges"),
    (Protection::LandlockFiles, "landlock files"),
    (Protection::LandlockRefer, "landlock renames"),
    (Protection::LandlockTruncate, "landlock truncation"),
    (Protection::LandlockDevices, "landlock devices"),
    (Protection::LandlockScope, "landlock scope"),
    (Protection::Seccomp, "seccomp"),
    (Protection::Descriptors, "no inherited descriptors"),
];

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.iter().find(|(protection, _)| protection == self).map(|(_, name)| *name);
        f.write_str(name.unwrap_or_default())
    }
}

/// The protections of a confined command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Protections in force.
    pub active: Vec<Protection>,
    /// Protections that this system does not offer, each with the reason.
    pub missing: Vec<(Protection, String)>,
}

impl Report {
    pub(crate) fn set(&mut self, protection: Protection, done: Result<(), String>) {
        match done {
            Ok(()) => self.active.push(protection),
            Err(reason) => self.missing.push((protection, reason)),
        }
    }

    /// Returns true if every protection is in force.
    pub fn is_full(&self) -> bool {
        self.missing.is_empty()
    }

    /// One line for each protection; the other side of the fork reads it back.
    pub(crate) fn to_lines(&self) -> String {
        let active = self.active.iter().map(|protection| format!("+{protection}\n"));
        let missing = self.missing.iter();
        let missing = missing
            .map(|(protection, reason)| format!("-{protection}\t{}\n", reason.replace('\n', " ")));
        active.chain(missing).collect()
    }

    pub(crate) fn from_lines(lines: &str) -> Self {
        let known = |wanted: &str| ALL.iter().find(|(_, name)| *name == wanted).map(|(p, _)| *p);
        let mut report = Self::default();
        for line in lines.lines() {
            if let Some(protection) = line.strip_prefix('+').and_then(known) {
                report.active.push(protection);
            } else if let Some((name, reason)) =
                line.strip_prefix('-').and_then(|l| l.split_once('\t'))
                && let Some(protection) = known(name)
            {
                report.missing.push((protection, reason.to_owned()));
            }
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, Protection, Report};

    #[test]
    fn a_report_survives_the_way_to_the_parent() {
        let mut report = Report::default();
        for (protection, _) in ALL {
            let done =
                if protection == Protection::Seccomp { Err("no\nsuch".into()) } else { Ok(()) };
            report.set(protection, done);
        }
        let read = Report::from_lines(&report.to_lines());
        assert_eq!(read.active, report.active);
        assert_eq!(read.missing, [(Protection::Seccomp, "no such".to_owned())]);
        assert!(!read.is_full());
    }
}
