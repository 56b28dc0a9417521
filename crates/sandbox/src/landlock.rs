//! The second wall around files: Landlock repeats what the mounts say.
//!
//! Landlock only allows; it cannot hide a file in a tree that is visible. Its
//! rules follow files wherever they are mounted, so a hole in the mounts alone
//! opens nothing.

use crate::report::{Protection, Report};
use crate::sys;
use landlock::{
    ABI, Access as _, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use std::path::Path;

/// The newest ABI that this crate has rules for.
const NEWEST: ABI = ABI::V6;

/// Access rights that each ABI adds.
const ADDED: [(u8, Protection); 5] = [
    (1, Protection::LandlockFiles),
    (2, Protection::LandlockRefer),
    (3, Protection::LandlockTruncate),
    (5, Protection::LandlockDevices),
    (6, Protection::LandlockScope),
];

/// Trees of a ruleset.
pub(crate) struct Trees<'p> {
    /// Readable and executable.
    pub(crate) visible: &'p [&'p Path],
    /// Writable too.
    pub(crate) writable: &'p [&'p Path],
}

/// Restricts this process for good, with at most ABI `abi_max`.
pub(crate) fn restrict(trees: &Trees<'_>, abi_max: Option<u8>, report: &mut Report) {
    restrict_with(|used| enforce(trees, used), abi_max, report);
}

/// Forbids this process to write, but below `writable`, and to execute.
pub(crate) fn restrict_writing(writable: &[&Path], abi_max: Option<u8>, report: &mut Report) {
    restrict_with(|used| enforce_writing(writable, used), abi_max, report);
}

fn restrict_with(
    enforce: impl FnOnce(u8) -> Result<(), landlock::RulesetError>,
    abi_max: Option<u8>,
    report: &mut Report,
) {
    let offered = sys::landlock_abi();
    let cap = abi_max.unwrap_or(u8::MAX).min(NEWEST as u8);
    let used = offered.min(cap);
    let done = if used == 0 {
        Err("the kernel has no Landlock".to_owned())
    } else {
        enforce(used).map_err(|error| error.to_string())
    };
    for (since, protection) in ADDED {
        let done = match &done {
            Ok(()) if used < since => Err(format!("Landlock ABI {used}; it needs {since}")),
            done => done.clone(),
        };
        report.set(protection, done);
    }
}

fn abi(number: u8) -> ABI {
    match number {
        0 => ABI::Unsupported,
        1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        _ => ABI::V6,
    }
}

fn enforce(trees: &Trees<'_>, used: u8) -> Result<(), landlock::RulesetError> {
    let abi = abi(used);
    let (all, read) = (AccessFs::from_all(abi), AccessFs::from_read(abi));
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(all)?;
    if used >= 6 {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    let mut ruleset = ruleset.create()?;
    let lists = [(trees.visible, read), (trees.writable, all)];
    for (paths, access) in lists {
        for path in paths {
            // A place that cannot be opened gets no rule: it stays closed.
            let Ok(place) = PathFd::new(path) else { continue };
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
            let beneath = PathBeneath::new(place, access);
            ruleset = ruleset.add_rule(beneath)?;
        }
    }
    // Directories on the way to what is visible can be listed: they hold nothing else.
    if let Ok(root) = PathFd::new("/") {
        ruleset = ruleset.add_rule(PathBeneath::new(root, AccessFs::ReadDir))?;
    }
    let status = ruleset.restrict_self()?;
    debug_assert_eq!(status.ruleset, RulesetStatus::FullyEnforced);
    Ok(())
}

fn enforce_writing(writable: &[&Path], used: u8) -> Result<(), landlock::RulesetError> {
    let abi = abi(used);
    let write = AccessFs::from_write(abi);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(write | AccessFs::Execute)?;
    if used >= 6 {
        ruleset = ruleset.scope(Scope::from_all(abi))?;
    }
    let mut ruleset = ruleset.create()?;
    for path in writable {
        let Ok(place) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { write } else { write & AccessFs::from_file(abi) };
        ruleset = ruleset.add_rule(PathBeneath::new(place, access))?;
    }
    let status = ruleset.restrict_self()?;
    debug_assert_eq!(status.ruleset, RulesetStatus::FullyEnforced);
    Ok(())
}
