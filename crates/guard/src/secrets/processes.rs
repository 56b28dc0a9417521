//! Keys in the environment and on the command line of running processes.

use super::scan::{Sighting, Variables, scan};
use crate::machine::Host;
use crate::machine::process::{self, Process};

/// A key that a process holds.
pub(super) struct Held {
    /// Which process.
    pub(super) process: Process,
    /// True if it stands on the command line, which every user can read.
    pub(super) on_command_line: bool,
    /// The key.
    pub(super) sighting: Sighting,
}

/// What the user's processes hold.
#[derive(Default)]
pub(super) struct Found {
    /// Each key of each process.
    pub(super) held: Vec<Held>,
    /// Processes that were looked at.
    pub(super) processes: Vec<Process>,
    /// Processes that could not be, and why.
    pub(super) unreadable: Vec<(Process, String)>,
    /// Why none could be listed.
    pub(super) unlisted: Option<String>,
}

/// Every key that the user's processes hold.
pub(super) fn survey(host: &Host, variables: &Variables) -> Found {
    let mut found = Found::default();
    let processes = match process::of_user(host) {
        Ok(processes) => processes,
        Err(why) => return Found { unlisted: Some(why), ..found },
    };
    for process in processes {
        let mut is_read = true;
        for (file, on_command_line) in [("environ", false), ("cmdline", true)] {
            match process.text(file) {
                Ok(Some(text)) => {
                    // An option and its value are two texts, and one line.
                    let text = if on_command_line { text.replace('\0', " ") } else { text };
                    let held = scan(&text, variables).into_iter().map(|sighting| Held {
                        process: process.clone(),
                        on_command_line,
                        sighting,
                    });
                    found.held.extend(held);
                }
                Ok(None) => {}
                Err(why) => {
                    is_read = false;
                    found.unreadable.push((process.clone(), why));
                }
            }
        }
        if is_read {
            found.processes.push(process);
        }
    }
    found
}
