//! The decision log: JSON lines, each with the hash of the line before it.
//!
//! A line that is changed, left out or moved breaks the chain from there on. Cutting
//! lines off the end is not seen; ship the log to another machine for that.

use crate::decision::{Decision, Verdict};
use aws_lc_rs::digest::{SHA256, digest};
use base::Clock;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Hash before the first line.
pub(crate) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Different hosts that are counted for the summary; further ones count together.
const COUNTED_MAX: usize = 1000;

/// Log of decisions. Cheap to clone.
#[derive(Clone)]
pub struct DecisionLog(Arc<Inner>);

struct Inner {
    clock: Box<dyn Clock>,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Opened by the first decision.
    file: Option<File>,
    sequence: u64,
    previous: String,
    /// Refusals by what they were for.
    refused: BTreeMap<String, u64>,
    /// First failure to write.
    failure: Option<String>,
}

#[derive(Serialize)]
struct Line<'d> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    decision: &'d Decision,
    prev: &'d str,
}

impl DecisionLog {
    /// Makes a log that creates the file at `path` with its first decision; a file
    /// that is already there is an error.
    pub fn new(path: PathBuf, clock: Box<dyn Clock>) -> Self {
        let state = State {
            file: None,
            sequence: 0,
            previous: START.to_owned(),
            refused: BTreeMap::new(),
            failure: None,
        };
        Self(Arc::new(Inner { clock, path, state: Mutex::new(state) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Path of the log.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Writes a decision. The first failure to write is kept for [`DecisionLog::failure`].
    pub fn write(&self, decision: &Decision) {
        let time = base::clock::rfc3339(self.0.clock.unix_ms());
        let mut state = self.state();
        if decision.verdict == Verdict::Refused {
            let place = match decision.port {
                0 => decision.host.clone(),
                port => format!("{}:{port}", decision.host),
            };
            let is_room = state.refused.len() < COUNTED_MAX || state.refused.contains_key(&place);
            let place = if is_room { place } else { "other places".to_owned() };
            *state.refused.entry(place).or_default() += 1;
        }
        if let Err(error) = state.append(&self.0.path, time, decision) {
            state.failure.get_or_insert_with(|| error.to_string());
        }
    }

    /// Refusals so far, by host and port.
    pub fn refused(&self) -> BTreeMap<String, u64> {
        self.state().refused.clone()
    }

    /// Number of lines.
    pub fn lines(&self) -> u64 {
        self.state().sequence
    }

    /// First failure to write, if any.
    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }
}

/// Hash of a line without its own hash.
pub(crate) fn hash_of(line: &str) -> String {
    base::id::hex(digest(&SHA256, line.as_bytes()).as_ref())
}

impl State {
    fn append(&mut self, path: &Path, time: String, decision: &Decision) -> io::Result<()> {
        let line = Line { seq: self.sequence + 1, time, decision, prev: &self.previous };
        let mut text = serde_json::to_string(&line)?;
        let hash = hash_of(&text);
        text.pop();
        for part in [",\"hash\":\"", &hash, "\"}\n"] {
            text.push_str(part);
        }
        let file = match &mut self.file {
            Some(file) => file,
            empty => {
                let mut options = File::options();
                let file = options.append(true).create_new(true).mode(0o600).open(path)?;
                empty.insert(file)
            }
        };
        file.write_all(text.as_bytes())?;
        self.sequence += 1;
        self.previous = hash;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::DecisionLog;
    use crate::decision::{Decision, Kind, Verdict};
    use crate::read::{LogError, entries};

    #[test]
    fn a_changed_line_breaks_the_chain() {
        let path = std::env::temp_dir().join(format!("keymoat-chain-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let log = DecisionLog::new(path.clone(), Box::new(base::SystemClock::new()));
        for port in [443, 22, 53] {
            let decision = Decision::new(Kind::Connect, Verdict::Refused, "evil.example", port);
            log.write(&decision.because("x"));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let broken = |log: &str| match entries(log) {
            Err(LogError::Chain(line)) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(log.failure(), None);
        assert_eq!(entries(&text).unwrap().len(), 3);
        assert_eq!(broken(&text.replace("\"port\":22", "\"port\":23")), 2);
        let without: Vec<&str> =
            text.lines().filter(|line| !line.contains("\"port\":22")).collect();
        assert_eq!(broken(&without.join("\n")), 2);
        assert_eq!(log.refused()["evil.example:22"], 1);
    }
}
